//! Shares: how much of what all share one holder may have.
//!
//! Whoever holds places of a table may take more for as long as he has fewer than are free. One who takes what he can thus
//! gets half of it, two get a third each, and however many they are, something is left for those with less: the threshold
//! falls with what is free (Choudhury and Hahne, "Dynamic queue length thresholds", 1998). The last part of a table is a
//! reserve, for holders of few places only. Of what one host may have, the last part is in turn for destinations to which it
//! has few flows.

/// The reserve is one place in so many.
const RESERVE_PART: usize = 16;
/// Who has less than so many places may take from the reserve.
pub const FEW: usize = 16;

/// How many of so many places are the reserve.
pub const fn reserve_of(places: usize) -> usize {
    places / RESERVE_PART
}

/// The places of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// All of them.
    pub capacity: usize,
    /// Those that nobody has.
    pub free: usize,
}

impl Places {
    /// How many more a holder of so many may take at once.
    pub fn left(self, held: usize) -> usize {
        // After n more he holds n more and n fewer are free.
        let shared = self.unreserved().saturating_sub(held).div_ceil(2);
        shared.max(self.left_of_few(held))
    }

    /// The same where nothing but the reserve is kept from a holder.
    pub fn left_but_reserve(self, held: usize) -> usize {
        self.unreserved().max(self.left_of_few(held))
    }

    /// The same where the configuration may say how many a holder may have: then only the reserve is kept from him.
    pub fn left_within(self, held: usize, held_max: Option<u32>) -> usize {
        let Some(held_max) = held_max else { return self.left(held) };
        (held_max as usize).saturating_sub(held).min(self.left_but_reserve(held))
    }

    /// Whether those of a holder of so many, who may take so many more, are down to their reserve.
    pub fn are_reserved(held: usize, left: usize) -> bool {
        left <= reserve_of(held + left)
    }

    fn unreserved(self) -> usize {
        self.free.saturating_sub(reserve_of(self.capacity))
    }

    fn left_of_few(self, held: usize) -> usize {
        FEW.saturating_sub(held).min(self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of so many holders has when all of them, in turn, have taken what they can.
    fn taken_by(count: usize, capacity: usize) -> Vec<usize> {
        let mut held = vec![0; count];
        let mut free = capacity;
        let mut has_taken = true;
        while has_taken {
            has_taken = false;
            for held in &mut held {
                if (Places { capacity, free }).left(*held) > 0 {
                    (*held, free, has_taken) = (*held + 1, free - 1, true);
                }
            }
        }
        held
    }

    #[test]
    fn the_greedy_get_the_same_and_leave_as_much() {
        let capacity = 1 << 16;
        for count in [1, 2, 3, 16, 100] {
            let held = taken_by(count, capacity);
            let free = capacity - held.iter().sum::<usize>();
            assert!(held.iter().all(|&held| held.abs_diff(capacity * 15 / 16 / (count + 1)) <= count));
            assert!(free - capacity / RESERVE_PART >= held[0] - 1, "{count} leave {free}, have {}", held[0]);
        }
    }

    #[test]
    fn a_full_table_has_something_for_those_with_the_least() {
        let capacity = 1 << 16;
        let held = taken_by(capacity / 32, capacity);
        let free = capacity - held.iter().sum::<usize>();
        assert!(free >= capacity / RESERVE_PART - 1, "{free}");
        let of_newcomers = taken_by(4, free.min(4 * FEW));
        assert_eq!(of_newcomers, [FEW; 4], "hosts that come later");
        assert_eq!(taken_by(capacity, capacity), vec![1; capacity], "no place is left unused");
    }

    #[test]
    fn several_at_once_are_as_many_as_one_by_one() {
        let capacity = 1000;
        for held in [0, 3, 15, 16, 17, 200, 499, 500, 900] {
            for free in [0, 1, 2, 15, 16, 17, 62, 63, 64, 300, 1000] {
                let at_once = Places { capacity, free }.left(held);
                let after = |n: usize| Places { capacity, free: free - n }.left(held + n);
                assert!((0..at_once).all(|n| after(n) > 0), "{held} {free} {at_once}");
                assert_eq!(after(at_once), 0, "{held} {free} {at_once}");
            }
        }
    }

    #[test]
    fn a_configured_number_takes_the_place_of_the_share_but_not_of_the_reserve() {
        let of = |free, held| Places { capacity: 1600, free }.left_within(held, Some(1000));
        assert_eq!((of(1600, 0), of(800, 800), of(800, 1000)), (1000, 200, 0));
        assert_eq!((of(100, 900), of(100, 10), of(3, 10), of(0, 0)), (0, 6, 3, 0));
    }
}
