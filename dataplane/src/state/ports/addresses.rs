//! The global addresses of a shard, and what is in use of each.
//!
//! Room for all addresses of a policy is made when the policy arrives. It is asked of the system in one piece and all
//! zero, so that an address takes memory when its ports are first used, and nothing is allocated then.

use std::net::Ipv4Addr;

use crate::policy::Policy;
use crate::state::ports::bitmaps::{AddressPorts, BITMAPS_WORDS, Bitmaps, NOTHING_USED, Used};

/// The addresses that policies named so far. Room that was made once stays.
#[derive(Default)]
pub struct Addresses {
    /// By first address; no two overlap.
    stretches: Vec<Stretch>,
}

/// Addresses that follow each other.
struct Stretch {
    first: u32,
    used: Vec<Used>,
    /// Empty while the addresses are given as a whole only.
    bitmaps: Vec<Bitmaps>,
}

impl Stretch {
    fn new(first: u32, last: u32) -> Stretch {
        let count = (last - first) as usize + 1;
        Stretch { first, used: vec![NOTHING_USED; count], bitmaps: Vec::new() }
    }

    fn last(&self) -> u32 {
        self.first + (self.used.len() - 1) as u32
    }

    fn make_room_for_ports(&mut self) {
        if self.bitmaps.is_empty() {
            self.bitmaps = vec![[0; BITMAPS_WORDS]; self.used.len()];
        }
    }
}

impl Addresses {
    /// Makes room for the addresses that a policy's rules may give.
    pub fn make_room(&mut self, policy: &Policy) {
        let inside = policy.rules.iter().map(|rule| (rule.pool, rule.overload));
        let outside = policy.outside_rules.iter().map(|rule| (rule.pool, false));
        for (pool, has_ports) in inside.chain(outside) {
            let Some(pool) = policy.pools.get(usize::from(pool)) else { continue };
            for &(first, last) in &pool.ranges {
                self.make_room_between(first.to_bits(), last.to_bits(), has_ports);
            }
        }
        // Gateways take ports beside those of statics.
        for fixed in policy.statics.rules().iter().filter(|fixed| fixed.protocol.is_some()) {
            let addr = fixed.global.addr.to_bits();
            self.make_room_between(addr, addr, true);
        }
    }

    fn make_room_between(&mut self, first: u32, last: u32, has_ports: bool) {
        let mut next = Some(first);
        while let Some(from) = next.filter(|&from| from <= last) {
            let at = self.stretches.partition_point(|stretch| stretch.last() < from);
            if self.stretches.get(at).is_none_or(|stretch| stretch.first > from) {
                let end = self.stretches.get(at).map_or(last, |after| last.min(after.first - 1));
                self.stretches.insert(at, Stretch::new(from, end));
            }
            if has_ports {
                self.stretches[at].make_room_for_ports();
            }
            next = self.stretches[at].last().checked_add(1);
        }
    }

    fn place(&self, addr: Ipv4Addr) -> Option<(usize, usize)> {
        let bits = addr.to_bits();
        let at = self.stretches.partition_point(|stretch| stretch.last() < bits);
        let offset = bits.checked_sub(self.stretches.get(at)?.first)?;
        Some((at, offset as usize))
    }

    /// How much of an address is in use; none for one that no policy ever named.
    pub fn used(&self, addr: Ipv4Addr) -> Option<&Used> {
        let (at, offset) = self.place(addr)?;
        self.stretches[at].used.get(offset)
    }

    /// How much of an address is in use, to be changed as a whole.
    pub fn used_mut(&mut self, addr: Ipv4Addr) -> Option<&mut Used> {
        let (at, offset) = self.place(addr)?;
        self.stretches[at].used.get_mut(offset)
    }

    /// The ports of an address; none where the policy overloads no pool that holds it.
    pub fn ports_mut(&mut self, addr: Ipv4Addr) -> Option<AddressPorts<'_>> {
        let (at, offset) = self.place(addr)?;
        let Stretch { used, bitmaps, .. } = &mut self.stretches[at];
        Some(AddressPorts::new(used.get_mut(offset)?, bitmaps.get_mut(offset)?))
    }

    /// Addresses in use, and how much of each.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv4Addr, &Used)> {
        let addrs = |stretch: &Stretch| (stretch.first..=stretch.last()).map(Ipv4Addr::from_bits);
        self.stretches.iter().flat_map(move |stretch| addrs(stretch).zip(&stretch.used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: fn(u32) -> Ipv4Addr = Ipv4Addr::from_bits;

    #[test]
    fn stretches_grow_around_those_that_are_there() {
        let mut addresses = Addresses::default();
        addresses.make_room_between(10, 12, false);
        addresses.make_room_between(20, 20, true);
        addresses.used_mut(A(20)).unwrap()[0] = 7;
        addresses.make_room_between(8, 40, true);
        addresses.make_room_between(8, 22, false);
        let ends: Vec<(u32, u32)> =
            addresses.stretches.iter().take(4).map(|stretch| (stretch.first, stretch.last())).collect();
        assert_eq!(ends, [(8, 9), (10, 12), (13, 19), (20, 20)]);
        assert!((8..30).all(|addr| addresses.ports_mut(A(addr)).is_some()));
        assert_eq!((addresses.used(A(7)), addresses.used(A(20))), (None, Some(&[7, 0, 0, 0])));
    }
}
