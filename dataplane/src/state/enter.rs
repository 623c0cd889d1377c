//! How sessions begin and how they are taken out of the tables.

use crate::drops::DropReason;
use crate::policy::Policy;
use crate::state::journal::EndReason;
use crate::state::mapping::{Mapping, Side};
use crate::state::session::{Above, Direction, Flags, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard, deadline_ms, far_off};
use crate::state::table::index::Hash;
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

const DIRECTIONS: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

impl Shard {
    /// Begins a session, if the limits allow it: the one place where sessions begin. A mapping that was made for it and
    /// has no other session is given back when they do not.
    pub fn begin(
        &mut self,
        policy: &Policy,
        session: Session,
        above: Above,
        now: u32,
    ) -> Result<u32, DropReason> {
        let entered = self.enter(policy, session.clone(), above, now);
        match (&entered, above) {
            (Ok(_), _) => self.session_lives.begun += 1,
            (Err(_), Above::Port(None)) => self.release_port(policy, &session, now),
            (Err(_), Above::Address(mapping)) => self.release_unused_address(policy, mapping, now),
            (Err(_), Above::Fixed | Above::Port(Some(_))) => {}
        }
        entered
    }

    fn enter(
        &mut self,
        policy: &Policy,
        mut session: Session,
        above: Above,
        now: u32,
    ) -> Result<u32, DropReason> {
        let keys = DIRECTIONS.map(|direction| {
            let key = session.key(direction);
            (key, self.hasher.hash(key.words()))
        });
        keys.iter().for_each(|&(_, hash)| self.session_index.prefetch(hash));
        let subscriber = self.admit(policy, &mut session, now)?;
        let deadline = deadline_ms(policy, &session).unwrap_or(far_off(now));
        let Some(index) = self.sessions.insert(session) else {
            self.leave(policy, subscriber);
            return Err(DropReason::SessionsFull);
        };
        if let Err(reason) = self.enter_keys(index, keys, above) {
            self.sessions.remove(index);
            self.leave(policy, subscriber);
            return Err(reason);
        }
        self.wheel.arm(index, deadline);
        self.count_in(index, subscriber, above);
        Ok(index)
    }

    /// Enters a session's keys, and joins it to its mapping. All or nothing. The key of its answers comes last: its
    /// cache line could not be asked for before the global endpoint was chosen, and is on its way for the longest.
    fn enter_keys(
        &mut self,
        index: u32,
        [outbound, inbound]: [(SessionKey, Hash); 2],
        above: Above,
    ) -> Result<(), DropReason> {
        self.enter_key(index, outbound)?;
        let mut entered = if self.join(index, above) { Ok(()) } else { Err(DropReason::SessionsFull) };
        if entered.is_ok() {
            entered = self.enter_key(index, inbound);
            if entered.is_err() && matches!(above, Above::Port(_)) {
                self.unlink(index);
            }
        }
        if entered.is_err() {
            self.session_index
                .remove(outbound.1, SessionRef { index, direction: Direction::Outbound }.value());
        }
        entered
    }

    /// Enters a session's key of one direction.
    #[inline(always)]
    fn enter_key(&mut self, index: u32, (key, hash): (SessionKey, Hash)) -> Result<(), DropReason> {
        if self.find(key, hash).is_some() {
            return Err(DropReason::SessionConflict);
        }
        let value = SessionRef { index, direction: key.direction }.value();
        let is_entered = self.session_index.insert(hash, value);
        if is_entered { Ok(()) } else { Err(DropReason::SessionsFull) }
    }

    /// Puts a session into the ring of its port's mapping.
    fn join(&mut self, index: u32, above: Above) -> bool {
        let Above::Port(sibling) = above else { return true };
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

    /// Whether the ring of a session has a head: only one of a single session that serves every peer has none.
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

    /// Whether the limits allow another session of this inside host; notes which groups it counts towards.
    fn admit(&mut self, policy: &Policy, session: &mut Session, now: u32) -> Result<u32, DropReason> {
        let host = session.inside_local.addr;
        self.group_counts.resize(policy.limits.groups.len(), 0);
        session.limit_epoch = policy.generation as u8;
        session.limit_groups = policy.limit_groups_of(session.inside_vrf, host);
        for (number, limit) in policy.limits.groups.iter().enumerate() {
            let counts = session.limit_groups >> number & 1 == 1;
            if counts && self.group_counts[number] >= self.share_of(limit.sessions_max) {
                return Err(DropReason::LimitGroup);
            }
        }
        let number = self.subscribers.enter(session.inside_vrf, host).ok_or(DropReason::SessionsFull)?;
        let subscriber = self.subscribers.at_mut(number).ok_or(DropReason::SessionsFull)?;
        let is_over = policy.limits.of_host(host).is_some_and(|max| subscriber.session_count >= max);
        let is_fast = policy.limits.rate_of_host(host).is_some_and(|rate| !subscriber.may_begin(rate, now));
        if is_over || is_fast {
            self.leave(policy, number);
            return Err(if is_over { DropReason::LimitHost } else { DropReason::LimitRate });
        }
        Ok(number)
    }

    /// This worker's share of a limit on all workers together.
    fn share_of(&self, max: u32) -> u32 {
        let (worker, count) = self.worker;
        let count = u32::from(count.max(1));
        max / count + u32::from(u32::from(worker) < max % count)
    }

    fn count_in(&mut self, index: u32, subscriber: u32, above: Above) {
        let Some(session) = self.sessions.at(index) else { return };
        let (rule, flags, limit_groups) = (session.rule, session.flags, session.limit_groups);
        let peer = session.outside_global.addr;
        if let Above::Address(mapping) = above
            && let Some(mapping) = self.mappings.at_mut(mapping)
        {
            mapping.session_count += 1;
        }
        if let Some(subscriber) = self.subscribers.at_mut(subscriber) {
            subscriber.session_count += 1;
        }
        self.rule_mut(rule).session_count += 1;
        self.any_peer_count += usize::from(flags.has(Flags::ANY_PEER));
        if flags.has(Flags::CONTACT)
            && let Some(key) = self.contact_key(above_of(index, above))
        {
            self.contacts.count_in(key, peer);
        }
        for (number, count) in self.group_counts.iter_mut().enumerate() {
            *count += u32::from(limit_groups >> number & 1);
        }
    }

    /// Ends a session, and its mapping when it was the last beneath it: the one place where sessions end.
    pub fn end(&mut self, policy: &Policy, index: u32, reason: EndReason, now: u32) -> Option<Session> {
        let session = self.take_out(policy, index, now)?;
        self.session_lives.end(reason);
        Some(session)
    }

    /// Takes back a session that just began with a packet that is refused after all: as if it never had.
    pub fn undo(&mut self, policy: &Policy, index: u32, now: u32) {
        if self.take_out(policy, index, now).is_some() {
            self.session_lives.begun -= 1;
        }
    }

    fn take_out(&mut self, policy: &Policy, index: u32, now: u32) -> Option<Session> {
        let above = self.sessions.at(index).map(|session| match session.flags {
            flags if flags.has(Flags::PORT) => Above::Port(Some(index)),
            flags if flags.has(Flags::ADDRESS) => Above::Address(session.next),
            _ => Above::Fixed,
        })?;
        self.count_out(policy, index, above);
        let is_last = matches!(above, Above::Port(_)) && self.unlink(index);
        let session = self.sessions.remove(index)?;
        self.wheel.disarm(index);
        for direction in DIRECTIONS {
            let hash = self.hasher.hash(session.key(direction).words());
            self.session_index.remove(hash, SessionRef { index, direction }.value());
        }
        match above {
            Above::Fixed => {}
            Above::Port(_) if is_last => self.release_port(policy, &session, now),
            Above::Port(_) => {}
            Above::Address(mapping) => self.note_address_use(policy, mapping, session.used_ms, now),
        }
        self.leave_controls(policy, index, &session, now);
        if let Some(number) = self.subscribers.find(session.inside_vrf, session.inside_local.addr) {
            if let Some(subscriber) = self.subscribers.at_mut(number) {
                subscriber.session_count -= 1;
            }
            self.leave(policy, number);
        }
        Some(session)
    }

    /// Takes a session out of the ring of its port's mapping, which ends with its last session. Returns whether it was
    /// that one.
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

    /// Gives back the global endpoint of a port's mapping, as it was when its last session began.
    fn release_port(&mut self, policy: &Policy, session: &Session, now: u32) {
        if self.is_held_by_door(session.protocol, session.outside_vrf, session.inside_global) {
            return;
        }
        let number = self.subscribers.find(session.inside_vrf, session.inside_local.addr);
        let mapping = Mapping {
            own: session.inside_local,
            seen: session.inside_global,
            session_count: 0,
            subscriber: number.unwrap_or(NONE),
            created_ms: session.created_ms,
            used_ms: session.used_ms,
            own_vrf: session.inside_vrf,
            seen_vrf: session.outside_vrf,
            rule: session.rule,
            protocol: session.protocol,
            side: Side::Inside,
        };
        self.release(policy, &mapping, now);
    }

    /// A session beneath a whole address's mapping ended: the address was in use as long as the session was.
    fn note_address_use(&mut self, policy: &Policy, mapping: u32, used_ms: u32, now: u32) {
        if let Some(mapping) = self.mappings.at_mut(mapping) {
            mapping.session_count -= 1;
            let is_later = is_due(used_ms, mapping.used_ms);
            mapping.used_ms = if is_later { used_ms } else { mapping.used_ms };
        }
        self.release_unused_address(policy, mapping, now);
        self.rest_mapping(policy, mapping, now);
    }

    /// Ends the mapping of a whole address that never had a session: it was made for a packet that was refused
    /// after all.
    fn release_unused_address(&mut self, policy: &Policy, mapping: u32, now: u32) {
        let is_unused = |mapping: &Mapping| mapping.session_count == 0 && mapping.created_ms == now;
        if self.mappings.at(mapping).is_some_and(is_unused) {
            self.remove_mapping(policy, mapping, now);
        }
    }

    fn count_out(&mut self, policy: &Policy, index: u32, above: Above) {
        let Some(session) = self.sessions.at(index) else { return };
        let (rule, flags, peer) = (session.rule, session.flags, session.outside_global.addr);
        let (limit_epoch, limit_groups) = (session.limit_epoch, session.limit_groups);
        self.rule_mut(rule).session_count -= 1;
        self.any_peer_count -= usize::from(flags.has(Flags::ANY_PEER));
        if flags.has(Flags::CONTACT)
            && let Some(key) = self.contact_key(above)
        {
            self.contacts.count_out(key, peer);
        }
        // What was counted under another policy is not in these counts.
        if limit_epoch == policy.generation as u8 {
            for (number, count) in self.group_counts.iter_mut().enumerate() {
                *count -= u32::from(limit_groups >> number & 1);
            }
        }
    }
}

/// The mapping of a session that is in the tables.
fn above_of(index: u32, above: Above) -> Above {
    match above {
        Above::Port(_) => Above::Port(Some(index)),
        above => above,
    }
}
