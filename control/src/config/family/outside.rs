//! `ip nat outside source`: rules that translate the outside.

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::model::{OutsideDynamicRule, OutsideMapping, OutsideStaticRule};
use super::edit::{network, protocol, put, remove, statement, warn_ignored};
use super::inside::{prefix_length, refuse_forced, rule_vrf, selector, vrf_name};
use super::row::{Family, Section, Stage};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[(Section::NatOutside, |config| config.nat.outside_lines())],
    lint: |lint| {
        lint.check_outside_ends();
        lint.check_outside_references();
    },
    compile: &[(Stage::Rules, |compiler| compiler.outside_rules())],
    ..Family::NONE
};

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat outside source (selector) / pool <pool:word> (outside-options)",
              "Show outside hosts to the inside by addresses of a pool", dynamic_rule),
    statement("ip nat outside source static <global:address> <local:address> (outside-static-options)",
              "Show an outside host to the inside by another address", static_address),
    statement("ip nat outside source static { tcp | udp } <global:address> <global-port:1-65535> \
               <local:address> <local-port:1-65535> (outside-static-options)",
              "Show a port of an outside host to the inside by another", static_port),
    statement("ip nat outside source static network <global:address> <local:address> <mask> (outside-static-options)",
              "Show an outside network to the inside by another", static_network),
];

/// Options that are accepted and mean nothing here.
const IGNORED_OF_DYNAMIC: &[&str] = &["redundancy"];
const IGNORED_OF_STATIC: &[&str] = &["redundancy", "pool"];

fn dynamic_rule(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let selector = selector(args);
    let rules = &mut builder.config.nat.outside_dynamic_rules;
    let Some(pool) = args.optional("pool") else {
        let removed = remove(rules, |rule| rule.selector == selector);
        builder.expect_removed(removed, statement);
        return Ok(());
    };
    let new = OutsideDynamicRule {
        place: statement.place,
        selector,
        pool,
        vrf: rule_vrf(args),
        overload: args.has("overload"),
        add_route: args.has("add-route"),
        no_payload: args.has("no-payload"),
    };
    let same = |one: &OutsideDynamicRule, other: &OutsideDynamicRule| {
        one.selector == other.selector && vrf_name(&one.vrf) == vrf_name(&other.vrf)
    };
    if !statement.sets() {
        let removed = remove(rules, |rule| rule.pool == new.pool && same(rule, &new));
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    if let Some(old) = put(rules, new, same) {
        let text = format!("the rule for {} replaces the one of line {}", old.selector, old.place.line);
        builder.warn(statement.place.column as usize, text);
    }
    warn_ignored(builder, statement, IGNORED_OF_DYNAMIC);
    Ok(())
}

fn static_address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let mapping = OutsideMapping::Address { global: args.required("global"), local: args.required("local") };
    edit_static(builder, statement, mapping)
}

fn static_port(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let mapping = OutsideMapping::Port {
        protocol: protocol(args),
        global: args.required("global"),
        global_port: args.required("global-port"),
        local: args.required("local"),
        local_port: args.required("local-port"),
    };
    edit_static(builder, statement, mapping)
}

fn static_network(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (global, local) = (network(statement, "global")?, network(statement, "local")?);
    let prefix_length = prefix_length(statement)?;
    let mapping = OutsideMapping::Network { global: global.addr(), local: local.addr(), prefix_length };
    edit_static(builder, statement, mapping)
}

fn edit_static(builder: &mut Builder, statement: &Statement, mapping: OutsideMapping) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let new = OutsideStaticRule {
        place: statement.place,
        mapping,
        vrf: rule_vrf(args),
        add_route: args.has("add-route"),
        extendable: args.has("extendable"),
        no_alias: args.has("no-alias"),
        no_payload: args.has("no-payload"),
    };
    let rules = &mut builder.config.nat.outside_static_rules;
    let same = |one: &OutsideStaticRule, other: &OutsideStaticRule| {
        one.mapping == other.mapping && vrf_name(&one.vrf) == vrf_name(&other.vrf)
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
