//! Which global endpoint an inside one has, and the other way round: finding and making mappings.

use std::net::Ipv4Addr;

use alg::Side;

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, Protocol, Selector, Tuple, Vrf};
use crate::lives::EndReason;
use crate::policy::{Filtering, OutsideRule, Policy, RuleId, SourceRule};
use crate::state::bound::bound;
use crate::state::journal::NOBODY;
use crate::state::mapping::{ANY_PROTOCOL, Binding, Mapping, MappingKey};
use crate::state::ports::lease::{Lease, Taken};
use crate::state::ports::request::{Request, Source};
use crate::state::session::{ANYONE, Above, Flags, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard, far_off, mapping_deadline_ms};
use crate::state::table::slots::NONE;

/// The inside endpoint behind a global one.
#[derive(Debug)]
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
    /// The mapping of an inside source under a dynamic rule, a lease for one where there is none yet, and the global
    /// endpoint it gives the source.
    pub fn map(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<(Above, Endpoint), DropReason> {
        // A rule without overload maps the whole address, whatever the protocol and port. Under overload a host that has one
        // for what has no ports has no other (RFC 6888 REQ-2).
        let is_portless = Selector::of(source.protocol) == Selector::Nothing;
        if !rule.overload || is_portless || self.has_address_by(rule, source) {
            let (above, global) = self.map_address(policy, rule, source, now)?;
            return Ok((above, Endpoint::new(global, source.local.port)));
        }
        if let Some(index) = self.find_port(source, rule.id)
            && let Some(session) = self.sessions.at(index)
        {
            return Ok((Above::Port(index), session.inside_global()));
        }
        let lease = self.take(policy, rule, source, now)?;
        let global = lease.end();
        let seen = Mapping::seen_key(Side::Inside, source.protocol, rule.outside_vrf, global);
        self.port_index.prefetch(self.hasher.hash(seen));
        Ok((Above::New(lease), global))
    }

    /// The mapping of a whole address or a lease for one, and the address it is mapped to.
    fn map_address(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<(Above, Ipv4Addr), DropReason> {
        let local = Endpoint::new(source.local.addr, 0);
        let source = Source { protocol: ANY_PROTOCOL, local, ..source };
        let key = Mapping::own_key(Side::Inside, ANY_PROTOCOL, source.vrf, local);
        // Another rule's mapping of the same source has an address that this rule does not give.
        if let Some(index) = self.find_mapping(key, |mapping| mapping.binding.rule == rule.id)
            && let Some(mapping) = self.mappings.at_mut(index)
        {
            mapping.note_use(now);
            return Ok((Above::Address(index), mapping.binding.seen.addr));
        }
        if self.mappings.is_full() {
            return Err(DropReason::AddressesFull);
        }
        // Nor a second one beside that which it shares.
        let number = self.subscribers.find(source.vrf, source.local.addr);
        let shares = number.and_then(|number| self.subscribers.at_mut(number)?.paired);
        if rule.overload && shares.is_some_and(|(pool, _)| pool == rule.pool) {
            return Err(DropReason::ProtocolUntranslatable);
        }
        let lease = self.take(policy, rule, source, now)?;
        let addr = lease.end().addr;
        Ok((Above::New(lease), addr))
    }

    /// Whether a host has a whole address by a rule.
    fn has_address_by(&self, rule: &SourceRule, source: Source) -> bool {
        let local = Endpoint::new(source.local.addr, 0);
        let key = Mapping::own_key(Side::Inside, ANY_PROTOCOL, source.vrf, local);
        self.find_mapping(key, |mapping| mapping.binding.rule == rule.id).is_some()
    }

    /// Takes a global endpoint for a source, whose subscriber counts it.
    fn take(
        &mut self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        now: u32,
    ) -> Result<Lease, DropReason> {
        self.reclaim(policy, now);
        let full = DropReason::SubscribersFull;
        let number = self.subscribers.enter(source.vrf, source.local.addr).ok_or(full)?;
        let counter = source.to.map(|to| self.destinations.counter(source.vrf, source.local.addr, to));
        if let Some(reason) = self.refusal(policy, (number, counter), now) {
            self.note_refused(number, reason);
            self.leave(number, now);
            return Err(reason);
        }
        let subscriber = self.subscribers.at_mut(number).ok_or(full)?;
        let (destinations, journal) = (&self.destinations, &mut self.journal);
        let mut request = Request { policy, rule, source, wish: None, destinations, counter, journal, now };
        let global = match self.allocator.take(&mut request, subscriber) {
            Ok(global) => global,
            Err(reason) => {
                self.note_refused(number, reason);
                self.leave(number, now);
                self.rule_mut(rule.id).misses += 1;
                // Under overload a whole address is refused while there are ports.
                let is_of_ports = rule.overload && Selector::of(source.protocol) == Selector::Nothing;
                if reason == DropReason::PoolExhausted && !is_of_ports {
                    self.journal.note_exhausted(bound(rule, source, NOBODY), now);
                }
                return Err(reason);
            }
        };
        subscriber.mapping_count += 1;
        let taken = Taken { binding: bound(rule, source, global), subscriber: number, count: 1 };
        Ok(self.lender.lend(taken, counter))
    }

    /// Any session beneath the mapping of an inside endpoint's port.
    pub(super) fn find_port(&self, source: Source, rule: RuleId) -> Option<u32> {
        let Source { protocol, vrf, local, .. } = source;
        let key = Mapping::own_key(Side::Inside, protocol, vrf, local);
        let is_it = |session: &Session| session.rule == rule && session.mapping_keys()[0] == key;
        let any_peer =
            SessionKey::new(&Tuple { src: local, dst: ANYONE, protocol, vrf }, Direction::Outbound);
        self.find_head(key, is_it).or_else(|| self.find_any_peer(any_peer, |session| session.rule == rule))
    }

    /// Any session beneath the mapping that gives an inside endpoint a port of this address, whatever rule made it.
    pub(super) fn find_port_at(
        &self,
        protocol: Protocol,
        (inside, outside): (Vrf, Vrf),
        local: Endpoint,
        addr: Ipv4Addr,
    ) -> Option<u32> {
        let key = Mapping::own_key(Side::Inside, protocol, inside, local);
        let tuple = Tuple { src: local, dst: ANYONE, protocol, vrf: inside };
        let any_peer = SessionKey::new(&tuple, Direction::Outbound);
        let is_at =
            |session: &Session| session.inside_global().addr == addr && session.outside_vrf() == outside;
        let head = self.find_head(key, |session| session.mapping_keys()[0] == key && is_at(session));
        head.or_else(|| self.find_any_peer(any_peer, is_at))
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
        let any_peer =
            SessionKey::new(&Tuple { src: ANYONE, dst: global, protocol, vrf }, Direction::Inbound);
        let head = self.find_head(key, |session| session.mapping_keys()[1] == key);
        head.or_else(|| self.find_any_peer(any_peer, |_| true))
    }

    /// The dynamic mapping that a global endpoint belongs to: of the port, or of the whole address.
    pub fn mapping_of_global(&self, vrf: Vrf, protocol: Protocol, global: Endpoint) -> Option<Mapped> {
        if let Some(index) = self.find_ring(vrf, protocol, global)
            && let Some(session) = self.sessions.at(index)
        {
            let vrfs = (session.inside_vrf(), session.outside_vrf());
            let above = Above::Port(index);
            return Some(Mapped { local: session.inside_local(), vrfs, rule: session.rule, above });
        }
        let whole = Mapping::seen_key(Side::Inside, ANY_PROTOCOL, vrf, Endpoint::new(global.addr, 0));
        let index = self.find_mapping(whole, |_| true)?;
        let binding = self.mappings.at(index)?.binding;
        Some(Mapped {
            local: Endpoint::new(binding.own.addr, global.port),
            vrfs: (binding.own_vrf, binding.seen_vrf),
            rule: binding.rule,
            above: Above::Address(index),
        })
    }

    /// The global endpoint that an inside one has by the mapping of its port.
    pub fn global_of_local(&self, protocol: Protocol, vrf: Vrf, local: Endpoint) -> Option<Endpoint> {
        let key = Mapping::own_key(Side::Inside, protocol, vrf, local);
        let any_peer =
            SessionKey::new(&Tuple { src: local, dst: ANYONE, protocol, vrf }, Direction::Outbound);
        let head = self.find_head(key, |session| session.mapping_keys()[0] == key);
        let index = head.or_else(|| self.find_any_peer(any_peer, |_| true))?;
        self.sessions.at(index).map(|session| session.inside_global())
    }

    /// The global address of an inside host that has a whole one.
    pub fn whole_global_of(&self, vrf: Vrf, local: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::own_key(Side::Inside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        Some(self.mappings.at(self.find_mapping(key, |_| true)?)?.binding.seen.addr)
    }

    /// The host of an inside VRF that has a whole global address of an outside one.
    pub fn whole_local_of(&self, (inside, outside): (Vrf, Vrf), global: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::seen_key(Side::Inside, ANY_PROTOCOL, outside, Endpoint::new(global, 0));
        let index = self.find_mapping(key, |mapping| mapping.binding.own_vrf == inside)?;
        Some(self.mappings.at(index)?.binding.own.addr)
    }

    /// Whether an outside address may send to a mapping, by the sessions it has (RFC 4787 REQ-8).
    pub fn passes_filter(&self, filtering: Filtering, mapping: &Above, peer: Ipv4Addr) -> bool {
        match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => {
                self.contact_key(mapping).is_some_and(|key| self.contacts.has(key, peer))
            }
            Filtering::AddressAndPortDependent => matches!(mapping, Above::Address(_)),
        }
    }

    /// What the peers of a mapping are counted under.
    fn contact_key(&self, mapping: &Above) -> Option<MappingKey> {
        match *mapping {
            Above::Address(index) => Some(self.mappings.at(index)?.binding.keys()[1]),
            Above::Port(index) => Some(self.sessions.at(index)?.mapping_keys()[1]),
            Above::Fixed | Above::Door | Above::New(_) => None,
        }
    }

    /// What a session's peer is counted under.
    pub(super) fn contact_key_of(&self, index: u32) -> Option<MappingKey> {
        let session = self.sessions.at(index)?;
        match session.flags {
            flags if flags.has(Flags::PORT) => Some(session.mapping_keys()[1]),
            flags if flags.has(Flags::ADDRESS) => self.contact_key(&Above::Address(session.next)),
            _ => None,
        }
    }

    /// The outside local address of an outside host under a dynamic rule, made when there is none yet. It counts as used by
    /// the inside at `used_ms`; with none, an outside packet asks for it.
    pub fn map_outside(
        &mut self,
        policy: &Policy,
        rule: &OutsideRule,
        global: Ipv4Addr,
        used_ms: Option<u32>,
        now: u32,
    ) -> Result<Ipv4Addr, DropReason> {
        let key = Mapping::outside_key((rule.inside_vrf, rule.outside_vrf), global);
        if let Some(index) = self.find_mapping(key, |_| true)
            && let Some(mapping) = self.mappings.at_mut(index)
        {
            used_ms.into_iter().for_each(|used_ms| mapping.note_use(used_ms));
            return Ok(mapping.binding.seen.addr);
        }
        if self.mappings.is_full() {
            return Err(DropReason::AddressesFull);
        }
        self.reclaim(policy, now);
        let mut taken = self.allocator.take_for_outside(policy, rule, now);
        if taken.is_none() && self.end_unconfirmed_host(policy, rule.id, now) {
            taken = self.allocator.take_for_outside(policy, rule, now);
        }
        let binding = Binding {
            own: Endpoint::new(global, 0),
            seen: taken.map_or(NOBODY, |local| Endpoint::new(local, 0)),
            own_vrf: rule.outside_vrf,
            seen_vrf: rule.inside_vrf,
            rule: rule.id,
            protocol: ANY_PROTOCOL,
            side: Side::Outside,
        };
        let Some(local) = taken else {
            self.rule_mut(rule.id).misses += 1;
            self.journal.note_exhausted(binding, now);
            return Err(DropReason::PoolExhausted);
        };
        let lease = self.lender.lend(Taken { binding, subscriber: NONE, count: 1 }, None);
        if self.enter_mapping(policy, &lease, used_ms, now).is_none() {
            self.give_back(policy, lease, now);
            return Err(DropReason::AddressesFull);
        }
        self.bind(lease, now);
        Ok(local)
    }

    /// The mapping behind [`Shard::outside_global_of`], for a packet: it lasts for as long as sessions begin there.
    pub fn use_outside_local(&mut self, vrf: Vrf, local: Ipv4Addr, now: u32) -> Option<&Binding> {
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        let index = self.find_mapping(key, |_| true)?;
        let mapping = self.mappings.at_mut(index)?;
        mapping.note_use(now);
        Some(&mapping.binding)
    }

    /// The outside global address of an outside local one that a dynamic rule gave.
    pub fn outside_global_of(&self, vrf: Vrf, local: Ipv4Addr) -> Option<Ipv4Addr> {
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, vrf, Endpoint::new(local, 0));
        Some(self.mappings.at(self.find_mapping(key, |_| true)?)?.binding.own.addr)
    }

    /// The outside local address that a dynamic rule gave an outside host, between VRFs of inside and outside.
    pub fn outside_local_of(&self, vrfs: (Vrf, Vrf), global: Ipv4Addr) -> Option<Ipv4Addr> {
        let index = self.find_mapping(Mapping::outside_key(vrfs, global), |_| true)?;
        Some(self.mappings.at(index)?.binding.seen.addr)
    }

    /// Ends an outside host's mapping that no session is beneath and the inside never used: what it was made for was refused.
    pub fn end_unsolicited_outside(&mut self, policy: &Policy, vrfs: (Vrf, Vrf), global: Ipv4Addr, now: u32) {
        if let Some(index) = self.find_mapping(Mapping::outside_key(vrfs, global), |_| true) {
            self.end_unsolicited(policy, index, (EndReason::Idle, now));
        }
    }

    /// The mapping of an outside address that a session is beneath, if it is beneath one.
    pub(super) fn outside_mapping_of(&self, session: &Session) -> Option<u32> {
        let local = Endpoint::new(session.outside_local().addr, 0);
        let key = Mapping::seen_key(Side::Outside, ANY_PROTOCOL, session.inside_vrf(), local);
        session.flags.has(Flags::OUTSIDE_ADDRESS).then(|| self.find_mapping(key, |_| true))?
    }

    fn find_mapping(&self, key: MappingKey, is_wanted: impl Fn(&Mapping) -> bool) -> Option<u32> {
        if self.mappings.is_empty() {
            return None;
        }
        let is_key = |index| {
            let is_it = |mapping: &Mapping| mapping.binding.keys().contains(&key) && is_wanted(mapping);
            self.mappings.at(index).is_some_and(is_it)
        };
        self.mapping_index.find(self.hasher.hash(key), is_key)
    }

    /// Makes the record of a whole address's mapping. None where there is no room.
    pub(super) fn enter_mapping(
        &mut self,
        policy: &Policy,
        lease: &Lease,
        used_ms: Option<u32>,
        now: u32,
    ) -> Option<u32> {
        let Taken { binding, subscriber, .. } = *self.lender.taken(lease)?;
        let (is_unsolicited, used_ms) = (used_ms.is_none(), used_ms.unwrap_or(now));
        let mapping = Mapping {
            binding,
            session_count: 0,
            subscriber,
            created_ms: now,
            used_ms,
            is_unsolicited,
            unconfirmed_flows: None,
        };
        let deadline = mapping_deadline_ms(policy, &mapping);
        let index = self.mappings.insert(mapping)?;
        self.rule_mut(binding.rule).address_count += 1;
        for key in binding.keys() {
            if !self.mapping_index.insert(self.hasher.hash(key), index) {
                self.take_mapping(index);
                return None;
            }
        }
        self.wheel.arm(self.mapping_node(index), deadline.unwrap_or(far_off(now)));
        if is_unsolicited {
            self.note_unconfirmed_host(index);
        }
        Some(index)
    }

    pub(super) fn mapping_node(&self, index: u32) -> u32 {
        self.sessions.capacity() as u32 + index
    }

    /// Takes the record of a whole address's mapping out of the tables. The address stays taken.
    pub(super) fn take_mapping(&mut self, index: u32) -> Option<Mapping> {
        self.forget_unconfirmed_host(index);
        let mapping = self.mappings.remove(index)?;
        self.rule_mut(mapping.binding.rule).address_count -= 1;
        self.wheel.disarm(self.mapping_node(index));
        for key in mapping.binding.keys() {
            self.mapping_index.remove(self.hasher.hash(key), index);
        }
        Some(mapping)
    }

    /// Ends the mapping of a whole address.
    pub(super) fn end_mapping(&mut self, policy: &Policy, index: u32, reason: EndReason, now: u32) {
        let Some(Mapping { binding, subscriber, created_ms, .. }) = self.take_mapping(index) else { return };
        self.unbind(policy, &binding, subscriber, created_ms, (reason, now));
    }
}
