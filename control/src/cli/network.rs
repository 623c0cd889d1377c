//! `show ip arp`, `show ip route`

use std::fmt::Write;

use dataplane::flow::Vrf;
use dataplane::policy::Policy;
use dataplane::route::fib::Route;
use ipnet::Ipv4Net;

use super::command::{Command, command};
use super::vrf;
use crate::appliance::Appliance;
use crate::compile::{Compiled, RouteEntry};
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::MacAddress;
use crate::interface_state::live;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip arp [ vrf <vrf:word> ]", "Neighbours of the global table, of a VRF, or of all (*)", arp),
    command("show arp [ vrf <vrf:word> ]", "Neighbours of the global table, of a VRF, or of all (*)", arp),
    command("show ip route [ vrf <vrf:word> ]", "Routes of the global table, of a VRF, or of all (*)", routes),
];

fn arp(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let policy = &appliance.compiled.policy;
    let vrfs = vrf::asked_for(&appliance.compiled, args)?;
    let mut out = "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n".to_string();
    let mut add = |addr: std::net::Ipv4Addr, age: &str, mac: &str, interface: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "Internet  {addr:<15}  {age:>9}  {mac:<14}  ARPA   {interface}");
    };
    let is_own = |interface: &dataplane::policy::Interface| {
        interface.is_up && interface.port != u16::MAX && vrfs.contains(&interface.vrf)
    };
    for (_, interface) in live(&policy.interfaces).filter(|(_, interface)| is_own(interface)) {
        for (addr, _) in &interface.addresses {
            add(*addr, "-", &MacAddress(interface.mac).to_string(), &interface.name);
        }
    }
    for row in appliance.neighbours.rows(appliance.operation.now_ms) {
        let interface = policy.interfaces.get(usize::from(row.next_hop.interface));
        let Some(interface) = interface.filter(|interface| vrfs.contains(&interface.vrf)) else { continue };
        let mac = row.mac.map_or("Incomplete".into(), |mac| MacAddress(mac).to_string());
        let age = match row.age_ms {
            Some(ms) if row.mac.is_some() => (ms / 60_000).to_string(),
            Some(_) => "0".into(),
            None => "-".into(),
        };
        add(row.next_hop.addr, &age, &mac, &interface.name);
    }
    Ok(out)
}

fn routes(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let compiled = &appliance.compiled;
    let tables = vrf::asked_for(compiled, args)?;
    Ok(tables.iter().map(|&vrf| table(compiled, vrf)).collect::<String>())
}

/// The routes of one VRF.
fn table(compiled: &Compiled, vrf: Vrf) -> String {
    let policy = &compiled.policy;
    let entries: Vec<&RouteEntry> = compiled.routes.iter().filter(|entry| entry.vrf == vrf).collect();
    let mut out = String::new();
    // Writing to a string cannot fail.
    if vrf > 0 {
        let _ = writeln!(out, "\nRouting Table: {}", compiled.vrf_name(vrf));
    }
    let _ = writeln!(out, "Codes: L - local, C - connected, S - static, * - candidate default\n");
    let default = entries.iter().find(|entry| entry.prefix.prefix_len() == 0);
    let _ = match default.map(|entry| entry.route) {
        Some(Route::Via(_, hop)) => writeln!(out, "Gateway of last resort is {hop} to network 0.0.0.0\n"),
        Some(_) => writeln!(out, "Gateway of last resort is 0.0.0.0 to network 0.0.0.0\n"),
        None => writeln!(out, "Gateway of last resort is not set\n"),
    };
    for entry in entries {
        let name = |index: u16| policy.interfaces.get(usize::from(index)).map_or("?", |i| i.name.as_str());
        let (prefix, distance) = (entry.prefix, entry.distance);
        let is_default = entry.prefix.prefix_len() == 0;
        let code = if is_default { "S*" } else { "S " };
        let _ = match entry.route {
            Route::Local(index) => {
                let code = if is_subnet(policy, index, prefix) { 'C' } else { 'L' };
                writeln!(out, "{code}        {prefix} is directly connected, {}", name(index))
            }
            Route::Connected(index) if entry.is_static => {
                writeln!(out, "{code}       {prefix} is directly connected, {}", name(index))
            }
            Route::Connected(index) => {
                writeln!(out, "C        {prefix} is directly connected, {}", name(index))
            }
            Route::Via(index, hop) => {
                let (across, name) = (across(compiled, vrf, index), name(index));
                writeln!(out, "{code}       {prefix} [{distance}/0] via {hop}{across}, {name}")
            }
            Route::Null => writeln!(out, "{code}       {prefix} is directly connected, Null0"),
            Route::Broadcast | Route::Nat => Ok(()),
        };
    }
    out
}

/// Whether an address of an interface is its whole subnet, as a loopback's is.
fn is_subnet(policy: &Policy, index: u16, prefix: Ipv4Net) -> bool {
    let interface = policy.interfaces.get(usize::from(index));
    interface.is_some_and(|interface| interface.addresses.contains(&(prefix.addr(), 32)))
}

/// The VRF that a route leads to by an interface, in parentheses, where it is not the route's own.
fn across(compiled: &Compiled, vrf: Vrf, index: u16) -> String {
    match vrf_of(&compiled.policy, index) {
        Some(other) if other != vrf => format!(" ({})", compiled.vrf_name(other)),
        _ => String::new(),
    }
}

fn vrf_of(policy: &Policy, index: u16) -> Option<Vrf> {
    policy.interfaces.get(usize::from(index)).map(|interface| interface.vrf)
}
