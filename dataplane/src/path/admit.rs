//! Admitting: a packet without a session, and the rules that may make one.
//!
//! A session has four endpoints. From inside, the source is what `inside source` rules make of it and the
//! destination what `outside source` rules do; from outside, the other way round. A packet that no rule
//! concerns is routed as it is.

use alg::Ports;
use alg::Side;

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, Selector, TCP, Vrf};
use crate::head::{Head, Transport};
use crate::path::attach;
use crate::path::direct;
use crate::path::route::{self, Destination};
use crate::path::select::{applies, find_rule, selects};
use crate::path::tables::Tables;
use crate::path::translate::{self, Routed, local, routed_to};
use crate::path::verdict::{Decided, Refused, Verdict};
use crate::policy::{self, Filtering, OutsideRule, Policy, RuleId, StaticRule, Statics};
use crate::route::fib::NextHop;
use crate::state::enter::First;
use crate::state::mapped::Mapped;
use crate::state::ports::request::Source;
use crate::state::session::{ANYONE, Above, Flags, NewSession, Session};
use crate::state::shard::{SessionRef, Shard};
use crate::wire::{icmp, tcp};

/// What a rule makes of an endpoint.
struct Chosen {
    /// The endpoint in the other realm.
    end: Endpoint,
    /// The dynamic mapping behind it.
    above: Above,
    rule: RuleId,
    /// VRFs of inside and outside.
    vrfs: (Vrf, Vrf),
    /// It is the outside local endpoint of an outside pool.
    is_of_outside_pool: bool,
}

/// What gives an outside source its outside local endpoint.
enum PeerRule {
    /// A static line.
    Fixed(Endpoint, RuleId),
    /// A dynamic rule, by its position.
    Dynamic(usize),
}

/// A packet from inside without a session.
pub fn outbound(tables: &mut Tables, head: &Head, now: u32) -> Decided {
    let routed = route::route(tables, head.tuple.vrf, head.dst)?;
    let next_hop = match routed.0 {
        Destination::Beyond(next_hop) => Some(next_hop),
        Destination::Nat => None,
        // The box's own address may be overloaded: then it is a global address for those who are mapped to it.
        Destination::Local(_) if is_mapped(tables, head) => None,
        Destination::Local(_) => return local(head),
    };
    let egress = next_hop.and_then(|hop| tables.policy.interfaces.get(usize::from(hop.interface)));
    if egress.is_some_and(|egress| egress.nat != Some(Side::Outside))
        && let Some(next_hop) = next_hop
    {
        return routed_to(tables, head, next_hop);
    }
    if is_answer(head) && is_translated(tables, head, next_hop) {
        return Err(DropReason::TcpNoSession.into());
    }
    let destination = outside_global_of(tables, head, now);
    let source = choose_global(tables, head, next_hop, now)?;
    if source.is_none() && destination.is_none() {
        // Nobody inside may speak in the name of a global address.
        if tables.policy.is_global(head.tuple.vrf, head.src) {
            return Err(DropReason::SourceGlobal.into());
        }
        return match next_hop {
            Some(next_hop) => routed_to(tables, head, next_hop),
            None => Err(DropReason::NoMapping.into()),
        };
    }
    let vrf = head.tuple.vrf;
    let (local, peer) = (head.tuple.src, head.tuple.dst);
    let inside_global = source.as_ref().map_or(local, |source| source.end);
    let outside_global = destination.as_ref().map_or(peer, |destination| destination.end);
    let is_pooled = destination.as_ref().is_some_and(|destination| destination.is_of_outside_pool);
    let chosen = source.or(destination).unwrap_or(unchanged(head.tuple.src, vrf));
    let selector = Selector::of(head.tuple.protocol);
    let peer_port = selector.far_port(inside_global.port, outside_global.port);
    let session = NewSession {
        inside_local: local,
        inside_global,
        outside_local: peer,
        outside_global: Endpoint::new(outside_global.addr, peer_port),
        flags: Flags::default()
            .with(Flags::HAIRPIN, next_hop.is_none())
            .with(Flags::OUTSIDE_ADDRESS, is_pooled),
        ..blank_session(head, chosen, peer.port)
    };
    begin(tables, head, session, Direction::Outbound, Some(routed), now)
}

/// Whether a packet's source is of a subnet of ours and nobody is known to have it: who writes in made-up names shows here.
fn is_unresolved(tables: &Tables, head: &Head) -> bool {
    let interface = tables.policy.interfaces.get(usize::from(head.interface));
    interface.is_some_and(|interface| interface.is_on_link(head.src))
        && tables.neighbours.find(head.interface, head.src).is_none()
}

/// Whether a packet answers a SYN. Without a session, the one that the SYN began has ended or gave way: a server that repeats its
/// answer to a stranger must not begin it again as the inside's own.
fn is_answer(head: &Head) -> bool {
    let both = tcp::SYN | tcp::ACK;
    head.transport == Transport::Tcp && head.tcp_flags & both == both
}

/// Whether any rule concerns a packet from inside.
fn is_translated(tables: &Tables, head: &Head, next_hop: Option<NextHop>) -> bool {
    let (vrf, protocol, destination) = (head.tuple.vrf, head.tuple.protocol, head.tuple.dst);
    let source = Endpoint::new(head.src, head.tuple.src.port);
    let policy = &tables.policy;
    let applies = |rule: &StaticRule| applies(tables, rule, head, next_hop);
    policy.statics.global_of(vrf, protocol, source, applies).is_some()
        || policy.outside_statics.global_of(vrf, protocol, destination, |_| true).is_some()
        || tables.shard.outside_global_of(vrf, destination.addr).is_some()
        || find_rule(tables, head, next_hop).is_some()
}

/// A packet from outside without a session: a rule's, the box's own, or not for the NAT.
pub fn inbound(tables: &mut Tables, head: &Head, now: u32) -> Decided {
    if head.transport == Transport::Other && tables.protocols.is_numbered(head.tuple.protocol) {
        return match tables.shard.learn_inbound(&head.tuple) {
            Ok(found) => translate::established(tables, head, found, now),
            Err(DropReason::NoMapping) => not_for_inside(tables, head, now),
            Err(reason) => Err(reason.into()),
        };
    }
    let Some(destination) = choose_local(tables, head, now)? else {
        return not_for_inside(tables, head, now);
    };
    if let Some(refusal) = refusal_without_session(head) {
        return Err(refusal.into());
    }
    begin_inbound(tables, head, destination, now)
}

/// A packet from outside to an address that no inside host has at the moment.
fn not_for_inside(tables: &mut Tables, head: &Head, now: u32) -> Decided {
    let vrf = head.tuple.vrf;
    let is_global = tables.policy.is_global(vrf, head.dst);
    // What an overloaded interface's own address has no port for: it was for an inside host, if for anybody.
    let is_for_host = match head.transport {
        Transport::IcmpQuery | Transport::LaterFragment => is_global && head.icmp.0 != icmp::ECHO_REQUEST,
        _ => refusal_of_global(&tables.policy, head) == DropReason::UnsolicitedSyn,
    };
    match route::destination(&tables.fib, vrf, head.dst) {
        Ok(Destination::Local(_)) if !is_for_host => local(head),
        Ok(Destination::Beyond(next_hop)) if !is_global && !direct::turns_back(tables, head, next_hop) => {
            direct::check(tables, head, next_hop)?;
            let is_inward = tables
                .policy
                .interfaces
                .get(usize::from(next_hop.interface))
                .is_some_and(|egress| egress.nat == Some(Side::Inside));
            // The source may still be one that the inside knows by another address.
            if is_inward && refusal_without_session(head).is_none() && peer_rule(tables, head, vrf).is_some()
            {
                return begin_inbound(tables, head, unchanged(head.tuple.dst, vrf), now);
            }
            routed_to(tables, head, next_hop)
        }
        Err(reason) if !is_global => Err(reason.into()),
        _ => Err(refusal_of_global(&tables.policy, head).into()),
    }
}

/// Why a packet to a global address is refused that nobody inside asked for.
fn refusal_of_global(policy: &Policy, head: &Head) -> DropReason {
    let is_syn = head.tuple.protocol == TCP && head.tcp_flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
    match refusal_without_session(head) {
        Some(reason) => reason,
        None if is_syn && policy.behaviour.answers_unsolicited_syn => DropReason::UnsolicitedSyn,
        None => DropReason::NoMapping,
    }
}

fn begin_inbound(tables: &mut Tables, head: &Head, destination: Chosen, now: u32) -> Decided {
    // What is amid a connection tells nothing about who is there: only the inside may be met so.
    if head.transport == Transport::Tcp && head.tcp_flags & (tcp::SYN | tcp::ACK) != tcp::SYN {
        return Err(DropReason::TcpNoSession.into());
    }
    let peer = head.tuple.src;
    let source = choose_peer(tables, head, destination.vrfs.0, now)?;
    let is_pooled = source.as_ref().is_some_and(|source| source.is_of_outside_pool);
    let is_ours = tables.policy.is_global(head.tuple.vrf, peer.addr);
    let is_contact = is_mapping(&destination.above) && is_address_dependent(&tables.policy);
    let mut outside_local = source.as_ref().map_or(peer, |source| source.end);
    let selector = Selector::of(head.tuple.protocol);
    outside_local.port = selector.far_port(destination.end.port, outside_local.port);
    let (rule, vrfs) = match source {
        Some(source) if destination.rule == 0 => (source.rule, source.vrfs),
        _ => (destination.rule, destination.vrfs),
    };
    let inside_local = destination.end;
    let session = NewSession {
        inside_local,
        inside_global: head.tuple.dst,
        outside_local,
        outside_global: peer,
        flags: Flags::default()
            .with(Flags::HAIRPIN, is_ours)
            .with(Flags::CONTACT, is_contact)
            .with(Flags::OUTSIDE_ADDRESS, is_pooled),
        ..blank_session(head, Chosen { rule, vrfs, ..destination }, inside_local.port)
    };
    let begun = begin(tables, head, session, Direction::Inbound, None, now);
    if begun.is_err() && is_pooled {
        let Tables { policy, shard, .. } = tables;
        shard.end_unsolicited_outside(policy, vrfs, peer.addr, now);
    }
    begun
}

/// Whether sessions beneath share a global endpoint that no static rule gives.
fn is_mapping(above: &Above) -> bool {
    !matches!(above, Above::Fixed)
}

fn is_address_dependent(policy: &Policy) -> bool {
    policy.behaviour.filtering == Filtering::AddressDependent
}

/// An endpoint that no rule changes.
fn unchanged(end: Endpoint, vrf: Vrf) -> Chosen {
    fixed(end, 0, (vrf, vrf))
}

/// An endpoint that no dynamic mapping of the inside is behind.
fn fixed(end: Endpoint, rule: RuleId, vrfs: (Vrf, Vrf)) -> Chosen {
    Chosen { end, above: Above::Fixed, rule, vrfs, is_of_outside_pool: false }
}

/// An inside endpoint, or its global one, beneath a mapping perhaps.
fn beneath(above: Above, end: Endpoint, rule: RuleId, vrfs: (Vrf, Vrf)) -> Chosen {
    Chosen { above, ..fixed(end, rule, vrfs) }
}

/// The other end of a static rule.
fn of_static((end, rule): (Endpoint, &StaticRule)) -> Chosen {
    fixed(end, rule.id, (rule.inside_vrf, rule.outside_vrf))
}

/// Whether anyone inside is mapped to the packet's destination, here or at another worker.
fn is_mapped(tables: &Tables, head: &Head) -> bool {
    let (vrf, protocol, end) = (head.tuple.vrf, head.tuple.protocol, head.tuple.dst);
    tables.policy.statics.local_of(vrf, protocol, end, |_| true).is_some()
        || tables.shard.mapping_of_global(vrf, protocol, end).is_some()
        || tables.shard.ownership().owner(end).is_some()
}

/// The first rule for an inside source: statics first, then dynamic rules in order. None leaves it as it is.
fn choose_global(
    tables: &mut Tables,
    head: &Head,
    next_hop: Option<NextHop>,
    now: u32,
) -> Result<Option<Chosen>, Refused> {
    let protocol = head.tuple.protocol;
    let source = Endpoint::new(head.src, head.tuple.src.port);
    let is_first = |rule: &StaticRule| !rule.is_default && applies(tables, rule, head, next_hop);
    let by_static = tables.policy.statics.global_of(head.tuple.vrf, protocol, source, is_first);
    if let Some(refusal) = refusal_without_session(head) {
        // An error may come from a router that no rule concerns, about a host that one does.
        let statics = &tables.policy.statics;
        let about = statics.global_of(head.tuple.vrf, protocol, head.tuple.src, |_| true);
        let concerns = by_static.is_some() || about.is_some() || find_rule(tables, head, next_hop).is_some();
        return if concerns { Err(refusal.into()) } else { Ok(None) };
    }
    if by_static.is_some() {
        return Ok(by_static.map(of_static));
    }
    let vrf = head.tuple.vrf;
    if let Some(door) = tables.shard.door_from_inside(protocol, vrf, head.tuple.src, now) {
        let above = tables.shard.above_of_door(door);
        return Ok(Some(beneath(above, door.global, door.rule, door.vrfs)));
    }
    let is_reset = head.tcp_flags & tcp::RST != 0;
    let (local, outside) = (head.tuple.src, head.tuple.dst);
    let Tables { policy, shard, .. } = &mut *tables;
    if !is_reset && let Some((end, mapped)) = shard.map_expected(policy, (protocol, vrf), local, outside, now)
    {
        return Ok(Some(beneath(mapped.above, end, mapped.rule, mapped.vrfs)));
    }
    let Some(position) = find_rule(tables, head, next_hop) else {
        // What a default server sends has a port of its own, unless no rule gives it one.
        let is_default = |rule: &StaticRule| rule.is_default && applies(tables, rule, head, next_hop);
        let by_default = tables.policy.statics.global_of(vrf, protocol, source, is_default);
        return Ok(by_default.map(of_static));
    };
    if is_reset {
        return Err(DropReason::TcpNoSession.into());
    }
    let policy = &tables.policy;
    let is_portless = policy.rules[position].overload && Selector::of(protocol) == Selector::Nothing;
    if is_portless && !policy.behaviour.maps_portless {
        return Err(DropReason::ProtocolUntranslatable.into());
    }
    if tables.shard.is_nearly_full() && is_unresolved(tables, head) {
        return Err(DropReason::HostUnresolved.into());
    }
    let Tables { policy, shard, counters, .. } = tables;
    let rule = &policy.rules[position];
    let (local, to) = (head.tuple.src, Some(head.dst));
    let source = Source { protocol, vrf: head.tuple.vrf, local, to, ports: Ports::One };
    let mapped = shard.map(policy, rule, source, now);
    count_limit(shard, counters);
    let (above, end) = mapped.map_err(|reason| {
        // It is not the ports that ran out.
        if is_portless && reason == DropReason::PoolExhausted {
            DropReason::ProtocolUntranslatable
        } else {
            reason
        }
    })?;
    Ok(Some(beneath(above, end, rule.id, (rule.inside_vrf, rule.outside_vrf))))
}

/// The inside endpoint that a global destination stands for: by a static rule, as a virtual server, or by a
/// dynamic mapping whose filter lets the sender pass.
fn choose_local(tables: &mut Tables, head: &Head, now: u32) -> Result<Option<Chosen>, Refused> {
    let global = Endpoint::new(head.dst, head.tuple.dst.port);
    let (vrf, protocol) = (head.tuple.vrf, head.tuple.protocol);
    let is_for = |rule: &StaticRule| {
        if rule.is_default {
            return false;
        }
        let selector = rule.selector.as_ref().filter(|_| rule.is_reversible);
        selector.is_none_or(|selector| {
            let local = Statics::across(rule, global, rule.local);
            direct::selects_answer(tables, selector, head, local, rule.inside_vrf)
        })
    };
    let by_static = tables.policy.statics.local_of(vrf, protocol, global, is_for);
    if by_static.is_some() {
        return Ok(by_static.map(of_static));
    }
    if protocol == TCP
        && let Some(chosen) = choose_server(tables, global, vrf)
    {
        return Ok(Some(chosen));
    }
    if let Some(door) = tables.shard.door_from_outside(protocol, vrf, global, head.src, now) {
        let above = tables.shard.above_of_door(door);
        return Ok(Some(beneath(above, door.inside, door.rule, door.vrfs)));
    }
    let Some(mapped) = tables.shard.mapping_of_global(vrf, protocol, global) else {
        let default = tables.policy.statics.default_of(vrf, protocol, global);
        return Ok(default.map(of_static));
    };
    let filtering = tables.policy.behaviour.filtering;
    if !tables.shard.passes_filter(filtering, &mapped.above, head.src) || !is_open(tables, head, &mapped) {
        return Ok(None);
    }
    let Mapped { local, vrfs, rule, above } = mapped;
    Ok(Some(beneath(above, local, rule, vrfs)))
}

/// Whether a route-map's rule lets the outside begin sessions with what it mapped. A mapping of a whole address has no filter
/// of its own: who was not sent to needs the word.
fn is_open(tables: &Tables, head: &Head, mapped: &Mapped) -> bool {
    let rule = tables.policy.rule(mapped.rule);
    let Some(rule) = rule.filter(|rule| matches!(rule.selector, policy::Selector::RouteMap(_))) else {
        return true;
    };
    let has_filter = tables.policy.behaviour.filtering != Filtering::AddressAndPortDependent;
    match rule.is_reversible {
        true => direct::selects_answer(tables, &rule.selector, head, mapped.local, mapped.vrfs.0),
        false => has_filter,
    }
}

/// The next real server of a virtual one (`ip nat inside destination`).
fn choose_server(tables: &mut Tables, virtual_end: Endpoint, vrf: Vrf) -> Option<Chosen> {
    let policy = &tables.policy;
    let rule = policy.destination_rule_of(virtual_end.addr)?;
    let pool = policy.pools.get(usize::from(rule.pool))?;
    let position = tables.shard.rotate(rule.id) % pool.address_count().max(1);
    let end = Endpoint::new(pool.address_at(position)?, virtual_end.port);
    Some(fixed(end, rule.id, (vrf, vrf)))
}

/// The outside global endpoint that an outside local destination stands for.
fn outside_global_of(tables: &mut Tables, head: &Head, now: u32) -> Option<Chosen> {
    let (vrf, local) = (head.tuple.vrf, head.tuple.dst);
    let by_static = tables.policy.outside_statics.global_of(vrf, head.tuple.protocol, local, |_| true);
    if let Some((end, rule)) = by_static {
        return Some(fixed(end, rule.id, (vrf, rule.outside_vrf)));
    }
    let mapping = tables.shard.use_outside_local(vrf, local.addr, now)?;
    let end = Endpoint::new(mapping.own.addr, local.port);
    Some(Chosen { is_of_outside_pool: true, ..fixed(end, mapping.rule, (vrf, mapping.own_vrf)) })
}

/// What gives an outside source another endpoint for an inside VRF, if anything does.
fn peer_rule(tables: &Tables, head: &Head, inside_vrf: Vrf) -> Option<PeerRule> {
    let Tables { policy, .. } = tables;
    let (global, vrfs) = (head.tuple.src, (inside_vrf, head.tuple.vrf));
    let is_ours = |rule: &StaticRule| rule.inside_vrf == inside_vrf;
    let by_static = policy.outside_statics.local_of(vrfs.1, head.tuple.protocol, global, is_ours);
    if let Some((end, rule)) = by_static {
        return Some(PeerRule::Fixed(end, rule.id));
    }
    let is_for = |rule: &OutsideRule| {
        (rule.inside_vrf, rule.outside_vrf) == vrfs && selects(tables, &rule.selector, head, None)
    };
    policy.outside_rules.iter().position(is_for).map(PeerRule::Dynamic)
}

/// The outside local endpoint that rules give an outside source, for an inside VRF.
fn choose_peer(
    tables: &mut Tables,
    head: &Head,
    inside_vrf: Vrf,
    now: u32,
) -> Result<Option<Chosen>, Refused> {
    let (global, vrfs) = (head.tuple.src, (inside_vrf, head.tuple.vrf));
    let position = match peer_rule(tables, head, inside_vrf) {
        None => return Ok(None),
        Some(PeerRule::Fixed(end, rule)) => return Ok(Some(fixed(end, rule, vrfs))),
        Some(PeerRule::Dynamic(position)) => position,
    };
    let Tables { policy, shard, .. } = tables;
    let rule = &policy.outside_rules[position];
    let addr = shard.map_outside(policy, rule, global.addr, None, now)?;
    let end = Endpoint::new(addr, global.port);
    Ok(Some(Chosen { is_of_outside_pool: true, ..fixed(end, rule.id, vrfs) }))
}

/// Why a packet cannot be the first of a session: it does not show well enough which flow it belongs to.
fn refusal_without_session(head: &Head) -> Option<DropReason> {
    match head.transport {
        Transport::IcmpError { .. } => Some(DropReason::IcmpUnmatched),
        Transport::LaterFragment => Some(DropReason::FragmentUntranslatable),
        _ => None,
    }
}

fn blank_session(head: &Head, chosen: Chosen, service_port: u16) -> NewSession {
    NewSession {
        inside_local: head.tuple.src,
        inside_global: head.tuple.src,
        outside_local: head.tuple.dst,
        outside_global: head.tuple.dst,
        inside_vrf: chosen.vrfs.0,
        outside_vrf: chosen.vrfs.1,
        rule: chosen.rule,
        protocol: head.tuple.protocol,
        class: Session::class_of(head.tuple.protocol, service_port),
        first: Direction::Outbound,
        flags: Flags::default(),
        above: chosen.above,
    }
}

/// Begins a session with its first packet. What that packet needs is decided first, so that a session begins only if its
/// first packet goes on.
fn begin(
    tables: &mut Tables,
    head: &Head,
    mut new: NewSession,
    direction: Direction,
    routed: Option<Routed>,
    now: u32,
) -> Decided {
    let (inside, outside) = match direction {
        Direction::Outbound => (head.tuple.src.port, head.tuple.dst.port),
        Direction::Inbound => (head.tuple.dst.port, head.tuple.src.port),
    };
    if tables.policy.serves_any_peer(new.protocol, inside, outside) {
        (new.outside_local, new.outside_global) = (ANYONE, ANYONE);
        new.flags = Flags::default().with(Flags::ANY_PEER, true);
        // Its peers are many: no port of theirs tells its class.
        new.class = Session::class_of(new.protocol, 0);
    } else if direction == Direction::Outbound {
        let is_contact = is_mapping(&new.above) && is_address_dependent(&tables.policy);
        new.flags = new.flags.with(Flags::CONTACT, is_contact);
    }
    if tables.protocols.is_numbered(new.protocol) {
        // Which number the inside chose for its answers nobody has seen yet.
        let is_shown = (head.tuple.src.port, head.tuple.dst.port) != (0, 0);
        if !is_shown || direction == Direction::Inbound {
            give_back(tables, new.above, now);
            return Err(DropReason::ProtocolUntranslatable.into());
        }
        (new.inside_global, new.outside_global) =
            (new.inside_global.without_port(), new.outside_global.without_port());
        new.flags = new.flags.with(Flags::NUMBERED, true);
    }
    new.first = direction;
    let mut session = Session::new(&new, now);
    let planned = translate::first(tables, head, &mut session, direction, routed);
    let verdict = match planned {
        Ok((verdict, true)) => verdict,
        unused => {
            give_back(tables, new.above, now);
            return unused.map(|(verdict, _)| verdict);
        }
    };
    let first = match direction {
        Direction::Outbound => First::FromInside { to: head.dst },
        Direction::Inbound => First::FromOutside,
    };
    let begun = tables.shard.begin(&tables.policy, session, new.above, first, now);
    count_limit(&mut tables.shard, &tables.counters);
    let index = begun?;
    let found = SessionRef { index, direction };
    let is_read = attach::attach(tables, head, found, now);
    Ok(if is_read { Verdict::Read(found) } else { verdict })
}

/// Counts the limit that refused a session, if one did.
fn count_limit(shard: &mut Shard, counters: &Counters) {
    if let Some(limit) = shard.limit_reached.take() {
        counters.limit_missed(limit).add(1);
    }
}

/// What was taken for a session that does not begin is free again.
fn give_back(tables: &mut Tables, above: Above, now: u32) {
    if let Above::New(lease) = above {
        tables.shard.give_back(&tables.policy, lease, now);
    }
}
