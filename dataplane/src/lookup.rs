//! Finding things: the session of a packet, and the way to a destination.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::fib::{Fib, NextHop, Route};
use crate::neighbour::Neighbours;
use crate::parse::{Head, Transport};
use crate::policy::{Domain, InterfaceIndex, Policy};
use crate::state::index::Hash;
use crate::state::session::{CachedHop, Direction, SessionKey};
use crate::state::shard::{SessionRef, Shard};
use crate::tuple::Vrf;

/// A packet's session key with its hash; none for packets that belong to no session.
pub type Probe = Option<(SessionKey, Hash)>;

/// Computes what a packet's session is found by, and asks for the index's cache line.
#[inline]
pub fn prepare(shard: &Shard, policy: &Policy, head: &Head) -> Probe {
    let direction = match policy.interfaces[usize::from(head.interface)].domain {
        Domain::Inside => Direction::Outbound,
        Domain::Outside => Direction::Inbound,
        Domain::None => return None,
    };
    if head.transport == Transport::LaterFragment {
        return None;
    }
    let tuple = &head.tuple;
    let key = SessionKey::new(direction, tuple.protocol, tuple.vrf, tuple.src, tuple.dst);
    Some((key, shard.prepare(key)))
}

/// The session of a packet.
#[inline]
pub fn find(shard: &Shard, probe: Probe) -> Option<SessionRef> {
    let (key, hash) = probe?;
    shard.find(key, hash)
}

/// Where a destination lies, as far as forwarding goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// One of the box's own addresses.
    Local(InterfaceIndex),
    /// Beyond this next hop.
    Beyond(NextHop),
}

/// Routes a destination.
pub fn destination(fib: &Fib, vrf: Vrf, addr: Ipv4Addr) -> Result<Destination, DropReason> {
    match fib.lookup(vrf, addr).ok_or(DropReason::NoRoute)? {
        Route::Local(interface) => Ok(Destination::Local(interface)),
        Route::Connected(interface) => Ok(Destination::Beyond(NextHop { interface, addr })),
        Route::Via(interface, addr) => Ok(Destination::Beyond(NextHop { interface, addr })),
        Route::Broadcast => Err(DropReason::Ipv4Multicast),
        Route::Null => Err(DropReason::NullRoute),
    }
}

/// The next hop to a destination and its neighbour's number, from a session's cache where that still holds.
#[inline]
pub fn hop(
    fib: &Fib,
    neighbours: &Neighbours,
    cached: CachedHop,
    vrf: Vrf,
    addr: Ipv4Addr,
) -> Result<(NextHop, CachedHop), DropReason> {
    if cached.generation == fib.generation
        && let Some(neighbour) = neighbours.at(cached.neighbour)
    {
        return Ok((neighbour.next_hop, cached));
    }
    match destination(fib, vrf, addr)? {
        Destination::Local(_) => Err(DropReason::NoLocalService),
        Destination::Beyond(next_hop) => Ok((next_hop, resolve(fib, neighbours, next_hop))),
    }
}

/// The cache entry of a next hop, unknown while its neighbour is not resolved.
pub fn resolve(fib: &Fib, neighbours: &Neighbours, next_hop: NextHop) -> CachedHop {
    match neighbours.find(next_hop.interface, next_hop.addr) {
        Some(neighbour) => CachedHop { neighbour, generation: fib.generation },
        None => CachedHop::UNKNOWN,
    }
}
