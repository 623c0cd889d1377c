//! Subscribers: inside hosts with live mappings, and the global address each is paired with.

use std::net::Ipv4Addr;

use hashbrown::HashMap;

use crate::state::slots::Slots;
use crate::tuple::Vrf;

/// An inside host with mappings.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Its address.
    pub addr: Ipv4Addr,
    /// Its VRF.
    pub vrf: Vrf,
    /// The global address its mappings share (RFC 4787 REQ-2), and the pool that address is from.
    pub paired: Option<(u16, Ipv4Addr)>,
    /// Its live mappings.
    pub mapping_count: u32,
}

/// All subscribers of a shard.
pub struct Subscribers {
    records: Slots<Subscriber>,
    by_addr: HashMap<(Vrf, Ipv4Addr), u32>,
}

impl Subscribers {
    /// Room for `capacity` subscribers.
    pub fn new(capacity: usize) -> Subscribers {
        Subscribers { records: Slots::new(capacity), by_addr: HashMap::with_capacity(capacity) }
    }

    /// The subscriber of an inside address, made when it is new; none when there is no room.
    pub fn enter(&mut self, vrf: Vrf, addr: Ipv4Addr) -> Option<u32> {
        if let Some(&index) = self.by_addr.get(&(vrf, addr)) {
            return Some(index);
        }
        let index = self.records.insert(Subscriber { addr, vrf, paired: None, mapping_count: 0 })?;
        self.by_addr.insert((vrf, addr), index);
        Some(index)
    }

    /// A subscriber's record.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Subscriber> {
        self.records.at_mut(index)
    }

    /// Forgets a subscriber that has no mapping left.
    pub fn leave_if_idle(&mut self, index: u32) {
        if self.records.at(index).is_some_and(|subscriber| subscriber.mapping_count == 0)
            && let Some(subscriber) = self.records.remove(index)
        {
            self.by_addr.remove(&(subscriber.vrf, subscriber.addr));
        }
    }

    /// Subscribers with live mappings.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
