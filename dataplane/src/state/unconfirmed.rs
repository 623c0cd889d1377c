//! How many flows only one side has begun.

use crate::state::progress::Progress;
use crate::state::session::{Flags, Session};

/// How many flows are unconfirmed, and where the next one is looked for that gives way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unconfirmed {
    /// Begun from inside, and from outside.
    pub(super) counts: [u32; 2],
    pub(super) hand: u32,
}

impl Unconfirmed {
    /// Unconfirmed flows that were begun from inside, and from outside.
    pub fn counts(&self) -> [u32; 2] {
        self.counts
    }

    /// A session begins, ends or has come further: it was as far as `before`, and is as far as `after`.
    pub(super) fn count(&mut self, session: &Session, before: Option<Progress>, after: Option<Progress>) {
        let is_counted = |progress: Option<Progress>| progress.is_some_and(|it| !it.is_confirmed());
        let count = &mut self.counts[side_of(session)];
        *count += u32::from(is_counted(after));
        *count -= u32::from(is_counted(before));
    }
}

/// Which side began a session: 0 for the inside.
pub(super) fn side_of(session: &Session) -> usize {
    usize::from(session.flags.has(Flags::FROM_OUTSIDE))
}
