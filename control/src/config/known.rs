//! Statements that were read already, found by what tells those of a kind apart: a file may have a hundred thousand of a kind,
//! and each new one is looked for among those before it.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// A list of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum List {
    AccessLists,
    /// The entries of an access list, by its position.
    Entries(usize),
    ArpEntries,
    DestinationRules,
    DynamicRules,
    MaxEntries,
    MaxRates,
    /// The members of an object group, by its position.
    Members(usize),
    ObjectGroups,
    OutsideDynamicRules,
    OutsideStaticRules,
    Pools,
    /// The entries of a prefix list, by its position.
    PrefixEntries(usize),
    PrefixLists,
    Routes,
    StaticRules,
    TimeRanges,
    Tracks,
    Vrfs,
}

/// The positions of statements in their lists.
#[derive(Default)]
pub(super) struct Known {
    lists: HashMap<List, Positions>,
    /// The ranges of a pool, by its position.
    ranges: HashMap<usize, BTreeMap<Ipv4Addr, (Ipv4Addr, usize)>>,
}

#[derive(Default)]
struct Positions {
    /// By what tells them apart, the first of each.
    places: HashMap<String, usize>,
    /// How many of the list were entered.
    count: usize,
}

impl Known {
    /// The position of the first item with this identity. Items are only added behind those known, or replaced by one with
    /// the same identity, unless [`Known::forget`] was told.
    pub(super) fn position<T>(
        &mut self,
        list: List,
        items: &[T],
        identity_of: impl Fn(&T) -> String,
        identity: &str,
    ) -> Option<usize> {
        let positions = self.lists.entry(list).or_default();
        for (position, item) in items.iter().enumerate().skip(positions.count) {
            positions.places.entry(identity_of(item)).or_insert(position);
        }
        positions.count = items.len();
        positions.places.get(identity).copied()
    }

    /// The position of the first range of a pool, which do not overlap each other, that overlaps another one, its first and
    /// last address.
    pub(super) fn overlapping(
        &mut self,
        pool: usize,
        ranges: impl ExactSizeIterator<Item = (Ipv4Addr, Ipv4Addr)>,
        (first, last): (Ipv4Addr, Ipv4Addr),
    ) -> Option<usize> {
        let known = self.ranges.entry(pool).or_default();
        for (position, (start, end)) in ranges.enumerate().skip(known.len()) {
            known.insert(start, (end, position));
        }
        let before = known.range(..=last).rev();
        before.take_while(|(_, (end, _))| *end >= first).map(|(_, &(_, position))| position).min()
    }

    /// Items were removed, or moved.
    pub(super) fn forget(&mut self) {
        *self = Known::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_is_found_as_the_list_grows() {
        let mut known = Known::default();
        let mut items = vec!["a", "b", "a"];
        let mut find =
            |items: &[&str], wanted| known.position(List::Pools, items, |item| (*item).to_string(), wanted);
        assert_eq!((find(&items, "a"), find(&items, "c")), (Some(0), None));
        items.push("c");
        assert_eq!((find(&items, "b"), find(&items, "c")), (Some(1), Some(3)));
        known.forget();
        items.remove(0);
        let found = known.position(List::Pools, &items, |item| (*item).to_string(), "a");
        assert_eq!(found, Some(1));
    }

    #[test]
    fn the_first_range_that_overlaps_is_found() {
        let mut known = Known::default();
        let mut ranges = vec![(20, 29), (40, 49), (0, 9)];
        let addr = |(first, last): (u32, u32)| (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last));
        let mut find = |ranges: &[(u32, u32)], range| {
            known.overlapping(0, ranges.iter().map(|&range| addr(range)), addr(range))
        };
        let expected = [((10, 19), None), ((9, 20), Some(0)), ((30, 60), Some(1)), ((5, 6), Some(2))];
        for (range, found) in expected {
            assert_eq!(find(&ranges, range), found, "{range:?}");
        }
        ranges.push((60, 69));
        assert_eq!((find(&ranges, (69, 80)), find(&ranges, (0, 80))), (Some(3), Some(0)));
    }
}
