//! Leaving: the Ethernet header of the next hop, the wait for its address, and the ports' output queues.

use std::collections::VecDeque;
use std::sync::Arc;

use arrayvec::ArrayVec;
use mem::Packet;

use crate::counters::{Counters, Tally};
use crate::drops::DropReason;
use crate::flow::InterfaceIndex;
use crate::port::{BURST, Burst, Port};
use crate::route::fib::NextHop;
use crate::route::neighbour::Neighbour;
use crate::state::table::timer::is_due;
use crate::wire::ethernet;

/// The most packets that wait for one next hop: the latest ones (RFC 1122 2.3.2.2).
pub const HELD_PER_HOP_MAX: usize = 8;
/// The most packets that wait for any next hop.
pub const HELD_MAX: usize = 256;
/// How long a packet waits for its next hop, in milliseconds.
const HOLD_MS: u32 = 3000;

/// Where packets go after rewriting.
pub struct Egress {
    counters: Arc<Counters>,
    /// What became of the packets in the queues since the path counted last.
    pub departed: Tally,
    queues: Vec<Queue>,
    held: VecDeque<Held>,
}

/// What leaves by one port with the next burst.
#[derive(Default)]
struct Queue {
    packets: Burst,
    /// The packets that follow each other out of one interface: those queued last, and those before.
    run: Run,
    runs_before: ArrayVec<Run, BURST>,
}

#[derive(Clone, Copy, Default)]
struct Run {
    interface: InterfaceIndex,
    packets: u32,
    bytes: u32,
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
            departed: Tally::default(),
            queues: (0..port_count).map(|_| Queue::default()).collect(),
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
            Some(neighbour) => self.send_framed(ports, packet, l3, neighbour).map(|()| Sent::Queued),
            None => Ok(self.hold(packet, l3, next_hop, now)),
        }
    }

    /// Sends an IPv4 packet, whose header is at `l3`, to a neighbour.
    #[inline(always)]
    pub fn send_framed(
        &mut self,
        ports: &mut [Box<dyn Port>],
        packet: Packet,
        l3: u16,
        neighbour: &Neighbour,
    ) -> Result<(), DropReason> {
        let framed = frame(packet, l3, neighbour)?;
        self.queue(ports, neighbour.port, neighbour.next_hop.interface, framed)
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
        let mut queue = self.queues.get_mut(port).ok_or(DropReason::InterfaceDown)?;
        if queue.packets.is_full() {
            self.flush_port(ports, port);
            queue = &mut self.queues[port];
        }
        if queue.run.interface != interface {
            queue.begin_run(interface);
        }
        queue.run.packets += 1;
        queue.run.bytes += packet.len() as u32;
        queue.packets.push(packet);
        Ok(())
    }

    fn hold(&mut self, packet: Packet, l3: u16, next_hop: NextHop, now: u32) -> Sent {
        let waiting = self.held.iter().filter(|held| held.next_hop == next_hop).count();
        let mut since_ms = now;
        if waiting >= HELD_PER_HOP_MAX {
            // The wait is not prolonged by whoever crowds the queue: when it is over, the next hop is asked for again.
            if let Some(oldest) = self.remove_first(|held| held.next_hop == next_hop) {
                since_ms = oldest.since_ms;
                self.departed.drop(DropReason::NeighbourQueueFull, 1);
            }
        } else if self.held.len() >= HELD_MAX {
            // Who is there answers at once: what waits longest, as for whoever a scan was for, waits in vain.
            self.held.pop_front();
            self.departed.drop(DropReason::NeighbourQueueFull, 1);
        }
        self.held.push_back(Held { next_hop, l3, since_ms, packet });
        if waiting == 0 { Sent::HeldFirst } else { Sent::Held }
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
                self.departed.drop(reason, 1);
            }
        }
    }

    /// Takes out one packet whose wait is over: its next hop was given up, or it waited too long. Returns it
    /// with the offset of its IPv4 header and the next hop.
    pub fn give_up(&mut self, unresolved: Option<NextHop>, now: u32) -> Option<(Packet, u16, NextHop)> {
        let is_over = |held: &Held| {
            Some(held.next_hop) == unresolved || is_due(now, held.since_ms.wrapping_add(HOLD_MS))
        };
        self.remove_first(is_over).map(|held| (held.packet, held.l3, held.next_hop))
    }

    fn remove_first(&mut self, is_wanted: impl Fn(&Held) -> bool) -> Option<Held> {
        let position = self.held.iter().position(is_wanted)?;
        self.held.remove(position)
    }

    /// Sends every queue. What a device has no room for is dropped.
    #[inline]
    pub fn flush(&mut self, ports: &mut [Box<dyn Port>]) {
        for port in 0..self.queues.len() {
            if !self.queues[port].packets.is_empty() {
                self.flush_port(ports, port);
            }
        }
    }

    fn flush_port(&mut self, ports: &mut [Box<dyn Port>], port: usize) {
        let queue = &mut self.queues[port];
        let queued = queue.packets.len();
        ports[port].transmit(&mut queue.packets);
        self.departed.sent += (queued - queue.packets.len()) as u64;
        if !queue.packets.is_empty() {
            let is_up = ports[port].is_up();
            let reason = if is_up { DropReason::TransmitQueueFull } else { DropReason::LinkDown };
            self.departed.drop(reason, queue.packets.len());
            queue.drop_rest();
        }
        let last = std::mem::take(&mut queue.run);
        for run in queue.runs_before.drain(..).chain([last]) {
            let interface = self.counters.interface(run.interface);
            interface.out_packets.add(run.packets.into());
            interface.out_bytes.add(run.bytes.into());
        }
    }
}

impl Queue {
    #[cold]
    fn begin_run(&mut self, interface: InterfaceIndex) {
        // There are no more runs than packets, and none of no packet.
        if self.run.packets > 0 {
            self.runs_before.push(self.run);
        }
        self.run = Run { interface, ..Run::default() };
    }

    /// Drops the packets that the port did not take, which are the last ones, and takes them out of their runs.
    #[cold]
    fn drop_rest(&mut self) {
        while let Some(packet) = self.packets.pop() {
            if self.run.packets == 0 {
                self.run = self.runs_before.pop().unwrap_or_default();
            }
            self.run.packets = self.run.packets.saturating_sub(1);
            self.run.bytes = self.run.bytes.saturating_sub(packet.len() as u32);
        }
    }
}

/// Puts the neighbour's Ethernet header in place of the one the packet came with.
#[inline(always)]
fn frame(mut packet: Packet, l3: u16, neighbour: &Neighbour) -> Result<Packet, DropReason> {
    // Mostly the new header takes the old one's place, and a copy of a known length is two moves.
    if usize::from(l3) == ethernet::LEN
        && let Some(header) = neighbour.untagged_header()
        && let Some(place) = packet.bytes_mut().first_chunk_mut()
    {
        *place = *header;
        return Ok(packet);
    }
    let header = neighbour.link_header();
    if !packet.shift_front(isize::from(l3 as i16) - header.len() as isize) {
        return Err(DropReason::BuffersExhausted);
    }
    packet.bytes_mut()[..header.len()].copy_from_slice(header);
    Ok(packet)
}
