//! Deciding: what becomes of a packet. Reads and refreshes state, and touches no byte of the packet.

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::fib::NextHop;
use crate::lookup::{self, Destination};
use crate::parse::{Head, Transport, tcp_flags};
use crate::plan::Plan;
use crate::policy::{AclIndex, AclKey, Domain, Policy, RuleId, SourceRule};
use crate::state::session::{CachedHop, Direction, Session, TcpSeen};
use crate::state::shard::{SessionRef, Source, deadline_ms};
use crate::state::slots::NONE;
use crate::tables::Tables;
use crate::tuple::{Endpoint, ICMP, TCP, UDP};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    /// It is forwarded.
    Forward(Plan),
    /// It is an echo request to the box itself, and answered.
    Answer,
}

/// Why a packet is not forwarded, with what its sender may need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: DropReason,
    /// The next link's MTU in bytes, where the packet was too long for it.
    pub mtu: u16,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Refused {
        Refused { reason, mtu: 0 }
    }
}

/// Decides about a packet: inbound access list, then its session, or else its destination and the rules.
pub fn decide(
    tables: &mut Tables,
    head: &Head,
    found: Option<SessionRef>,
    now: u32,
) -> Result<Decision, Refused> {
    let ingress = &tables.policy.interfaces[usize::from(head.interface)];
    if !permits(&tables.policy, &tables.counters, ingress.acl_in, || head.acl_key()) {
        return Err(DropReason::AclInDenied.into());
    }
    match (found, ingress.domain) {
        (Some(found), _) => established(tables, head, found, now),
        (None, Domain::Inside) => outbound(tables, head, now),
        (None, Domain::Outside) => inbound(tables, head, now),
        (None, Domain::None) => routed(tables, head),
    }
}

/// Whether an access list permits a packet, and counts the entry that decides. No list permits everything; a
/// list that does not exist is no list.
fn permits(
    policy: &Policy,
    counters: &Counters,
    acl: Option<AclIndex>,
    key: impl FnOnce() -> AclKey,
) -> bool {
    let Some(acl) = acl.and_then(|index| policy.acls.get(usize::from(index))) else { return true };
    let Some(entry) = acl.decide(&key()) else { return false };
    counters.acl_match(entry.counter).add(1);
    entry.permit
}

/// A packet of a session: the fast path, and the end of the slow one.
#[inline]
fn established(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) -> Result<Decision, Refused> {
    let Tables { policy, fib, neighbours, shard, counters } = tables;
    let session = shard.session_mut(found.index).ok_or(DropReason::NoMapping)?;
    let mut plan = Plan::translated(head, session, found.direction);
    let (cached, vrf) = match found.direction {
        Direction::Outbound => (session.hop_out, session.outside_vrf),
        Direction::Inbound => (session.hop_in, session.inside_vrf),
    };
    let (next_hop, hop) = lookup::hop(fib, neighbours, cached, vrf, plan.dst.addr)?;
    leave_by(&mut plan, next_hop, hop);
    check_egress(policy, counters, head, &mut plan)?;
    match found.direction {
        Direction::Outbound => session.hop_out = hop,
        Direction::Inbound => session.hop_in = hop,
    }
    // Errors neither refresh nor end what they are about (RFC 5508 REQ-6).
    if !matches!(head.transport, Transport::IcmpError { .. }) {
        session.used_ms = now;
        if session.protocol == TCP {
            let class_before = session.class;
            session.tcp.note(found.direction, head.tcp_flags);
            session.class = session.tcp.class();
            if session.class != class_before {
                let deadline = deadline_ms(policy, session);
                shard.rearm(found.index, deadline, now);
            }
        }
    }
    Ok(Decision::Forward(plan))
}

fn leave_by(plan: &mut Plan, next_hop: NextHop, hop: CachedHop) {
    (plan.egress, plan.next_hop, plan.neighbour) = (next_hop.interface, next_hop.addr, hop.neighbour);
}

/// What the outgoing interface has to say: TTL, its state, its MTU, its access list.
fn check_egress(policy: &Policy, counters: &Counters, head: &Head, plan: &mut Plan) -> Result<(), Refused> {
    let egress = policy.interfaces.get(usize::from(plan.egress)).ok_or(DropReason::NoRoute)?;
    if head.ttl <= 1 {
        return Err(DropReason::TtlExceeded.into());
    }
    if !egress.is_up {
        return Err(DropReason::InterfaceDown.into());
    }
    if head.total_len > egress.mtu {
        if head.dont_fragment {
            return Err(Refused { reason: DropReason::FragmentationNeeded, mtu: egress.mtu });
        }
        plan.fragment_bytes_max = egress.mtu;
    }
    if head.transport == Transport::Tcp && head.tcp_flags & tcp_flags::SYN != 0 {
        let ingress = &policy.interfaces[usize::from(head.interface)];
        plan.mss_max =
            [ingress.mss_max, egress.mss_max].into_iter().filter(|&mss| mss != 0).min().unwrap_or(0);
    }
    let (src, dst) = (plan.src, plan.dst);
    let key = || AclKey { src, dst, ..head.acl_key() };
    match permits(policy, counters, egress.acl_out, key) {
        true => Ok(()),
        false => Err(DropReason::AclOutDenied.into()),
    }
}

/// A packet from inside without a session.
fn outbound(tables: &mut Tables, head: &Head, now: u32) -> Result<Decision, Refused> {
    let next_hop = match lookup::destination(&tables.fib, head.tuple.vrf, head.dst)? {
        Destination::Local(_) => return local(head),
        Destination::Beyond(next_hop) => next_hop,
    };
    let policy = &tables.policy;
    let egress = policy.interfaces.get(usize::from(next_hop.interface)).ok_or(DropReason::NoRoute)?;
    if egress.domain != Domain::Outside {
        return routed_to(tables, head, next_hop);
    }
    let Some(chosen) = choose_global(tables, head, now)? else { return routed_to(tables, head, next_hop) };
    let (local, peer) = (head.tuple.src, head.tuple.dst);
    // Both sides of an ICMP query show its identifier.
    let peer_port = if head.tuple.protocol == ICMP { chosen.end.port } else { peer.port };
    let session = Session {
        inside_local: local,
        inside_global: chosen.end,
        outside_local: peer,
        outside_global: Endpoint::new(peer.addr, peer_port),
        ..blank_session(head, chosen.mapping, chosen.rule, peer.port, now)
    };
    begin(tables, head, session, Direction::Outbound, now)
}

/// What a rule makes of an inside endpoint.
struct Chosen {
    /// The endpoint on the other side.
    end: Endpoint,
    /// `NONE` beneath a static rule.
    mapping: u32,
    rule: RuleId,
}

/// The first rule for an inside source: statics first, then dynamic rules in order. None leaves it as it is.
fn choose_global(tables: &mut Tables, head: &Head, now: u32) -> Result<Option<Chosen>, Refused> {
    let Tables { policy, shard, counters, .. } = tables;
    let protocol = head.tuple.protocol;
    let by_static = policy.statics.global_of(protocol, Endpoint::new(head.src, head.tuple.src.port));
    let by_list = || find_rule(policy, counters, head);
    if let Some(refusal) = refusal_without_session(head) {
        return if by_static.is_some() || by_list().is_some() { Err(refusal.into()) } else { Ok(None) };
    }
    if let Some((end, rule)) = by_static {
        return Ok(Some(Chosen { end, mapping: NONE, rule: rule.id }));
    }
    let Some(rule) = by_list() else { return Ok(None) };
    if head.tcp_flags & tcp_flags::RST != 0 {
        return Err(DropReason::TcpNoSession.into());
    }
    if rule.overload && !matches!(protocol, TCP | UDP | ICMP) {
        return Err(DropReason::ProtocolUntranslatable.into());
    }
    let source = Source { protocol, vrf: head.tuple.vrf, local: head.tuple.src };
    let (mapping, end) = shard.map(policy, rule, source, now)?;
    Ok(Some(Chosen { end, mapping, rule: rule.id }))
}

/// The inside endpoint that a global destination stands for: by a static rule, or by the mapping of a whole
/// address.
fn choose_local(tables: &Tables, head: &Head) -> Option<Chosen> {
    let global = Endpoint::new(head.dst, head.tuple.dst.port);
    if let Some((end, rule)) = tables.policy.statics.local_of(head.tuple.protocol, global) {
        return Some(Chosen { end, mapping: NONE, rule: rule.id });
    }
    let (index, mapping) = tables.shard.host_of(head.dst)?;
    Some(Chosen { end: Endpoint::new(mapping.local.addr, global.port), mapping: index, rule: mapping.rule })
}

/// Why a packet cannot be the first of a session: it does not show well enough which flow it belongs to.
fn refusal_without_session(head: &Head) -> Option<DropReason> {
    match head.transport {
        Transport::IcmpError { .. } => Some(DropReason::IcmpUnmatched),
        Transport::LaterFragment => Some(DropReason::FragmentUntranslatable),
        _ => None,
    }
}

fn find_rule<'a>(policy: &'a Policy, counters: &Counters, head: &Head) -> Option<&'a SourceRule> {
    let key = head.acl_key();
    let is_for =
        |rule: &&SourceRule| rule.acl.is_some_and(|acl| permits(policy, counters, Some(acl), || key));
    policy.rules.iter().find(is_for)
}

/// A packet from outside without a session: a static rule's, the box's own, or not for the NAT.
fn inbound(tables: &mut Tables, head: &Head, now: u32) -> Result<Decision, Refused> {
    if let Some(chosen) = choose_local(tables, head) {
        if let Some(refusal) = refusal_without_session(head) {
            return Err(refusal.into());
        }
        let peer = head.tuple.src;
        let session = Session {
            inside_local: chosen.end,
            inside_global: head.tuple.dst,
            outside_local: peer,
            outside_global: peer,
            ..blank_session(head, chosen.mapping, chosen.rule, chosen.end.port, now)
        };
        return begin(tables, head, session, Direction::Inbound, now);
    }
    match lookup::destination(&tables.fib, head.tuple.vrf, head.dst) {
        Ok(Destination::Local(_)) => local(head),
        _ if tables.policy.is_global(head.dst) => {
            Err(refusal_without_session(head).unwrap_or(DropReason::NoMapping).into())
        }
        Ok(Destination::Beyond(next_hop)) => routed_to(tables, head, next_hop),
        Err(reason) => Err(reason.into()),
    }
}

fn blank_session(head: &Head, mapping: u32, rule: RuleId, service_port: u16, now: u32) -> Session {
    let vrf = head.tuple.vrf;
    Session {
        inside_local: head.tuple.src,
        inside_global: head.tuple.src,
        outside_local: head.tuple.dst,
        outside_global: head.tuple.dst,
        used_ms: now,
        created_ms: now,
        mapping,
        hop_out: CachedHop::UNKNOWN,
        hop_in: CachedHop::UNKNOWN,
        ip_delta: Default::default(),
        l4_delta: Default::default(),
        inside_vrf: vrf,
        outside_vrf: vrf,
        rule,
        protocol: head.tuple.protocol,
        class: Session::class_of(head.tuple.protocol, service_port),
        tcp: TcpSeen::default(),
    }
}

/// Puts a new session into the table and treats its first packet as one of an established session. A first
/// packet that then is refused takes its session with it.
fn begin(
    tables: &mut Tables,
    head: &Head,
    session: Session,
    direction: Direction,
    now: u32,
) -> Result<Decision, Refused> {
    let session = session.with_deltas();
    let deadline = deadline_ms(&tables.policy, &session);
    let index = tables.shard.insert(session, deadline, now)?;
    let decision = established(tables, head, SessionRef { index, direction }, now);
    if decision.is_err() {
        tables.shard.remove(index);
    }
    decision
}

/// A packet that crosses no NAT boundary.
fn routed(tables: &mut Tables, head: &Head) -> Result<Decision, Refused> {
    match lookup::destination(&tables.fib, head.tuple.vrf, head.dst)? {
        Destination::Local(_) => local(head),
        Destination::Beyond(next_hop) => routed_to(tables, head, next_hop),
    }
}

fn routed_to(tables: &Tables, head: &Head, next_hop: NextHop) -> Result<Decision, Refused> {
    let mut plan = Plan::routed(head);
    leave_by(&mut plan, next_hop, lookup::resolve(&tables.fib, &tables.neighbours, next_hop));
    check_egress(&tables.policy, &tables.counters, head, &mut plan)?;
    Ok(Decision::Forward(plan))
}

/// A packet to the box itself: it answers echo requests and runs no other service.
fn local(head: &Head) -> Result<Decision, Refused> {
    match head.transport {
        Transport::IcmpQuery if head.icmp.0 == 8 && !head.is_fragment => Ok(Decision::Answer),
        Transport::Tcp | Transport::Udp => Err(DropReason::NoLocalService.into()),
        Transport::IcmpError { .. } => Err(DropReason::IcmpUnmatched.into()),
        _ => Err(DropReason::ProtocolUntranslatable.into()),
    }
}
