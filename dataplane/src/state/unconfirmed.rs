//! How many flows only one side has begun, and which are the oldest.

use std::collections::VecDeque;

use crate::state::progress::Progress;
use crate::state::session::{Flags, Session};

/// Of the table, unconfirmed flows that one side began have one place in so many.
const PART: usize = 8;
/// So many places at least: the one of a new flow's own mapping does not give way to it.
const PART_MIN: usize = 2;

/// A session in a queue: what has its place later, began later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) index: u32,
    pub(super) created_ms: u32,
}

/// The unconfirmed flows of each side: those that the inside began, and those that the outside did.
pub struct Unconfirmed {
    counts: [u32; 2],
    /// Sessions in the order of their beginning; those that were confirmed or have ended since are passed over.
    pub(super) queues: [VecDeque<Waiting>; 2],
    part: usize,
}

impl Unconfirmed {
    /// None yet, of a table with room for `capacity` sessions.
    pub fn new(capacity: usize) -> Unconfirmed {
        let part = (capacity / PART).max(PART_MIN);
        Unconfirmed { counts: [0; 2], queues: [0; 2].map(|_| VecDeque::with_capacity(part)), part }
    }

    /// How many there are, begun from inside and from outside.
    pub fn counts(&self) -> [u32; 2] {
        self.counts
    }

    /// Whether a side has as many as it may.
    pub(super) fn is_over(&self, side: usize) -> bool {
        self.counts[side] as usize >= self.part
    }

    /// Whether another one of a side would find no place in the queue.
    pub(super) fn has_full_queue(&self, side: usize) -> bool {
        self.queues[side].len() >= self.part
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
        let side = side_of(session);
        match (is_counted(before), is_counted(after)) {
            (false, true) => {
                self.counts[side] += 1;
                // One that falls back while the queue is full just ends in its time.
                if !self.has_full_queue(side) {
                    self.queues[side].push_back(waiting);
                }
            }
            (true, false) => self.counts[side] -= 1,
            _ => {}
        }
    }
}

/// Which side began a session: 0 for the inside.
pub(super) fn side_of(session: &Session) -> usize {
    usize::from(session.flags.has(Flags::FROM_OUTSIDE))
}
