//! What a session through a door costs it: a use, when the session is confirmed. Before that, anybody may have begun it in
//! the name of the host that the door is for.

use arrayvec::ArrayVec;

use crate::lives::EndReason;
use crate::policy::Policy;
use crate::state::door::{Door, WAITING_MAX};
use crate::state::session::{Flags, Session};
use crate::state::shard::Shard;
use crate::state::table::slots::NONE;

impl Shard {
    /// A session went through a door. Of those that wait to be confirmed, the oldest gives way to one too many: whoever
    /// sends in another's name keeps nobody out, nor fills the table.
    pub(super) fn pass(&mut self, policy: &Policy, door: u32, session: u32, now: u32) {
        let Some(of) = self.sessions.at_mut(session) else { return };
        if of.progress.is_confirmed() {
            return self.spend(policy, door, session, now);
        }
        of.flags = of.flags.with(Flags::DOOR, true);
        let Some(of) = self.doors.at(door) else { return };
        let mut waiting: ArrayVec<u32, WAITING_MAX> = self.waiting_at(of).collect();
        if let Some(oldest) = if waiting.is_full() { waiting.pop_at(0) } else { None } {
            self.end(policy, oldest, EndReason::GaveWay, now);
        }
        waiting.push(session);
        if let Some(door) = self.doors.at_mut(door) {
            door.waiting = [NONE; WAITING_MAX];
            door.waiting[..waiting.len()].copy_from_slice(&waiting);
        }
    }

    /// A session is confirmed: if it went through a door that is still open, it takes one of its uses.
    pub(super) fn spend_door_of(&mut self, policy: &Policy, session: u32, now: u32) {
        let is_waiting = |of: &&mut Session| of.flags.has(Flags::DOOR);
        let Some(of) = self.sessions.at_mut(session).filter(is_waiting) else { return };
        of.flags = of.flags.without(Flags::DOOR);
        let (protocol, vrf, inside, outside) =
            (of.protocol, of.inside_vrf(), of.inside_local(), of.outside_local());
        let announced = self.doors.from(self.doors.of_local(protocol, vrf, inside)).map(|(door, _)| door);
        let outward = self.doors.leading_to(protocol, vrf, inside.addr, outside);
        let is_its = |door: &u32| self.doors.at(*door).is_some_and(|door| door.waiting.contains(&session));
        let passed = announced.chain(outward).find(is_its);
        if let Some(door) = passed {
            self.spend(policy, door, session, now);
        }
    }

    /// A confirmed session takes a use of a door. Behind the last one it closes, to those who wait too.
    fn spend(&mut self, policy: &Policy, door: u32, session: u32, now: u32) {
        let Some(of) = self.doors.at_mut(door) else { return };
        of.uses_left = of.uses_left.saturating_sub(1);
        if of.uses_left > 0 {
            return;
        }
        let Some(closed) = self.close_door(policy, door, now) else { return };
        let others: ArrayVec<u32, WAITING_MAX> =
            self.waiting_at(&closed).filter(|&other| other != session).collect();
        for other in others {
            self.end(policy, other, EndReason::Closed, now);
        }
    }

    /// Sessions that went through a door and wait to be confirmed.
    fn waiting_at<'a>(&'a self, door: &'a Door) -> impl Iterator<Item = u32> + 'a {
        let waits = |of: &Session| of.flags.has(Flags::DOOR) && !of.progress.is_confirmed() && door.leads(of);
        door.waiting.iter().copied().filter(move |&index| self.sessions.at(index).is_some_and(waits))
    }
}
