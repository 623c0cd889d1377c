//! The shard: all NAT state of one worker.

use std::net::Ipv4Addr;

use hashbrown::HashMap;

use crate::drops::DropReason;
use crate::policy::{IdleClass, Policy, RuleId, SourceRule, Timeouts};
use crate::state::index::{Hash, Hasher, Index};
use crate::state::mapping::{ANY_PROTOCOL, Mapping};
use crate::state::ports::AddressPorts;
use crate::state::session::{Direction, Session, SessionKey};
use crate::state::slots::{NONE, Slots};
use crate::state::subscriber::Subscribers;
use crate::state::timer::{Wheel, is_due};
use crate::tuple::{Endpoint, Protocol, Vrf};

/// Sessions, mappings, subscribers and ports of one worker.
///
/// Invariant: the ports in use are those of the live mappings, and a mapping lives while it has sessions;
/// [`Shard::check`] verifies it.
pub struct Shard {
    hasher: Hasher,
    sessions: Slots<Session>,
    session_index: Index,
    mappings: Slots<Mapping>,
    mapping_index: Index,
    wheel: Wheel,
    subscribers: Subscribers,
    ports: HashMap<Ipv4Addr, AddressPorts>,
    rules: HashMap<RuleId, RuleUse>,
}

/// An inside source to be mapped.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The IP protocol.
    pub protocol: Protocol,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// The inside endpoint.
    pub local: Endpoint,
}

/// Something in the tables that `show ip nat translations` lists.
pub enum Entry<'a> {
    /// A session.
    Session(&'a Session),
    /// The mapping of a whole address.
    Address(&'a Mapping),
}

/// Table positions that one step of a sweep looks at.
const SWEPT_AT_ONCE: u32 = 4096;

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
    fn from_value(value: u32) -> SessionRef {
        let direction = if value & 1 == 0 { Direction::Outbound } else { Direction::Inbound };
        SessionRef { index: value >> 1, direction }
    }

    fn value(self) -> u32 {
        self.index << 1 | u32::from(self.direction == Direction::Inbound)
    }
}

impl Shard {
    /// An empty shard with room for `capacity` sessions, at time `now`.
    pub fn new(capacity: usize, secret: [u64; 2], now: u32) -> Shard {
        Shard {
            hasher: Hasher::new(secret),
            sessions: Slots::new(capacity),
            session_index: Index::new(capacity * 2),
            mappings: Slots::new(capacity),
            mapping_index: Index::new(capacity * 2),
            // Sessions first, then mappings.
            wheel: Wheel::new(capacity * 2, now),
            subscribers: Subscribers::new(capacity.min(1 << 20)),
            ports: HashMap::new(),
            rules: HashMap::new(),
        }
    }

    /// The hash of a session key; asks for the index's cache line.
    #[inline]
    pub fn prepare(&self, key: SessionKey) -> Hash {
        let hash = self.hasher.hash(key.0);
        self.session_index.prefetch(hash);
        hash
    }

    /// Asks for the cache line of the session that a key probably finds.
    #[inline]
    pub fn prefetch(&self, hash: Hash) {
        if let Some(value) = self.session_index.candidate(hash) {
            self.sessions.prefetch(value >> 1);
        }
    }

    /// The session with this key.
    #[inline]
    pub fn find(&self, key: SessionKey, hash: Hash) -> Option<SessionRef> {
        let is_key = |value| {
            let found = SessionRef::from_value(value);
            self.sessions.at(found.index).is_some_and(|session| session.key(found.direction) == key)
        };
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
        let mapped = match rule.overload {
            true => source,
            false => Source { protocol: ANY_PROTOCOL, local: Endpoint::new(source.local.addr, 0), ..source },
        };
        let index = match self.find_mapping(Mapping::local_key(mapped.protocol, mapped.vrf, mapped.local)) {
            Some(index) => index,
            None => self.make_mapping(policy, rule, mapped, now)?,
        };
        let mapping = self.mappings.at_mut(index).ok_or(DropReason::SessionsFull)?;
        mapping.used_ms = now;
        let port = if rule.overload { mapping.global.port } else { source.local.port };
        Ok((index, Endpoint::new(mapping.global.addr, port)))
    }

    /// The inside host that a whole global address stands for at the moment, with its mapping.
    pub fn host_of(&self, global: Ipv4Addr) -> Option<(u32, &Mapping)> {
        let index = self.find_mapping(Mapping::global_key(ANY_PROTOCOL, Endpoint::new(global, 0)))?;
        Some((index, self.mappings.at(index)?))
    }

    fn find_mapping(&self, key: [u64; 2]) -> Option<u32> {
        let is_key = |index| {
            self.mappings.at(index).is_some_and(|m| {
                key == Mapping::local_key(m.protocol, m.vrf, m.local)
                    || key == Mapping::global_key(m.protocol, m.global)
            })
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
        let subscriber = self.subscribers.enter(vrf, local.addr).ok_or(DropReason::SessionsFull)?;
        let Some(global) = self.take_global(policy, rule, source, subscriber) else {
            self.subscribers.leave_if_idle(subscriber);
            self.rules.entry(rule.id).or_default().misses += 1;
            return Err(DropReason::PoolExhausted);
        };
        let mapping = Mapping {
            local,
            global,
            session_count: 0,
            subscriber,
            created_ms: now,
            used_ms: now,
            vrf,
            rule: rule.id,
            protocol,
        };
        let keys = [Mapping::local_key(protocol, vrf, local), Mapping::global_key(protocol, global)];
        let is_address = mapping.is_address();
        let index = self.mappings.insert(mapping).ok_or(DropReason::SessionsFull)?;
        if let Some(subscriber) = self.subscribers.at_mut(subscriber) {
            subscriber.mapping_count += 1;
        }
        for key in keys {
            if !self.mapping_index.insert(self.hasher.hash(key), index) {
                self.remove_mapping(index);
                return Err(DropReason::SessionsFull);
            }
        }
        if is_address {
            let deadline = self.mappings.at(index).and_then(|mapping| mapping_deadline_ms(policy, mapping));
            self.wheel.arm(self.mapping_node(index), deadline.unwrap_or(far_off(now)));
        }
        Ok(index)
    }

    fn mapping_node(&self, index: u32) -> u32 {
        self.sessions.capacity() as u32 + index
    }

    /// A port on the subscriber's paired address, else on the first address of the pool that has one; or a
    /// whole address.
    fn take_global(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        subscriber: u32,
    ) -> Option<Endpoint> {
        let pool = policy.pools.get(usize::from(rule.pool))?;
        let subscriber = self.subscribers.at_mut(subscriber)?;
        let paired = subscriber.paired.filter(|&(of, addr)| of == rule.pool && pool.contains(addr));
        let others = (0..pool.address_count()).filter_map(|position| pool.address_at(position));
        for addr in paired.map(|(_, addr)| addr).into_iter().chain(others) {
            let ports = self.ports.entry(addr).or_default();
            let taken = if source.protocol == ANY_PROTOCOL {
                (!policy.statics.is_global(addr) && ports.take_whole()).then_some(0)
            } else {
                let is_reserved =
                    |port| policy.statics.local_of(source.protocol, Endpoint::new(addr, port)).is_some();
                ports.take(source.protocol, source.local.port, is_reserved)
            };
            if let Some(port) = taken {
                subscriber.paired = Some((rule.pool, addr));
                return Some(Endpoint::new(addr, port));
            }
        }
        None
    }

    /// Puts a session into the table. A mapping made for it that has no other session is given back when the
    /// table refuses.
    pub fn insert(&mut self, session: Session, deadline: Option<u32>, now: u32) -> Result<u32, DropReason> {
        let (mapping, rule) = (session.mapping, session.rule);
        let keys = [Direction::Outbound, Direction::Inbound].map(|direction| session.key(direction));
        let inserted = self.insert_indexed(session, keys);
        match inserted {
            Some(index) => {
                self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
                if let Some(mapping) = self.mappings.at_mut(mapping) {
                    mapping.session_count += 1;
                }
                self.rules.entry(rule).or_default().session_count += 1;
                Ok(index)
            }
            None => {
                self.release_port_mapping(mapping);
                Err(DropReason::SessionsFull)
            }
        }
    }

    fn insert_indexed(&mut self, session: Session, keys: [SessionKey; 2]) -> Option<u32> {
        let index = self.sessions.insert(session)?;
        let [outbound, inbound] = keys.map(|key| self.hasher.hash(key.0));
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

    /// Ends a session, and its mapping when it was the last beneath it.
    pub fn remove(&mut self, index: u32) -> Option<Session> {
        let session = self.sessions.remove(index)?;
        self.wheel.disarm(index);
        for direction in [Direction::Outbound, Direction::Inbound] {
            let hash = self.hasher.hash(session.key(direction).0);
            self.session_index.remove(hash, SessionRef { index, direction }.value());
        }
        if let Some(mapping) = self.mappings.at_mut(session.mapping) {
            mapping.session_count -= 1;
        }
        self.release_port_mapping(session.mapping);
        if let Some(rule) = self.rules.get_mut(&session.rule) {
            rule.session_count -= 1;
        }
        Some(session)
    }

    /// Ends a port's mapping that has no session left.
    fn release_port_mapping(&mut self, index: u32) {
        if self.mappings.at(index).is_some_and(|mapping| mapping.session_count == 0 && !mapping.is_address())
        {
            self.remove_mapping(index);
        }
    }

    fn remove_mapping(&mut self, index: u32) {
        let Some(mapping) = self.mappings.remove(index) else { return };
        self.wheel.disarm(self.mapping_node(index));
        let local = Mapping::local_key(mapping.protocol, mapping.vrf, mapping.local);
        for key in [local, Mapping::global_key(mapping.protocol, mapping.global)] {
            self.mapping_index.remove(self.hasher.hash(key), index);
        }
        if let Some(ports) = self.ports.get_mut(&mapping.global.addr) {
            match mapping.is_address() {
                true => ports.release_whole(),
                false => ports.release(mapping.protocol, mapping.global.port),
            }
        }
        if let Some(subscriber) = self.subscribers.at_mut(mapping.subscriber) {
            subscriber.mapping_count -= 1;
        }
        self.subscribers.leave_if_idle(mapping.subscriber);
    }

    /// Ends at most `count_max` sessions that were idle too long, and returns how many.
    pub fn expire(&mut self, policy: &Policy, now: u32, count_max: usize) -> usize {
        let mut expired = 0;
        for _ in 0..count_max {
            let Some(node) = self.wheel.next_due(now) else { break };
            match node.checked_sub(self.sessions.capacity() as u32) {
                Some(mapping) => self.expire_mapping(policy, node, mapping, now),
                None => expired += usize::from(self.expire_session(policy, node, now)),
            }
        }
        expired
    }

    fn expire_session(&mut self, policy: &Policy, index: u32, now: u32) -> bool {
        let Some(session) = self.sessions.at(index) else { return false };
        match deadline_ms(policy, session) {
            Some(deadline) if is_due(now, deadline) => self.remove(index).is_some(),
            deadline => {
                self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
                false
            }
        }
    }

    /// A whole address is kept while sessions use it, and for its idle time after the last one began.
    fn expire_mapping(&mut self, policy: &Policy, node: u32, index: u32, now: u32) {
        let Some(mapping) = self.mappings.at(index) else { return };
        match mapping_deadline_ms(policy, mapping) {
            Some(deadline) if is_due(now, deadline) && mapping.session_count == 0 => {
                self.remove_mapping(index)
            }
            deadline => self.wheel.arm(node, deadline.filter(|&at| !is_due(now, at)).unwrap_or(far_off(now))),
        }
    }

    /// One step of a sweep: ends sessions, then mappings of whole addresses, that the policy no longer keeps, or
    /// every one where `all` is asked for. Returns where to go on, and how many were ended.
    pub fn sweep(&mut self, policy: &Policy, all: bool, start: u32) -> (Option<u32>, u64) {
        let capacity = self.sessions.capacity() as u32;
        let end = start.saturating_add(SWEPT_AT_ONCE).min(capacity * 2);
        let mut ended = 0;
        for position in start..end {
            let was_ended = match position.checked_sub(capacity) {
                None => {
                    let is_doomed = |s: &Session| all || !policy.keeps(s.rule, s.inside_global.addr);
                    self.sessions.at(position).is_some_and(is_doomed) && self.remove(position).is_some()
                }
                Some(index) => {
                    let is_doomed = |m: &Mapping| {
                        m.session_count == 0
                            && m.is_address()
                            && (all || !policy.keeps(m.rule, m.global.addr))
                    };
                    let is_doomed = self.mappings.at(index).is_some_and(is_doomed);
                    if is_doomed {
                        self.remove_mapping(index);
                    }
                    is_doomed
                }
            };
            ended += u64::from(was_ended);
        }
        ((end < capacity * 2).then_some(end), ended)
    }

    /// Arms a session anew, after its idle class changed.
    pub fn rearm(&mut self, index: u32, deadline: Option<u32>, now: u32) {
        self.wheel.disarm(index);
        self.wheel.arm(index, deadline.unwrap_or(far_off(now)));
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

    /// Subscribers with live mappings.
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// The use of every rule that was ever used.
    pub fn rule_uses(&self) -> impl Iterator<Item = (RuleId, RuleUse)> + '_ {
        self.rules.iter().map(|(&id, &rule)| (id, rule))
    }

    /// Global addresses with ports in use, and how many.
    pub fn ports_in_use(&self) -> impl Iterator<Item = (Ipv4Addr, u32)> + '_ {
        self.ports.iter().map(|(&addr, ports)| (addr, ports.used_total())).filter(|&(_, used)| used > 0)
    }

    /// Verifies the shard's invariants. Walks every table: for tests.
    pub fn check(&self) -> Result<(), String> {
        let in_use: u32 = self.ports_in_use().map(|(_, used)| used).sum();
        let expect = |what: &str, is: usize, should: usize| {
            if is == should { Ok(()) } else { Err(format!("{what}: {is}, should be {should}")) }
        };
        expect("ports in use", in_use as usize, self.mappings.len())?;
        expect("session index entries", self.session_index.len(), self.sessions.len() * 2)?;
        expect("mapping index entries", self.mapping_index.len(), self.mappings.len() * 2)?;
        let beneath = self.sessions.iter_from(0).filter(|(_, session)| session.mapping != NONE).count();
        let counted: u32 = self.mappings.iter_from(0).map(|(_, mapping)| mapping.session_count).sum();
        expect("sessions counted by mappings", counted as usize, beneath)?;
        let is_idle = |mapping: &Mapping| mapping.session_count == 0 && !mapping.is_address();
        let idle = self.mappings.iter_from(0).filter(|(_, mapping)| is_idle(mapping)).count();
        expect("port mappings without sessions", idle, 0)?;
        for (index, session) in self.sessions.iter_from(0) {
            for direction in [Direction::Outbound, Direction::Inbound] {
                let key = session.key(direction);
                if self.find(key, self.hasher.hash(key.0)) != Some(SessionRef { index, direction }) {
                    return Err(format!("session {index} is not found {direction:?}"));
                }
            }
        }
        Ok(())
    }
}

/// When a whole address's mapping ends unless sessions use it; none for never.
pub fn mapping_deadline_ms(policy: &Policy, mapping: &Mapping) -> Option<u32> {
    let idle_ms = policy.timeouts.of(IdleClass::Other);
    (idle_ms != Timeouts::NEVER).then(|| mapping.used_ms.wrapping_add(idle_ms))
}

/// A deadline for what never ends: it is looked at once a turn, since the configuration may change.
fn far_off(now: u32) -> u32 {
    now.wrapping_add(i32::MAX as u32)
}

/// When a session ends unless a packet refreshes it; none for never.
pub fn deadline_ms(policy: &Policy, session: &Session) -> Option<u32> {
    let idle_ms = policy.timeouts.of(session.class);
    (idle_ms != Timeouts::NEVER).then(|| session.used_ms.wrapping_add(idle_ms))
}
