//! The way to a destination.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::flow::{Direction, InterfaceIndex, Vrf};
use crate::path::tables::Tables;
use crate::policy::Policy;
use crate::route::fib::{Fib, NextHop, Route};
use crate::route::neighbour::{CachedHop, Neighbour, Neighbours};
use crate::route::recent::RecentRoutes;
use crate::state::session::{Flags, Session};

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
    let &Tables { ref fib, generation, ref neighbours, ref recent_routes, .. } = tables;
    let recent = recent_routes.hop(vrf, addr);
    if let Some(neighbour) = noted(generation, neighbours, recent) {
        return Ok((Destination::Beyond(neighbour.next_hop), recent));
    }
    let destination = destination(fib, vrf, addr)?;
    let Destination::Beyond(next_hop) = destination else { return Ok((destination, CachedHop::UNKNOWN)) };
    let hop = resolve(generation, neighbours, next_hop);
    recent_routes.note(vrf, addr, hop);
    Ok((destination, hop))
}

/// The neighbour that was noted as a next hop, where that still holds.
#[inline(always)]
fn noted(generation: u16, neighbours: &Neighbours, cached: CachedHop) -> Option<&Neighbour> {
    if cached.generation == generation { neighbours.at(cached.neighbour) } else { None }
}

/// The next hop noted for a session's packet of this direction to `dst`, and its neighbour where that still holds.
#[inline(always)]
pub fn noted_way<'a>(
    policy: &Policy,
    generation: u16,
    neighbours: &'a Neighbours,
    recent_routes: &RecentRoutes,
    session: &Session,
    direction: Direction,
    dst: Ipv4Addr,
) -> (CachedHop, Option<&'a Neighbour>) {
    // What serves every peer goes everywhere: to where others went lately, out of the same side.
    if direction == Direction::Outbound && session.flags.has(Flags::ANY_PEER) {
        let recent = recent_routes.hop(session.inside_vrf(), dst);
        let is_outside = |neighbour: &&Neighbour| {
            policy.is_outside(neighbour.next_hop.interface) && !policy.rules_see_destinations
        };
        return (recent, noted(generation, neighbours, recent).filter(is_outside));
    }
    let cached = session.hop(direction);
    (cached, noted(generation, neighbours, cached))
}

/// The cache entry of a next hop, unknown while its neighbour is not resolved.
pub fn resolve(generation: u16, neighbours: &Neighbours, next_hop: NextHop) -> CachedHop {
    match neighbours.find(next_hop.interface, next_hop.addr) {
        Some(neighbour) => CachedHop { neighbour, generation },
        None => CachedHop::UNKNOWN,
    }
}
