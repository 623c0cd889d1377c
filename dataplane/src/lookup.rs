//! Finding things: the session of a packet, and the way to a destination.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::fib::{Fib, NextHop, Route};
use crate::neighbour::Neighbours;
use crate::parse::{Head, Transport};
use crate::policy::{Domain, InterfaceIndex, Mode, Policy};
use crate::state::index::Hash;
use crate::state::session::{ANYONE, CachedHop, Direction, SessionKey};
use crate::state::shard::{SessionRef, Shard};
use crate::tables::Tables;
use crate::tuple::{Protocol, TCP, UDP, Vrf};

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

/// Computes what a packet's session is found by, and asks for the index's cache line. None for packets that
/// belong to no session, or whose ports are not known yet.
#[inline(always)]
pub fn prepare(shard: &Shard, policy: &Policy, head: &Head) -> Option<Probe> {
    let direction = direction(policy.interfaces[usize::from(head.interface)].domain)?;
    // A fragment's session is known when its packet's first fragment is.
    if head.is_fragment && head.new_id.is_none() {
        return None;
    }
    let key = key(policy, head, direction);
    Some(Probe { key, hash: shard.prepare(key), candidate: None })
}

/// Reads the index's line, and asks for the session's.
#[inline]
pub fn probe(shard: &Shard, probe: &mut Probe) {
    probe.candidate = shard.candidate(probe.hash);
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
pub fn key(policy: &Policy, head: &Head, direction: Direction) -> SessionKey {
    let tuple = &head.tuple;
    let (mut src, mut dst) = (tuple.src, tuple.dst);
    let (inside, outside) = match direction {
        Direction::Outbound => (src.port, dst.port),
        Direction::Inbound => (dst.port, src.port),
    };
    if serves_any_peer(policy, tuple.protocol, inside, outside) {
        *(if direction == Direction::Outbound { &mut dst } else { &mut src }) = ANYONE;
    }
    SessionKey { src, dst, vrf: tuple.vrf, protocol: tuple.protocol, direction }
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
    let key = key(policy, head, direction);
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
    if let Some(next_hop) = cached_hop(fib, neighbours, recent) {
        return Ok((Destination::Beyond(next_hop), recent));
    }
    let destination = destination(fib, vrf, addr)?;
    let Destination::Beyond(next_hop) = destination else { return Ok((destination, CachedHop::UNKNOWN)) };
    let hop = resolve(fib, neighbours, next_hop);
    recent_routes.note(vrf, addr, hop);
    Ok((destination, hop))
}

/// The next hop that a session cached, where that still holds.
#[inline]
pub fn cached_hop(fib: &Fib, neighbours: &Neighbours, cached: CachedHop) -> Option<NextHop> {
    let is_current = cached.generation == fib.generation;
    is_current.then(|| neighbours.at(cached.neighbour))?.map(|neighbour| neighbour.next_hop)
}

/// The cache entry of a next hop, unknown while its neighbour is not resolved.
pub fn resolve(fib: &Fib, neighbours: &Neighbours, next_hop: NextHop) -> CachedHop {
    match neighbours.find(next_hop.interface, next_hop.addr) {
        Some(neighbour) => CachedHop { neighbour, generation: fib.generation },
        None => CachedHop::UNKNOWN,
    }
}
