//! How busy a worker is, and whether it polls at all.

use std::collections::VecDeque;

use dataplane::counters::Stage;
use dataplane::counters::{Count, Counters};

/// Samples kept: one a second for the last minute, and the one before it.
const SAMPLES_MAX: usize = 61;
/// A worker whose round takes longer is stalled, in milliseconds.
const STALL_MS: u64 = 1000;

/// The counters of the poll loop and of the path's stages at one time.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    rounds: u64,
    busy_rounds: u64,
    packets: u64,
    busy_ns: u64,
    elapsed_ns: u64,
    timed_packets: u64,
    stage_ticks: [u64; Stage::ALL.len()],
}

/// A worker's load over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// The share of time spent in rounds that had packets, from 0 to 1.
    pub busy_ratio: f64,
    /// Packets a second.
    pub packets_per_s: f64,
    /// Packets of a round that had any.
    pub packets_per_round: f64,
    /// Rounds a second.
    pub rounds_per_s: f64,
    /// Ticks of the time stamp counter for each packet, by stage of the path.
    pub stage_ticks: [f64; Stage::ALL.len()],
}

/// A change that the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The worker has not finished a round for a second.
    Stalled,
    /// It goes on, after so many milliseconds.
    Resumed(u64),
}

/// What is known of one worker's load.
#[derive(Clone, Debug, Default)]
pub struct Load {
    samples: VecDeque<Sample>,
    rounds: u64,
    still_ms: u64,
    /// How often it stalled.
    pub stall_count: u64,
}

impl Load {
    /// Takes a sample; to be called once a second.
    pub fn sample(&mut self, counters: &Counters) {
        let (poll, stages) = (&counters.poll, &counters.stages);
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            rounds: poll.rounds.value(),
            busy_rounds: poll.busy_rounds.value(),
            packets: poll.packets.value(),
            busy_ns: poll.busy_ns.value(),
            elapsed_ns: poll.elapsed_ns.value(),
            timed_packets: stages.packets.value(),
            stage_ticks: stages.ticks.each_ref().map(Count::value),
        });
    }

    /// The load over the last so many seconds, or over less when there is less.
    pub fn over(&self, seconds: usize) -> Usage {
        let (Some(last), Some(first)) =
            (self.samples.back(), self.samples.get(self.samples.len().saturating_sub(seconds + 1)))
        else {
            return Usage::default();
        };
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let elapsed_ns = last.elapsed_ns - first.elapsed_ns;
        let packets = last.packets - first.packets;
        let timed_packets = last.timed_packets - first.timed_packets;
        let stage_ticks = Stage::ALL.map(|stage| {
            ratio(last.stage_ticks[stage as usize] - first.stage_ticks[stage as usize], timed_packets)
        });
        Usage {
            busy_ratio: ratio(last.busy_ns - first.busy_ns, elapsed_ns),
            packets_per_s: ratio(packets, elapsed_ns) * 1e9,
            packets_per_round: ratio(packets, last.busy_rounds - first.busy_rounds),
            rounds_per_s: ratio(last.rounds - first.rounds, elapsed_ns) * 1e9,
            stage_ticks,
        }
    }

    /// Looks whether the worker polls, `passed_ms` after the look before.
    pub fn watch(&mut self, rounds: u64, passed_ms: u64) -> Option<Change> {
        let was_stalled = self.is_stalled();
        if rounds == self.rounds {
            self.still_ms += passed_ms;
        } else {
            let still_ms = std::mem::take(&mut self.still_ms);
            self.rounds = rounds;
            return was_stalled.then_some(Change::Resumed(still_ms));
        }
        let is_new = self.is_stalled() && !was_stalled;
        self.stall_count += u64::from(is_new);
        is_new.then_some(Change::Stalled)
    }

    /// Whether it stands still.
    pub fn is_stalled(&self) -> bool {
        self.still_ms > STALL_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_once_and_so_is_its_end() {
        let mut load = Load::default();
        assert_eq!(load.watch(7, 50), None);
        let told: Vec<Change> = (0..60).filter_map(|_| load.watch(7, 50)).collect();
        assert_eq!((told, load.stall_count), (vec![Change::Stalled], 1));
        assert_eq!(load.watch(8, 50), Some(Change::Resumed(3000)));
        assert_eq!(load.watch(9, 50), None);
        assert!(!load.is_stalled());
    }

    #[test]
    fn the_load_is_that_of_the_time_asked_for() {
        let (mut load, counters) = (Load::default(), Counters::default());
        let (poll, stages) = (&counters.poll, &counters.stages);
        assert_eq!(load.over(5), Usage::default());
        for second in 0..100 {
            load.sample(&counters);
            poll.elapsed_ns.add(1_000_000_000);
            poll.rounds.add(1000);
            // Idle up to the last seconds, then 10 ms of every round's packets.
            if second >= 94 {
                poll.busy_rounds.add(10);
                poll.packets.add(80);
                poll.busy_ns.add(250_000_000);
                stages.packets.add(8);
                stages.ticks[Stage::Probe as usize].add(60);
            }
        }
        let last = load.over(5);
        assert_eq!((last.busy_ratio, last.packets_per_s, last.packets_per_round), (0.25, 80.0, 8.0));
        assert_eq!((last.rounds_per_s, last.stage_ticks), (1000.0, [0.0, 0.0, 7.5, 0.0, 0.0]));
        assert!((load.over(60).busy_ratio - 0.25 * 5.0 / 60.0).abs() < 1e-9);
    }
}
