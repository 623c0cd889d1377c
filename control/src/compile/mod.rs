//! From the configuration to what workers need: policy, forwarding tables, and what ARP answers for.
//!
//! Indexes that sessions hold (interfaces, rules) keep their meaning from one configuration to the next: an
//! interface's by its name, a rule's by its canonical line.

mod behaviour;
pub(crate) mod compiler;
mod gateways;
mod limits;
mod nat;
mod routing;

use std::net::Ipv4Addr;

use dataplane::policy::{
    Acl, AclEntry, AddressMatch, Domain, INTERFACE_COUNT_MAX, Interface, InterfaceIndex,
};
use ipnet::Ipv4Net;

use crate::config::Diagnostic;
use crate::config::family::FAMILIES;
use crate::config::family::row::Stage;
use crate::config::model::{self, Config, NatSide};
use compiler::Compiler;

pub use compiler::{Compiled, PortBinding, RouteEntry};

/// MTU of an interface that has no `ip mtu`, in bytes.
pub const MTU_DEFAULT: u16 = 1500;
/// The most workers; a byte tells whose a port is.
const WORKERS_MAX: u16 = 64;
/// Compiles a configuration for these ports. Numbers are kept from `previous`.
///
/// # Errors
/// What the configuration asks for and the appliance cannot do.
pub fn compile(
    config: &Config,
    ports: &[PortBinding],
    previous: Option<&Compiled>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut compiler = Compiler::new(config, ports, previous);
    for stage in Stage::ALL {
        let of_families = FAMILIES.iter().flat_map(|family| family.compile);
        for (_, add) in of_families.filter(|(of, _)| *of == stage) {
            add(&mut compiler);
        }
    }
    compiler.out.policy.note_gateways();
    compiler.claimable(previous);
    if compiler.errors.is_empty() { Ok(compiler.out) } else { Err(compiler.errors) }
}

impl Compiler<'_> {
    pub(crate) fn platform(&mut self) {
        let platform = &self.config.platform;
        if platform.workers.is_some_and(|workers| workers > WORKERS_MAX) {
            self.error(platform.place, format!("at most {WORKERS_MAX} workers"));
        }
    }

    pub(crate) fn interfaces(&mut self) {
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

    pub(crate) fn acls(&mut self) {
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
