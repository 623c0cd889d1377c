//! `show interfaces`, `show ip interface brief`

use std::fmt::Write;

use dataplane::counters::{Count, InterfaceCounters};
use dataplane::policy::{Interface, InterfaceIndex};

use super::command::{Command, command, duration};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::InterfaceName;
use crate::config::grammar::Row;
use crate::config::model::{MacAddress, SourceCheck};
use crate::interface_state::{InterfaceState, live};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show interfaces [ <interface> ]", "Interfaces with their counters", interfaces),
    command("show ip interface brief", "Interfaces with their addresses and states", interface_brief),
];

fn interfaces(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<InterfaceName> = args.optional("interface");
    let is_wanted = |interface: &Interface| {
        wanted.as_ref().is_none_or(|wanted| interface.name.eq_ignore_ascii_case(wanted.as_str()))
    };
    let mut out = String::new();
    for (index, interface) in live(&appliance.compiled.policy.interfaces).filter(|(_, i)| is_wanted(i)) {
        show_interface(&mut out, appliance, index, interface);
    }
    match wanted {
        Some(wanted) if out.is_empty() => Err(format!("% There is no interface {wanted}")),
        _ => Ok(out),
    }
}

fn show_interface(out: &mut String, appliance: &Appliance, index: InterfaceIndex, interface: &Interface) {
    let (status, protocol) = InterfaceState::of(appliance, interface).words();
    let configured = appliance.config.interfaces.iter().find(|c| c.name.as_str() == interface.name);
    let hardware = configured.and_then(|c| c.device.as_deref()).unwrap_or("software");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} is {status}, line protocol is {protocol}", interface.name);
    let mac = MacAddress(interface.mac);
    let _ = writeln!(out, "  Hardware is {hardware}, address is {mac} (bia {mac})");
    if let Some(description) = configured.and_then(|configured| configured.description.as_ref()) {
        let _ = writeln!(out, "  Description: {description}");
    }
    for (addr, prefix_len) in &interface.addresses {
        let _ = writeln!(out, "  Internet address is {addr}/{prefix_len}");
    }
    let _ = writeln!(out, "  MTU {} bytes", interface.mtu);
    let encapsulation = match interface.vlan {
        None => "ARPA".to_string(),
        Some(vlan) => format!("802.1Q Virtual LAN, Vlan ID  {vlan}."),
    };
    let _ = writeln!(out, "  Encapsulation {encapsulation}");
    show_counters(out, appliance, index, interface);
    if let Some(check) = configured.and_then(|configured| configured.source_check.as_ref()) {
        show_source_check(out, appliance, index, check);
    }
}

/// What the check of sources let through and what not, as IOS words it.
fn show_source_check(out: &mut String, appliance: &Appliance, index: InterfaceIndex, check: &SourceCheck) {
    let via = if check.any { "ANY" } else { "RX" };
    let default = if check.allow_default { ", allow default" } else { "" };
    let list = check.access_list.as_ref().map_or(String::new(), |list| format!(", ACL {list}"));
    let count = |of: fn(&InterfaceCounters) -> &Count| {
        let baselines = &appliance.operation.baselines;
        baselines.since(&appliance.counters, |counters| of(counters.interface(index)).value())
    };
    let (dropped, excused) = (count(|c| &c.source_unverified), count(|c| &c.source_excused));
    let _ = writeln!(out, "  IP verify source reachable-via {via}{default}{list}");
    let _ = writeln!(out, "     {dropped} verification drops");
    let _ = writeln!(out, "     {excused} suppressed verification drops");
}

fn show_counters(out: &mut String, appliance: &Appliance, index: InterfaceIndex, interface: &Interface) {
    let operation = &appliance.operation;
    let cleared = operation.baselines.interfaces_cleared_ms;
    let cleared = cleared.map_or("never".to_string(), |at| duration(operation.now_ms.saturating_sub(at)));
    let _ = writeln!(out, "  Last clearing of \"show interface\" counters {cleared}");
    let [input, output] = operation.rates.of(usize::from(index));
    for (title, rate) in [("input", input), ("output", output)] {
        let _ = writeln!(
            out,
            "  5 minute {title} rate {:.0} bits/sec, {:.0} packets/sec",
            rate.bits_per_s, rate.packets_per_s
        );
    }
    let since = |of: fn(&InterfaceCounters) -> &Count| {
        operation.baselines.since(&appliance.counters, |counters| of(counters.interface(index)).value())
    };
    // A sub-interface has no device of its own.
    let device = operation.devices.get(usize::from(interface.port));
    let statistics = device.filter(|open| open.interface.as_str() == interface.name);
    let statistics = statistics.map(|open| open.device.statistics());
    let (packets, bytes) = (since(|c| &c.in_packets), since(|c| &c.in_bytes));
    match statistics {
        Some(device) => {
            let _ =
                writeln!(out, "     {packets} packets input, {bytes} bytes, {} no buffer", device.no_buffer);
            let errors = device.receive_errors + device.giants + device.unusable;
            let _ = writeln!(out, "     {} giants", device.giants);
            let _ = writeln!(out, "     {errors} input errors, {} overrun", device.missed);
        }
        None => drop(writeln!(out, "     {packets} packets input, {bytes} bytes")),
    }
    let (packets, bytes) = (since(|c| &c.out_packets), since(|c| &c.out_bytes));
    let _ = writeln!(out, "     {packets} packets output, {bytes} bytes");
    if let Some(device) = statistics {
        let _ = writeln!(out, "     {} output errors", device.transmit_errors);
    }
}

fn interface_brief(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let row = |columns: [&str; 6]| {
        let [name, addr, ok, method, status, protocol] = columns;
        format!("{name:<22} {addr:<15} {ok:<3} {method:<6} {status:<21} {protocol}\n")
    };
    let mut out = row(["Interface", "IP-Address", "OK?", "Method", "Status", "Protocol"]);
    for (_, interface) in live(&appliance.compiled.policy.interfaces) {
        let (status, protocol) = InterfaceState::of(appliance, interface).words();
        let addr = interface.addresses.first().map_or("unassigned".into(), |(addr, _)| addr.to_string());
        let method = if interface.addresses.is_empty() { "unset" } else { "manual" };
        out += &row([&interface.name, &addr, "YES", method, status, protocol]);
    }
    Ok(out)
}
