//! Which stretches of a packet's payload its fragments have covered so far.

use arrayvec::ArrayVec;

/// Separate stretches of one packet that are told apart.
const STRETCHES_MAX: usize = 64;

/// How a fragment goes with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It covers what none did.
    New,
    /// It covers exactly what one did.
    Repeated,
    /// It covers what several did that are not told apart any more: a repetition, or an overlap.
    Within,
    /// It covers a part of what others did, or reaches beyond the end that another told.
    Overlaps,
    /// There are too many gaps between the fragments.
    Scattered,
}

/// The stretches that were covered, of at most 65,535 bytes.
#[derive(Clone, Debug, Default)]
pub struct Stretches {
    /// First byte and the one behind the last, of each fragment; of several that touch once there are too many.
    covered: ArrayVec<(u16, u16), STRETCHES_MAX>,
    is_joined: bool,
    /// Bytes in all, once the last fragment told.
    total: Option<u16>,
}

impl Stretches {
    /// Notes a fragment that covers `start..end`, unless it fits badly. The last one tells how long the packet is.
    pub fn add(&mut self, start: u16, end: u16, is_last: bool) -> Fit {
        let is_beyond = |&(_, to): &(u16, u16)| to > end;
        let ends_wrongly = match self.total {
            Some(total) => end > total || (is_last && end != total),
            None => is_last && self.covered.iter().any(is_beyond),
        };
        if ends_wrongly {
            return Fit::Overlaps;
        }
        if self.covered.contains(&(start, end)) {
            return Fit::Repeated;
        }
        if self.is_joined && self.covered.iter().any(|&(from, to)| from <= start && end <= to) {
            return Fit::Within;
        }
        if self.covered.iter().any(|&(from, to)| start < to && from < end) {
            return Fit::Overlaps;
        }
        if !self.cover(start, end) {
            return Fit::Scattered;
        }
        if is_last {
            self.total = Some(end);
        }
        Fit::New
    }

    /// Whether every byte was covered.
    pub fn is_complete(&self) -> bool {
        let covered: u32 = self.covered.iter().map(|&(from, to)| u32::from(to - from)).sum();
        self.total.map(u32::from) == Some(covered)
    }

    fn cover(&mut self, start: u16, end: u16) -> bool {
        if self.covered.is_full() {
            self.join();
        }
        if self.is_joined {
            let mut touching = self.covered.iter_mut();
            if let Some((from, to)) = touching.find(|(from, to)| *to == start || *from == end) {
                (*from, *to) = ((*from).min(start), (*to).max(end));
                return true;
            }
        }
        self.covered.try_push((start, end)).is_ok()
    }

    /// Makes one stretch of those that touch.
    fn join(&mut self) {
        self.covered.sort_unstable();
        let mut joined: ArrayVec<(u16, u16), STRETCHES_MAX> = ArrayVec::new();
        for &(from, to) in &self.covered {
            match joined.last_mut() {
                Some((_, end)) if *end == from => *end = to,
                // There are no more than there were.
                _ => joined.push((from, to)),
            }
        }
        (self.covered, self.is_joined) = (joined, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_complete_whatever_the_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut stretches = Stretches::default();
            for (count, at) in order.into_iter().enumerate() {
                assert!(!stretches.is_complete(), "after {count}");
                assert_eq!(stretches.add(at * 8, at * 8 + 8, at == 2), Fit::New);
                assert_eq!(stretches.add(at * 8, at * 8 + 8, at == 2), Fit::Repeated);
            }
            assert!(stretches.is_complete());
        }
    }

    #[test]
    fn what_covers_a_part_of_others_or_lies_behind_the_end_overlaps() {
        let mut stretches = Stretches::default();
        assert_eq!(stretches.add(16, 32, true), Fit::New);
        assert_eq!(stretches.add(8, 24, false), Fit::Overlaps);
        assert_eq!(stretches.add(24, 32, false), Fit::Overlaps);
        assert_eq!(stretches.add(32, 40, false), Fit::Overlaps, "behind the last one");
        assert_eq!(stretches.add(40, 48, true), Fit::Overlaps, "another last one");
        assert_eq!(stretches.add(0, 16, false), Fit::New);
        assert!(stretches.is_complete());
        let mut stretches = Stretches::default();
        assert_eq!(stretches.add(16, 32, false), Fit::New);
        assert_eq!(stretches.add(0, 8, true), Fit::Overlaps, "a last one before others");
    }

    #[test]
    fn any_number_of_fragments_pass_in_either_order_but_not_with_any_number_of_gaps() {
        let forward: Vec<u16> = (0..1000).collect();
        for order in [forward.clone(), forward.into_iter().rev().collect()] {
            let mut stretches = Stretches::default();
            for &at in &order {
                assert_eq!(stretches.add(at * 8, at * 8 + 8, at == 999), Fit::New, "number {at}");
            }
            assert!(stretches.is_complete());
            assert_eq!(stretches.add(8, 16, false), Fit::Within, "one of those is not told apart");
        }
        let mut stretches = Stretches::default();
        let scattered = (0..1000).find(|at| stretches.add(at * 16, at * 16 + 8, false) != Fit::New);
        assert_eq!(scattered, Some(STRETCHES_MAX as u16));
        assert_eq!(stretches.add(2000, 2008, false), Fit::Scattered);
        assert_eq!(stretches.add(8, 16, false), Fit::New, "one that touches others needs no room");
    }
}
