//! Subscribers: inside hosts with live sessions or mappings, and what each has.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use crate::flow::Vrf;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};
use crate::state::table::slots::{NONE, Slot};

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
    /// Those among them that strangers began and it has not answered: they count towards none of its limits.
    pub unsolicited_count: u32,
    /// Ports it has besides those of deterministic NAT.
    pub extra_ports: u32,
    /// The first of its port sets, on the paired address; `NONE` without any.
    pub first_set: u32,
    /// Its packets that should have begun a session and did not.
    pub refused_count: u32,
    /// Those among them that the limit on its sessions refused.
    pub limit_missed_count: u32,
    rate: Rate,
}

const _: () = assert!(size_of::<Slot<Subscriber>>() <= 52, "there may be as many subscribers as sessions");

/// A session in thousandths, which a rate gains in a millisecond.
const SESSION: u32 = 1000;

/// A token bucket of new sessions, of one second's depth.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    /// Thousandths of a session; none before the first one. The most is four million of them.
    credit: Option<NonZeroU32>,
    refilled_ms: u32,
}

impl Subscriber {
    /// Takes one session from a budget of so many a second.
    pub fn may_begin(&mut self, rate_max: u32, now: u32) -> bool {
        let credit = self.credit(rate_max, now);
        let left = credit.checked_sub(SESSION);
        // One more than there is, so that nothing is not the same as not started.
        let credit = NonZeroU32::MIN.checked_add(left.unwrap_or(credit));
        self.rate = Rate { credit, refilled_ms: now };
        left.is_some()
    }

    /// Whether the budget has one.
    pub fn has_credit(&self, rate_max: u32, now: u32) -> bool {
        self.credit(rate_max, now) >= SESSION
    }

    fn credit(&self, rate_max: u32, now: u32) -> u32 {
        let full = rate_max.saturating_mul(SESSION);
        let Some(credit) = self.rate.credit else { return full };
        let gained = u64::from(now.wrapping_sub(self.rate.refilled_ms)) * u64::from(rate_max);
        (u64::from(credit.get() - 1) + gained).min(u64::from(full)) as u32
    }

    /// Its live sessions, but for those that strangers began and it has not answered.
    pub fn own_count(&self) -> u32 {
        self.session_count - self.unsolicited_count
    }

    fn is_idle(&self) -> bool {
        self.mapping_count == 0 && self.session_count == 0
    }
}

/// All subscribers of a shard.
pub struct Subscribers(Keyed<Subscriber>);

fn key(vrf: Vrf, addr: Ipv4Addr) -> Key {
    [u64::from(addr.to_bits()), u64::from(vrf)]
}

impl Subscribers {
    /// Room for `capacity` subscribers.
    pub fn new(capacity: usize, hasher: Hasher) -> Subscribers {
        Subscribers(Keyed::new(capacity, hasher))
    }

    /// The subscriber of an inside address, made when it is new; none when there is no room.
    pub fn enter(&mut self, vrf: Vrf, addr: Ipv4Addr) -> Option<u32> {
        if let Some(index) = self.find(vrf, addr) {
            return Some(index);
        }
        let subscriber = Subscriber {
            addr,
            vrf,
            paired: None,
            mapping_count: 0,
            session_count: 0,
            unsolicited_count: 0,
            extra_ports: 0,
            first_set: NONE,
            refused_count: 0,
            limit_missed_count: 0,
            rate: Rate::default(),
        };
        self.0.insert(key(vrf, addr), subscriber)
    }

    /// The number of an inside address's subscriber.
    pub fn find(&self, vrf: Vrf, addr: Ipv4Addr) -> Option<u32> {
        self.0.find(key(vrf, addr), |subscriber| subscriber.addr == addr && subscriber.vrf == vrf)
    }

    /// The live sessions of an inside address.
    pub fn session_count(&self, vrf: Vrf, addr: Ipv4Addr) -> u32 {
        let subscriber = self.find(vrf, addr).and_then(|number| self.at(number));
        subscriber.map_or(0, |subscriber| subscriber.session_count)
    }

    /// Asks for the cache line that leads to a subscriber.
    pub fn prefetch(&self, vrf: Vrf, addr: Ipv4Addr) {
        self.0.prefetch(key(vrf, addr));
    }

    /// A subscriber's record.
    pub fn at(&self, index: u32) -> Option<&Subscriber> {
        self.0.at(index)
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Subscriber> {
        self.0.at_mut(index)
    }

    /// Forgets a subscriber that has nothing left, and returns it.
    pub fn leave_if_idle(&mut self, index: u32) -> Option<Subscriber> {
        let subscriber = self.0.at(index).filter(|subscriber| subscriber.is_idle())?;
        self.0.remove(key(subscriber.vrf, subscriber.addr), index)
    }

    /// All subscribers.
    pub fn iter(&self) -> impl Iterator<Item = &Subscriber> {
        self.0.iter()
    }

    /// The subscribers from one position to before another.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Subscriber)> {
        self.0.iter_between(start, end)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there is room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_a_burst_of_one_second_and_then_so_many() {
        let mut subscribers = Subscribers::new(1, Hasher::new([1, 2]));
        let index = subscribers.enter(0, Ipv4Addr::new(10, 0, 0, 1)).unwrap();
        let host = subscribers.at_mut(index).unwrap();
        let allowed = |host: &mut Subscriber, now| (0..100).filter(|_| host.may_begin(10, now)).count();
        assert_eq!(allowed(host, 5000), 10);
        assert_eq!(allowed(host, 5050), 0);
        assert_eq!(allowed(host, 5200), 2);
        assert_eq!(allowed(host, 60_000), 10);
    }
}
