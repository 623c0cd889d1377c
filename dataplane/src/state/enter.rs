//! How sessions begin and how they are taken out of the tables.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::flow::{Direction, Tuple};
use crate::lives::EndReason;
use crate::policy::Policy;
use crate::state::destinations::Counter;
use crate::state::session::{Above, Flags, Session, SessionKey};
use crate::state::shard::{Beginning, SessionRef, Shard, deadline_ms, far_off};
use crate::state::table::index::Hash;
use crate::state::table::slots::NONE;

/// The first packet of a session.
#[derive(Clone, Copy, Debug)]
pub enum First {
    /// From inside.
    FromInside {
        /// Where it goes, as the inside sees it.
        to: Ipv4Addr,
    },
    /// From outside.
    FromOutside,
}

impl First {
    fn direction(self) -> Direction {
        match self {
            First::FromInside { .. } => Direction::Outbound,
            First::FromOutside => Direction::Inbound,
        }
    }
}

const DIRECTIONS: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

impl Shard {
    /// Begins a session, if the limits allow it. Sessions begin nowhere else. If the session is refused, its port or
    /// address is given back. `first` is its first packet, for which no session was found.
    pub fn begin(
        &mut self,
        policy: &Policy,
        session: Session,
        above: Above,
        first: First,
        now: u32,
    ) -> Result<u32, DropReason> {
        // Counted before other sessions give way to this one: the last of them would end the mapping.
        let outside = self.outside_mapping_of(&session);
        if let Some(mapping) = outside.and_then(|outside| self.mappings.at_mut(outside)) {
            mapping.session_count += 1;
        }
        let entered = self.enter(policy, session, &above, first, now);
        if entered.is_err()
            && let Some(mapping) = outside.and_then(|outside| self.mappings.at_mut(outside))
        {
            mapping.session_count -= 1;
        }
        if let (Some(outside), Ok(index)) = (outside, entered) {
            self.note_flow_beneath(policy, outside, index, now);
        }
        if let Above::New(lease) = above {
            match entered {
                Ok(_) => self.bind(lease, now),
                Err(_) => self.give_back(policy, lease, now),
            }
        }
        if let Some(session) = entered.ok().and_then(|index| self.sessions.at(index)) {
            self.journal.note_session(session, policy.behaviour.records_sessions, None, now);
        }
        entered
    }

    fn enter(
        &mut self,
        policy: &Policy,
        session: Session,
        above: &Above,
        first: First,
        now: u32,
    ) -> Result<u32, DropReason> {
        let keys = DIRECTIONS.map(|direction| {
            let key = session.key(direction);
            (key, self.hasher.hash(key.words()))
        });
        keys.iter().for_each(|&(_, hash)| self.session_index.prefetch(hash));
        let mut subscriber = self.subscriber_of(&session, above)?;
        let admitted = match above {
            Above::New(lease) => lease.admitted(),
            _ => None,
        };
        let counter = admitted.unwrap_or_else(|| self.counter_of(&session, first));
        let limit_groups = self.admit(policy, &session, subscriber, (counter, admitted.is_some()), now)?;
        match self.make_room(policy, &session, above, now) {
            Ok(false) => {}
            // Sessions were ended to make room. They may have been all that the subscriber had: look it up again.
            Ok(true) => subscriber = self.subscriber_of(&session, above)?,
            Err(reason) => {
                self.leave(subscriber, now);
                return Err(reason);
            }
        }
        let deadline = deadline_ms(policy, &session).unwrap_or(far_off(now));
        let Some(index) = self.sessions.insert(session) else {
            self.leave(subscriber, now);
            return Err(DropReason::SessionsFull);
        };
        if let Err(reason) = self.enter_keys(policy, index, keys, (above, first.direction()), now) {
            self.sessions.remove(index);
            self.leave(subscriber, now);
            return Err(reason);
        }
        self.wheel.arm(index, deadline);
        if let Some(beginning) = self.beginnings.get_mut(index as usize) {
            *beginning = Beginning { at_ms: now, counter };
        }
        self.destinations.enter(counter);
        self.groups.enter(index, limit_groups);
        self.count_in(index, subscriber);
        Ok(index)
    }

    /// The counter of the sessions from the same host to the same destination.
    fn counter_of(&self, session: &Session, first: First) -> Counter {
        match first {
            First::FromInside { to } => {
                self.destinations.counter(session.inside_vrf(), session.inside_local().addr, to)
            }
            First::FromOutside => Counter::NONE,
        }
    }

    /// The subscriber of a session that begins. A lease has the subscriber that was looked up for it.
    fn subscriber_of(&mut self, session: &Session, above: &Above) -> Result<u32, DropReason> {
        match above {
            Above::New(lease) if self.lender.is_out(lease) => Ok(lease.subscriber()),
            Above::New(_) => Err(DropReason::SessionConflict),
            _ => {
                let number = self.subscribers.enter(session.inside_vrf(), session.inside_local().addr);
                number.ok_or(DropReason::SubscribersFull)
            }
        }
    }

    /// Enters a session's keys, and joins it to its mapping. All of it is done, or nothing. The key of the session's
    /// answers comes last: its cache line could only be prefetched after the global endpoint was chosen, and arrives last.
    fn enter_keys(
        &mut self,
        policy: &Policy,
        index: u32,
        [outbound, inbound]: [(SessionKey, Hash); 2],
        (above, arrived): (&Above, Direction),
        now: u32,
    ) -> Result<(), DropReason> {
        self.enter_key(index, outbound, arrived == Direction::Outbound)?;
        let mut entered =
            if self.join(policy, index, above, now) { Ok(()) } else { Err(DropReason::SessionsFull) };
        if entered.is_ok() {
            entered = self.enter_key(index, inbound, arrived == Direction::Inbound);
            if entered.is_err() {
                self.part(index, above);
            }
        }
        if entered.is_err() {
            self.session_index
                .remove(outbound.1, SessionRef { index, direction: Direction::Outbound }.value());
        }
        entered
    }

    /// Finds the session for a packet from outside with a number that no session has yet: the session between the packet's
    /// addresses that waits for its first answer. From now on that session is found by this number; see [`SessionKey`].
    pub fn learn_inbound(&mut self, tuple: &Tuple) -> Result<SessionRef, DropReason> {
        let (src, dst) = (tuple.src.without_port(), tuple.dst.without_port());
        let learnt = SessionKey::new(tuple, Direction::Inbound);
        let unknown = SessionKey::new(&Tuple { src, dst, ..*tuple }, Direction::Inbound);
        let waits = |found: &SessionRef| self.sessions.at(found.index).is_some_and(Session::awaits_number);
        let hash = self.hasher.hash(unknown.words());
        let found = self.find(unknown, hash).filter(waits).ok_or(DropReason::NoMapping)?;
        self.enter_key(found.index, (learnt, self.hasher.hash(learnt.words())), false)?;
        self.session_index.remove(hash, found.value());
        if let Some(session) = self.sessions.at_mut(found.index) {
            session.ends[Direction::Inbound as usize] = learnt.ends;
        }
        Ok(found)
    }

    /// Enters a session's key for one direction. Unless `is_free`, another session may have that key: then it is refused.
    #[inline(always)]
    fn enter_key(
        &mut self,
        index: u32,
        (key, hash): (SessionKey, Hash),
        is_free: bool,
    ) -> Result<(), DropReason> {
        debug_assert!(!is_free || self.find(key, hash).is_none(), "its first packet has a session");
        if !is_free && self.find(key, hash).is_some() {
            return Err(DropReason::SessionConflict);
        }
        let value = SessionRef { index, direction: key.direction }.value();
        let is_entered = self.session_index.insert(hash, value);
        if is_entered { Ok(()) } else { Err(DropReason::SessionsFull) }
    }

    /// Joins a session to its mapping: to the ring of sessions of a port, or to the new record of a whole address.
    fn join(&mut self, policy: &Policy, index: u32, above: &Above, now: u32) -> bool {
        let sibling = match above {
            Above::Fixed | Above::Address(_) => return true,
            Above::New(lease) if lease.is_address() => {
                let mapping = self.enter_mapping(policy, lease, Some(now), now);
                if let (Some(session), Some(mapping)) = (self.sessions.at_mut(index), mapping) {
                    session.next = mapping;
                }
                return mapping.is_some();
            }
            Above::New(_) | Above::Door => None,
            Above::Port(sibling) => Some(*sibling),
        };
        let has_head = sibling.is_some_and(|sibling| self.has_head(sibling));
        let Some(session) = self.sessions.at_mut(index) else { return false };
        let is_head = !has_head && !session.flags.has(Flags::ANY_PEER);
        (session.next, session.previous) = (index, index);
        if is_head && !self.enter_head(index) {
            return false;
        }
        let Some(sibling) = sibling else {
            self.port_mapping_count += 1;
            return true;
        };
        let Some(beside) = self.sessions.at_mut(sibling) else { return false };
        let next = std::mem::replace(&mut beside.next, index);
        if let Some(beyond) = self.sessions.at_mut(next) {
            beyond.previous = index;
        }
        if let Some(session) = self.sessions.at_mut(index) {
            (session.next, session.previous) = (next, sibling);
        }
        true
    }

    /// Undoes [`Shard::join`].
    fn part(&mut self, index: u32, above: &Above) {
        match above {
            Above::Fixed | Above::Address(_) => {}
            Above::New(lease) if lease.is_address() => {
                let mapping = self.sessions.at(index).map_or(NONE, |session| session.next);
                self.take_mapping(mapping);
            }
            Above::New(_) | Above::Door | Above::Port(_) => _ = self.unlink(index),
        }
    }

    /// Whether the ring of a session has a head. Only the ring of a single session that serves every peer has none.
    fn has_head(&self, index: u32) -> bool {
        let is_alone = |session: &Session| session.next == index && !session.flags.has(Flags::HEAD);
        !self.sessions.at(index).is_some_and(is_alone)
    }

    /// Enters the keys of a session's mapping.
    fn enter_head(&mut self, index: u32) -> bool {
        let Some(session) = self.sessions.at_mut(index) else { return false };
        session.flags = session.flags.with(Flags::HEAD, true);
        let [own, seen] = session.mapping_keys().map(|key| self.hasher.hash(key));
        if !self.port_index.insert(own, index) {
            return false;
        }
        if !self.port_index.insert(seen, index) {
            self.port_index.remove(own, index);
            return false;
        }
        true
    }

    fn count_in(&mut self, index: u32, subscriber: u32) {
        let waiting = self.waiting(index);
        let Some(session) = self.sessions.at(index) else { return };
        self.unconfirmed.count(waiting, session, None, Some(session.progress));
        let (rule, flags, is_unsolicited) = (session.rule, session.flags, session.is_unsolicited());
        let (peer, mapping) = (session.outside_global().addr, session.next);
        if flags.has(Flags::ADDRESS)
            && let Some(mapping) = self.mappings.at_mut(mapping)
        {
            mapping.session_count += 1;
        }
        if let Some(subscriber) = self.subscribers.at_mut(subscriber) {
            subscriber.session_count += 1;
            subscriber.unsolicited_count += u32::from(is_unsolicited);
        }
        self.rule_mut(rule).session_count += 1;
        self.any_peer_count += usize::from(flags.has(Flags::ANY_PEER));
        if flags.has(Flags::CONTACT)
            && let Some(key) = self.contact_key_of(index)
        {
            self.contacts.count_in(key, peer);
        }
    }

    /// Ends a session, and its mapping if this was the mapping's last session. Sessions end nowhere else.
    pub fn end(&mut self, policy: &Policy, index: u32, reason: EndReason, now: u32) -> Option<Session> {
        let session = self.take_out(policy, index, reason, now)?;
        self.journal.note_session(&session, policy.behaviour.records_sessions, Some(reason), now);
        Some(session)
    }

    fn take_out(&mut self, policy: &Policy, index: u32, reason: EndReason, now: u32) -> Option<Session> {
        let flags = self.sessions.at(index)?.flags;
        self.count_out(index);
        if let Some(Beginning { counter, .. }) = self.beginning(index) {
            self.destinations.leave(counter);
        }
        let is_last = flags.has(Flags::PORT) && self.unlink(index);
        let session = self.sessions.remove(index)?;
        self.wheel.disarm(index);
        for direction in DIRECTIONS {
            let hash = self.hasher.hash(session.key(direction).words());
            self.session_index.remove(hash, SessionRef { index, direction }.value());
        }
        let number = self.subscribers.find(session.inside_vrf(), session.inside_local().addr).unwrap_or(NONE);
        if is_last && !self.is_held_by_door(session.protocol, session.outside_vrf(), session.inside_global())
        {
            self.unbind(policy, &session.binding(), number, self.created_ms(index), (reason, now));
        }
        // A session from outside that no inside host confirmed does not count as a use of the address.
        let is_use = session.progress.is_confirmed() || !flags.has(Flags::FROM_OUTSIDE);
        let used_ms = is_use.then_some(session.used_ms);
        let own = flags.has(Flags::ADDRESS).then_some(session.next);
        for mapping in own.into_iter().chain(self.outside_mapping_of(&session)) {
            self.note_address_use(policy, mapping, used_ms, (reason, now));
        }
        self.leave_controls(policy, index, &session, now);
        if let Some(subscriber) = self.subscribers.at_mut(number) {
            subscriber.session_count -= 1;
            subscriber.unsolicited_count -= u32::from(session.is_unsolicited());
        }
        self.leave(number, now);
        Some(session)
    }

    /// Takes a session out of the ring of its port's mapping. Returns whether it was the last, so that the mapping ends.
    fn unlink(&mut self, index: u32) -> bool {
        let Some(session) = self.sessions.at(index) else { return false };
        let (next, previous, is_head) = (session.next, session.previous, session.flags.has(Flags::HEAD));
        let hashes = session.mapping_keys().map(|key| self.hasher.hash(key));
        if next == index {
            if is_head {
                hashes.into_iter().for_each(|hash| _ = self.port_index.remove(hash, index));
            }
            self.port_mapping_count -= 1;
            return true;
        }
        if let Some(before) = self.sessions.at_mut(previous) {
            before.next = next;
        }
        if let Some(after) = self.sessions.at_mut(next) {
            after.previous = previous;
            if is_head {
                after.flags = after.flags.with(Flags::HEAD, true);
                hashes.into_iter().for_each(|hash| self.port_index.replace(hash, index, next));
            }
        }
        false
    }

    /// Notes in the mapping of a whole address that one of its sessions ended. The address was in use as long as the
    /// session.
    fn note_address_use(
        &mut self,
        policy: &Policy,
        mapping: u32,
        used_ms: Option<u32>,
        (reason, now): (EndReason, u32),
    ) {
        if let Some(mapping) = self.mappings.at_mut(mapping) {
            mapping.session_count -= 1;
            used_ms.into_iter().for_each(|used_ms| mapping.note_use(used_ms));
        }
        if !self.end_unsolicited(policy, mapping, (reason, now)) {
            self.rest_mapping(policy, mapping, now);
        }
    }

    fn count_out(&mut self, index: u32) {
        let waiting = self.waiting(index);
        let Some(session) = self.sessions.at(index) else { return };
        self.unconfirmed.count(waiting, session, Some(session.progress), None);
        let (rule, flags, peer) = (session.rule, session.flags, session.outside_global().addr);
        self.rule_mut(rule).session_count -= 1;
        self.any_peer_count -= usize::from(flags.has(Flags::ANY_PEER));
        if flags.has(Flags::CONTACT)
            && let Some(key) = self.contact_key_of(index)
        {
            self.contacts.count_out(key, peer);
        }
        self.groups.leave(index);
    }
}
