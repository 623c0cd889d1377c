//! Routes: where a destination lies. One immutable value beside the policy, one table per VRF.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use prefix_trie::PrefixMap;

use crate::flow::Vrf;
use crate::policy::InterfaceIndex;

/// What to do with a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One of the box's own addresses.
    Local(InterfaceIndex),
    /// On this interface's own subnet: the destination is its own next hop.
    Connected(InterfaceIndex),
    /// A subnet's network or broadcast address: not forwarded.
    Broadcast,
    /// Through a next hop on this interface.
    Via(InterfaceIndex, Ipv4Addr),
    /// `Null0`.
    Null,
    /// A global address of the NAT: what comes from inside is hairpinned here.
    Nat,
}

/// The forwarding tables.
#[derive(Clone, Debug, Default)]
pub struct Fib {
    tables: Vec<PrefixMap<Ipv4Net, Route>>,
}

/// The next hop of a packet: an interface and the host on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// The outgoing interface.
    pub interface: InterfaceIndex,
    /// The host's address.
    pub addr: Ipv4Addr,
}

impl Fib {
    /// Adds a route, replacing one to the same prefix.
    pub fn insert(&mut self, vrf: Vrf, prefix: Ipv4Net, route: Route) {
        let vrf = usize::from(vrf);
        if self.tables.len() <= vrf {
            self.tables.resize_with(vrf + 1, PrefixMap::new);
        }
        self.tables[vrf].insert(prefix.trunc(), route);
    }

    /// The route of the longest prefix that holds `addr`.
    #[inline]
    pub fn lookup(&self, vrf: Vrf, addr: Ipv4Addr) -> Option<Route> {
        self.lookup_prefix(vrf, addr).map(|(_, route)| route)
    }

    /// The same, with that prefix.
    #[inline]
    pub fn lookup_prefix(&self, vrf: Vrf, addr: Ipv4Addr) -> Option<(Ipv4Net, Route)> {
        let host = Ipv4Net::from(addr);
        self.tables.get(usize::from(vrf))?.get_lpm(&host).map(|(prefix, route)| (prefix, *route))
    }

    /// Every route of a VRF, in the order of prefixes.
    pub fn routes(&self, vrf: Vrf) -> impl Iterator<Item = (Ipv4Net, Route)> + '_ {
        self.tables.get(usize::from(vrf)).into_iter().flat_map(|table| table.iter().map(|(p, r)| (p, *r)))
    }
}
