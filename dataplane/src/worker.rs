//! A worker: one core's ports, tables and queues, and what it does between bursts.

use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use crossbeam::queue::ArrayQueue;
use mem::Packet;

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::inspect;
use crate::message::{Event, Message, Usage};
use crate::path::egress::Egress;
use crate::path::hairpin;
use crate::path::parse::{Head, parse_ipv4};
use crate::path::reassembly::{Ready, Reassembly};
use crate::path::reply::NoticeBudget;
use crate::path::stages::Sampler;
use crate::path::steer::WorkerIndex;
use crate::path::unsolicited::Unsolicited;
use crate::path::{self, PerPacket};
use crate::policy::{Domain, InterfaceIndex, Policy};
use crate::port::{Burst, Port, Ports};
use crate::route::fib::Fib;
use crate::route::neighbour::Neighbours;
use crate::state::journal::Journal;
use crate::state::shard::Shard;
use crate::state::table::index::Hasher;
use crate::tables::{RecentRoutes, Tables};

/// Sessions that one burst may end, so that expiry never stalls traffic.
const EXPIRIES_PER_ROUND: usize = 32;

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

/// Why a packet takes the path a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondPass {
    /// It is from inside, to a global address.
    TurnedAround,
    /// It is an ICMP error of the box's own, about a packet that was translated.
    OwnError,
}

/// A packet on its way to the worker that owns it, with where it is to be read again.
pub struct HandedOver {
    packet: Packet,
    interface: InterfaceIndex,
    l3: u16,
    /// The ports and the new identification of a fragment whose packet's first one was seen.
    fragment: Option<(u16, u16, u16)>,
    is_fragment: bool,
    /// Why it takes the path a second time, as if it came from outside.
    second: Option<SecondPass>,
}

impl HandedOver {
    /// A packet whose headers were read.
    pub fn new(packet: Packet, head: &Head) -> HandedOver {
        let ports = (head.tuple.src.port, head.tuple.dst.port);
        let fragment = head.new_id.map(|id| (ports.0, ports.1, id));
        HandedOver {
            packet,
            interface: head.interface,
            l3: head.l3,
            fragment,
            is_fragment: head.is_fragment,
            second: None,
        }
    }

    /// A packet that takes the path a second time.
    pub fn again(packet: Packet, head: &Head, why: SecondPass) -> HandedOver {
        HandedOver { second: Some(why), ..HandedOver::new(packet, head) }
    }

    /// Reads its headers again.
    fn read(&self, policy: &Policy) -> Result<Head, DropReason> {
        let vrf = policy.interfaces.get(usize::from(self.interface)).map_or(0, |interface| interface.vrf);
        let mut head = parse_ipv4(self.packet.bytes(), usize::from(self.l3), self.interface, vrf)?;
        if let Some((src, dst, id)) = self.fragment {
            (head.tuple.src.port, head.tuple.dst.port, head.new_id) = (src, dst, Some(id));
        }
        Ok(head)
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
    pub(crate) sampler: Sampler,
    inbox: Receiver<Message>,
    events: Sender<Event>,
    handovers: Vec<Arc<ArrayQueue<HandedOver>>>,
    reassembly: Reassembly,
    pub(crate) unsolicited: Unsolicited,
    pub(crate) streams: inspect::Streams,
    pub(crate) notices: NoticeBudget,
    /// Apart, so that nobody's traceroute keeps others from learning a path's MTU.
    pub(crate) mtu_notices: NoticeBudget,
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
                recent_routes: RecentRoutes::default(),
                shard,
                counters: Arc::clone(&setup.counters),
            },
            counters: setup.counters,
            sampler: Sampler::default(),
            inbox: setup.inbox,
            events: setup.events,
            handovers: setup.handovers,
            reassembly: Reassembly::new(Hasher::new(setup.secret)),
            unsolicited: Unsolicited::default(),
            streams: inspect::Streams::default(),
            notices: NoticeBudget::new(now),
            mtu_notices: NoticeBudget::new(now),
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
        if self.count <= 1 {
            return 0;
        }
        let ring = Arc::clone(ring);
        let mut count = 0;
        // As many bursts as the ports may have brought for others.
        for _ in 0..=self.ports.len() {
            let (mut packets, mut heads) = (Burst::new(), PerPacket::new());
            while !packets.is_full()
                && let Some(handed_over) = ring.pop()
            {
                self.counters.fates.taken_over.add(1);
                count += 1;
                match (handed_over.read(&self.tables.policy), handed_over.second) {
                    (Ok(head), None) => {
                        packets.push(handed_over.packet);
                        heads.push(head);
                    }
                    (Ok(head), Some(why)) => {
                        if let Err(reason) = hairpin::pass_again(self, handed_over.packet, &head, why, now) {
                            self.counters.dropped(reason);
                        }
                    }
                    (Err(reason), _) => self.counters.dropped(reason),
                }
            }
            if packets.is_empty() {
                break;
            }
            path::burst_of_others(self, &mut packets, &heads, now);
        }
        count
    }

    fn between_bursts(&mut self, now: u32) {
        while let Ok(message) = self.inbox.try_recv() {
            let takes_long = message.takes_long();
            self.receive(message, now);
            if takes_long {
                break;
            }
        }
        self.tables.shard.expire(&self.tables.policy, now, EXPIRIES_PER_ROUND);
        self.continue_sweep(now);
        inspect::look_after(self, now);
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
            Message::WalkDoors { start, limit, reply } => {
                let _ = reply.try_send(self.walk_doors(start, limit, now));
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

    fn note_levels(&mut self) {
        for (gateway, counters) in self.counters.gateways.iter().enumerate() {
            counters.reading.set(u64::from(self.streams.reading()[gateway]));
            let expired = std::mem::take(&mut self.tables.shard.doors_expired[gateway]);
            counters.doors_expired.add(u64::from(expired));
        }
        let (nat, shard) = (&self.counters.nat, &self.tables.shard);
        self.counters.doors.set(shard.door_count() as u64);
        let sessions = shard.session_count() as u64;
        nat.sessions.set(sessions);
        nat.port_sets.set(shard.port_set_count() as u64);
        let totals = shard.journal.totals();
        nat.session_lives.set(&totals.sessions);
        nat.binding_lives.set(&totals.bindings);
        nat.port_set_lives.set(&totals.port_sets);
        nat.mappings.set(shard.mapping_count() as u64);
        nat.sessions_peak.set(nat.sessions_peak.value().max(sessions));
        let held = self.egress.held_count() + self.reassembly.waiting_count();
        self.counters.fates.held.set(held as u64 + self.streams.held_count());
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

    /// Puts a packet into its owner's ring, and counts why.
    pub(crate) fn hand_over(&mut self, packet: HandedOver, owner: WorkerIndex) -> Result<(), DropReason> {
        let ring = self.handovers.get(usize::from(owner)).ok_or(DropReason::HandoverFull)?;
        let counters = &self.counters.handovers;
        let domain = self.tables.policy.interfaces.get(usize::from(packet.interface)).map(|i| i.domain);
        let reason = match (packet.second, packet.is_fragment, domain) {
            (Some(_), ..) => &counters.turned_around,
            (None, true, _) => &counters.fragments,
            (None, false, Some(Domain::Inside)) => &counters.inside,
            _ => &counters.outside,
        };
        ring.push(packet).map_err(|_| DropReason::HandoverFull)?;
        reason.add(1);
        self.counters.fates.handed_over.add(1);
        Ok(())
    }

    /// Tells the control thread something.
    pub(crate) fn tell(&mut self, event: Event) -> Result<(), DropReason> {
        self.events.try_send(event).map_err(|_| DropReason::ControlQueueFull)
    }

    /// Counts frames that arrived on an interface.
    #[inline]
    pub(crate) fn count_arrivals(&self, interface: InterfaceIndex, packets: u64, bytes: u64) {
        let interface = self.counters.interface(interface);
        interface.in_packets.add(packets);
        interface.in_bytes.add(bytes);
    }

    #[inline]
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

    /// The worker's journal, to be read.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.tables.shard.journal
    }

    /// A port by its index.
    pub fn port_mut(&mut self, index: usize) -> Option<&mut Box<dyn Port>> {
        self.ports.get_mut(index)
    }
}
