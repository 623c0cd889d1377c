//! Opening doors, going through them and closing them.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Owner, Ports, Refusal};

use crate::flow::{Endpoint, Protocol, Vrf, protocol_of};
use crate::lives::EndReason;
use crate::policy::{GatewayIndex, Policy, gateway_named};
use crate::state::call::CallKey;
use crate::state::door::{Door, Holds, OwnerKey};
use crate::state::mapped::Mapped;
use crate::state::ports::request::Source;
use crate::state::room::Initiator;
use crate::state::session::{Above, Session};
use crate::state::shard::Shard;
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

/// The longest that a door waits, in seconds.
const LIFE_MAX_S: u32 = 86_400;
/// Of strangers' flows, so many end for one door at most: those that have doors themselves are among them.
const GIVING_WAY_MAX: usize = 4;

/// Who asks for a door.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The control session's index.
    pub control: u32,
    /// Its gateway.
    pub gateway: GatewayIndex,
    /// The inside host whose calls it speaks of.
    pub callers: (Vrf, Ipv4Addr),
}

impl Asker {
    /// The key of what a gateway says a door belongs to, and the door's number there.
    pub fn owner_key(&self, owner: Owner) -> (OwnerKey, u32) {
        match owner {
            Owner::Session(number) => (OwnerKey::ControlSession(self.control), number),
            Owner::Call(hash) => (OwnerKey::Call(self.call_key(hash)), 0),
            Owner::Part(hash, number) => (OwnerKey::Call(self.call_key(hash)), number),
        }
    }

    /// What a call is found by.
    pub fn call_key(&self, hash: u64) -> CallKey {
        CallKey { host: self.callers, hash }
    }
}

/// An endpoint as gateways write it.
pub fn endpoint(addr: SocketAddrV4) -> Endpoint {
    Endpoint::new(*addr.ip(), addr.port())
}

/// An endpoint for gateways.
pub fn socket_addr(end: Endpoint) -> SocketAddrV4 {
    SocketAddrV4::new(end.addr, end.port)
}

/// How a door is used.
#[derive(Clone, Copy)]
struct Terms {
    peer: Option<Ipv4Addr>,
    life_s: u32,
    uses_max: u16,
    owner: Owner,
    child: Option<&'static str>,
}

impl Terms {
    fn of(wanted: &alg::Door) -> Terms {
        let alg::Door { peer, life_s, uses_max, owner, child, .. } = *wanted;
        Terms { peer, life_s, uses_max, owner, child }
    }
}

/// What went through a door needs to know of it.
#[derive(Clone, Copy, Debug)]
pub struct Through {
    /// The gateway of the session that goes through it.
    pub child: Option<GatewayIndex>,
    /// The control session it was opened for; `NONE` if it outlived that.
    pub control: u32,
    /// The gateway that opened it.
    pub gateway: GatewayIndex,
    /// What the door belongs to, and its number there.
    pub owner: (OwnerKey, u32),
}

impl Shard {
    /// Opens a door, or two for a pair, and returns the global endpoint to announce: the one that the inside endpoint has
    /// already, or else a new one. A door that its owner opened before takes the rest of what is asked for. New doors are
    /// added to `opened`.
    pub fn reserve(
        &mut self,
        policy: &Policy,
        asker: Asker,
        wanted: &alg::Door,
        opened: &mut impl Extend<u32>,
        now: u32,
    ) -> Result<SocketAddrV4, Refusal> {
        let control = self.sessions.at(asker.control).ok_or(Refusal::NoPort)?.clone();
        let inside = endpoint(wanted.inside);
        let is_third_party =
            || policy.gateways.third_parties.is_some_and(|acl| policy.permits_host(acl, inside.addr));
        if inside.addr != control.inside_local().addr && !is_third_party() {
            return Err(Refusal::ForeignAddress);
        }
        // Where it sends from now it may wait, too.
        if inside.port < 1024 && wanted.ports != Ports::Reserved && inside != control.inside_local() {
            return Err(Refusal::LowPort);
        }
        let (owner, tag) = asker.owner_key(wanted.owner);
        let vrfs = (control.inside_vrf(), control.outside_vrf());
        let mut door = Door::new(owner, protocol_of(wanted.transport), vrfs, inside, inside);
        (door.rule, door.created_ms, door.tag) = (control.rule, now, tag);
        door.place = (asker.gateway, Initiator::of(&control));
        let count: u16 = if wanted.ports == Ports::Pair { 2 } else { 1 };
        let known = [0, 1].map(|k| if k < count { self.find_own(&door, inside.behind(k)) } else { None });
        let missing = count - known.iter().flatten().count() as u16;
        let has_room = missing == 0 || self.has_room_for_doors(policy, (&door, asker.control), missing, now);
        // Rather than refuse an endpoint that is open for this peer, its door changes hands.
        let open = [0, 1].map(|k| {
            let other = || if has_room || k >= count { None } else { self.find_open(&door, k, wanted.peer) };
            known[usize::from(k)].or_else(other)
        });
        if !has_room && open.iter().flatten().count() < usize::from(count) {
            return Err(Refusal::DoorLimit);
        }
        let new = self.open_missing(policy, &control, door, (wanted.ports, open), now)?;
        let of = open.into_iter().flatten().chain(new.iter().copied());
        of.for_each(|index| self.set_terms(asker, index, Terms::of(wanted), now));
        let first = open[0].or_else(|| new.first().copied());
        opened.extend(new);
        first
            .and_then(|first| self.doors.at(first))
            .map(|door| socket_addr(door.global))
            .ok_or(Refusal::NoPort)
    }

    /// The door of an inside endpoint that belongs to what another one does.
    fn find_own(&self, like: &Door, inside: Endpoint) -> Option<u32> {
        let (mut next, owner) = (None, like.owner());
        std::iter::from_fn(|| self.next_of(owner, Some(like.tag), &mut next)).find(|&index| {
            let place = |door: &Door| (door.protocol, door.vrfs.0, door.inside, door.outward);
            self.doors.at(index).map(place) == Some((like.protocol, like.vrfs.0, inside, None))
        })
    }

    /// The door of the inside endpoint so far behind another door's that is for this peer.
    fn find_open(&self, like: &Door, behind: u16, peer: Option<Ipv4Addr>) -> Option<u32> {
        let first = self.doors.of_local(like.protocol, like.vrfs.0, like.inside.behind(behind));
        self.doors.from(first).find(|(_, door)| door.peer == peer).map(|(index, _)| index)
    }

    /// Whether there is room for as many more doors like one, for a control session by its index. One that a stranger began
    /// takes the room of others that strangers began and nobody confirmed.
    fn has_room_for_doors(
        &mut self,
        policy: &Policy,
        (like, control): (&Door, u32),
        count: u16,
        now: u32,
    ) -> bool {
        let is_unsolicited = self.sessions.at(control).is_some_and(Session::is_unsolicited);
        for _ in 0..GIVING_WAY_MAX {
            if usize::from(count) <= self.doors.left(like.place, policy.gateways.doors_per_host_max) {
                return true;
            }
            if !is_unsolicited || !self.end_unsolicited_flow(policy, control, now) {
                break;
            }
        }
        false
    }

    /// Opens a door outwards, to be gone through once, by the control session's global address. One that is open already
    /// takes the rest of what is asked for. A new one is added to `opened`.
    pub fn open_outward(
        &mut self,
        policy: &Policy,
        asker: Asker,
        wanted: &alg::OutwardDoor,
        opened: &mut impl Extend<u32>,
        now: u32,
    ) -> Result<(), Refusal> {
        let control = self.sessions.at(asker.control).ok_or(Refusal::NoPort)?;
        let (protocol, outside) = (protocol_of(wanted.transport), endpoint(wanted.outside));
        let vrfs = (control.inside_vrf(), control.outside_vrf());
        let [inside, global] =
            [control.inside_local(), control.inside_global()].map(|end| Endpoint::new(end.addr, 0));
        let (owner, tag) = asker.owner_key(wanted.owner);
        let mut door = Door::new(owner, protocol, vrfs, inside, global);
        (door.rule, door.outward, door.created_ms, door.tag) = (control.rule, Some(outside), now, tag);
        door.place = (asker.gateway, Initiator::of(control));
        let known = self.doors.leading_to(protocol, vrfs.0, inside.addr, outside);
        // By another address of this host's, it is another door.
        let is_same = |index: &u32| self.doors.at(*index).is_some_and(|known| known.global == global);
        let index = match known.filter(is_same) {
            Some(index) => index,
            None if known.is_some() || !self.has_room_for_doors(policy, (&door, asker.control), 1, now) => {
                return Err(Refusal::DoorLimit);
            }
            None => {
                let index = self.doors.insert(door).ok_or(Refusal::DoorLimit)?;
                opened.extend([index]);
                index
            }
        };
        let (peer, uses_max) = (Some(outside.addr), 1);
        let alg::OutwardDoor { life_s, owner, child, .. } = *wanted;
        self.set_terms(asker, index, Terms { peer, life_s, uses_max, owner, child }, now);
        Ok(())
    }

    /// The global endpoint of a session that is expected, and the mapping that it will be beneath.
    pub fn map_expected(
        &mut self,
        policy: &Policy,
        (protocol, vrf): (Protocol, Vrf),
        local: Endpoint,
        outside: Endpoint,
        now: u32,
    ) -> Option<(Endpoint, Mapped)> {
        let index = self.doors.leading_to(protocol, vrf, local.addr, outside)?;
        let door = *self.doors.at(index).filter(|door| !is_due(now, door.closes_ms))?;
        let source = Source { protocol, vrf, local, to: Some(outside.addr), ports: Ports::One };
        let known =
            self.find_port(source, door.rule).and_then(|index| Some((index, self.sessions.at(index)?)));
        let (above, global) = match known {
            Some((index, session)) => (Above::Port(index), session.inside_global()),
            None if self.sessions.is_full() => return None,
            None => {
                let lease =
                    self.take_beside(policy, door.rule, door.vrfs, source, (door.global.addr, None), now)?;
                let global = lease.end();
                (Above::New(lease), global)
            }
        };
        Some((global, Mapped { local, vrfs: door.vrfs, rule: door.rule, above }))
    }

    fn set_terms(&mut self, asker: Asker, index: u32, terms: Terms, now: u32) {
        let node = self.door_node(index);
        let (owner, tag) = asker.owner_key(terms.owner);
        self.doors.hand(index, owner);
        let Some(door) = self.doors.at_mut(index) else { return };
        door.peer = terms.peer;
        (door.gateway, door.tag) = (asker.gateway, tag);
        door.child = terms.child.and_then(gateway_named);
        door.uses_left = terms.uses_max.max(1);
        door.closes_ms = now.wrapping_add(terms.life_s.min(LIFE_MAX_S) * 1000);
        door.control = if matches!(owner, OwnerKey::ControlSession(..)) { asker.control } else { NONE };
        let closes_ms = door.closes_ms;
        self.wheel.disarm(node);
        self.wheel.arm(node, closes_ms);
    }

    /// The door that a packet from outside may go through.
    pub fn door_from_outside(
        &self,
        protocol: Protocol,
        vrf: Vrf,
        global: Endpoint,
        peer: Ipv4Addr,
        now: u32,
    ) -> Option<&Door> {
        let doors = self.doors.from(self.doors.of_global(protocol, vrf, global));
        doors.map(|(_, door)| door).find(|door| self.is_open(door, peer, now))
    }

    /// The door of an inside endpoint that sends itself: its global endpoint is the one that was announced.
    pub fn door_from_inside(&self, protocol: Protocol, vrf: Vrf, local: Endpoint, now: u32) -> Option<&Door> {
        let doors = self.doors.from(self.doors.of_local(protocol, vrf, local));
        doors.map(|(_, door)| door).find(|door| !is_due(now, door.closes_ms) && self.is_mapped(door))
    }

    /// The door of a global endpoint, whoever may use it.
    pub fn door_of_global(&self, protocol: Protocol, vrf: Vrf, global: Endpoint) -> Option<&Door> {
        self.doors.at(self.doors.of_global(protocol, vrf, global)?)
    }

    fn is_open(&self, door: &Door, peer: Ipv4Addr, now: u32) -> bool {
        door.peer.is_none_or(|only| only == peer) && !is_due(now, door.closes_ms) && self.is_mapped(door)
    }

    /// Whether the whole address that a door relies on is still its host's.
    pub(super) fn is_mapped(&self, door: &Door) -> bool {
        match door.holds {
            Holds::Address(mapping) => {
                self.mappings.at(mapping).is_some_and(|mapping| mapping.binding.own.addr == door.inside.addr)
            }
            Holds::Nothing | Holds::Port => true,
        }
    }

    /// The mapping that sessions through a door are beneath.
    pub fn above_of_door(&self, door: &Door) -> Above {
        match door.holds {
            Holds::Nothing => Above::Fixed,
            Holds::Address(mapping) => Above::Address(mapping),
            Holds::Port => {
                self.find_ring(door.vrfs.1, door.protocol, door.global).map_or(Above::Door, Above::Port)
            }
        }
    }

    /// Sessions of a door's endpoint, so many at most. None where its global endpoint is no port of its own.
    pub fn session_count_of_door(&self, door: &Door, count_max: u32) -> Option<u32> {
        let first = match self.above_of_door(door) {
            Above::Port(first) => first,
            Above::Door => return Some(0),
            _ => return None,
        };
        let behind = |&index: &u32| self.sessions.at(index).map(|session| session.next);
        let others = std::iter::successors(behind(&first), behind).take_while(|&index| index != first);
        Some(1 + others.take(count_max.saturating_sub(1) as usize).count() as u32)
    }

    /// Whether a global endpoint belongs to a door, whatever sessions there are.
    pub(super) fn is_held_by_door(&self, protocol: Protocol, vrf: Vrf, global: Endpoint) -> bool {
        let door = self.doors.of_global(protocol, vrf, global).and_then(|index| self.doors.at(index));
        door.is_some_and(|door| door.holds == Holds::Port)
    }

    /// A session began with this outside host: it may have gone through a door, which closes behind the last that is
    /// confirmed. `outside` is where it goes if it began inside.
    pub fn go_through(
        &mut self,
        policy: &Policy,
        session: u32,
        peer: Ipv4Addr,
        outside: Option<Endpoint>,
        now: u32,
    ) -> Option<Through> {
        let of = self.sessions.at(session)?;
        let (protocol, vrf, local) = (of.protocol, of.inside_vrf(), of.inside_local());
        let is_open = |index: &u32| self.doors.at(*index).is_some_and(|door| self.is_open(door, peer, now));
        let first = self.doors.of_local(protocol, vrf, local);
        let announced = self.doors.from(first).map(|(index, _)| index).find(is_open);
        let outward = || self.doors.leading_to(protocol, vrf, local.addr, outside?).filter(is_open);
        let index = announced.or_else(outward)?;
        let door = self.doors.at(index)?;
        let owner = (door.owner(), door.tag);
        let through = Through { child: door.child, control: door.control, gateway: door.gateway, owner };
        // An inside host's own packets to whom it waits for do not use its door up.
        if announced.is_none() || outside.is_none() {
            self.pass(policy, index, session, now);
        }
        Some(through)
    }

    /// Closes a door, as its gateway says. Its port stays where sessions use it.
    pub fn close_door(&mut self, policy: &Policy, index: u32, now: u32) -> Option<Door> {
        self.end_door(policy, index, EndReason::Closed, now)
    }

    /// Ends a door.
    pub(super) fn end_door(
        &mut self,
        policy: &Policy,
        index: u32,
        reason: EndReason,
        now: u32,
    ) -> Option<Door> {
        self.wheel.disarm(self.door_node(index));
        let door = self.doors.remove(index)?;
        let is_last = || self.doors.of_global(door.protocol, door.vrfs.1, door.global).is_none();
        if matches!(self.above_of_door(&door), Above::Door) && is_last() {
            let number = self.subscribers.find(door.vrfs.0, door.inside.addr).unwrap_or(NONE);
            self.unbind(policy, &door.binding(), number, door.created_ms, (reason, now));
        }
        Some(door)
    }

    /// Lets the doors of an owner wait longer, or less long, from now on: all or those of one number.
    pub fn renew_doors_of(&mut self, owner: OwnerKey, tag: Option<u32>, life_s: u32, now: u32) {
        let closes_ms = now.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
        let mut next = None;
        while let Some(index) = self.next_of(owner, tag, &mut next) {
            let node = self.door_node(index);
            if let Some(door) = self.doors.at_mut(index) {
                door.closes_ms = closes_ms;
                self.wheel.disarm(node);
                self.wheel.arm(node, closes_ms);
            }
        }
    }

    /// Lets one outside host alone, or anyone, through the doors of an owner: all or those of one number.
    pub fn admit_to_doors_of(&mut self, owner: OwnerKey, tag: Option<u32>, peer: Option<Ipv4Addr>) {
        let mut next = None;
        while let Some(index) = self.next_of(owner, tag, &mut next) {
            if let Some(door) = self.doors.at_mut(index) {
                door.peer = peer;
            }
        }
    }

    /// Closes the doors of an owner, all or those of one number.
    pub fn close_doors_of(&mut self, policy: &Policy, owner: OwnerKey, tag: Option<u32>, now: u32) {
        let mut next = None;
        while let Some(index) = self.next_of(owner, tag, &mut next) {
            self.close_door(policy, index, now);
        }
    }

    /// A walk over the doors of an owner, all or those of one number, which may be closed on the way. `next` is where it is:
    /// none at the beginning.
    fn next_of(&self, owner: OwnerKey, tag: Option<u32>, next: &mut Option<Option<u32>>) -> Option<u32> {
        let mut index = next.unwrap_or_else(|| self.doors.first_of(owner));
        while let Some(at) = index {
            index = self.doors.after(at);
            *next = Some(index);
            if self.doors.at(at).is_some_and(|door| tag.is_none_or(|tag| door.tag == tag)) {
                return Some(at);
            }
        }
        *next = Some(None);
        None
    }

    /// The number of a call that is a door's owner as a whole.
    pub fn call_of(&self, owner: Owner, key: OwnerKey) -> Option<u32> {
        match (owner, key) {
            (Owner::Call(_), OwnerKey::Call(key)) => self.calls.find(key),
            _ => None,
        }
    }

    pub(super) fn door_node(&self, index: u32) -> u32 {
        (self.sessions.capacity() + self.mappings.capacity()) as u32 + index
    }
}
