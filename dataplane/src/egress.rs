//! Leaving: the Ethernet header of the next hop, the wait for its address, and the ports' output queues.

use std::collections::VecDeque;
use std::sync::Arc;

use arrayvec::ArrayVec;
use mem::Packet;

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::fib::NextHop;
use crate::neighbour::Neighbour;
use crate::parse::ETHERNET_LEN;
use crate::policy::InterfaceIndex;
use crate::port::{BURST, Burst, Port};
use crate::state::timer::is_due;

/// The most packets that wait for one next hop.
pub const HELD_PER_HOP_MAX: usize = 8;
/// The most packets that wait for any next hop.
pub const HELD_MAX: usize = 256;
/// How long a packet waits for its next hop, in milliseconds.
const HOLD_MS: u32 = 3000;

/// Where packets go after rewriting.
pub struct Egress {
    counters: Arc<Counters>,
    queues: Vec<Burst>,
    /// What the counters need to know of each queued packet.
    leaving: Vec<ArrayVec<Leaving, BURST>>,
    held: VecDeque<Held>,
}

#[derive(Clone, Copy)]
struct Leaving {
    interface: InterfaceIndex,
    bytes: u16,
}

struct Held {
    next_hop: NextHop,
    l3: u16,
    since_ms: u32,
    packet: Packet,
}

/// What became of a packet given to [`Egress::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is in its port's queue.
    Queued,
    /// It waits for its next hop, the first one to do so: the control thread is to be asked.
    HeldFirst,
    /// It waits for its next hop behind others.
    Held,
}

impl Egress {
    /// Queues for this many ports.
    pub fn new(port_count: usize, counters: Arc<Counters>) -> Egress {
        Egress {
            counters,
            queues: (0..port_count).map(|_| Burst::new()).collect(),
            leaving: (0..port_count).map(|_| ArrayVec::new()).collect(),
            held: VecDeque::with_capacity(HELD_MAX),
        }
    }

    /// Sends an IPv4 packet, whose header is at `l3`, to a neighbour, or holds it while there is none.
    #[inline(always)]
    pub fn send(
        &mut self,
        ports: &mut [Box<dyn Port>],
        packet: Packet,
        l3: u16,
        next_hop: NextHop,
        neighbour: Option<&Neighbour>,
        now: u32,
    ) -> Result<Sent, DropReason> {
        match neighbour {
            Some(neighbour) => {
                let framed = frame(packet, l3, neighbour)?;
                self.queue(ports, neighbour.port, neighbour.next_hop.interface, framed)?;
                Ok(Sent::Queued)
            }
            None => self.hold(packet, l3, next_hop, now),
        }
    }

    /// Puts a finished frame into a port's queue, sending the queue first when it is full.
    #[inline(always)]
    pub fn queue(
        &mut self,
        ports: &mut [Box<dyn Port>],
        port: u16,
        interface: u16,
        packet: Packet,
    ) -> Result<(), DropReason> {
        let port = usize::from(port);
        if self.queues.get(port).ok_or(DropReason::InterfaceDown)?.is_full() {
            self.flush_port(ports, port);
        }
        self.leaving[port].push(Leaving { interface, bytes: packet.len() as u16 });
        self.queues[port].push(packet);
        Ok(())
    }

    fn hold(&mut self, packet: Packet, l3: u16, next_hop: NextHop, now: u32) -> Result<Sent, DropReason> {
        let waiting = self.held.iter().filter(|held| held.next_hop == next_hop).count();
        if waiting >= HELD_PER_HOP_MAX || self.held.len() >= HELD_MAX {
            return Err(DropReason::NeighbourQueueFull);
        }
        self.held.push_back(Held { next_hop, l3, since_ms: now, packet });
        Ok(if waiting == 0 { Sent::HeldFirst } else { Sent::Held })
    }

    /// Whether any packet waits for this next hop.
    pub fn is_awaited(&self, next_hop: NextHop) -> bool {
        self.held.iter().any(|held| held.next_hop == next_hop)
    }

    /// Packets that wait for a next hop.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Sends what waited for a neighbour, in order.
    pub fn release(&mut self, ports: &mut [Box<dyn Port>], neighbour: &Neighbour) {
        for _ in 0..self.held.len() {
            let Some(held) = self.held.pop_front() else { break };
            if held.next_hop != neighbour.next_hop {
                self.held.push_back(held);
                continue;
            }
            let sent = frame(held.packet, held.l3, neighbour)
                .and_then(|framed| self.queue(ports, neighbour.port, neighbour.next_hop.interface, framed));
            if let Err(reason) = sent {
                self.counters.dropped(reason);
            }
        }
    }

    /// Takes out one packet whose wait is over: its next hop was given up, or it waited too long. Returns it
    /// with the offset of its IPv4 header and the next hop.
    pub fn give_up(&mut self, unresolved: Option<NextHop>, now: u32) -> Option<(Packet, u16, NextHop)> {
        let is_over = |held: &Held| {
            Some(held.next_hop) == unresolved || is_due(now, held.since_ms.wrapping_add(HOLD_MS))
        };
        let position = self.held.iter().position(is_over)?;
        self.held.remove(position).map(|held| (held.packet, held.l3, held.next_hop))
    }

    /// Sends every queue. What a device has no room for is dropped and counted.
    #[inline]
    pub fn flush(&mut self, ports: &mut [Box<dyn Port>]) {
        for port in 0..self.queues.len() {
            if !self.queues[port].is_empty() {
                self.flush_port(ports, port);
            }
        }
    }

    fn flush_port(&mut self, ports: &mut [Box<dyn Port>], port: usize) {
        let (queue, leaving) = (&mut self.queues[port], &mut self.leaving[port]);
        let queued = queue.len();
        ports[port].transmit(queue);
        let sent = queued - queue.len();
        // Packets of one interface mostly follow each other.
        for run in leaving[..sent].chunk_by(|a, b| a.interface == b.interface) {
            let interface = self.counters.interface(run[0].interface);
            interface.out_packets.add(run.len() as u64);
            interface.out_bytes.add(run.iter().map(|leaving| u64::from(leaving.bytes)).sum());
        }
        self.counters.fates.sent.add(sent as u64);
        leaving.clear();
        if !queue.is_empty() {
            let is_up = ports[port].is_up();
            let reason = if is_up { DropReason::TransmitQueueFull } else { DropReason::LinkDown };
            for _ in queue.drain(..) {
                self.counters.dropped(reason);
            }
        }
    }
}

/// Puts the neighbour's Ethernet header in place of the one the packet came with.
#[inline(always)]
fn frame(mut packet: Packet, l3: u16, neighbour: &Neighbour) -> Result<Packet, DropReason> {
    let header = neighbour.link_header();
    if !packet.shift_front(isize::from(l3 as i16) - header.len() as isize) {
        return Err(DropReason::BuffersExhausted);
    }
    let bytes = packet.bytes_mut();
    // Copies of a known length compile to two moves.
    match (bytes.first_chunk_mut::<ETHERNET_LEN>(), header.first_chunk::<ETHERNET_LEN>()) {
        (Some(place), Some(untagged)) if header.len() == ETHERNET_LEN => *place = *untagged,
        _ => bytes[..header.len()].copy_from_slice(header),
    }
    Ok(packet)
}
