//! What a worker carries packets with: its tables, its ports and their queues, and what waits.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::channel;
use crossbeam::queue::ArrayQueue;
use mem::Packet;

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::flow::{Direction, InterfaceIndex, WorkerIndex};
use crate::head::Head;
use crate::inspect::Streams;
use crate::message::Event;
use crate::path::egress::Egress;
use crate::path::handover::HandedOver;
use crate::path::hold::Held;
use crate::path::notice::Notices;
use crate::path::reassembly::Reassembly;
use crate::path::share::Sender;
use crate::path::stages::Sampler;
use crate::path::steer::Owners;
use crate::path::tables::Tables;
use crate::path::verdict::{Again, Course, Verdict};
use crate::port::Ports;
use crate::route::fib::NextHop;
use crate::wire::ethernet;

/// Packets that wait to go again at most: what one packet can set free, and some.
pub const AGAIN_MAX: usize = 4096;

/// All that the steps of the path work with. Each takes the parts that it needs.
pub struct Engine {
    /// Its worker's number.
    pub index: WorkerIndex,
    /// How many workers there are.
    pub count: u8,
    /// What is decided with.
    pub tables: Tables,
    /// Where frames come from and go to.
    pub ports: Ports,
    /// The queues of the ports, and packets that wait for a next hop.
    pub egress: Egress,
    /// Fragments that wait for the first of their packet.
    pub reassembly: Reassembly,
    /// Streams of control connections.
    pub streams: Streams,
    /// What may be told to senders, and SYNs that may be answered later.
    pub notices: Notices,
    /// Packets that go again. Empty between bursts.
    pub again: VecDeque<Again>,
    /// Where each worker takes packets that others hand over.
    pub handovers: Vec<Arc<ArrayQueue<HandedOver>>>,
    /// Events to the control thread. Bounded; the worker never waits.
    pub events: channel::Sender<Event>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Chooses the bursts that are timed.
    pub sampler: Sampler,
}

impl Engine {
    /// Who owns what.
    #[inline(always)]
    pub fn owners(&self) -> Owners<'_> {
        let Tables { policy, shard, .. } = &self.tables;
        Owners { policy, ownership: shard.ownership(), receiver: self.index, worker_count: self.count }
    }

    /// Tells the control thread something.
    pub fn tell(&self, event: Event) -> Result<(), DropReason> {
        self.events.try_send(event).map_err(|_| DropReason::ControlQueueFull)
    }

    /// Counts frames that arrived on an interface.
    #[inline]
    pub fn count_arrivals(&self, interface: InterfaceIndex, packets: u64, bytes: u64) {
        let interface = self.counters.interface(interface);
        interface.in_packets.add(packets);
        interface.in_bytes.add(bytes);
    }

    /// Counts a frame that is to all, or to a group.
    #[cold]
    pub fn count_addressee(&self, interface: InterfaceIndex, frame: &[u8]) {
        let interface = self.counters.interface(interface);
        match frame.first_chunk() {
            Some(&ethernet::BROADCAST) => interface.in_broadcasts.add(1),
            Some([first, ..]) if first & 1 == 1 => interface.in_multicasts.add(1),
            _ => {}
        }
    }

    /// Counts whether a packet that was looked up found a session.
    #[inline]
    pub fn count_probe(&self, was_probed: bool, was_found: bool) {
        let nat = &self.counters.nat;
        if was_found {
            nat.hits.add(1);
        } else if was_probed {
            nat.misses.add(1);
        }
    }

    /// Counts a packet that is dropped.
    #[inline(always)]
    pub fn note(&self, fate: Result<(), DropReason>) {
        if let Err(reason) = fate {
            self.counters.dropped(reason);
        }
    }

    /// Has a packet go again.
    pub fn again(&mut self, packet: Packet, head: Head, course: Course, verdict: Option<Verdict>) {
        if self.again.len() < AGAIN_MAX {
            self.again.push_back(Again { packet, head, course, verdict });
        } else {
            self.note(Err(DropReason::PathQueueFull));
        }
    }

    /// Sends an IPv4 packet to a next hop, or holds it and has the next hop resolved. `sender` is who has it sent.
    #[inline(always)]
    pub fn send(
        &mut self,
        packet: Packet,
        l3: u16,
        next_hop: NextHop,
        neighbour: u16,
        sender: Sender,
        now: u32,
    ) -> Result<(), DropReason> {
        match self.tables.neighbours.at(neighbour) {
            Some(neighbour) => self.egress.send_framed(&mut self.ports, packet, l3, neighbour),
            None => self.hold(packet, l3, next_hop, sender, now),
        }
    }

    /// Whoever is the first to wait for a next hop has it asked for.
    #[cold]
    #[inline(never)]
    fn hold(
        &mut self,
        packet: Packet,
        l3: u16,
        next_hop: NextHop,
        sender: Sender,
        now: u32,
    ) -> Result<(), DropReason> {
        let interface = self.tables.policy.interfaces.get(usize::from(sender.0));
        let side = interface.and_then(|interface| interface.direction()).unwrap_or(Direction::Inbound);
        if !self.egress.held.waits_for(next_hop) {
            // The control thread asks again by itself; should it miss this, the packet's wait runs out.
            let _ = self.tell(Event::Resolve(next_hop));
        }
        self.egress.hold(Held { packet, l3, next_hop, sender, side, since_ms: now });
        Ok(())
    }

    /// Sends the queues of all ports, and counts what became of their packets.
    pub fn transmit(&mut self) {
        self.egress.flush(&mut self.ports);
        self.counters.count(&mut self.egress.departed);
    }
}
