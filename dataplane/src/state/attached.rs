//! Control sessions and calls in the tables: how they begin, are looked up while they are read, and end with their doors.

use alg::State;

use crate::policy::{GatewayIndex, Policy};
use crate::state::call::{CallKey, LIFE_MAX_S};
use crate::state::control_session::ControlSession;
use crate::state::door::OwnerKey;
use crate::state::room::Initiator;
use crate::state::session::{Flags, Session};
use crate::state::shard::Shard;
use crate::state::table::timer::is_due;

impl Shard {
    /// A session was removed: its doors close with it, and it leaves the one that led to it.
    pub(super) fn leave_controls(&mut self, policy: &Policy, index: u32, session: &Session, now: u32) {
        if session.flags.has(Flags::CONTROL) {
            self.control_sessions.remove(index);
            self.close_doors_of(policy, OwnerKey::ControlSession(index), None, now);
        }
        if session.flags.has(Flags::CHILD) {
            self.control_sessions.orphan(index);
        }
    }

    /// Makes a session a control session. False when there is no room for another.
    pub fn attach(&mut self, index: u32, control: ControlSession, state: State) -> bool {
        let is_attached = self.control_sessions.insert(index, control, state);
        if is_attached {
            self.attach_without_memory(index);
        }
        is_attached
    }

    /// Makes a session of datagrams a control session, whose gateway has nothing to remember yet.
    pub fn attach_without_memory(&mut self, index: u32) {
        if let Some(session) = self.sessions.at_mut(index) {
            session.flags = session.flags.with(Flags::CONTROL, true);
        }
    }

    /// Has a control session read with what its gateway remembers of it in hand; none where it has no record.
    pub fn with_state<R>(
        &mut self,
        session: u32,
        read: impl FnOnce(&mut Shard, &mut State) -> R,
    ) -> Option<R> {
        let place = self.control_sessions.place_of(session)?;
        let mut states = std::mem::take(&mut self.control_sessions.states);
        let said = states.get_mut(place).map(|state| read(self, state));
        self.control_sessions.states = states;
        said
    }

    /// Notes that a session came through a door of a control session's.
    pub fn adopt(&mut self, child: u32, control: u32) {
        if self.control_sessions.adopt(child, control)
            && let Some(session) = self.sessions.at_mut(child)
        {
            session.flags = session.flags.with(Flags::CHILD, true);
        }
    }
}

impl Shard {
    /// Begins a call, which is remembered so long without a word of it. None where its gateway or who began its control session
    /// has no room for another.
    pub fn begin_call(
        &mut self,
        (gateway, holder): (GatewayIndex, Initiator),
        key: CallKey,
        life_s: u32,
        now: u32,
    ) -> Option<u32> {
        let ends_ms = now.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
        let number = self.calls.begin(gateway, key, holder, ends_ms)?;
        self.wheel.arm(self.call_node(number), ends_ms);
        Some(number)
    }

    /// There was a word of a call: it is remembered so long from now on.
    pub fn renew_call(&mut self, number: u32, life_s: u32, now: u32) {
        let node = self.call_node(number);
        let ends_ms = now.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
        if !self.calls.renew(number, ends_ms) {
            return;
        }
        self.wheel.disarm(node);
        self.wheel.arm(node, ends_ms);
    }

    /// Ends a call, and closes its doors. Sessions stay.
    pub fn end_call(&mut self, policy: &Policy, number: u32, now: u32) {
        self.wheel.disarm(self.call_node(number));
        if let Some(key) = self.calls.end(number) {
            self.close_doors_of(policy, OwnerKey::Call(key), None, now);
        }
    }

    pub(super) fn expire_call(&mut self, policy: &Policy, number: u32, now: u32) {
        let Some(ends_ms) = self.calls.ends_ms(number) else { return };
        if is_due(now, ends_ms) {
            self.end_call(policy, number, now);
        } else {
            self.wheel.arm(self.call_node(number), ends_ms);
        }
    }

    fn call_node(&self, number: u32) -> u32 {
        (self.sessions.capacity() + self.mappings.capacity() + self.doors.capacity()) as u32 + number
    }
}
