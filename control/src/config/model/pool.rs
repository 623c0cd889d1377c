//! Pools of global addresses.

use std::net::Ipv4Addr;

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
