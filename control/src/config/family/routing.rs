//! VRFs, static routes and static neighbours.

use std::net::Ipv4Addr;

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::interface_name::InterfaceName;
use super::super::lint::findings::Lint;
use super::super::model::{ArpEntry, Route, RouteTarget, Vrf, VrfForm, VrfLeak};
use super::super::text::blocks;
use super::edit::{command, network, remove, statement};
use super::row::{Family, Section, Stage};

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
