//! Records found by a key: as many as there is room for and never more, without a rehash.

use crate::state::table::index::{Hasher, Index};
use crate::state::table::slots::Slots;

/// A key of records, in two words.
pub type Key = [u64; 2];

/// A table of records with an index of their keys. The records know their keys themselves.
pub struct Keyed<T> {
    hasher: Hasher,
    records: Slots<T>,
    index: Index,
}

impl<T> Keyed<T> {
    /// An empty table with room for `capacity` records.
    pub fn new(capacity: usize, hasher: Hasher) -> Keyed<T> {
        Keyed { hasher, records: Slots::new(capacity), index: Index::new(capacity) }
    }

    /// The number of the record with this key that `is_it` knows.
    pub fn find(&self, key: Key, is_it: impl Fn(&T) -> bool) -> Option<u32> {
        self.index.find(self.hasher.hash(key), |number| self.records.at(number).is_some_and(&is_it))
    }

    /// Asks for the index's cache line of a key.
    pub fn prefetch(&self, key: Key) {
        self.index.prefetch(self.hasher.hash(key));
    }

    /// Enters a record under a key that no record has. None when there is no room.
    pub fn insert(&mut self, key: Key, record: T) -> Option<u32> {
        let number = self.records.insert(record)?;
        let is_entered = self.index.insert(self.hasher.hash(key), number);
        if !is_entered {
            self.records.remove(number);
        }
        is_entered.then_some(number)
    }

    /// Takes out a record that is entered under this key.
    pub fn remove(&mut self, key: Key, number: u32) -> Option<T> {
        let record = self.records.remove(number)?;
        self.index.remove(self.hasher.hash(key), number);
        Some(record)
    }

    /// A record by its number.
    pub fn at(&self, number: u32) -> Option<&T> {
        self.records.at(number)
    }

    /// A record by its number, to be changed. Its key must stay.
    pub fn at_mut(&mut self, number: u32) -> Option<&mut T> {
        self.records.at_mut(number)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.records.iter_from(0).map(|(_, record)| record)
    }

    /// The records from one position to before another.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &T)> {
        self.records.iter_between(start, end)
    }

    /// Records in the table.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Records there is room for.
    pub fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// Whether the table has no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_and_go_without_end_in_the_room_there_is() {
        let mut table: Keyed<u64> = Keyed::new(4, Hasher::new([3, 5]));
        for round in 0..10_000u64 {
            let number = table.insert([round, 1], round).unwrap();
            assert_eq!(table.find([round, 1], |&record| record == round), Some(number));
            if let Some(old) = round.checked_sub(3) {
                let number = table.find([old, 1], |&record| record == old).unwrap();
                assert_eq!(table.remove([old, 1], number), Some(old));
            }
        }
        assert_eq!((table.len(), table.insert([1, 0], 1).is_some()), (3, true));
        assert_eq!(table.insert([2, 0], 2), None, "there is room for four");
        assert_eq!(table.iter().count(), 4);
    }
}
