//! The shard: all NAT state of one worker.

use std::net::Ipv4Addr;

use hashbrown::HashMap;

use crate::drops::DropReason;
use crate::policy::{Filtering, IdleClass, OutsideRule, Policy, RuleId, SourceRule, Timeouts};
use crate::state::allocate::{Allocator, Source};
use crate::state::index::{Hash, Hasher, Index};
use crate::state::mapping::{ANY_PROTOCOL, Mapping, MappingKey, Side};
use crate::state::session::{Direction, Flags, Session, SessionKey};
use crate::state::slots::{NONE, Slots};
use crate::state::subscriber::Subscribers;
use crate::state::timer::{Wheel, is_due};
use crate::steer::WorkerIndex;
use crate::tuple::{Endpoint, Protocol, Vrf};

/// Sessions, mappings, subscribers and ports of one worker.
///
/// Invariant: the ports in use are those of the live mappings and those held down, and a port's mapping lives
/// while it has sessions; [`Shard::check`] verifies it.
pub struct Shard {
    pub(super) hasher: Hasher,
    pub(super) sessions: Slots<Session>,
    pub(super) session_index: Index,
    pub(super) mappings: Slots<Mapping>,
    pub(super) mapping_index: Index,
    pub(super) wheel: Wheel,
    pub(super) subscribers: Subscribers,
    pub(super) allocator: Allocator,
    rules: HashMap<RuleId, RuleUse>,
    /// Sessions under each group limit of the policy.
    pub(super) group_counts: Vec<u32>,
    /// For address-dependent filtering: how many sessions a mapping has with an outside address.
    contacts: HashMap<(u32, Ipv4Addr), u32>,
    /// Which worker this is, and of how many.
    worker: (WorkerIndex, u8),
    /// For each destination rule, which real server is next.
    rotation: HashMap<RuleId, u32>,
}

/// How much a rule is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleUse {
    /// Sessions it made that are alive.
    pub session_count: u32,
    /// Packets it had no address or port for.
    pub misses: u64,
}

/// A session with the direction a packet crosses it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRef {
    /// Index of the session.
    pub index: u32,
    /// The packet's direction.
    pub direction: Direction,
}

impl SessionRef {
    #[inline]
    fn from_value(value: u32) -> SessionRef {
        let direction = if value & 1 == 0 { Direction::Outbound } else { Direction::Inbound };
        SessionRef { index: value >> 1, direction }
    }

    fn value(self) -> u32 {
        self.index << 1 | u32::from(self.direction == Direction::Inbound)
    }
}

/// Something in the tables that `show ip nat translations` lists.
pub enum Entry<'a> {
    /// A session.
    Session(&'a Session),
    /// The mapping of a whole address.
    Address(&'a Mapping),
}

/// The most subscribers of a shard.
const SUBSCRIBERS_MAX: usize = 1 << 20;

impl Shard {
    /// An empty shard of a worker, with room for `capacity` sessions, at time `now`.
    pub fn new(capacity: usize, secret: [u64; 2], worker: WorkerIndex, worker_count: u8, now: u32) -> Shard {
        let hasher = Hasher::new(secret);
        let seed = [secret[0], secret[1] ^ u64::from(worker) << 56];
        Shard {
            hasher,
            sessions: Slots::new(capacity),
            session_index: Index::new(capacity * 2),
            mappings: Slots::new(capacity),
            mapping_index: Index::new(capacity * 2),
            // Sessions first, then mappings.
            wheel: Wheel::new(capacity * 2, now),
            subscribers: Subscribers::new(capacity.min(SUBSCRIBERS_MAX)),
            allocator: Allocator::new(seed, worker, worker_count),
            rules: HashMap::new(),
            group_counts: Vec::new(),
            contacts: HashMap::new(),
            worker: (worker, worker_count),
            rotation: HashMap::new(),
        }
    }

    /// The hash of a session key; asks for the index's cache line.
    #[inline]
    pub fn prepare(&self, key: SessionKey) -> Hash {
        let hash = self.hasher.hash(key.words());
        self.session_index.prefetch(hash);
        hash
    }

    /// The session that a hash probably finds; asks for its cache line.
    #[inline]
    pub fn candidate(&self, hash: Hash) -> Option<SessionRef> {
        let found = SessionRef::from_value(self.session_index.candidate(hash)?);
        self.sessions.prefetch(found.index);
        Some(found)
    }

    /// Whether packets with this key belong to a session.
    #[inline]
    pub fn has_key(&self, found: SessionRef, key: SessionKey) -> bool {
        self.sessions.at(found.index).is_some_and(|session| session.key(found.direction) == key)
    }

    /// The session with this key.
    #[inline]
    pub fn find(&self, key: SessionKey, hash: Hash) -> Option<SessionRef> {
        let is_key = |value| self.has_key(SessionRef::from_value(value), key);
        self.session_index.find(hash, is_key).map(SessionRef::from_value)
    }

    /// A session by its index.
    #[inline]
    pub fn session(&self, index: u32) -> Option<&Session> {
        self.sessions.at(index)
    }

    /// A session by its index, to be refreshed.
    #[inline]
    pub fn session_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.sessions.at_mut(index)
    }

    /// The mapping of an inside source under a dynamic rule, made when there is none yet, and the global
    /// endpoint it gives the source.
    pub fn map(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<(u32, Endpoint), DropReason> {
        // A rule without overload maps the whole address, whatever the protocol and port.
        let is_whole = !rule.overload || !has_ports(source.protocol);
        let mapped = match is_whole {
            false => source,
            true => Source { protocol: ANY_PROTOCOL, local: Endpoint::new(source.local.addr, 0), ..source },
        };
        let key = Mapping::own_key(Side::Inside, mapped.protocol, mapped.vrf, mapped.local);
        // Another rule's mapping of the same source has an address that this rule does not give.
        let found = self.find_mapping(key, |mapping| mapping.rule == rule.id);
        let index = match found {
            Some(index) => index,
            None => self.make_mapping(policy, rule, mapped, now)?,
        };
        let mapping = self.mappings.at_mut(index).ok_or(DropReason::SessionsFull)?;
        mapping.used_ms = now;
        let port = if is_whole { source.local.port } else { mapping.seen.port };
        Ok((index, Endpoint::new(mapping.seen.addr, port)))
    }

    /// The dynamic mapping that a global endpoint belongs to: of the port, or of the whole address.
    pub fn mapping_of_global(
        &self,
        vrf: Vrf,
        protocol: Protocol,
        global: Endpoint,
    ) -> Option<(u32, &Mapping)> {
        let whole = Endpoint::new(global.addr, 0);
        let index =
            self.find_mapping(Mapping::seen_key(Side::Inside, protocol, vrf, global), |_| true).or_else(
                || self.find_mapping(Mapping::seen_key(Side::Inside, ANY_PROTOCOL, vrf, whole), |_| true),
            )?;
        Some((index, self.mappings.at(index)?))
    }

    /// Whether an outside address may send to a mapping, by the sessions it has (RFC 4787 REQ-8).
    pub fn passes_filter(&self, filtering: Filtering, mapping: u32, peer: Ipv4Addr) -> bool {
        match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.contacts.contains_key(&(mapping, peer)),
            Filtering::AddressAndPortDependent => {
                self.mappings.at(mapping).is_some_and(|mapping| mapping.is_address())
            }
        }
    }

    /// The outside local address of an outside host under a dynamic rule, made when there is none yet.
    pub fn map_outside(
        &mut self,
        policy: &Policy,
        rule: &OutsideRule,
        global: Ipv4Addr,
        now: u32,
    ) -> Result<Ipv4Addr, DropReason> {
        let own = Endpoint::new(global, 0);
        let key = Mapping::own_key(Side::Outside, ANY_PROTOCOL, rule.outside_vrf, own);
        if let Some(index) = self.find_mapping(key, |_| true)
            && let Some(mapping) = self.mappings.at_mut(index)
        {
            mapping.used_ms = now;
            return Ok(mapping.seen.addr);
        }
        if self.mappings.is_full() {
            return Err(DropReason::SessionsFull);
        }
        let pool = policy.pools.get(usize::from(rule.pool)).ok_or(DropReason::PoolExhausted)?;
        let local = self.allocator.take_for_outside(pool).ok_or(DropReason::PoolExhausted)?;
        let mapping = Mapping {
            own,
            seen: Endpoint::new(local, 0),
            session_count: 0,
            subscriber: NONE,
            created_ms: now,
            used_ms: now,
            own_vrf: rule.outside_vrf,
            seen_vrf: rule.outside_vrf,
            rule: rule.id,
            protocol: ANY_PROTOCOL,
            side: Side::Outside,
        };
        self.enter_mapping(policy, mapping, now)?;
        Ok(local)
    }

    /// The outside global address of an outside local one that a dynamic rule gave.
    pub fn outside_global_of(&self, vrf: Vrf, local: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        Some(self.mappings.at(self.find_mapping(key, |_| true)?)?.own.addr)
    }

    fn find_mapping(&self, key: MappingKey, is_wanted: impl Fn(&Mapping) -> bool) -> Option<u32> {
        let is_key = |index| {
            self.mappings.at(index).is_some_and(|mapping| mapping.keys().contains(&key) && is_wanted(mapping))
        };
        self.mapping_index.find(self.hasher.hash(key), is_key)
    }

    fn make_mapping(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<u32, DropReason> {
        if self.mappings.is_full() {
            return Err(DropReason::SessionsFull);
        }
        let Source { protocol, vrf, local } = source;
        let number = self.subscribers.enter(vrf, local.addr).ok_or(DropReason::SessionsFull)?;
        let subscriber = self.subscribers.at_mut(number).ok_or(DropReason::SessionsFull)?;
        let Some(global) = self.allocator.take(policy, rule, source, subscriber) else {
            self.leave(policy, number);
            self.rules.entry(rule.id).or_default().misses += 1;
            return Err(DropReason::PoolExhausted);
        };
        subscriber.mapping_count += 1;
        let mapping = Mapping {
            own: local,
            seen: global,
            session_count: 0,
            subscriber: number,
            created_ms: now,
            used_ms: now,
            own_vrf: vrf,
            seen_vrf: rule.outside_vrf,
            rule: rule.id,
            protocol,
            side: Side::Inside,
        };
        self.enter_mapping(policy, mapping, now)
    }

    fn enter_mapping(&mut self, policy: &Policy, mapping: Mapping, now: u32) -> Result<u32, DropReason> {
        let (keys, is_address) = (mapping.keys(), mapping.is_address());
        let deadline = mapping_deadline_ms(policy, &mapping);
        let index = self.mappings.insert(mapping).ok_or(DropReason::SessionsFull)?;
        for key in keys {
            if !self.mapping_index.insert(self.hasher.hash(key), index) {
                self.remove_mapping(policy, index, now);
                return Err(DropReason::SessionsFull);
            }
        }
        if is_address {
            self.wheel.arm(self.mapping_node(index), deadline.unwrap_or(far_off(now)));
        }
        Ok(index)
    }

    fn mapping_node(&self, index: u32) -> u32 {
        self.sessions.capacity() as u32 + index
    }

    fn leave(&mut self, policy: &Policy, subscriber: u32) {
        if let Some(mut gone) = self.subscribers.leave_if_idle(subscriber) {
            self.allocator.unpair(policy, &mut gone);
        }
    }

    /// Puts a session into the table, if the limits allow it. A port's mapping that was made for it and has no
    /// other session is given back when they do not.
    pub fn insert(&mut self, policy: &Policy, mut session: Session, now: u32) -> Result<u32, DropReason> {
        let mapping = session.mapping;
        let is_taken = [Direction::Outbound, Direction::Inbound].into_iter().any(|direction| {
            let key = session.key(direction);
            self.find(key, self.hasher.hash(key.words())).is_some()
        });
        let admitted = match is_taken {
            true => Err(DropReason::SessionConflict),
            false => self.admit(policy, &mut session, now),
        };
        let inserted = admitted.and_then(|subscriber| {
            let deadline = deadline_ms(policy, &session).unwrap_or(far_off(now));
            let Some(index) = self.enter_session(session) else {
                self.leave(policy, subscriber);
                return Err(DropReason::SessionsFull);
            };
            self.wheel.arm(index, deadline);
            Ok((index, subscriber))
        });
        match inserted {
            Ok((index, subscriber)) => {
                self.count_in(index, subscriber);
                Ok(index)
            }
            Err(reason) => {
                self.release_port_mapping(policy, mapping, now);
                Err(reason)
            }
        }
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

    fn enter_session(&mut self, session: Session) -> Option<u32> {
        let keys = [Direction::Outbound, Direction::Inbound].map(|direction| session.key(direction));
        let index = self.sessions.insert(session)?;
        let [outbound, inbound] = keys.map(|key| self.hasher.hash(key.words()));
        let value = |direction| SessionRef { index, direction }.value();
        if !self.session_index.insert(outbound, value(Direction::Outbound)) {
            self.sessions.remove(index);
            return None;
        }
        if !self.session_index.insert(inbound, value(Direction::Inbound)) {
            self.session_index.remove(outbound, value(Direction::Outbound));
            self.sessions.remove(index);
            return None;
        }
        Some(index)
    }

    fn count_in(&mut self, index: u32, subscriber: u32) {
        let Some(session) = self.sessions.at(index) else { return };
        if let Some(mapping) = self.mappings.at_mut(session.mapping) {
            mapping.session_count += 1;
        }
        if let Some(subscriber) = self.subscribers.at_mut(subscriber) {
            subscriber.session_count += 1;
        }
        self.rules.entry(session.rule).or_default().session_count += 1;
        if session.flags.has(Flags::CONTACT) {
            *self.contacts.entry((session.mapping, session.outside_global.addr)).or_default() += 1;
        }
        for (number, count) in self.group_counts.iter_mut().enumerate() {
            *count += u32::from(session.limit_groups >> number & 1);
        }
    }

    /// Ends a session, and its mapping when it was the last beneath it.
    pub fn remove(&mut self, policy: &Policy, index: u32, now: u32) -> Option<Session> {
        let session = self.sessions.remove(index)?;
        self.wheel.disarm(index);
        for direction in [Direction::Outbound, Direction::Inbound] {
            let hash = self.hasher.hash(session.key(direction).words());
            self.session_index.remove(hash, SessionRef { index, direction }.value());
        }
        self.count_out(policy, &session);
        if let Some(mapping) = self.mappings.at_mut(session.mapping) {
            mapping.session_count -= 1;
            // A whole address was in use as long as its sessions were.
            let is_later = is_due(session.used_ms, mapping.used_ms);
            mapping.used_ms = if is_later { session.used_ms } else { mapping.used_ms };
        }
        self.release_port_mapping(policy, session.mapping, now);
        self.rest_mapping(policy, session.mapping, now);
        if let Some(number) = self.subscribers.find(session.inside_vrf, session.inside_local.addr) {
            if let Some(subscriber) = self.subscribers.at_mut(number) {
                subscriber.session_count -= 1;
            }
            self.leave(policy, number);
        }
        Some(session)
    }

    fn count_out(&mut self, policy: &Policy, session: &Session) {
        if let Some(rule) = self.rules.get_mut(&session.rule) {
            rule.session_count -= 1;
        }
        if session.flags.has(Flags::CONTACT) {
            let key = (session.mapping, session.outside_global.addr);
            if let Some(count) = self.contacts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.contacts.remove(&key);
                }
            }
        }
        // What was counted under another policy is not in these counts.
        if session.limit_epoch == policy.generation as u8 {
            for (number, count) in self.group_counts.iter_mut().enumerate() {
                *count -= u32::from(session.limit_groups >> number & 1);
            }
        }
    }

    /// Ends a port's mapping that has no session left, and one of a whole address that never had any: it was made
    /// for a packet that was refused after all.
    fn release_port_mapping(&mut self, policy: &Policy, index: u32, now: u32) {
        let is_over = |mapping: &Mapping| {
            mapping.session_count == 0 && (!mapping.is_address() || mapping.created_ms == now)
        };
        if self.mappings.at(index).is_some_and(is_over) {
            self.remove_mapping(policy, index, now);
        }
    }

    pub(super) fn remove_mapping(&mut self, policy: &Policy, index: u32, now: u32) {
        let Some(mapping) = self.mappings.remove(index) else { return };
        self.wheel.disarm(self.mapping_node(index));
        for key in mapping.keys() {
            self.mapping_index.remove(self.hasher.hash(key), index);
        }
        let subscriber = self.subscribers.at_mut(mapping.subscriber);
        self.allocator.release(policy, &mapping, subscriber, now);
        if let Some(subscriber) = self.subscribers.at_mut(mapping.subscriber) {
            subscriber.mapping_count -= 1;
        }
        self.leave(policy, mapping.subscriber);
    }

    /// The next position in a destination rule's rotation.
    pub fn rotate(&mut self, rule: RuleId) -> u32 {
        let position = self.rotation.entry(rule).or_default();
        *position = position.wrapping_add(1);
        position.wrapping_sub(1)
    }

    /// A number that outsiders cannot guess.
    pub fn draw(&mut self) -> u64 {
        self.allocator.draw()
    }

    /// What is in the tables from a position on: sessions, then the mappings of whole addresses.
    pub fn entries_from(&self, start: u32) -> impl Iterator<Item = (u32, Entry<'_>)> {
        let capacity = self.sessions.capacity() as u32;
        let sessions =
            self.sessions.iter_from(start).map(|(index, session)| (index, Entry::Session(session)));
        let mappings = self.mappings.iter_from(start.saturating_sub(capacity));
        let addresses = mappings
            .filter(|(_, mapping)| mapping.is_address())
            .map(move |(index, mapping)| (capacity + index, Entry::Address(mapping)));
        sessions.chain(addresses)
    }

    /// Live sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Live mappings.
    pub fn mapping_count(&self) -> usize {
        self.mappings.len()
    }

    /// Subscribers with live sessions or mappings.
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// The use of every rule that was ever used.
    pub fn rule_uses(&self) -> impl Iterator<Item = (RuleId, RuleUse)> + '_ {
        self.rules.iter().map(|(&id, &rule)| (id, rule))
    }

    /// Global addresses with ports in use, and how many.
    pub fn ports_in_use(&self) -> impl Iterator<Item = (Ipv4Addr, u32)> + '_ {
        self.allocator.in_use()
    }
}

/// Whether a protocol can be translated by port.
pub fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, crate::tuple::TCP | crate::tuple::UDP | crate::tuple::ICMP)
}

/// When a whole address's mapping ends unless sessions use it; none for never.
pub fn mapping_deadline_ms(policy: &Policy, mapping: &Mapping) -> Option<u32> {
    let idle_ms = policy.timeouts.of(IdleClass::Other);
    (idle_ms != Timeouts::NEVER).then(|| mapping.used_ms.wrapping_add(idle_ms))
}

/// A deadline for what never ends: it is looked at once a turn, since the configuration may change.
pub(super) fn far_off(now: u32) -> u32 {
    now.wrapping_add(i32::MAX as u32 / 2)
}

/// When a session ends unless a packet refreshes it; none for never.
pub fn deadline_ms(policy: &Policy, session: &Session) -> Option<u32> {
    let local = (session.protocol, session.inside_local.port);
    let of_port = policy.port_timeouts.iter().find(|&&(protocol, port, _)| (protocol, port) == local);
    let idle_ms = of_port.map_or(policy.timeouts.of(session.class), |&(.., idle_ms)| idle_ms);
    (idle_ms != Timeouts::NEVER).then(|| session.used_ms.wrapping_add(idle_ms))
}
