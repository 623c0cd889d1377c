//! `show interfaces`

use std::fmt::Write;

use dataplane::counters::{Count, InterfaceCounters};
use dataplane::policy::{Interface, InterfaceIndex};
use dataplane::port::device::DeviceStatistics;

use super::command::{Command, command, duration};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::InterfaceName;
use crate::config::grammar::Row;
use crate::config::model::{MTU_DEFAULT, MacAddress, SourceCheck};
use crate::interface_state::{InterfaceState, live};
use crate::neighbours::CONFIRM_AFTER_MS;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show interfaces [ <interface> ]", "Interfaces with their counters", interfaces),
];

/// The bandwidth in Kbit/s and the delay in microseconds that IOS has for interfaces of a type.
const NOMINAL: &[(&str, u64, u32)] = &[
    ("Ethernet", 10_000, 1000),
    ("FastEthernet", 100_000, 100),
    ("TwoGigabitEthernet", 2_500_000, 10),
    ("FiveGigabitEthernet", 5_000_000, 10),
    ("TenGigabitEthernet", 10_000_000, 10),
    ("TwentyFiveGigE", 25_000_000, 10),
    ("FortyGigabitEthernet", 40_000_000, 10),
    ("HundredGigE", 100_000_000, 10),
    ("Loopback", 8_000_000, 5000),
];
/// That of all others.
const NOMINAL_DEFAULT: (u64, u32) = (1_000_000, 10);

/// The MTU that IOS has for loopback interfaces.
const LOOPBACK_MTU: u16 = 1514;

fn is_loopback(interface: &Interface) -> bool {
    interface.name.starts_with("Loopback")
}

/// The MTU of an interface's link. What `ip mtu` lowers is that of IP.
pub(super) fn link_mtu(interface: &Interface) -> u16 {
    if is_loopback(interface) { LOOPBACK_MTU } else { interface.mtu.max(MTU_DEFAULT) }
}

/// The interfaces that a command is asked about: the one that is named, or all.
pub(super) fn asked_for<'a>(
    appliance: &'a Appliance,
    args: &Args,
) -> Result<Vec<(InterfaceIndex, &'a Interface)>, String> {
    let wanted: Option<InterfaceName> = args.optional("interface");
    let is_wanted = |interface: &Interface| {
        wanted.as_ref().is_none_or(|wanted| interface.name.eq_ignore_ascii_case(wanted.as_str()))
    };
    let found: Vec<_> =
        live(&appliance.compiled.policy.interfaces).filter(|(_, interface)| is_wanted(interface)).collect();
    match wanted {
        Some(wanted) if found.is_empty() => Err(format!("% There is no interface {wanted}")),
        _ => Ok(found),
    }
}

fn interfaces(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let mut out = String::new();
    for (index, interface) in asked_for(appliance, args)? {
        show_interface(&mut out, appliance, index, interface);
    }
    Ok(out)
}

fn nominal(name: &str) -> (u64, u32) {
    let kind = name.trim_end_matches(|c: char| !c.is_alphabetic());
    let row = NOMINAL.iter().find(|(known, ..)| *known == kind);
    row.map_or(NOMINAL_DEFAULT, |&(_, bandwidth, delay)| (bandwidth, delay))
}

fn show_interface(out: &mut String, appliance: &Appliance, index: InterfaceIndex, interface: &Interface) {
    let (status, protocol) = InterfaceState::of(appliance, interface).words();
    let configured = appliance.config.interfaces.iter().find(|c| c.name.as_str() == interface.name);
    let device = configured.and_then(|configured| configured.device.as_deref());
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} is {status}, line protocol is {protocol}", interface.name);
    let is_loopback = is_loopback(interface);
    if is_loopback {
        let _ = writeln!(out, "  Hardware is Loopback");
    } else {
        let mac = MacAddress(interface.mac);
        let _ = writeln!(out, "  Hardware is DPDK, address is {mac} (bia {mac})");
    }
    if let Some(description) = configured.and_then(|configured| configured.description.as_ref()) {
        let _ = writeln!(out, "  Description: {description}");
    }
    for (position, (addr, prefix_len)) in interface.addresses.iter().enumerate() {
        let title = if position == 0 { "Internet address" } else { "Secondary Address" };
        let _ = writeln!(out, "  {title} is {addr}/{prefix_len}");
    }
    let [input, output] = appliance.operation.rates.of(usize::from(index));
    let (bandwidth, delay) = nominal(&interface.name);
    let load = |bits_per_s: f64| (bits_per_s * 255.0 / (bandwidth as f64 * 1000.0)).clamp(1.0, 255.0) as u8;
    let _ = writeln!(out, "  MTU {} bytes, BW {bandwidth} Kbit/sec, DLY {delay} usec,", link_mtu(interface));
    let (txload, rxload) = (load(output.bits_per_s), load(input.bits_per_s));
    let _ = writeln!(out, "     reliability 255/255, txload {txload}/255, rxload {rxload}/255");
    let _ = match interface.vlan {
        None if is_loopback => writeln!(out, "  Encapsulation LOOPBACK, loopback not set"),
        None => writeln!(out, "  Encapsulation ARPA, loopback not set"),
        Some(vlan) => writeln!(out, "  Encapsulation 802.1Q Virtual LAN, Vlan ID  {vlan}."),
    };
    if let Some(device) = device {
        let _ = writeln!(out, "  Auto Duplex, Auto Speed, link type is auto, media type is DPDK");
        let _ = writeln!(out, "  Device {device}");
    }
    if !is_loopback {
        let _ = writeln!(out, "  ARP type: ARPA, ARP Timeout {}", duration(CONFIRM_AFTER_MS));
    }
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

/// As IOS has them; what no device here tells apart is 0.
fn show_counters(out: &mut String, appliance: &Appliance, index: InterfaceIndex, interface: &Interface) {
    let operation = &appliance.operation;
    let ago = |at: Option<u64>| at.map_or("never".into(), |at| duration(operation.now_ms.saturating_sub(at)));
    let [input, output] = operation.rates.of(usize::from(index));
    // A sub-interface has no device of its own.
    let device = operation.devices.get(usize::from(interface.port));
    let device = device.filter(|open| open.interface.as_str() == interface.name);
    let device = device.map_or(DeviceStatistics::default(), |open| open.device.statistics());
    let since = |of: fn(&InterfaceCounters) -> &Count| {
        operation.baselines.since(&appliance.counters, |counters| of(counters.interface(index)).value())
    };
    let all = |of: fn(&InterfaceCounters) -> &Count| {
        appliance.counters.iter().map(|counters| of(counters.interface(index)).value()).sum()
    };
    let last_input = ago(input.last_ms(all(|c| &c.in_packets), operation.now_ms));
    let last_output = ago(output.last_ms(all(|c| &c.out_packets), operation.now_ms));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  Last input {last_input}, output {last_output}, output hang never");
    let cleared = ago(operation.baselines.interfaces_cleared_ms);
    let _ = writeln!(out, "  Last clearing of \"show interface\" counters {cleared}");
    let (missed, errors) = (device.missed, device.transmit_errors);
    let _ = writeln!(
        out,
        "  Input queue: 0/1024/{missed}/0 (size/max/drops/flushes); Total output drops: {errors}\n  \
         Queueing strategy: fifo\n  Output queue: 0/1024 (size/max)"
    );
    for (title, rate) in [("input", input), ("output", output)] {
        let (bits, packets) = (rate.bits_per_s, rate.packets_per_s);
        let _ = writeln!(out, "  5 minute {title} rate {bits:.0} bits/sec, {packets:.0} packets/sec");
    }
    let (packets, bytes) = (since(|c| &c.in_packets), since(|c| &c.in_bytes));
    let _ = writeln!(out, "     {packets} packets input, {bytes} bytes, {} no buffer", device.no_buffer);
    let (broadcasts, multicasts) = (since(|c| &c.in_broadcasts), since(|c| &c.in_multicasts));
    let to_many = broadcasts + multicasts;
    let _ = writeln!(out, "     Received {to_many} broadcasts ({multicasts} IP multicasts)");
    let _ = writeln!(out, "     0 runts, {} giants, 0 throttles", device.giants);
    let received = device.receive_errors + device.giants + device.unusable;
    let _ = writeln!(out, "     {received} input errors, 0 CRC, 0 frame, {missed} overrun, 0 ignored");
    let _ = writeln!(out, "     0 watchdog, {multicasts} multicast, 0 pause input");
    let (packets, bytes) = (since(|c| &c.out_packets), since(|c| &c.out_bytes));
    let _ = writeln!(out, "     {packets} packets output, {bytes} bytes, 0 underruns");
    let _ = writeln!(out, "     {errors} output errors, 0 collisions, 0 interface resets");
    let _ = writeln!(
        out,
        "     {} unknown protocol drops\n     0 babbles, 0 late collision, 0 deferred\n     \
         0 lost carrier, 0 no carrier, 0 pause output\n     0 output buffer failures, 0 output buffers swapped out",
        since(|c| &c.in_unknown)
    );
}
