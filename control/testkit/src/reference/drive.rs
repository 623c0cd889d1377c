//! Runs: random traffic through an appliance, each packet judged; and what is told when one is not legal.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use alg::Side;
use control::config::InterfaceName;
use dataplane::drops::DropReason;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::configurations::random_facts;
use super::facts::Facts;
use super::relation::{Relation, Seen, Verdict};
use super::traffic::{Step, Traffic};
use crate::bench::{Bench, Setup};
use crate::describe;
use crate::dissect::Dissection;
use crate::stations::{frame, station_mac};

/// The most runs that a disagreement is made shorter with.
const SHORTER_RUN_COUNT_MAX: usize = 600;
/// The most lines of what led to a disagreement that are told.
const STORY_LINE_COUNT_MAX: usize = 60;
/// The appliance's sessions are listed after so many steps.
const STEPS_PER_LISTING: usize = 100;
/// Waits longer than this are followed by a short one, in the bench's finest ticks.
const LONG_WAIT_MS: u64 = 900_000;

/// A run to make.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where all that is random comes from.
    pub seed: u64,
    /// The configuration.
    pub facts: Facts,
    /// Inside hosts.
    pub host_count: u8,
    /// Leaves out what hangs on the appliance's choices, so that runs can be compared.
    pub is_comparable: bool,
    /// Packets and waits.
    pub step_count: usize,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Packets that were judged.
    pub packet_count: usize,
    /// Their verdicts, by what they are called.
    pub verdicts: BTreeMap<String, usize>,
    /// The verdict of each step, and what came out, without what the appliance chose.
    pub log: Vec<(usize, String)>,
}

/// A disagreement.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The step.
    pub step: usize,
    /// What is not legal.
    pub text: String,
    /// What happened, where that was asked for.
    pub story: String,
}

/// The appliance, its reference, and what they were told.
struct Pair {
    bench: Bench,
    relation: Relation,
    sides: [(Side, InterfaceName); 2],
    drops: Vec<u64>,
    dropped: u64,
}

impl Run {
    /// A run with random facts.
    pub fn random(seed: u64, worker_count: usize, step_count: usize) -> Run {
        let (mut facts, host_count) = random_facts(&mut SmallRng::seed_from_u64(seed));
        facts.worker_count = worker_count;
        Run { seed, facts, host_count, is_comparable: false, step_count }
    }

    /// Makes the run, without the steps in `skipped`. `story` collects what happens.
    ///
    /// # Errors
    /// The first disagreement.
    fn make(&self, skipped: &BTreeSet<usize>, mut story: Option<&mut String>) -> Result<Outcome, Failure> {
        let fail = |step, text| Failure { step, text, story: String::new() };
        let mut pair = Pair::new(&self.facts).map_err(|text| fail(0, text))?;
        let random = SmallRng::seed_from_u64(self.seed ^ 0x7261_6666_6963);
        let mut traffic = Traffic::new(random, &self.facts, self.host_count, self.is_comparable);
        let mut outcome = Outcome::default();
        for number in 0..self.step_count {
            let step = traffic.next(&pair.relation);
            let is_predictable = match &step {
                Step::Packet(side, packet) => pair.relation.is_predictable(*side, packet),
                Step::Wait(_) => true,
            };
            if skipped.contains(&number) || !is_predictable {
                continue;
            }
            if let Some(story) = story.as_deref_mut() {
                let _ = write!(story, "{number:6} {:9} ms ", pair.bench.now_ms());
                let _ = match &step {
                    Step::Wait(ms) => writeln!(story, "wait {ms} ms"),
                    Step::Packet(side, packet) => {
                        writeln!(story, "in  {side:?} {}", describe::packet(packet))
                    }
                };
            }
            let done = match step {
                Step::Wait(ms) => pair.wait(ms),
                Step::Packet(side, packet) => pair.pass(side, &packet, story.as_deref_mut()).map(|verdict| {
                    outcome.packet_count += 1;
                    let verdict = format!("{verdict:?}");
                    *outcome.verdicts.entry(verdict.clone()).or_default() += 1;
                    outcome.log.push((number, verdict));
                }),
            };
            let done = done.and_then(|()| match (number + 1).is_multiple_of(STEPS_PER_LISTING) {
                true => pair.relation.verify_sessions(&pair.bench.sessions()),
                false => Ok(()),
            });
            done.map_err(|text| fail(number, text))?;
        }
        pair.bench.finish().map_err(|text| fail(self.step_count, text))?;
        Ok(outcome)
    }

    /// Makes the run. A disagreement is made shorter and told with all that led to it.
    ///
    /// # Errors
    /// The disagreement, as text.
    pub fn check(&self) -> Result<Outcome, String> {
        let failure = match self.make(&BTreeSet::new(), None) {
            Ok(outcome) => return Ok(outcome),
            Err(failure) => failure,
        };
        let (skipped, failure) = self.shorten(failure);
        let mut story = String::new();
        let told = self.make(&skipped, Some(&mut story));
        let failure = told.err().unwrap_or(failure);
        let lines: Vec<&str> = story.lines().collect();
        let story = lines[lines.len().saturating_sub(STORY_LINE_COUNT_MAX)..].join("\n");
        Err(format!(
            "seed {} with {} workers, step {}: {}\nconfiguration\n{}{:?}\nwhat led to it\n{story}",
            self.seed,
            self.facts.worker_count,
            failure.step,
            failure.text,
            self.facts.config(),
            self.facts,
        ))
    }

    /// What happens until a step, in lines; only the last ones if there are many.
    pub fn story(&self, step: usize) -> String {
        const LINE_COUNT: usize = 40;
        let mut story = String::new();
        let short = Run { step_count: step + 1, ..self.clone() };
        let _ = short.make(&BTreeSet::new(), Some(&mut story));
        let lines: Vec<&str> = story.lines().collect();
        lines[lines.len().saturating_sub(LINE_COUNT)..].join("\n")
    }

    /// Leaves out steps as long as the run still ends in a disagreement at the same step.
    fn shorten(&self, first: Failure) -> (BTreeSet<usize>, Failure) {
        let short = Run { step_count: first.step + 1, ..self.clone() };
        let (mut skipped, mut failure) = (BTreeSet::new(), first);
        let mut run_count = 0;
        let mut chunk = (failure.step / 2).max(1);
        loop {
            let mut start = 0;
            while start < failure.step {
                let end = (start + chunk).min(failure.step);
                let mut more = skipped.clone();
                more.extend(start..end);
                run_count += 1;
                if run_count > SHORTER_RUN_COUNT_MAX {
                    return (skipped, failure);
                }
                if more.len() > skipped.len()
                    && let Err(again) = short.make(&more, None)
                    && again.step == failure.step
                {
                    (skipped, failure) = (more, again);
                }
                start = end;
            }
            if chunk == 1 {
                return (skipped, failure);
            }
            chunk = (chunk / 2).max(1);
        }
    }
}

impl Pair {
    fn new(facts: &Facts) -> Result<Pair, String> {
        let setup = Setup { worker_count: facts.worker_count, ..Setup::default() };
        let bench = Bench::new("reference", &facts.config(), setup)?;
        let name = |place: &str| bench.interface(place).map(|interface| interface.name.clone());
        let sides = [(Side::Inside, name("inside")?), (Side::Outside, name("outside")?)];
        let mut relation = Relation::new(facts.clone());
        relation.pass(bench.now_ms(), &Seen::default())?;
        Ok(Pair { bench, relation, sides, drops: vec![0; DropReason::ALL.len()], dropped: 0 })
    }

    fn wait(&mut self, ms: u64) -> Result<(), String> {
        self.bench.advance(ms)?;
        if ms > LONG_WAIT_MS {
            self.bench.advance(5_000)?;
        }
        let seen = self.seen()?;
        self.relation.pass(self.bench.now_ms(), &seen)
    }

    fn pass(&mut self, side: Side, packet: &[u8], story: Option<&mut String>) -> Result<Verdict, String> {
        let name = &self.sides[side as usize].1;
        let frame = self.bench.frame_to(name, packet)?;
        self.bench.inject(&name.clone(), &frame)?;
        let seen = self.seen()?;
        if let Some(story) = story {
            for (side, packet) in &seen.sent {
                let _ = writeln!(story, "{:20} out {side:?} {}", "", describe::packet(packet));
            }
            for (reason, count) in &seen.drops {
                let _ = writeln!(story, "{:20} drop {reason} {count}", "");
            }
        }
        let known = self.relation.known(packet);
        let verdict = self.relation.judge(side, packet, &seen);
        verdict.map_err(|text| format!("{text}\nwhat is known\n{known}"))
    }

    /// What the appliance did since this was asked last.
    fn seen(&mut self) -> Result<Seen, String> {
        let mut seen = Seen::default();
        for (name, bytes) in self.bench.take_all() {
            let side = self.sides.iter().find(|(_, own)| *own == name).map(|(side, _)| *side);
            let side = side.ok_or_else(|| format!("a frame left through {name}"))?;
            let layout = Dissection::of_frame(&bytes);
            if let Some(range) = layout.ipv4 {
                let packet = bytes[range].to_vec();
                self.verify_link(side, &packet, &bytes)?;
                seen.sent.push((side, packet));
            }
        }
        let counters = self.bench.appliance.counters.iter();
        let dropped: u64 = counters.map(|counters| counters.fates.dropped.value()).sum();
        if dropped != self.dropped {
            self.dropped = dropped;
            for (reason, before) in DropReason::ALL.iter().zip(&mut self.drops) {
                let counters = self.bench.appliance.counters.iter();
                let count: u64 = counters.map(|counters| counters.drops(*reason).value()).sum();
                if count != *before {
                    seen.drops.push((reason.label(), count - *before));
                    *before = count;
                }
            }
        }
        Ok(seen)
    }

    /// A frame goes from the interface to its next hop.
    fn verify_link(&self, side: Side, packet: &[u8], came: &[u8]) -> Result<(), String> {
        let name = &self.sides[side as usize].1;
        let (own, vlan) = self.bench.link(name).ok_or_else(|| format!("{name} has no port"))?;
        let next_hop = match side {
            Side::Inside => [packet[16], packet[17], packet[18], packet[19]],
            Side::Outside => [192, 0, 2, 254],
        };
        match frame(station_mac(next_hop.into()), own, vlan, 0x0800, packet) == came {
            true => Ok(()),
            false => Err(format!("the frame went elsewhere: {}", describe::frame(came))),
        }
    }
}
