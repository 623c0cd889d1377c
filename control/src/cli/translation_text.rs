//! Translations as IOS XE prints them.

use std::fmt::Write;
use std::net::Ipv4Addr;

use alg::registry::ROWS as GATEWAYS;
use dataplane::flow::{Endpoint, Vrf, protocol_name};
use dataplane::message::SessionRow;
use dataplane::policy::{IdleClass, StaticRule};
use dataplane::route::fib::Route;
use dataplane::state::mapping::ANY_PROTOCOL;

use super::wanted::vrf_name;
use crate::appliance::Appliance;
use crate::operation::Operation;

/// The line above the translations.
pub(super) const HEADER: &str =
    "Pro  Inside global         Inside local          Outside local         Outside global\n";

const NONE: &str = "---";

/// What stands beneath a translation where details are asked for. Lines that IOS has for what is not counted or known here
/// are left out, or say what IOS says where it does not know either.
struct Details<'a> {
    /// When it was made, and last used.
    times: [String; 2],
    timeout: String,
    vrf: Option<&'a str>,
    /// Of a static of networks.
    netmask: Option<Ipv4Addr>,
    rule: u16,
    flags: &'a str,
    gateway: &'a str,
    idle_class: Option<&'a str>,
    /// Where it came in, and where it went out.
    interfaces: [&'a str; 2],
    entry_id: u64,
    use_count: u32,
}

/// Adds a static: of the inside, or of the outside. `use_count` is how many sessions its rule made.
pub(super) fn add_static(
    appliance: &Appliance,
    rule: &StaticRule,
    is_of_outside: bool,
    use_count: Option<u32>,
    out: &mut String,
) {
    let [local, global] = [rule.local, rule.global].map(|end| static_end(rule, end));
    let columns = if is_of_outside { [NONE, NONE, &local, &global] } else { [&global, &local, NONE, NONE] };
    let protocol = rule.protocol.map_or(NONE.into(), protocol_name);
    add_columns(&protocol, columns, out);
    let Some(use_count) = use_count else { return };
    // It has no times of its own: it is as old as the program, and never ends.
    let start = date_and_time(&appliance.operation, appliance.operation.now_ms);
    let details = Details {
        times: [start.clone(), start],
        timeout: "00:00:00".into(),
        vrf: vrf_name(appliance, rule.inside_vrf),
        netmask: (rule.prefix_len < 32).then(|| netmask(rule.prefix_len)),
        rule: rule.id,
        flags: "static",
        gateway: "NA",
        idle_class: None,
        interfaces: [""; 2],
        entry_id: 0,
        use_count,
    };
    add_details(&details, out);
}

/// Adds a session, or the mapping of a whole address.
pub(super) fn add_session(appliance: &Appliance, row: &SessionRow, is_verbose: bool, out: &mut String) {
    let end = |end: Endpoint| match row.protocol {
        _ if end.addr.is_unspecified() => NONE.into(),
        ANY_PROTOCOL => end.addr.to_string(),
        _ => end.to_string(),
    };
    let columns = [row.inside_global, row.inside_local, row.outside_local, row.outside_global].map(end);
    let protocol = if row.protocol == ANY_PROTOCOL { NONE.into() } else { protocol_name(row.protocol) };
    add_columns(&protocol, columns.each_ref().map(String::as_str), out);
    if !is_verbose {
        return;
    }
    let inside = interface(appliance, row.vrf, row.inside_local);
    let outside = interface(appliance, row.outside_vrf, row.outside_global);
    let (worker, position) = row.entry;
    let details = Details {
        times: [row.age_ms, row.idle_ms].map(|ago| date_and_time(&appliance.operation, u64::from(ago))),
        timeout: row.left_ms.map_or("never".into(), hours),
        vrf: vrf_name(appliance, row.vrf),
        netmask: None,
        rule: row.rule,
        flags: "unknown",
        gateway: row
            .gateway
            .and_then(|gateway| GATEWAYS.get(usize::from(gateway)))
            .map_or("NA", |it| it.label),
        idle_class: Some(idle_class(appliance, row)),
        interfaces: if row.is_from_outside { [outside, inside] } else { [inside, outside] },
        entry_id: u64::from(worker) << 32 | (u64::from(position) + 1),
        use_count: row.use_count,
    };
    add_details(&details, out);
}

/// The interface by which an endpoint is reached; nothing where it stands for nobody, or for a host behind the NAT.
fn interface(appliance: &Appliance, vrf: Vrf, end: Endpoint) -> &str {
    let route = || appliance.compiled.fib.lookup(vrf, end.addr);
    match (!end.addr.is_unspecified()).then(route).flatten() {
        Some(Route::Connected(index) | Route::Via(index, _)) => {
            let interface = appliance.compiled.policy.interfaces.get(usize::from(index));
            interface.map_or("", |interface| interface.name.as_str())
        }
        _ => "",
    }
}

fn add_columns(protocol: &str, columns: [&str; 4], out: &mut String) {
    let [inside_global, inside_local, outside_local, outside_global] = columns;
    let first = format!("{protocol:<4} {inside_global}");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{first:<26} {inside_local:<21} {outside_local:<21} {outside_global}");
}

fn add_details(details: &Details<'_>, out: &mut String) {
    let Details { times: [create, used], timeout, rule, flags, gateway, entry_id, use_count, .. } = details;
    let [input, output] = details.interfaces;
    let mut line = |text: std::fmt::Arguments| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", format!("  {text}").trim_end());
    };
    line(format_args!("create: {create}, use: {used}, timeout: {timeout}"));
    if let Some(vrf) = details.vrf {
        line(format_args!("VRF : {vrf}"));
    }
    if let Some(netmask) = &details.netmask {
        line(format_args!("Netmask: {netmask}"));
    }
    line(format_args!("RuleID : {rule}"));
    line(format_args!("Flags: {flags}"));
    line(format_args!("ALG Application Type: {gateway}"));
    if let Some(class) = details.idle_class {
        line(format_args!("Idle class: {class}"));
    }
    line(format_args!("WLAN-Flags: unknown"));
    line(format_args!("Mac-Address: 0000.0000.0000    Input-IDB: {input}"));
    line(format_args!("entry-id: 0x{entry_id:x}, use_count:{use_count}"));
    line(format_args!("Output-IDB: {output}"));
    out.push('\n');
}

/// An end of a static: with its port, if it has one. A network is its first address, as IOS shows it.
fn static_end(rule: &StaticRule, end: Endpoint) -> String {
    if rule.protocol.is_some() { end.to_string() } else { end.addr.to_string() }
}

fn netmask(prefix_len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0))
}

/// The idle time that applies, by the word that configures it.
fn idle_class(appliance: &Appliance, row: &SessionRow) -> &'static str {
    let of_port =
        |&(protocol, port, _): &(u8, u16, u32)| (protocol, port) == (row.protocol, row.inside_local.port);
    match row.class {
        _ if row.is_confirmed && appliance.compiled.policy.port_timeouts.iter().any(of_port) => {
            "port-timeout"
        }
        IdleClass::Other => "timeout",
        IdleClass::Udp => "udp-timeout",
        IdleClass::Dns => "dns-timeout",
        IdleClass::Icmp => "icmp-timeout",
        IdleClass::TcpSyn => "syn-timeout",
        IdleClass::TcpEstablished => "tcp-timeout",
        IdleClass::TcpClosing => "finrst-timeout",
    }
}

/// `hh:mm:ss`, however many hours.
fn hours(ms: u32) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// `MM/DD/YY hh:mm:ss` of so many milliseconds ago, in UTC.
fn date_and_time(operation: &Operation, ago_ms: u64) -> String {
    let text = humantime::format_rfc3339_seconds(operation.time_of_day(ago_ms)).to_string();
    let part = |range| text.get(range).unwrap_or_default();
    format!("{}/{}/{} {}", part(5..7), part(8..10), part(2..4), part(11..19))
}
