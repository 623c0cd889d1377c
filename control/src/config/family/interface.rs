//! `interface` and its lines.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::interface_name::InterfaceName;
use super::super::lint::findings::Lint;
use super::super::model::{AccessGroup, Encapsulation, Interface, InterfaceAddress, NatSide, VrfMember};
use super::super::text::blocks;
use super::edit::{remove, statement};
use super::row::{Family, Section, Stage};
use super::system::pass_over;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::Interface, INTERFACE)],
    render: &[(Section::Interfaces, |config| blocks(config.interfaces.iter().map(Interface::lines)))],
    lint: |lint| {
        lint.check_vlans();
        lint.check_subnets();
        lint.check_interface_references();
    },
    compile: &[(Stage::Interfaces, |compiler| compiler.interfaces())],
    ..Family::NONE
};

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
    statement("ip virtual-reassembly [ in ]", "Accepted, without effect: fragments are always reassembled", pass_over),
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
        let text = format!("{address} is a secondary address already, by line {}", known.place.line);
        return Err(statement.fault("address", text));
    }
    let new = InterfaceAddress { place: statement.place, network };
    match (addresses.first_mut(), secondary) {
        (None, true) => return Err(statement.fault("secondary", "a secondary address follows a primary one")),
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
        true => (NatSide::Inside, "outside"),
        false => (NatSide::Outside, "inside"),
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
            if let Some(member) = &interface.vrf {
                self.check_vrf(member.place, Some(&member.vrf));
            }
        }
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
