//! Pools of global addresses.

use std::net::Ipv4Addr;

/// Global addresses that dynamic rules hand out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The pool's name, or the interface's.
    pub name: String,
    /// First and last address of each range, in order, without network and broadcast addresses.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
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
        let pool = Pool { name: "P".into(), ranges: vec![range(1, 3), range(9, 9)] };
        assert_eq!(pool.address_count(), 4);
        assert_eq!(pool.address_at(3), Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(pool.address_at(4), None);
        assert!(pool.contains(Ipv4Addr::new(192, 0, 2, 2)) && !pool.contains(Ipv4Addr::new(192, 0, 2, 4)));
    }
}
