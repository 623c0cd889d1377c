//! `ip nat inside source static`.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, Protocol};
use dataplane::policy;

use crate::compile::compiler::Compiler;
use crate::config::args::Args;
use crate::config::builder::{Apply, Builder, Fault, Statement};
use crate::config::family::edit::{REDUNDANCY, network, protocol, statement};
use crate::config::family::rule::{
    Ends, RuleVrf, Rules, prefix_length, refuse_forced, rule_vrf, vrf_name, write_vrf,
};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Place, PortProtocol};
use crate::config::text::{mask, write_if, write_some};

/// `ip nat inside source static ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRule {
    /// Where it stands.
    pub place: Place,
    /// What is mapped to what. No two rules have the same mapping, VRF and route-map.
    pub mapping: StaticMapping,
    /// `vrf V [match-in-vrf]`; `None` is the global table.
    pub vrf: Option<RuleVrf>,
    /// `route-map RM [reversible]`: only packets that it permits.
    pub route_map: Option<StaticRouteMap>,
    /// `extendable`: the local address may have other global ones. Implied by a port on a global address.
    pub extendable: bool,
    /// `no-alias`: ARP requests for the global address are not answered.
    pub no_alias: bool,
    /// `no-payload`: no ALG rewrites what this mapping carries.
    pub no_payload: bool,
    /// `egress-interface IFACE`: only packets that leave through it.
    pub egress_interface: Option<InterfaceName>,
}

impl StaticRule {
    /// A rule of the global table, with only the options that its mapping implies.
    pub fn new(place: Place, mapping: StaticMapping) -> StaticRule {
        let extendable = matches!(mapping, StaticMapping::Port { global: GlobalAddress::Address(_), .. });
        StaticRule {
            place,
            mapping,
            vrf: None,
            route_map: None,
            extendable,
            no_alias: false,
            no_payload: false,
            egress_interface: None,
        }
    }
}

/// `route-map RM [reversible]` of a static rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRouteMap {
    /// The route-map's name.
    pub name: String,
    /// `reversible`: a packet from outside is translated only if the route-map permits the answer to it.
    pub reversible: bool,
}

/// What a static rule maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaticMapping {
    /// One address to another, or to an interface's.
    Address {
        /// The inside local address.
        local: Ipv4Addr,
        /// The inside global address.
        global: GlobalAddress,
    },
    /// One port to another.
    Port {
        /// The protocol whose port it is.
        protocol: PortProtocol,
        /// The inside local address.
        local: Ipv4Addr,
        /// The inside local port, not 0.
        local_port: u16,
        /// The inside global address.
        global: GlobalAddress,
        /// The inside global port, not 0.
        global_port: u16,
    },
    /// `esp LOCAL interface IFACE`: all ESP to an interface's address.
    Esp {
        /// The inside local address.
        local: Ipv4Addr,
        /// The interface whose primary address is the global one.
        interface: InterfaceName,
    },
    /// A network to another of the same size, address by address.
    Network {
        /// The inside local network's address.
        local: Ipv4Addr,
        /// The inside global network's address.
        global: Ipv4Addr,
        /// The length of both networks' mask.
        prefix_length: u8,
    },
}

/// A global address, or the interface that lends its primary one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GlobalAddress {
    /// The address itself.
    Address(Ipv4Addr),
    /// The primary address of this interface.
    Interface(InterfaceName),
}

#[rustfmt::skip]
pub(super) const STATIC: &[Row<Apply>] = &[
    statement("ip nat inside source static <local:address> <global:address> (static-options)",
              "Translate one address to another", static_address),
    statement("ip nat inside source static <local:address> interface <interface> (static-options)",
              "Translate one address to an interface's", static_address),
    statement("ip nat inside source static { tcp (tcp-mapping) | udp (udp-mapping) } (static-options)",
              "Translate one port to another", static_port),
    statement("ip nat inside source static esp <local:address> interface <interface> (static-options)",
              "Translate ESP of one address to an interface's", static_esp),
    statement("ip nat inside source static network <local:address> <global:address> <mask> (static-options)",
              "Translate a network to another, address by address", static_network),
];

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
    STATIC_RULES.carry_out(builder, statement, new);
    Ok(())
}

const STATIC_RULES: Rules<StaticRule> = Rules {
    list: List::StaticRules,
    of: |nat| &mut nat.static_rules,
    identity: |rule| {
        let map = rule.route_map.as_ref().map(|map| &map.name);
        format!("{:?}", (&rule.mapping, vrf_name(&rule.vrf), map))
    },
    is_removed: |_, _| true,
    replaced: |old| format!("this repeats {}", old.place),
    ignored: &[
        ("stateless", "every session has an entry"),
        REDUNDANCY,
        ("pool", "a static line takes no address of a pool"),
        ("track", "a rule is always in force"),
        ("overload", "a static line has its address for itself"),
    ],
};

fn global(args: &Args) -> GlobalAddress {
    match args.optional("interface") {
        Some(interface) => GlobalAddress::Interface(interface),
        None => GlobalAddress::Address(args.required("global")),
    }
}

/// The rule's line. Rules are told apart by it.
impl Display for StaticRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ip nat inside source static ")?;
        match &self.mapping {
            StaticMapping::Address { local, global } => write!(f, "{local} {global}")?,
            StaticMapping::Port { protocol, local, local_port, global, global_port } => {
                write!(f, "{protocol} {local} {local_port} {global} {global_port}")?;
            }
            StaticMapping::Esp { local, interface } => write!(f, "esp {local} interface {interface}")?,
            StaticMapping::Network { local, global, prefix_length } => {
                write!(f, "network {local} {global} {}", mask(*prefix_length))?;
            }
        }
        write_vrf(f, &self.vrf)?;
        if let Some(StaticRouteMap { name, reversible }) = &self.route_map {
            write!(f, " route-map {name}")?;
            write_if(f, *reversible, " reversible")?;
        }
        write_if(f, self.extendable, " extendable")?;
        write_if(f, self.no_alias, " no-alias")?;
        write_if(f, self.no_payload, " no-payload")?;
        write_some(f, "egress-interface", self.egress_interface.as_ref())
    }
}

impl Display for GlobalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GlobalAddress::Address(address) => write!(f, "{address}"),
            GlobalAddress::Interface(interface) => write!(f, "interface {interface}"),
        }
    }
}

impl Lint<'_> {
    /// Two rules may not have the same global end. They may have the same local end only if both are `extendable` or have
    /// route-maps.
    pub(super) fn check_static_ends(&mut self) {
        let globals = self.config.nat.static_rules.iter().map(|rule| {
            let vrf = rule.vrf.as_ref().filter(|vrf| vrf.match_in_vrf);
            (rule.place, vrf.map(|vrf| vrf.name.as_str()), global_end(&rule.mapping))
        });
        self.refuse_duplicates(globals.collect());
        self.check_static_locals();
    }

    /// Two rules may have the same local address only if both are `extendable` or both have a route-map.
    fn check_static_locals(&mut self) {
        let mut owners: HashMap<(Option<&str>, Ipv4Addr), &StaticRule> = HashMap::new();
        for rule in &self.config.nat.static_rules {
            let StaticMapping::Address { local, .. } = rule.mapping else { continue };
            let table = rule.vrf.as_ref().map(|vrf| vrf.name.as_str());
            let Some(owner) = owners.insert((table, local), rule) else { continue };
            let maps_differ = owner.route_map.is_some() && rule.route_map.is_some();
            if !(maps_differ || owner.extendable && rule.extendable) {
                self.ask_for_extendable(rule.place, local, owner.place);
            }
        }
    }
}

/// The global end of a mapping, as text.
fn global_end(mapping: &StaticMapping) -> String {
    match mapping {
        StaticMapping::Address { global, .. } => global.to_string(),
        StaticMapping::Port { protocol, global, global_port, .. } => {
            format!("{global} {protocol} port {global_port}")
        }
        StaticMapping::Esp { interface, .. } => format!("interface {interface} esp"),
        StaticMapping::Network { global, .. } => global.to_string(),
    }
}

/// IP protocol number of ESP.
const ESP: Protocol = 50;

impl Compiler<'_> {
    /// Compiles the static rules. A rule whose interface has no address translates nothing: the lint warns about it.
    pub(super) fn statics(&mut self) {
        let config = self.config;
        let overloaded = self.overloaded();
        let mut rules = Vec::new();
        for rule in &config.nat.static_rules {
            let id = self.rule_id(rule.place, rule.to_string());
            let Some((protocol, local, global, prefix_len)) = self.static_ends(&rule.mapping) else {
                continue;
            };
            if rule.no_alias {
                self.out.no_alias.push(global.addr);
            }
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            let selector = rule.route_map.as_ref().map(|map| self.route_map(&map.name));
            let egress = rule.egress_interface.as_ref().and_then(|name| self.interface_index(name));
            let is_reversible = rule.route_map.as_ref().is_some_and(|map| map.reversible);
            rules.push(policy::StaticRule {
                id,
                protocol,
                local,
                global,
                prefix_len,
                inside_vrf,
                outside_vrf,
                selector,
                egress,
                is_reversible,
                is_default: protocol.is_none() && prefix_len == 32 && overloaded.contains(&global.addr),
            });
        }
        self.out.policy.statics = policy::Statics::new(rules);
    }

    fn static_ends(&self, mapping: &StaticMapping) -> Option<Ends> {
        let end = Endpoint::new;
        Some(match mapping {
            StaticMapping::Address { local, global } => {
                (None, end(*local, 0), end(self.global_addr(global)?, 0), 32)
            }
            StaticMapping::Port { protocol, local, local_port, global, global_port } => {
                let global = end(self.global_addr(global)?, *global_port);
                (Some(protocol.number()), end(*local, *local_port), global, 32)
            }
            StaticMapping::Esp { local, interface } => {
                (Some(ESP), end(*local, 0), end(self.lent_by(interface)?, 0), 32)
            }
            StaticMapping::Network { local, global, prefix_length } => {
                (None, end(*local, 0), end(*global, 0), *prefix_length)
            }
        })
    }

    fn global_addr(&self, global: &GlobalAddress) -> Option<Ipv4Addr> {
        match global {
            GlobalAddress::Address(addr) => Some(*addr),
            GlobalAddress::Interface(name) => self.lent_by(name),
        }
    }
}
