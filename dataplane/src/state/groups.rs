//! Group limits: how many sessions each group has, and which of them a session counts towards.

use crate::policy::Policy;

/// The counts under the policy in force. Sessions of an earlier one are counted by the sweep that follows it.
#[derive(Default)]
pub struct Groups {
    /// Sessions of each group limit of the policy.
    counts: Vec<u32>,
    /// By the session's index, the groups it counts towards, a bit each, and the epoch they were found in. Without room
    /// before a policy limits groups.
    counted: Vec<[u16; 2]>,
    /// What tells one policy's groups from another's; never 0, which is for sessions that were not counted.
    epoch: u16,
    /// Policies since every session was counted under one.
    unswept: u16,
}

/// Epochs that sessions may still have beside the one in force: as many as there are others.
const UNSWEPT_MAX: u16 = u16::MAX - 1;

impl Groups {
    /// A policy takes the place of another: nothing is counted yet. Where it is the first that limits groups, there is room
    /// for what is counted.
    pub(super) fn start(&mut self, policy: &Policy, counted: Option<Vec<[u16; 2]>>) {
        debug_assert!(
            !self.must_sweep(),
            "a session may have the next epoch's number from when it was last given"
        );
        self.counts.clear();
        self.counts.resize(policy.limits.groups.len(), 0);
        self.counted = counted.unwrap_or(std::mem::take(&mut self.counted));
        self.epoch = self.epoch % u16::MAX + 1;
        self.unswept = self.unswept.saturating_add(1);
    }

    /// Every session was counted under the policy in force.
    pub(super) fn note_swept(&mut self) {
        self.unswept = 0;
    }

    /// Whether every session has to be counted before there can be another policy.
    pub(super) fn must_sweep(&self) -> bool {
        self.unswept >= UNSWEPT_MAX
    }

    /// Sessions of each group.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Sessions of a group.
    pub(super) fn count(&self, group: usize) -> u32 {
        self.counts.get(group).copied().unwrap_or_default()
    }

    /// Counts a session that begins towards its groups.
    pub(super) fn enter(&mut self, index: u32, groups: u16) {
        if let Some(counted) = self.counted.get_mut(index as usize) {
            *counted = [groups, self.epoch];
            self.counts.iter_mut().enumerate().for_each(|(number, count)| *count += bit(groups, number));
        }
    }

    /// Whether a session is still to be counted under this policy.
    pub(super) fn misses(&self, index: u32) -> bool {
        self.counted.get(index as usize).is_some_and(|&[_, found_in]| found_in != self.epoch)
    }

    /// Takes a session that ends from its groups. What was counted under another policy is not in these counts.
    pub(super) fn leave(&mut self, index: u32) {
        let Some(counted) = self.counted.get_mut(index as usize) else { return };
        let [groups, found_in] = std::mem::take(counted);
        if found_in == self.epoch {
            self.counts.iter_mut().enumerate().for_each(|(number, count)| *count -= bit(groups, number));
        }
    }
}

fn bit(groups: u16, number: usize) -> u32 {
    u32::from(groups >> number & 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Limit, LimitScope};

    #[test]
    fn no_session_is_believed_counted_however_many_policies_come() {
        let mut policy = Policy::default();
        policy.limits.groups = vec![Limit { scope: LimitScope::All, sessions_max: 9, counter: 0 }];
        let mut groups = Groups::default();
        groups.start(&policy, Some(vec![[0; 2]; 2]));
        groups.enter(0, 1);
        let mut sweeps = 0;
        for _ in 0..3 * u32::from(u16::MAX) {
            // A sweep comes through only where one has to.
            if groups.must_sweep() {
                assert!(groups.misses(0) && groups.count(0) == 0);
                groups.enter(0, 1);
                groups.note_swept();
                sweeps += 1;
            }
            groups.start(&policy, None);
            assert!(groups.misses(0), "after {sweeps} sweeps");
        }
        assert_eq!(sweeps, 3);
        groups.leave(0);
        assert_eq!(groups.count(0), 0);
    }
}
