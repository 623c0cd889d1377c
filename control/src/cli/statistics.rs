//! `show ip nat statistics`

use std::collections::HashMap;
use std::fmt::Write;

use alg::Side;
use dataplane::counters::{Counters, NatCounters};
use dataplane::drops::DropReason;
use dataplane::message::{Usage, WorkerMessage};
use dataplane::policy::{HostLimit, Limit, LimitScope, Policy, RuleId};
use dataplane::state::shard::RuleUse;

use super::answer::Asked;
use super::command::{Command, Started, long_command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{DynamicRule, DynamicTarget, Selector};

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
    let _ = writeln!(
        out,
        "Peak translations: {}",
        statics + level(|counters| counters.nat.translations_peak.value())
    );
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
    let _ = writeln!(out, "Dynamic mappings:\n-- Inside Source");
    let rules = sum_rules(usages);
    for rule in &appliance.config.nat.dynamic_rules {
        let id = appliance.compiled.rule_lines.get(&rule.to_string()).copied().unwrap_or_default();
        show_rule(&mut out, appliance, rule, id, &rules, usages);
    }
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
    let _ = writeln!(out, " max entry: max allowed {max}, used {sessions}, missed {all_missed}");
    if let Some(HostLimit { sessions_max, counter }) = limits.per_host {
        let _ = writeln!(out, " all-host: max allowed {sessions_max}, missed {}", missed(counter));
    }
    for (position, &(host, HostLimit { sessions_max, counter })) in limits.hosts.iter().enumerate() {
        // A host is of one worker.
        let used = usages.iter().filter_map(|usage| usage.limit_hosts.get(position)).max();
        let (used, missed) = (used.copied().unwrap_or_default(), missed(counter));
        let _ = writeln!(out, " host {host}: max allowed {sessions_max}, used {used}, missed {missed}");
    }
    for (position, &Limit { scope, sessions_max, counter }) in limits.groups.iter().enumerate() {
        let group = match scope {
            LimitScope::All => continue,
            LimitScope::List(acl) => acls.get(usize::from(acl)).map(|acl| format!("list {}", acl.name)),
            LimitScope::Vrf(vrf) => {
                let name = usize::from(vrf).checked_sub(1).and_then(|n| appliance.compiled.vrf_names.get(n));
                name.map(|name| format!("vrf {name}"))
            }
        };
        let used: u32 = usages.iter().filter_map(|usage| usage.limit_groups.get(position)).sum();
        let (group, missed) = (group.unwrap_or_default(), missed(counter));
        let _ = writeln!(out, " {group}: max allowed {sessions_max}, used {used}, missed {missed}");
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

fn sum_rules(usages: &[Usage]) -> HashMap<RuleId, RuleUse> {
    let mut rules: HashMap<RuleId, RuleUse> = HashMap::new();
    for (id, rule) in usages.iter().flat_map(|usage| &usage.rules) {
        let sum = rules.entry(*id).or_default();
        sum.session_count += rule.session_count;
        sum.misses += rule.misses;
    }
    rules
}

fn show_rule(
    out: &mut String,
    appliance: &Appliance,
    rule: &DynamicRule,
    id: RuleId,
    rules: &HashMap<RuleId, RuleUse>,
    usages: &[Usage],
) {
    let used = rules.get(&id).copied().unwrap_or_default();
    let refcount = used.session_count;
    let selector = match &rule.selector {
        Selector::List(list) => format!("access-list {list}"),
        Selector::RouteMap(map) => format!("route-map {map}"),
    };
    match &rule.target {
        DynamicTarget::Interface(name) => {
            let _ = writeln!(out, "[Id: {id}] {selector} interface {name} refcount {refcount}");
        }
        DynamicTarget::Pool(name) => {
            let _ = writeln!(out, "[Id: {id}] {selector} pool {name} refcount {refcount}");
            show_pool(out, appliance, name, used.misses, usages);
        }
    }
}

fn show_pool(out: &mut String, appliance: &Appliance, name: &str, misses: u64, usages: &[Usage]) {
    let (Some(configured), Some(position)) = (
        appliance.config.nat.pool(name),
        appliance.compiled.policy.pools.iter().position(|pool| pool.name == name),
    ) else {
        return;
    };
    let pool = &appliance.compiled.policy.pools[position];
    let mask =
        ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, configured.prefix_length).netmask();
    let _ = writeln!(out, " pool {name}: id {}, netmask {mask}", position + 1);
    for (first, last) in &pool.ranges {
        let _ = writeln!(out, "        start {first} end {last}");
    }
    let total = pool.address_count();
    let in_use =
        usages.iter().flat_map(|usage| &usage.ports).filter(|(addr, _)| pool.contains(*addr)).count();
    let percent = (in_use * 100).checked_div(total as usize).unwrap_or(0);
    let _ = writeln!(
        out,
        "        type generic, total addresses {total}, allocated {in_use} ({percent}%), misses {misses}"
    );
}
