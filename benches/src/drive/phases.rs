//! The phases of a run: setting all flows up, and offering a load for a while.

use anyhow::{Result, bail};
use dataplane::flow::Direction;
use mem::tsc;

use super::Generator;
use crate::load_port::Counts;
use crate::preemption::{Preemption, Sample, Thread};

/// How long nothing may arrive until what was sent counts as lost, in milliseconds.
const SILENCE_MS: u64 = 50;
/// How often set-up packets that did not arrive are sent again.
const RETRIES_MAX: u32 = 100;
/// Rounds between looks at the clock where nothing is paced.
const ROUNDS_PER_LOOK: u32 = 32;

/// What is to be sent for a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Data from inside.
    pub out: bool,
    /// Data from outside.
    pub inbound: bool,
    /// Packets a second in each direction; as many as the appliance takes if 0.
    pub rate: f64,
    /// New flows a second, each replacing the oldest one.
    pub churn: f64,
}

/// What came of a load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Seconds that were measured.
    pub seconds: f64,
    /// Packets sent meanwhile.
    pub offered: u64,
    /// Packets that arrived meanwhile.
    pub forwarded: u64,
    /// Packets that never arrived, of all that were sent, including those before and after the measured time.
    pub lost: u64,
    /// The share of attempts to send at which the appliance did not take all.
    pub pushed_back: f64,
    /// New flows that were established meanwhile.
    pub churned: u64,
    /// What kept the observed thread from its core.
    pub worker: Preemption,
    /// And this one.
    pub own: Preemption,
}

/// What came of setting all flows up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetUp {
    /// From the first packet to the last answer that came without repeating any.
    pub seconds: f64,
    /// Flows that were established in that time.
    pub established_at_once: u32,
    /// Flows that carry data now.
    pub established: u32,
    /// First packets that were sent again.
    pub repeated: u64,
    /// What kept the observed thread from its core.
    pub worker: Preemption,
    /// And this one.
    pub own: Preemption,
}

impl Generator {
    fn turn(&mut self, load: &Load, due: [u64; 2]) {
        self.send(Direction::Outbound, load.out, due[0]);
        self.receive(Direction::Outbound);
        self.send(Direction::Inbound, load.inbound, due[1]);
        self.receive(Direction::Inbound);
    }

    /// Establishes all flows, `rate` a second, or as many as the appliance takes if 0.
    ///
    /// # Errors
    /// When none can be established, or threads cannot be observed.
    pub fn set_up(&mut self, rate: f64) -> Result<SetUp> {
        let window = self.verifier.flows.window();
        // A memif client that does not copy has no buffers in its rings before it first receives.
        self.settle();
        let (begin, begin_own) = (self.sample()?, self.own.sample()?);
        let begun = tsc();
        let (mut last, mut established, mut arrived) = (begun, 0, 0);
        let (mut last_arrival, mut retries, mut repeated, mut at_once) = (begun, 0, 0, None);
        while self.verifier.translations.established() < window {
            let now = tsc();
            self.new_until = match rate {
                0.0 => window,
                rate => window.min((self.seconds(now - begun) * rate) as u32),
            };
            self.turn(&Load::default(), [0; 2]);
            if established != self.verifier.translations.established() {
                (established, last) = (self.verifier.translations.established(), now);
            }
            if arrived != self.arrived() || self.next_new < window || !self.repeats.is_empty() {
                (arrived, last_arrival) = (self.arrived(), now);
            } else if self.seconds(now - last_arrival) * 1e3 > SILENCE_MS as f64 {
                retries += 1;
                if retries > RETRIES_MAX {
                    break;
                }
                at_once = at_once.or((established > 0).then_some((established, last)));
                self.repeats.extend(self.verifier.translations.missing());
                repeated += self.repeats.len() as u64;
                last_arrival = now;
            }
        }
        if self.verifier.translations.established() == 0 {
            bail!(
                "not one of {window} flows could be established: is the appliance connected and configured?"
            );
        }
        let (worker, own) = (self.preemption(begin)?, self.own.since(begin_own)?);
        // Waiting for what was lost is not the appliance's doing alone, and says nothing about how fast it is.
        let (established_at_once, last) = at_once.unwrap_or((established, last));
        let seconds = self.seconds(last - begun);
        let established = self.verifier.translations.established();
        Ok(SetUp { seconds, established_at_once, established, repeated, worker, own })
    }

    /// Offers a load for `warm_up_s` and then for `measured_s` seconds.
    ///
    /// # Errors
    /// When threads cannot be observed.
    pub fn offer(&mut self, load: &Load, warm_up_s: f64, measured_s: f64) -> Result<Outcome> {
        let all = self.totals();
        self.run(load, warm_up_s);
        let (begin, begin_own) = (self.sample()?, self.own.sample()?);
        let (before, established) = (self.totals(), self.established_new);
        let seconds = self.run(load, measured_s);
        let (after, churned) = (self.totals(), self.established_new - established);
        let (worker, own) = (self.preemption(begin)?, self.own.since(begin_own)?);
        self.settle();
        let end = self.totals();
        let attempts = (after.attempts - before.attempts).max(1);
        Ok(Outcome {
            seconds,
            offered: after.sent - before.sent,
            forwarded: after.received - before.received,
            lost: (end.sent - all.sent).saturating_sub(end.received - all.received),
            pushed_back: (after.pushed_back - before.pushed_back) as f64 / attempts as f64,
            churned,
            worker,
            own,
        })
    }

    /// Offers a load for so many seconds; returns how many it were.
    fn run(&mut self, load: &Load, seconds: f64) -> f64 {
        let ticks = (seconds * self.tsc_hz as f64) as u64;
        let is_paced = load.rate > 0.0 || load.churn > 0.0;
        let rounds = if is_paced { 1 } else { ROUNDS_PER_LOOK };
        let (begun, new_before, window) = (tsc(), self.next_new, self.verifier.flows.window());
        let mut due = [u64::MAX; 2];
        let sent = self.ports.each_ref().map(|port| port.counts.sent);
        loop {
            let elapsed = tsc() - begun;
            if elapsed >= ticks {
                return self.seconds(elapsed);
            }
            if load.rate > 0.0 {
                let budget = (self.seconds(elapsed) * load.rate) as u64;
                due = [0, 1].map(|at| budget.saturating_sub(self.ports[at].counts.sent - sent[at]));
            }
            if load.churn > 0.0 {
                self.new_until = (new_before + (self.seconds(elapsed) * load.churn) as u32).max(window);
            }
            for _ in 0..rounds {
                self.turn(load, due);
            }
        }
    }

    /// Sends what is pending and waits for what is under way.
    fn settle(&mut self) {
        let (mut arrived, mut last) = (self.arrived(), tsc());
        while self.seconds(tsc() - last) * 1e3 < SILENCE_MS as f64 {
            self.turn(&Load::default(), [0; 2]);
            if arrived != self.arrived() {
                (arrived, last) = (self.arrived(), tsc());
            }
        }
    }

    fn sample(&self) -> Result<Option<Sample>> {
        self.watched.as_ref().map(Thread::sample).transpose()
    }

    fn preemption(&self, begin: Option<Sample>) -> Result<Preemption> {
        match (&self.watched, begin) {
            (Some(thread), Some(begin)) => thread.since(begin),
            _ => Ok(Preemption::default()),
        }
    }

    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.tsc_hz as f64
    }

    fn arrived(&self) -> u64 {
        self.ports[0].counts.received + self.ports[1].counts.received
    }

    /// What both ports counted together.
    fn totals(&self) -> Counts {
        let [inside, outside] = self.ports.each_ref().map(|port| port.counts);
        Counts {
            sent: inside.sent + outside.sent,
            received: inside.received + outside.received,
            attempts: inside.attempts + outside.attempts,
            pushed_back: inside.pushed_back + outside.pushed_back,
        }
    }
}
