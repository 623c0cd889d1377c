//! `show interfaces`, `show ip interface brief`, `show ip arp`, `show ip route`

use std::fmt::Write;

use dataplane::fib::Route;
use dataplane::policy::Interface;

use super::{Command, Context, command};
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::MacAddress;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show interfaces", "Interfaces with their counters", interfaces),
    command("show ip interface brief", "Interfaces with their addresses and states", interface_brief),
    command("show ip arp", "Neighbours", arp),
    command("show ip route", "Routes in force", routes),
];

fn interfaces(context: &mut Context, _: &Args) -> Result<String, String> {
    let mut out = String::new();
    for (index, interface) in live(&context.appliance.compiled.policy.interfaces) {
        let (state, protocol) = states(interface);
        let configured =
            context.appliance.config.interfaces.iter().find(|c| c.name.as_str() == interface.name);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{} is {state}, line protocol is {protocol}", interface.name);
        let _ = writeln!(out, "  Hardware address is {}", MacAddress(interface.mac));
        if let Some(description) = configured.and_then(|configured| configured.description.as_ref()) {
            let _ = writeln!(out, "  Description: {description}");
        }
        for (addr, prefix_len) in &interface.addresses {
            let _ = writeln!(out, "  Internet address is {addr}/{prefix_len}");
        }
        let encapsulation =
            interface.vlan.map_or("ARPA".into(), |vlan| format!("802.1Q Virtual LAN, Vlan ID {vlan}"));
        let _ = writeln!(out, "  MTU {} bytes\n  Encapsulation {encapsulation}", interface.mtu);
        let sum = |of: fn(&dataplane::counters::InterfaceCounters) -> u64| -> u64 {
            context.appliance.counters.iter().map(|counters| of(counters.interface(index))).sum()
        };
        let (packets, bytes) = (sum(|c| c.in_packets.value()), sum(|c| c.in_bytes.value()));
        let _ = writeln!(out, "     {packets} packets input, {bytes} bytes");
        let (packets, bytes) = (sum(|c| c.out_packets.value()), sum(|c| c.out_bytes.value()));
        let _ = writeln!(out, "     {packets} packets output, {bytes} bytes");
    }
    Ok(out)
}

/// Interfaces that are configured: a removed one leaves a hole without addresses or port.
fn live(interfaces: &[Interface]) -> impl Iterator<Item = (u16, &Interface)> {
    let is_live = |interface: &Interface| interface.mtu != 0;
    interfaces.iter().enumerate().filter(move |(_, i)| is_live(i)).map(|(index, i)| (index as u16, i))
}

fn states(interface: &Interface) -> (&'static str, &'static str) {
    if interface.is_up { ("up", "up") } else { ("administratively down", "down") }
}

fn interface_brief(context: &mut Context, _: &Args) -> Result<String, String> {
    let row = |columns: [&str; 6]| {
        let [name, addr, ok, method, status, protocol] = columns;
        format!("{name:<23}{addr:<16}{ok:<4}{method:<7}{status:<22}{protocol}\n")
    };
    let mut out = row(["Interface", "IP-Address", "OK?", "Method", "Status", "Protocol"]);
    for (_, interface) in live(&context.appliance.compiled.policy.interfaces) {
        let (status, protocol) = states(interface);
        let addr = interface.addresses.first().map_or("unassigned".into(), |(addr, _)| addr.to_string());
        let method = if interface.addresses.is_empty() { "unset" } else { "manual" };
        out += &row([&interface.name, &addr, "YES", method, status, protocol]);
    }
    Ok(out)
}

fn arp(context: &mut Context, _: &Args) -> Result<String, String> {
    let policy = &context.appliance.compiled.policy;
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
    for row in context.appliance.neighbours.rows(context.now_ms) {
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

fn routes(context: &mut Context, _: &Args) -> Result<String, String> {
    let appliance = &*context.appliance;
    let mut out = "Codes: L - local, C - connected, S - static, * - candidate default\n\n".to_string();
    let default = appliance.compiled.routes.iter().find(|entry| entry.prefix.prefix_len() == 0);
    let _ = match default.map(|entry| entry.route) {
        Some(Route::Via(_, hop)) => writeln!(out, "Gateway of last resort is {hop} to network 0.0.0.0\n"),
        Some(_) => writeln!(out, "Gateway of last resort is 0.0.0.0 to network 0.0.0.0\n"),
        None => writeln!(out, "Gateway of last resort is not set\n"),
    };
    for entry in &appliance.compiled.routes {
        let name = |index: u16| {
            appliance.compiled.policy.interfaces.get(usize::from(index)).map_or("?", |i| i.name.as_str())
        };
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
            Route::Broadcast => Ok(()),
        };
    }
    Ok(out)
}
