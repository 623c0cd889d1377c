//! How many flows only one side has begun, and which of the strangers' are the oldest.

use std::collections::VecDeque;

use crate::counters::Level;
use crate::state::progress::Progress;
use crate::state::session::{Flags, Session};

/// Of the table, unconfirmed flows that strangers began have one place in so many.
const PART: usize = 8;
/// So many places at least: the one of a new flow's own mapping does not give way to it.
const PART_MIN: usize = 2;

/// A session in the queue: what has its place later, began later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) index: u32,
    pub(super) created_ms: u32,
}

/// The unconfirmed flows.
pub struct Unconfirmed {
    /// Those that the inside began, and those that the outside did.
    counts: [u32; 2],
    /// The outside's in the order of their beginning; those that were confirmed or have ended since are passed over.
    pub(super) queue: VecDeque<Waiting>,
    part: usize,
}

impl Unconfirmed {
    /// None yet, of a table with room for `capacity` sessions.
    pub fn new(capacity: usize) -> Unconfirmed {
        let part = (capacity / PART).max(PART_MIN);
        Unconfirmed { counts: [0; 2], queue: VecDeque::with_capacity(part), part }
    }

    /// How many there are, begun from inside and from outside.
    pub fn counts(&self) -> [u32; 2] {
        self.counts
    }

    /// Those of strangers, and how many they may be.
    pub(super) fn level(&self) -> Level {
        (self.counts[1] as usize, self.part)
    }

    /// Whether strangers have as many as they may.
    pub(super) fn is_over(&self) -> bool {
        self.counts[1] as usize >= self.part
    }

    /// Whether another one of theirs would find no place in the queue.
    pub(super) fn has_full_queue(&self) -> bool {
        self.queue.len() >= self.part
    }

    /// A session begins, ends or has come further: it was as far as `before`, and is as far as `after`.
    pub(super) fn count(
        &mut self,
        waiting: Waiting,
        session: &Session,
        before: Option<Progress>,
        after: Option<Progress>,
    ) {
        let is_counted = |progress: Option<Progress>| progress.is_some_and(|it| !it.is_confirmed());
        let is_from_outside = session.flags.has(Flags::FROM_OUTSIDE);
        let count = &mut self.counts[usize::from(is_from_outside)];
        match (is_counted(before), is_counted(after)) {
            (false, true) => {
                *count += 1;
                // One that falls back while the queue is full just ends in its time.
                if is_from_outside && !self.has_full_queue() {
                    self.queue.push_back(waiting);
                }
            }
            (true, false) => *count -= 1,
            _ => {}
        }
    }
}
