//! A worker: one core's ports, tables and queues, and what it does between bursts.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use crossbeam::queue::ArrayQueue;
use mem::Packet;

use crate::counters::Counters;
use crate::drops::{DropReason, Notice};
use crate::egress::{Egress, Sent};
use crate::fib::{Fib, NextHop};
use crate::lookup::{self, Destination};
use crate::message::{Event, Message, SessionRow, Usage, Walked};
use crate::neighbour::Neighbours;
use crate::parse::Head;
use crate::path;
use crate::policy::{InterfaceIndex, Policy};
use crate::port::{Burst, Port, Ports};
use crate::reply::{self, NoticeBudget};
use crate::state::session::{CachedHop, Session};
use crate::state::shard::{Shard, deadline_ms};
use crate::state::slots::NONE;
use crate::steer::WorkerIndex;
use crate::tables::Tables;
use crate::translate::Refused;
use crate::tuple::Vrf;

/// Sessions that one burst may end, so that expiry never stalls traffic.
const EXPIRIES_PER_ROUND: usize = 64;
/// Sessions that one round of `clear ip nat translation *` ends.
const CLEARED_PER_ROUND: usize = 256;
/// Bytes kept free before a packet of our own for its Ethernet header.
const LINK_ROOM: u16 = 18;

/// What a worker is made of.
pub struct WorkerSetup {
    /// Its number.
    pub index: WorkerIndex,
    /// How many workers there are.
    pub count: u8,
    /// One queue pair of each port, in the order of port indexes.
    pub ports: Ports,
    /// Sessions it has room for.
    pub session_count_max: usize,
    /// The secret of its hash table.
    pub secret: [u64; 2],
    /// Messages from the control thread.
    pub inbox: Receiver<Message>,
    /// Events to the control thread. Bounded; the worker never waits.
    pub events: Sender<Event>,
    /// Where each worker takes packets that others hand over.
    pub handovers: Vec<Arc<ArrayQueue<Packet>>>,
    /// What it counts.
    pub counters: Arc<Counters>,
}

/// One worker.
pub struct Worker {
    pub(crate) index: WorkerIndex,
    pub(crate) count: u8,
    pub(crate) ports: Ports,
    pub(crate) tables: Tables,
    pub(crate) egress: Egress,
    pub(crate) counters: Arc<Counters>,
    inbox: Receiver<Message>,
    events: Sender<Event>,
    handovers: Vec<Arc<ArrayQueue<Packet>>>,
    notices: NoticeBudget,
    clearing: Option<Clearing>,
}

/// A `clear ip nat translation *` under way.
struct Clearing {
    next: u32,
    cleared: u64,
    reply: Sender<u64>,
}

impl Worker {
    /// A worker that forwards nothing until it is sent a policy.
    pub fn new(setup: WorkerSetup, now: u32) -> Worker {
        let shard = Shard::new(setup.session_count_max, setup.secret, now);
        Worker {
            index: setup.index,
            count: setup.count,
            egress: Egress::new(setup.ports.len(), Arc::clone(&setup.counters)),
            ports: setup.ports,
            tables: Tables {
                policy: Arc::new(Policy::default()),
                fib: Arc::new(Fib::default()),
                neighbours: Neighbours::default(),
                shard,
            },
            counters: setup.counters,
            inbox: setup.inbox,
            events: setup.events,
            handovers: setup.handovers,
            notices: NoticeBudget::new(now),
            clearing: None,
        }
    }

    /// One round: a burst from every port, packets from other workers, messages, timers. Returns how many
    /// packets there were; none means that the caller may rest.
    pub fn round(&mut self, now: u32) -> usize {
        let mut count = 0;
        for port in 0..self.ports.len() {
            count += path::burst(self, port, now);
        }
        count += self.take_over(now);
        self.between_bursts(now);
        count
    }

    fn take_over(&mut self, now: u32) -> usize {
        let Some(ring) = self.handovers.get(usize::from(self.index)) else { return 0 };
        let mut packets = Burst::new();
        while !packets.is_full()
            && let Some(packet) = ring.pop()
        {
            packets.push(packet);
        }
        self.counters.fates.taken_over.add(packets.len() as u64);
        path::process(self, packets, now)
    }

    fn between_bursts(&mut self, now: u32) {
        while let Ok(message) = self.inbox.try_recv() {
            self.receive(message, now);
        }
        let expired = self.tables.shard.expire(&self.tables.policy, now, EXPIRIES_PER_ROUND);
        self.counters.nat.expired.add(expired as u64);
        self.continue_clearing();
        self.give_up_waiting(None, now);
        self.egress.flush(&mut self.ports);
        self.note_levels();
    }

    fn receive(&mut self, message: Message, now: u32) {
        match message {
            Message::Policy(policy) => {
                let old = std::mem::replace(&mut self.tables.policy, policy);
                let _ = self.events.try_send(Event::Retired(old));
            }
            Message::Fib(fib) => {
                let old = std::mem::replace(&mut self.tables.fib, fib);
                let _ = self.events.try_send(Event::RetiredFib(old));
            }
            Message::Neighbour(number, neighbour) => {
                self.tables.neighbours.set(number, neighbour);
                if let Some(neighbour) = neighbour {
                    self.egress.release(&mut self.ports, &neighbour);
                }
            }
            Message::Unresolved(next_hop) => self.give_up_waiting(Some(next_hop), now),
            Message::Transmit(interface, frame) => self.transmit(interface, &frame),
            Message::Walk { start, limit, reply } => {
                let _ = reply.try_send(self.walk(start, limit, now));
            }
            Message::Usage(reply) => {
                let shard = &self.tables.shard;
                let usage = Usage {
                    rules: shard.rule_uses().collect(),
                    ports: shard.ports_in_use().collect(),
                    subscriber_count: shard.subscriber_count(),
                };
                let _ = reply.try_send(usage);
            }
            Message::Clear(reply) => self.clearing = Some(Clearing { next: 0, cleared: 0, reply }),
        }
    }

    fn walk(&self, start: u32, limit: usize, now: u32) -> Walked {
        let shard = &self.tables.shard;
        let mut sessions = shard.sessions_from(start);
        let rows = sessions.by_ref().take(limit).map(|(_, session)| self.row(session, now)).collect();
        Walked { rows, next: sessions.next().map(|(index, _)| index) }
    }

    fn row(&self, session: &Session, now: u32) -> SessionRow {
        SessionRow {
            protocol: session.protocol,
            inside_local: session.inside_local,
            inside_global: session.inside_global,
            outside_local: session.outside_local,
            outside_global: session.outside_global,
            vrf: session.inside_vrf,
            rule: session.rule,
            is_static: session.mapping == NONE,
            class: session.class,
            age_ms: now.wrapping_sub(session.created_ms),
            idle_ms: now.wrapping_sub(session.used_ms),
            left_ms: deadline_ms(&self.tables.policy, session).map(|at| at.saturating_sub(now)),
        }
    }

    fn continue_clearing(&mut self) {
        let Some(mut clearing) = self.clearing.take() else { return };
        let shard = &mut self.tables.shard;
        let doomed: Vec<u32> =
            shard.sessions_from(clearing.next).take(CLEARED_PER_ROUND).map(|(index, _)| index).collect();
        for &index in &doomed {
            shard.remove(index);
        }
        clearing.cleared += doomed.len() as u64;
        match doomed.last() {
            Some(last) => self.clearing = Some(Clearing { next: last + 1, ..clearing }),
            None => drop(clearing.reply.try_send(clearing.cleared)),
        }
    }

    /// Drops packets that waited for a next hop in vain, and tells their senders.
    fn give_up_waiting(&mut self, unresolved: Option<NextHop>, now: u32) {
        while let Some((_packet, _l3)) = self.egress.give_up(unresolved, now) {
            self.counters.dropped(DropReason::NeighbourUnresolved);
        }
    }

    fn note_levels(&self) {
        let (nat, shard) = (&self.counters.nat, &self.tables.shard);
        let sessions = shard.session_count() as u64;
        nat.sessions.set(sessions);
        nat.mappings.set(shard.mapping_count() as u64);
        nat.sessions_peak.set(nat.sessions_peak.value().max(sessions));
        self.counters.fates.held.set(self.egress.held_count() as u64);
    }

    /// Sends a frame that the control thread made.
    fn transmit(&mut self, interface: InterfaceIndex, frame: &[u8]) {
        let Some(port) = self.tables.policy.interfaces.get(usize::from(interface)).map(|i| i.port) else {
            return;
        };
        self.counters.fates.generated.add(1);
        let packet = self.ports.get_mut(usize::from(port)).and_then(|port| port.allocate());
        let filled = packet.and_then(|mut packet| {
            packet.resize(frame.len()).then(|| {
                packet.bytes_mut().copy_from_slice(frame);
                packet
            })
        });
        let sent = match filled {
            Some(packet) => self.egress.queue(&mut self.ports, port, interface, packet),
            None => Err(DropReason::BuffersExhausted),
        };
        if let Err(reason) = sent {
            self.counters.dropped(reason);
        }
    }

    /// Sends an IPv4 packet to a next hop, or holds it and has the next hop resolved.
    pub(crate) fn send(
        &mut self,
        packet: Packet,
        l3: u16,
        next_hop: NextHop,
        neighbour: u16,
        now: u32,
    ) -> Result<(), DropReason> {
        let neighbour = self.tables.neighbours.at(neighbour);
        match self.egress.send(&mut self.ports, packet, l3, next_hop, neighbour, now)? {
            Sent::Queued | Sent::Held => {}
            // The control thread asks again by itself; should it miss this, the packet's wait runs out.
            Sent::HeldFirst => drop(self.tell(Event::Resolve(next_hop))),
        }
        Ok(())
    }

    /// Routes and sends a packet that starts here, from its IPv4 header at `l3`.
    pub(crate) fn send_own(&mut self, packet: Packet, l3: u16, vrf: Vrf, to: Ipv4Addr, now: u32) {
        self.counters.fates.generated.add(1);
        let sent = match lookup::destination(&self.tables.fib, vrf, to) {
            Ok(Destination::Beyond(next_hop)) => {
                let CachedHop { neighbour, .. } =
                    lookup::resolve(&self.tables.fib, &self.tables.neighbours, next_hop);
                self.send(packet, l3, next_hop, neighbour, now)
            }
            Ok(Destination::Local(_)) => Err(DropReason::NoLocalService),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = sent {
            self.counters.dropped(reason);
        }
    }

    /// Sends the ICMP error that a refusal calls for, if one is due and the budget allows it.
    pub(crate) fn notify(&mut self, refused: Refused, ingress: InterfaceIndex, original: &[u8], now: u32) {
        let notice = refused.reason.notice();
        let interface = &self.tables.policy.interfaces[usize::from(ingress)];
        let Some(&(from, _)) = interface.addresses.first() else { return };
        let Some(source) = original.get(12..16).and_then(|src| src.first_chunk::<4>()) else { return };
        if notice == Notice::Silent || !self.notices.take(now) {
            return;
        }
        let (vrf, port, to) = (interface.vrf, usize::from(interface.port), Ipv4Addr::from(*source));
        let Some(mut packet) = self.ports.get_mut(port).and_then(|port| port.allocate()) else { return };
        let has_room = packet.headroom() >= usize::from(LINK_ROOM);
        if has_room && reply::write_notice(&mut packet, notice, refused.mtu, from, original) {
            self.send_own(packet, 0, vrf, to, now);
        }
    }

    /// Puts a packet into its owner's ring.
    pub(crate) fn hand_over(&mut self, packet: Packet, owner: WorkerIndex) -> Result<(), DropReason> {
        let ring = self.handovers.get(usize::from(owner)).ok_or(DropReason::HandoverFull)?;
        ring.push(packet).map_err(|_| DropReason::HandoverFull)?;
        self.counters.fates.handed_over.add(1);
        Ok(())
    }

    /// Tells the control thread something.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), DropReason> {
        self.events.try_send(event).map_err(|_| DropReason::ControlQueueFull)
    }

    pub(crate) fn count_arrival(&self, head: &Head) {
        let interface = self.counters.interface(head.interface);
        interface.in_packets.add(1);
        interface.in_bytes.add(u64::from(head.total_len));
    }

    pub(crate) fn count_probe(&self, was_probed: bool, was_found: bool) {
        let nat = &self.counters.nat;
        if was_found {
            nat.hits.add(1);
        } else if was_probed {
            nat.misses.add(1);
        }
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The worker's shard, for its invariants.
    pub fn shard(&self) -> &Shard {
        &self.tables.shard
    }

    /// A port by its index.
    pub fn port_mut(&mut self, index: usize) -> Option<&mut Box<dyn Port>> {
        self.ports.get_mut(index)
    }
}
