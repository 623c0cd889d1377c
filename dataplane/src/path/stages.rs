//! What the stages of the path cost: one burst of many is timed.

use crate::counters::{Stage, StageCounters};

/// One burst of so many is timed, since the clock of a burst costs as much as some of its packets. A prime, so that ports
/// that take turns are all met.
const TIMED_ONE_OF: u32 = 61;

/// Chooses the bursts that are timed.
#[derive(Debug, Default)]
pub struct Sampler {
    untimed: u32,
}

impl Sampler {
    /// The clock of the next burst.
    #[inline(always)]
    pub fn clock(&self) -> Clock {
        let is_timed = self.untimed >= TIMED_ONE_OF - 1;
        Clock { is_timed, last: if is_timed { mem::tsc() } else { 0 }, ticks: [0; Stage::ALL.len()] }
    }

    /// A burst of so many packets went through all stages.
    #[inline(always)]
    pub fn done(&mut self, clock: &Clock, packets: usize, counters: &StageCounters) {
        self.untimed += 1;
        if clock.is_timed {
            self.untimed = 0;
            counters.packets.add(packets as u64);
            for (counter, &ticks) in counters.ticks.iter().zip(&clock.ticks) {
                counter.add(ticks);
            }
        }
    }
}

/// The clock of one burst; of most bursts, it stands still. The CPU works ahead, so that a stage's end is known to some
/// ten ticks only.
pub struct Clock {
    is_timed: bool,
    last: u64,
    ticks: [u64; Stage::ALL.len()],
}

impl Clock {
    /// A stage ends, and the next one begins.
    #[inline(always)]
    pub fn end(&mut self, stage: Stage) {
        if self.is_timed {
            let now = mem::tsc();
            self.ticks[stage as usize] = now.saturating_sub(self.last);
            self.last = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_burst_of_many_is_timed_whole() {
        let (mut sampler, counters) = (Sampler::default(), StageCounters::default());
        let begun = mem::tsc();
        for packets in 1..=3 * TIMED_ONE_OF as usize {
            let mut clock = sampler.clock();
            Stage::ALL.iter().for_each(|&stage| clock.end(stage));
            sampler.done(&clock, packets, &counters);
        }
        // The 61st, the 122nd, and the 183rd.
        assert_eq!(counters.packets.value(), 61 * (1 + 2 + 3));
        let ticks: u64 = counters.ticks.iter().map(|ticks| ticks.value()).sum();
        assert!(ticks > 0 && ticks < mem::tsc() - begun, "{ticks}");
    }
}
