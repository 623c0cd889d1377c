//! Finding things: the session of a packet, and the way to a destination.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::flow::{Endpoint, Protocol, TCP, Tuple, UDP, Vrf};
use crate::path::parse::{Head, Transport};
use crate::policy::{Domain, InterfaceIndex, Mode, Policy};
use crate::route::fib::{Fib, NextHop, Route};
use crate::route::neighbour::{Neighbour, Neighbours};
use crate::state::session::{ANYONE, CachedHop, Direction, Flags, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard};
use crate::state::table::index::{Candidate, Hash};
use crate::tables::{RecentRoutes, Tables};

/// What a packet's session is looked up with.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The session's key.
    pub key: SessionKey,
    /// The key's hash.
    pub hash: Hash,
    /// What the index's line promises; to be compared with the key.
    pub candidate: Option<SessionRef>,
}

impl Probe {
    /// What finds nothing.
    pub const NONE: Probe = Probe {
        key: SessionKey { src: ANYONE, dst: ANYONE, vrf: 0, protocol: 0, direction: Direction::Outbound },
        hash: Hash::NONE,
        candidate: None,
    };
}

/// Hashes what a packet's session is found by, and asks for the index's cache line.
#[inline(always)]
pub fn prepare(shard: &Shard, key: SessionKey) -> Probe {
    Probe { key, hash: shard.prepare(key), candidate: None }
}

/// Reads the index's line, and asks for the session's, or for the other line to be read.
#[inline(always)]
pub fn probe(shard: &Shard, probe: &mut Probe) -> Candidate<SessionRef> {
    let candidate = shard.candidate(probe.hash);
    if let Candidate::Likely(found) = candidate {
        probe.candidate = Some(found);
    }
    candidate
}

/// Reads the other line, and asks for the session's.
pub fn probe_other(shard: &Shard, probe: &mut Probe) {
    probe.candidate = shard.candidate_anywhere(probe.hash);
}

/// Which way packets from an interface of this domain cross the NAT.
#[inline]
pub fn direction(domain: Domain) -> Option<Direction> {
    match domain {
        Domain::Inside => Some(Direction::Outbound),
        Domain::Outside => Some(Direction::Inbound),
        Domain::None => None,
    }
}

/// What a packet's session is found by.
#[inline(always)]
pub fn key(policy: &Policy, tuple: &Tuple, direction: Direction) -> SessionKey {
    let &Tuple { src, dst, protocol, vrf } = tuple;
    let anyone_or = |peer: Endpoint, inside: Endpoint| {
        if serves_any_peer(policy, protocol, inside.port, peer.port) { ANYONE } else { peer }
    };
    let (src, dst) = match direction {
        Direction::Outbound => (src, anyone_or(dst, src)),
        Direction::Inbound => (anyone_or(src, dst), dst),
    };
    SessionKey { src, dst, vrf, protocol, direction }
}

/// Which end of a packet is the outside one.
#[inline(always)]
pub fn outside_end(src: Endpoint, dst: Endpoint, direction: Direction) -> Endpoint {
    if direction == Direction::Outbound { dst } else { src }
}

/// Whether sessions of a protocol, with these ports at their inside and outside end, serve every peer of their
/// mapping. Control sessions do not: each is a conversation of its own.
#[inline(always)]
pub fn serves_any_peer(policy: &Policy, protocol: Protocol, inside: u16, outside: u16) -> bool {
    policy.behaviour.mode == Mode::Cgn
        && match protocol {
            TCP => false,
            UDP => {
                !policy.gateways.outside_ports.holds(outside) && !policy.gateways.inside_ports.holds(inside)
            }
            _ => true,
        }
}

/// The session of a packet. Nearly always the candidate; a packet before it in the burst may have begun the
/// session.
#[inline(always)]
pub fn find(shard: &Shard, probe: &Probe) -> Option<SessionRef> {
    let is_it = |found: &SessionRef| shard.has_key(*found, probe.key);
    probe.candidate.filter(is_it).or_else(|| shard.find(probe.key, probe.hash))
}

/// The session of a packet that was not prepared with its burst.
pub fn find_now(shard: &Shard, policy: &Policy, head: &Head, direction: Direction) -> Option<SessionRef> {
    if head.transport == Transport::LaterFragment && head.new_id.is_none() {
        return None;
    }
    let key = key(policy, &head.tuple, direction);
    shard.find(key, shard.prepare(key))
}

/// Where a destination lies, as far as forwarding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One of the box's own addresses.
    Local(InterfaceIndex),
    /// Beyond this next hop.
    Beyond(NextHop),
    /// A global address of the NAT.
    Nat,
}

/// Routes a destination.
pub fn destination(fib: &Fib, vrf: Vrf, addr: Ipv4Addr) -> Result<Destination, DropReason> {
    match fib.lookup(vrf, addr).ok_or(DropReason::NoRoute)? {
        Route::Local(interface) => Ok(Destination::Local(interface)),
        Route::Connected(interface) => Ok(Destination::Beyond(NextHop { interface, addr })),
        Route::Via(interface, addr) => Ok(Destination::Beyond(NextHop { interface, addr })),
        Route::Nat => Ok(Destination::Nat),
        Route::Broadcast => Err(DropReason::Ipv4Multicast),
        Route::Null => Err(DropReason::NullRoute),
    }
}

/// Routes a destination, and tells the cache entry of its next hop.
#[inline]
pub fn route(tables: &Tables, vrf: Vrf, addr: Ipv4Addr) -> Result<(Destination, CachedHop), DropReason> {
    let Tables { fib, neighbours, recent_routes, .. } = tables;
    let recent = recent_routes.hop(vrf, addr);
    if let Some(neighbour) = noted(fib, neighbours, recent) {
        return Ok((Destination::Beyond(neighbour.next_hop), recent));
    }
    let destination = destination(fib, vrf, addr)?;
    let Destination::Beyond(next_hop) = destination else { return Ok((destination, CachedHop::UNKNOWN)) };
    let hop = resolve(fib, neighbours, next_hop);
    recent_routes.note(vrf, addr, hop);
    Ok((destination, hop))
}

/// The neighbour that was noted as a next hop, where that still holds.
#[inline(always)]
fn noted<'a>(fib: &Fib, neighbours: &'a Neighbours, cached: CachedHop) -> Option<&'a Neighbour> {
    if cached.generation == fib.generation { neighbours.at(cached.neighbour) } else { None }
}

/// The next hop noted for a session's packet of this direction to `dst`, and its neighbour where that still holds.
#[inline(always)]
pub fn noted_way<'a>(
    policy: &Policy,
    fib: &Fib,
    neighbours: &'a Neighbours,
    recent_routes: &RecentRoutes,
    session: &Session,
    direction: Direction,
    dst: Ipv4Addr,
) -> (CachedHop, Option<&'a Neighbour>) {
    // What serves every peer goes everywhere: to where others went lately, out of the same side.
    if direction == Direction::Outbound && session.flags.has(Flags::ANY_PEER) {
        let recent = recent_routes.hop(session.inside_vrf, dst);
        let is_outside = |neighbour: &&Neighbour| {
            policy.is_outside(neighbour.next_hop.interface) && !policy.rules_see_destinations
        };
        return (recent, noted(fib, neighbours, recent).filter(is_outside));
    }
    let cached = session.hop(direction);
    (cached, noted(fib, neighbours, cached))
}

/// The cache entry of a next hop, unknown while its neighbour is not resolved.
pub fn resolve(fib: &Fib, neighbours: &Neighbours, next_hop: NextHop) -> CachedHop {
    match neighbours.find(next_hop.interface, next_hop.addr) {
        Some(neighbour) => CachedHop { neighbour, generation: fib.generation },
        None => CachedHop::UNKNOWN,
    }
}
