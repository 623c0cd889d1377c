//! Subscribers: inside hosts with live sessions or mappings, and what each has.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;
use hashbrown::HashMap;

use crate::state::ports::PortSet;
use crate::state::slots::Slots;
use crate::tuple::Vrf;

/// The most port sets of one subscriber.
pub const SETS_MAX: usize = 8;

/// An inside host.
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
    /// Its live sessions.
    pub session_count: u32,
    /// Ports it has besides its computed ones.
    pub extra_ports: u32,
    /// Its port sets, on the paired address.
    pub sets: ArrayVec<PortSet, SETS_MAX>,
    rate: Rate,
}

/// A token bucket of new sessions, of one second's depth.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    /// Thousandths of a session.
    credit: u64,
    refilled_ms: u32,
    is_started: bool,
}

impl Subscriber {
    /// Takes one session from a budget of so many a second.
    pub fn may_begin(&mut self, rate_max: u32, now: u32) -> bool {
        let full = u64::from(rate_max) * 1000;
        let rate = &mut self.rate;
        if !rate.is_started {
            *rate = Rate { credit: full, refilled_ms: now, is_started: true };
        }
        let passed_ms = now.wrapping_sub(rate.refilled_ms);
        rate.credit = (rate.credit + u64::from(passed_ms) * u64::from(rate_max)).min(full);
        rate.refilled_ms = now;
        match rate.credit.checked_sub(1000) {
            Some(left) => {
                rate.credit = left;
                true
            }
            None => false,
        }
    }

    fn is_idle(&self) -> bool {
        self.mapping_count == 0 && self.session_count == 0
    }
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
        let subscriber = Subscriber {
            addr,
            vrf,
            paired: None,
            mapping_count: 0,
            session_count: 0,
            extra_ports: 0,
            sets: ArrayVec::new(),
            rate: Rate::default(),
        };
        let index = self.records.insert(subscriber)?;
        self.by_addr.insert((vrf, addr), index);
        Some(index)
    }

    /// The number of an inside address's subscriber.
    pub fn find(&self, vrf: Vrf, addr: Ipv4Addr) -> Option<u32> {
        self.by_addr.get(&(vrf, addr)).copied()
    }

    /// A subscriber's record.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Subscriber> {
        self.records.at_mut(index)
    }

    /// Forgets a subscriber that has nothing left, and returns it.
    pub fn leave_if_idle(&mut self, index: u32) -> Option<Subscriber> {
        if !self.records.at(index).is_some_and(Subscriber::is_idle) {
            return None;
        }
        let subscriber = self.records.remove(index)?;
        self.by_addr.remove(&(subscriber.vrf, subscriber.addr));
        Some(subscriber)
    }

    /// All subscribers.
    pub fn iter(&self) -> impl Iterator<Item = &Subscriber> {
        self.records.iter_from(0).map(|(_, subscriber)| subscriber)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_a_burst_of_one_second_and_then_so_many() {
        let mut subscribers = Subscribers::new(1);
        let index = subscribers.enter(0, Ipv4Addr::new(10, 0, 0, 1)).unwrap();
        let host = subscribers.at_mut(index).unwrap();
        let allowed = |host: &mut Subscriber, now| (0..100).filter(|_| host.may_begin(10, now)).count();
        assert_eq!(allowed(host, 5000), 10);
        assert_eq!(allowed(host, 5050), 0);
        assert_eq!(allowed(host, 5200), 2);
        assert_eq!(allowed(host, 60_000), 10);
    }
}
