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
}

/// What tells one policy's groups from another's; never 0, which is for sessions that were not counted.
fn epoch(policy: &Policy) -> u16 {
    (policy.generation % u32::from(u16::MAX)) as u16 + 1
}

impl Groups {
    /// A policy takes the place of another: nothing is counted yet. There are at most `capacity` sessions.
    pub(super) fn start(&mut self, policy: &Policy, capacity: usize) {
        self.counts.clear();
        self.counts.resize(policy.limits.groups.len(), 0);
        if !self.counts.is_empty() && self.counted.is_empty() {
            self.counted = vec![[0; 2]; capacity];
        }
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
    pub(super) fn enter(&mut self, policy: &Policy, index: u32, groups: u16) {
        if let Some(counted) = self.counted.get_mut(index as usize) {
            *counted = [groups, epoch(policy)];
            self.counts.iter_mut().enumerate().for_each(|(number, count)| *count += bit(groups, number));
        }
    }

    /// Whether a session is still to be counted under this policy.
    pub(super) fn misses(&self, policy: &Policy, index: u32) -> bool {
        self.counted.get(index as usize).is_some_and(|&[_, found_in]| found_in != epoch(policy))
    }

    /// Takes a session that ends from its groups. What was counted under another policy is not in these counts.
    pub(super) fn leave(&mut self, policy: &Policy, index: u32) {
        let Some(counted) = self.counted.get_mut(index as usize) else { return };
        let [groups, found_in] = std::mem::take(counted);
        if found_in == epoch(policy) {
            self.counts.iter_mut().enumerate().for_each(|(number, count)| *count -= bit(groups, number));
        }
    }
}

fn bit(groups: u16, number: usize) -> u32 {
    u32::from(groups >> number & 1)
}
