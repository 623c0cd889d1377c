//! The port sets of subscribers (`ip nat settings pap bpa`). They have their own table, as most subscribers have none.

use crate::policy::Policy;
use crate::state::ports::port_set::{PortSet, sets_of_address};
use crate::state::ports::sheets::Sheets;
use crate::state::subscriber::Subscriber;
use crate::state::table::slots::NONE;

/// Words of a set's sheet: two for the set, and one for the number of the subscriber's next set.
pub const SET_WORDS: usize = 3;
/// The word with the number of the next set.
const NEXT: usize = 2;

/// The sets of all subscribers. Those of each subscriber are linked, the oldest first.
pub struct Sets(Sheets<SET_WORDS>);

/// The most sets that a policy can have in use. Its addresses limit them, and so do the mappings, as each set has at
/// least one mapping.
pub fn sets_at_once(policy: &Policy, mappings_max: usize) -> usize {
    let Some(blocks) = policy.behaviour.blocks else { return 0 };
    let overloaded = policy.rules.iter().filter(|rule| rule.overload).map(|rule| usize::from(rule.pool));
    let pools = overloaded.filter_map(|pool| policy.pools.get(pool));
    let addresses: usize = pools.map(|pool| pool.address_count() as usize).sum();
    let sets = addresses.saturating_mul(usize::from(sets_of_address(blocks.size, blocks.step)));
    sets.min(mappings_max)
}

/// The number of the sheet that a subscriber's number of a set stands for.
fn sheet_of(number: u32) -> u32 {
    number.wrapping_add(1)
}

fn number_of(sheet: u64) -> u32 {
    (sheet as u32).wrapping_sub(1)
}

const _: () = assert!(NONE == u32::MAX, "no sheet is no record");

fn written(set: &PortSet) -> [u64; 2] {
    let word = |parts: [u16; 4]| parts.iter().rev().fold(0, |word, &part| word << 16 | u64::from(part));
    [
        word([set.number, set.first, set.step, set.size]),
        word([set.used, set.rule, set.outside_vrf, u16::from(set.is_told)]),
    ]
}

fn read(sheet: &[u64; SET_WORDS]) -> PortSet {
    let part = |word: usize, place: u32| (sheet[word] >> (16 * place)) as u16;
    PortSet {
        number: part(0, 0),
        first: part(0, 1),
        step: part(0, 2),
        size: part(0, 3),
        used: part(1, 0),
        rule: part(1, 1),
        outside_vrf: part(1, 2),
        is_told: part(1, 3) != 0,
    }
}

impl Sets {
    /// A table without memory.
    pub fn new() -> Sets {
        Sets(Sheets::new())
    }

    /// Adds memory that [`super::sheets::pieces`] made.
    pub fn extend(&mut self, pieces: Vec<Box<[u64]>>) {
        self.0.extend(pieces);
    }

    /// The first result of `look` in the sets of a subscriber.
    pub fn find_map<T>(
        &mut self,
        subscriber: &Subscriber,
        mut look: impl FnMut(&mut PortSet) -> Option<T>,
    ) -> Option<T> {
        let mut number = sheet_of(subscriber.first_set);
        while let Some(sheet) = self.0.at_mut(number) {
            let mut set = read(sheet);
            let found = look(&mut set);
            [sheet[0], sheet[1]] = written(&set);
            if found.is_some() {
                return found;
            }
            number = sheet[NEXT] as u32;
        }
        None
    }

    /// The sets of a subscriber.
    pub fn of(&self, subscriber: &Subscriber) -> impl Iterator<Item = PortSet> {
        let first = self.0.at(sheet_of(subscriber.first_set));
        std::iter::successors(first, |sheet| self.0.at(sheet[NEXT] as u32)).map(read)
    }

    /// How many sets a subscriber has.
    pub fn count(&self, subscriber: &Subscriber) -> usize {
        self.of(subscriber).count()
    }

    /// All sets. Walks the whole table.
    pub fn iter(&self) -> impl Iterator<Item = PortSet> {
        self.0.touched().map(read).filter(|set| set.size > 0)
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
        let Some(number) = self.0.take() else { return };
        if let Some(sheet) = self.0.at_mut(number) {
            [sheet[0], sheet[1]] = written(&set);
        }
        let first = sheet_of(subscriber.first_set);
        let mut last = first;
        while let Some(next) =
            self.0.at(last).map(|sheet| sheet[NEXT] as u32).filter(|&next| self.0.at(next).is_some())
        {
            last = next;
        }
        match self.0.at_mut(last) {
            Some(last) => last[NEXT] = u64::from(number),
            None => subscriber.first_set = number_of(u64::from(number)),
        }
    }

    /// Takes from a subscriber the first set for which `is_it` holds.
    pub fn take(&mut self, subscriber: &mut Subscriber, is_it: impl Fn(&PortSet) -> bool) -> Option<PortSet> {
        let (mut before, mut number) = (0, sheet_of(subscriber.first_set));
        while let Some(sheet) = self.0.at_mut(number) {
            let (set, next) = (read(sheet), sheet[NEXT]);
            if !is_it(&set) {
                (before, number) = (number, next as u32);
                continue;
            }
            *sheet = [0; SET_WORDS];
            match self.0.at_mut(before) {
                Some(before) => before[NEXT] = next,
                None => subscriber.first_set = number_of(next),
            }
            self.0.give_back(number);
            return Some(set);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ports::bitmaps::{AddressPorts, PORT_WORDS};
    use crate::state::ports::sheets::pieces;
    use crate::state::subscriber::Subscribers;
    use crate::state::table::index::Hasher;

    #[test]
    fn sets_are_kept_in_order_whichever_is_taken() {
        let (mut sheets, mut home, mut first) = (Sheets::new(), 0, 0);
        sheets.extend(pieces::<PORT_WORDS>(0, 1).collect());
        let mut ports = AddressPorts::new(&mut sheets, &mut home, &mut first, [192, 0, 2, 1].into());
        let mut subscribers = Subscribers::new(1, Hasher::new([1, 2]));
        let number = subscribers.enter(0, [10, 0, 0, 1].into()).unwrap();
        let host = subscribers.at_mut(number).unwrap();
        let mut sets = Sets::new();
        assert!(sets.is_full());
        sets.extend(pieces::<SET_WORDS>(0, 3).collect());
        for taken in 0..3u16 {
            let all: Vec<PortSet> = (0..3).map(|_| ports.take_set(64, 1, |_| true).unwrap()).collect();
            all.iter().for_each(|&set| sets.push(host, set));
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
