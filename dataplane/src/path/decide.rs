//! Deciding: a packet's session, or else its destination and the rules. Touches no byte of the packet.

use crate::drops::DropReason;
use crate::flow::Direction;
use crate::head::Head;
use crate::path::tables::Tables;
use crate::path::verdict::{Decided, Verdict};
use crate::path::{admit, translate};
use crate::policy::{AclKey, Domain};
use crate::state::session::{Flags, Session};
use crate::state::shard::SessionRef;

/// Decides about a packet: inbound access list, then its session, or else destination and rules.
#[inline(always)]
pub fn decide(tables: &mut Tables, head: &Head, found: Option<SessionRef>, now: u32) -> Decided {
    let ingress = &tables.policy.interfaces[usize::from(head.interface)];
    if !tables.permits(ingress.acl_in, || AclKey::of(head)) {
        return Err(DropReason::AclInDenied.into());
    }
    let direction = match ingress.domain {
        Domain::Inside => Direction::Outbound,
        Domain::Outside => Direction::Inbound,
        Domain::None => return translate::routed(tables, head),
    };
    of_session_or_rule(tables, head, found, direction, now)
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
