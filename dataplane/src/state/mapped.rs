//! Which global endpoint an inside one has, and the other way round: finding and making mappings.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, Protocol, Vrf};
use crate::policy::{Filtering, OutsideRule, Policy, RuleId, SourceRule};
use crate::state::mapping::{ANY_PROTOCOL, Mapping, MappingKey, Side};
use crate::state::ports::allocate::Source;
use crate::state::session::{ANYONE, Above, Flags, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard, far_off, has_ports, mapping_deadline_ms};
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

/// The inside endpoint behind a global one.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// The inside endpoint.
    pub local: Endpoint,
    /// VRFs of inside and outside.
    pub vrfs: (Vrf, Vrf),
    /// The rule that mapped it.
    pub rule: RuleId,
    /// The mapping.
    pub above: Above,
}

impl Shard {
    /// The mapping of an inside source under a dynamic rule, made when there is none yet, and the global
    /// endpoint it gives the source. A new port is lost unless a session is inserted, or its insertion refused.
    pub fn map(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<(Above, Endpoint), DropReason> {
        // A rule without overload maps the whole address, whatever the protocol and port.
        if !rule.overload || !has_ports(source.protocol) {
            let (mapping, global) = self.map_address(policy, rule, source, now)?;
            return Ok((Above::Address(mapping), Endpoint::new(global, source.local.port)));
        }
        if let Some(index) = self.find_port(source, rule.id)
            && let Some(session) = self.sessions.at(index)
        {
            return Ok((Above::Port(Some(index)), session.inside_global));
        }
        if self.sessions.is_full() {
            return Err(DropReason::SessionsFull);
        }
        let (_, global) = self.take(policy, rule, source)?;
        let seen = Mapping::seen_key(Side::Inside, source.protocol, rule.outside_vrf, global);
        self.port_index.prefetch(self.hasher.hash(seen));
        Ok((Above::Port(None), global))
    }

    /// The mapping of a whole address, and the address it is mapped to.
    fn map_address(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<(u32, Ipv4Addr), DropReason> {
        let local = Endpoint::new(source.local.addr, 0);
        let source = Source { protocol: ANY_PROTOCOL, local, ..source };
        let key = Mapping::own_key(Side::Inside, ANY_PROTOCOL, source.vrf, local);
        // Another rule's mapping of the same source has an address that this rule does not give.
        if let Some(index) = self.find_mapping(key, |mapping| mapping.rule == rule.id)
            && let Some(mapping) = self.mappings.at_mut(index)
        {
            mapping.used_ms = now;
            return Ok((index, mapping.seen.addr));
        }
        if self.mappings.is_full() {
            return Err(DropReason::SessionsFull);
        }
        let (subscriber, seen) = self.take(policy, rule, source)?;
        let mapping = Mapping {
            own: local,
            seen,
            session_count: 0,
            subscriber,
            created_ms: now,
            used_ms: now,
            own_vrf: source.vrf,
            seen_vrf: rule.outside_vrf,
            rule: rule.id,
            protocol: ANY_PROTOCOL,
            side: Side::Inside,
        };
        Ok((self.enter_mapping(policy, mapping, now)?, seen.addr))
    }

    /// Takes a global endpoint for a source. Returns it with the source's subscriber, which counts it.
    fn take(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
    ) -> Result<(u32, Endpoint), DropReason> {
        let number = self.subscribers.enter(source.vrf, source.local.addr).ok_or(DropReason::SessionsFull)?;
        let subscriber = self.subscribers.at_mut(number).ok_or(DropReason::SessionsFull)?;
        let Some(global) = self.allocator.take(policy, rule, source, subscriber) else {
            self.leave(policy, number);
            self.rule_mut(rule.id).misses += 1;
            return Err(DropReason::PoolExhausted);
        };
        subscriber.mapping_count += 1;
        Ok((number, global))
    }

    /// Any session beneath the mapping of an inside endpoint's port.
    pub(super) fn find_port(&self, source: Source, rule: RuleId) -> Option<u32> {
        let Source { protocol, vrf, local, .. } = source;
        let key = Mapping::own_key(Side::Inside, protocol, vrf, local);
        let is_it = |session: &Session| session.rule == rule && session.mapping_keys()[0] == key;
        let any_peer = SessionKey { src: local, dst: ANYONE, vrf, protocol, direction: Direction::Outbound };
        self.find_head(key, is_it).or_else(|| self.find_any_peer(any_peer, |session| session.rule == rule))
    }

    fn find_head(&self, key: MappingKey, is_it: impl Fn(&Session) -> bool) -> Option<u32> {
        self.port_index.find(self.hasher.hash(key), |index| self.sessions.at(index).is_some_and(&is_it))
    }

    /// A session that serves every peer stands for its mapping by its own keys.
    fn find_any_peer(&self, key: SessionKey, is_it: impl Fn(&Session) -> bool) -> Option<u32> {
        if self.any_peer_count == 0 {
            return None;
        }
        let SessionRef { index, .. } = self.find(key, self.hasher.hash(key.words()))?;
        let is_beneath = |session: &Session| session.flags.has(Flags::PORT) && is_it(session);
        self.sessions.at(index).is_some_and(is_beneath).then_some(index)
    }

    /// Any session beneath the mapping of a global endpoint's port.
    pub(super) fn find_ring(&self, vrf: Vrf, protocol: Protocol, global: Endpoint) -> Option<u32> {
        let key = Mapping::seen_key(Side::Inside, protocol, vrf, global);
        let any_peer = SessionKey { src: ANYONE, dst: global, vrf, protocol, direction: Direction::Inbound };
        let head = self.find_head(key, |session| session.mapping_keys()[1] == key);
        head.or_else(|| self.find_any_peer(any_peer, |_| true))
    }

    /// The dynamic mapping that a global endpoint belongs to: of the port, or of the whole address.
    pub fn mapping_of_global(&self, vrf: Vrf, protocol: Protocol, global: Endpoint) -> Option<Mapped> {
        if let Some(index) = self.find_ring(vrf, protocol, global)
            && let Some(session) = self.sessions.at(index)
        {
            let vrfs = (session.inside_vrf, session.outside_vrf);
            let above = Above::Port(Some(index));
            return Some(Mapped { local: session.inside_local, vrfs, rule: session.rule, above });
        }
        let whole = Mapping::seen_key(Side::Inside, ANY_PROTOCOL, vrf, Endpoint::new(global.addr, 0));
        let index = self.find_mapping(whole, |_| true)?;
        let mapping = self.mappings.at(index)?;
        Some(Mapped {
            local: Endpoint::new(mapping.own.addr, global.port),
            vrfs: (mapping.own_vrf, mapping.seen_vrf),
            rule: mapping.rule,
            above: Above::Address(index),
        })
    }

    /// The global endpoint that an inside one has by the mapping of its port.
    pub fn global_of_local(&self, protocol: Protocol, vrf: Vrf, local: Endpoint) -> Option<Endpoint> {
        let key = Mapping::own_key(Side::Inside, protocol, vrf, local);
        let any_peer = SessionKey { src: local, dst: ANYONE, vrf, protocol, direction: Direction::Outbound };
        let head = self.find_head(key, |session| session.mapping_keys()[0] == key);
        let index = head.or_else(|| self.find_any_peer(any_peer, |_| true))?;
        self.sessions.at(index).map(|session| session.inside_global)
    }

    /// The global address of an inside host that has a whole one.
    pub fn whole_global_of(&self, vrf: Vrf, local: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::own_key(Side::Inside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        Some(self.mappings.at(self.find_mapping(key, |_| true)?)?.seen.addr)
    }

    /// The host of an inside VRF that has a whole global address of an outside one.
    pub fn whole_local_of(&self, (inside, outside): (Vrf, Vrf), global: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::seen_key(Side::Inside, ANY_PROTOCOL, outside, Endpoint::new(global, 0));
        Some(self.mappings.at(self.find_mapping(key, |mapping| mapping.own_vrf == inside)?)?.own.addr)
    }

    /// Whether an outside address may send to a mapping, by the sessions it has (RFC 4787 REQ-8).
    pub fn passes_filter(&self, filtering: Filtering, mapping: Above, peer: Ipv4Addr) -> bool {
        match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                self.contact_key(mapping).is_some_and(|key| self.contacts.has(key, peer))
            }
            Filtering::AddressAndPortDependent => matches!(mapping, Above::Address(_)),
        }
    }

    /// What the peers of a mapping are counted under.
    pub(super) fn contact_key(&self, mapping: Above) -> Option<MappingKey> {
        match mapping {
            Above::Fixed => None,
            Above::Address(index) => Some(self.mappings.at(index)?.keys()[1]),
            Above::Port(index) => Some(self.sessions.at(index?)?.mapping_keys()[1]),
        }
    }

    /// The outside local address of an outside host under a dynamic rule, made when there is none yet. It counts as used at
    /// `used_ms`.
    pub fn map_outside(
        &mut self,
        policy: &Policy,
        rule: &OutsideRule,
        global: Ipv4Addr,
        used_ms: u32,
        now: u32,
    ) -> Result<Ipv4Addr, DropReason> {
        let own = Endpoint::new(global, 0);
        let key = Mapping::outside_key((rule.inside_vrf, rule.outside_vrf), global);
        if let Some(index) = self.find_mapping(key, |_| true)
            && let Some(mapping) = self.mappings.at_mut(index)
        {
            mapping.used_ms = if is_due(used_ms, mapping.used_ms) { used_ms } else { mapping.used_ms };
            return Ok(mapping.seen.addr);
        }
        if self.mappings.is_full() {
            return Err(DropReason::SessionsFull);
        }
        let local = self.allocator.take_for_outside(policy, rule, now).ok_or(DropReason::PoolExhausted)?;
        let mapping = Mapping {
            own,
            seen: Endpoint::new(local, 0),
            session_count: 0,
            subscriber: NONE,
            created_ms: now,
            used_ms,
            own_vrf: rule.outside_vrf,
            seen_vrf: rule.inside_vrf,
            rule: rule.id,
            protocol: ANY_PROTOCOL,
            side: Side::Outside,
        };
        self.enter_mapping(policy, mapping, now)?;
        Ok(local)
    }

    /// The mapping behind [`Shard::outside_global_of`], for a packet: it lasts for as long as sessions begin there.
    pub fn use_outside_local(&mut self, vrf: Vrf, local: Ipv4Addr, now: u32) -> Option<&Mapping> {
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        let index = self.find_mapping(key, |_| true)?;
        let mapping = self.mappings.at_mut(index)?;
        mapping.used_ms = now;
        Some(mapping)
    }

    /// The outside global address of an outside local one that a dynamic rule gave.
    pub fn outside_global_of(&self, vrf: Vrf, local: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        Some(self.mappings.at(self.find_mapping(key, |_| true)?)?.own.addr)
    }

    /// The outside local address that a dynamic rule gave an outside host, between VRFs of inside and outside.
    pub fn outside_local_of(&self, vrfs: (Vrf, Vrf), global: Ipv4Addr) -> Option<Ipv4Addr> {
        let index = self.find_mapping(Mapping::outside_key(vrfs, global), |_| true)?;
        Some(self.mappings.at(index)?.seen.addr)
    }

    fn find_mapping(&self, key: MappingKey, is_wanted: impl Fn(&Mapping) -> bool) -> Option<u32> {
        if self.mappings.is_empty() {
            return None;
        }
        let is_key = |index| {
            self.mappings.at(index).is_some_and(|mapping| mapping.keys().contains(&key) && is_wanted(mapping))
        };
        self.mapping_index.find(self.hasher.hash(key), is_key)
    }

    fn enter_mapping(&mut self, policy: &Policy, mapping: Mapping, now: u32) -> Result<u32, DropReason> {
        let keys = mapping.keys();
        let deadline = mapping_deadline_ms(policy, &mapping);
        let index = self.mappings.insert(mapping).ok_or(DropReason::SessionsFull)?;
        for key in keys {
            if !self.mapping_index.insert(self.hasher.hash(key), index) {
                self.remove_mapping(policy, index, now);
                return Err(DropReason::SessionsFull);
            }
        }
        self.wheel.arm(self.mapping_node(index), deadline.unwrap_or(far_off(now)));
        Ok(index)
    }

    pub(super) fn mapping_node(&self, index: u32) -> u32 {
        self.sessions.capacity() as u32 + index
    }

    pub(super) fn remove_mapping(&mut self, policy: &Policy, index: u32, now: u32) {
        let Some(mapping) = self.mappings.remove(index) else { return };
        self.wheel.disarm(self.mapping_node(index));
        for key in mapping.keys() {
            self.mapping_index.remove(self.hasher.hash(key), index);
        }
        self.release(policy, &mapping, now);
    }

    /// Gives back what a mapping had.
    pub(super) fn release(&mut self, policy: &Policy, mapping: &Mapping, now: u32) {
        let subscriber = self.subscribers.at_mut(mapping.subscriber);
        self.allocator.release(policy, mapping, subscriber, now);
        if let Some(subscriber) = self.subscribers.at_mut(mapping.subscriber) {
            subscriber.mapping_count -= 1;
        }
        self.leave(policy, mapping.subscriber);
    }

    /// Forgets a subscriber that has nothing left.
    pub(super) fn leave(&mut self, policy: &Policy, subscriber: u32) {
        if let Some(mut gone) = self.subscribers.leave_if_idle(subscriber) {
            self.allocator.unpair(policy, &mut gone);
        }
    }
}
