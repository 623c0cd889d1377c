//! VRFs, static routes and static neighbours.

mod tables;

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::edit::{command, network, put, remove, statement};
use super::row::{Family, Section, Stage};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{MacAddress, Place};
use crate::config::text::{blocks, write_if, write_some};

/// How often a next hop is looked up in what other routes lead to.
const RECURSION_MAX: usize = 16;

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

/// `ip route [vrf V] PREFIX MASK TARGET [global] [DISTANCE] [name N] [tag T] [permanent | track N]`
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
    /// `track N`: the route is used only while this tracked object is up.
    pub track: Option<u16>,
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
            track: None,
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
               [ <distance:1-255> | global | name <name:word> | tag <tag:0-4294967295> | permanent | track <object:1-1000> ]*",
              "Route a prefix to a neighbour, an interface or Null0", route),
    statement("ip route [ vrf <vrf:word> ] <prefix:address> <mask> [ <interface> ] dhcp [ <distance:1-255> ]",
              "Refused: DHCP gives no next hop", route_of_dhcp),
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
    let known = builder.known.position(List::Vrfs, vrfs, |vrf| vrf.name.clone(), &name);
    if !statement.sets() {
        let removed = remove(vrfs, |vrf| vrf.name == name);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    if let Some(other) = known.map(|index| &vrfs[index]).filter(|vrf| vrf.form != form) {
        let text = format!("VRF {name:?} is defined in the other form, by {}", other.place);
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
        return Err(statement.fault("global", "\"global\" is only for the route of a VRF; add vrf NAME"));
    }
    if args.has("permanent") && args.has("track") {
        return Err(statement.fault("track", "a permanent route cannot depend on a tracked object"));
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
        track: args.optional("object"),
        ..Route::new(statement.place, prefix, target.clone())
    };
    let identity = |route: &Route| format!("{:?}", (&route.vrf, route.prefix, &route.target));
    put(&mut builder.known, List::Routes, routes, new, identity);
    Ok(())
}

fn route_of_dhcp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if !statement.sets() {
        builder.expect_removed(false, statement);
        return Ok(());
    }
    let text = "a next hop that DHCP gives is not supported; name one, as in \"ip route 0.0.0.0 0.0.0.0 192.0.2.254\"";
    Err(statement.fault("dhcp", text))
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
    let identity = |entry: &ArpEntry| format!("{:?}", (&entry.vrf, entry.address));
    put(&mut builder.known, List::ArpEntries, entries, entry, identity);
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
            if let Some(number) = route.track {
                self.check_track(route.place, number);
            }
        }
        self.check_next_hops();
        for entry in &config.arp_entries {
            self.check_vrf(entry.place, entry.vrf.as_deref());
        }
        for leak in &config.nat.vrf_leaks {
            self.check_vrf(leak.place, Some(&leak.vrf));
        }
    }
}

impl Lint<'_> {
    /// A route without a way to its next hop is not used, and its packets may go elsewhere.
    fn check_next_hops(&mut self) {
        let routes = &self.config.routes;
        let mut leads: Vec<bool> = routes.iter().map(|route| self.is_direct(route)).collect();
        for _ in 0..RECURSION_MAX {
            let used = routes.iter().zip(&leads).filter(|(_, leads)| **leads);
            let ways: HashSet<(Option<&str>, Ipv4Net)> =
                used.map(|(route, _)| (route.vrf.as_deref(), route.prefix)).collect();
            let next: Vec<bool> = routes
                .iter()
                .zip(&leads)
                .map(|(route, &leads)| leads || leads_through(route, &ways))
                .collect();
            if next == leads {
                break;
            }
            leads = next;
        }
        for (route, _) in routes.iter().zip(&leads).filter(|(_, leads)| !**leads) {
            let RouteTarget::NextHop(addr) = route.target else { continue };
            self.warn(
                route.place,
                format!(
                    "next hop {addr} is on no interface's subnet, and no other route than a default one leads \
                     there: the route is not used"
                ),
            );
        }
    }

    /// Whether a route names its interface, or a next hop on the subnet of one.
    fn is_direct(&self, route: &Route) -> bool {
        let RouteTarget::NextHop(addr) = route.target else { return true };
        let table = next_hop_table(route);
        let mut interfaces =
            self.config.interfaces.iter().filter(|it| it.vrf.as_ref().map(|of| of.vrf.as_str()) == table);
        interfaces.any(|interface| interface.addresses.iter().any(|own| own.network.contains(&addr)))
    }
}

/// The table that a route's next hop is looked up in.
fn next_hop_table(route: &Route) -> Option<&str> {
    route.vrf.as_deref().filter(|_| !route.global)
}

/// Whether a route's next hop is where another one leads that is used.
fn leads_through(route: &Route, ways: &HashSet<(Option<&str>, Ipv4Net)>) -> bool {
    let RouteTarget::NextHop(addr) = route.target else { return true };
    let own = (route.vrf.as_deref(), route.prefix);
    let mut keys = (1..=32).map(|len| (next_hop_table(route), Ipv4Net::new_assert(addr, len).trunc()));
    keys.any(|key| key != own && ways.contains(&key))
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
        write_if(f, self.permanent, " permanent")?;
        write_some(f, "track", self.track)
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
