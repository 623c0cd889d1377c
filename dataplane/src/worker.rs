//! A worker: one core's ports, tables and queues, and what it does between bursts.

use std::net::Ipv4Addr;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use crossbeam::queue::ArrayQueue;
use mem::Packet;

use crate::counters::Counters;
use crate::drops::{Blame, DropReason, Notice};
use crate::egress::{Egress, Sent};
use crate::fib::{Fib, NextHop};
use crate::fragment::Cutter;
use crate::hairpin;
use crate::lookup::{self, Destination};
use crate::message::{Event, Message, SessionRow, Usage, Walked};
use crate::neighbour::Neighbours;
use crate::parse::{Head, Parsed, parse_ipv4};
use crate::path::{self, Arrival, PerPacket};
use crate::plan::Plan;
use crate::policy::{IdleClass, InterfaceIndex, Policy};
use crate::port::{Port, Ports};
use crate::reassembly::{Ready, Reassembly};
use crate::reply::{self, NoticeBudget};
use crate::state::mapping::Mapping;
use crate::state::session::{CachedHop, Session};
use crate::state::shard::{Entry, Shard, deadline_ms, mapping_deadline_ms};
use crate::state::slots::NONE;
use crate::state::timer::is_due;
use crate::steer::WorkerIndex;
use crate::tables::Tables;
use crate::translate::Refused;
use crate::tuple::{Endpoint, Vrf};
use crate::unsolicited::Unsolicited;

/// Sessions that one burst may end, so that expiry never stalls traffic.
const EXPIRIES_PER_ROUND: usize = 64;
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
    pub handovers: Vec<Arc<ArrayQueue<HandedOver>>>,
    /// What it counts.
    pub counters: Arc<Counters>,
}

/// A packet on its way to the worker that owns it, with where it is to be read again.
pub struct HandedOver {
    packet: Packet,
    interface: InterfaceIndex,
    l3: u16,
    /// The ports and the new identification of a fragment whose packet's first one was seen.
    fragment: Option<(u16, u16, u16)>,
}

impl HandedOver {
    /// A packet whose headers were read.
    pub fn new(packet: Packet, head: &Head) -> HandedOver {
        let ports = (head.tuple.src.port, head.tuple.dst.port);
        let fragment = head.new_id.map(|id| (ports.0, ports.1, id));
        HandedOver { packet, interface: head.interface, l3: head.l3, fragment }
    }

    /// Reads its headers again.
    fn arrive(self, policy: &Policy) -> Arrival {
        let vrf = policy.interfaces.get(usize::from(self.interface)).map_or(0, |interface| interface.vrf);
        let parsed = parse_ipv4(self.packet.bytes(), usize::from(self.l3), self.interface, vrf);
        let parsed = parsed.map(|mut head| {
            if let Some((src, dst, id)) = self.fragment {
                (head.tuple.src.port, head.tuple.dst.port, head.new_id) = (src, dst, Some(id));
            }
            Parsed::Ipv4(head)
        });
        Arrival { packet: self.packet, parsed, is_steered: true }
    }
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
    handovers: Vec<Arc<ArrayQueue<HandedOver>>>,
    reassembly: Reassembly,
    unsolicited: Unsolicited,
    notices: NoticeBudget,
    sweep: Option<Sweep>,
}

/// A walk over the tables under way, that ends what the policy no longer keeps, or everything.
struct Sweep {
    all: bool,
    next: u32,
    ended: u64,
    reply: Option<Sender<u64>>,
}

impl Worker {
    /// A worker that forwards nothing until it is sent a policy.
    pub fn new(setup: WorkerSetup, now: u32) -> Worker {
        let shard = Shard::new(setup.session_count_max, setup.secret, setup.index, setup.count, now);
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
                counters: Arc::clone(&setup.counters),
            },
            counters: setup.counters,
            inbox: setup.inbox,
            events: setup.events,
            handovers: setup.handovers,
            reassembly: Reassembly::default(),
            unsolicited: Unsolicited::default(),
            notices: NoticeBudget::new(now),
            sweep: None,
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
        let mut arrivals = PerPacket::new();
        while !arrivals.is_full()
            && let Some(handed_over) = ring.pop()
        {
            arrivals.push(handed_over.arrive(&self.tables.policy));
        }
        self.counters.fates.taken_over.add(arrivals.len() as u64);
        path::process(self, arrivals, now)
    }

    fn between_bursts(&mut self, now: u32) {
        while let Ok(message) = self.inbox.try_recv() {
            self.receive(message, now);
        }
        let expired = self.tables.shard.expire(&self.tables.policy, now, EXPIRIES_PER_ROUND);
        self.counters.nat.expired.add(expired as u64);
        self.continue_sweep(now);
        let counters = &self.counters;
        self.reassembly.expire(now, |reason| counters.dropped(reason));
        self.answer_syns(now);
        self.give_up_waiting(None, now);
        self.egress.flush(&mut self.ports);
        self.note_levels();
    }

    fn receive(&mut self, message: Message, now: u32) {
        match message {
            Message::Policy(policy) => {
                let old = std::mem::replace(&mut self.tables.policy, policy);
                let _ = self.events.try_send(Event::Retired(old));
                self.tables.shard.start_policy(&self.tables.policy);
                self.start_sweep(false, None);
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
            Message::Clear(reply) => self.start_sweep(true, Some(reply)),
        }
    }

    /// A slice of the tables: sessions first, then the mappings of whole addresses.
    fn walk(&self, start: u32, limit: usize, now: u32) -> Walked {
        let shard = &self.tables.shard;
        let mut walked = Walked::default();
        for (position, entry) in shard.entries_from(start) {
            if walked.rows.len() == limit {
                walked.next = Some(position);
                break;
            }
            walked.rows.push(match entry {
                Entry::Session(session) => self.row(session, now),
                Entry::Address(mapping) => self.address_row(mapping, now),
            });
        }
        walked
    }

    fn address_row(&self, mapping: &Mapping, now: u32) -> SessionRow {
        let nobody = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);
        SessionRow {
            protocol: mapping.protocol,
            inside_local: mapping.own,
            inside_global: mapping.seen,
            outside_local: nobody,
            outside_global: nobody,
            vrf: mapping.own_vrf,
            rule: mapping.rule,
            is_static: false,
            class: IdleClass::Other,
            age_ms: now.wrapping_sub(mapping.created_ms),
            idle_ms: now.wrapping_sub(mapping.used_ms),
            left_ms: mapping_deadline_ms(&self.tables.policy, mapping).map(|at| left_ms(at, now)),
        }
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
            left_ms: deadline_ms(&self.tables.policy, session).map(|at| left_ms(at, now)),
        }
    }

    /// Starts a sweep from the beginning. One that was under way is taken into it.
    fn start_sweep(&mut self, all: bool, reply: Option<Sender<u64>>) {
        let before = self.sweep.take();
        let was_all = before.as_ref().is_some_and(|sweep| sweep.all);
        let reply = reply.or(before.and_then(|sweep| sweep.reply));
        self.sweep = Some(Sweep { all: all || was_all, next: 0, ended: 0, reply });
    }

    fn continue_sweep(&mut self, now: u32) {
        let Some(mut sweep) = self.sweep.take() else { return };
        let (next, ended) = self.tables.shard.sweep(&self.tables.policy, sweep.all, sweep.next, now);
        sweep.ended += ended;
        match next {
            Some(next) => self.sweep = Some(Sweep { next, ..sweep }),
            None => drop(sweep.reply.map(|reply| reply.try_send(sweep.ended))),
        }
    }

    /// Drops packets that waited for a next hop in vain, and tells their senders.
    fn give_up_waiting(&mut self, unresolved: Option<NextHop>, now: u32) {
        while let Some((packet, l3, next_hop)) = self.egress.give_up(unresolved, now) {
            self.counters.dropped(DropReason::NeighbourUnresolved);
            let original = packet.bytes().get(usize::from(l3)..).unwrap_or_default();
            let refused = Refused::from(DropReason::NeighbourUnresolved);
            if let Some(notice) = self.write_notice(refused, next_hop.interface, original, now) {
                // The packet was translated already: its notice comes in like one from beyond the next hop.
                hairpin::originate(self, notice, next_hop.interface, now);
            }
        }
    }

    fn note_levels(&self) {
        let (nat, shard) = (&self.counters.nat, &self.tables.shard);
        let sessions = shard.session_count() as u64;
        nat.sessions.set(sessions);
        nat.mappings.set(shard.mapping_count() as u64);
        nat.sessions_peak.set(nat.sessions_peak.value().max(sessions));
        let held = self.egress.held_count() + self.reassembly.waiting_count();
        self.counters.fates.held.set(held as u64);
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
    pub(crate) fn send_to_hop(
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

    /// Sends a packet in fragments: it is consumed, and the fragments are packets of our own.
    pub(crate) fn send_fragments(
        &mut self,
        packet: &Packet,
        plan: &Plan,
        now: u32,
    ) -> Result<(), DropReason> {
        let original = packet.bytes().get(usize::from(plan.l3)..).unwrap_or_default();
        let mut cutter =
            Cutter::new(original, plan.fragment_bytes_max).ok_or(DropReason::FragmentationNeeded)?;
        let port = self.tables.policy.interfaces.get(usize::from(plan.egress)).map(|i| usize::from(i.port));
        let port = port.filter(|&port| port < self.ports.len()).ok_or(DropReason::InterfaceDown)?;
        self.counters.fates.consumed.add(1);
        while !cutter.is_done() {
            self.counters.fates.generated.add(1);
            let fragment = self.ports[port].allocate().and_then(|mut fragment| {
                let is_written = cutter.write_next(&mut fragment);
                is_written.then_some(fragment)
            });
            let Some(fragment) = fragment else {
                // What is missing of it makes the rest useless: the destination never completes it.
                self.counters.dropped(DropReason::BuffersExhausted);
                break;
            };
            if let Err(reason) = self.send_to_hop(fragment, 0, plan.next_hop(), plan.neighbour, now) {
                self.counters.dropped(reason);
            }
        }
        Ok(())
    }

    /// Routes and sends a packet that starts here, from its IPv4 header at `l3`.
    pub(crate) fn route_own(&mut self, packet: Packet, l3: u16, vrf: Vrf, to: Ipv4Addr, now: u32) {
        self.counters.fates.generated.add(1);
        let sent = match lookup::destination(&self.tables.fib, vrf, to) {
            Ok(Destination::Beyond(next_hop)) => {
                let CachedHop { neighbour, .. } =
                    lookup::resolve(&self.tables.fib, &self.tables.neighbours, next_hop);
                self.send_to_hop(packet, l3, next_hop, neighbour, now)
            }
            Ok(Destination::Local(_) | Destination::Nat) => Err(DropReason::NoLocalService),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = sent {
            self.counters.dropped(reason);
        }
    }

    /// Sends the ICMP error that a refusal calls for, if one is due and the budget allows it.
    pub(crate) fn notify(&mut self, refused: Refused, ingress: InterfaceIndex, original: &[u8], now: u32) {
        let Some(source) = original.get(12..16).and_then(|src| src.first_chunk::<4>()) else { return };
        let to = Ipv4Addr::from(*source);
        if let Some(notice) = self.write_notice(refused, ingress, original, now) {
            let vrf = self.tables.policy.interfaces[usize::from(ingress)].vrf;
            self.route_own(notice, 0, vrf, to, now);
        }
    }

    /// What a sender is told. Policy may call a lack of resources a prohibition (RFC 5508 REQ-8).
    fn notice_of(&self, reason: DropReason) -> Notice {
        let is_prohibition =
            reason.blame() == Blame::Capacity && self.tables.policy.behaviour.tells_prohibited;
        match reason.notice() {
            Notice::HostUnreachable if is_prohibition => Notice::AdministrativelyProhibited,
            notice => notice,
        }
    }

    /// The ICMP error about `original`, from the address of `interface`; none when none is due.
    fn write_notice(
        &mut self,
        refused: Refused,
        interface: InterfaceIndex,
        original: &[u8],
        now: u32,
    ) -> Option<Packet> {
        let notice = self.notice_of(refused.reason);
        let interface = self.tables.policy.interfaces.get(usize::from(interface))?;
        let &(from, _) = interface.addresses.first()?;
        let port = self.ports.get_mut(usize::from(interface.port))?;
        if notice == Notice::Silent || !self.notices.take(now) {
            return None;
        }
        let mut packet = port.allocate().filter(|packet| packet.headroom() >= usize::from(LINK_ROOM))?;
        reply::write_notice(&mut packet, notice, refused.mtu, from, original).then_some(packet)
    }

    /// Sends the ICMP error about a packet that was translated already: it comes in like one from outside.
    pub(crate) fn notify_from(&mut self, refused: Refused, original: &[u8], head: &Head, now: u32) {
        if reply::may_notify(head)
            && let Some(notice) = self.write_notice(refused, head.interface, original, now)
        {
            hairpin::originate(self, notice, head.interface, now);
        }
    }

    /// Takes a fragment to those of its packet; returns what may go on.
    pub(crate) fn gather(&mut self, packet: Packet, head: Head, now: u32) -> Ready {
        let counters = &self.counters;
        let new_id = self.tables.shard.draw() as u16;
        self.reassembly.gather(packet, head, new_id, now, |reason| counters.dropped(reason))
    }

    /// Keeps an unsolicited SYN, to be answered later.
    pub(crate) fn keep_syn(&mut self, head: &Head, original: &[u8], now: u32) {
        self.unsolicited.keep(head, original, now);
    }

    /// Answers unsolicited SYNs whose time has come, unless a session came to be meanwhile.
    fn answer_syns(&mut self, now: u32) {
        while let Some(kept) = self.unsolicited.next_due(now) {
            let Tables { shard, policy, .. } = &self.tables;
            // Another worker that has taken the port since may have the session: silence is the safer answer.
            let is_elsewhere = policy.ownership.owner(kept.dst).is_some_and(|owner| owner != self.index);
            if !is_elsewhere && shard.find(kept.key, shard.prepare(kept.key)).is_none() {
                let refused = Refused::from(DropReason::NoLocalService);
                self.notify(refused, kept.interface, &kept.quote, now);
            }
        }
    }

    /// Puts a packet into its owner's ring.
    pub(crate) fn hand_over(&mut self, packet: HandedOver, owner: WorkerIndex) -> Result<(), DropReason> {
        let ring = self.handovers.get(usize::from(owner)).ok_or(DropReason::HandoverFull)?;
        ring.push(packet).map_err(|_| DropReason::HandoverFull)?;
        self.counters.fates.handed_over.add(1);
        Ok(())
    }

    /// Tells the control thread something.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), DropReason> {
        self.events.try_send(event).map_err(|_| DropReason::ControlQueueFull)
    }

    /// Counts a frame that arrived on an interface.
    pub(crate) fn count_arrival(&self, interface: InterfaceIndex, bytes: usize) {
        let interface = self.counters.interface(interface);
        interface.in_packets.add(1);
        interface.in_bytes.add(bytes as u64);
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

/// Milliseconds until a deadline, 0 when it has passed.
fn left_ms(deadline: u32, now: u32) -> u32 {
    if is_due(now, deadline) { 0 } else { deadline.wrapping_sub(now) }
}
