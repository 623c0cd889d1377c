//! VRFs, static routes and static neighbours.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::flow::Vrf as VrfIndex;
use dataplane::policy::InterfaceIndex;
use dataplane::route::fib::{self, NextHop};
use ipnet::{Ipv4Net, Ipv4Subnets};

use super::edit::{command, network, remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::{Compiler, GLOBAL as GLOBAL_VRF, RouteEntry};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::lint::findings::Lint;
use crate::config::model::{MacAddress, Place};
use crate::config::text::{blocks, write_if, write_some};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Vrf, VRF)],
    render: &[
        (Section::Vrfs, |config| blocks(config.vrfs.iter().map(Vrf::lines))),
        (Section::NatRoutes, |config| config.nat.vrf_leaks.iter().map(VrfLeak::to_string).collect()),
        (Section::Routes, |config| config.routes.iter().map(Route::to_string).collect()),
        (Section::Neighbours, |config| config.arp_entries.iter().map(ArpEntry::to_string).collect()),
    ],
    lint: |lint| lint.check_routes(),
    compile: &[(Stage::Routes, |compiler| compiler.routes())],
    ..Family::NONE
};

/// `vrf definition NAME`, or `ip vrf NAME`: a routing table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// How it was written.
    pub form: VrfForm,
    /// `rd N:N`: a label that is kept and shown, and has no other use here.
    pub route_distinguisher: Option<String>,
    /// `description TEXT`
    pub description: Option<String>,
}

/// The two ways to define a VRF, which mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VrfForm {
    /// `vrf definition NAME`, always with `address-family ipv4`.
    Definition,
    /// `ip vrf NAME`
    Legacy,
}

/// `ip route [vrf V] PREFIX MASK TARGET [global] [DISTANCE] [name N] [tag T] [permanent]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it stands.
    pub place: Place,
    /// The VRF whose table it belongs to; `None` is the global table.
    pub vrf: Option<String>,
    /// The destination, without host bits.
    pub prefix: Ipv4Net,
    /// Where packets go.
    pub target: RouteTarget,
    /// `global`: a VRF's route whose next hop is found in the global table.
    pub global: bool,
    /// The administrative distance, 1 unless given.
    pub distance: u8,
    /// `name N`: a remark.
    pub name: Option<String>,
    /// `tag T`: a remark.
    pub tag: Option<u32>,
    /// `permanent`: the route stays while its interface is down.
    pub permanent: bool,
}

impl Route {
    /// A route of the global table without any option.
    pub fn new(place: Place, prefix: Ipv4Net, target: RouteTarget) -> Route {
        Route {
            place,
            vrf: None,
            prefix,
            target,
            global: false,
            distance: 1,
            name: None,
            tag: None,
            permanent: false,
        }
    }
}

/// What a route points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTarget {
    /// A neighbour, on whichever interface reaches it.
    NextHop(Ipv4Addr),
    /// An interface, and the neighbour there; without one every destination is its own neighbour.
    Interface(InterfaceName, Option<Ipv4Addr>),
    /// `Null0`: packets are dropped.
    Null,
}

/// `ip nat route vrf V PREFIX MASK global`: what a VRF does not route to itself, it finds in the global table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrfLeak {
    /// Where it stands.
    pub place: Place,
    /// The VRF.
    pub vrf: String,
    /// The destination, without host bits.
    pub prefix: Ipv4Net,
}

/// `arp [vrf V] A MAC arpa`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpEntry {
    /// Where it stands.
    pub place: Place,
    /// The VRF of its interface; `None` is the global table.
    pub vrf: Option<String>,
    /// The neighbour.
    pub address: Ipv4Addr,
    /// Its Ethernet address.
    pub mac: MacAddress,
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("vrf definition <name:word>", "Define a VRF: a routing table of its own", vrf_definition),
    statement("ip vrf <name:word>", "Define a VRF: a routing table of its own", legacy_vrf),
    statement("ip route [ vrf <vrf:word> ] <prefix:address> <mask> / { <next-hop:address> | <interface> [ <next-hop:address> ] } \
               [ <distance:1-255> | global | name <name:word> | tag <tag:0-4294967295> | permanent ]*",
              "Route a prefix to a neighbour, an interface or Null0", route),
    statement("ip nat route vrf <vrf:word> <prefix:address> <mask> global",
              "Let a VRF find a prefix in the global table", vrf_leak),
    statement("arp [ vrf <vrf:word> ] <address> / <mac> arpa", "Fix the Ethernet address of a neighbour", arp),
];

#[rustfmt::skip]
const VRF: &[Row<Apply>] = &[
    statement("rd / <rd:word>", "Label the VRF's routes, such as 65000:1", route_distinguisher),
    statement("description / <text>", "Describe the VRF", description),
    command("address-family ipv4", "Accepted: every VRF routes IPv4", accept),
    command("exit-address-family", "Accepted: ends address-family ipv4", accept),
];

fn vrf_definition(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    vrf(builder, statement, VrfForm::Definition)
}

fn legacy_vrf(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    vrf(builder, statement, VrfForm::Legacy)
}

fn vrf(builder: &mut Builder, statement: &Statement, form: VrfForm) -> Result<(), Fault> {
    let name: String = statement.args.required("name");
    let vrfs = &mut builder.config.vrfs;
    let known = vrfs.iter().position(|vrf| vrf.name == name);
    if !statement.sets() {
        let removed = remove(vrfs, |vrf| vrf.name == name);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    if let Some(other) = known.map(|index| &vrfs[index]).filter(|vrf| vrf.form != form) {
        let text = format!("VRF {name:?} is defined in the other form, by line {}", other.place.line);
        return Err(statement.fault("name", text));
    }
    let index = known.unwrap_or(vrfs.len());
    if known.is_none() {
        let place = statement.place;
        vrfs.push(Vrf { place, name, form, route_distinguisher: None, description: None });
    }
    builder.open(Mode::Vrf, (index, 0));
    Ok(())
}

fn route_distinguisher(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let new: Option<String> = statement.args.optional("rd").filter(|_| statement.sets());
    if let Some(rd) = &new {
        let is_number = |text: &str| text.parse::<u32>().is_ok() || text.parse::<Ipv4Addr>().is_ok();
        let fits = rd.split_once(':').is_some_and(|(owner, n)| is_number(owner) && n.parse::<u32>().is_ok());
        if !fits {
            return Err(statement.fault("rd", format!("{rd:?} is not of the form 65000:1 or 192.0.2.1:1")));
        }
    }
    builder.vrf().route_distinguisher = new;
    Ok(())
}

fn description(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.vrf().description = statement.args.optional("text").filter(|_| statement.sets());
    Ok(())
}

fn accept(_: &mut Builder, _: &Statement) -> Result<(), Fault> {
    Ok(())
}

fn route(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let vrf: Option<String> = args.optional("vrf");
    let prefix = network(statement, "prefix")?;
    let target = target(args.optional("interface"), args.optional("next-hop"));
    if matches!(target, Some(RouteTarget::Null)) && args.has("next-hop") {
        return Err(statement.fault("next-hop", "Null0 has no neighbours"));
    }
    if args.has("global") && vrf.is_none() {
        return Err(statement.fault("global", "only the route of a VRF leads out of it; add vrf NAME"));
    }
    let routes = &mut builder.config.routes;
    let of_table = |route: &Route| route.vrf == vrf && route.prefix == prefix;
    let Some(target) = target else {
        let removed = remove(routes, of_table);
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let same = |route: &Route| of_table(route) && route.target == target;
    if !statement.sets() {
        let removed = remove(routes, same);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let new = Route {
        vrf: vrf.clone(),
        global: args.has("global"),
        distance: args.optional("distance").unwrap_or(1),
        name: args.optional("name"),
        tag: args.optional("tag"),
        permanent: args.has("permanent"),
        ..Route::new(statement.place, prefix, target.clone())
    };
    match routes.iter_mut().find(|route| same(route)) {
        Some(known) => *known = new,
        None => routes.push(new),
    }
    Ok(())
}

fn target(interface: Option<InterfaceName>, next_hop: Option<Ipv4Addr>) -> Option<RouteTarget> {
    match (interface, next_hop) {
        (Some(interface), _) if interface.is_null() => Some(RouteTarget::Null),
        (Some(interface), next_hop) => Some(RouteTarget::Interface(interface, next_hop)),
        (None, next_hop) => next_hop.map(RouteTarget::NextHop),
    }
}

fn vrf_leak(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let prefix = network(statement, "prefix")?;
    let leak = VrfLeak { place: statement.place, vrf: statement.args.required("vrf"), prefix };
    let leaks = &mut builder.config.nat.vrf_leaks;
    if !statement.sets() {
        let removed = remove(leaks, |known| *known == leak);
        builder.expect_removed(removed, statement);
    } else if !leaks.contains(&leak) {
        leaks.push(leak);
    }
    Ok(())
}

fn arp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let address: Ipv4Addr = statement.args.required("address");
    let vrf: Option<String> = statement.args.optional("vrf");
    let entries = &mut builder.config.arp_entries;
    let same = |entry: &ArpEntry| entry.vrf == vrf && entry.address == address;
    if !statement.sets() {
        let removed = remove(entries, same);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let mac = statement.args.required("mac");
    let entry = ArpEntry { place: statement.place, vrf: vrf.clone(), address, mac };
    match entries.iter_mut().find(|known| same(known)) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    Ok(())
}

impl Builder {
    /// The VRF whose mode this is.
    fn vrf(&mut self) -> &mut Vrf {
        &mut self.config.vrfs[self.opened.0]
    }
}

impl Lint<'_> {
    fn check_routes(&mut self) {
        let config = self.config;
        for route in &config.routes {
            self.check_vrf(route.place, route.vrf.as_deref());
            if let RouteTarget::Interface(name, _) = &route.target {
                self.check_defined(route.place, name);
            }
        }
        for entry in &config.arp_entries {
            self.check_vrf(entry.place, entry.vrf.as_deref());
        }
        for leak in &config.nat.vrf_leaks {
            self.check_vrf(leak.place, Some(&leak.vrf));
        }
    }
}

impl Vrf {
    /// The lines that define it.
    fn lines(&self) -> Vec<String> {
        let header = match self.form {
            VrfForm::Definition => "vrf definition",
            VrfForm::Legacy => "ip vrf",
        };
        let mut lines = vec![format!("{header} {}", self.name)];
        lines.extend(self.route_distinguisher.iter().map(|rd| format!(" rd {rd}")));
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        if self.form == VrfForm::Definition {
            lines.extend([" address-family ipv4", " exit-address-family"].map(str::to_string));
        }
        lines
    }
}

/// The route's line.
impl Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip route")?;
        write_some(f, "vrf", self.vrf.as_ref())?;
        write!(f, " {} {} ", self.prefix.addr(), self.prefix.netmask())?;
        match &self.target {
            RouteTarget::NextHop(next_hop) => write!(f, "{next_hop}")?,
            RouteTarget::Interface(interface, None) => write!(f, "{interface}")?,
            RouteTarget::Interface(interface, Some(next_hop)) => write!(f, "{interface} {next_hop}")?,
            RouteTarget::Null => f.write_str("Null0")?,
        }
        write_if(f, self.global, " global")?;
        if self.distance != 1 {
            write!(f, " {}", self.distance)?;
        }
        write_some(f, "name", self.name.as_ref())?;
        write_some(f, "tag", self.tag)?;
        write_if(f, self.permanent, " permanent")
    }
}

/// The leak's line.
impl Display for VrfLeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VrfLeak { vrf, prefix, .. } = self;
        write!(f, "ip nat route vrf {vrf} {} {} global", prefix.addr(), prefix.netmask())
    }
}

/// The entry's line.
impl Display for ArpEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arp")?;
        write_some(f, "vrf", self.vrf.as_ref())?;
        write!(f, " {} {} arpa", self.address, self.mac)
    }
}

impl Compiler<'_> {
    /// Fills the forwarding tables. Of several routes to a prefix the one with the shortest distance stands,
    /// among equals the first one configured.
    fn routes(&mut self) {
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
    fn target(&self, route: &Route, vrf: VrfIndex, connected: &[RouteEntry]) -> Option<fib::Route> {
        let up = |index: InterfaceIndex| self.out.policy.interfaces[usize::from(index)].is_up;
        let table = if route.global { GLOBAL_VRF } else { vrf };
        match &route.target {
            RouteTarget::Null => Some(fib::Route::Null),
            RouteTarget::NextHop(addr) => {
                on_subnet(connected, table, *addr).map(|interface| fib::Route::Via(interface, *addr))
            }
            RouteTarget::Interface(name, next_hop) => {
                let interface = self.interface_index(name).filter(|&index| up(index))?;
                Some(
                    next_hop
                        .map_or(fib::Route::Connected(interface), |addr| fib::Route::Via(interface, addr)),
                )
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

    /// `add-route`: an outside local address is routed to where the outside global one is, unless another route
    /// says more about it.
    fn add_routes(&mut self, routes: &mut Vec<RouteEntry>) {
        for (vrf, outside_vrf, prefix, like) in std::mem::take(&mut self.added_routes) {
            let towards = routes
                .iter()
                .filter(|entry| entry.vrf == outside_vrf && entry.prefix.contains(&like))
                .max_by_key(|entry| entry.prefix.prefix_len());
            let route = match towards.map(|entry| entry.route) {
                Some(fib::Route::Connected(interface)) => fib::Route::Via(interface, like),
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
        let mut ranges: Vec<(VrfIndex, Ipv4Addr, Ipv4Addr)> = Vec::new();
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
                    entry.vrf == vrf && entry.prefix == prefix && matches!(entry.route, fib::Route::Local(_))
                };
                if !self.out.routes.iter().any(|entry| is_own(&entry)) {
                    self.out.fib.insert(vrf, prefix, fib::Route::Nat);
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
