//! The hash index: from a key's hash to a record's number, one cache line at a time.
//!
//! A bucket is one cache line of ten entries, each a 16-bit tag and a 32-bit value. A key lives in one of two
//! buckets: its first choice where there is room, else the other. A bucket counts the entries that it is the first
//! choice of and that live elsewhere, so that mostly one line tells that a key is not there. Lookups compare tags and
//! leave the final word to the caller, who holds the records. Removal empties the entry, so that there are no
//! tombstones, and nothing is ever rehashed. When both buckets are full, an entry of either is moved to its own other
//! bucket; when that fails too the insertion is refused, which at the load the table is sized for does not happen.

/// Entries of one bucket.
const WIDTH: usize = 10;
/// How far an insertion into full buckets goes to make room, beside moving an entry.
const STEPS: u32 = 1;
/// An entry that holds nothing. Values stay below it.
const EMPTY: u32 = u32::MAX;

#[derive(Clone)]
#[repr(C, align(64))]
struct Bucket {
    values: [u32; WIDTH],
    tags: [u16; WIDTH],
    /// Its entries that it is not the first choice of, a bit each.
    away: u16,
    /// Entries elsewhere that it is the first choice of; at the largest number it stays.
    displaced: u16,
}

const _: () = assert!(size_of::<Bucket>() == 64, "a bucket is one cache line");

/// A hash of a key, as the index uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    pub const NONE: Hash = Hash(0);

    /// The hash as a number.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// Mixes keys with a secret, so that an outsider cannot aim at a bucket.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    secret: [u64; 2],
}

impl Hasher {
    /// A hasher with this secret.
    pub fn new(secret: [u64; 2]) -> Hasher {
        // A multiplication by an even number would lose bits.
        Hasher { secret: [secret[0] | 1, secret[1] | 1] }
    }

    /// The hash of a key of two words.
    #[inline(always)]
    pub fn hash(&self, key: [u64; 2]) -> Hash {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ (product >> 64) as u64
        };
        let first = fold(key[0] ^ self.secret[0], 0x9e37_79b9_7f4a_7c15 ^ self.secret[1]);
        Hash(fold(first ^ key[1] ^ self.secret[1], 0xd1b5_4a32_d192_ed03 ^ self.secret[0]))
    }
}

/// What a look at a key's first bucket tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<T> {
    /// Probably this one.
    Likely(T),
    /// The key is not there.
    None,
    /// Its other bucket is to be looked at.
    Elsewhere,
}

/// An index of fixed size.
pub struct Index {
    buckets: Vec<Bucket>,
    len: usize,
}

impl Index {
    /// An index for at least `capacity` entries, loaded to at most 90 of 100.
    pub fn new(capacity: usize) -> Index {
        let count = (capacity * 100).div_ceil(90 * WIDTH).max(2);
        let empty = Bucket { values: [EMPTY; WIDTH], tags: [0; WIDTH], away: 0, displaced: 0 };
        let mut buckets = mem::vec_in_huge_pages(count);
        buckets.resize(count, empty);
        Index { buckets, len: 0 }
    }

    /// Entries in use.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory that the index takes.
    pub fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// Whether the index holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A number below the count of buckets, by the upper half of `mixed`.
    #[inline]
    fn scaled(&self, mixed: u64) -> usize {
        (((mixed >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn first(&self, hash: Hash) -> usize {
        self.scaled(hash.0)
    }

    #[inline]
    fn tag(hash: Hash) -> u16 {
        hash.0 as u16
    }

    /// The other bucket of an entry, from either of its buckets: their sum depends on the tag alone.
    #[inline]
    fn other(&self, bucket: usize, tag: u16) -> usize {
        let sum = self.scaled((u64::from(tag) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if sum >= bucket { sum - bucket } else { sum + self.buckets.len() - bucket }
    }

    /// Asks for the cache line of the key's first bucket.
    #[inline(always)]
    pub fn prefetch(&self, hash: Hash) {
        mem::prefetch(&self.buckets[self.first(hash)]);
    }

    /// The first value whose tag agrees, without asking whether the key does: the record to prefetch. Looks at the
    /// key's first bucket only.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash) -> Candidate<u32> {
        let Some(bucket) = self.buckets.get(self.first(hash)) else { return Candidate::None };
        let tagged = mem::equal_lanes(&bucket.tags, Self::tag(hash));
        match bucket.values.get(tagged.trailing_zeros() as usize) {
            Some(&value) if value != EMPTY => Candidate::Likely(value),
            None if bucket.displaced == 0 => Candidate::None,
            _ => Candidate::Elsewhere,
        }
    }

    /// Asks for the cache line of the key's other bucket.
    pub fn prefetch_other(&self, hash: Hash) {
        mem::prefetch(&self.buckets[self.other(self.first(hash), Self::tag(hash))]);
    }

    /// The first value whose tag agrees, in either bucket.
    pub fn candidate_anywhere(&self, hash: Hash) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The value stored under this hash for which `is_key` holds.
    #[inline]
    pub fn find(&self, hash: Hash, mut is_key: impl FnMut(u32) -> bool) -> Option<u32> {
        let first = self.first(hash);
        let (bucket, entry) = self.locate(hash, first, &mut is_key)?;
        Some(self.buckets[bucket].values[entry])
    }

    #[inline]
    fn locate(
        &self,
        hash: Hash,
        first: usize,
        is_key: &mut impl FnMut(u32) -> bool,
    ) -> Option<(usize, usize)> {
        let tag = Self::tag(hash);
        let entry = self.locate_in(first, tag, is_key).map(|entry| (first, entry));
        if entry.is_some() || self.buckets[first].displaced == 0 {
            return entry;
        }
        let other = self.other(first, tag);
        self.locate_in(other, tag, is_key).map(|entry| (other, entry))
    }

    #[inline]
    fn locate_in(&self, bucket: usize, tag: u16, is_key: &mut impl FnMut(u32) -> bool) -> Option<usize> {
        let Bucket { values, tags, .. } = &self.buckets[bucket];
        let mut tagged = mem::equal_lanes(tags, tag);
        while let Some(&value) = values.get(tagged.trailing_zeros() as usize) {
            if value != EMPTY && is_key(value) {
                return Some(tagged.trailing_zeros() as usize);
            }
            tagged &= tagged - 1;
        }
        None
    }

    /// Stores a value, which must not be stored under this hash yet. Returns false when there is no room.
    #[must_use]
    pub fn insert(&mut self, hash: Hash, value: u32) -> bool {
        let tag = Self::tag(hash);
        let first = self.first(hash);
        let other = self.other(first, tag);
        let stored = self.place(first, tag, value, false)
            || self.place(other, tag, value, true)
            || (self.make_room(first, STEPS) && self.place(first, tag, value, false))
            || (self.make_room(other, STEPS) && self.place(other, tag, value, true));
        self.len += usize::from(stored);
        stored
    }

    /// Puts an entry into a bucket with room, where it is `away` from its first choice or not.
    fn place(&mut self, at: usize, tag: u16, value: u32, is_away: bool) -> bool {
        let bucket = &mut self.buckets[at];
        let Some(entry) = bucket.values.iter().position(|&stored| stored == EMPTY) else { return false };
        (bucket.values[entry], bucket.tags[entry]) = (value, tag);
        if is_away {
            bucket.away |= 1 << entry;
            let first = self.other(at, tag);
            self.buckets[first].displaced = self.buckets[first].displaced.saturating_add(1);
        }
        true
    }

    /// Empties an entry.
    fn vacate(&mut self, at: usize, entry: usize) {
        let bucket = &mut self.buckets[at];
        bucket.values[entry] = EMPTY;
        if bucket.away & 1 << entry != 0 {
            bucket.away &= !(1 << entry);
            let tag = bucket.tags[entry];
            let first = self.other(at, tag);
            let displaced = &mut self.buckets[first].displaced;
            *displaced -= u16::from(*displaced != u16::MAX);
        }
    }

    /// Moves one entry of a full bucket to its other bucket; where those are all full too, and `steps` allow it, makes
    /// room in one of them first.
    fn make_room(&mut self, full: usize, steps: u32) -> bool {
        for entry in 0..WIDTH {
            if self.move_away(full, entry) {
                return true;
            }
        }
        for entry in 0..if steps == 0 { 0 } else { WIDTH } {
            let other = self.other(full, self.buckets[full].tags[entry]);
            if other != full && self.make_room(other, steps - 1) && self.move_away(full, entry) {
                return true;
            }
        }
        false
    }

    /// Moves an entry to its other bucket, if that has room.
    fn move_away(&mut self, from: usize, entry: usize) -> bool {
        let Bucket { values, tags, away, .. } = &self.buckets[from];
        let (value, tag, is_away) = (values[entry], tags[entry], away & 1 << entry != 0);
        let is_placed = self.place(self.other(from, tag), tag, value, !is_away);
        if is_placed {
            self.vacate(from, entry);
        }
        is_placed
    }

    /// Puts `new` in the place of a value stored under this hash.
    pub fn replace(&mut self, hash: Hash, old: u32, new: u32) {
        let first = self.first(hash);
        if let Some((bucket, entry)) = self.locate(hash, first, &mut |stored| stored == old) {
            self.buckets[bucket].values[entry] = new;
        }
    }

    /// Removes a value stored under this hash. Returns whether it was there.
    pub fn remove(&mut self, hash: Hash, value: u32) -> bool {
        let first = self.first(hash);
        let Some((bucket, entry)) = self.locate(hash, first, &mut |stored| stored == value) else {
            return false;
        };
        self.vacate(bucket, entry);
        self.len -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn agrees_with_a_map_under_churn() {
        let hasher = Hasher::new([7, 11]);
        let mut index = Index::new(1000);
        let mut map: HashMap<u64, u32> = HashMap::new();
        let mut random = 1u64;
        for round in 0..200_000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (random >> 33) % 1500;
            let hash = hasher.hash([key, 0]);
            match map.remove(&key) {
                Some(value) => assert!(index.remove(hash, value)),
                None if map.len() < 1000 => {
                    assert!(index.insert(hash, round));
                    map.insert(key, round);
                }
                None => {}
            }
            assert_eq!(index.len(), map.len());
            let probe = (random >> 13) % 1500;
            let found = index.find(hasher.hash([probe, 0]), |value| map.get(&probe) == Some(&value));
            assert_eq!(found, map.get(&probe).copied());
        }
    }

    #[test]
    fn buckets_know_what_is_elsewhere() {
        let hasher = Hasher::new([5, 9]);
        let mut index = Index::new(2000);
        let hashes: Vec<Hash> = (0..2000).map(|key| hasher.hash([key, 1])).collect();
        for round in 0..20 {
            hashes.iter().zip(0..).for_each(|(&hash, value)| assert!(index.insert(hash, value)));
            let is_elsewhere = |&&hash: &&Hash| index.candidate(hash) == Candidate::Elsewhere;
            assert!(hashes.iter().any(|hash| is_elsewhere(&hash)), "the load asks for second choices");
            hashes.iter().zip(0..).for_each(|(&hash, value)| assert!(index.remove(hash, value)));
            let is_clean = |bucket: &Bucket| (bucket.away, bucket.displaced) == (0, 0);
            assert!(index.buckets.iter().all(is_clean), "round {round}");
        }
    }

    #[test]
    fn fills_to_its_capacity_with_any_keys() {
        for seed in 0..20 {
            // As full as it may be, whatever the rounding of small tables gives besides.
            let hasher = Hasher::new([seed * 77 + 1, seed]);
            let mut index = Index::new(30_000);
            for key in 0..30_000u64 {
                assert!(index.insert(hasher.hash([key << 16, key]), key as u32), "seed {seed} key {key}");
            }
        }
    }

    #[test]
    fn a_large_index_fills_to_its_capacity_too() {
        let (hasher, count) = (Hasher::new([0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321]), 1 << 21);
        let mut index = Index::new(count as usize);
        for key in 0..count {
            assert!(
                index.insert(hasher.hash([key << 16 | 7, key.wrapping_mul(0x9e37_79b1)]), key as u32),
                "{key}"
            );
        }
    }

    #[test]
    fn both_buckets_of_an_entry_lead_to_each_other() {
        let index = Index::new(10_000);
        for tag in 0..=u16::MAX {
            let other = index.other(5, tag);
            assert!(other < index.buckets.len());
            assert_eq!(index.other(other, tag), 5);
        }
    }
}
