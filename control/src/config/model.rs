//! The typed configuration: plain values in the order of the file, each statement with its place.
//!
//! The model holds only what text can say: references are names, and nothing is resolved. Fields that are `None`,
//! false or empty were not configured; the default that then holds is the reader's to know.

mod access_list;
mod limits;
mod mac_address;
mod nat;
mod place;
mod pool;
mod route_map;
mod routing;
mod rules;
mod service;
mod settings;

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;

use super::diagnostic::Diagnostic;
use super::interface_name::InterfaceName;

pub use access_list::*;
pub use limits::*;
pub use mac_address::*;
pub use nat::*;
pub use place::*;
pub use pool::*;
pub use route_map::*;
pub use routing::*;
pub use rules::*;
pub use service::*;
pub use settings::*;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The file that was read, with what was remarkable about it.
    pub source: Source,
    /// `hostname NAME`
    pub hostname: Option<String>,
    /// `platform dpdk`
    pub platform: Platform,
    /// `vrf definition NAME` and `ip vrf NAME`
    pub vrfs: Vec<Vrf>,
    /// `interface NAME`
    pub interfaces: Vec<Interface>,
    /// `ip nat ...`
    pub nat: Nat,
    /// `access-list ...` and `ip access-list ...`
    pub access_lists: Vec<AccessList>,
    /// `route-map ...`
    pub route_maps: Vec<RouteMap>,
    /// `ip route ...`
    pub routes: Vec<Route>,
    /// `arp [vrf V] A MAC arpa`
    pub arp_entries: Vec<ArpEntry>,
    /// `logging ...`
    pub logging: Logging,
    /// `prometheus exporter ADDRESS PORT`
    pub prometheus_exporter: Option<Exporter>,
}

impl Config {
    /// The interface of this name.
    pub fn interface(&self, name: &InterfaceName) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == *name)
    }

    /// The VRF of this name.
    pub fn vrf(&self, name: &str) -> Option<&Vrf> {
        self.vrfs.iter().find(|vrf| vrf.name == name)
    }

    /// The route-map of this name.
    pub fn route_map(&self, name: &str) -> Option<&RouteMap> {
        self.route_maps.iter().find(|map| map.name == name)
    }

    /// The access list of this name or number.
    pub fn access_list(&self, name: &str) -> Option<&AccessList> {
        self.access_lists.iter().find(|list| list.name == name)
    }
}

/// The file a configuration was read from. It is no part of what the configuration says: all sources are equal.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file's name as given.
    pub file: String,
    /// What the reader of the text warned of.
    pub warnings: Vec<Diagnostic>,
}

impl PartialEq for Source {
    fn eq(&self, _: &Source) -> bool {
        true
    }
}

/// `platform dpdk` and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Where `platform dpdk` stands.
    pub place: Place,
    /// `workers N`: threads that forward.
    pub workers: Option<u16>,
    /// `cores 2-3`: the cores workers are pinned to, in order.
    pub cores: Vec<u16>,
    /// `memory MIB`: memory for packets, in MiB.
    pub memory_mib: Option<u32>,
    /// False after `no hugepages`.
    pub hugepages: bool,
    /// `max-sessions N`: sessions that all workers hold together.
    pub max_sessions: Option<u32>,
}

impl Default for Platform {
    fn default() -> Platform {
        Platform {
            place: Place::default(),
            workers: None,
            cores: Vec::new(),
            memory_mib: None,
            hugepages: true,
            max_sessions: None,
        }
    }
}

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
    pub nat: Option<NatSide>,
    /// `ip mtu BYTES`
    pub ip_mtu_bytes: Option<u16>,
    /// `ip tcp adjust-mss BYTES`
    pub adjust_mss_bytes: Option<u16>,
    /// `ip access-group ACL in`
    pub access_group_in: Option<AccessGroup>,
    /// `ip access-group ACL out`
    pub access_group_out: Option<AccessGroup>,
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

/// The side of the translator that an interface is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatSide {
    /// Towards the subscribers.
    Inside,
    /// Towards the Internet.
    Outside,
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

/// `prometheus exporter ADDRESS PORT`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exporter {
    /// Where it stands.
    pub place: Place,
    /// Where metrics are served.
    pub socket: SocketAddrV4,
}

/// `logging ...`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `logging host A`
    pub hosts: Vec<Ipv4Addr>,
    /// `logging trap SEVERITY`: the least severe messages sent to the hosts, as a syslog number from 0 to 7.
    pub trap: Option<u8>,
    /// `logging console [SEVERITY]` or `no logging console`
    pub console: Option<ConsoleLogging>,
}

/// Which messages go to the standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleLogging {
    /// None.
    Off,
    /// Those as severe as this, a syslog number from 0 to 7.
    Severity(u8),
}

impl Logging {
    /// The severity that `logging trap` has without being configured: informational.
    pub const TRAP_DEFAULT: u8 = 6;
    /// What `logging console` has without being configured: informational.
    pub const CONSOLE_DEFAULT: ConsoleLogging = ConsoleLogging::Severity(6);
    /// What `logging console` has without a severity: debugging.
    pub const CONSOLE_ALL: ConsoleLogging = ConsoleLogging::Severity(7);
}
