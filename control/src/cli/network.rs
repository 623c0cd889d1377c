//! `show ip arp`, `show ip route`

use std::fmt::Write;

use dataplane::policy::Policy;
use dataplane::route::fib::Route;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::compile::RouteEntry;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::MacAddress;
use crate::interface_state::live;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip arp", "Neighbours", arp),
    command("show arp", "Neighbours", arp),
    command("show ip route", "Routes in force", routes),
];

fn arp(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let policy = &appliance.compiled.policy;
    let mut out = "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n".to_string();
    let mut add = |addr: std::net::Ipv4Addr, age: &str, mac: &str, interface: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "Internet  {addr:<15}  {age:>9}  {mac:<14}  ARPA   {interface}");
    };
    for (_, interface) in live(&policy.interfaces).filter(|(_, i)| i.is_up && i.port != u16::MAX) {
        for (addr, _) in &interface.addresses {
            add(*addr, "-", &MacAddress(interface.mac).to_string(), &interface.name);
        }
    }
    for row in appliance.neighbours.rows(appliance.operation.now_ms) {
        let interface =
            policy.interfaces.get(usize::from(row.next_hop.interface)).map_or("", |i| i.name.as_str());
        let mac = row.mac.map_or("Incomplete".into(), |mac| MacAddress(mac).to_string());
        let age = match row.age_ms {
            Some(ms) if row.mac.is_some() => (ms / 60_000).to_string(),
            Some(_) => "0".into(),
            None => "-".into(),
        };
        add(row.next_hop.addr, &age, &mac, interface);
    }
    Ok(out)
}

fn routes(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let compiled = &appliance.compiled;
    let mut out = "Codes: L - local, C - connected, S - static, * - candidate default\n".to_string();
    // The global table has number 0 and no name.
    let names = std::iter::once("").chain(compiled.vrf_names.iter().map(String::as_str));
    for (vrf, name) in names.enumerate() {
        let of_vrf = compiled.routes.iter().filter(|entry| usize::from(entry.vrf) == vrf);
        let entries: Vec<&RouteEntry> = of_vrf.collect();
        if vrf > 0 && !entries.is_empty() {
            let _ = writeln!(out, "\nRouting Table: {name}");
        }
        if vrf == 0 || !entries.is_empty() {
            table(&compiled.policy, &entries, &mut out);
        }
    }
    Ok(out)
}

/// The routes of one VRF.
fn table(policy: &Policy, entries: &[&RouteEntry], out: &mut String) {
    let default = entries.iter().find(|entry| entry.prefix.prefix_len() == 0);
    let _ = match default.map(|entry| entry.route) {
        Some(Route::Via(_, hop)) => writeln!(out, "\nGateway of last resort is {hop} to network 0.0.0.0\n"),
        Some(_) => writeln!(out, "\nGateway of last resort is 0.0.0.0 to network 0.0.0.0\n"),
        None => writeln!(out, "\nGateway of last resort is not set\n"),
    };
    for entry in entries {
        let name = |index: u16| policy.interfaces.get(usize::from(index)).map_or("?", |i| i.name.as_str());
        let (prefix, distance) = (entry.prefix, entry.distance);
        let is_default = entry.prefix.prefix_len() == 0;
        let code = if is_default { "S*" } else { "S " };
        let _ = match entry.route {
            Route::Local(index) => writeln!(out, "L        {prefix} is directly connected, {}", name(index)),
            Route::Connected(index) if entry.is_static => {
                writeln!(out, "{code}       {prefix} is directly connected, {}", name(index))
            }
            Route::Connected(index) => {
                writeln!(out, "C        {prefix} is directly connected, {}", name(index))
            }
            Route::Via(_, hop) => writeln!(out, "{code}       {prefix} [{distance}/0] via {hop}"),
            Route::Null => writeln!(out, "{code}       {prefix} is directly connected, Null0"),
            Route::Broadcast | Route::Nat => Ok(()),
        };
    }
}
