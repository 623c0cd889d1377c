//! Hosts that one worker must see together: the real servers of a virtual one, third parties and those that announce them.

use std::net::Ipv4Addr;

/// Inside addresses that belong to one worker whatever their hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// First and last address of each range.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Pin {
    /// Whether an address is among them.
    pub fn holds(&self, addr: Ipv4Addr) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&addr))
    }

    /// Whether one address is of both.
    pub fn overlaps(&self, ranges: &[(Ipv4Addr, Ipv4Addr)]) -> bool {
        let meets = |&(first, last): &(Ipv4Addr, Ipv4Addr)| {
            self.ranges.iter().any(|&(from, to)| first <= to && from <= last)
        };
        ranges.iter().any(meets)
    }
}
