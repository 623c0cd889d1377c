//! Outside hosts that have an address of an outside pool because a stranger said so: those that will give it up for others.

use crate::policy::RuleId;
use crate::state::table::queue::{Links, Queue};

/// Unconfirmed outside hosts, to whom nobody inside has answered, by rule, in the order of their mappings.
pub(super) struct UnconfirmedHosts {
    queues: Vec<Queue>,
    links: Links,
}

impl UnconfirmedHosts {
    /// Nobody yet, for so many rules and mappings.
    pub(super) fn new(rules_max: usize, mappings_max: usize) -> UnconfirmedHosts {
        UnconfirmedHosts { queues: vec![Queue::default(); rules_max], links: Links::new(mappings_max) }
    }

    /// A mapping begins or ceases to be of an unconfirmed host.
    pub(super) fn set(&mut self, rule: RuleId, mapping: u32, is_unconfirmed: bool) {
        let Some(queue) = self.queues.get_mut(usize::from(rule)) else { return };
        match is_unconfirmed {
            true => self.links.push(queue, mapping),
            false => self.links.take(queue, mapping),
        }
    }

    /// Whose mapping is the oldest.
    pub(super) fn oldest(&self, rule: RuleId) -> Option<u32> {
        self.queues.get(usize::from(rule))?.first()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }
}
