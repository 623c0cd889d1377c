//! Pools of global addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::Place;

/// `ip nat pool NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where it stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// Its addresses; every range lies within one network of the mask.
    pub ranges: Vec<AddressRange>,
    /// The length of the mask, 1 to 32 bits. The mask's network and broadcast addresses are not handed out.
    pub prefix_length: u8,
    /// How addresses are chosen.
    pub kind: PoolKind,
}

impl Pool {
    /// The ranges without the network and broadcast addresses of the mask; none is empty.
    pub fn usable_ranges(&self) -> Vec<(Ipv4Addr, Ipv4Addr)> {
        let usable = |range: &AddressRange| {
            let network = Ipv4Net::new_assert(range.start, self.prefix_length);
            let has_ends = self.prefix_length < 31;
            let skips_first = has_ends && range.start == network.network();
            let skips_last = has_ends && range.end == network.broadcast();
            let first = range.start.to_bits() + u32::from(skips_first);
            let last = range.end.to_bits() - u32::from(skips_last);
            (first <= last).then(|| (Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last)))
        };
        self.ranges.iter().filter_map(usable).collect()
    }

    /// How many addresses are handed out.
    pub fn address_count(&self) -> u64 {
        let count = |(first, last): (Ipv4Addr, Ipv4Addr)| u64::from(last.to_bits() - first.to_bits()) + 1;
        self.usable_ranges().into_iter().map(count).sum()
    }
}

/// Addresses from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Where it stands.
    pub place: Place,
    /// The first address.
    pub start: Ipv4Addr,
    /// The last address, not below the first.
    pub end: Ipv4Addr,
}

impl AddressRange {
    /// Whether the address is in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.start..=self.end).contains(&address)
    }
}

/// How a pool chooses an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// Any free address.
    #[default]
    Generic,
    /// The address whose host part equals the subscriber's.
    MatchHost,
    /// The addresses in turn: the real servers of a virtual one.
    Rotary,
}
