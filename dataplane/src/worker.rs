//! A worker: one core's ports, tables and queues, and what it does between bursts.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender};
use crossbeam::queue::ArrayQueue;

use crate::counters::Counters;
use crate::flow::WorkerIndex;
use crate::inspect::Streams;
use crate::message::{Clear, Cleared, Event, Usage, WorkerMessage};
use crate::path;
use crate::path::egress::Egress;
use crate::path::engine::{AGAIN_MAX, Engine};
use crate::path::handover::HandedOver;
use crate::path::notice::Notices;
use crate::path::reassembly::Reassembly;
use crate::path::stages::Sampler;
use crate::path::tables::Tables;
use crate::policy::{Policy, Recomputed};
use crate::port::{BURST, Port, Ports};
use crate::protocols::Protocols;
use crate::route::fib::Fib;
use crate::route::neighbour::Neighbours;
use crate::route::recent::RecentRoutes;
use crate::state::journal::Journal;
use crate::state::shard::Shard;
use crate::state::table::index::Hasher;
use crate::state::table::timer::is_due;

/// Sessions that one burst may end, so that expiry never stalls traffic.
const EXPIRIES_PER_ROUND: usize = 32;
/// Messages that are taken between two bursts.
const MESSAGES_PER_ROUND: usize = 256;
/// Forwarding tables after which sessions are swept for next hops noted under older ones, and the most there may be until
/// that is done: so many that no generation has the number of one that is still noted.
const FIBS_SWEPT_AFTER: u16 = 1 << 14;
const FIBS_UNSWEPT_MAX: u16 = u16::MAX - 1;

/// How long a clear goes on before it answers how far it is, so that who asked knows that the worker lives.
const CLEAR_MS: u32 = 1000;

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
    pub inbox: Receiver<WorkerMessage>,
    /// Events to the control thread. Bounded; the worker never waits.
    pub events: Sender<Event>,
    /// Where each worker takes packets that others hand over.
    pub handovers: Vec<Arc<ArrayQueue<HandedOver>>>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// What gateways there are, and other protocols.
    pub protocols: Protocols,
}

/// One worker.
pub struct Worker {
    pub(crate) engine: Engine,
    inbox: Receiver<WorkerMessage>,
    sweep: Option<Sweep>,
    /// Clears under way, the first of them first.
    clearings: VecDeque<Clearing>,
    /// Forwarding tables since the oldest whose next hops may still be noted.
    fibs_unswept: u16,
}

/// A walk over the tables under way, that ends what the policy no longer keeps.
struct Sweep {
    recomputed: Recomputed,
    next: u32,
    /// Forwarding tables since it began.
    fibs: u16,
}

/// A clear under way.
struct Clearing {
    clear: Clear,
    count: u64,
    next: Option<u32>,
    /// When it is told how far it is.
    told_ms: u32,
}

impl Worker {
    /// A worker that forwards nothing until it is sent a policy.
    pub fn new(setup: WorkerSetup, now: u32) -> Worker {
        let shard = Shard::new(setup.session_count_max, setup.secret, setup.index, setup.count, now);
        let tables = Tables {
            protocols: setup.protocols,
            policy: Arc::new(Policy::default()),
            fib: Arc::new(Fib::default()),
            generation: 1,
            neighbours: Neighbours::default(),
            recent_routes: RecentRoutes::default(),
            shard,
            counters: Arc::clone(&setup.counters),
        };
        let engine = Engine {
            index: setup.index,
            count: setup.count,
            egress: Egress::new(setup.ports.len(), Arc::clone(&setup.counters)),
            ports: setup.ports,
            tables,
            reassembly: Reassembly::new(Hasher::new(setup.secret)),
            streams: Streams::new(setup.secret),
            notices: Notices::new(now),
            again: VecDeque::with_capacity(AGAIN_MAX),
            handovers: setup.handovers,
            events: setup.events,
            counters: setup.counters,
            sampler: Sampler::default(),
        };
        Worker { engine, inbox: setup.inbox, sweep: None, clearings: VecDeque::new(), fibs_unswept: 0 }
    }

    /// One round: a burst from every port, packets from other workers, messages, timers. Returns how many
    /// packets there were; none means that the caller may rest.
    pub fn round(&mut self, now: u32) -> usize {
        let mut count = 0;
        for port in 0..self.engine.ports.len() {
            count += path::burst(&mut self.engine, port, now);
        }
        count += self.take_over(now);
        self.between_bursts(now);
        count
    }

    fn take_over(&mut self, now: u32) -> usize {
        let engine = &mut self.engine;
        let Some(ring) = engine.handovers.get(usize::from(engine.index)).filter(|_| engine.count > 1) else {
            return 0;
        };
        let ring = Arc::clone(ring);
        let mut count = 0;
        // As many bursts as the ports may have brought for others.
        for _ in 0..=engine.ports.len() {
            let taken = path::take_over(engine, std::iter::from_fn(|| ring.pop()).take(BURST), now);
            count += taken;
            if taken < BURST {
                break;
            }
        }
        count
    }

    /// Whether anything in the tables was due before `now` and is still to be ended: a round ends so many at most.
    pub fn is_behind(&self, now: u32) -> bool {
        self.engine.tables.shard.is_behind(now)
    }

    fn between_bursts(&mut self, now: u32) {
        for _ in 0..MESSAGES_PER_ROUND {
            if self.must_sweep() {
                break;
            }
            let Ok(message) = self.inbox.try_recv() else { break };
            let takes_long = message.takes_long();
            self.receive(message, now);
            if takes_long {
                break;
            }
        }
        let Tables { policy, shard, .. } = &mut self.engine.tables;
        shard.expire(policy, now, EXPIRIES_PER_ROUND);
        self.continue_walks(now);
        path::look_after(&mut self.engine, now);
        self.note_levels();
    }

    fn receive(&mut self, message: WorkerMessage, now: u32) {
        match message {
            WorkerMessage::Policy(policy, ownership, supply) => {
                let Tables { policy: place, shard, .. } = &mut self.engine.tables;
                shard.start_policy(&policy, ownership, *supply);
                let recomputed = Recomputed::between(place, &policy);
                *place = policy;
                self.start_sweep(recomputed);
            }
            WorkerMessage::Fib(fib) => self.take_fib(fib),
            WorkerMessage::Neighbour(number, neighbour) => {
                self.engine.tables.neighbours.set(number, neighbour);
                if let Some(neighbour) = neighbour {
                    self.engine.egress.release(&mut self.engine.ports, &neighbour);
                }
            }
            WorkerMessage::Unresolved(next_hop) => path::give_up(&mut self.engine, Some(next_hop), now),
            WorkerMessage::Transmit(interface, frame) => {
                path::send_frame(&mut self.engine, interface, &frame)
            }
            WorkerMessage::Sessions(wanted, list) => self.list_sessions(&wanted, list, now),
            WorkerMessage::SessionCount(wanted, list) => self.count_sessions(&wanted, list),
            WorkerMessage::Doors(list) => self.list_doors(list, now),
            WorkerMessage::Calls(list) => self.list_calls(list, now),
            WorkerMessage::Edits(list) => self.list_edits(list, now),
            WorkerMessage::Subscribers(list) => self.list_subscribers(list),
            WorkerMessage::Addresses(list) => self.list_addresses(list),
            WorkerMessage::Usage(reply) => {
                let _ = reply.try_send(self.usage());
            }
            WorkerMessage::Holders(global, reply) => {
                let _ = reply.try_send(self.holders(global));
            }
            WorkerMessage::Clear(clear) => {
                let told_ms = now.wrapping_add(CLEAR_MS);
                self.clearings.push_back(Clearing { next: Some(clear.start), clear, count: 0, told_ms });
            }
        }
    }

    /// Whether a sweep that is under way has to end before another policy or forwarding table: the number of that might be
    /// one that sessions still have of an earlier one.
    fn must_sweep(&self) -> bool {
        let is_due = self.engine.tables.shard.must_sweep() || self.fibs_unswept >= FIBS_UNSWEPT_MAX;
        self.sweep.is_some() && is_due
    }

    fn take_fib(&mut self, fib: Arc<Fib>) {
        let generation = self.engine.tables.generation % u16::MAX + 1;
        (self.engine.tables.fib, self.engine.tables.generation) = (fib, generation);
        self.fibs_unswept = self.fibs_unswept.saturating_add(1);
        match &mut self.sweep {
            Some(sweep) => sweep.fibs = sweep.fibs.saturating_add(1),
            None if self.fibs_unswept >= FIBS_SWEPT_AFTER => self.start_sweep(Recomputed::default()),
            None => {}
        }
    }

    fn usage(&self) -> Usage {
        let Tables { policy, shard, .. } = &self.engine.tables;
        let sessions_of = |host| {
            let of_interfaces = policy.interfaces.iter().map(|it| shard.session_count_of(it.vrf, host));
            of_interfaces.max().unwrap_or_default()
        };
        Usage {
            rules: shard.rule_uses().collect(),
            ports: shard.ports_in_use().collect(),
            subscriber_count: shard.subscriber_count(),
            limit_groups: shard.group_counts().to_vec(),
            limit_hosts: policy.limits.hosts.iter().map(|&(host, _)| sessions_of(host)).collect(),
        }
    }

    /// Starts a sweep from the beginning. One that was under way is taken into it.
    fn start_sweep(&mut self, recomputed: Recomputed) {
        let before = self.sweep.take().map(|sweep| sweep.recomputed);
        let recomputed = before.map_or(recomputed, |before| recomputed.or(before));
        self.sweep = Some(Sweep { recomputed, next: 0, fibs: 0 });
        self.engine.tables.recent_routes.forget();
    }

    /// A step of what walks the tables: of the sweep, or else of the first clear.
    fn continue_walks(&mut self, now: u32) {
        match self.sweep.take() {
            Some(sweep) => self.continue_sweep(sweep, now),
            None => self.continue_clear(now),
        }
        self.tell_clear(now);
    }

    fn continue_sweep(&mut self, sweep: Sweep, now: u32) {
        let Tables { policy, generation, shard, .. } = &mut self.engine.tables;
        let (next, _) = shard.sweep(policy, *generation, sweep.recomputed, sweep.next, now);
        if let Some(next) = next {
            self.sweep = Some(Sweep { next, ..sweep });
            return;
        }
        shard.note_swept();
        self.fibs_unswept = sweep.fibs;
        if sweep.recomputed.is_any() {
            let count = std::mem::take(&mut shard.recomputed_count);
            let _ = self.engine.events.try_send(Event::Recomputed(count));
        }
    }

    fn continue_clear(&mut self, now: u32) {
        let Some(Clearing { clear, count, next, .. }) = self.clearings.front_mut() else { return };
        let Tables { policy, shard, .. } = &mut self.engine.tables;
        let ended;
        (*next, ended) = shard.clear(policy, &clear.wanted, next.unwrap_or_default(), now);
        *count += ended;
    }

    /// Answers the first clear if it is done, or has not been told of for long.
    fn tell_clear(&mut self, now: u32) {
        let is_told = |it: &Clearing| it.next.is_none() || is_due(now, it.told_ms);
        if self.clearings.front().is_some_and(is_told)
            && let Some(Clearing { clear, count, next, .. }) = self.clearings.pop_front()
        {
            // Who asked may have gone.
            let _ = clear.reply.try_send(Cleared { count, next });
        }
    }

    fn note_levels(&mut self) {
        for (gateway, counters) in self.engine.counters.gateways.iter().enumerate() {
            counters.reading.set(u64::from(self.engine.streams.reading()[gateway]));
            counters.calls.set(u64::from(self.engine.tables.shard.calls.by_gateway()[gateway]));
            let expired = &mut self.engine.tables.shard.doors_expired[gateway];
            if *expired > 0 {
                counters.doors_expired.add(u64::from(std::mem::take(expired)));
            }
        }
        let (nat, shard) = (&self.engine.counters.nat, &mut self.engine.tables.shard);
        self.engine.counters.doors.set(shard.door_count() as u64);
        let [sessions, strangers, hosts, addresses, doors, calls, controls] = shard.levels();
        let [streams, held] = self.engine.streams.levels();
        let levels = [sessions, strangers, hosts, addresses, doors, calls, controls, streams, held];
        self.engine.counters.levels.set(levels);
        let sessions = shard.session_count() as u64;
        nat.sessions.set(sessions);
        let [inside, outside] = shard.unconfirmed.counts();
        nat.unconfirmed_inside.set(u64::from(inside));
        nat.unconfirmed_outside.set(u64::from(outside));
        nat.port_sets.set(shard.port_set_count() as u64);
        if let Some(totals) = shard.journal.changed_totals() {
            nat.session_lives.set(&totals.sessions);
            nat.binding_lives.set(&totals.bindings);
            nat.port_set_lives.set(&totals.port_sets);
        }
        nat.mappings.set(shard.mapping_count() as u64);
        nat.sessions_peak.set(nat.sessions_peak.value().max(sessions));
        let addresses = shard.address_count() as u64;
        nat.addresses.set(addresses);
        nat.translations_peak.set(nat.translations_peak.value().max(sessions + addresses));
        let held = self.engine.egress.held.count() + self.engine.reassembly.waiting_count();
        self.engine.counters.fates.held.set(held as u64 + self.engine.streams.held_count());
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.engine.counters
    }

    /// The worker's shard, for its invariants.
    pub fn shard(&self) -> &Shard {
        &self.engine.tables.shard
    }

    /// The worker's journal, to be read.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.engine.tables.shard.journal
    }

    /// A port by its index.
    pub fn port_mut(&mut self, index: usize) -> Option<&mut Box<dyn Port>> {
        self.engine.ports.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::bounded;

    use super::*;
    use crate::protocols::PROTOCOLS;

    /// A generation's number comes again after 65,535 tables: nothing may be noted under it still.
    #[test]
    fn no_generation_comes_again_before_next_hops_of_the_old_one_are_forgotten() {
        let (messages, inbox) = bounded(MESSAGES_PER_ROUND);
        let setup = WorkerSetup {
            index: 0,
            count: 1,
            ports: Ports::new(),
            // A sweep takes more rounds than tables take to use up the numbers.
            session_count_max: 1 << 18,
            secret: [1, 2],
            inbox,
            events: bounded(1).0,
            handovers: Vec::new(),
            counters: Arc::default(),
            protocols: PROTOCOLS,
        };
        let mut worker = Worker::new(setup, 0);
        let (mut held_rounds, mut swept) = (0, 0);
        for _ in 0..4 * usize::from(u16::MAX) / MESSAGES_PER_ROUND {
            while messages.len() < MESSAGES_PER_ROUND {
                messages.send(WorkerMessage::Fib(Arc::default())).unwrap();
            }
            let was_sweeping = worker.sweep.is_some();
            worker.round(0);
            assert!(worker.fibs_unswept < u16::MAX, "a number is given again");
            held_rounds += usize::from(messages.len() == MESSAGES_PER_ROUND);
            swept += usize::from(was_sweeping && worker.sweep.is_none());
        }
        assert!(held_rounds > 0 && swept > 0, "{held_rounds} rounds without a message, {swept} sweeps");
        for _ in 0..2000 {
            worker.round(0);
        }
        assert!(messages.is_empty(), "all were taken in the end");
    }
}
