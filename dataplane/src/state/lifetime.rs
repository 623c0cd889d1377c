//! How sessions and mappings end: by idle time, by a policy that no longer keeps them, by command.

use crate::policy::Policy;
use crate::state::mapping::{Mapping, Side};
use crate::state::shard::{Shard, deadline_ms, far_off, mapping_deadline_ms};
use crate::state::timer::is_due;

/// Table positions that one step of a sweep looks at.
const SWEPT_AT_ONCE: u32 = 4096;

impl Shard {
    /// Ends at most `count_max` sessions that were idle too long, and returns how many.
    pub fn expire(&mut self, policy: &Policy, now: u32, count_max: usize) -> usize {
        self.allocator.end_hold_downs(policy, now, count_max);
        let mut expired = 0;
        for _ in 0..count_max {
            let Some(node) = self.wheel.next_due(now) else { break };
            match node.checked_sub(self.sessions.capacity() as u32) {
                Some(mapping) => self.expire_mapping(policy, node, mapping, now),
                None => expired += usize::from(self.expire_session(policy, node, now)),
            }
        }
        expired
    }

    fn expire_session(&mut self, policy: &Policy, index: u32, now: u32) -> bool {
        let Some(session) = self.sessions.at(index) else { return false };
        match deadline_ms(policy, session) {
            Some(deadline) if is_due(now, deadline) => self.remove(policy, index, now).is_some(),
            deadline => {
                self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
                false
            }
        }
    }

    /// A whole address is kept while sessions use it, and for its idle time after the last one began.
    fn expire_mapping(&mut self, policy: &Policy, node: u32, index: u32, now: u32) {
        let Some(mapping) = self.mappings.at(index) else { return };
        match mapping_deadline_ms(policy, mapping) {
            Some(deadline) if is_due(now, deadline) && mapping.session_count == 0 => {
                self.remove_mapping(policy, index, now);
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

    /// Arms a session anew, after its idle class changed.
    pub fn rearm(&mut self, index: u32, deadline: Option<u32>, now: u32) {
        self.wheel.disarm(index);
        self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
    }

    /// A new policy is in force: limits are counted anew by the sweep that follows.
    pub fn start_policy(&mut self, policy: &Policy) {
        self.group_counts.clear();
        self.group_counts.resize(policy.limits.groups.len(), 0);
    }

    /// One step of a sweep: ends sessions, then mappings of whole addresses, that the policy no longer keeps, or
    /// every one where `all` is asked for. Returns where to go on, and how many were ended.
    pub fn sweep(&mut self, policy: &Policy, all: bool, start: u32, now: u32) -> (Option<u32>, u64) {
        let capacity = self.sessions.capacity() as u32;
        let last = capacity + self.mappings.capacity() as u32;
        let end = start.saturating_add(SWEPT_AT_ONCE).min(last);
        let mut ended = 0;
        for position in start..end {
            ended += u64::from(match position.checked_sub(capacity) {
                None => self.sweep_session(policy, all, position, now),
                Some(index) => self.sweep_mapping(policy, all, index, now),
            });
        }
        ((end < last).then_some(end), ended)
    }

    fn sweep_session(&mut self, policy: &Policy, all: bool, index: u32, now: u32) -> bool {
        let Some(session) = self.sessions.at_mut(index) else { return false };
        if all || !policy.keeps(session.rule, session.inside_global.addr) {
            return self.remove(policy, index, now).is_some();
        }
        if session.limit_epoch != policy.generation as u8 {
            session.limit_epoch = policy.generation as u8;
            session.limit_groups = policy.limit_groups_of(session.inside_vrf, session.inside_local.addr);
            for (number, count) in self.group_counts.iter_mut().enumerate() {
                *count += u32::from(session.limit_groups >> number & 1);
            }
        }
        false
    }

    fn sweep_mapping(&mut self, policy: &Policy, all: bool, index: u32, now: u32) -> bool {
        let is_doomed = |mapping: &Mapping| {
            let is_kept = match mapping.side {
                Side::Inside => policy.keeps(mapping.rule, mapping.seen.addr),
                Side::Outside => policy.keeps_outside(mapping.rule, mapping.seen.addr),
            };
            mapping.session_count == 0 && (all || !is_kept)
        };
        let is_doomed = self.mappings.at(index).is_some_and(is_doomed);
        if is_doomed {
            self.remove_mapping(policy, index, now);
        }
        is_doomed
    }
}
