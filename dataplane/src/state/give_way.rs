//! Flows that only one side has begun: how many there are, and how they give way to others.
//!
//! Whoever sends SYNs in anybody's name fills the table with half-open connections, as fast as he likes and longer than
//! any idle time. So each side of the NAT has a part of the table for what it begins and the other has not confirmed;
//! beyond it, what is begun costs another such flow its place. A full table takes such a place for a confirmed flow
//! too. Established sessions give way to nobody.

use crate::drops::DropReason;
use crate::lives::EndReason;
use crate::policy::{Policy, SourceRule};
use crate::state::session::{Above, Flags, Session};
use crate::state::shard::Shard;
use crate::state::unconfirmed::side_of;

/// Of the table, unconfirmed flows that one side began have one place in so many.
const PART: usize = 4;
/// Places that are looked at for one that gives way.
const LOOKED_AT: u32 = 256;

impl Shard {
    /// Makes room for a session that is about to begin, where there is none. Whether another one ended for it.
    pub(super) fn make_room(
        &mut self,
        policy: &Policy,
        session: &Session,
        above: &Above,
        now: u32,
    ) -> Result<bool, DropReason> {
        let part = (self.sessions.capacity() / PART).max(1);
        let is_over =
            !session.progress.is_confirmed() && self.unconfirmed.counts[side_of(session)] as usize >= part;
        if !is_over && !self.sessions.is_full() {
            return Ok(false);
        }
        let own = |session: &Session| (session.protocol, session.inside_vrf, session.inside_local);
        let (new, is_fixed) = (own(session), matches!(above, Above::Fixed));
        // In a full table, what strangers began goes first.
        let side = if is_over { side_of(session) } else { usize::from(self.unconfirmed.counts[1] > 0) };
        let has_gone =
            self.give_way(policy, now, |_, other| side_of(other) == side && (is_fixed || own(other) != new));
        if has_gone { Ok(true) } else { Err(DropReason::SessionsFull) }
    }

    /// Ends an unconfirmed flow that has a port of a rule's for itself, which has no other left.
    pub fn make_port_free(&mut self, policy: &Policy, rule: &SourceRule, protocol: u8, now: u32) -> bool {
        self.give_way(policy, now, |index, other| {
            let is_alone = other.flags.has(Flags::PORT) && other.next == index;
            is_alone && other.rule == rule.id && other.protocol == protocol
        })
    }

    /// Ends the next unconfirmed flow that is wanted, if it is among those that are looked at.
    fn give_way(&mut self, policy: &Policy, now: u32, is_wanted: impl Fn(u32, &Session) -> bool) -> bool {
        let capacity = self.sessions.capacity() as u32;
        for _ in 0..LOOKED_AT.min(capacity) {
            let index = self.unconfirmed.hand;
            self.unconfirmed.hand = (index + 1) % capacity;
            let gives_way = |other: &Session| !other.progress.is_confirmed() && is_wanted(index, other);
            if self.sessions.at(index).is_some_and(gives_way) {
                return self.end(policy, index, EndReason::GaveWay, now).is_some();
            }
        }
        false
    }
}
