//! `ip nat outside source`: rules that translate the outside.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::flow::Endpoint;
use dataplane::policy;
use ipnet::Ipv4Net;

use super::edit::{REDUNDANCY, network, protocol, remove, statement};
use super::row::{Family, Section, Stage};
use super::rule::{Ends, Rules, prefix_length, refuse_forced, rule_vrf, selector, vrf_name, write_vrf};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Nat, Place, PortProtocol, RuleVrf, Selector};
use crate::config::text::{mask, write_if};

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

/// `ip nat outside source {list ACL | route-map RM} pool POOL ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideDynamicRule {
    /// Where it stands.
    pub place: Place,
    /// What is translated. No two rules have the same selector and VRF.
    pub selector: Selector,
    /// The pool that outside local addresses come from.
    pub pool: String,
    /// `vrf V [match-in-vrf]`; `None` is the global table.
    pub vrf: Option<RuleVrf>,
    /// `overload`: outside hosts share an address by its ports.
    pub overload: bool,
    /// `add-route`: outside local addresses are routed to where the outside global ones are.
    pub add_route: bool,
    /// `no-payload`: no ALG rewrites what these translations carry.
    pub no_payload: bool,
}

/// `ip nat outside source static ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideStaticRule {
    /// Where it stands.
    pub place: Place,
    /// What is mapped to what. No two rules have the same mapping and VRF.
    pub mapping: OutsideMapping,
    /// `vrf V [match-in-vrf]`; `None` is the global table.
    pub vrf: Option<RuleVrf>,
    /// `add-route`: the outside local address is routed to where the outside global one is.
    pub add_route: bool,
    /// `extendable`: the outside global address may have other local ones.
    pub extendable: bool,
    /// `no-alias`: ARP requests for the outside local address are not answered.
    pub no_alias: bool,
    /// `no-payload`: no ALG rewrites what this mapping carries.
    pub no_payload: bool,
}

/// What a static rule of the outside maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideMapping {
    /// One address to another.
    Address {
        /// The outside global address: the host's own.
        global: Ipv4Addr,
        /// The outside local address: what the inside knows the host by.
        local: Ipv4Addr,
    },
    /// One port to another.
    Port {
        /// The protocol whose port it is.
        protocol: PortProtocol,
        /// The outside global address.
        global: Ipv4Addr,
        /// The outside global port, not 0.
        global_port: u16,
        /// The outside local address.
        local: Ipv4Addr,
        /// The outside local port, not 0.
        local_port: u16,
    },
    /// A network to another of the same size, address by address.
    Network {
        /// The outside global network's address.
        global: Ipv4Addr,
        /// The outside local network's address.
        local: Ipv4Addr,
        /// The length of both networks' mask.
        prefix_length: u8,
    },
}

impl Nat {
    /// The VRF of each rule for the outside, with the rule's place.
    pub(super) fn outside_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        let dynamic = self.outside_dynamic_rules.iter().map(|rule| (rule.place, &rule.vrf));
        dynamic.chain(self.outside_static_rules.iter().map(|rule| (rule.place, &rule.vrf)))
    }

    fn outside_lines(&self) -> Vec<String> {
        let dynamic = self.outside_dynamic_rules.iter().map(OutsideDynamicRule::to_string);
        dynamic.chain(self.outside_static_rules.iter().map(OutsideStaticRule::to_string)).collect()
    }
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip nat outside source (selector) / pool <pool:word> (outside-options)",
              "Show outside hosts to the inside by addresses of a pool", dynamic_rule),
    statement("ip nat outside source static <global:address> <local:address> (outside-static-options)",
              "Show an outside host to the inside by another address", static_address),
    statement("ip nat outside source static { tcp <global:address> <global-port:nat-tcp-port> <local:address> <local-port:nat-tcp-port> \
               | udp <global:address> <global-port:nat-udp-port> <local:address> <local-port:nat-udp-port> } (outside-static-options)",
              "Show a port of an outside host to the inside by another", static_port),
    statement("ip nat outside source static network <global:address> <local:address> <mask> (outside-static-options)",
              "Show an outside network to the inside by another", static_network),
];

fn dynamic_rule(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    refuse_forced(statement)?;
    let args = &statement.args;
    let selector = selector(args);
    let Some(pool) = args.optional("pool") else {
        let rules = &mut builder.config.nat.outside_dynamic_rules;
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
    DYNAMIC_RULES.carry_out(builder, statement, new);
    Ok(())
}

const DYNAMIC_RULES: Rules<OutsideDynamicRule> = Rules {
    list: List::OutsideDynamicRules,
    of: |nat| &mut nat.outside_dynamic_rules,
    identity: |rule| format!("{:?}", (&rule.selector, vrf_name(&rule.vrf))),
    is_removed: |rule, by| rule.pool == by.pool,
    replaced: |old| format!("the rule for {} replaces the one of {}", old.selector, old.place),
    ignored: &[REDUNDANCY, ("overload", "each outside host has an address of the pool for itself")],
};

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
    STATIC_RULES.carry_out(builder, statement, new);
    Ok(())
}

const STATIC_RULES: Rules<OutsideStaticRule> = Rules {
    list: List::OutsideStaticRules,
    of: |nat| &mut nat.outside_static_rules,
    identity: |rule| format!("{:?}", (&rule.mapping, vrf_name(&rule.vrf))),
    is_removed: |_, _| true,
    replaced: |old| format!("this repeats {}", old.place),
    ignored: &[REDUNDANCY, ("pool", "a static line takes no address of a pool")],
};

/// The rule's line. Rules are told apart by it.
impl Display for OutsideDynamicRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat outside source {} pool {}", self.selector, self.pool)?;
        write_vrf(f, &self.vrf)?;
        write_if(f, self.overload, " overload")?;
        write_if(f, self.add_route, " add-route")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

/// The rule's line. Rules are told apart by it.
impl Display for OutsideStaticRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip nat outside source static ")?;
        match &self.mapping {
            OutsideMapping::Address { global, local } => write!(f, "{global} {local}")?,
            OutsideMapping::Port { protocol, global, global_port, local, local_port } => {
                write!(f, "{protocol} {global} {global_port} {local} {local_port}")?;
            }
            OutsideMapping::Network { global, local, prefix_length } => {
                write!(f, "network {global} {local} {}", mask(*prefix_length))?;
            }
        }
        write_vrf(f, &self.vrf)?;
        write_if(f, self.add_route, " add-route")?;
        write_if(f, self.extendable, " extendable")?;
        write_if(f, self.no_alias, " no-alias")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

impl Lint<'_> {
    fn check_outside_references(&mut self) {
        let nat = &self.config.nat;
        for rule in &nat.outside_dynamic_rules {
            self.check_selector(rule.place, &rule.selector);
            self.check_pool(rule.place, &rule.pool);
        }
        for (place, vrf) in nat.outside_vrfs() {
            self.check_vrf(place, vrf.as_ref().map(|vrf| vrf.name.as_str()));
        }
    }

    /// Two rules for the outside may not have the same local end, nor the same global address unless both are `extendable`.
    fn check_outside_ends(&mut self) {
        let locals = self.config.nat.outside_static_rules.iter().map(|rule| {
            (rule.place, rule.vrf.as_ref().map(|vrf| vrf.name.as_str()), local_end(&rule.mapping))
        });
        self.refuse_duplicates(locals.collect());
        self.check_outside_globals();
    }

    fn check_outside_globals(&mut self) {
        let mut owners: HashMap<(Option<&str>, Ipv4Addr), &OutsideStaticRule> = HashMap::new();
        for rule in &self.config.nat.outside_static_rules {
            let OutsideMapping::Address { global, .. } = rule.mapping else { continue };
            let table = rule.vrf.as_ref().map(|vrf| vrf.name.as_str());
            let Some(owner) = owners.insert((table, global), rule) else { continue };
            if !(owner.extendable && rule.extendable) {
                self.ask_for_extendable(rule.place, global, owner.place);
            }
        }
    }
}

/// The local end of an outside mapping, as text.
fn local_end(mapping: &OutsideMapping) -> String {
    match mapping {
        OutsideMapping::Address { local, .. } | OutsideMapping::Network { local, .. } => local.to_string(),
        OutsideMapping::Port { protocol, local, local_port, .. } => {
            format!("{local} {protocol} port {local_port}")
        }
    }
}

impl Compiler<'_> {
    fn outside_rules(&mut self) {
        let config = self.config;
        if !config.nat.settings.maps_outside() {
            return;
        }
        let mut statics = Vec::new();
        for rule in &config.nat.outside_static_rules {
            let id = self.rule_id(rule.place, rule.to_string());
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            let (protocol, local, global, prefix_len) = outside_ends(&rule.mapping);
            if rule.no_alias {
                self.out.no_alias.push(local.addr);
            }
            statics.push(policy::StaticRule {
                id,
                protocol,
                local,
                global,
                prefix_len,
                inside_vrf,
                outside_vrf,
                selector: None,
                egress: None,
                is_reversible: false,
                is_default: false,
            });
            if rule.add_route
                && let Ok(net) = Ipv4Net::new(local.addr, prefix_len)
            {
                self.added_routes.push((inside_vrf, outside_vrf, net, global.addr));
            }
        }
        self.out.policy.outside_statics = policy::Statics::new(statics);
        for rule in &config.nat.outside_dynamic_rules {
            let id = self.rule_id(rule.place, rule.to_string());
            let Some(pool) = self.pool(&rule.pool) else { continue };
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            if rule.add_route {
                for &(first, last) in &pool.ranges {
                    // The hosts that will get these addresses are not known yet: the default route serves for them.
                    let nets = ipnet::Ipv4Subnets::new(first, last, 0);
                    self.added_routes
                        .extend(nets.map(|net| (inside_vrf, outside_vrf, net, Ipv4Addr::UNSPECIFIED)));
                }
            }
            let pool = self.pool_index(pool);
            let selector = self.selector(&rule.selector);
            self.out.policy.outside_rules.push(policy::OutsideRule {
                id,
                selector,
                pool,
                inside_vrf,
                outside_vrf,
            });
        }
    }
}

fn outside_ends(mapping: &OutsideMapping) -> Ends {
    let end = Endpoint::new;
    match mapping {
        OutsideMapping::Address { global, local } => (None, end(*local, 0), end(*global, 0), 32),
        OutsideMapping::Port { protocol, global, global_port, local, local_port } => {
            (Some(protocol.number()), end(*local, *local_port), end(*global, *global_port), 32)
        }
        OutsideMapping::Network { global, local, prefix_length } => {
            (None, end(*local, 0), end(*global, 0), *prefix_length)
        }
    }
}
