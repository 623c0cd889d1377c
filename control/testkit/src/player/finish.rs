//! The end of a capture: what is left when all times have run out, and what was counted.

use alg::Refusal;
use dataplane::drops::DropReason;

use super::judge::DoorState;
use super::play::{Player, Report};
use crate::bench::Bench;

/// After this long everything has run out: longer than any time that is configured, in milliseconds.
const SILENCE_MS: u64 = 700_000;
/// Calls are remembered for hours after their last word, in milliseconds.
const CALL_MS: u64 = 4 * 3_600_000;
/// Nothing lives longer that a damaged message asks for, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

impl Player {
    /// Waits until everything has run out, and judges.
    pub(super) fn finish(mut self) -> Result<Report, String> {
        self.try_doors()?;
        self.bench.advance(5000)?;
        self.absorb_all();
        self.acknowledge()?;
        for (_, mut flow) in std::mem::take(&mut self.flows) {
            self.judge_flow(&mut flow);
        }
        for n in 0..self.doors.len() {
            let DoorState { order, announced, arrived, .. } = self.doors[n].clone();
            match (announced, arrived) {
                (None, _) => self.complain(format!("{} was not announced", order.local)),
                (_, false) => self.complain(format!("nobody came to {}", order.local)),
                _ => self.report.doors.0 += 1,
            }
            self.report.doors.1 += 1;
        }
        for addr in self.scenario.rewritten.clone() {
            if !self.rewritten.contains(&addr) {
                self.complain(format!("{addr} should change, and no message has it"));
            }
        }
        let calls_ms = match self.scenario.is_damaged {
            true => DAY_MS,
            false if self.signalling.is_empty() => 0,
            false => CALL_MS,
        };
        self.bench.advance(SILENCE_MS + calls_ms)?;
        self.note_counters();
        self.check_nothing_left();
        let Player { bench, report, .. } = self;
        bench.finish()?;
        Ok(report)
    }

    /// Notes what the appliance counted.
    pub(super) fn note_counters(&mut self) {
        let (bench, report) = (&self.bench, &mut self.report);
        for gateway in bench.appliance.counters.iter().flat_map(|counters| &counters.gateways) {
            report.messages += gateway.messages.value();
            for refusal in Refusal::ALL {
                let count =
                    gateway.refused[refusal as usize].value() + gateway.detached[refusal as usize].value();
                if count > 0 {
                    *report.refused.entry(refusal.label()).or_default() += count;
                }
            }
            let unread = gateway.detached_stream.value() + gateway.unread.value();
            if unread > 0 {
                report.refused.insert("stream", unread);
            }
        }
        for (reason, count) in bench.drops().into_iter().filter(|(_, count)| *count > 0) {
            let tried = if reason == DropReason::NoMapping { self.strangers.min(count) } else { 0 };
            report.dropped.insert(reason.label(), count - tried);
        }
        report.dropped.retain(|_, count| *count > 0);
    }

    /// After the clock has run out, nothing is left.
    pub(super) fn check_nothing_left(&mut self) {
        let reading = |bench: &Bench| {
            let gateways = bench.appliance.counters.iter().flat_map(|counters| &counters.gateways);
            gateways.map(|gateway| gateway.reading.value() as usize).sum()
        };
        let ports = self.bench.ports_in_use().iter().map(|(_, used)| *used as usize).sum();
        let left: [(&str, usize); 6] = [
            ("sessions", self.bench.sessions().len()),
            ("mappings", self.bench.mapping_count()),
            ("doors", self.bench.doors().len()),
            ("streams", reading(&self.bench)),
            ("ports", ports),
            ("packets held", self.bench.counter("held") as usize),
        ];
        for (what, count) in left.into_iter().filter(|(_, count)| *count > 0) {
            self.accuse(format!("{count} {what} are left when all times have run out"));
        }
    }
}
