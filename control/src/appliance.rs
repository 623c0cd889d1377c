//! The appliance: the control side of a set of workers, without threads, sockets or clocks of its own.
//!
//! `portico run` steps it in the control thread while workers poll in theirs; `portico replay` and the tests
//! step it and the workers in turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam::channel::{Receiver, bounded};
use crossbeam::queue::ArrayQueue;
use dataplane::counters::Counters;
use dataplane::message::{Event, Usage, WorkerMessage};
use dataplane::policy::{Policy, Recomputed, RuleId};
use dataplane::port::Ports;
use dataplane::protocols::PROTOCOLS;
use dataplane::route::fib::Fib;
use dataplane::state::ports::ownership::Ownership;
use dataplane::state::supply::Supplier;
use dataplane::worker::WorkerSetup;

use crate::compile::{Compiled, PortBinding, compile};
use crate::config::{Config, Diagnostic};
use crate::means::{Means, available_bytes};
use crate::neighbours::{Neighbours, Order};
use crate::operation::Operation;
use crate::outbox::Outbox;
use crate::vty::Vtys;

/// Events and messages under way between a worker and the control thread.
const QUEUE_LEN: usize = 4096;
/// Packets under way to one worker from the others.
const HANDOVER_LEN: usize = 1024;

/// The control side.
pub struct Appliance {
    /// The configuration in force.
    pub config: Config,
    /// How many were taken over since the start.
    pub config_number: u64,
    /// The consoles.
    pub vtys: Vtys,
    /// What it comes to.
    pub compiled: Arc<Compiled>,
    /// ARP.
    pub neighbours: Neighbours,
    /// Counters of each worker.
    pub counters: Vec<Arc<Counters>>,
    /// What it keeps of its own doing.
    pub operation: Operation,
    ports: Vec<PortBinding>,
    /// The minute since 1970 in which time ranges were looked at last.
    looked_at_min: Option<u64>,
    workers: Vec<Outbox>,
    events: Receiver<Event>,
    /// What workers may still hold. Freed here once none does: time does not matter here.
    told: Vec<(Arc<Policy>, Arc<Ownership>)>,
    told_fibs: Vec<Arc<Fib>>,
}

/// How a worker that was asked something gets to answer.
pub trait Answering {
    /// Lets the workers work for a moment. Returns the time then, in milliseconds since the appliance started.
    fn let_work(&mut self) -> u64;
}

impl Appliance {
    /// An appliance with this configuration on these ports, and what each of its workers is to be made of.
    /// `queues` has the ports' queue pairs for each worker. Workers start to forward at their first round.
    ///
    /// # Errors
    /// What the configuration asks for and the appliance cannot do.
    pub fn new(
        config: Config,
        ports: Vec<PortBinding>,
        queues: Vec<Ports>,
        secret: [u64; 2],
    ) -> Result<(Appliance, Vec<WorkerSetup>), Vec<Diagnostic>> {
        let count = queues.len();
        let compiled = Arc::new(compile(&config, &ports, None, &Means::uncounted(count))?);
        let (event_sender, events) = bounded(QUEUE_LEN);
        let handovers: Vec<_> = (0..count).map(|_| Arc::new(ArrayQueue::new(HANDOVER_LEN))).collect();
        let session_count_max = compiled.tables.session_count_max;
        let (mut workers, mut setups, mut counters) = (Vec::new(), Vec::new(), Vec::new());
        for (index, ports) in queues.into_iter().enumerate() {
            let (sender, inbox) = bounded(QUEUE_LEN);
            let worker_counters = Arc::new(Counters::default());
            workers.push(Outbox::new(sender, Supplier::new(session_count_max, secret)));
            counters.push(Arc::clone(&worker_counters));
            setups.push(WorkerSetup {
                index: index as u8,
                count: count as u8,
                ports,
                session_count_max,
                secret,
                inbox,
                events: event_sender.clone(),
                handovers: handovers.clone(),
                counters: worker_counters,
                protocols: PROTOCOLS,
            });
        }
        let neighbours = Neighbours::default();
        let operation = Operation::default();
        let mut appliance = Appliance {
            config,
            config_number: 0,
            vtys: Vtys::default(),
            compiled,
            neighbours,
            counters,
            operation,
            ports,
            looked_at_min: None,
            workers,
            events,
            told: Vec::new(),
            told_fibs: Vec::new(),
        };
        appliance.distribute();
        Ok((appliance, setups))
    }

    /// Tells the workers the compiled configuration.
    fn distribute(&mut self) {
        self.operation.tracks.note(&self.config, &self.compiled, self.operation.now_ms);
        let policy = Arc::new(self.compiled.policy.clone());
        let ownership = Arc::new(self.compiled.ownership.clone());
        for worker in &mut self.workers {
            worker.policy(Arc::clone(&policy), Arc::clone(&ownership));
        }
        self.told.push((policy, ownership));
        self.distribute_fib();
        let mut orders = Vec::new();
        self.neighbours.reconfigure(&self.compiled, &mut orders);
        self.carry_out(orders);
    }

    /// Tells the forwarding tables, which are a new generation for each worker: no next hop that a session has noted is valid any more.
    fn distribute_fib(&mut self) {
        let fib = Arc::new(self.compiled.fib.clone());
        for worker in &mut self.workers {
            worker.fib(Arc::clone(&fib));
        }
        self.told_fibs.push(fib);
        self.neighbours.start_generation();
    }

    /// Sends what workers have not been told yet, and frees what none of them holds any more.
    fn tell(&mut self) {
        self.workers.iter_mut().for_each(Outbox::flush);
        self.told
            .retain(|(policy, ownership)| Arc::strong_count(policy) > 1 || Arc::strong_count(ownership) > 1);
        self.told_fibs.retain(|fib| Arc::strong_count(fib) > 1);
    }

    /// Takes over another configuration. Sessions of rules whose line stays are kept, unless its settings would not make
    /// them.
    ///
    /// # Errors
    /// What the configuration asks for and the appliance cannot do; then nothing changes.
    pub fn reconfigure(&mut self, config: Config) -> Result<(), Vec<Diagnostic>> {
        let means = Means { free_bytes: available_bytes(), ..self.means() };
        let compiled = compile(&config, &self.ports, Some(&self.compiled), &means)?;
        self.take_over(config, compiled);
        Ok(())
    }

    /// Takes over a configuration that was compiled from the one in force.
    pub fn take_over(&mut self, config: Config, compiled: Compiled) {
        if Recomputed::between(&self.compiled.policy, &compiled.policy).is_any() {
            self.operation.recomputing = self.workers.len();
        }
        self.compiled = Arc::new(compiled);
        self.config = config;
        self.config_number += 1;
        self.looked_at_min = None;
        self.distribute();
    }

    /// Rules with live sessions, by their lines, and how many.
    pub fn rules_in_use(&self, usages: &[Usage]) -> Vec<(String, u32)> {
        let mut counts: HashMap<RuleId, u32> = HashMap::new();
        for (id, rule) in usages.iter().flat_map(|usage| &usage.rules) {
            *counts.entry(*id).or_default() += rule.session_count;
        }
        let lines = self.compiled.rule_lines.iter();
        let in_use = lines.filter_map(|(line, id)| Some((line.clone(), *counts.get(id)?)));
        in_use.filter(|&(_, count)| count > 0).collect()
    }

    /// Its ports.
    pub fn ports(&self) -> &[PortBinding] {
        &self.ports
    }

    /// Takes note of the devices' links. An interface whose link is gone is down, and so are its routes.
    pub fn note_links(&mut self, links: &[bool]) {
        let mut has_changed = false;
        for (port, &has_link) in self.ports.iter_mut().zip(links) {
            has_changed |= port.has_link != has_link;
            port.has_link = has_link;
        }
        if has_changed {
            self.compile_anew();
        }
    }

    /// Takes note of the time of day when the appliance's clock was 0. Without it, that was the first of 1970.
    pub fn note_start(&mut self, at: SystemTime) {
        self.operation.started_at = at;
        self.note_time();
    }

    /// Compiles anew if a time range has begun or ended.
    fn note_time(&mut self) {
        let now = self.operation.time_of_day(0);
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let minute = Some(since.as_secs() / 60);
        if self.looked_at_min == minute {
            return;
        }
        self.looked_at_min = minute;
        if self.config.active_time_ranges(now) != self.compiled.time_ranges {
            self.compile_anew();
        }
    }

    fn means(&self) -> Means {
        Means { time_of_day: self.operation.time_of_day(0), ..Means::uncounted(self.workers.len()) }
    }

    /// Compiles the configuration in force for what has changed beside it. It was compiled before: it cannot fail now.
    fn compile_anew(&mut self) {
        if let Ok(compiled) = compile(&self.config, &self.ports, Some(&self.compiled), &self.means()) {
            self.compiled = Arc::new(compiled);
            self.distribute();
        }
    }

    /// Whether an interface's device has a link; none where it has no device.
    pub fn has_link(&self, port: u16) -> Option<bool> {
        self.ports.get(usize::from(port)).map(|binding| binding.has_link)
    }

    /// Handles what workers told and what is due. `now_ms` never goes back. Returns whether there was anything.
    pub fn step(&mut self, now_ms: u64) -> bool {
        self.operation.now_ms = now_ms;
        self.note_time();
        self.operation.note_peak(&self.counters);
        let mut orders = Vec::new();
        let mut had_events = false;
        while let Ok(event) = self.events.try_recv() {
            had_events = true;
            match event {
                Event::Arp(interface, arp) => {
                    self.operation.note_duplicate(&self.compiled, interface, &arp);
                    self.neighbours.receive(&self.compiled, interface, &arp, now_ms, &mut orders);
                }
                Event::Resolve(next_hop) => {
                    self.neighbours.resolve(&self.compiled, next_hop, now_ms, &mut orders);
                }
                Event::Recomputed(count) => self.operation.note_recomputed(count),
            }
        }
        self.neighbours.tick(&self.compiled, now_ms, &mut orders);
        had_events |= !orders.is_empty();
        self.carry_out(orders);
        if self.neighbours.needs_new_generation() {
            self.distribute_fib();
        }
        self.tell();
        had_events
    }

    /// What workers tell, to wait for.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    fn carry_out(&mut self, orders: Vec<Order>) {
        // A frame leaves by an interface of the policy told before.
        self.tell();
        for order in orders {
            match order {
                Order::Set(number, neighbour) => {
                    self.workers.iter_mut().for_each(|worker| worker.neighbour(number, neighbour));
                }
                // What waits is given up in time by itself.
                Order::GiveUp(next_hop) => {
                    for worker in &self.workers {
                        worker.offer(WorkerMessage::Unresolved(next_hop));
                    }
                }
                // One worker is enough to send a frame; a queue that is full loses it, and ARP asks again.
                Order::Send(interface, frame) => {
                    if let Some(worker) = self.workers.first() {
                        worker.offer(WorkerMessage::Transmit(interface, frame));
                    }
                }
            }
        }
        self.tell();
    }

    /// Forgets the neighbours that were learnt; they are asked for again when packets need them.
    pub fn clear_neighbours(&mut self) {
        let mut orders = Vec::new();
        self.neighbours.clear(&mut orders);
        self.carry_out(orders);
    }

    /// Sends a worker something that need not arrive, such as a question, if there is room; returns whether there was.
    pub(crate) fn offer(&self, worker: usize, message: WorkerMessage) -> bool {
        self.workers.get(worker).is_some_and(|worker| worker.offer(message))
    }

    /// How many workers there are.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }
}
