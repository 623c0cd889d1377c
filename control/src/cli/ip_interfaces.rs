//! `show ip interface`, `show ip interface brief`

use std::fmt::Write;

use alg::Side;
use dataplane::policy::Interface;

use super::command::{Command, command};
use super::interfaces::{asked_for, link_mtu};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::interface_state::InterfaceState;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip interface [ <interface> ]", "Interfaces with their addresses, VRFs, access lists and sides of the NAT", interfaces),
    command("show ip interface brief [ <interface> ]", "Interfaces with their addresses and states", brief),
];

/// What no interface here does, in IOS's order: before policy routing, and after the NAT.
const NEVER: [&str; 6] = [
    "  Router Discovery is disabled",
    "  IP output packet accounting is disabled",
    "  IP access violation accounting is disabled",
    "  TCP/IP header compression is disabled",
    "  RTP/IP header compression is disabled",
    "  Probe proxy name replies are disabled",
];
const NEVER_EITHER: [&str; 4] = [
    "  BGP Policy Mapping is disabled",
    "  IPv4 WCCP Redirect outbound is disabled",
    "  IPv4 WCCP Redirect inbound is disabled",
    "  IPv4 WCCP Redirect exclude is disabled",
];

fn interfaces(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let mut out = String::new();
    for (_, interface) in asked_for(appliance, args)? {
        show_interface(&mut out, appliance, interface);
    }
    Ok(out)
}

/// The lines of IOS that say something about this box.
fn show_interface(out: &mut String, appliance: &Appliance, interface: &Interface) {
    let (status, protocol) = InterfaceState::of(appliance, interface).words();
    let configured = appliance.config.interfaces.iter().find(|c| c.name.as_str() == interface.name);
    let mut line = |text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{text}");
    };
    line(&format!("{} is {status}, line protocol is {protocol}", interface.name));
    let Some(((addr, prefix_len), secondary)) = interface.addresses.split_first() else {
        return line("  Internet protocol processing disabled");
    };
    line(&format!("  Internet address is {addr}/{prefix_len}"));
    line("  Broadcast address is 255.255.255.255");
    line("  Address determined by configuration file");
    let mtu = configured.and_then(|it| it.ip_mtu_bytes).unwrap_or_else(|| link_mtu(interface));
    line(&format!("  MTU is {mtu} bytes"));
    line("  Helper address is not set");
    line("  Directed broadcast forwarding is disabled");
    for (addr, prefix_len) in secondary {
        line(&format!("  Secondary address {addr}/{prefix_len}"));
    }
    let list = |of: fn(&crate::config::model::Interface) -> Option<&str>| {
        configured.and_then(of).unwrap_or("not set").to_string()
    };
    let outgoing = list(|it| it.access_group_out.as_ref().map(|group| group.access_list.as_str()));
    let inbound = list(|it| it.access_group_in.as_ref().map(|group| group.access_list.as_str()));
    line(&format!("  Outgoing access list is {outgoing}"));
    line(&format!("  Inbound  access list is {inbound}"));
    line("  Proxy ARP is disabled");
    line("  Local Proxy ARP is disabled");
    line("  ICMP redirects are never sent");
    line("  ICMP unreachables are always sent");
    line("  ICMP mask replies are never sent");
    if interface.vrf > 0 {
        line(&format!("  VPN Routing/Forwarding \"{}\"", appliance.compiled.vrf_name(interface.vrf)));
    }
    if interface.mss_max > 0 {
        line(&format!("  TCP segments are at most {} bytes", interface.mss_max));
    }
    NEVER.iter().for_each(|text| line(text));
    line("  Policy routing is disabled");
    let domain = |name| {
        format!("  Network address translation is enabled\n  Network address translation domain: {name}")
    };
    match interface.nat {
        None => line("  Network address translation is disabled"),
        Some(Side::Inside) => line(&domain("inside")),
        Some(Side::Outside) => line(&domain("outside")),
    }
    NEVER_EITHER.iter().for_each(|text| line(text));
}

fn brief(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let row = |columns: [&str; 6]| {
        let [name, addr, ok, method, status, protocol] = columns;
        format!("{name:<22} {addr:<15} {ok:<3} {method:<6} {status:<21} {protocol}\n")
    };
    let mut out = row(["Interface", "IP-Address", "OK?", "Method", "Status", "Protocol"]);
    for (_, interface) in asked_for(appliance, args)? {
        let (status, protocol) = InterfaceState::of(appliance, interface).words();
        let addr = interface.addresses.first().map_or("unassigned".into(), |(addr, _)| addr.to_string());
        let method = if interface.addresses.is_empty() { "unset" } else { "manual" };
        out += &row([&interface.name, &addr, "YES", method, status, protocol]);
    }
    Ok(out)
}
