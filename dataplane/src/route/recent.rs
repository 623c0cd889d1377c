//! The next hops of destinations that were looked up lately.

use std::cell::Cell;
use std::net::Ipv4Addr;

use crate::flow::Vrf;
use crate::route::neighbour::CachedHop;

/// Destinations that are remembered; a power of two.
const RECENT_COUNT: usize = 4096;

/// Next hops by destination, each in the one place its address leads to. Valid as a session's are: while the
/// forwarding table is the one they were found in.
pub struct RecentRoutes(Box<[Cell<Recent>; RECENT_COUNT]>);

#[derive(Clone, Copy)]
struct Recent {
    addr: Ipv4Addr,
    vrf: Vrf,
    hop: CachedHop,
}

const NOTHING: Recent = Recent { addr: Ipv4Addr::UNSPECIFIED, vrf: 0, hop: CachedHop::UNKNOWN };

impl Default for RecentRoutes {
    fn default() -> RecentRoutes {
        RecentRoutes(Box::new([const { Cell::new(NOTHING) }; RECENT_COUNT]))
    }
}

impl RecentRoutes {
    #[inline]
    fn place(&self, vrf: Vrf, addr: Ipv4Addr) -> &Cell<Recent> {
        let mixed = (addr.to_bits() ^ u32::from(vrf) << 20).wrapping_mul(0x9e37_79b1) >> 20;
        &self.0[mixed as usize % RECENT_COUNT]
    }

    /// Forgets all of them.
    pub fn forget(&self) {
        self.0.iter().for_each(|place| place.set(NOTHING));
    }

    /// The next hop of a destination, unknown if it is not remembered.
    #[inline]
    pub fn hop(&self, vrf: Vrf, addr: Ipv4Addr) -> CachedHop {
        let recent = self.place(vrf, addr).get();
        if recent.addr == addr && recent.vrf == vrf { recent.hop } else { CachedHop::UNKNOWN }
    }

    /// Remembers the next hop of a destination.
    #[inline]
    pub fn note(&self, vrf: Vrf, addr: Ipv4Addr, hop: CachedHop) {
        self.place(vrf, addr).set(Recent { addr, vrf, hop });
    }
}
