//! Static routes and static neighbours.

use std::net::Ipv4Addr;

use super::super::builder::{Apply, Builder, Fault, Statement};
use super::super::grammar::Row;
use super::super::interface_name::InterfaceName;
use super::super::model::{ArpEntry, Route, RouteTarget};
use super::{network, remove, statement};

#[rustfmt::skip]
pub(super) const GLOBAL: &[Row<Apply>] = &[
    statement("ip route <prefix:address> <mask> / { <next-hop:address> | <interface> [ <next-hop:address> ] } \
               [ <distance:1-255> ]", "Route a prefix to a neighbour, an interface or Null0", route),
    statement("arp <address> / <mac> arpa", "Fix the Ethernet address of a neighbour", arp),
];

fn route(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let prefix = network(statement, "prefix")?;
    let target = target(args.optional("interface"), args.optional("next-hop"));
    if matches!(target, Some(RouteTarget::Null)) && args.has("next-hop") {
        return Err(statement.fault("next-hop", "Null0 has no neighbours"));
    }
    let routes = &mut builder.config.routes;
    let Some(target) = target else {
        let removed = remove(routes, |route| route.prefix == prefix);
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let same = |route: &Route| route.prefix == prefix && route.target == target;
    let distance = args.optional("distance").unwrap_or(1);
    if !statement.sets() {
        let removed = remove(routes, same);
        builder.expect_removed(removed, statement);
    } else if let Some(route) = routes.iter_mut().find(|route| same(route)) {
        route.distance = distance;
    } else {
        routes.push(Route { place: statement.place, prefix, target, distance });
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

fn arp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let address: Ipv4Addr = statement.args.required("address");
    let entries = &mut builder.config.arp_entries;
    if !statement.sets() {
        let removed = remove(entries, |entry| entry.address == address);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let entry = ArpEntry { place: statement.place, address, mac: statement.args.required("mac") };
    match entries.iter_mut().find(|known| known.address == address) {
        Some(known) => *known = entry,
        None => entries.push(entry),
    }
    Ok(())
}
