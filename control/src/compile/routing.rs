//! Routes: from interfaces, static routes and VRFs to forwarding tables.

use std::net::Ipv4Addr;

use dataplane::flow::Vrf;
use dataplane::policy::InterfaceIndex;
use dataplane::route::fib::{NextHop, Route};
use ipnet::{Ipv4Net, Ipv4Subnets};

use super::compiler::{Compiler, GLOBAL, RouteEntry};
use crate::config::model::{self, RouteTarget};

impl Compiler<'_> {
    /// Fills the forwarding tables. Of several routes to a prefix the one with the shortest distance stands,
    /// among equals the first one configured.
    pub(crate) fn routes(&mut self) {
        let connected = self.connected();
        let mut routes = connected.clone();
        for route in &self.config.routes {
            let vrf = self.vrf(route.vrf.as_deref());
            if let Some(target) = self.target(route, vrf, &connected) {
                let (prefix, distance) = (route.prefix, route.distance);
                routes.push(RouteEntry { vrf, prefix, route: target, distance, is_static: true });
            }
        }
        routes.sort_by_key(|entry| (entry.vrf, entry.prefix, entry.distance));
        routes.dedup_by_key(|entry| (entry.vrf, entry.prefix));
        self.leak(&mut routes);
        self.add_routes(&mut routes);
        for entry in &routes {
            self.out.fib.insert(entry.vrf, entry.prefix, entry.route);
        }
        self.out.routes = routes;
        self.nat_routes();
        self.static_neighbours(&connected);
    }

    fn connected(&self) -> Vec<RouteEntry> {
        let up = self.out.policy.interfaces.iter().enumerate().filter(|(_, interface)| interface.is_up);
        up.flat_map(|(index, interface)| {
            interface.addresses.iter().flat_map(move |&(addr, prefix_len)| {
                interface_routes(index as InterfaceIndex, interface.vrf, addr, prefix_len)
            })
        })
        .collect()
    }

    /// Where a configured route leads; none while its interface is down or its next hop is on no subnet.
    fn target(&self, route: &model::Route, vrf: Vrf, connected: &[RouteEntry]) -> Option<Route> {
        let up = |index: InterfaceIndex| self.out.policy.interfaces[usize::from(index)].is_up;
        let table = if route.global { GLOBAL } else { vrf };
        match &route.target {
            RouteTarget::Null => Some(Route::Null),
            RouteTarget::NextHop(addr) => {
                on_subnet(connected, table, *addr).map(|interface| Route::Via(interface, *addr))
            }
            RouteTarget::Interface(name, next_hop) => {
                let interface = self.interface_index(name).filter(|&index| up(index))?;
                Some(next_hop.map_or(Route::Connected(interface), |addr| Route::Via(interface, addr)))
            }
        }
    }

    /// `ip nat route vrf`: what the VRF has no route of its own for, within the prefix, is routed as the global
    /// table does.
    fn leak(&mut self, routes: &mut Vec<RouteEntry>) {
        let config = self.config;
        for leak in &config.nat.vrf_leaks {
            let vrf = self.vrf(Some(&leak.vrf));
            let covering = routes
                .iter()
                .filter(|entry| entry.vrf == GLOBAL && entry.prefix.contains(&leak.prefix))
                .max_by_key(|entry| entry.prefix.prefix_len());
            let covering = covering.map(|entry| RouteEntry { prefix: leak.prefix, ..entry.clone() });
            let within =
                routes.iter().filter(|e| e.vrf == GLOBAL && leak.prefix.contains(&e.prefix)).cloned();
            for entry in covering.into_iter().chain(within).collect::<Vec<_>>() {
                if !routes.iter().any(|known| known.vrf == vrf && known.prefix == entry.prefix) {
                    routes.push(RouteEntry { vrf, is_static: true, ..entry });
                }
            }
        }
    }

    /// `add-route`: an outside local address is routed to where the outside global one is, unless another route
    /// says more about it.
    fn add_routes(&mut self, routes: &mut Vec<RouteEntry>) {
        for (vrf, outside_vrf, prefix, like) in std::mem::take(&mut self.added_routes) {
            let towards = routes
                .iter()
                .filter(|entry| entry.vrf == outside_vrf && entry.prefix.contains(&like))
                .max_by_key(|entry| entry.prefix.prefix_len());
            let route = match towards.map(|entry| entry.route) {
                Some(Route::Connected(interface)) => Route::Via(interface, like),
                Some(route) => route,
                None => continue,
            };
            if !routes.iter().any(|entry| entry.vrf == vrf && entry.prefix == prefix) {
                routes.push(RouteEntry { vrf, prefix, route, distance: 1, is_static: true });
            }
        }
    }

    /// Global addresses of the NAT lead into the NAT, seen from outside and from the inside that they serve. An
    /// interface's own address stays the box's.
    fn nat_routes(&mut self) {
        let policy = &self.out.policy;
        let mut ranges: Vec<(Vrf, Ipv4Addr, Ipv4Addr)> = Vec::new();
        for rule in &policy.rules {
            let pool = policy.pools.get(usize::from(rule.pool));
            for &(first, last) in pool.into_iter().flat_map(|pool| &pool.ranges) {
                ranges.extend([(rule.inside_vrf, first, last), (rule.outside_vrf, first, last)]);
            }
        }
        for rule in policy.statics.rules() {
            if let Ok(net) = Ipv4Net::new(rule.global.addr, rule.prefix_len) {
                ranges.extend([
                    (rule.inside_vrf, net.network(), net.broadcast()),
                    (rule.outside_vrf, net.network(), net.broadcast()),
                ]);
            }
        }
        for (vrf, first, last) in ranges {
            for prefix in Ipv4Subnets::new(first, last, 0) {
                let is_own = |entry: &&RouteEntry| {
                    entry.vrf == vrf && entry.prefix == prefix && matches!(entry.route, Route::Local(_))
                };
                if !self.out.routes.iter().any(|entry| is_own(&entry)) {
                    self.out.fib.insert(vrf, prefix, Route::Nat);
                }
            }
        }
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

/// An address's own route, its subnet's, and those of the subnet's ends, which are not forwarded (RFC 1812
/// section 5.3.5). Subnets of 31 and 32 bits have no such ends (RFC 3021).
fn interface_routes(index: InterfaceIndex, vrf: Vrf, addr: Ipv4Addr, prefix_len: u8) -> Vec<RouteEntry> {
    let entry = |prefix, route| RouteEntry { vrf, prefix, route, distance: 0, is_static: false };
    let mut routes = vec![entry(Ipv4Net::from(addr), Route::Local(index))];
    let Ok(subnet) = Ipv4Net::new(addr, prefix_len) else { return routes };
    if prefix_len < 32 {
        routes.push(entry(subnet.trunc(), Route::Connected(index)));
    }
    if prefix_len < 31 {
        routes.push(entry(Ipv4Net::from(subnet.network()), Route::Broadcast));
        routes.push(entry(Ipv4Net::from(subnet.broadcast()), Route::Broadcast));
    }
    routes
}

/// The interface on whose subnet an address lies.
fn on_subnet(connected: &[RouteEntry], vrf: Vrf, addr: Ipv4Addr) -> Option<InterfaceIndex> {
    let holding = connected.iter().filter_map(|entry| match entry.route {
        Route::Connected(interface) if entry.vrf == vrf && entry.prefix.contains(&addr) => {
            Some((entry.prefix.prefix_len(), interface))
        }
        _ => None,
    });
    holding.max().map(|(_, interface)| interface)
}
