//! Deciding: what becomes of a packet. Reads and refreshes state, and touches no byte of the packet.

use crate::drops::DropReason;
use crate::fib::NextHop;
use crate::lookup::{self, Destination};
use crate::parse::{Head, Transport, tcp_flags};
use crate::plan::Plan;
use crate::policy::{AclIndex, AclKey, Domain, Policy, RuleId, SourceRule};
use crate::state::session::{CachedHop, Direction, Session, TcpSeen};
use crate::state::shard::{SessionRef, deadline_ms};
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
    if !permits(&tables.policy, ingress.acl_in, || head.acl_key()) {
        return Err(DropReason::AclInDenied.into());
    }
    match (found, ingress.domain) {
        (Some(found), _) => established(tables, head, found, now),
        (None, Domain::Inside) => outbound(tables, head, now),
        (None, Domain::Outside) => inbound(tables, head, now),
        (None, Domain::None) => routed(tables, head),
    }
}

/// Whether an access list permits a packet. No list permits everything; a list that does not exist is no list.
fn permits(policy: &Policy, acl: Option<AclIndex>, key: impl FnOnce() -> AclKey) -> bool {
    match acl.and_then(|index| policy.acls.get(usize::from(index))) {
        Some(acl) => acl.decide(&key()).is_some_and(|entry| entry.permit),
        None => true,
    }
}

/// A packet of a session: the fast path, and the end of the slow one.
#[inline]
fn established(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) -> Result<Decision, Refused> {
    let Tables { policy, fib, neighbours, shard } = tables;
    let session = shard.session_mut(found.index).ok_or(DropReason::NoMapping)?;
    let mut plan = Plan::translated(head, session, found.direction);
    let (cached, vrf) = match found.direction {
        Direction::Outbound => (session.hop_out, session.outside_vrf),
        Direction::Inbound => (session.hop_in, session.inside_vrf),
    };
    let (next_hop, hop) = lookup::hop(fib, neighbours, cached, vrf, plan.dst.addr)?;
    leave_by(&mut plan, next_hop, hop);
    check_egress(policy, head, &plan)?;
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
fn check_egress(policy: &Policy, head: &Head, plan: &Plan) -> Result<(), Refused> {
    let egress = policy.interfaces.get(usize::from(plan.egress)).ok_or(DropReason::NoRoute)?;
    if head.ttl <= 1 {
        return Err(DropReason::TtlExceeded.into());
    }
    if !egress.is_up {
        return Err(DropReason::InterfaceDown.into());
    }
    if head.total_len > egress.mtu {
        return Err(Refused { reason: DropReason::FragmentationNeeded, mtu: egress.mtu });
    }
    let key = || AclKey { src: plan.src, dst: plan.dst, ..head.acl_key() };
    if permits(policy, egress.acl_out, key) { Ok(()) } else { Err(DropReason::AclOutDenied.into()) }
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
    let source = match choose_source(tables, head)? {
        Some(source) => source,
        None => return routed_to(tables, head, next_hop),
    };
    let (local, peer) = (head.tuple.src, head.tuple.dst);
    // Both sides of an ICMP query show its identifier.
    let peer_port = if head.tuple.protocol == ICMP { source.global.port } else { peer.port };
    let session = Session {
        inside_local: local,
        inside_global: source.global,
        outside_local: peer,
        outside_global: Endpoint::new(peer.addr, peer_port),
        ..blank_session(head, source.mapping, source.rule, peer.port, now)
    };
    begin(tables, head, session, Direction::Outbound, now)
}

/// The global endpoint a rule gives an inside source.
struct Source {
    global: Endpoint,
    /// `NONE` beneath a static rule.
    mapping: u32,
    rule: RuleId,
}

/// The first rule for an inside source: statics first, then dynamic rules in order. None leaves it as it is.
fn choose_source(tables: &mut Tables, head: &Head) -> Result<Option<Source>, Refused> {
    let Tables { policy, shard, .. } = tables;
    let protocol = head.tuple.protocol;
    let by_static = policy.statics.global_of(protocol, head.tuple.src);
    let by_list = || find_rule(policy, head);
    if let Transport::IcmpError { .. } | Transport::LaterFragment = head.transport {
        // Neither shows the flow it belongs to well enough to make a session of it.
        let is_error = head.transport != Transport::LaterFragment;
        return match by_static.is_some() || by_list().is_some() {
            true if is_error => Err(DropReason::IcmpUnmatched.into()),
            true => Err(DropReason::FragmentUntranslatable.into()),
            false => Ok(None),
        };
    }
    if let Some((global, rule)) = by_static {
        return Ok(Some(Source { global, mapping: NONE, rule: rule.id }));
    }
    let Some(rule) = by_list() else { return Ok(None) };
    if head.tcp_flags & tcp_flags::RST != 0 {
        return Err(DropReason::NoMapping.into());
    }
    if !matches!(protocol, TCP | UDP | ICMP) {
        return Err(DropReason::ProtocolUntranslatable.into());
    }
    let (mapping, global) = shard.map(policy, rule, protocol, head.tuple.vrf, head.tuple.src)?;
    Ok(Some(Source { global, mapping, rule: rule.id }))
}

fn find_rule<'a>(policy: &'a Policy, head: &Head) -> Option<&'a SourceRule> {
    let key = head.acl_key();
    policy.rules.iter().find(|rule| {
        let acl = rule.acl.and_then(|index| policy.acls.get(usize::from(index)));
        acl.and_then(|acl| acl.decide(&key)).is_some_and(|entry| entry.permit)
    })
}

/// A packet from outside without a session: a static rule's, the box's own, or not for the NAT.
fn inbound(tables: &mut Tables, head: &Head, now: u32) -> Result<Decision, Refused> {
    let policy = &tables.policy;
    let by_static =
        policy.statics.local_of(head.tuple.protocol, Endpoint::new(head.dst, head.tuple.dst.port));
    if let Some((inside_local, rule)) = by_static {
        match head.transport {
            Transport::IcmpError { .. } => return Err(DropReason::IcmpUnmatched.into()),
            Transport::LaterFragment => return Err(DropReason::FragmentUntranslatable.into()),
            _ => {}
        }
        let peer = head.tuple.src;
        let session = Session {
            inside_local,
            inside_global: head.tuple.dst,
            outside_local: peer,
            outside_global: peer,
            ..blank_session(head, NONE, rule.id, inside_local.port, now)
        };
        return begin(tables, head, session, Direction::Inbound, now);
    }
    match lookup::destination(&tables.fib, head.tuple.vrf, head.dst) {
        Ok(Destination::Local(_)) => local(head),
        _ if policy.is_global(head.dst) => Err(match head.transport {
            Transport::IcmpError { .. } => DropReason::IcmpUnmatched.into(),
            Transport::LaterFragment => DropReason::FragmentUntranslatable.into(),
            _ => DropReason::NoMapping.into(),
        }),
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
    check_egress(&tables.policy, head, &plan)?;
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
