//! Doors: endpoints that gateways announced, with global ports that are theirs until a session uses them.

use std::net::Ipv4Addr;

use alg::Side;
use arrayvec::ArrayVec;
use hashbrown::HashMap;

use crate::flow::{Endpoint, Protocol, Vrf};
use crate::policy::{GatewayIndex, RuleId};
use crate::state::call::CallKey;
use crate::state::mapping::{Binding, Mapping, MappingKey};
use crate::state::room::{Initiator, Room};
use crate::state::session::Session;
use crate::state::table::index::Hasher;
use crate::state::table::slots::{NONE, Slots};

/// The most doors of a shard.
pub const DOORS_MAX: usize = 1 << 16;

/// Sessions through one door that wait for their confirmation at once.
pub const WAITING_MAX: usize = 8;

/// An announced endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The inside endpoint, as the inside sees it.
    pub inside: Endpoint,
    /// As it was announced to the outside.
    pub global: Endpoint,
    /// The only outside host that may use it.
    pub peer: Option<Ipv4Addr>,
    /// Of a door that is gone through outwards, where to, as the inside sees it. Its inside and global endpoints have no
    /// port: the session that goes through it brings one, and gets one.
    pub outward: Option<Endpoint>,
    /// VRFs of inside and outside.
    pub vrfs: (Vrf, Vrf),
    /// The rule that translates its sessions.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
    /// What its global endpoint is of.
    pub holds: Holds,
    /// The gateway that opened it.
    pub gateway: GatewayIndex,
    /// The gateway of the session that goes through it.
    pub child: Option<GatewayIndex>,
    /// The control session it was opened for, by index; `NONE` if it may outlive that.
    pub control: u32,
    /// How many sessions through it may still be confirmed.
    pub uses_left: u16,
    /// Sessions that went through it and were not confirmed yet, the oldest first; `NONE` in the rest of the places. Some may
    /// have ended since.
    pub waiting: [u32; WAITING_MAX],
    /// When it closes, in milliseconds.
    pub closes_ms: u32,
    /// When it was opened.
    pub created_ms: u32,
    /// Tells doors of one control session apart, as the gateway numbers them.
    pub tag: u32,
    /// Whose place in the table it has: the gateway, and who began the control session that it was opened for first.
    pub place: (GatewayIndex, Initiator),
    /// What it belongs to.
    owner: OwnerKey,
    /// Its places in the lists of its owner's doors and of those of its endpoint.
    links: [Links; 2],
}

/// Those before and behind a door in a list.
#[derive(Clone, Copy, Debug)]
struct Links {
    next: u32,
    previous: u32,
}

/// The lists that a door is in.
#[derive(Clone, Copy)]
enum List {
    Owner = 0,
    Endpoint = 1,
}

impl Links {
    const NONE: Links = Links { next: NONE, previous: NONE };
}

/// What a door's global endpoint is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A static rule: it cost nothing.
    Nothing,
    /// The mapping of a whole address, by number.
    Address(u32),
    /// A port, its own until a session beneath shares it.
    Port,
}

/// What doors belong to and are closed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerKey {
    /// A control session, by its index.
    ControlSession(u32),
    /// A call or registration.
    Call(CallKey),
}

impl Door {
    /// A door that belongs to nobody yet.
    pub fn new(
        owner: OwnerKey,
        protocol: Protocol,
        vrfs: (Vrf, Vrf),
        inside: Endpoint,
        global: Endpoint,
    ) -> Door {
        Door {
            inside,
            global,
            peer: None,
            outward: None,
            vrfs,
            rule: 0,
            protocol,
            holds: Holds::Nothing,
            gateway: 0,
            child: None,
            control: NONE,
            uses_left: 1,
            waiting: [NONE; WAITING_MAX],
            closes_ms: 0,
            created_ms: 0,
            tag: 0,
            place: (0, Initiator::host((vrfs.0, inside.addr))),
            owner,
            links: [Links::NONE; 2],
        }
    }

    /// Which inside endpoint it gives its global one to.
    pub fn binding(&self) -> Binding {
        Binding {
            own: self.inside,
            seen: self.global,
            own_vrf: self.vrfs.0,
            seen_vrf: self.vrfs.1,
            rule: self.rule,
            protocol: self.protocol,
            side: Side::Inside,
        }
    }

    /// What it belongs to.
    pub fn owner(&self) -> OwnerKey {
        self.owner
    }

    /// Whether a session is of its endpoint.
    pub fn leads(&self, session: &Session) -> bool {
        let (local, is_ours) = (session.inside_local(), session.inside_vrf() == self.vrfs.0);
        let is_at_endpoint = match self.outward {
            Some(outside) => local.addr == self.inside.addr && session.outside_local() == outside,
            None => local == self.inside,
        };
        is_at_endpoint && is_ours && session.protocol == self.protocol
    }

    /// What it is found by.
    fn keys(&self) -> ArrayVec<MappingKey, 2> {
        let Door { protocol, vrfs, inside, global, .. } = *self;
        if let Some(outside) = self.outward {
            return ArrayVec::from_iter([outward_key(protocol, vrfs.0, inside.addr, outside)]);
        }
        let own = Mapping::own_key(Side::Inside, protocol, vrfs.0, inside);
        ArrayVec::from([own, Mapping::seen_key(Side::Inside, protocol, vrfs.1, global)])
    }
}

/// The key of a door outwards: the host it is for, and where it leads. No mapping's key has the highest bit.
fn outward_key(protocol: Protocol, vrf: Vrf, host: Ipv4Addr, outside: Endpoint) -> MappingKey {
    let host = u64::from(host.to_bits()) << 24;
    [outside.bits(), u64::from(protocol) | u64::from(vrf) << 8 | host | 1 << 63]
}

/// The doors of a shard, found by either endpoint and by their owner. An endpoint that was announced more than once, to
/// several peers or by several owners, has as many doors and one global endpoint.
pub struct Doors {
    records: Slots<Door>,
    by_endpoint: HashMap<MappingKey, u32>,
    by_owner: HashMap<OwnerKey, u32>,
    room: Room,
}

impl Doors {
    /// Room for `capacity` doors.
    pub fn new(capacity: usize, hasher: Hasher) -> Doors {
        Doors {
            records: Slots::new(capacity),
            by_endpoint: HashMap::with_capacity(capacity * 2),
            by_owner: HashMap::with_capacity(capacity),
            room: Room::new(capacity, hasher),
        }
    }

    /// Whether there is no door at all, as is so for most of traffic's life.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Doors open.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Verifies that each has its place. For tests.
    pub(super) fn check(&self) -> Result<(), String> {
        self.room.check(self.records.len()).map_err(|text| format!("doors: {text}"))
    }

    /// Doors there is room for.
    pub fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// A door by its index.
    pub fn at(&self, index: u32) -> Option<&Door> {
        self.records.at(index)
    }

    /// A door by its index, whose endpoints and owner must stay.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut Door> {
        self.records.at_mut(index)
    }

    /// The doors from one index to before another.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Door)> {
        self.records.iter_between(start, end)
    }

    /// The first door of an inside endpoint.
    pub fn of_local(&self, protocol: Protocol, vrf: Vrf, inside: Endpoint) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.by_endpoint.get(&Mapping::own_key(Side::Inside, protocol, vrf, inside)).copied()
    }

    /// The first door of a global endpoint.
    pub fn of_global(&self, protocol: Protocol, vrf: Vrf, global: Endpoint) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.by_endpoint.get(&Mapping::seen_key(Side::Inside, protocol, vrf, global)).copied()
    }

    /// The door that leads an inside host to an outside endpoint.
    pub fn leading_to(&self, protocol: Protocol, vrf: Vrf, host: Ipv4Addr, outside: Endpoint) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.by_endpoint.get(&outward_key(protocol, vrf, host, outside)).copied()
    }

    /// How many more doors a gateway may have opened for a holder, who may have so many in all.
    pub fn left(&self, (gateway, holder): (GatewayIndex, Initiator), held_max: u32) -> usize {
        let of_holder = (held_max as usize).saturating_sub(self.room.taken_in_all(holder));
        self.room.left(gateway, holder).min(of_holder)
    }

    /// The first door of an owner.
    pub fn first_of(&self, owner: OwnerKey) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        self.by_owner.get(&owner).copied()
    }

    /// The door behind one in its owner's list.
    pub fn after(&self, index: u32) -> Option<u32> {
        self.behind(index, List::Owner)
    }

    /// A door and all behind it in its endpoint's list.
    pub fn from(&self, first: Option<u32>) -> impl Iterator<Item = (u32, &Door)> {
        let indexes = std::iter::successors(first, |&index| self.behind(index, List::Endpoint));
        indexes.filter_map(|index| Some((index, self.records.at(index)?)))
    }

    fn behind(&self, index: u32, list: List) -> Option<u32> {
        self.records.at(index).map(|door| door.links[list as usize].next).filter(|&next| next != NONE)
    }

    /// Opens a door. None where there is no room, or where one of its endpoints has another counterpart.
    pub fn insert(&mut self, mut door: Door) -> Option<u32> {
        let keys = door.keys();
        let beside = self.by_endpoint.get(&keys[0]).copied();
        let is_same = |of: &Door| of.keys() == keys;
        let is_alike = match beside.and_then(|beside| self.records.at(beside)) {
            Some(beside) => is_same(beside),
            None => !keys.iter().any(|key| self.by_endpoint.contains_key(key)),
        };
        if !is_alike {
            return None;
        }
        door.links = [Links::NONE; 2];
        let (owner, (gateway, holder)) = (door.owner, door.place);
        if self.records.is_full() || !self.room.take(gateway, holder, 1) {
            return None;
        }
        let index = self.records.insert(door)?;
        self.link(index, self.first_of(owner), List::Owner);
        self.link(index, beside, List::Endpoint);
        self.by_owner.insert(owner, index);
        keys.into_iter().for_each(|key| _ = self.by_endpoint.insert(key, index));
        Some(index)
    }

    /// Gives a door to another owner.
    pub fn hand(&mut self, index: u32, owner: OwnerKey) {
        if self.records.at(index).is_none_or(|door| door.owner == owner) {
            return;
        }
        self.leave_owner(index);
        if let Some(door) = self.records.at_mut(index) {
            door.owner = owner;
        }
        self.link(index, self.first_of(owner), List::Owner);
        self.by_owner.insert(owner, index);
    }

    /// Closes a door.
    pub fn remove(&mut self, index: u32) -> Option<Door> {
        self.leave_owner(index);
        let first = self.unlink(index, List::Endpoint);
        let door = self.records.remove(index)?;
        for key in door.keys() {
            match first {
                Some(NONE) => _ = self.by_endpoint.remove(&key),
                Some(first) => _ = self.by_endpoint.insert(key, first),
                None => {}
            }
        }
        let (gateway, holder) = door.place;
        self.room.give_back(gateway, holder, 1);
        Some(door)
    }

    /// Takes a door out of its owner's list.
    fn leave_owner(&mut self, index: u32) {
        let Some(owner) = self.records.at(index).map(|door| door.owner) else { return };
        match self.unlink(index, List::Owner) {
            Some(NONE) => _ = self.by_owner.remove(&owner),
            Some(first) => _ = self.by_owner.insert(owner, first),
            None => {}
        }
    }

    /// Puts a door before the first one of a list.
    fn link(&mut self, index: u32, first: Option<u32>, list: List) {
        if let Some(first) = first.and_then(|first| self.records.at_mut(first)) {
            first.links[list as usize].previous = index;
        }
        if let Some(door) = self.records.at_mut(index) {
            door.links[list as usize] = Links { next: first.unwrap_or(NONE), previous: NONE };
        }
    }

    /// Takes a door out of a list. Returns which one is the first of it now, where that was this one.
    fn unlink(&mut self, index: u32, list: List) -> Option<u32> {
        let Links { next, previous } = self.records.at(index)?.links[list as usize];
        if let Some(next) = self.records.at_mut(next) {
            next.links[list as usize].previous = previous;
        }
        match self.records.at_mut(previous) {
            Some(before) => {
                before.links[list as usize].next = next;
                None
            }
            None => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::UDP;

    fn door(owner: OwnerKey, port: u16) -> Door {
        let end = |last| Endpoint::new(Ipv4Addr::new(10, 0, 0, last), port);
        Door::new(owner, UDP, (0, 0), end(1), end(2))
    }

    #[test]
    fn doors_of_an_owner_are_a_list_that_any_of_them_can_leave() {
        let owner = OwnerKey::ControlSession(7);
        for leaving in 0..3 {
            let mut doors = Doors::new(3, Hasher::new([1, 2]));
            let opened: Vec<u32> = (0..3).filter_map(|port| doors.insert(door(owner, 5000 + port))).collect();
            assert_eq!(doors.insert(door(owner, 6000)), None, "full");
            let place = door(owner, 6000).place;
            assert_eq!(doors.left(place, 5), 0);
            doors.remove(opened[leaving]);
            let mut left = 0;
            while let Some(first) = doors.first_of(owner) {
                doors.remove(first);
                left += 1;
            }
            assert_eq!((left, doors.len(), doors.by_owner.len(), doors.by_endpoint.len()), (2, 0, 0, 0));
            assert_eq!(doors.left(place, 5), 3);
        }
    }

    fn call(hash: u64) -> OwnerKey {
        OwnerKey::Call(CallKey { host: (0, Ipv4Addr::new(10, 0, 0, 1)), hash })
    }

    #[test]
    fn a_door_changes_hands() {
        let mut doors = Doors::new(2, Hasher::new([1, 2]));
        let index = doors.insert(door(call(1), 5000)).unwrap();
        doors.hand(index, call(2));
        assert_eq!((doors.first_of(call(1)), doors.first_of(call(2))), (None, Some(index)));
    }

    #[test]
    fn doors_of_an_endpoint_are_a_list_with_one_global_endpoint() {
        for leaving in 0..3 {
            let mut doors = Doors::new(4, Hasher::new([1, 2]));
            let opened: Vec<u32> = (0..3).filter_map(|hash| doors.insert(door(call(hash), 5000))).collect();
            let mut other = door(call(3), 5000);
            other.global = other.global.behind(1);
            assert_eq!(doors.insert(other), None, "an endpoint has one global endpoint");
            other.inside = other.inside.behind(1);
            other.global = door(call(3), 5000).global;
            assert_eq!(doors.insert(other), None, "a global endpoint is of one");
            doors.remove(opened[leaving]);
            let inside = door(call(0), 5000).inside;
            let mut left: Vec<u32> = doors.from(doors.of_local(UDP, 0, inside)).map(|(n, _)| n).collect();
            left.sort_unstable();
            let rest: Vec<u32> = opened.iter().copied().filter(|&n| n != opened[leaving]).collect();
            assert_eq!(left, rest);
            left.into_iter().for_each(|index| _ = doors.remove(index));
            assert_eq!((doors.len(), doors.by_owner.len(), doors.by_endpoint.len()), (0, 0, 0));
        }
    }
}
