//! What a gateway sees and may do: the tables' side of [`alg::Context`].

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Call, Counterpart, Door, OutwardDoor, Owner, Refusal, Session, Side, Span, Transport};
use arrayvec::ArrayVec;

use crate::counters::GatewayCounters;
use crate::flow::{Endpoint, TCP, UDP, Vrf, protocol_of};
use crate::policy::{GatewayIndex, IdleClass, OutsideRule, Policy, StaticRule, Timeouts};
use crate::state::door::OwnerKey;
use crate::state::reserve::{Asker, endpoint, socket_addr};
use crate::state::room::Initiator;
use crate::state::session::Flags;
use crate::state::shard::Shard;
use crate::stream::EditList;
use crate::wire::ipv4::is_unicast;

/// Doors that one message may open.
const DOORS_PER_MESSAGE_MAX: usize = 72;
/// What one message may close, renew and admit peers to.
const CHANGED_PER_MESSAGE_MAX: usize = 64;
/// Calls that one message may speak of.
const CALLS_PER_MESSAGE_MAX: usize = 12;
/// Outside hosts that one message may ask for addresses for.
const BOUND_PER_MESSAGE_MAX: u8 = 32;
/// How long an outside host keeps the address that a message gave it, until a session begins.
const BOUND_MS: u32 = 120_000;
/// The longest message that any datagram can carry, whatever its IPv4 options.
const DATAGRAM_MESSAGE_LEN_MAX: usize = 65_535 - 60 - 8;

/// A gateway's context for one message.
pub struct Access<'a> {
    shard: &'a mut Shard,
    policy: &'a Policy,
    edits: &'a mut EditList,
    counters: &'a GatewayCounters,
    session: Session,
    vrfs: (Vrf, Vrf),
    asker: Asker,
    opened: ArrayVec<u32, DOORS_PER_MESSAGE_MAX>,
    admitting: ArrayVec<(Owner, Option<Ipv4Addr>), CHANGED_PER_MESSAGE_MAX>,
    closing: ArrayVec<Owner, CHANGED_PER_MESSAGE_MAX>,
    renewing: ArrayVec<(Owner, u32), CHANGED_PER_MESSAGE_MAX>,
    /// The call that it asked for first, which is the one that it is about.
    about: Option<u64>,
    /// Calls that it speaks of, how long they are remembered, and whether they began in it.
    calls: ArrayVec<(u32, u32, bool), CALLS_PER_MESSAGE_MAX>,
    /// Outside hosts that may still be asked for, none in a hairpinned session: its peer is no outside host.
    bound_max: u8,
    /// How long the message is with its edits, and how long it may be.
    len: usize,
    len_max: usize,
    now: u32,
}

impl<'a> Access<'a> {
    /// A context for a message, of so many bytes, of the control session with this index, which its gateway reads.
    pub fn new(
        shard: &'a mut Shard,
        policy: &'a Policy,
        edits: &'a mut EditList,
        (control, gateway, counters): (u32, GatewayIndex, &'a GatewayCounters),
        peer: Option<Endpoint>,
        len: usize,
        now: u32,
    ) -> Option<Access<'a>> {
        let of = shard.session(control)?;
        let (transport, len_max) = match of.protocol {
            // A stream has a bound of its own.
            TCP => (Transport::Tcp, usize::MAX),
            UDP => (Transport::Udp, DATAGRAM_MESSAGE_LEN_MAX),
            _ => return None,
        };
        let through = shard.control_sessions.of(control).and_then(|control| control.through);
        let (through, callers) = match through {
            Some((OwnerKey::Call(key), _)) => (Some(Owner::Call(key.hash)), key.host),
            Some((OwnerKey::ControlSession(_), tag)) => {
                (Some(Owner::Session(tag)), (of.inside_vrf(), of.inside_local().addr))
            }
            None => (None, (of.inside_vrf(), of.inside_local().addr)),
        };
        let session = Session {
            transport,
            inside_local: socket_addr(of.inside_local()),
            inside_global: socket_addr(of.inside_global()),
            outside_local: socket_addr(peer.unwrap_or(of.outside_local())),
            outside_global: socket_addr(peer.unwrap_or(of.outside_global())),
            through,
        };
        let vrfs = (of.inside_vrf(), of.outside_vrf());
        let bound_max = if of.flags.has(Flags::HAIRPIN) { 0 } else { BOUND_PER_MESSAGE_MAX };
        let asker = Asker { control, gateway, callers };
        Some(Access {
            shard,
            policy,
            edits,
            counters,
            session,
            vrfs,
            asker,
            opened: ArrayVec::new(),
            admitting: ArrayVec::new(),
            closing: ArrayVec::new(),
            renewing: ArrayVec::new(),
            about: None,
            calls: ArrayVec::new(),
            bound_max,
            len,
            len_max,
            now,
        })
    }

    /// The inside host and the call that the message is about.
    pub fn about(&self) -> ((Vrf, Ipv4Addr), Option<u64>) {
        (self.asker.callers, self.about)
    }

    /// What was asked for takes effect. Returns how many doors are new.
    pub fn keep(self) -> usize {
        for (number, life_s, _) in self.calls {
            self.shard.renew_call(number, life_s, self.now);
        }
        for (owner, life_s) in self.renewing {
            let (key, tag) = self.asker.owner_key(owner);
            self.shard.renew_doors_of(key, tag_of(owner, tag), life_s, self.now);
            if let Some(number) = self.shard.call_of(owner, key) {
                self.shard.renew_call(number, life_s, self.now);
            }
        }
        for (owner, peer) in self.admitting {
            let (key, tag) = self.asker.owner_key(owner);
            self.shard.admit_to_doors_of(key, tag_of(owner, tag), peer);
        }
        for owner in self.closing {
            let (key, tag) = self.asker.owner_key(owner);
            self.shard.close_doors_of(self.policy, key, tag_of(owner, tag), self.now);
            if let Some(number) = self.shard.call_of(owner, key) {
                self.shard.end_call(self.policy, number, self.now);
            }
        }
        self.opened.len()
    }

    /// Nothing of what was asked for takes effect.
    pub fn forget(self) {
        for index in self.opened {
            self.shard.close_door(self.policy, index, self.now);
        }
        for (number, ..) in self.calls.into_iter().filter(|&(.., is_new)| is_new) {
            self.shard.end_call(self.policy, number, self.now);
        }
        self.edits.clear();
    }
}

/// The number that doors of an owner must have to be meant: a call's are all meant.
fn tag_of(owner: Owner, tag: u32) -> Option<u32> {
    (!matches!(owner, Owner::Call(_))).then_some(tag)
}

impl<'a> Access<'a> {
    /// The rule by which an outside host that a message names gets an address for the inside.
    fn rule_to_bind(&mut self, outside: Ipv4Addr) -> Option<&'a OutsideRule> {
        let policy = self.policy;
        if policy.outside_rules.is_empty() || self.bound_max == 0 {
            return None;
        }
        self.bound_max -= 1;
        let rule = policy.outside_rule_of(self.vrfs, outside)?;
        // A global address is no outside host's, and no name leads to what is nobody's address.
        let may_be = is_unicast(outside) && !policy.is_global(self.vrfs.1, outside);
        (may_be && !policy.gateways.payload_kept.contains(&rule.id)).then_some(rule)
    }
}

impl alg::Context for Access<'_> {
    fn session(&self) -> &Session {
        &self.session
    }

    fn now_ms(&self) -> u32 {
        self.now
    }

    fn resets_ttl(&self) -> bool {
        self.policy.gateways.resets_ttl
    }

    fn global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4> {
        let (protocol, local) = (protocol_of(transport), endpoint(local));
        if local == endpoint(self.session.inside_local) && transport == self.session.transport {
            return Some(self.session.inside_global);
        }
        let by_door =
            || self.shard.door_from_inside(protocol, self.vrfs.0, local, self.now).map(|door| door.global);
        let by_mapping = || self.shard.global_of_local(protocol, self.vrfs.0, local);
        let by_static = self.static_global(transport, socket_addr(local));
        by_static.or_else(|| by_door().or_else(by_mapping).map(socket_addr))
    }

    fn static_global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4> {
        let (protocol, local) = (protocol_of(transport), endpoint(local));
        let by_static = self.policy.statics.global_of(self.vrfs.0, protocol, local, |rule| {
            rule.selector.is_none() && rule.outside_vrf == self.vrfs.1 && !rule.is_default
        });
        by_static.map(|(global, _)| socket_addr(global))
    }

    fn local(&self, transport: Transport, global: SocketAddrV4) -> Option<SocketAddrV4> {
        let (protocol, global) = (protocol_of(transport), endpoint(global));
        let (inside, outside) = self.vrfs;
        // Another VRF's host of this address is not the one that is meant.
        let is_ours = |rule: &StaticRule| rule.inside_vrf == inside;
        let by_static = self.policy.statics.local_of(outside, protocol, global, is_ours);
        let by_static = by_static.map(|(local, _)| local);
        let by_door = || {
            let door = self.shard.door_of_global(protocol, outside, global);
            door.filter(|door| door.vrfs.0 == inside).map(|door| door.inside)
        };
        let by_mapping = || {
            let mapped = self.shard.mapping_of_global(outside, protocol, global);
            mapped.filter(|mapped| mapped.vrfs.0 == inside).map(|mapped| mapped.local)
        };
        by_static.or_else(by_door).or_else(by_mapping).map(socket_addr)
    }

    fn policy_address(&self, from: Side, addr: Ipv4Addr) -> Option<Counterpart> {
        let end = Endpoint::new(addr, 0);
        let fixed = |end: Endpoint| Counterpart { addr: end.addr, is_static: true };
        let dynamic = |addr: Ipv4Addr| Counterpart { addr, is_static: false };
        let (inside, outside) = self.vrfs;
        let (statics, outside_statics) = (&self.policy.statics, &self.policy.outside_statics);
        // Another VRF's host of this address is not the one that is meant.
        let is_ours = |rule: &StaticRule| rule.inside_vrf == inside;
        match from {
            Side::Inside => statics
                .global_of(inside, 0, end, |rule| rule.protocol.is_none() && rule.selector.is_none())
                .or_else(|| outside_statics.global_of(inside, 0, end, |rule| rule.protocol.is_none()))
                .map(|(end, _)| fixed(end))
                .or_else(|| self.shard.whole_global_of(inside, addr).map(dynamic))
                .or_else(|| self.shard.outside_global_of(inside, addr).map(dynamic)),
            Side::Outside => statics
                .local_of(outside, 0, end, is_ours)
                .or_else(|| outside_statics.local_of(outside, 0, end, is_ours))
                .map(|(end, _)| fixed(end))
                .or_else(|| self.shard.whole_local_of(self.vrfs, addr).map(dynamic))
                .or_else(|| self.shard.outside_local_of(self.vrfs, addr).map(dynamic)),
        }
    }

    fn is_third_party(&self, addr: Ipv4Addr) -> bool {
        self.policy.gateways.third_parties.is_some_and(|acl| self.policy.permits_host(acl, addr))
    }

    fn may_bind(&mut self, outside: Ipv4Addr) -> bool {
        self.rule_to_bind(outside).is_some()
    }

    fn bind(&mut self, outside: Ipv4Addr) -> Option<Counterpart> {
        let rule = self.rule_to_bind(outside)?;
        let idle_ms = self.policy.timeouts.of(IdleClass::Other);
        // As if it had been used so long ago that little of the time is left.
        let used_ms = match idle_ms {
            Timeouts::NEVER => self.now,
            idle_ms => self.now.wrapping_sub(idle_ms.saturating_sub(BOUND_MS)),
        };
        let addr = self.shard.map_outside(self.policy, rule, outside, Some(used_ms), self.now).ok()?;
        Some(Counterpart { addr, is_static: false })
    }

    fn reserve(&mut self, door: Door) -> Result<SocketAddrV4, Refusal> {
        if self.opened.remaining_capacity() < 2 {
            return Err(Refusal::DoorLimit);
        }
        self.shard.reserve(self.policy, self.asker, &door, &mut self.opened, self.now)
    }

    fn open_outward(&mut self, door: OutwardDoor) -> Result<(), Refusal> {
        if self.opened.is_full() {
            return Err(Refusal::DoorLimit);
        }
        self.shard.open_outward(self.policy, self.asker, &door, &mut self.opened, self.now)
    }

    fn call(&mut self, hash: u64, life_s: u32) -> Result<&mut Call, Refusal> {
        self.about.get_or_insert(hash);
        let key = self.asker.call_key(hash);
        let known = self.shard.calls.find(key);
        let is_listed = |number: u32| self.calls.iter().any(|&(listed, ..)| listed == number);
        if self.calls.is_full() && !known.is_some_and(is_listed) {
            return Err(Refusal::CallLimit);
        }
        let holder = self.shard.session(self.asker.control).map(Initiator::of).ok_or(Refusal::CallLimit)?;
        let begin = || self.shard.begin_call((self.asker.gateway, holder), key, life_s, self.now);
        let number = known.or_else(begin).ok_or(Refusal::CallLimit)?;
        match self.calls.iter_mut().find(|(listed, ..)| *listed == number) {
            Some((_, life, _)) => *life = life_s,
            None => self.calls.push((number, life_s, known.is_none())),
        }
        self.shard.calls.memory_mut(number).ok_or(Refusal::CallLimit)
    }

    fn known_call(&mut self, hash: u64) -> Option<&mut Call> {
        self.about.get_or_insert(hash);
        let number = self.shard.calls.find(self.asker.call_key(hash))?;
        self.shard.calls.memory_mut(number)
    }

    fn admit(&mut self, owner: Owner, peer: Option<Ipv4Addr>) {
        // As with closing.
        let _ = self.admitting.try_push((owner, peer));
    }

    fn renew(&mut self, owner: Owner, life_s: u32) {
        // As with closing.
        let _ = self.renewing.try_push((owner, life_s));
    }

    fn close(&mut self, owner: Owner) {
        // One more than a message can sensibly close stays open until its life ends.
        let _ = self.closing.try_push(owner);
    }

    fn count(&mut self, kind: usize) {
        if let Some(count) = self.counters.kinds.get(kind) {
            count.add(1);
        }
    }

    fn replace(&mut self, span: Span, bytes: &[u8]) -> Result<(), Refusal> {
        self.len = self.len.saturating_sub(span.end.saturating_sub(span.start)) + bytes.len();
        if self.len > self.len_max {
            return Err(Refusal::EditLimit);
        }
        self.edits.replace(span.start..span.end, bytes).map_err(|_| Refusal::EditLimit)
    }
}
