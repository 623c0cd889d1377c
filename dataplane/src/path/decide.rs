//! Deciding: a packet's session, or else its destination and the rules. Touches no byte of the packet.

use crate::drops::DropReason;
use crate::flow::{Direction, TCP};
use crate::head::{Head, Transport};
use crate::path::tables::Tables;
use crate::path::verdict::{Decided, Refused, Verdict};
use crate::path::{admit, attach, translate};
use crate::policy::{AclKey, SourceCheck};
use crate::route::fib::Route;
use crate::state::session::{Flags, Session};
use crate::state::shard::SessionRef;
use crate::wire::tcp;

/// Decides about a packet: inbound access list and check of its source, then its session, or else destination and rules.
#[inline(always)]
pub fn decide(tables: &mut Tables, head: &Head, found: Option<SessionRef>, now: u32) -> Decided {
    // Fragments were admitted before they met the others of their packet, perhaps at another worker.
    if head.new_id.is_none() {
        admits(tables, head)?;
    }
    check_quote(tables, head, found)?;
    of_side(tables, head, found, now)
}

/// Decides about a packet by the side of the NAT that its interface is on.
#[inline(always)]
pub fn of_side(tables: &mut Tables, head: &Head, found: Option<SessionRef>, now: u32) -> Decided {
    let Some(direction) = tables.policy.interfaces[usize::from(head.interface)].direction() else {
        return translate::routed(tables, head);
    };
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

/// Whether the access list of the interface that a packet arrived on lets it in, and the check of its source.
#[inline(always)]
pub fn admits(tables: &Tables, head: &Head) -> Result<(), Refused> {
    let ingress = &tables.policy.interfaces[usize::from(head.interface)];
    if !tables.permits(ingress.acl_in, || AclKey::of(head)) {
        return Err(DropReason::AclInDenied.into());
    }
    match &ingress.source_check {
        Some(check) => Ok(verify(tables, head, check)?),
        None => Ok(()),
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
        (Some(found), _) => Ok(of_session(tables, head, found)),
        (None, Direction::Outbound) => admit::outbound(tables, head, now),
        (None, Direction::Inbound) => admit::inbound(tables, head, now),
    }
}

/// A packet of a session: read by its gateway if it is of a control session, or begins a connection that makes it one, else
/// translated.
#[inline(always)]
fn of_session(tables: &mut Tables, head: &Head, found: SessionRef) -> Verdict {
    let is_control = |session: &Session| session.flags.has(Flags::CONTROL);
    let is_read = tables.shard.session(found.index).is_some_and(is_control);
    let begins = head.tuple.protocol == TCP && head.tcp_flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
    match is_read || begins && attach::attach_known(tables, head, found) {
        true => Verdict::Read(found),
        false => Verdict::Translate(found),
    }
}

/// Whether a packet came in where its source lies, or is let pass all the same.
#[inline(never)]
fn verify(tables: &Tables, head: &Head, check: &SourceCheck) -> Result<(), DropReason> {
    if is_verified(tables, head, check) {
        return Ok(());
    }
    let counters = tables.counters.interface(head.interface);
    // A list that is not there excuses nobody: otherwise a slip in its name would end the check.
    if check.acl.is_some() && tables.permits(check.acl, || AclKey::of(head)) {
        counters.source_excused.add(1);
        return Ok(());
    }
    counters.source_unverified.add(1);
    Err(DropReason::SourceUnverified)
}

/// Whether a route leads back to a packet's source, as far as its interface asks for one (RFC 3704 sections 2.2 to 2.5).
fn is_verified(tables: &Tables, head: &Head, check: &SourceCheck) -> bool {
    let Some((prefix, route)) = tables.fib.lookup_prefix(head.tuple.vrf, head.src) else { return false };
    match route {
        Route::Connected(interface) | Route::Via(interface, _) => {
            (!check.is_strict || interface == head.interface)
                && (check.allows_default || prefix.prefix_len() > 0)
        }
        // Nobody else speaks for the addresses of the box and its NAT, and nobody is at the others.
        Route::Local(_) | Route::Nat | Route::Broadcast | Route::Null => false,
    }
}
