//! The port sets of subscribers (`ip nat settings pap bpa`): in a table of their own, as most subscribers have none.

use crate::policy::Policy;
use crate::state::ports::bitmaps::{PortSet, sets_of_address};
use crate::state::subscriber::Subscriber;
use crate::state::table::slots::{NONE, Slots};

/// The sets of all subscribers; each one's are linked, the oldest first.
pub struct Sets(Slots<Linked>);

struct Linked {
    set: PortSet,
    next: u32,
}

impl Sets {
    /// A table without room.
    pub fn new() -> Sets {
        Sets(Slots::new(0))
    }

    /// Makes room for the sets that a policy may give: no more than its addresses have, and none without a mapping.
    pub fn make_room(&mut self, policy: &Policy, mappings_max: usize) {
        let Some(blocks) = policy.behaviour.blocks else { return };
        let overloaded = policy.rules.iter().filter(|rule| rule.overload).map(|rule| usize::from(rule.pool));
        let pools = overloaded.filter_map(|pool| policy.pools.get(pool));
        let addresses: usize = pools.map(|pool| pool.address_count() as usize).sum();
        let sets = addresses * usize::from(sets_of_address(blocks.size, blocks.step));
        self.0.make_room(sets.min(mappings_max));
    }

    /// What `look` finds first, in the sets of a subscriber.
    pub fn find_map<T>(
        &mut self,
        subscriber: &Subscriber,
        mut look: impl FnMut(&mut PortSet) -> Option<T>,
    ) -> Option<T> {
        let mut number = subscriber.first_set;
        while let Some(linked) = self.0.at_mut(number) {
            if let Some(found) = look(&mut linked.set) {
                return Some(found);
            }
            number = linked.next;
        }
        None
    }

    /// The sets of a subscriber.
    pub fn of(&self, subscriber: &Subscriber) -> impl Iterator<Item = &PortSet> {
        let first = self.0.at(subscriber.first_set);
        std::iter::successors(first, |linked| self.0.at(linked.next)).map(|linked| &linked.set)
    }

    /// How many sets a subscriber has.
    pub fn count(&mut self, subscriber: &Subscriber) -> usize {
        let mut count = 0;
        self.find_map(subscriber, |_| {
            count += 1;
            None::<()>
        });
        count
    }

    /// All sets.
    pub fn iter(&self) -> impl Iterator<Item = &PortSet> {
        self.0.iter_from(0).map(|(_, linked)| &linked.set)
    }

    /// Sets that subscribers have.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is room for another set.
    pub fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// Gives a subscriber a set, where there is room.
    pub fn push(&mut self, subscriber: &mut Subscriber, set: PortSet) {
        let Some(number) = self.0.insert(Linked { set, next: NONE }) else { return };
        let mut last = &mut subscriber.first_set;
        let mut place = *last;
        while self.0.at(place).is_some_and(|linked| linked.next != NONE) {
            place = self.0.at(place).map_or(NONE, |linked| linked.next);
        }
        if let Some(linked) = self.0.at_mut(place) {
            last = &mut linked.next;
        }
        *last = number;
    }

    /// Takes the first set of a subscriber for which a condition holds.
    pub fn take(&mut self, subscriber: &mut Subscriber, is_it: impl Fn(&PortSet) -> bool) -> Option<PortSet> {
        let (mut before, mut number) = (NONE, subscriber.first_set);
        while let Some(linked) = self.0.at(number) {
            if !is_it(&linked.set) {
                (before, number) = (number, linked.next);
                continue;
            }
            let next = linked.next;
            match self.0.at_mut(before) {
                Some(before) => before.next = next,
                None => subscriber.first_set = next,
            }
            return self.0.remove(number).map(|linked| linked.set);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ports::bitmaps::{AddressPorts, BITMAPS_WORDS, NOTHING_USED};
    use crate::state::subscriber::Subscribers;
    use crate::state::table::index::Hasher;

    #[test]
    fn sets_are_kept_in_order_whichever_is_taken() {
        let (mut used, mut bitmaps) = (NOTHING_USED, [0; BITMAPS_WORDS]);
        let mut ports = AddressPorts::new(&mut used, &mut bitmaps);
        let mut subscribers = Subscribers::new(1, Hasher::new([1, 2]));
        let number = subscribers.enter(0, [10, 0, 0, 1].into()).unwrap();
        let host = subscribers.at_mut(number).unwrap();
        let mut sets = Sets::new();
        sets.0.make_room(3);
        for taken in 0..3u16 {
            let all: Vec<PortSet> = (0..3).map(|_| ports.take_set(64, 1, |_| true).unwrap()).collect();
            all.iter().for_each(|&set| sets.push(host, set));
            assert!(sets.is_full());
            let wanted = all[usize::from(taken)];
            assert_eq!(sets.take(host, |&set| set == wanted), Some(wanted));
            let mut left = Vec::new();
            sets.find_map(host, |&mut set| {
                left.push(set);
                None::<()>
            });
            let kept: Vec<PortSet> = all.iter().filter(|&&set| set != wanted).copied().collect();
            assert_eq!(left, kept);
            assert_eq!(sets.count(host), 2);
            while sets.take(host, |_| true).is_some() {}
            assert_eq!(sets.count(host), 0);
        }
    }
}
