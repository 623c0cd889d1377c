//! Deciding: a packet's session, or else its destination and the rules. Touches no byte of the packet.

use crate::drops::DropReason;
use crate::flow::{Direction, TCP};
use crate::head::{Head, Transport};
use crate::path::tables::Tables;
use crate::path::verdict::{Course, Decided, Refused, Verdict};
use crate::path::{admit, translate};
use crate::policy::{AclKey, Domain};
use crate::state::session::{Flags, Session};
use crate::state::shard::SessionRef;

/// Decides about a packet: inbound access list, then its session, or else destination and rules.
#[inline(always)]
pub fn decide(
    tables: &mut Tables,
    head: &Head,
    found: Option<SessionRef>,
    course: Course,
    now: u32,
) -> Decided {
    // Fragments were admitted before they met the others of their packet, perhaps at another worker.
    if head.new_id.is_none() {
        admits(tables, head)?;
    }
    let direction = match tables.policy.interfaces[usize::from(head.interface)].domain {
        Domain::Inside => Direction::Outbound,
        Domain::Outside => Direction::Inbound,
        Domain::None => return translate::routed(tables, head),
    };
    // What the box tells itself about is what it has just seen.
    if course != Course::Own {
        check_quote(tables, head, found)?;
    }
    of_session_or_rule(tables, head, found, direction, now)
}

/// An ICMP error about TCP counts only if it quotes a segment that may be on its way (RFC 5927 section 4).
fn check_quote(tables: &Tables, head: &Head, found: Option<SessionRef>) -> Result<(), DropReason> {
    if !matches!(head.transport, Transport::IcmpError { .. }) || head.tuple.protocol != TCP {
        return Ok(());
    }
    let may_be_about = |found: SessionRef| {
        let session = tables.shard.session(found.index)?;
        Some(session.may_have_sent(found.direction.reverse(), head.seq))
    };
    match found.and_then(may_be_about) {
        Some(false) => Err(DropReason::IcmpNumbers),
        _ => Ok(()),
    }
}

/// Whether the access list of the interface that a packet arrived on lets it in.
#[inline(always)]
pub fn admits(tables: &Tables, head: &Head) -> Result<(), Refused> {
    let ingress = &tables.policy.interfaces[usize::from(head.interface)];
    match tables.permits(ingress.acl_in, || AclKey::of(head)) {
        true => Ok(()),
        false => Err(DropReason::AclInDenied.into()),
    }
}

/// Decides about a packet from inside or from outside, whatever interface it came through.
#[inline(always)]
pub fn of_session_or_rule(
    tables: &mut Tables,
    head: &Head,
    found: Option<SessionRef>,
    direction: Direction,
    now: u32,
) -> Decided {
    match (found, direction) {
        (Some(found), _) => Ok(of_session(tables, found)),
        (None, Direction::Outbound) => admit::outbound(tables, head, now),
        (None, Direction::Inbound) => admit::inbound(tables, head, now),
    }
}

/// A packet of a session: read by its gateway if it is of a control session, else translated.
#[inline(always)]
fn of_session(tables: &Tables, found: SessionRef) -> Verdict {
    let is_control = |session: &Session| session.flags.has(Flags::CONTROL);
    match tables.shard.session(found.index).is_some_and(is_control) {
        true => Verdict::Read(found),
        false => Verdict::Translate(found),
    }
}
