//! `ip nat inside source` and `ip nat inside destination`: rules that translate the inside.

mod statics;

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use alg::Side;
use dataplane::policy::{self, AclIndex};

use super::edit::{Ignored, REDUNDANCY, put, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};
use super::rule::{Rules, refuse_forced, rule_vrf, selector, vrf_name, write_vrf};
use crate::compile::compiler::Compiler;
use crate::config::args::Args;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{
    AccessAction, AccessListEntry, AccessRule, Config, EntryBody, Nat, Place, RouteMapEntry, RuleVrf,
    Selector,
};
use crate::config::text::{write_if, write_some};

pub use statics::*;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, DYNAMIC), (Mode::Global, STATIC), (Mode::Global, DESTINATION)],
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

/// `ip nat inside source {list ACL | route-map RM} {pool POOL | interface IFACE} ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicRule {
    /// Where it stands.
    pub place: Place,
    /// What is translated. No two rules have the same selector, VRF and egress interface.
    pub selector: Selector,
    /// Where global addresses come from.
    pub target: DynamicTarget,
    /// `vrf V [match-in-vrf]`; `None` is the global table.
    pub vrf: Option<RuleVrf>,
    /// Whether and how subscribers share an address by its ports; always set for an interface.
    pub overload: Option<Overload>,
    /// `egress-interface IFACE`: only packets that leave through it.
    pub egress_interface: Option<InterfaceName>,
    /// `reversible`: outside hosts may open sessions to the rule's global addresses if the route-map permits the answers.
    pub reversible: bool,
    /// `no-payload`: no ALG rewrites what these translations carry.
    pub no_payload: bool,
}

impl DynamicRule {
    /// A rule of the global table without options, except that an interface's address is always shared.
    pub fn new(place: Place, selector: Selector, target: DynamicTarget) -> DynamicRule {
        let overload = matches!(target, DynamicTarget::Interface(_)).then_some(Overload::Plain);
        DynamicRule {
            place,
            selector,
            target,
            vrf: None,
            overload,
            egress_interface: None,
            reversible: false,
            no_payload: false,
        }
    }
}

/// The source of a dynamic rule's global addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DynamicTarget {
    /// The pool of this name.
    Pool(String),
    /// The primary address of this interface.
    Interface(InterfaceName),
}

/// `overload [extended | pap]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// `overload`: a global port belongs to one inside endpoint.
    Plain,
    /// `overload extended`: inside endpoints may share a global port towards different peers.
    Extended,
    /// `overload pap`: an inside address keeps one global address while it has sessions.
    Paired,
}

/// `ip nat inside destination list ACL pool POOL`: TCP to a virtual address is spread over a pool of real servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRule {
    /// Where it stands.
    pub place: Place,
    /// The list that permits the virtual address; no two rules have the same.
    pub access_list: String,
    /// The rotary pool of real servers.
    pub pool: String,
}

impl Nat {
    /// The VRF of each rule that can have one, with the rule's place.
    pub(super) fn rule_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        self.inside_vrfs().chain(self.outside_vrfs())
    }

    /// The VRF of each rule for the inside, with the rule's place.
    fn inside_vrfs(&self) -> impl Iterator<Item = (Place, &Option<RuleVrf>)> {
        let dynamic = self.dynamic_rules.iter().map(|rule| (rule.place, &rule.vrf));
        dynamic.chain(self.static_rules.iter().map(|rule| (rule.place, &rule.vrf)))
    }

    fn inside_lines(&self) -> Vec<String> {
        let dynamic = self.dynamic_rules.iter().map(DynamicRule::to_string);
        let fixed = self.static_rules.iter().map(StaticRule::to_string);
        dynamic.chain(fixed).chain(self.destination_rules.iter().map(DestinationRule::to_string)).collect()
    }
}

#[rustfmt::skip]
const DYNAMIC: &[Row<Apply>] = &[
    statement("ip nat inside source (selector) / pool <pool:word> (dynamic-options)",
              "Translate local addresses to those of a pool", dynamic_rule),
    statement("ip nat inside source (selector) interface <interface> (dynamic-options)",
              "Translate local addresses to an interface's", dynamic_rule),
];

#[rustfmt::skip]
const DESTINATION: &[Row<Apply>] = &[
    statement("ip nat inside destination list (acl) / pool <pool:word> [ (redundancy) | forced ]*",
              "Spread TCP to a virtual address over a rotary pool of servers", destination_rule),
];

/// Options that are accepted without effect.
const IGNORED: &[Ignored] =
    &[("oer", "there is no performance routing"), REDUNDANCY, ("track", "a rule is always in force")];

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
        return Err(statement.fault("reversible", "only a rule with a route-map can be reversible"));
    }
    DYNAMIC_RULES.carry_out(builder, statement, new);
    Ok(())
}

const DYNAMIC_RULES: Rules<DynamicRule> = Rules {
    list: List::DynamicRules,
    of: |nat| &mut nat.dynamic_rules,
    identity: |rule| format!("{:?}", (&rule.selector, vrf_name(&rule.vrf), &rule.egress_interface)),
    is_removed: |rule, by| rule.target == by.target,
    replaced: |old| format!("the rule for {} replaces the one of {}", old.selector, old.place),
    ignored: IGNORED,
};

fn overload(args: &Args) -> Option<Overload> {
    let sharing = match () {
        () if args.has("extended") => Overload::Extended,
        () if args.has("pap") => Overload::Paired,
        () => Overload::Plain,
    };
    args.has("overload").then_some(sharing)
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
    let identity = |rule: &DestinationRule| rule.access_list.clone();
    if let Some(old) = put(&mut builder.known, List::DestinationRules, rules, rule, identity) {
        let text = format!("the rule for list {:?} replaces the one of {}", old.access_list, old.place);
        builder.warn(statement.place.column as usize, text);
    }
    warn_ignored(builder, statement, &[REDUNDANCY]);
    Ok(())
}

/// The rule's line. Rules are told apart by it.
impl Display for DynamicRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat inside source {} {}", self.selector, self.target)?;
        write_vrf(f, &self.vrf)?;
        match self.overload {
            None => {}
            Some(Overload::Plain) => f.write_str(" overload")?,
            Some(Overload::Extended) => f.write_str(" overload extended")?,
            Some(Overload::Paired) => f.write_str(" overload pap")?,
        }
        write_some(f, "egress-interface", self.egress_interface.as_ref())?;
        write_if(f, self.reversible, " reversible")?;
        write_if(f, self.no_payload, " no-payload")
    }
}

impl Display for DynamicTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DynamicTarget::Pool(pool) => write!(f, "pool {pool}"),
            DynamicTarget::Interface(interface) => write!(f, "interface {interface}"),
        }
    }
}

/// The rule's line. Rules are told apart by it.
impl Display for DestinationRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip nat inside destination list {} pool {}", self.access_list, self.pool)
    }
}

impl Lint<'_> {
    fn check_rule_references(&mut self) {
        let nat = &self.config.nat;
        for rule in &nat.dynamic_rules {
            self.check_selector(rule.place, &rule.selector);
            if rule.overload == Some(Overload::Extended) {
                let text = "\"overload extended\" is not supported, as a global port has one owner; use \"overload\"";
                self.error(rule.place, text.to_string());
            }
            match &rule.target {
                DynamicTarget::Pool(pool) => self.check_pool(rule.place, pool),
                DynamicTarget::Interface(name) => self.check_lender(rule.place, name),
            }
            if let Some(name) = &rule.egress_interface {
                self.check_defined(rule.place, name);
            }
        }
        for rule in &nat.static_rules {
            match &rule.mapping {
                StaticMapping::Address { global: GlobalAddress::Interface(name), .. }
                | StaticMapping::Port { global: GlobalAddress::Interface(name), .. }
                | StaticMapping::Esp { interface: name, .. } => self.check_lender(rule.place, name),
                _ => {}
            }
            if let Some(map) = &rule.route_map {
                self.check_route_map(rule.place, &map.name);
            }
            if let Some(name) = &rule.egress_interface {
                self.check_defined(rule.place, name);
            }
        }
        for rule in &nat.destination_rules {
            self.check_access_list(rule.place, &rule.access_list);
            self.check_pool(rule.place, &rule.pool);
        }
        for (place, vrf) in nat.inside_vrfs() {
            self.check_vrf(place, vrf.as_ref().map(|vrf| vrf.name.as_str()));
        }
    }

    fn check_sides(&mut self) {
        let nat = &self.config.nat;
        let inside = nat.dynamic_rules.iter().map(|rule| rule.place);
        let inside = inside.chain(nat.static_rules.iter().map(|rule| rule.place));
        let outside = nat.outside_dynamic_rules.iter().map(|rule| rule.place);
        let outside = outside.chain(nat.outside_static_rules.iter().map(|rule| rule.place));
        let destination = nat.destination_rules.iter().map(|rule| rule.place);
        let Some(place) = inside.chain(destination).chain(outside).next() else { return };
        for (side, word) in [(Side::Inside, "inside"), (Side::Outside, "outside")] {
            if !self.config.interfaces.iter().any(|interface| interface.nat == Some(side)) {
                self.warn(place, format!("nothing is translated: no interface has \"ip nat {word}\""));
            }
        }
    }

    /// Warns about a list or route-map that permits everything: it also translates packets that should not be translated.
    fn check_permits(&mut self) {
        let config = self.config;
        let (access_lists, route_maps) = selectors(config);
        for map in config.route_maps.iter().filter(|map| route_maps.contains(map.name.as_str())) {
            for condition in map.entries.iter().flat_map(|entry| &entry.of_routes) {
                let text = format!(
                    "NAT uses route-map {:?}, and conditions on routes are not supported there",
                    map.name
                );
                self.error(condition.place, text);
            }
            for entry in map.entries.iter().filter(|entry| matches_all(entry)) {
                let text = format!("NAT uses route-map {:?}, and this entry matches every packet", map.name);
                self.warn(entry.place, text);
            }
        }
        for list in config.access_lists.iter().filter(|list| access_lists.contains(list.name.as_str())) {
            for entry in list.entries.iter().filter(|entry| permits_all(entry)) {
                let text =
                    format!("NAT uses access list {:?}, and this entry permits every packet", list.name);
                self.warn(entry.place, text);
            }
        }
    }
}

/// The names of the access lists and route-maps that rules use.
fn selectors(config: &Config) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let nat = &config.nat;
    let (mut access_lists, mut route_maps) = (BTreeSet::new(), BTreeSet::new());
    let dynamic = nat.dynamic_rules.iter().map(|rule| &rule.selector);
    for selector in dynamic.chain(nat.outside_dynamic_rules.iter().map(|rule| &rule.selector)) {
        match selector {
            Selector::List(access_list) => access_lists.insert(access_list.as_str()),
            Selector::RouteMap(map) => route_maps.insert(map.as_str()),
        };
    }
    access_lists.extend(nat.destination_rules.iter().map(|rule| rule.access_list.as_str()));
    let of_statics = nat.static_rules.iter().filter_map(|rule| rule.route_map.as_ref());
    route_maps.extend(of_statics.map(|map| map.name.as_str()));
    let used = config.route_maps.iter().filter(|map| route_maps.contains(map.name.as_str()));
    access_lists
        .extend(used.flat_map(|map| &map.entries).flat_map(|entry| &entry.access_lists).map(String::as_str));
    (access_lists, route_maps)
}

fn permits_all(entry: &AccessListEntry) -> bool {
    let all = AccessRule::any(AccessAction::Permit);
    matches!(&entry.body, EntryBody::Rule(rule) if *rule == AccessRule { log: rule.log, ..all })
}

/// Whether an entry of a route-map has no condition.
fn matches_all(entry: &RouteMapEntry) -> bool {
    entry.action == AccessAction::Permit
        && entry.access_lists.is_empty()
        && entry.prefix_lists.is_empty()
        && entry.interfaces.is_empty()
        && entry.next_hops.is_empty()
        && entry.of_routes.is_empty()
}

impl Compiler<'_> {
    fn rules(&mut self) {
        let config = self.config;
        for rule in &config.nat.dynamic_rules {
            let id = self.rule_id(rule.place, rule.to_string());
            let pool = match &rule.target {
                DynamicTarget::Pool(name) => self.pool(name),
                DynamicTarget::Interface(name) => self.lent_by(name).map(|addr| policy::Pool {
                    name: name.as_str().into(),
                    kind: policy::PoolKind::Interface,
                    ranges: vec![(addr, addr)],
                    prefix_len: 32,
                }),
            };
            let Some(pool) = pool.map(|pool| self.pool_index(pool)) else { continue };
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            let compiled =
                policy::SourceRule {
                    id,
                    selector: self.selector(&rule.selector),
                    pool,
                    overload: rule.overload.is_some(),
                    inside_vrf,
                    outside_vrf,
                    egress: rule.egress_interface.as_ref().and_then(|name| self.interface_index(name)),
                    is_reversible: rule.reversible,
                    is_paired: config.nat.settings.pairing.is_some_and(|pairing| {
                        !pairing.marked_only || rule.overload == Some(Overload::Paired)
                    }),
                };
            self.out.policy.rules.push(compiled);
        }
        let acls = self.out.policy.acls.iter();
        let seeing: Vec<bool> = acls.map(|acl| acl.entries.iter().any(looks_at_destination)).collect();
        let sees =
            |rule: &policy::SourceRule| rule.egress.is_some() || sees_destination(&seeing, &rule.selector);
        self.out.policy.rules_see_destinations = self.out.policy.rules.iter().any(sees);
        self.destination_rules();
    }

    /// The addresses of interfaces that rules with `overload` use.
    fn overloaded(&self) -> HashSet<Ipv4Addr> {
        let shared = self.config.nat.dynamic_rules.iter().filter(|rule| rule.overload.is_some());
        let lenders: HashSet<&InterfaceName> = shared
            .filter_map(|rule| match &rule.target {
                DynamicTarget::Interface(name) => Some(name),
                DynamicTarget::Pool(_) => None,
            })
            .collect();
        lenders.into_iter().filter_map(|name| self.lent_by(name)).collect()
    }

    /// Compiles the rules for destinations. The addresses of all real servers of a rule are pinned to one worker.
    fn destination_rules(&mut self) {
        let config = self.config;
        for rule in &config.nat.destination_rules {
            let id = self.rule_id(
                rule.place,
                format!("ip nat inside destination list {} pool {}", rule.access_list, rule.pool),
            );
            let pool = self.pool(&rule.pool);
            let Some(pool) = pool.filter(|pool| pool.kind == policy::PoolKind::Rotary) else { continue };
            self.pin(&pool.ranges);
            let pool = self.pool_index(pool);
            let acl = self.acl_index(&rule.access_list);
            self.out.policy.destination_rules.push(policy::DestinationRule { id, acl, pool });
        }
    }
}

/// Whether an entry looks at the destination of packets.
fn looks_at_destination(entry: &policy::AclEntry) -> bool {
    entry.dst != policy::AddressMatch::ANY || !entry.dst_ports.is_empty()
}

/// Whether a selector looks at the destination of packets; `seeing` tells which access lists do.
fn sees_destination(seeing: &[bool], selector: &policy::Selector) -> bool {
    let acl_sees = |acl: &AclIndex| seeing.get(usize::from(*acl)).copied().unwrap_or_default();
    match selector {
        policy::Selector::Nothing => false,
        policy::Selector::Acl(acl) => acl_sees(acl),
        policy::Selector::RouteMap(clauses) => clauses.iter().any(|clause| {
            !clause.interfaces.is_empty() || !clause.next_hops.is_empty() || clause.acls.iter().any(acl_sees)
        }),
    }
}
