//! The global addresses that policies named so far, and a number for each of them.
//!
//! An address keeps its number when the policy changes, so that tables by number stay valid. The control thread makes
//! the layout, since that takes a look at all addresses of a policy; workers only look addresses up.

use std::net::Ipv4Addr;

use crate::policy::Policy;

/// Addresses by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// In the order of their first addresses; no two overlap.
    stretches: Vec<Stretch>,
    count: u32,
}

/// Addresses that follow each other, and the number of the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    first: u32,
    last: u32,
    number: u32,
}

impl Layout {
    /// A layout with the addresses of `ranges` added. A range is its first and its last address.
    pub fn with(&self, ranges: impl IntoIterator<Item = (u32, u32)>) -> Layout {
        let mut layout = Layout { stretches: Vec::new(), count: self.count };
        let mut known = self.stretches.iter().peekable();
        for (mut first, last) in merged(ranges) {
            loop {
                while let Some(before) = known.next_if(|known| known.last < first) {
                    layout.stretches.push(*before);
                }
                match known.peek() {
                    Some(known) if known.first <= first => {
                        let Some(next) = known.last.checked_add(1).filter(|&next| next <= last) else {
                            break;
                        };
                        first = next;
                    }
                    Some(known) if known.first <= last => {
                        let next = known.first;
                        layout.add(first, next - 1);
                        first = next;
                    }
                    _ => {
                        layout.add(first, last);
                        break;
                    }
                }
            }
        }
        layout.stretches.extend(known);
        layout
    }

    fn add(&mut self, first: u32, last: u32) {
        self.stretches.push(Stretch { first, last, number: self.count });
        self.count = self.count.saturating_add((last - first).saturating_add(1));
    }

    /// The number of an address; none if no policy has named the address.
    #[inline]
    pub fn number_of(&self, addr: Ipv4Addr) -> Option<u32> {
        let bits = addr.to_bits();
        let at = self.stretches.partition_point(|stretch| stretch.last < bits);
        let stretch = self.stretches.get(at)?;
        Some(stretch.number + bits.checked_sub(stretch.first)?)
    }

    /// How many addresses there are.
    pub fn count(&self) -> u32 {
        self.count
    }
}

/// Sorts ranges, and joins those that touch or overlap.
fn merged(ranges: impl IntoIterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = ranges.into_iter().collect();
    ranges.sort_unstable();
    ranges.dedup_by(|next, range| {
        let touches = next.0 <= range.1.saturating_add(1);
        range.1 = if touches { range.1.max(next.1) } else { range.1 };
        touches
    });
    ranges
}

/// The ranges of global addresses that a policy's rules give to hosts. A range is its first and its last address.
pub fn ranges_of(policy: &Policy) -> impl Iterator<Item = (u32, u32)> + '_ {
    let inside = policy.rules.iter().map(|rule| rule.pool);
    let pools = inside.chain(policy.outside_rules.iter().map(|rule| rule.pool));
    let ranges = pools.filter_map(|pool| policy.pools.get(usize::from(pool))).flat_map(|pool| &pool.ranges);
    // For a static rule with a port, gateways take further ports of the same global address.
    let of_ports = policy.statics.rules().iter().filter(|fixed| fixed.protocol.is_some());
    let fixed = of_ports.map(|fixed| (fixed.global.addr, fixed.global.addr));
    ranges.copied().chain(fixed).map(|(first, last)| (first.to_bits(), last.to_bits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(layout: &Layout, bits: u32) -> Option<u32> {
        layout.number_of(Ipv4Addr::from_bits(bits))
    }

    #[test]
    fn addresses_keep_their_numbers_and_new_ones_come_behind() {
        let before = Layout::default().with([(20, 20), (10, 12), (12, 13)]);
        assert_eq!(before.count(), 5);
        let layout = before.with([(8, 40), (u32::MAX, u32::MAX), (11, 12)]);
        assert_eq!(layout.count(), 34);
        let known: Vec<u32> = [10, 11, 12, 13, 20].map(|addr| number(&layout, addr).unwrap()).to_vec();
        assert_eq!(known, [0, 1, 2, 3, 4]);
        let mut numbers: Vec<u32> =
            (8..=40).chain([u32::MAX]).map(|addr| number(&layout, addr).unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..34).collect::<Vec<u32>>());
        assert_eq!((number(&layout, 7), number(&layout, 41), number(&before, 14)), (None, None, None));
    }

    #[test]
    fn what_is_known_adds_nothing() {
        let before = Layout::default().with([(10, 12), (5, 6), (30, 40)]);
        let layout = before.with([(31, 35), (5, 5)]);
        assert_eq!((layout.count(), layout.stretches), (before.count(), before.stretches));
    }
}
