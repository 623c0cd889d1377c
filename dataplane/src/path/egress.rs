//! Leaving: the Ethernet header of the next hop, and the ports' output queues.

use std::sync::Arc;

use arrayvec::ArrayVec;
use mem::Packet;

use crate::counters::{Counters, Tally};
use crate::drops::DropReason;
use crate::flow::InterfaceIndex;
use crate::path::hold::{Held, HoldQueue};
use crate::port::{BURST, Burst, Port};
use crate::route::neighbour::Neighbour;
use crate::wire::ethernet;

/// Where packets go after rewriting.
pub struct Egress {
    counters: Arc<Counters>,
    /// What became of the packets in the queues since the path counted last.
    pub departed: Tally,
    queues: Vec<Queue>,
    /// Packets that wait for a next hop.
    pub held: HoldQueue,
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

impl Egress {
    /// Queues for this many ports.
    pub fn new(port_count: usize, counters: Arc<Counters>) -> Egress {
        Egress {
            counters,
            departed: Tally::default(),
            queues: (0..port_count).map(|_| Queue::default()).collect(),
            held: HoldQueue::default(),
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

    /// Has a packet wait for its next hop.
    pub fn hold(&mut self, held: Held) {
        if self.held.push(held).is_some() {
            self.departed.drop(DropReason::NeighbourQueueFull, 1);
        }
    }

    /// Sends what waited for a neighbour, in order.
    pub fn release(&mut self, ports: &mut [Box<dyn Port>], neighbour: &Neighbour) {
        while let Some(held) = self.held.take(neighbour.next_hop) {
            if let Err(reason) = self.send_framed(ports, held.packet, held.l3, neighbour) {
                self.departed.drop(reason, 1);
            }
        }
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
