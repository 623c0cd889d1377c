//! A fixed number of records, addressed by index.

/// "No record": ends lists and marks empty links.
pub const NONE: u32 = u32::MAX;

/// A table of at most `capacity` records. Memory is taken at the start and never again.
pub struct Slots<T> {
    records: Vec<Slot<T>>,
    /// The place that is filled next; free places are linked. Low ones come first, so that a small load stays in
    /// few pages.
    free: u32,
    len: usize,
}

/// One place of a table.
#[derive(Clone, Debug)]
pub enum Slot<T> {
    /// A record.
    Used(T),
    /// Free; the next free place, or `NONE`.
    Free(u32),
}

impl<T> Slot<T> {
    #[inline]
    fn record(&self) -> Option<&T> {
        match self {
            Slot::Used(record) => Some(record),
            Slot::Free(_) => None,
        }
    }
}

impl<T> Slots<T> {
    /// An empty table with room for `capacity` records, fewer than [`NONE`].
    pub fn new(capacity: usize) -> Slots<T> {
        let mut records = mem::vec_in_huge_pages(capacity);
        let next = |index: usize| if index + 1 < capacity { index as u32 + 1 } else { NONE };
        records.extend((0..capacity).map(|index| Slot::Free(next(index))));
        Slots { records, free: if capacity == 0 { NONE } else { 0 }, len: 0 }
    }

    /// Puts a record into a free place; none when the table is full.
    pub fn insert(&mut self, record: T) -> Option<u32> {
        let index = self.free;
        let slot = self.records.get_mut(index as usize)?;
        if let Slot::Free(next) = *slot {
            self.free = next;
        }
        *slot = Slot::Used(record);
        // The next one is not far off, and its line may be anywhere.
        self.prefetch_free();
        self.len += 1;
        Some(index)
    }

    /// Takes a record out.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.records.get_mut(index as usize)?;
        match std::mem::replace(slot, Slot::Free(self.free)) {
            Slot::Used(record) => {
                self.free = index;
                self.len -= 1;
                Some(record)
            }
            free => {
                *slot = free;
                None
            }
        }
    }

    /// The record at an index.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.records.get(index as usize)?.record()
    }

    /// The record at an index, to be changed.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.records.get_mut(index as usize)? {
            Slot::Used(record) => Some(record),
            Slot::Free(_) => None,
        }
    }

    /// Asks for the record's cache line.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        if let Some(slot) = self.records.get(index as usize) {
            mem::prefetch(slot);
        }
    }

    /// Asks for the cache line of the place that is filled next.
    #[inline]
    pub fn prefetch_free(&self) {
        self.prefetch(self.free);
    }

    /// Records in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no record is in use.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Records there is room for.
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// Whether another record would find no room.
    pub fn is_full(&self) -> bool {
        self.free == NONE
    }

    /// The records in use, with their indexes, from `start` to before `end`.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &T)> {
        let end = (end as usize).min(self.records.len());
        let records = self.records.get(start as usize..end).unwrap_or_default();
        records.iter().zip(start..).filter_map(|(slot, index)| Some((index, slot.record()?)))
    }

    /// The records in use, with their indexes, from `start` on.
    pub fn iter_from(&self, start: u32) -> impl Iterator<Item = (u32, &T)> {
        let start = start as usize;
        let records = self.records.get(start..).unwrap_or_default();
        records.iter().enumerate().filter_map(move |(at, slot)| Some(((start + at) as u32, slot.record()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_run_out() {
        let mut slots = Slots::new(2);
        assert_eq!((slots.insert('a'), slots.insert('b'), slots.insert('c')), (Some(0), Some(1), None));
        assert!(slots.is_full());
        assert_eq!((slots.remove(0), slots.remove(0), slots.remove(7)), (Some('a'), None, None));
        assert_eq!((slots.len(), slots.at(0), slots.at(1)), (1, None, Some(&'b')));
        assert_eq!(slots.insert('d'), Some(0));
        assert_eq!(slots.iter_from(0).collect::<Vec<_>>(), [(0, &'d'), (1, &'b')]);
    }
}
