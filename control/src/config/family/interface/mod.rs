//! `interface` and its lines.

mod source_check;

use std::collections::HashMap;
use std::net::Ipv4Addr;

use alg::Side;
use dataplane::policy::{self, INTERFACE_COUNT_MAX};
use ipnet::Ipv4Net;

use super::edit::{pass_over_as, remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::{Compiler, PortBinding};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::lint::findings::Lint;
use crate::config::model::{MacAddress, Place};
use crate::config::text::blocks;
use source_check::source_check;

pub use source_check::SourceCheck;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Interface, INTERFACE)],
    render: &[(Section::Interfaces, |config| blocks(config.interfaces.iter().map(Interface::lines)))],
    lint: |lint| {
        lint.check_vlans();
        lint.check_subnets();
        lint.check_interface_references();
        lint.check_source_checks();
    },
    compile: &[(Stage::Interfaces, |compiler| compiler.interfaces())],
    ..Family::NONE
};

/// `interface NAME` and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Where its first `interface` line stands.
    pub place: Place,
    /// Its name.
    pub name: InterfaceName,
    /// `description TEXT`
    pub description: Option<String>,
    /// `device DEVARGS`: a PCI address or a virtual device, as DPDK spells them.
    pub device: Option<String>,
    /// `mac-address H.H.H`, in place of the device's own.
    pub mac_address: Option<MacAddress>,
    /// `encapsulation dot1Q VLAN`, on sub-interfaces.
    pub encapsulation: Option<Encapsulation>,
    /// `vrf forwarding NAME`: the VRF whose table its packets are routed by; `None` is the global table.
    pub vrf: Option<VrfMember>,
    /// `ip address A MASK [secondary]`: the primary address, then the secondary ones.
    pub addresses: Vec<InterfaceAddress>,
    /// `ip nat inside` or `ip nat outside`
    pub nat: Option<Side>,
    /// `ip mtu BYTES`
    pub ip_mtu_bytes: Option<u16>,
    /// `ip tcp adjust-mss BYTES`
    pub adjust_mss_bytes: Option<u16>,
    /// `ip access-group ACL in`
    pub access_group_in: Option<AccessGroup>,
    /// `ip access-group ACL out`
    pub access_group_out: Option<AccessGroup>,
    /// `ip verify unicast ...`
    pub source_check: Option<SourceCheck>,
    /// `shutdown`
    pub shutdown: bool,
}

impl Interface {
    /// An interface without any line of its own.
    pub fn new(place: Place, name: InterfaceName) -> Interface {
        Interface {
            place,
            name,
            description: None,
            device: None,
            mac_address: None,
            encapsulation: None,
            vrf: None,
            addresses: Vec::new(),
            nat: None,
            ip_mtu_bytes: None,
            adjust_mss_bytes: None,
            access_group_in: None,
            access_group_out: None,
            source_check: None,
            shutdown: false,
        }
    }

    /// The name of its VRF; `None` is the global table.
    pub fn vrf_name(&self) -> Option<&str> {
        self.vrf.as_ref().map(|member| member.vrf.as_str())
    }

    /// The address that rules and replies use.
    pub fn primary_address(&self) -> Option<Ipv4Net> {
        self.addresses.first().map(|address| address.network)
    }
}

/// `encapsulation dot1Q VLAN [native]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulation {
    /// The VLAN, 1 to 4094.
    pub vlan: u16,
    /// Whether the VLAN's frames carry no tag.
    pub native: bool,
}

/// `ip address A MASK`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Where it stands.
    pub place: Place,
    /// The address, host bits kept, and its mask.
    pub network: Ipv4Net,
}

/// `vrf forwarding NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VrfMember {
    /// Where it stands.
    pub place: Place,
    /// The VRF's name.
    pub vrf: String,
}

/// `ip access-group ACL`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGroup {
    /// Where it stands.
    pub place: Place,
    /// The list's name or number.
    pub access_list: String,
}

/// MTU of an interface that has no `ip mtu`, in bytes.
pub const MTU_DEFAULT: u16 = 1500;

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("interface <interface>", "Configure an interface", interface),
];

#[rustfmt::skip]
const INTERFACE: &[Row<Apply>] = &[
    statement("description / <text>", "Describe the interface", description),
    statement("device / <device:word>", "Bind a DPDK device: a PCI address or a virtual device", device),
    statement("mac-address / <mac>", "Use this Ethernet address, not the device's own", mac_address),
    statement("encapsulation / dot1Q <vlan:1-4094> [ native ]", "Carry a VLAN on a sub-interface", encapsulation),
    statement("vrf forwarding / <vrf:word>", "Route by the table of a VRF; give the address afterwards", vrf),
    statement("ip vrf forwarding / <vrf:word>", "Route by the table of a VRF; give the address afterwards", vrf),
    statement("ip address / <address> <mask> [ secondary ]", "Give the interface an address", address),
    statement("ip nat { inside | outside }", "Translate packets that cross this interface", nat_side),
    statement("ip mtu / <bytes:68-9216>", "Limit the size of packets sent", ip_mtu),
    statement("ip tcp adjust-mss / <bytes:500-1460>", "Lower the segment size that TCP announces", adjust_mss),
    statement("ip access-group (acl) { in | out }", "Filter packets by an access list", access_group),
    statement("ip verify unicast / source reachable-via { rx | any } [ allow-default ] [ <acl:1-199,1300-2699> ]",
              "Drop packets that come in where no route leads to their source", source_check),
    statement("ip virtual-reassembly [ in | out ] [ <options:text> ]", "Accepted, without effect: fragments always find their translation",
              |builder, statement| pass_over_as(builder, statement, "fragments always find their translation")),
    statement("shutdown", "Take the interface out of service", shutdown),
];

fn interface(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let name: InterfaceName = statement.args.required("interface");
    if name.is_null() {
        return Err(statement.fault("interface", "Null0 exists without being configured"));
    }
    let interfaces = &mut builder.config.interfaces;
    let known = interfaces.iter().position(|interface| interface.name == name);
    if statement.sets() {
        let index = known.unwrap_or(interfaces.len());
        if known.is_none() {
            interfaces.push(Interface::new(statement.place, name));
        }
        builder.open(Mode::Interface, (index, 0));
    } else {
        let removed = remove(interfaces, |interface| interface.name == name);
        builder.expect_removed(removed, statement);
    }
    Ok(())
}

fn description(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.interface().description = statement.args.optional("text").filter(|_| statement.sets());
    Ok(())
}

fn device(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let device: Option<String> = statement.args.optional("device").filter(|_| statement.sets());
    if device.is_some() && builder.interface().name.parent().is_some() {
        return Err(statement.fault("device", "a sub-interface shares the device of its parent"));
    }
    builder.interface().device = device;
    Ok(())
}

fn mac_address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.interface().mac_address = statement.args.optional("mac").filter(|_| statement.sets());
    Ok(())
}

fn encapsulation(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    if builder.interface().name.parent().is_none() {
        return Err(statement.fault("encapsulation", "only a sub-interface carries a VLAN"));
    }
    let vlan = statement.args.optional("vlan").filter(|_| statement.sets());
    let native = statement.args.has("native");
    builder.interface().encapsulation = vlan.map(|vlan| Encapsulation { vlan, native });
    Ok(())
}

/// As IOS has it, an interface that changes its VRF loses its addresses.
fn vrf(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let member = statement.args.optional("vrf").map(|vrf| VrfMember { place: statement.place, vrf });
    let interface = builder.interface();
    if !statement.sets() && (interface.vrf.is_none() || (member.is_some() && member != interface.vrf)) {
        builder.expect_removed(false, statement);
        return Ok(());
    }
    let new = member.filter(|_| statement.sets());
    let changes = interface.vrf != new;
    interface.vrf = new;
    if changes && !interface.addresses.is_empty() {
        interface.addresses.clear();
        let text = "the interface loses its addresses; give them after its VRF";
        builder.warn(statement.place.column as usize, text);
    }
    Ok(())
}

fn address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let secondary = args.has("secondary");
    let addresses = &mut builder.interface().addresses;
    let Some(address) = args.optional("address") else {
        addresses.clear();
        return Ok(());
    };
    if !statement.sets() {
        return remove_address(builder, statement, address);
    }
    let network = host_address(statement)?;
    if let Some(known) = addresses.iter().skip(1).find(|known| known.network.addr() == address) {
        let text = format!("{address} is a secondary address already, by {}", known.place);
        return Err(statement.fault("address", text));
    }
    let new = InterfaceAddress { place: statement.place, network };
    match (addresses.first_mut(), secondary) {
        (None, true) => {
            return Err(statement.fault("secondary", "give the primary address before a secondary one"));
        }
        (Some(primary), true) if primary.network.addr() == address => {
            return Err(statement.fault("address", format!("{address} is the primary address")));
        }
        (Some(primary), false) => *primary = new,
        _ => addresses.push(new),
    }
    Ok(())
}

fn remove_address(builder: &mut Builder, statement: &Statement, address: Ipv4Addr) -> Result<(), Fault> {
    let addresses = &mut builder.interface().addresses;
    let position = addresses.iter().position(|known| known.network.addr() == address);
    if position == Some(0) && addresses.len() > 1 {
        return Err(statement.fault("address", "remove the secondary addresses before the primary one"));
    }
    if let Some(position) = position {
        addresses.remove(position);
    }
    builder.expect_removed(position.is_some(), statement);
    Ok(())
}

/// An address that a host may have within its mask.
fn host_address(statement: &Statement) -> Result<Ipv4Net, Fault> {
    let address = statement.args.required("address");
    let length: u8 = statement.args.required("mask");
    let network = Ipv4Net::new_assert(address, length);
    if length == 0 || address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
        return Err(statement.fault("address", format!("{network} is no address of an interface")));
    }
    if length < 31 && address == network.network() {
        return Err(statement.fault("address", format!("{address} is the network address of its mask")));
    }
    if length < 31 && address == network.broadcast() {
        return Err(statement.fault("address", format!("{address} is the broadcast address of its mask")));
    }
    Ok(network)
}

fn nat_side(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (side, other) = match statement.args.has("inside") {
        true => (Side::Inside, "outside"),
        false => (Side::Outside, "inside"),
    };
    let nat = &mut builder.interface().nat;
    match (*nat, statement.sets()) {
        (Some(known), true) if known != side => {
            let text = format!("an interface cannot be inside and outside; this one is {other} already");
            return Err(statement.fault("nat", text));
        }
        (_, true) => *nat = Some(side),
        (known, false) => {
            *nat = known.filter(|known| *known != side);
            builder.expect_removed(known == Some(side), statement);
        }
    }
    Ok(())
}

fn ip_mtu(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.interface().ip_mtu_bytes = statement.args.optional("bytes").filter(|_| statement.sets());
    Ok(())
}

fn adjust_mss(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.interface().adjust_mss_bytes = statement.args.optional("bytes").filter(|_| statement.sets());
    Ok(())
}

fn access_group(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let group = AccessGroup { place: statement.place, access_list: statement.args.required("acl") };
    let interface = builder.interface();
    let slot = match statement.args.has("in") {
        true => &mut interface.access_group_in,
        false => &mut interface.access_group_out,
    };
    if statement.sets() {
        *slot = Some(group);
        return Ok(());
    }
    let removed = *slot == Some(group);
    if removed {
        *slot = None;
    }
    builder.expect_removed(removed, statement);
    Ok(())
}

fn shutdown(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.interface().shutdown = statement.sets();
    Ok(())
}

impl Builder {
    /// The interface whose mode this is.
    fn interface(&mut self) -> &mut Interface {
        &mut self.config.interfaces[self.opened.0]
    }
}

impl Lint<'_> {
    fn check_vlans(&mut self) {
        let mut vlans: HashMap<(InterfaceName, u16), &Interface> = HashMap::new();
        for interface in &self.config.interfaces {
            let Some(parent) = interface.name.parent() else { continue };
            self.check_defined(interface.place, &parent);
            let Some(encapsulation) = interface.encapsulation else {
                let text = format!("{} has no VLAN; add encapsulation dot1Q", interface.name);
                self.warn(interface.place, text);
                continue;
            };
            if let Some(other) = vlans.insert((parent, encapsulation.vlan), interface) {
                let text = format!(
                    "{} and {} carry the same VLAN, {}",
                    other.name, interface.name, encapsulation.vlan
                );
                self.error(interface.place, text);
            }
        }
    }

    /// No address of one interface may be reached through another of the same table.
    fn check_subnets(&mut self) {
        let config = self.config;
        let in_service = || config.interfaces.iter().filter(|interface| !interface.shutdown);
        for (position, one) in in_service().enumerate() {
            let before = in_service().take(position).filter(|other| other.vrf_name() == one.vrf_name());
            for (other, of_one, of_other) in before.flat_map(|other| pairs(one, other)) {
                let (one_network, other_network) = (of_one.network.trunc(), of_other.network.trunc());
                if one_network.contains(&other_network) || other_network.contains(&one_network) {
                    let text = format!("{one_network} overlaps with {other_network} of {}", other.name);
                    self.error(of_one.place, text);
                }
            }
        }
    }

    fn check_interface_references(&mut self) {
        for interface in &self.config.interfaces {
            for group in interface.access_group_in.iter().chain(&interface.access_group_out) {
                self.check_access_list(group.place, &group.access_list);
            }
            if let Some(check) = &interface.source_check
                && let Some(list) = &check.access_list
            {
                self.check_access_list(check.place, list);
            }
            if let Some(member) = &interface.vrf {
                self.check_vrf(member.place, Some(&member.vrf));
            }
        }
    }
}

impl Lint<'_> {
    /// What a subscriber sends in another's name is answered to the other. One note for all: it may be meant so.
    fn check_source_checks(&mut self) {
        let is_open = |interface: &&Interface| {
            interface.nat == Some(Side::Inside) && interface.source_check.is_none() && !interface.shutdown
        };
        let config = self.config;
        let mut open = config.interfaces.iter().filter(is_open);
        let Some(first) = open.next() else { return };
        let others = match open.count() {
            0 => "takes".to_string(),
            count => format!("and {count} more inside take"),
        };
        let text = format!(
            "{} {others} packets from any source; see \"ip verify unicast source reachable-via rx\"",
            first.name
        );
        self.note(first.place, text);
    }
}

/// The addresses of two interfaces, each with each.
fn pairs<'i>(
    one: &'i Interface,
    other: &'i Interface,
) -> impl Iterator<Item = (&'i Interface, &'i InterfaceAddress, &'i InterfaceAddress)> {
    let of_one = one.addresses.iter();
    of_one.flat_map(move |of_one| other.addresses.iter().map(move |of_other| (other, of_one, of_other)))
}

impl Interface {
    /// `interface NAME` and its lines, indented.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("interface {}", self.name)];
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        lines.extend(self.device.iter().map(|device| format!(" device {device}")));
        lines.extend(self.mac_address.map(|mac| format!(" mac-address {mac}")));
        lines.extend(self.encapsulation.map(|encapsulation| {
            let native = if encapsulation.native { " native" } else { "" };
            format!(" encapsulation dot1Q {}{native}", encapsulation.vlan)
        }));
        lines.extend(self.vrf.iter().map(|member| format!(" vrf forwarding {}", member.vrf)));
        for (position, InterfaceAddress { network, .. }) in self.addresses.iter().enumerate() {
            let secondary = if position > 0 { " secondary" } else { "" };
            lines.push(format!(" ip address {} {}{secondary}", network.addr(), network.netmask()));
        }
        lines.extend(self.nat.map(|side| match side {
            Side::Inside => " ip nat inside".to_string(),
            Side::Outside => " ip nat outside".to_string(),
        }));
        lines.extend(self.ip_mtu_bytes.map(|bytes| format!(" ip mtu {bytes}")));
        lines.extend(self.adjust_mss_bytes.map(|bytes| format!(" ip tcp adjust-mss {bytes}")));
        for (group, direction) in [(&self.access_group_in, "in"), (&self.access_group_out, "out")] {
            lines.extend(
                group.iter().map(|group| format!(" ip access-group {} {direction}", group.access_list)),
            );
        }
        lines.extend(self.source_check.iter().map(|check| format!(" {check}")));
        if self.shutdown {
            lines.push(" shutdown".to_string());
        }
        lines
    }
}

impl Compiler<'_> {
    fn interfaces(&mut self) {
        let config = self.config;
        for interface in &config.interfaces {
            let compiled = self.interface(interface);
            let index = match self.interface_index(&interface.name) {
                Some(index) => index,
                None if self.out.policy.interfaces.len() < INTERFACE_COUNT_MAX => {
                    self.add_interface(&interface.name)
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
    fn port_of(&self, interface: &Interface) -> Option<(u16, &PortBinding)> {
        let owner = interface.name.parent().unwrap_or_else(|| interface.name.clone());
        let position = self.ports.iter().position(|port| port.interface == owner)?;
        Some((position as u16, &self.ports[position]))
    }

    fn interface(&mut self, interface: &Interface) -> policy::Interface {
        let parent = interface.name.parent().and_then(|parent| self.config.interface(&parent));
        let port = self.port_of(interface);
        let configured_mac = interface.mac_address.or(parent.and_then(|parent| parent.mac_address));
        let mac = configured_mac.map(|mac| mac.0).or(port.and_then(|(_, binding)| binding.mac));
        let has_link = port.is_some_and(|(_, binding)| binding.has_link);
        let (port, is_attached) = (port.map_or(u16::MAX, |(port, _)| port), port.is_some());
        if is_attached && mac.is_none() {
            self.error(interface.place, format!("{} has no MAC address; add 'mac-address'", interface.name));
        }
        let is_shut = interface.shutdown || parent.is_some_and(|parent| parent.shutdown);
        policy::Interface {
            name: interface.name.as_str().into(),
            port,
            vlan: interface.encapsulation.filter(|e| !e.native).map(|e| e.vlan),
            mac: mac.unwrap_or_default(),
            addresses: interface
                .addresses
                .iter()
                .map(|a| (a.network.addr(), a.network.prefix_len()))
                .collect(),
            nat: interface.nat,
            vrf: self.vrf(interface.vrf_name()),
            mtu: interface.ip_mtu_bytes.unwrap_or(MTU_DEFAULT),
            mss_max: interface.adjust_mss_bytes.unwrap_or(0),
            is_up: !is_shut && (has_link || interface.name.is_loopback()),
            acl_in: interface.access_group_in.as_ref().and_then(|group| self.acl_index(&group.access_list)),
            source_check: interface.source_check.as_ref().map(|check| self.source_check(check)),
            acl_out: interface.access_group_out.as_ref().and_then(|group| self.acl_index(&group.access_list)),
        }
    }
}
