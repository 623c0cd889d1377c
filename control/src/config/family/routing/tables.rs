//! Makes the forwarding tables from routes, subnets and the global addresses of the NAT.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use alg::Side;
use dataplane::flow::Vrf as VrfIndex;
use dataplane::policy::{Interface, InterfaceIndex};
use dataplane::route::fib::{self, NextHop};
use ipnet::{Ipv4Net, Ipv4Subnets};

use super::{RECURSION_MAX, Route, RouteTarget};
use crate::compile::compiler::{Compiler, GLOBAL as GLOBAL_VRF, RouteEntry};

impl Compiler<'_> {
    /// Fills the forwarding tables. Of several routes to a prefix, the one with the shortest distance is used. Among routes
    /// of the same distance it is the first one configured.
    pub(super) fn routes(&mut self) {
        let connected = self.connected(|interface| interface.is_up);
        let mut routes = connected.clone();
        routes.extend(self.static_routes(&connected));
        routes.sort_by_key(|entry| (entry.vrf, entry.prefix, entry.distance));
        routes.dedup_by_key(|entry| (entry.vrf, entry.prefix));
        self.leak(&mut routes);
        self.add_routes(&mut routes);
        // In the order that they are shown in.
        routes.sort_by_key(|entry| (entry.vrf, entry.prefix));
        for entry in &routes {
            self.out.fib.insert(entry.vrf, entry.prefix, entry.route);
        }
        self.out.routes = routes;
        self.nat_routes();
        self.static_neighbours(&connected);
    }

    /// The routes of the addresses of interfaces.
    fn connected(&self, counts: fn(&Interface) -> bool) -> Vec<RouteEntry> {
        let interfaces = self.out.policy.interfaces.iter().enumerate();
        let counting = interfaces.filter(|(_, interface)| counts(interface));
        counting
            .flat_map(|(index, interface)| {
                interface.addresses.iter().flat_map(move |&(addr, prefix_len)| {
                    interface_routes(index as InterfaceIndex, interface.vrf, addr, prefix_len)
                })
            })
            .collect()
    }

    /// The configured routes that can be used. A next hop that is on no subnet is looked up in the routes found so far.
    /// This is repeated until the routes stay the same.
    fn static_routes(&mut self, connected: &[RouteEntry]) -> Vec<RouteEntry> {
        let config = self.config;
        let subnets = self.connected(|_| true);
        let is_up = |route: &&Route| route.track.is_none_or(|number| self.is_track_up(number));
        let up: Vec<&Route> = config.routes.iter().filter(is_up).collect();
        let routes: Vec<_> = up.into_iter().map(|route| (route, self.vrf(route.vrf.as_deref()))).collect();
        let mut found = Vec::new();
        for _ in 0..RECURSION_MAX {
            let ways = ways(&found);
            let entry = |&(route, vrf): &(&Route, VrfIndex)| {
                // What is permanent stays while its interface is down.
                let connected = if route.permanent { &subnets } else { connected };
                let target = self.target(route, vrf, connected, &ways)?;
                let (prefix, distance) = (route.prefix, route.distance);
                Some(RouteEntry { vrf, prefix, route: target, distance, is_static: true })
            };
            let next: Vec<RouteEntry> = routes.iter().filter_map(entry).collect();
            let is_settled = next == found;
            found = next;
            if is_settled {
                break;
            }
        }
        found
    }

    /// Where a configured route leads; none while its interface is down or nothing leads to its next hop.
    fn target(
        &self,
        route: &Route,
        vrf: VrfIndex,
        connected: &[RouteEntry],
        ways: &Ways,
    ) -> Option<fib::Route> {
        let up = |index: InterfaceIndex| self.out.policy.interfaces[usize::from(index)].is_up;
        let table = if route.global { GLOBAL_VRF } else { vrf };
        match &route.target {
            RouteTarget::Null => Some(fib::Route::Null),
            RouteTarget::NextHop(addr) => {
                let direct = on_subnet(connected, table, *addr);
                direct
                    .map(|interface| fib::Route::Via(interface, *addr))
                    .or_else(|| recursive(ways, table, (vrf, route.prefix), *addr))
            }
            RouteTarget::Interface(name, next_hop) => {
                let interface = self.interface_index(name).filter(|&index| route.permanent || up(index))?;
                Some(
                    next_hop
                        .map_or(fib::Route::Connected(interface), |addr| fib::Route::Via(interface, addr)),
                )
            }
        }
    }

    /// `ip nat route vrf`: the VRF uses the routes of the global table for addresses in this prefix, unless it has a route
    /// of its own.
    fn leak(&mut self, routes: &mut Vec<RouteEntry>) {
        let config = self.config;
        for leak in &config.nat.vrf_leaks {
            let vrf = self.vrf(Some(&leak.vrf));
            let covering = routes
                .iter()
                .filter(|entry| entry.vrf == GLOBAL_VRF && entry.prefix.contains(&leak.prefix))
                .max_by_key(|entry| entry.prefix.prefix_len());
            let covering = covering.map(|entry| RouteEntry { prefix: leak.prefix, ..entry.clone() });
            let within =
                routes.iter().filter(|e| e.vrf == GLOBAL_VRF && leak.prefix.contains(&e.prefix)).cloned();
            for entry in covering.into_iter().chain(within).collect::<Vec<_>>() {
                if !routes.iter().any(|known| known.vrf == vrf && known.prefix == entry.prefix) {
                    routes.push(RouteEntry { vrf, is_static: true, ..entry });
                }
            }
        }
    }

    /// `add-route`: an outside local address is routed like its outside global address, unless there is another route to
    /// its prefix.
    fn add_routes(&mut self, routes: &mut Vec<RouteEntry>) {
        let mut ways = ways(routes);
        for (vrf, outside_vrf, prefix, like) in std::mem::take(&mut self.added_routes) {
            let towards = (0..=32).rev().find_map(|len| ways.get(&(outside_vrf, within(like, len))));
            let route = match towards.map(|&(_, route)| route) {
                Some(fib::Route::Connected(interface)) => fib::Route::Via(interface, like),
                Some(route) => route,
                None => continue,
            };
            if let Entry::Vacant(place) = ways.entry((vrf, prefix)) {
                place.insert((1, route));
                routes.push(RouteEntry { vrf, prefix, route, distance: 1, is_static: true });
            }
        }
    }

    /// Routes the global addresses of the NAT to the NAT itself: in the VRF outside, and in the VRF inside that they are
    /// for. An interface's own address stays local.
    fn nat_routes(&mut self) {
        let policy = &self.out.policy;
        let mut ranges: Vec<(VrfIndex, Ipv4Addr, Ipv4Addr)> = Vec::new();
        for rule in &policy.rules {
            let pool = policy.pools.get(usize::from(rule.pool));
            for &(first, last) in pool.into_iter().flat_map(|pool| &pool.ranges) {
                ranges.extend([(rule.inside_vrf, first, last), (rule.outside_vrf, first, last)]);
            }
        }
        for rule in policy.statics.rules().iter().filter(|rule| !rule.is_identity()) {
            if let Ok(net) = Ipv4Net::new(rule.global.addr, rule.prefix_len) {
                ranges.extend([
                    (rule.inside_vrf, net.network(), net.broadcast()),
                    (rule.outside_vrf, net.network(), net.broadcast()),
                ]);
            }
        }
        let dynamic = policy.rules.iter().map(|rule| (rule.inside_vrf, rule.outside_vrf));
        let fixed = policy.statics.rules().iter().map(|rule| (rule.inside_vrf, rule.outside_vrf));
        let vrfs: BTreeSet<(VrfIndex, VrfIndex)> = dynamic.chain(fixed).collect();
        let own = self.out.routes.iter().filter(|entry| matches!(entry.route, fib::Route::Local(_)));
        let own: HashSet<_> = own.map(|entry| (entry.vrf, entry.prefix)).collect();
        for (vrf, first, last) in ranges {
            for prefix in Ipv4Subnets::new(first, last, 0) {
                self.lead_to_nat(&own, vrf, prefix);
                // Hosts of VRFs with the same outside VRF reach each other through it, unless their own VRF routes the
                // address elsewhere.
                for &(inside, _) in vrfs.iter().filter(|(_, outside)| *outside == vrf) {
                    if self.leads_out(inside, vrf, prefix) {
                        self.lead_to_nat(&own, inside, prefix);
                    }
                }
            }
        }
    }

    fn lead_to_nat(&mut self, own: &HashSet<(VrfIndex, Ipv4Net)>, vrf: VrfIndex, prefix: Ipv4Net) {
        if !own.contains(&(vrf, prefix)) {
            self.out.fib.insert(vrf, prefix, fib::Route::Nat);
        }
    }

    /// Whether the VRF `inside` routes a prefix to a NAT outside interface of the VRF `outside`.
    fn leads_out(&self, inside: VrfIndex, outside: VrfIndex, prefix: Ipv4Net) -> bool {
        let route = self.out.fib.lookup(inside, prefix.network());
        let Some(fib::Route::Via(interface, _) | fib::Route::Connected(interface)) = route else {
            return false;
        };
        let interface = &self.out.policy.interfaces[usize::from(interface)];
        interface.nat == Some(Side::Outside) && interface.vrf == outside
    }

    fn static_neighbours(&mut self, connected: &[RouteEntry]) {
        let config = self.config;
        for entry in &config.arp_entries {
            let vrf = self.vrf(entry.vrf.as_deref());
            if let Some(interface) = on_subnet(connected, vrf, entry.address) {
                let next_hop = NextHop { interface, addr: entry.address };
                self.out.static_neighbours.push((next_hop, entry.mac.0));
            }
        }
    }
}

/// The routes of an interface's address: for the address, for its subnet, and for the subnet's network and broadcast
/// addresses, which are not forwarded (RFC 1812 section 5.3.5). Subnets of 31 and 32 bits have no such addresses (RFC 3021).
fn interface_routes(index: InterfaceIndex, vrf: VrfIndex, addr: Ipv4Addr, prefix_len: u8) -> Vec<RouteEntry> {
    let entry = |prefix, route| RouteEntry { vrf, prefix, route, distance: 0, is_static: false };
    let mut routes = vec![entry(Ipv4Net::from(addr), fib::Route::Local(index))];
    let Ok(subnet) = Ipv4Net::new(addr, prefix_len) else { return routes };
    if prefix_len < 32 {
        routes.push(entry(subnet.trunc(), fib::Route::Connected(index)));
    }
    if prefix_len < 31 {
        routes.push(entry(Ipv4Net::from(subnet.network()), fib::Route::Broadcast));
        routes.push(entry(Ipv4Net::from(subnet.broadcast()), fib::Route::Broadcast));
    }
    routes
}

/// For each prefix, the route with the shortest distance, and that distance.
type Ways = HashMap<(VrfIndex, Ipv4Net), (u8, fib::Route)>;

fn ways(routes: &[RouteEntry]) -> Ways {
    let mut ways = Ways::new();
    for entry in routes {
        let way = ways.entry((entry.vrf, entry.prefix)).or_insert((entry.distance, entry.route));
        if entry.distance < way.0 {
            *way = (entry.distance, entry.route);
        }
    }
    ways
}

/// The network with this prefix length that contains an address.
fn within(addr: Ipv4Addr, prefix_len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(addr, prefix_len).trunc()
}

/// The route to a next hop that is on no subnet. The default route does not count: packets that it would carry there take
/// the default route anyway.
fn recursive(ways: &Ways, table: VrfIndex, own: (VrfIndex, Ipv4Net), addr: Ipv4Addr) -> Option<fib::Route> {
    let keys = (1..=32).rev().map(|len| (table, within(addr, len))).filter(|key| *key != own);
    let best = keys.filter_map(|key| ways.get(&key)).next();
    best.map(|&(_, route)| match route {
        fib::Route::Connected(interface) => fib::Route::Via(interface, addr),
        route => route,
    })
}

/// The interface on whose subnet an address lies.
fn on_subnet(connected: &[RouteEntry], vrf: VrfIndex, addr: Ipv4Addr) -> Option<InterfaceIndex> {
    let holding = connected.iter().filter_map(|entry| match entry.route {
        fib::Route::Connected(interface) if entry.vrf == vrf && entry.prefix.contains(&addr) => {
            Some((entry.prefix.prefix_len(), interface))
        }
        _ => None,
    });
    holding.max().map(|(_, interface)| interface)
}
