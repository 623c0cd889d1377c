//! Pools of global addresses.

use std::net::Ipv4Addr;

/// How a pool chooses an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Any free address.
    #[default]
    Generic,
    /// The address whose host part equals the inside host's, under a mask of this length.
    MatchHost(u8),
    /// The addresses in turn.
    Rotary,
    /// The address of an interface.
    Interface,
}

/// Addresses that dynamic rules hand out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pool {
    /// The pool's name, or the interface's.
    pub name: String,
    /// How an address is chosen.
    pub kind: PoolKind,
    /// First and last address of each range, in order, without network and broadcast addresses.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Length of its mask: each range lies within one network of it.
    pub prefix_len: u8,
}

impl Pool {
    /// How many addresses it has.
    pub fn address_count(&self) -> u32 {
        self.ranges.iter().map(|&(first, last)| last.to_bits() - first.to_bits() + 1).sum()
    }

    /// The address at a position from 0 to `address_count() - 1`.
    pub fn address_at(&self, mut position: u32) -> Option<Ipv4Addr> {
        for &(first, last) in &self.ranges {
            let count = last.to_bits() - first.to_bits() + 1;
            if position < count {
                return Some(Ipv4Addr::from_bits(first.to_bits() + position));
            }
            position -= count;
        }
        None
    }

    /// The address whose host part equals that of `host`, under a mask of `prefix_len` bits.
    pub fn match_host(&self, host: Ipv4Addr, prefix_len: u8) -> Option<Ipv4Addr> {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
        let (first, _) = self.ranges.first()?;
        let addr = Ipv4Addr::from_bits(first.to_bits() & mask | host.to_bits() & !mask);
        self.contains(addr).then_some(addr)
    }

    /// The position of an address.
    pub fn position_of(&self, addr: Ipv4Addr) -> Option<u32> {
        let mut before = 0;
        for &(first, last) in &self.ranges {
            if (first..=last).contains(&addr) {
                return Some(before + addr.to_bits() - first.to_bits());
            }
            before += last.to_bits() - first.to_bits() + 1;
        }
        None
    }

    /// Whether an address is of one of its networks, handed out or not.
    pub fn covers(&self, addr: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_len)).unwrap_or(0);
        self.ranges.iter().any(|(first, _)| (first.to_bits() ^ addr.to_bits()) & mask == 0)
    }

    /// Whether it holds this address.
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_counts_through_its_ranges() {
        let range = |a, b| (Ipv4Addr::new(192, 0, 2, a), Ipv4Addr::new(192, 0, 2, b));
        let ranges = vec![range(1, 3), range(9, 9)];
        let pool = Pool { name: "P".into(), kind: PoolKind::Generic, ranges, prefix_len: 29 };
        assert_eq!(pool.address_count(), 4);
        assert_eq!(pool.address_at(3), Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(pool.address_at(4), None);
        assert!(pool.contains(Ipv4Addr::new(192, 0, 2, 2)) && !pool.contains(Ipv4Addr::new(192, 0, 2, 4)));
        assert!(pool.covers(Ipv4Addr::new(192, 0, 2, 0)) && pool.covers(Ipv4Addr::new(192, 0, 2, 15)));
        assert!(!pool.covers(Ipv4Addr::new(192, 0, 2, 16)));
    }
}
