//! How many flows an inside host has begun to one destination, so that the last of what it may have is for others: a web page
//! that opens a thousand of them to its own server leaves its reader the rest of the network.

use std::net::Ipv4Addr;

use crate::flow::Vrf;
use crate::state::table::index::Hasher;
use crate::state::table::share::FEW;

/// Sessions for each counter.
const SESSIONS_PER_COUNTER: usize = 2;

/// A counter of what a host has begun to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// That of what the outside has begun, which is not counted.
    pub const NONE: Counter = Counter(u32::MAX);
}

/// Counters of live sessions, by host and destination. There are fewer of them than pairs of the two: some share one, which
/// so shows too much at times, and never too little. A secret decides which.
pub struct Destinations {
    counts: Vec<u32>,
    hasher: Hasher,
}

impl Destinations {
    /// Counters for so many sessions.
    pub fn new(capacity: usize, hasher: Hasher) -> Destinations {
        let mut counts = mem::vec_in_huge_pages(capacity / SESSIONS_PER_COUNTER + 1);
        counts.resize(capacity / SESSIONS_PER_COUNTER + 1, 0);
        Destinations { counts, hasher }
    }

    /// The counter of a host's flows to a destination.
    pub fn counter(&self, vrf: Vrf, host: Ipv4Addr, to: Ipv4Addr) -> Counter {
        let ends = u64::from(host.to_bits()) << 32 | u64::from(to.to_bits());
        let hash = self.hasher.hash([ends, u64::from(vrf)]).bits() & u64::from(u32::MAX);
        Counter(((hash * self.counts.len() as u64) >> 32) as u32)
    }

    /// Asks for a counter's cache line.
    pub fn prefetch(&self, Counter(counter): Counter) {
        if let Some(count) = self.counts.get(counter as usize) {
            mem::prefetch(count);
        }
    }

    /// Whether few flows of a host go to a destination.
    pub fn are_few(&self, Counter(counter): Counter) -> bool {
        self.counts.get(counter as usize).is_none_or(|&count| (count as usize) < FEW)
    }

    pub(super) fn enter(&mut self, Counter(counter): Counter) {
        if let Some(count) = self.counts.get_mut(counter as usize) {
            *count += 1;
        }
    }

    pub(super) fn leave(&mut self, Counter(counter): Counter) {
        if let Some(count) = self.counts.get_mut(counter as usize) {
            *count -= 1;
        }
    }

    /// All that is counted.
    pub(super) fn total(&self) -> usize {
        self.counts.iter().map(|&count| count as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_told_from_others_and_forgotten_with_its_flows() {
        let mut destinations = Destinations::new(1 << 16, Hasher::new([1, 2]));
        let to = |number: u32| Ipv4Addr::from_bits(0xcb00_7100 + number);
        let host = Ipv4Addr::new(10, 0, 0, 2);
        let greedy = destinations.counter(0, host, to(0));
        (0..FEW).for_each(|_| destinations.enter(greedy));
        assert!(!destinations.are_few(greedy));
        let others = (1..1000).map(|number| destinations.counter(0, host, to(number)));
        let few = others.filter(|&other| destinations.are_few(other)).count();
        assert!(few >= 998, "{few} of 999 are told apart");
        destinations.leave(greedy);
        assert!(destinations.are_few(greedy));
        destinations.enter(Counter::NONE);
        assert_eq!(destinations.total(), FEW - 1, "what the outside began is not counted");
    }
}
