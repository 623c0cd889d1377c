//! `show ip nat statistics`

use std::fmt::Write;

use alg::Side;
use dataplane::counters::{Counters, NatCounters};
use dataplane::drops::DropReason;
use dataplane::message::{Usage, WorkerMessage};
use dataplane::policy::{HostLimit, Limit, LimitScope, Policy};

use super::answer::Asked;
use super::command::{Command, Started, duration, long_command};
use super::dynamic_mappings::dynamic_mappings;
use super::wanted::vrf_name;
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat statistics", "Translation counters, rules and pools", show),
];

/// Why packets from the inside are not translated.
pub(super) const OUTBOUND_DROPS: &[DropReason] = &[
    DropReason::PoolExhausted,
    DropReason::PortShare,
    DropReason::SessionsFull,
    DropReason::SessionShare,
    DropReason::DestinationShare,
    DropReason::AddressesFull,
    DropReason::SubscribersFull,
    DropReason::HostUnresolved,
    DropReason::ProtocolUntranslatable,
    DropReason::LimitGroup,
    DropReason::LimitHost,
    DropReason::LimitRate,
];
/// Why packets to global addresses are not.
pub(super) const INBOUND_DROPS: &[DropReason] = &[DropReason::NoMapping, DropReason::IcmpUnmatched];

fn show(appliance: &mut Appliance, _: &Args) -> Started {
    Ok(Box::new(Asked::new(appliance, WorkerMessage::Usage, |appliance, usages| {
        appliance.operation.note_peak(&appliance.counters);
        Ok(text(appliance, &usages))
    })?))
}

fn text(appliance: &Appliance, usages: &[Usage]) -> String {
    let policy = &appliance.compiled.policy;
    let level =
        |of: fn(&Counters) -> u64| -> u64 { appliance.counters.iter().map(|counters| of(counters)).sum() };
    let statics = (policy.statics.rules().len() + policy.outside_statics.rules().len()) as u64;
    let sessions = level(|counters| counters.nat.sessions.value());
    let dynamic = sessions + level(|counters| counters.nat.addresses.value());
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "Total active translations: {} ({statics} static, {dynamic} dynamic; {sessions} extended)",
        statics + dynamic,
    );
    let peak = &appliance.operation.peak;
    let ago = duration(appliance.operation.now_ms.saturating_sub(peak.at_ms));
    let _ = writeln!(out, "Peak translations: {}, occurred {ago} ago", statics + peak.count);
    let inside = level(|counters| counters.nat.unconfirmed_inside.value());
    let outside = level(|counters| counters.nat.unconfirmed_outside.value());
    let _ = writeln!(out, "Half-open translations: {inside} begun inside, {outside} begun outside");
    for (title, side) in [("Outside", Side::Outside), ("Inside", Side::Inside)] {
        let _ = writeln!(out, "{title} interfaces:");
        for interface in policy.interfaces.iter().filter(|interface| interface.nat == Some(side)) {
            let _ = writeln!(out, "  {}", interface.name);
        }
    }
    let since = |of: fn(&NatCounters) -> u64| {
        appliance.operation.baselines.since(&appliance.counters, |counters| of(&counters.nat))
    };
    let (hits, misses) = (since(|nat| nat.hits.value()), since(|nat| nat.misses.value()));
    let _ = writeln!(out, "Hits: {hits}  Misses: {misses}");
    let _ = writeln!(out, "Expired translations: {}", since(NatCounters::expired));
    out += &dynamic_mappings(appliance, usages);
    let doors = level(|counters| counters.doors.value());
    let _ = writeln!(out, "Total doors: {doors}\nAppl doors: {doors}\nNormal doors: 0\nQueued Packets: 0");
    show_limits(&mut out, appliance, usages, sessions);
    show_drops(&mut out, appliance);
    out
}

/// The limits of the policy: what they allow, what counts towards them, and how many sessions they refused. What `all-host`
/// allows each host nobody counts together.
fn show_limits(out: &mut String, appliance: &Appliance, usages: &[Usage], sessions: u64) {
    let Policy { limits, acls, .. } = &appliance.compiled.policy;
    let baselines = &appliance.operation.baselines;
    let missed = |counter: u32| baselines.limit(&appliance.counters, counter);
    let is_all = |limit: &&Limit| limit.scope == LimitScope::All;
    let all = limits.groups.iter().find(is_all);
    let max = all.map_or(0, |limit| limit.sessions_max);
    // The table's room is a limit on all sessions too.
    let all_missed = all.map_or(0, |limit| missed(limit.counter))
        + baselines.drops(&appliance.counters, DropReason::SessionsFull);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "nat-limit statistics:");
    let _ = writeln!(out, "max entry: max allowed {max}, used {sessions}, missed {all_missed}");
    if let Some(HostLimit { sessions_max, counter }) = limits.per_host {
        let _ = writeln!(out, "all-host: max allowed {sessions_max}, missed {}", missed(counter));
    }
    for (position, &(host, HostLimit { sessions_max, counter })) in limits.hosts.iter().enumerate() {
        // A host is of one worker.
        let used = usages.iter().filter_map(|usage| usage.limit_hosts.get(position)).max();
        let (used, missed) = (used.copied().unwrap_or_default(), missed(counter));
        let _ = writeln!(out, "host {host}: max allowed {sessions_max}, used {used}, missed {missed}");
    }
    for (position, &Limit { scope, sessions_max, counter }) in limits.groups.iter().enumerate() {
        let group = match scope {
            LimitScope::All => continue,
            LimitScope::List(acl) => acls.get(usize::from(acl)).map(|acl| format!("list {}", acl.name)),
            LimitScope::Vrf(vrf) => vrf_name(appliance, vrf).map(|name| format!("vrf {name}")),
        };
        let used: u32 = usages.iter().filter_map(|usage| usage.limit_groups.get(position)).sum();
        let (group, missed) = (group.unwrap_or_default(), missed(counter));
        let _ = writeln!(out, "{group}: max allowed {sessions_max}, used {used}, missed {missed}");
    }
}

fn show_drops(out: &mut String, appliance: &Appliance) {
    let drops = |reasons: &[DropReason]| -> u64 {
        let baselines = &appliance.operation.baselines;
        reasons.iter().map(|&reason| baselines.drops(&appliance.counters, reason)).sum()
    };
    let (outbound, inbound) = (drops(OUTBOUND_DROPS), drops(INBOUND_DROPS));
    // Writing to a string cannot fail.
    let _ = writeln!(out, "In-to-out drops: {outbound}  Out-to-in drops: {inbound}");
    let _ = writeln!(out, "Pool stats drop: {}  Mapping stats drop: 0", drops(&[DropReason::PoolExhausted]));
    let _ = writeln!(out, "Port block alloc fail: 0\nIP alias add fail: 0\nLimit entry add fail: 0");
}
