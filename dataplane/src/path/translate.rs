//! Deciding: what becomes of a packet. Reads and refreshes state, and touches no byte of the packet.

use crate::counters::Counters;
use crate::drops::DropReason;
use crate::flow::{TCP, Vrf};
use crate::path::admit;
use crate::path::lookup::{self, Destination};
use crate::path::parse::{Head, Transport, tcp_flags};
use crate::path::plan::Plan;
use crate::policy::{AclIndex, AclKey, Domain, Policy};
use crate::route::fib::NextHop;
use crate::state::session::{CachedHop, Direction, Flags, Session};
use crate::state::shard::{SessionRef, deadline_ms};
use crate::tables::Tables;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    /// It is forwarded.
    Forward(Plan),
    /// It is from inside to a global address: translated like an outbound packet, it turns around and is an
    /// inbound one (RFC 4787 REQ-9), in this VRF.
    TurnAround(Plan, Vrf),
    /// It is an echo request to the box itself, and answered.
    Answer,
    /// It is of a control session, whose gateway reads it first.
    Inspect(SessionRef),
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
#[inline(always)]
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
        (None, Domain::Inside) => admit::outbound(tables, head, now),
        (None, Domain::Outside) => admit::inbound(tables, head, now),
        (None, Domain::None) => routed(tables, head),
    }
}

/// Decides about a packet that turned around, or that the box makes itself, as one from outside.
pub fn decide_inbound(tables: &mut Tables, head: &Head, now: u32) -> Result<Decision, Refused> {
    match lookup::find_now(&tables.shard, &tables.policy, head, Direction::Inbound) {
        Some(found) => established(tables, head, found, now),
        None => admit::inbound(tables, head, now),
    }
}

/// Whether an access list permits a packet, and counts the entry that decides. No list permits everything; a
/// list that does not exist is no list.
#[inline]
pub fn permits(
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

/// A packet of a session: read by its gateway if it is of a control session, else translated.
#[inline]
pub fn established(
    tables: &mut Tables,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<Decision, Refused> {
    let is_control = |session: &Session| session.flags.has(Flags::CONTROL);
    if tables.shard.session(found.index).is_some_and(is_control) {
        return Ok(Decision::Inspect(found));
    }
    translated(tables, head, found, now)
}

/// A packet of a session that no gateway reads, or has read. Most never come here: they take the express lane.
#[inline]
pub fn translated(
    tables: &mut Tables,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<Decision, Refused> {
    let Tables { policy, fib, neighbours, recent_routes, shard, .. } = &mut *tables;
    let session = shard.session(found.index).ok_or(DropReason::NoMapping)?;
    let mut plan = Plan::translated(head, session, found.direction);
    let (cached, neighbour) =
        lookup::noted_way(policy, fib, neighbours, recent_routes, session, found.direction, head.dst);
    match neighbour {
        Some(neighbour) => leave_by(&mut plan, neighbour.next_hop, cached),
        None => match find_way(tables, head, found, &mut plan)? {
            Way::Out => {}
            Way::Around => return turn_around(tables, head, plan, found, now),
            Way::Untranslated(next_hop) => return routed_to(tables, head, next_hop),
            Way::Here => return local(head),
        },
    }
    check_egress(&tables.policy, &tables.counters, head, &mut plan)?;
    refresh(tables, head, found, now);
    Ok(Decision::Forward(plan))
}

/// Where a packet of a session goes.
enum Way {
    /// Out of the interface the plan names now.
    Out,
    /// Back inside.
    Around,
    /// Out as it came: what serves every peer was made for another one.
    Untranslated(NextHop),
    /// To the box itself.
    Here,
}

/// Routes a packet of a session, and notes the next hop in the session. Outbound packets are routed before
/// translation, inbound ones after: routing looks at what the inside sees.
fn find_way(tables: &mut Tables, head: &Head, found: SessionRef, plan: &mut Plan) -> Result<Way, Refused> {
    let session = tables.shard.session(found.index).ok_or(DropReason::NoMapping)?;
    let (vrf, flags) = (session.inside_vrf, session.flags);
    let is_outbound = found.direction == Direction::Outbound;
    if is_outbound && flags.has(Flags::HAIRPIN) {
        return Ok(Way::Around);
    }
    let dst = if is_outbound { head.dst } else { plan.dst.addr };
    let (next_hop, hop) = match lookup::route(tables, vrf, dst)? {
        (Destination::Beyond(next_hop), hop) => (next_hop, hop),
        (Destination::Local(_), _) if is_outbound && head.transport == Transport::IcmpQuery => {
            return Ok(Way::Here);
        }
        _ if is_outbound => return Ok(Way::Around),
        _ => return Err(DropReason::NoLocalService.into()),
    };
    leave_by(plan, next_hop, hop);
    if is_outbound && flags.has(Flags::ANY_PEER) {
        let is_exempt = admit::is_exempt(tables, head, found, next_hop);
        return Ok(if is_exempt { Way::Untranslated(next_hop) } else { Way::Out });
    }
    if let Some(session) = tables.shard.session_mut(found.index) {
        session.note_hop(found.direction, hop);
    }
    Ok(Way::Out)
}

/// Notes that a session was used. Errors neither refresh nor end what they are about (RFC 5508 REQ-6).
#[inline(always)]
fn refresh(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) {
    if matches!(head.transport, Transport::IcmpError { .. }) {
        return;
    }
    let Some(session) = tables.shard.session_mut(found.index) else { return };
    session.used_ms = now;
    if session.protocol == TCP {
        let class_before = session.class;
        session.tcp.note(found.direction, head.tcp_flags);
        session.class = session.tcp.class();
        if session.class != class_before {
            let deadline = deadline_ms(&tables.policy, session);
            tables.shard.rearm(found.index, deadline, now);
        }
    }
}

fn turn_around(
    tables: &mut Tables,
    head: &Head,
    mut plan: Plan,
    found: SessionRef,
    now: u32,
) -> Result<Decision, Refused> {
    if head.ttl <= 1 {
        return Err(DropReason::TtlExceeded.into());
    }
    let vrf = tables.shard.session(found.index).map_or(0, |session| session.outside_vrf);
    refresh(tables, head, found, now);
    plan.keeps_ttl = true;
    Ok(Decision::TurnAround(plan, vrf))
}

#[inline(always)]
pub(crate) fn leave_by(plan: &mut Plan, next_hop: NextHop, hop: CachedHop) {
    (plan.egress, plan.next_hop, plan.neighbour) = (next_hop.interface, next_hop.addr, hop.neighbour);
}

/// What the outgoing interface has to say: TTL, its state, its MTU, its access list.
#[inline(always)]
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
        let limits = [ingress.mss_max, egress.mss_max].into_iter().filter(|&mss| mss != 0);
        plan.mss_max = limits.min().unwrap_or(0);
    }
    let (src, dst) = (plan.src, plan.dst);
    let key = || AclKey { src, dst, ..head.acl_key() };
    match permits(policy, counters, egress.acl_out, key) {
        true => Ok(()),
        false => Err(DropReason::AclOutDenied.into()),
    }
}

/// A packet that crosses no NAT boundary.
pub fn routed(tables: &mut Tables, head: &Head) -> Result<Decision, Refused> {
    match lookup::route(tables, head.tuple.vrf, head.dst)?.0 {
        Destination::Local(_) => local(head),
        Destination::Beyond(next_hop) => routed_to(tables, head, next_hop),
        Destination::Nat => Err(DropReason::NoMapping.into()),
    }
}

/// A packet that is routed as it is.
pub fn routed_to(tables: &Tables, head: &Head, next_hop: NextHop) -> Result<Decision, Refused> {
    let mut plan = Plan::routed(head);
    leave_by(&mut plan, next_hop, lookup::resolve(&tables.fib, &tables.neighbours, next_hop));
    check_egress(&tables.policy, &tables.counters, head, &mut plan)?;
    Ok(Decision::Forward(plan))
}

/// A packet to the box itself: it answers echo requests and runs no other service.
pub fn local(head: &Head) -> Result<Decision, Refused> {
    match head.transport {
        Transport::IcmpQuery if head.icmp.0 == 8 && !head.is_fragment => Ok(Decision::Answer),
        Transport::Tcp | Transport::Udp => Err(DropReason::NoLocalService.into()),
        Transport::IcmpError { .. } => Err(DropReason::IcmpUnmatched.into()),
        _ => Err(DropReason::ProtocolUntranslatable.into()),
    }
}
