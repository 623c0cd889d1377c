//! The dynamic mappings of `show ip nat statistics`: rules with what they have given, and their pools.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::message::Usage;
use dataplane::policy::{PoolKind, RuleId};
use dataplane::state::shard::RuleUse;

use super::pools::number;
use crate::appliance::Appliance;
use crate::config::model::{DynamicTarget, Nat, Selector};

/// A rule as it is listed.
struct Mapping<'a> {
    line: String,
    selector: String,
    pool: Option<&'a str>,
    /// `pool P` or `interface IFACE`.
    target: String,
}

/// The rules of one kind.
type OfKind = fn(&Nat) -> Vec<Mapping<'_>>;

/// The kinds of rules, by IOS's titles.
const KINDS: [(&str, OfKind); 3] =
    [("Inside Source", inside), ("Inside Destination", servers), ("Outside Source", outside)];

fn inside(nat: &Nat) -> Vec<Mapping<'_>> {
    let rules = nat.dynamic_rules.iter().map(|rule| Mapping {
        line: rule.to_string(),
        selector: selector(&rule.selector),
        pool: match &rule.target {
            DynamicTarget::Pool(name) => Some(name),
            DynamicTarget::Interface(_) => None,
        },
        target: rule.target.to_string(),
    });
    rules.collect()
}

fn servers(nat: &Nat) -> Vec<Mapping<'_>> {
    let rules = nat.destination_rules.iter().map(|rule| Mapping {
        line: rule.to_string(),
        selector: format!("access-list {}", rule.access_list),
        pool: Some(&rule.pool),
        target: format!("pool {}", rule.pool),
    });
    rules.collect()
}

fn outside(nat: &Nat) -> Vec<Mapping<'_>> {
    let rules = nat.outside_dynamic_rules.iter().map(|rule| Mapping {
        line: rule.to_string(),
        selector: selector(&rule.selector),
        pool: Some(&rule.pool),
        target: format!("pool {}", rule.pool),
    });
    rules.collect()
}

fn selector(selector: &Selector) -> String {
    match selector {
        Selector::List(list) => format!("access-list {list}"),
        Selector::RouteMap(map) => format!("route-map {map}"),
    }
}

/// The dynamic mappings, under a title for each kind that there is.
pub(super) fn dynamic_mappings(appliance: &Appliance, usages: &[Usage]) -> String {
    let mut out = "Dynamic mappings:\n".to_string();
    let uses = sum(usages);
    // Workers share addresses: each of them tells of its ports.
    let in_use: HashSet<Ipv4Addr> =
        usages.iter().flat_map(|usage| usage.ports.iter().map(|&(addr, _)| addr)).collect();
    for (title, mappings) in KINDS.map(|(title, of)| (title, of(&appliance.config.nat))) {
        if !mappings.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "-- {title}");
        }
        for Mapping { line, selector, pool, target } in mappings {
            let id = appliance.compiled.rule_lines.get(&line).copied().unwrap_or_default();
            let RuleUse { session_count, address_count, misses } = uses.get(&id).copied().unwrap_or_default();
            let refcount = session_count + address_count;
            let _ = writeln!(out, "[Id: {id}] {selector} {target} refcount {refcount}");
            if let Some(name) = pool {
                add_pool(&mut out, appliance, name, misses, &in_use);
            }
        }
    }
    out
}

fn sum(usages: &[Usage]) -> HashMap<RuleId, RuleUse> {
    let mut uses: HashMap<RuleId, RuleUse> = HashMap::new();
    for (id, rule) in usages.iter().flat_map(|usage| &usage.rules) {
        let sum = uses.entry(*id).or_default();
        sum.session_count += rule.session_count;
        sum.address_count += rule.address_count;
        sum.misses += rule.misses;
    }
    uses
}

fn add_pool(out: &mut String, appliance: &Appliance, name: &str, misses: u64, in_use: &HashSet<Ipv4Addr>) {
    let nat = &appliance.config.nat;
    let pool = appliance.compiled.policy.pools.iter().find(|pool| pool.name == name);
    let (Some(configured), Some(pool)) = (nat.pool(name), pool) else {
        return;
    };
    let mask = ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, configured.prefix_length).netmask();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "pool {name}: id {}, netmask {mask}", number(nat, name));
    for (first, last) in &pool.ranges {
        let _ = writeln!(out, "    start {first} end {last}");
    }
    let kind = match pool.kind {
        PoolKind::Generic | PoolKind::Interface => "generic",
        PoolKind::MatchHost(_) => "match-host",
        PoolKind::Rotary => "rotary",
    };
    let total = pool.address_count();
    let allocated = in_use.iter().filter(|addr| pool.contains(**addr)).count();
    let percent = (allocated * 100).checked_div(total as usize).unwrap_or(0);
    let _ = writeln!(
        out,
        "    type {kind}, total addresses {total}, allocated {allocated} ({percent}%), misses {misses}"
    );
}
