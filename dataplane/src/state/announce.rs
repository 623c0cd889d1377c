//! Which global endpoint an inside endpoint has that a gateway announces. From its announcement to the end of its call
//! that is one, whoever announces it: the one it has already, if it has any.

use std::net::Ipv4Addr;

use alg::{Ports, Refusal};

use arrayvec::ArrayVec;

use crate::flow::{Direction, Endpoint, Tuple, Vrf};
use crate::lives::EndReason;
use crate::policy::{Policy, RuleId, Selector, SourceRule};
use crate::state::bound::bound;
use crate::state::door::{Door, Holds};
use crate::state::ports::lease::{Lease, Taken};
use crate::state::ports::request::{Request, Source};
use crate::state::session::{ANYONE, Flags, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard};

/// What an inside endpoint has outside.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    global: Endpoint,
    holds: Holds,
    rule: RuleId,
}

impl Shard {
    /// Opens those of one or two doors that are not open yet: all, or none.
    pub(super) fn open_missing(
        &mut self,
        policy: &Policy,
        control: &Session,
        door: Door,
        (ports, open): (Ports, [Option<u32>; 2]),
        now: u32,
    ) -> Result<ArrayVec<u32, 2>, Refusal> {
        let mut new = ArrayVec::new();
        let count: u16 = if ports == Ports::Pair { 2 } else { 1 };
        let mut k = 0;
        while k < count {
            if open[usize::from(k)].is_some() {
                k += 1;
                continue;
            }
            let opened = self.open_next(policy, control, (&door, k), (ports, count), now);
            let Ok(opened) = opened else {
                new.into_iter().for_each(|index| _ = self.close_door(policy, index, now));
                return Err(Refusal::NoPort);
            };
            k += opened.len() as u16;
            new.extend(opened);
        }
        Ok(new)
    }

    /// Opens the door so far behind the first of them: with the global endpoint that its inside one has, or else with a new
    /// one. Where neither port of a pair has one, both get theirs together.
    fn open_next(
        &mut self,
        policy: &Policy,
        control: &Session,
        (first, k): (&Door, u16),
        (ports, count): (Ports, u16),
        now: u32,
    ) -> Result<ArrayVec<u32, 2>, Refusal> {
        let places = [0, 1].map(|n| self.announced_place(policy, control, first, n, ports));
        let mut door = *first;
        door.inside = first.inside.behind(k);
        if let Some(Place { global, holds, rule }) = places[usize::from(k)] {
            (door.global, door.holds, door.rule) = (global, holds, rule);
            self.close_elsewhere(policy, &door, now);
            return self.insert_doors(policy, door, 1, None, now);
        }
        let is_pair = count == 2 && places == [None, None];
        let ports = if ports == Ports::Pair && !is_pair { Ports::One } else { ports };
        // Beside the other one of its pair, if it can be.
        let is_beside = |other: &Place| count == 2 && other.global.port & 1 == 1 - k;
        let wish = places[usize::from(1 - k)].filter(is_beside).map(|other| other.global.port ^ 1);
        let (vrfs, addr) = (door.vrfs, control.inside_global().addr);
        let source = Source { protocol: door.protocol, vrf: vrfs.0, local: door.inside, to: None, ports };
        let lease = self.take_beside(policy, door.rule, vrfs, source, (addr, wish), now);
        let lease = lease.ok_or(Refusal::NoPort)?;
        (door.global, door.holds) = (lease.end(), Holds::Port);
        self.close_elsewhere(policy, &door, now);
        let opened = self.insert_doors(policy, door, if is_pair { 2 } else { 1 }, Some(lease), now)?;
        self.end_elsewhere(policy, &door, now);
        Ok(opened)
    }

    /// Opens a door and, of two, the one behind it: both, or none. They own what was taken for them.
    fn insert_doors(
        &mut self,
        policy: &Policy,
        door: Door,
        count: u16,
        lease: Option<Lease>,
        now: u32,
    ) -> Result<ArrayVec<u32, 2>, Refusal> {
        let door_behind = |k| {
            let mut door = door;
            (door.inside, door.global) = (door.inside.behind(k), door.global.behind(k));
            door
        };
        let new: ArrayVec<u32, 2> = (0..count).map_while(|k| self.doors.insert(door_behind(k))).collect();
        let is_whole = new.len() == usize::from(count);
        if !is_whole {
            new.iter().for_each(|&index| _ = self.doors.remove(index));
        }
        match lease {
            Some(lease) if is_whole => self.bind(lease, now),
            Some(lease) => self.give_back(policy, lease, now),
            None => {}
        }
        if is_whole { Ok(new) } else { Err(Refusal::NoPort) }
    }

    /// What the inside endpoint so far behind a door's has already: by a static line, by another door, by its host's whole
    /// address, or by sessions on its control session's address.
    fn announced_place(
        &self,
        policy: &Policy,
        control: &Session,
        door: &Door,
        behind: u16,
        ports: Ports,
    ) -> Option<Place> {
        let (protocol, vrfs, inside) = (door.protocol, door.vrfs, door.inside.behind(behind));
        let by_static = policy.statics.global_of(vrfs.0, protocol, inside, |rule| {
            rule.selector.is_none() && rule.outside_vrf == vrfs.1 && !rule.is_default
        });
        if let Some((global, _)) = by_static {
            return Some(Place { global, holds: Holds::Nothing, rule: control.rule });
        }
        let doors = self.doors.from(self.doors.of_local(protocol, vrfs.0, inside));
        let of_door = |door: &Door| Place { global: door.global, holds: door.holds, rule: door.rule };
        let mut doors = doors.filter(|(_, door)| door.vrfs == vrfs && self.is_mapped(door));
        if let Some((_, door)) = doors.next() {
            return Some(of_door(door));
        }
        let addr = control.inside_global().addr;
        if control.flags.has(Flags::ADDRESS) {
            let (global, holds) = (Endpoint::new(addr, inside.port), Holds::Address(control.next));
            return Some(Place { global, holds, rule: control.rule });
        }
        let session = self.sessions.at(self.find_port_at(protocol, vrfs, inside, addr)?)?;
        let global = session.inside_global();
        let serves = ports != Ports::Reserved || (512..1024).contains(&global.port);
        serves.then_some(Place { global, holds: Holds::Port, rule: session.rule })
    }

    /// Closes the doors of an inside endpoint that gave it another global endpoint, which is not its any more.
    fn close_elsewhere(&mut self, policy: &Policy, door: &Door, now: u32) {
        while let Some(index) = self.doors.of_local(door.protocol, door.vrfs.0, door.inside)
            && self.doors.at(index).is_some_and(|known| known.global != door.global)
        {
            self.close_door(policy, index, now);
        }
    }

    /// Ends the session that serves every peer of an inside endpoint by another global endpoint than is announced now.
    fn end_elsewhere(&mut self, policy: &Policy, door: &Door, now: u32) {
        let Door { protocol, vrfs, inside, global, .. } = *door;
        let tuple = Tuple { src: inside, dst: ANYONE, protocol, vrf: vrfs.0 };
        let of_any_peer = SessionKey::new(&tuple, Direction::Outbound);
        let found = self.find(of_any_peer, self.hasher.hash(of_any_peer.words()));
        let is_elsewhere = |session: &Session| session.inside_global() != global;
        if let Some(SessionRef { index, .. }) = found
            && self.sessions.at(index).is_some_and(is_elsewhere)
        {
            self.end(policy, index, EndReason::Closed, now);
        }
    }

    /// Takes ports for an inside endpoint on a control session's global address, this one if it is free.
    pub(super) fn take_beside(
        &mut self,
        policy: &Policy,
        rule: RuleId,
        vrfs: (Vrf, Vrf),
        source: Source,
        (addr, wish): (Ipv4Addr, Option<u16>),
        now: u32,
    ) -> Option<Lease> {
        self.reclaim(policy, now);
        let found = policy.rule(rule).cloned();
        let rule = found.unwrap_or_else(|| rule_of_static(rule, vrfs));
        let number = self.subscribers.enter(source.vrf, source.local.addr)?;
        let subscriber = self.subscribers.at_mut(number)?;
        let (destinations, journal) = (&self.destinations, &mut self.journal);
        let mut request =
            Request { policy, rule: &rule, source, wish, destinations, counter: None, journal, now };
        let Some(global) = self.allocator.take_at(&mut request, addr, subscriber) else {
            self.leave(number, now);
            return None;
        };
        let count = if source.ports == Ports::Pair { 2 } else { 1 };
        subscriber.mapping_count += u32::from(count);
        let binding = bound(&rule, source, global);
        Some(self.lender.lend(Taken { binding, subscriber: number, count }, None))
    }
}

/// A rule that takes ports beside those of static ones, for hosts that no dynamic rule serves.
fn rule_of_static(id: RuleId, vrfs: (Vrf, Vrf)) -> SourceRule {
    SourceRule {
        id,
        selector: Selector::Nothing,
        pool: u16::MAX,
        overload: true,
        inside_vrf: vrfs.0,
        outside_vrf: vrfs.1,
        egress: None,
        is_reversible: false,
        is_paired: false,
    }
}
