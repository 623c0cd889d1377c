//! Outside hosts that have an address of an outside pool because a stranger said so: those that will give it up for others.

use crate::policy::RuleId;
use crate::state::table::queue::{Links, Queue};

/// Outside hosts that only knock, by rule, in the order of their mappings.
pub(super) struct Knocking {
    queues: Vec<Queue>,
    links: Links,
}

impl Knocking {
    /// Nobody knocks, by so many rules and mappings.
    pub(super) fn new(rules_max: usize, mappings_max: usize) -> Knocking {
        Knocking { queues: vec![Queue::default(); rules_max], links: Links::new(mappings_max) }
    }

    /// A mapping begins or ceases to be of somebody who only knocks.
    pub(super) fn set(&mut self, rule: RuleId, mapping: u32, knocks: bool) {
        let Some(queue) = self.queues.get_mut(usize::from(rule)) else { return };
        match knocks {
            true => self.links.push(queue, mapping),
            false => self.links.take(queue, mapping),
        }
    }

    /// Whose mapping is the oldest.
    pub(super) fn oldest(&self, rule: RuleId) -> Option<u32> {
        self.queues.get(usize::from(rule))?.first()
    }

    /// All that knock.
    pub(super) fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }
}
