//! What the control thread looks at by itself, and logs: workers that stand still, links, exhausted pools.

use std::collections::{HashMap, HashSet};

use dataplane::drops::DropReason;
use dataplane::message::{Usage, WorkerMessage};
use dataplane::policy::RuleId;

use crate::appliance::Appliance;
use crate::interface_state::{InterfaceState, live};
use crate::load::{Change, Load};
use crate::question::Question;

/// How often anything is looked at, in milliseconds.
const LOOK_EVERY_MS: u64 = 50;
/// How often loads are sampled, in milliseconds.
const SAMPLE_EVERY_MS: u64 = 1000;
/// The longest time between two looks that counts as a worker's standing still: when this thread itself was not run,
/// the workers were not either.
const PASSED_MAX_MS: u64 = 100;
/// Exhausted pools are told of no more often than this, in milliseconds.
const EXHAUSTED_EVERY_MS: u64 = 60_000;

/// A table is told of when so much of it is taken, and again when less than so much is.
const FILLING_PERCENT: u64 = 80;
const SETTLED_PERCENT: u64 = 60;

/// What was seen last.
#[derive(Default)]
pub struct Watch {
    seen_ms: u64,
    sampled_ms: Option<u64>,
    states: HashMap<String, InterfaceState>,
    exhaustion: Exhaustion,
    /// Workers, and tables of theirs that are filling.
    filling: HashSet<(usize, &'static str)>,
}

/// What is known of packets that found no free address or port.
#[derive(Default)]
struct Exhaustion {
    drops: u64,
    told_ms: Option<u64>,
    /// Which rules missed how often, asked for because the drops grew.
    question: Option<Question<Usage>>,
    misses: HashMap<RuleId, u64>,
}

impl Watch {
    /// Looks at everything that is due.
    pub fn look(&mut self, appliance: &mut Appliance) {
        let now_ms = appliance.operation.now_ms;
        let passed_ms = now_ms - self.seen_ms;
        if passed_ms < LOOK_EVERY_MS {
            return;
        }
        self.seen_ms = now_ms;
        self.workers(appliance, passed_ms.min(PASSED_MAX_MS));
        self.interfaces(appliance);
        self.tables(appliance);
        self.exhaustion.look(appliance);
        let count = appliance.compiled.policy.interfaces.len();
        appliance.operation.rates.update(&appliance.counters, count, now_ms);
    }

    fn workers(&mut self, appliance: &mut Appliance, passed_ms: u64) {
        let now_ms = appliance.operation.now_ms;
        let is_due = self.sampled_ms.is_none_or(|at| now_ms >= at + SAMPLE_EVERY_MS);
        if is_due {
            self.sampled_ms = Some(now_ms);
        }
        let loads = &mut appliance.operation.loads;
        loads.resize_with(appliance.counters.len(), Load::default);
        for (worker, (load, counters)) in loads.iter_mut().zip(&appliance.counters).enumerate() {
            if is_due {
                load.sample(counters);
            }
            match load.watch(counters.poll.rounds.value(), passed_ms) {
                Some(Change::Stalled) => tracing::error!(
                    mnemonic = "SYS-3-WORKERSTALL",
                    "Worker {worker} has not polled for a second; its packets wait"
                ),
                Some(Change::Resumed(still_ms)) => {
                    tracing::warn!(
                        mnemonic = "SYS-4-WORKERRESUME",
                        "Worker {worker} polls again after {still_ms} ms"
                    );
                }
                None => {}
            }
        }
    }

    fn tables(&mut self, appliance: &Appliance) {
        for (worker, counters) in appliance.counters.iter().enumerate() {
            for (table, taken, all) in counters.levels.iter() {
                let percent = (taken * 100).checked_div(all).unwrap_or(0);
                let key = (worker, table);
                if percent >= FILLING_PERCENT && self.filling.insert(key) {
                    tracing::warn!(
                        mnemonic = "IPNAT-4-TABLEFILL",
                        "Table {table} of worker {worker} is {percent} % full: {taken} of {all}"
                    );
                } else if percent < SETTLED_PERCENT && self.filling.remove(&key) {
                    tracing::info!(
                        mnemonic = "IPNAT-5-TABLEFREE",
                        "Table {table} of worker {worker} has room again: {taken} of {all}"
                    );
                }
            }
        }
    }

    fn interfaces(&mut self, appliance: &Appliance) {
        for (_, interface) in live(&appliance.compiled.policy.interfaces) {
            let state = InterfaceState::of(appliance, interface);
            if self.states.get(&interface.name) == Some(&state) {
                continue;
            }
            let name = &interface.name;
            match state {
                InterfaceState::Shutdown => {
                    let mnemonic = "LINK-5-CHANGED";
                    tracing::info!(mnemonic, "Interface {name}, changed state to administratively down");
                }
                InterfaceState::Down => {
                    tracing::error!(mnemonic = "LINK-3-UPDOWN", "Interface {name}, changed state to down");
                }
                InterfaceState::Up => {
                    tracing::error!(mnemonic = "LINK-3-UPDOWN", "Interface {name}, changed state to up");
                }
            }
            self.states.insert(name.clone(), state);
        }
        let interfaces = &appliance.compiled.policy.interfaces;
        self.states.retain(|name, _| live(interfaces).any(|(_, interface)| interface.name == *name));
    }
}

impl Exhaustion {
    fn look(&mut self, appliance: &Appliance) {
        let now_ms = appliance.operation.now_ms;
        if let Some(question) = &mut self.question {
            match question.poll(now_ms) {
                Ok(None) => return,
                Ok(Some(usages)) => self.tell(appliance, &usages),
                // A worker that does not answer is told of by itself.
                Err(_) => {}
            }
            self.question = None;
        }
        let of_worker = |counters: &std::sync::Arc<dataplane::counters::Counters>| {
            counters.drops(DropReason::PoolExhausted).value()
        };
        let drops = appliance.counters.iter().map(of_worker).sum();
        let may_tell = self.told_ms.is_none_or(|told_ms| now_ms >= told_ms + EXHAUSTED_EVERY_MS);
        if drops > self.drops && may_tell {
            (self.drops, self.told_ms) = (drops, Some(now_ms));
            self.question = Question::ask(appliance, WorkerMessage::Usage).ok();
        }
    }

    fn tell(&mut self, appliance: &Appliance, usages: &[Usage]) {
        let policy = &appliance.compiled.policy;
        for rule in &policy.rules {
            let of_rule = |usage: &&(RuleId, _)| usage.0 == rule.id;
            let misses = usages
                .iter()
                .flat_map(|usage| &usage.rules)
                .filter(of_rule)
                .map(|(_, used)| used.misses)
                .sum();
            let known = self.misses.insert(rule.id, misses).unwrap_or(0);
            if let Some(pool) = policy.pools.get(usize::from(rule.pool)).filter(|_| misses > known) {
                tracing::warn!(
                    mnemonic = "IPNAT-4-ADDR_ALLOC_FAILURE",
                    "Address allocation failed, pool {} might be exhausted [{}]",
                    pool.name,
                    misses - known
                );
            }
        }
    }
}
