//! Makes the plan for a packet whose session is known. It changes no byte of the packet.

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, TCP};
use crate::head::{Head, Transport};
use crate::path::plan::Plan;
use crate::path::route::{self, Destination};
use crate::path::select;
use crate::path::tables::Tables;
use crate::path::verdict::{Decided, Refused, Verdict};
use crate::policy::{AclKey, StaticRule};
use crate::route::fib::NextHop;
use crate::route::neighbour::CachedHop;
use crate::state::connection::Said;
use crate::state::session::{Flags, Session};
use crate::state::shard::SessionRef;
use crate::wire::{icmp, tcp};

/// A destination and its next hop, where they were looked up already.
pub type Routed = (Destination, CachedHop);

/// Where a packet of a session goes.
#[derive(Clone, Copy)]
enum Way {
    /// Out by this next hop.
    Out(NextHop, CachedHop),
    /// Back inside.
    Around,
    /// Out as it came: the session serves every peer, but no rule translates packets to this one.
    Untranslated(NextHop),
    /// To the box itself.
    Here,
}

/// A packet of a session that no gateway reads, or has read. Most never come here: they take the fast path.
#[inline]
pub fn established(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) -> Decided {
    let session = tables.shard.session(found.index).ok_or(DropReason::NoMapping)?;
    let &Tables { ref policy, generation, ref neighbours, ref recent_routes, .. } = &*tables;
    let (noted, neighbour) =
        route::noted_way(policy, generation, neighbours, recent_routes, session, found.direction, head.dst);
    let way = neighbour.map(|neighbour| Way::Out(neighbour.next_hop, noted));
    let (verdict, way) = plan(tables, head, session, found.direction, way, None)?;
    if let Way::Out(..) | Way::Around = way {
        use_session(tables, head, found, way, now);
    }
    Ok(verdict)
}

/// Decides about the first packet of a session that is not in the tables yet, and notes the packet in that session. The
/// flag is false if the packet does not use the session after all: the session is not kept then.
#[inline]
pub fn first(
    tables: &Tables,
    head: &Head,
    session: &mut Session,
    direction: Direction,
    routed: Option<Routed>,
) -> Result<(Verdict, bool), Refused> {
    let (verdict, way) = plan(tables, head, session, direction, None, routed)?;
    if let Way::Out(_, hop) = way
        && !serves_any(session, direction)
    {
        session.note_hop(direction, hop);
    }
    if session.protocol == TCP {
        let said = Said::of(head);
        let is_proof = session.note_acknowledged(direction, &said);
        session.note_said(direction, &said, is_proof);
    }
    Ok((verdict, matches!(way, Way::Out(..) | Way::Around)))
}

/// The verdict on a packet of a session, and where the packet goes.
#[inline(always)]
fn plan(
    tables: &Tables,
    head: &Head,
    session: &Session,
    direction: Direction,
    noted: Option<Way>,
    routed: Option<Routed>,
) -> Result<(Verdict, Way), Refused> {
    let mut plan = Plan::translated(head, session, direction);
    if matches!(head.transport, Transport::IcmpError { .. }) && direction == Direction::Inbound {
        know_sender(tables, head, session, &mut plan);
    }
    let way = match noted {
        Some(way) => way,
        None => find_way(tables, head, session, direction, plan.dst.addr, routed)?,
    };
    let verdict = match way {
        Way::Out(next_hop, hop) => {
            leave_by(&mut plan, next_hop, hop);
            check_egress(tables, head, &mut plan)?;
            Verdict::Forward(plan)
        }
        Way::Around if head.ttl <= 1 => return Err(DropReason::TtlExceeded.into()),
        Way::Around => {
            plan.keeps_ttl = true;
            Verdict::Hairpin(plan, session.outside_vrf())
        }
        Way::Untranslated(next_hop) => routed_to(tables, head, next_hop)?,
        Way::Here => local(head)?,
    };
    Ok((verdict, way))
}

/// Gives the sender of an ICMP error the address that the inside knows it by, if there is one (twice NAT, RFC 2663 section
/// 4.3). The sender may be a router on the way.
#[cold]
fn know_sender(tables: &Tables, head: &Head, session: &Session, plan: &mut Plan) {
    let (vrfs, sender) = ((session.inside_vrf(), session.outside_vrf()), head.src);
    let is_ours = |rule: &StaticRule| rule.protocol.is_none() && rule.inside_vrf == vrfs.0;
    let by_static = tables.policy.outside_statics.local_of(vrfs.1, 0, Endpoint::new(sender, 0), is_ours);
    let known = by_static.map(|(local, _)| local.addr);
    if let Some(local) = known.or_else(|| tables.shard.outside_local_of(vrfs, sender))
        && plan.src.addr == sender
    {
        plan.appear_from(local);
    }
}

/// Routes a packet of a session. Routing looks at the addresses that the inside sees: an outbound packet is routed before
/// its translation, an inbound one after it, to `translated`.
fn find_way(
    tables: &Tables,
    head: &Head,
    session: &Session,
    direction: Direction,
    translated: std::net::Ipv4Addr,
    routed: Option<Routed>,
) -> Result<Way, Refused> {
    let is_outbound = direction == Direction::Outbound;
    if is_outbound && session.flags.has(Flags::HAIRPIN) {
        return Ok(Way::Around);
    }
    let dst = if is_outbound { head.dst } else { translated };
    // For a first packet, admission has found a rule for this route already.
    let is_admitted = routed.is_some();
    let routed = routed.map_or_else(|| route::route(tables, session.inside_vrf(), dst), Ok)?;
    let (next_hop, hop) = match routed {
        (Destination::Beyond(next_hop), hop) => (next_hop, hop),
        (Destination::Local(_), _) if is_outbound && head.transport == Transport::IcmpQuery => {
            return Ok(Way::Here);
        }
        _ if is_outbound => return Ok(Way::Around),
        _ => return Err(DropReason::NoLocalService.into()),
    };
    let is_exempt =
        !is_admitted && serves_any(session, direction) && select::is_exempt(tables, head, session, next_hop);
    Ok(if is_exempt { Way::Untranslated(next_hop) } else { Way::Out(next_hop, hop) })
}

/// Whether packets of this direction go to many peers, so that there is no one next hop to note.
fn serves_any(session: &Session, direction: Direction) -> bool {
    direction == Direction::Outbound && session.flags.has(Flags::ANY_PEER)
}

/// Notes in a session that it was used, and its next hop. An ICMP error neither refreshes nor ends its session (RFC 5508
/// REQ-6).
#[inline(always)]
fn use_session(tables: &mut Tables, head: &Head, found: SessionRef, way: Way, now: u32) {
    let Some(session) = tables.shard.session_mut(found.index) else { return };
    if let Way::Out(_, hop) = way
        && !serves_any(session, found.direction)
    {
        session.note_hop(found.direction, hop);
    }
    if matches!(head.transport, Transport::IcmpError { .. }) {
        return;
    }
    session.used_ms = now;
    let (protocol, is_settled) = (session.protocol, session.progress.is_settled());
    let Tables { policy, shard, .. } = tables;
    if protocol == TCP {
        shard.note_segment(policy, found, &Said::of(head), now);
    } else if found.direction == Direction::Outbound && !is_settled {
        shard.note_answer(policy, found.index, now);
    }
}

#[inline(always)]
fn leave_by(plan: &mut Plan, next_hop: NextHop, hop: CachedHop) {
    (plan.egress, plan.next_hop, plan.neighbour) = (next_hop.interface, next_hop.addr, hop.neighbour);
}

/// Checks what must hold at the outgoing interface: TTL, its state, its MTU, its access list.
#[inline(always)]
fn check_egress(tables: &Tables, head: &Head, plan: &mut Plan) -> Result<(), Refused> {
    let policy = &tables.policy;
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
    if head.transport == Transport::Tcp && head.tcp_flags & tcp::SYN != 0 {
        let ingress = &policy.interfaces[usize::from(head.interface)];
        let limits = [ingress.mss_max, egress.mss_max].into_iter().filter(|&mss| mss != 0);
        plan.mss_max = limits.min().unwrap_or(0);
    }
    let (src, dst) = (plan.src, plan.dst);
    match tables.permits(egress.acl_out, || AclKey { src, dst, ..AclKey::of(head) }) {
        true => Ok(()),
        false => Err(DropReason::AclOutDenied.into()),
    }
}

/// A packet that crosses no NAT boundary.
pub fn routed(tables: &Tables, head: &Head) -> Decided {
    match route::route(tables, head.tuple.vrf, head.dst)?.0 {
        Destination::Local(_) => local(head),
        Destination::Beyond(next_hop) => routed_to(tables, head, next_hop),
        Destination::Nat => Err(DropReason::NoMapping.into()),
    }
}

/// A packet that is routed as it is.
pub fn routed_to(tables: &Tables, head: &Head, next_hop: NextHop) -> Decided {
    let mut plan = Plan::routed(head);
    leave_by(&mut plan, next_hop, route::resolve(tables.generation, &tables.neighbours, next_hop));
    check_egress(tables, head, &mut plan)?;
    Ok(Verdict::Forward(plan))
}

/// A packet to the box itself: it answers echo requests and runs no other service.
pub fn local(head: &Head) -> Decided {
    let is_echo = head.icmp.0 == icmp::ECHO_REQUEST;
    match head.transport {
        // Each fragment of a request becomes a fragment of the reply. The host that asked reassembles them.
        Transport::IcmpQuery | Transport::LaterFragment if is_echo => Ok(Verdict::Answer),
        Transport::Tcp | Transport::Udp => Err(DropReason::NoLocalService.into()),
        Transport::IcmpError { .. } => Err(DropReason::IcmpUnmatched.into()),
        _ => Err(DropReason::ProtocolUntranslatable.into()),
    }
}
