//! From the configuration to what workers need: policy, forwarding tables, and what ARP answers for.
//!
//! Indexes that sessions hold (interfaces, rules) keep their meaning from one configuration to the next: an
//! interface's by its name, a rule's by its canonical line.

mod behaviour;
mod gateways;
mod limits;
mod nat;
mod routing;

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use dataplane::flow::Vrf;
use dataplane::policy::{
    Acl, AclEntry, AclIndex, AddressMatch, Domain, INTERFACE_COUNT_MAX, Interface, InterfaceIndex, Policy,
    RuleId,
};
use dataplane::route::fib::{Fib, NextHop, Route};
use dataplane::state::ports::ownership::Ownership;
use ipnet::Ipv4Net;

use crate::config::model::{self, Config, NatSide, Place};
use crate::config::{Diagnostic, InterfaceName, Severity};

/// MTU of an interface that has no `ip mtu`, in bytes.
pub const MTU_DEFAULT: u16 = 1500;
/// The most workers; a byte tells whose a port is.
const WORKERS_MAX: u16 = 64;
/// The global routing table; VRFs follow.
const GLOBAL: Vrf = 0;

/// A port of the appliance: the interface it belongs to, and the station address its device has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortBinding {
    /// The interface that names the device.
    pub interface: InterfaceName,
    /// The device's own address; none where there is no device.
    pub mac: Option<[u8; 6]>,
    /// Whether the device has a link.
    pub has_link: bool,
}

/// What a configuration comes to.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// For the workers.
    pub policy: Policy,
    /// For the workers: who owns which global ports.
    pub ownership: Ownership,
    /// For the workers.
    pub fib: Fib,
    /// Neighbours by configuration, never asked for.
    pub static_neighbours: Vec<(NextHop, [u8; 6])>,
    /// Global addresses that no ARP is answered for, although they lie in a connected subnet.
    pub no_alias: Vec<Ipv4Addr>,
    /// The routes in force, for `show ip route`.
    pub routes: Vec<RouteEntry>,
    /// The number of each rule, by its line. The numbers of rules that went with the configuration before are not
    /// given out again until the next one.
    pub rule_lines: HashMap<String, RuleId>,
    /// The counter of each access-list entry, by list and line, kept like the numbers of rules.
    pub acl_counters: HashMap<(String, String), u32>,
    /// The names of VRFs 1 and up; they keep their numbers.
    pub vrf_names: Vec<String>,
}

/// A route in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// The table it is in.
    pub vrf: Vrf,
    /// The destination.
    pub prefix: Ipv4Net,
    /// Where it leads.
    pub route: Route,
    /// Administrative distance.
    pub distance: u8,
    /// Whether it is configured, rather than an interface's own subnet or address.
    pub is_static: bool,
}

/// Compiles a configuration for these ports. Numbers are kept from `previous`.
///
/// # Errors
/// What the configuration asks for and the appliance cannot do.
pub fn compile(
    config: &Config,
    ports: &[PortBinding],
    previous: Option<&Compiled>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut compiler = Compiler {
        config,
        ports,
        errors: Vec::new(),
        previous_rule_lines: HashMap::new(),
        taken_rule_ids: HashSet::new(),
        next_rule_id: 1,
        added_routes: Vec::new(),
        out: Compiled::default(),
    };
    compiler.carry_over(previous);
    compiler.platform();
    compiler.interfaces();
    compiler.acls();
    compiler.statics();
    compiler.rules();
    compiler.behaviour();
    compiler.gateways();
    compiler.timeouts();
    compiler.limits();
    compiler.out.policy.note_gateways();
    compiler.claimable(previous);
    compiler.routes();
    if compiler.errors.is_empty() { Ok(compiler.out) } else { Err(compiler.errors) }
}

struct Compiler<'a> {
    config: &'a Config,
    ports: &'a [PortBinding],
    errors: Vec<Diagnostic>,
    previous_rule_lines: HashMap<String, RuleId>,
    taken_rule_ids: HashSet<RuleId>,
    next_rule_id: RuleId,
    /// Routes that `add-route` asks for: VRFs of inside and outside, the prefix, and an address that is reached
    /// the same way, or none.
    added_routes: Vec<(Vrf, Vrf, Ipv4Net, Ipv4Addr)>,
    out: Compiled,
}

impl Compiler<'_> {
    fn error(&mut self, place: Place, text: impl Into<String>) {
        let file = self.config.source.file.clone();
        let Place { line, column } = place;
        self.errors.push(Diagnostic { file, line, column, severity: Severity::Error, text: text.into() });
    }

    fn carry_over(&mut self, previous: Option<&Compiled>) {
        let Some(previous) = previous else {
            self.out.policy.generation = 1;
            self.out.fib.generation = 1;
            return;
        };
        self.out.policy.generation = previous.policy.generation + 1;
        self.out.fib.generation = previous.fib.generation.wrapping_add(1);
        self.previous_rule_lines = previous.rule_lines.clone();
        self.out.acl_counters = previous.acl_counters.clone();
        self.out.vrf_names = previous.vrf_names.clone();
        let hole = |old: &Interface| Interface { name: old.name.clone(), ..Interface::default() };
        self.out.policy.interfaces = previous.policy.interfaces.iter().map(hole).collect();
    }

    fn platform(&mut self) {
        let platform = &self.config.platform;
        if platform.workers.is_some_and(|workers| workers > WORKERS_MAX) {
            self.error(platform.place, format!("at most {WORKERS_MAX} workers"));
        }
    }

    /// The index of a VRF, new ones behind those known before; the global table is 0.
    fn vrf(&mut self, name: Option<&str>) -> Vrf {
        let Some(name) = name else { return GLOBAL };
        let known = self.out.vrf_names.iter().position(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.out.vrf_names.push(name.to_string());
            self.out.vrf_names.len() - 1
        });
        index as Vrf + 1
    }

    /// The number of a rule: the one its line had before, or the smallest that no rule has or had before.
    fn rule_id(&mut self, line: String) -> RuleId {
        let known = self.out.rule_lines.get(&line).or(self.previous_rule_lines.get(&line)).copied();
        let id = known.unwrap_or_else(|| {
            if self.taken_rule_ids.is_empty() {
                self.taken_rule_ids = self.previous_rule_lines.values().copied().collect();
            }
            while self.taken_rule_ids.contains(&self.next_rule_id) {
                self.next_rule_id = self.next_rule_id.saturating_add(1);
            }
            self.next_rule_id = self.next_rule_id.saturating_add(1);
            self.next_rule_id - 1
        });
        if id == RuleId::MAX {
            self.error(Place::default(), format!("more than {} rules", RuleId::MAX - 1));
        }
        self.out.rule_lines.insert(line, id);
        id
    }

    fn interface_index(&self, name: &InterfaceName) -> Option<InterfaceIndex> {
        self.out
            .policy
            .interfaces
            .iter()
            .position(|i| i.name == name.as_str())
            .map(|index| index as InterfaceIndex)
    }

    fn interfaces(&mut self) {
        let config = self.config;
        for interface in &config.interfaces {
            let compiled = self.interface(interface);
            let index = match self.interface_index(&interface.name) {
                Some(index) => index,
                None if self.out.policy.interfaces.len() < INTERFACE_COUNT_MAX => {
                    self.out.policy.interfaces.push(Interface::default());
                    self.out.policy.interfaces.len() as InterfaceIndex - 1
                }
                None => {
                    self.error(interface.place, format!("more than {INTERFACE_COUNT_MAX} interfaces"));
                    return;
                }
            };
            if self.port_of(interface).is_some() {
                self.out.policy.attachments.attach(compiled.port, compiled.vlan, index);
            }
            self.out.policy.interfaces[usize::from(index)] = compiled;
        }
    }

    /// The port an interface's frames travel through, its own or its parent's, with the device's address.
    fn port_of(&self, interface: &model::Interface) -> Option<(u16, &PortBinding)> {
        let owner = interface.name.parent().unwrap_or_else(|| interface.name.clone());
        let position = self.ports.iter().position(|port| port.interface == owner)?;
        Some((position as u16, &self.ports[position]))
    }

    fn interface(&mut self, interface: &model::Interface) -> Interface {
        let parent = interface.name.parent().and_then(|parent| self.config.interface(&parent));
        let port = self.port_of(interface);
        let configured_mac = interface.mac_address.or(parent.and_then(|parent| parent.mac_address));
        let mac = configured_mac.map(|mac| mac.0).or(port.and_then(|(_, binding)| binding.mac));
        let has_link = port.is_some_and(|(_, binding)| binding.has_link);
        let (port, is_attached) = (port.map_or(u16::MAX, |(port, _)| port), port.is_some());
        if is_attached && mac.is_none() {
            self.error(
                interface.place,
                format!("{} has no station address; add 'mac-address'", interface.name),
            );
        }
        let is_shut = interface.shutdown || parent.is_some_and(|parent| parent.shutdown);
        Interface {
            name: interface.name.as_str().into(),
            port,
            vlan: interface.encapsulation.filter(|e| !e.native).map(|e| e.vlan),
            mac: mac.unwrap_or_default(),
            addresses: interface
                .addresses
                .iter()
                .map(|a| (a.network.addr(), a.network.prefix_len()))
                .collect(),
            domain: match interface.nat {
                None => Domain::None,
                Some(NatSide::Inside) => Domain::Inside,
                Some(NatSide::Outside) => Domain::Outside,
            },
            vrf: self.vrf(interface.vrf_name()),
            mtu: interface.ip_mtu_bytes.unwrap_or(MTU_DEFAULT),
            mss_max: interface.adjust_mss_bytes.unwrap_or(0),
            is_up: !is_shut && (has_link || interface.name.is_loopback()),
            acl_in: interface.access_group_in.as_ref().and_then(|group| self.acl_index(&group.access_list)),
            acl_out: interface.access_group_out.as_ref().and_then(|group| self.acl_index(&group.access_list)),
        }
    }

    /// Access lists are numbered in the order of the configuration, so that their index is known beforehand.
    fn acl_index(&self, name: &str) -> Option<AclIndex> {
        self.config.access_lists.iter().position(|list| list.name == name).map(|index| index as AclIndex)
    }

    fn acls(&mut self) {
        for list in &self.config.access_lists {
            let mut acl = Acl { name: list.name.clone(), entries: Vec::new() };
            for entry in &list.entries {
                if let model::EntryBody::Rule(rule) = &entry.body {
                    let line = format!("{} {}", entry.sequence, rule.line(list.kind));
                    let next = self.out.acl_counters.len() as u32;
                    let counter = *self.out.acl_counters.entry((list.name.clone(), line)).or_insert(next);
                    acl.entries.push(acl_entry(rule, counter));
                }
            }
            self.out.policy.acls.push(acl);
        }
    }
}

fn acl_entry(rule: &model::AccessRule, counter: u32) -> AclEntry {
    const ACK_OR_RST: u8 = 0x14;
    AclEntry {
        permit: rule.action == model::AccessAction::Permit,
        src: AddressMatch::wildcard(rule.source.address, rule.source.wildcard),
        dst: AddressMatch::wildcard(rule.destination.address, rule.destination.wildcard),
        protocol: rule.protocol,
        src_ports: port_ranges(rule.source_port.as_ref()),
        dst_ports: port_ranges(rule.destination_port.as_ref()),
        tcp_flags_any: match rule.tcp_flags {
            None => 0,
            Some(model::TcpFlagsMatch::Established) => ACK_OR_RST,
            Some(model::TcpFlagsMatch::AnyOf(flags)) => flags,
        },
        icmp: rule.icmp.map(|icmp| (icmp.kind, icmp.code)),
        fragments: rule.fragments,
        dscp: rule.dscp,
        counter,
    }
}

/// Port conditions as ranges. A condition that nothing meets becomes a range that holds nothing.
fn port_ranges(ports: Option<&model::PortMatch>) -> Box<[(u16, u16)]> {
    const NOTHING: (u16, u16) = (1, 0);
    match ports {
        None => Box::default(),
        Some(model::PortMatch::Equal(ports)) => ports.iter().map(|&port| (port, port)).collect(),
        Some(model::PortMatch::Range(low, high)) => Box::new([(*low, *high)]),
        Some(model::PortMatch::Below(bound)) => {
            Box::new([bound.checked_sub(1).map_or(NOTHING, |high| (0, high))])
        }
        Some(model::PortMatch::Above(bound)) => {
            Box::new([bound.checked_add(1).map_or(NOTHING, |low| (low, u16::MAX))])
        }
        Some(model::PortMatch::NotEqual(port)) => {
            let below = port.checked_sub(1).map(|high| (0, high));
            let above = port.checked_add(1).map(|low| (low, u16::MAX));
            below.into_iter().chain(above).collect()
        }
    }
}

/// What ARP answers for on an interface besides its own addresses: NAT addresses on its subnets.
pub fn is_alias(compiled: &Compiled, interface: &Interface, addr: Ipv4Addr) -> bool {
    let is_on_subnet = interface
        .addresses
        .iter()
        .any(|&(own, prefix_len)| Ipv4Net::new(own, prefix_len).is_ok_and(|subnet| subnet.contains(&addr)));
    is_on_subnet && compiled.policy.is_global(interface.vrf, addr) && !compiled.no_alias.contains(&addr)
}
