//! How sessions and mappings end: by idle time, by a policy that no longer keeps them, by command.

use std::sync::Arc;

use alg::Side;

use crate::lives::EndReason;
use crate::policy::{IdleClass, Policy, Recomputed, StaticRule};
use crate::state::door::Door;
use crate::state::mapping::Mapping;
use crate::state::ports::ownership::Ownership;
use crate::state::session::{Flags, Session};
use crate::state::shard::{Shard, deadline_ms, far_off, mapping_deadline_ms};
use crate::state::supply::Supply;
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

/// How often a control session that is idle itself looks after those it led to.
const CHILDREN_LOOKED_AT_MS: u32 = 5000;

/// A position in the tables.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Session(u32),
    Mapping(u32),
    Door(u32),
    Call(u32),
}

/// Table positions that one step of a walk passes.
const SWEPT_AT_ONCE: u32 = 1024;
/// Of those, records that it looks at: each may miss the caches for what a large policy says about it.
const LOOKED_AT_ONCE: u32 = 256;
/// What one step of a sweep ends, which costs far more than to look at it.
const ENDED_AT_ONCE: u64 = 32;

impl Shard {
    /// Ends sessions, mappings and doors that were idle too long, at most `count_max` in all.
    pub fn expire(&mut self, policy: &Policy, now: u32, count_max: usize) {
        self.reclaim(policy, now);
        self.allocator.end_hold_downs(now, count_max);
        for _ in 0..count_max {
            let Some(node) = self.wheel.next_due(now) else { break };
            match self.place_of(node) {
                Place::Session(index) => self.expire_session(policy, index, now),
                Place::Mapping(index) => self.expire_mapping(policy, node, index, now),
                Place::Door(index) => self.expire_door(policy, index, now),
                Place::Call(number) => self.expire_call(policy, number, now),
            }
        }
    }

    /// Whether something was due before `now` and is still there.
    pub fn is_behind(&self, now: u32) -> bool {
        self.wheel.is_behind(now)
    }

    /// What a position counted over all tables is.
    fn place_of(&self, position: u32) -> Place {
        let Some(behind) = position.checked_sub(self.sessions.capacity() as u32) else {
            return Place::Session(position);
        };
        match behind.checked_sub(self.mappings.capacity() as u32) {
            None => Place::Mapping(behind),
            Some(behind) => match behind.checked_sub(self.doors.capacity() as u32) {
                None => Place::Door(behind),
                Some(call) => Place::Call(call),
            },
        }
    }

    fn is_taken(&self, place: &Place) -> bool {
        match *place {
            Place::Session(index) => self.sessions.at(index).is_some(),
            Place::Mapping(index) => self.mappings.at(index).is_some(),
            Place::Door(index) => self.doors.at(index).is_some(),
            Place::Call(number) => self.calls.ends_ms(number).is_some(),
        }
    }

    fn expire_door(&mut self, policy: &Policy, index: u32, now: u32) {
        let Some(&Door { closes_ms, gateway, waiting, .. }) = self.doors.at(index) else { return };
        if !is_due(now, closes_ms) {
            self.wheel.arm(self.door_node(index), closes_ms);
            return;
        }
        self.end_door(policy, index, EndReason::Idle, now);
        let is_unused = waiting[0] == NONE;
        self.doors_expired[usize::from(gateway)] += u32::from(is_unused);
    }

    fn expire_session(&mut self, policy: &Policy, index: u32, now: u32) {
        let Some(session) = self.sessions.at(index) else { return };
        match deadline_ms(policy, session) {
            // A control session is in use as long as what it announced is.
            Some(deadline) if is_due(now, deadline) && self.control_sessions.has_children(index) => {
                self.wheel.arm(index, now.wrapping_add(CHILDREN_LOOKED_AT_MS));
            }
            Some(deadline) if is_due(now, deadline) => {
                let is_closing = session.progress.class() == IdleClass::TcpClosing;
                let reason = if is_closing { EndReason::Closed } else { EndReason::Idle };
                self.end(policy, index, reason, now);
            }
            deadline => self.wheel.arm(index, deadline.unwrap_or(far_off(now))),
        }
    }

    /// A whole address is kept while sessions use it, and for its idle time after the last one began.
    fn expire_mapping(&mut self, policy: &Policy, node: u32, index: u32, now: u32) {
        let Some(mapping) = self.mappings.at(index) else { return };
        match mapping_deadline_ms(policy, mapping) {
            Some(deadline) if is_due(now, deadline) && mapping.session_count == 0 => {
                self.end_mapping(policy, index, EndReason::Idle, now);
            }
            deadline => {
                let later = deadline.filter(|&at| !is_due(now, at));
                self.wheel.arm(node, later.unwrap_or(far_off(now)));
            }
        }
    }

    /// A whole address whose last session ended is looked at when its own idle time runs out.
    pub(super) fn rest_mapping(&mut self, policy: &Policy, index: u32, now: u32) {
        let is_resting = |mapping: &&Mapping| mapping.session_count == 0;
        let Some(mapping) = self.mappings.at(index).filter(is_resting) else { return };
        let deadline = mapping_deadline_ms(policy, mapping).unwrap_or(far_off(now));
        let node = self.mapping_node(index);
        self.wheel.disarm(node);
        self.wheel.arm(node, deadline);
    }

    /// Ends the mapping of a whole address that no session is beneath and the inside never used. Whether it was one.
    pub fn end_unsolicited(&mut self, policy: &Policy, index: u32, (reason, now): (EndReason, u32)) -> bool {
        let is_left = |mapping: &Mapping| mapping.is_unsolicited && mapping.session_count == 0;
        let is_left = self.mappings.at(index).is_some_and(is_left);
        if is_left {
            self.end_mapping(policy, index, reason, now);
        }
        is_left
    }

    /// Arms a session anew, after its idle class changed.
    pub fn rearm(&mut self, index: u32, deadline: Option<u32>, now: u32) {
        self.wheel.disarm(index);
        self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
    }

    /// A new policy is in force, with what was made for it; limits are counted anew by the sweep that follows. Nothing here
    /// takes longer for more addresses, and nothing is allocated for them later.
    pub fn start_policy(&mut self, policy: &Policy, ownership: Arc<Ownership>, supply: Supply) {
        let Supply { homes, ports, sets, contacts, counted, rule_count } = supply;
        self.allocator.addresses_mut().extend(homes, ports);
        self.allocator.sets_mut().extend(sets);
        self.allocator.start_policy(policy, ownership);
        self.rule_count = self.rule_count.max(rule_count);
        if let Some(contacts) = contacts {
            self.contacts = contacts;
        }
        self.groups.start(policy, counted);
    }

    /// A sweep that began after the policy came has been everywhere.
    pub fn note_swept(&mut self) {
        self.groups.note_swept();
    }

    /// Whether a sweep has to end before there can be another policy.
    pub fn must_sweep(&self) -> bool {
        self.groups.must_sweep()
    }

    /// One step of a sweep: ends sessions, then mappings of whole addresses, doors and calls that the policy does not keep, or
    /// would not make by what it computes otherwise. Returns where to go on, and how many were ended. Next hops are kept of
    /// the forwarding table's generation only.
    pub fn sweep(
        &mut self,
        policy: &Policy,
        generation: u16,
        recomputed: Recomputed,
        start: u32,
        now: u32,
    ) -> (Option<u32>, u64) {
        self.walk(start, |shard, place| match place {
            Place::Session(index) => shard.sweep_session(policy, generation, recomputed, (index, now)),
            Place::Mapping(index) => shard.sweep_mapping(policy, index, now),
            Place::Door(index) => shard.sweep_door(policy, recomputed, index, now),
            // Calls are of no rule: a new policy keeps them.
            Place::Call(_) => {}
        })
    }

    /// One step of a walk over the tables, between two bursts: shows `visit` the places that are taken. Returns where to go on,
    /// and how many sessions and mappings of whole addresses it ended, those that ended with others included.
    pub(super) fn walk(
        &mut self,
        start: u32,
        mut visit: impl FnMut(&mut Shard, Place),
    ) -> (Option<u32>, u64) {
        let tables = [self.sessions.capacity(), self.mappings.capacity(), self.doors.capacity()];
        let last = (tables.iter().sum::<usize>() + self.calls.capacity()) as u32;
        let stop = start.saturating_add(SWEPT_AT_ONCE).min(last);
        let before = self.sessions.len() + self.mappings.len();
        let ended = |shard: &Shard| (before - shard.sessions.len() - shard.mappings.len()) as u64;
        let (mut position, mut looked) = (start, 0);
        while position < stop && looked < LOOKED_AT_ONCE && ended(self) < ENDED_AT_ONCE {
            let place = self.place_of(position);
            if self.is_taken(&place) {
                looked += 1;
                visit(self, place);
            }
            position += 1;
        }
        ((position < last).then_some(position), ended(self))
    }

    fn sweep_session(
        &mut self,
        policy: &Policy,
        generation: u16,
        recomputed: Recomputed,
        (index, now): (u32, u32),
    ) {
        let Some(session) = self.sessions.at(index) else { return };
        let outside = self.outside_mapping_of(session).and_then(|outside| self.mappings.at(outside));
        let is_gone =
            |Mapping { binding, .. }: &Mapping| !policy.keeps_outside(binding.rule, binding.seen.addr);
        let is_kept = keeps_session(policy, session) && !outside.is_some_and(is_gone);
        if !is_kept || !self.would_make(policy, recomputed, session) {
            self.recomputed_count += u64::from(is_kept);
            self.end(policy, index, EndReason::PolicyGone, now);
            return;
        }
        if self.groups.misses(index) {
            let of_host = || policy.limit_groups_of(session.inside_vrf(), session.inside_local().addr);
            let groups = if session.is_unsolicited() { 0 } else { of_host() };
            self.groups.enter(index, groups);
        }
        if let Some(session) = self.sessions.at_mut(index) {
            session.forget_hops_but(generation);
        }
    }

    fn sweep_door(&mut self, policy: &Policy, recomputed: Recomputed, index: u32, now: u32) {
        let is_kept = |door: &Door| {
            policy.keeps(door.rule, door.protocol, door.global) && self.would_open(policy, recomputed, door)
        };
        if !self.doors.at(index).is_none_or(is_kept) {
            self.end_door(policy, index, EndReason::PolicyGone, now);
        }
    }

    fn sweep_mapping(&mut self, policy: &Policy, index: u32, now: u32) {
        let is_gone = |Mapping { binding, .. }: &Mapping| match binding.side {
            Side::Inside => !policy.keeps(binding.rule, binding.protocol, binding.seen),
            Side::Outside => !policy.keeps_outside(binding.rule, binding.seen.addr),
        };
        self.end_unused_mapping(policy, index, is_gone, (EndReason::PolicyGone, now));
    }

    /// Ends the mapping of a whole address that no session is beneath, if `is_meant`.
    pub(super) fn end_unused_mapping(
        &mut self,
        policy: &Policy,
        index: u32,
        is_meant: impl Fn(&Mapping) -> bool,
        (reason, now): (EndReason, u32),
    ) {
        let is_it = |mapping: &Mapping| mapping.session_count == 0 && is_meant(mapping);
        if self.mappings.at(index).is_some_and(is_it) {
            self.end_mapping(policy, index, reason, now);
        }
    }
}

/// Whether a policy keeps a session. One that serves every peer would keep its host from what a static gives it now.
fn keeps_session(policy: &Policy, session: &Session) -> bool {
    let Session { rule, protocol, .. } = *session;
    let is_for_all = |rule: &StaticRule| rule.selector.is_none() && rule.egress.is_none() && !rule.is_default;
    let is_taken = || {
        session.is_dynamic()
            && session.flags.has(Flags::ANY_PEER)
            && policy
                .statics
                .global_of(session.inside_vrf(), protocol, session.inside_local(), is_for_all)
                .is_some()
    };
    policy.keeps(rule, protocol, session.inside_global()) && !is_taken()
}
