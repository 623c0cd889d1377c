//! The timer wheel: finds the records that are due without looking at every record.
//!
//! Arming is lazy. A packet only notes the time in its session. When the session's slot comes up, the shard looks at
//! that time and arms the session again for the rest of its timeout. One turn of the wheel takes 409.6 seconds. A
//! longer timeout is armed one turn ahead, and looked at again then.

use crate::state::table::slots::NONE;

/// Milliseconds of one slot.
const SLOT_MS: u32 = 100;
/// Slots of the wheel; a power of two.
const SLOT_COUNT: usize = 4096;
/// The farthest ahead that a record is armed, in slots.
const SLOTS_AHEAD_MAX: u32 = SLOT_COUNT as u32 - 1;

/// Whether `deadline` has come at `now`, on a clock of milliseconds that wraps around.
#[inline]
pub fn is_due(now: u32, deadline: u32) -> bool {
    now.wrapping_sub(deadline) as i32 >= 0
}

/// Milliseconds until a deadline, 0 when it has passed.
pub fn left_ms(deadline: u32, now: u32) -> u32 {
    if is_due(now, deadline) { 0 } else { deadline.wrapping_sub(now) }
}

/// A wheel for records numbered from 0 to its capacity.
pub struct Wheel {
    slots: Box<[u32; SLOT_COUNT]>,
    links: Vec<Link>,
    /// The slot that is being emptied, counted from the start.
    current: u32,
    /// When the current slot began.
    current_ms: u32,
}

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    /// The record before; for the first of a slot, the slot's number with the top bit set.
    previous: u32,
}

const IDLE: Link = Link { next: NONE, previous: NONE };
const HEAD: u32 = 1 << 31;

impl Wheel {
    /// A wheel with room for `capacity` records (below 2^31), at rest at `now`.
    pub fn new(capacity: usize, now: u32) -> Wheel {
        let mut links = mem::vec_in_huge_pages(capacity);
        links.resize(capacity, IDLE);
        Wheel { slots: Box::new([NONE; SLOT_COUNT]), links, current: 0, current_ms: now }
    }

    /// Arms a record that is not armed: for `deadline`, or for one turn ahead if that is sooner.
    pub fn arm(&mut self, record: u32, deadline: u32) {
        let wait_ms =
            if is_due(self.current_ms, deadline) { 0 } else { deadline.wrapping_sub(self.current_ms) };
        // Rounded up, so that nothing fires early.
        let ahead = wait_ms.div_ceil(SLOT_MS).min(SLOTS_AHEAD_MAX);
        let slot = (self.current.wrapping_add(ahead)) as usize % SLOT_COUNT;
        let next = self.slots[slot];
        if next != NONE {
            self.links[next as usize].previous = record;
        }
        self.links[record as usize] = Link { next, previous: slot as u32 | HEAD };
        self.slots[slot] = record;
    }

    /// Takes a record off the wheel, armed or not.
    pub fn disarm(&mut self, record: u32) {
        let Link { next, previous } = std::mem::replace(&mut self.links[record as usize], IDLE);
        if previous == NONE {
            return;
        }
        if previous & HEAD != 0 {
            self.slots[(previous ^ HEAD) as usize] = next;
        } else {
            self.links[previous as usize].next = next;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
    }

    /// Whether [`Wheel::next_due`] still has slots to go through at `now`.
    pub fn is_behind(&self, now: u32) -> bool {
        let is_empty = self.slots[self.current as usize % SLOT_COUNT] == NONE;
        !is_empty || is_due(now, self.current_ms.wrapping_add(SLOT_MS))
    }

    /// Takes the next record whose slot has come at `now`; none if there is no such record. A caller may stop before
    /// that: the next call goes on from there.
    pub fn next_due(&mut self, now: u32) -> Option<u32> {
        loop {
            let record = self.slots[self.current as usize % SLOT_COUNT];
            if record != NONE {
                self.disarm(record);
                return Some(record);
            }
            let next_ms = self.current_ms.wrapping_add(SLOT_MS);
            if !is_due(now, next_ms) {
                return None;
            }
            (self.current, self.current_ms) = (self.current.wrapping_add(1), next_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(wheel: &mut Wheel, now: u32) -> Vec<u32> {
        let mut all: Vec<u32> = std::iter::from_fn(|| wheel.next_due(now)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn nothing_fires_early_and_nothing_is_forgotten() {
        let mut wheel = Wheel::new(8, 1000);
        wheel.arm(0, 1500);
        wheel.arm(1, 1550);
        wheel.arm(2, 60_000);
        wheel.arm(3, 1500);
        wheel.disarm(3);
        assert_eq!(due(&mut wheel, 1499), vec![]);
        assert_eq!(due(&mut wheel, 1699), vec![0, 1]);
        assert_eq!(due(&mut wheel, 60_000 + SLOT_MS), vec![2]);
    }

    #[test]
    fn a_long_time_is_looked_at_once_a_turn() {
        let mut wheel = Wheel::new(1, 0);
        let turn_ms = SLOTS_AHEAD_MAX * SLOT_MS;
        wheel.arm(0, 86_400_000);
        assert_eq!(due(&mut wheel, turn_ms - SLOT_MS), vec![]);
        assert_eq!(due(&mut wheel, turn_ms), vec![0]);
    }

    #[test]
    fn disarming_in_the_middle_keeps_the_others() {
        for removed in 0..3 {
            let mut wheel = Wheel::new(3, 0);
            (0..3).for_each(|record| wheel.arm(record, 500));
            wheel.disarm(removed);
            wheel.disarm(removed);
            let rest: Vec<u32> = (0..3).filter(|&record| record != removed).collect();
            assert_eq!(due(&mut wheel, 1000), rest);
        }
    }

    #[test]
    fn the_clock_may_wrap() {
        let start = u32::MAX - 1000;
        let mut wheel = Wheel::new(1, start);
        wheel.arm(0, start.wrapping_add(2000));
        assert_eq!(due(&mut wheel, u32::MAX), vec![]);
        assert_eq!(due(&mut wheel, 5000), vec![0]);
    }
}
