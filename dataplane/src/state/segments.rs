//! Packets that may change how far their session has come, and what follows for its idle time.

use crate::policy::Policy;
use crate::state::connection::Said;
use crate::state::progress::Progress;
use crate::state::reopenings::Reopening;
use crate::state::session::{Flags, Session};
use crate::state::shard::{SessionRef, Shard, deadline_ms};

impl Shard {
    /// Notes a segment that goes on to its receiver. What it acknowledges of a control session whose numbers are mapped was
    /// noted when it came in: its numbers are other ones now.
    pub fn note_segment(&mut self, policy: &Policy, found: SessionRef, said: &Said, now: u32) {
        let SessionRef { index, direction } = found;
        self.note_reopening(policy, found, said, None, now);
        let is_mapped = |session: &Session| {
            session.flags.has(Flags::CONTROL) && self.control_sessions.maps_numbers(index)
        };
        let is_mapped = self.sessions.at(index).is_some_and(is_mapped);
        self.progress(policy, index, now, |session| {
            let is_proof = !is_mapped && session.note_acknowledged(direction, said);
            session.note_said(direction, said, is_proof);
        });
    }

    /// Another connection begins over a session's ports, with this segment.
    pub(super) fn begin_anew(
        &mut self,
        policy: &Policy,
        index: u32,
        begun: &Reopening,
        said: &Said,
        now: u32,
    ) {
        self.progress(policy, index, now, |session| session.begin_anew(begun.direction, begun.number, said));
    }

    /// Notes what a segment of a control session acknowledges, before its numbers are mapped.
    pub fn note_acknowledged(&mut self, policy: &Policy, found: SessionRef, said: &Said, now: u32) {
        self.progress(policy, found.index, now, |session| session.note_acknowledged(found.direction, said));
    }

    /// Notes a packet from inside of a session that the outside began, of another protocol than TCP.
    pub fn note_answer(&mut self, policy: &Policy, index: u32, now: u32) {
        self.progress(policy, index, now, |session| session.progress = session.progress.with_inside());
    }

    /// Has a session come as far as `act` says, and its idle time follow.
    fn progress<T>(
        &mut self,
        policy: &Policy,
        index: u32,
        now: u32,
        act: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let session = self.sessions.at_mut(index)?;
        let before = session.progress;
        let done = act(session);
        if session.progress != before {
            self.follow(policy, index, before, now);
        }
        Some(done)
    }

    fn follow(&mut self, policy: &Policy, index: u32, before: Progress, now: u32) {
        let waiting = self.waiting(index);
        let Some(session) = self.sessions.at(index) else { return };
        let after = session.progress;
        self.unconfirmed.count(waiting, session, Some(before), Some(after));
        if session.flags.has(Flags::FROM_OUTSIDE) && after.is_confirmed() != before.is_confirmed() {
            self.count_solicited(policy, index);
        }
        let Some(session) = self.sessions.at(index) else { return };
        if (after.class(), after.is_confirmed()) == (before.class(), before.is_confirmed()) {
            return;
        }
        let deadline = deadline_ms(policy, session);
        self.rearm(index, deadline, now);
        if after.is_confirmed() {
            self.spend_door_of(policy, index, now);
        }
    }

    /// A session that a stranger began was confirmed: from now on it counts towards its host's limits. Or it is no more.
    fn count_solicited(&mut self, policy: &Policy, index: u32) {
        let Some(session) = self.sessions.at(index) else { return };
        if let Some(outside) = self.outside_mapping_of(session) {
            self.forget_unconfirmed_host(outside);
        }
        let Some(session) = self.sessions.at(index) else { return };
        let (vrf, host) = (session.inside_vrf(), session.inside_local().addr);
        let is_unsolicited = session.is_unsolicited();
        let number = self.subscribers.find(vrf, host);
        if let Some(subscriber) = number.and_then(|number| self.subscribers.at_mut(number)) {
            match is_unsolicited {
                true => subscriber.unsolicited_count += 1,
                false => subscriber.unsolicited_count -= 1,
            }
        }
        self.groups.leave(index);
        self.groups.enter(index, if is_unsolicited { 0 } else { policy.limit_groups_of(vrf, host) });
    }
}
