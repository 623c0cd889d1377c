//! The rules of `ip nat`: what is translated to what.

use std::net::Ipv4Addr;

use super::super::interface_name::InterfaceName;
use super::Place;

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
    /// `reversible`: the outside may open sessions to what a route-map's rule translated.
    pub reversible: bool,
    /// `no-payload`: no ALG rewrites what these translations carry.
    pub no_payload: bool,
}

impl DynamicRule {
    /// A rule of the global table without any option; an interface's address is always shared.
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

/// What selects the packets of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `list ACL`: what this access list permits.
    List(String),
    /// `route-map RM`: what this route-map permits.
    RouteMap(String),
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

/// `vrf V [match-in-vrf]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVrf {
    /// The VRF of the inside.
    pub name: String,
    /// `match-in-vrf`: the outside is in the same VRF, rather than in the global table.
    pub match_in_vrf: bool,
}

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
    /// `no-alias`: the global address is not answered for.
    pub no_alias: bool,
    /// `no-payload`: no ALG rewrites what this mapping carries.
    pub no_payload: bool,
    /// `egress-interface IFACE`: only packets that leave through it.
    pub egress_interface: Option<InterfaceName>,
}

impl StaticRule {
    /// A rule of the global table without any option but those that its mapping implies.
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
    /// `reversible`: packets from outside are translated too, if the route-map permits them.
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
    /// `no-alias`: the outside local address is not answered for.
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

/// The protocols with ports that rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortProtocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}
