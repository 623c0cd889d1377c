//! A fixed number of records, addressed by index.

/// "No record": ends lists and marks empty links.
pub const NONE: u32 = u32::MAX;

/// A table of at most `capacity` records. Memory is taken at the start and never again.
pub struct Slots<T> {
    records: Box<[Option<T>]>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    /// An empty table with room for `capacity` records.
    pub fn new(capacity: usize) -> Slots<T> {
        let records: Box<[Option<T>]> = std::iter::repeat_with(|| None).take(capacity).collect();
        // Popped from the end: low indexes are used first, so that a small load stays in few pages.
        let free = (0..capacity as u32).rev().collect();
        Slots { records, free }
    }

    /// Puts a record into a free place; none when the table is full.
    pub fn insert(&mut self, record: T) -> Option<u32> {
        let index = self.free.pop()?;
        self.records[index as usize] = Some(record);
        Some(index)
    }

    /// Takes a record out.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let record = self.records.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(record)
    }

    /// The record at an index.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        self.records.get(index as usize)?.as_ref()
    }

    /// The record at an index, to be changed.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.records.get_mut(index as usize)?.as_mut()
    }

    /// Asks for the record's cache line.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        if let Some(slot) = self.records.get(index as usize) {
            mem::prefetch(slot);
        }
    }

    /// Records in use.
    pub fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// Whether no record is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records there is room for.
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// Whether another record would find no room.
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// The records in use, with their indexes, from `start` on.
    pub fn iter_from(&self, start: u32) -> impl Iterator<Item = (u32, &T)> {
        let start = start as usize;
        let records = self.records.get(start..).unwrap_or_default();
        records.iter().enumerate().filter_map(move |(at, slot)| Some(((start + at) as u32, slot.as_ref()?)))
    }
}
