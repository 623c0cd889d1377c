//! `ip nat inside source` and `ip nat inside destination`: rules that translate the inside.

use super::super::args::Args;
use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::model::{
    DestinationRule, DynamicRule, DynamicTarget, GlobalAddress, Overload, RuleVrf, Selector, StaticMapping,
    StaticRouteMap, StaticRule,
};
use super::edit::{network, protocol, put, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[(Section::NatInside, |config| config.nat.inside_lines())],
    lint: |lint| {
        lint.check_static_ends();
        lint.check_rule_references();
        lint.check_sides();
        lint.check_permits();
    },
    compile: &[(Stage::Rules, |compiler| {
        compiler.statics();
        compiler.rules();
    })],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat inside source (selector) / pool <pool:word> (dynamic-options)",
              "Translate local addresses to those of a pool", dynamic_rule),
    statement("ip nat inside source (selector) interface <interface> (dynamic-options)",
              "Translate local addresses to an interface's", dynamic_rule),
    statement("ip nat inside source static <local:address> <global:address> (static-options)",
              "Translate one address to another", static_address),
    statement("ip nat inside source static <local:address> interface <interface> (static-options)",
              "Translate one address to an interface's", static_address),
    statement("ip nat inside source static { tcp | udp } <local:address> <local-port:1-65535> \
               { <global:address> | interface <interface> } <global-port:1-65535> (static-options)",
              "Translate one port to another", static_port),
    statement("ip nat inside source static esp <local:address> interface <interface> (static-options)",
              "Translate ESP of one address to an interface's", static_esp),
    statement("ip nat inside source static network <local:address> <global:address> <mask> (static-options)",
              "Translate a network to another, address by address", static_network),
    statement("ip nat inside destination list (acl) / pool <pool:word> [ (redundancy) | forced ]*",
              "Spread TCP to a virtual address over a rotary pool of servers", destination_rule),
];

/// Options that are accepted and mean nothing here.
const IGNORED_OF_DYNAMIC: &[&str] = &["oer", "redundancy", "track"];
const IGNORED_OF_STATIC: &[&str] = &["stateless", "redundancy", "pool", "track", "overload"];

fn dynamic_rule(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let target = match (args.optional("pool"), args.optional("interface")) {
        (Some(pool), _) => Some(DynamicTarget::Pool(pool)),
        (None, interface) => interface.map(DynamicTarget::Interface),
    };
    let Some(target) = target else {
        let selector = selector(args);
        let removed = remove(&mut builder.config.nat.dynamic_rules, |rule| rule.selector == selector);
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let plain = DynamicRule::new(statement.place, selector(args), target);
    let new = DynamicRule {
        vrf: rule_vrf(args),
        overload: overload(args).or(plain.overload),
        egress_interface: args.optional("egress"),
        reversible: args.has("reversible"),
        no_payload: args.has("no-payload"),
        ..plain
    };
    if new.reversible && matches!(new.selector, Selector::List(_)) {
        return Err(statement.fault("reversible", "only the rule of a route-map is reversible"));
    }
    let rules = &mut builder.config.nat.dynamic_rules;
    if !statement.sets() {
        let removed = remove(rules, |rule| rule.target == new.target && same_rule(rule, &new));
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    if let Some(old) = put(rules, new, same_rule) {
        let text = format!("the rule for {} replaces the one of line {}", old.selector, old.place.line);
        builder.warn(statement.place.column as usize, text);
    }
    warn_ignored(builder, statement, IGNORED_OF_DYNAMIC);
    Ok(())
}

/// Whether one rule replaces the other.
fn same_rule(one: &DynamicRule, other: &DynamicRule) -> bool {
    one.selector == other.selector
        && vrf_name(&one.vrf) == vrf_name(&other.vrf)
        && one.egress_interface == other.egress_interface
}

fn overload(args: &Args) -> Option<Overload> {
    let sharing = match () {
        () if args.has("extended") => Overload::Extended,
        () if args.has("pap") => Overload::Paired,
        () => Overload::Plain,
    };
    args.has("overload").then_some(sharing)
}

fn static_address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let local = statement.args.required("local");
    edit_static(builder, statement, StaticMapping::Address { local, global: global(&statement.args) })
}

fn static_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let mapping = StaticMapping::Port {
        protocol: protocol(args),
        local: args.required("local"),
        local_port: args.required("local-port"),
        global: global(args),
        global_port: args.required("global-port"),
    };
    edit_static(builder, statement, mapping)
}

fn static_esp(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let mapping = StaticMapping::Esp { local: args.required("local"), interface: args.required("interface") };
    edit_static(builder, statement, mapping)
}

fn static_network(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (local, global) = (network(statement, "local")?, network(statement, "global")?);
    let prefix_length = prefix_length(statement)?;
    let mapping = StaticMapping::Network { local: local.addr(), global: global.addr(), prefix_length };
    edit_static(builder, statement, mapping)
}

fn edit_static(builder: &mut Builder, statement: &Statement, mapping: StaticMapping) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let route_map =
        args.optional("route-map").map(|name| StaticRouteMap { name, reversible: args.has("reversible") });
    let plain = StaticRule::new(statement.place, mapping);
    let new = StaticRule {
        vrf: rule_vrf(args),
        route_map,
        extendable: plain.extendable || args.has("extendable"),
        no_alias: args.has("no-alias"),
        no_payload: args.has("no-payload"),
        egress_interface: args.optional("egress"),
        ..plain
    };
    let rules = &mut builder.config.nat.static_rules;
    let map_name = |rule: &StaticRule| rule.route_map.as_ref().map(|map| map.name.clone());
    let same = |one: &StaticRule, other: &StaticRule| {
        one.mapping == other.mapping
            && vrf_name(&one.vrf) == vrf_name(&other.vrf)
            && map_name(one) == map_name(other)
    };
    if !statement.sets() {
        let removed = remove(rules, |rule| same(rule, &new));
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    if let Some(old) = put(rules, new, same) {
        builder.warn(statement.place.column as usize, format!("this repeats line {}", old.place.line));
    }
    warn_ignored(builder, statement, IGNORED_OF_STATIC);
    Ok(())
}

fn global(args: &Args) -> GlobalAddress {
    match args.optional("interface") {
        Some(interface) => GlobalAddress::Interface(interface),
        None => GlobalAddress::Address(args.required("global")),
    }
}

fn destination_rule(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let access_list: String = args.required("acl");
    let pool: Option<String> = args.optional("pool");
    let rules = &mut builder.config.nat.destination_rules;
    let Some(pool) = pool.clone().filter(|_| statement.sets()) else {
        let fits = |rule: &DestinationRule| pool.as_ref().is_none_or(|pool| rule.pool == *pool);
        let removed = remove(rules, |rule| rule.access_list == access_list && fits(rule));
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let rule = DestinationRule { place: statement.place, access_list, pool };
    if let Some(old) = put(rules, rule, |one, other| one.access_list == other.access_list) {
        let text =
            format!("the rule for list {:?} replaces the one of line {}", old.access_list, old.place.line);
        builder.warn(statement.place.column as usize, text);
    }
    warn_ignored(builder, statement, &["redundancy"]);
    Ok(())
}

/// What selects the packets of a rule.
pub(super) fn selector(args: &Args) -> Selector {
    match args.optional("acl") {
        Some(access_list) => Selector::List(access_list),
        None => Selector::RouteMap(args.required("route-map")),
    }
}

/// The VRF of a rule.
pub(super) fn rule_vrf(args: &Args) -> Option<RuleVrf> {
    args.optional("vrf").map(|name| RuleVrf { name, match_in_vrf: args.has("match-in-vrf") })
}

/// The VRF's name, by which rules are told apart.
pub(super) fn vrf_name(vrf: &Option<RuleVrf>) -> Option<&str> {
    vrf.as_ref().map(|vrf| vrf.name.as_str())
}

/// The length of the mask of two networks.
pub(super) fn prefix_length(statement: &Statement) -> Result<u8, Fault> {
    match statement.args.required("mask") {
        0 => Err(statement.fault("mask", "the mask leaves nothing to tell two networks apart")),
        length => Ok(length),
    }
}

/// `forced` overrides that a rule is in use, which only matters to its removal.
pub(super) fn refuse_forced(statement: &Statement) -> Result<(), Fault> {
    match statement.sets() && statement.args.has("forced") {
        true => Err(statement.fault("forced", "only the removal of a rule is forced")),
        false => Ok(()),
    }
}
