//! Pools, rules and timeouts of `ip nat`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::super::interface_name::InterfaceName;
use super::{Place, VrfLeak};

/// Everything under `ip nat`, but for the interfaces' sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nat {
    /// `ip nat pool ...`
    pub pools: Vec<Pool>,
    /// `ip nat inside source list ...`
    pub dynamic_rules: Vec<DynamicRule>,
    /// `ip nat inside source static ...`
    pub static_rules: Vec<StaticRule>,
    /// `ip nat translation KIND ...`, only values other than the default.
    pub timeouts: BTreeMap<TimeoutKind, Timeout>,
    /// `ip nat translation port-timeout ...`
    pub port_timeouts: Vec<PortTimeout>,
    /// `ip nat route vrf ...`
    pub vrf_leaks: Vec<VrfLeak>,
}

impl Nat {
    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.name == name)
    }

    /// The VRF that each statement names, if it names one, with the statement's place.
    pub fn vrfs(&self) -> impl Iterator<Item = (Place, Option<&str>)> {
        self.vrf_leaks.iter().map(|leak| (leak.place, Some(leak.vrf.as_str())))
    }

    /// The timeout of a kind, configured or default.
    pub fn timeout(&self, kind: TimeoutKind) -> Timeout {
        self.timeouts.get(&kind).copied().unwrap_or(kind.default())
    }
}

/// `ip nat pool NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Where it stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// Its addresses; every range lies within one network of the mask.
    pub ranges: Vec<AddressRange>,
    /// The length of the mask, 1 to 32 bits. The mask's network and broadcast addresses are not handed out.
    pub prefix_length: u8,
    /// How addresses are chosen.
    pub kind: PoolKind,
}

/// Addresses from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Where it stands.
    pub place: Place,
    /// The first address.
    pub start: Ipv4Addr,
    /// The last address, not below the first.
    pub end: Ipv4Addr,
}

impl AddressRange {
    /// Whether the address is in the range.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.start..=self.end).contains(&address)
    }
}

/// How a pool chooses an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolKind {
    /// Any free address.
    #[default]
    Generic,
    /// The address whose host part equals the subscriber's.
    MatchHost,
    /// The addresses in turn: the real servers of a virtual one.
    Rotary,
}

/// `ip nat inside source list ACL {pool POOL | interface IFACE} [overload]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicRule {
    /// Where it stands.
    pub place: Place,
    /// The list that selects what is translated; no two rules have the same.
    pub access_list: String,
    /// Where global addresses come from.
    pub target: DynamicTarget,
    /// Whether subscribers share an address by its ports; always true of an interface.
    pub overload: bool,
}

/// The source of a dynamic rule's global addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DynamicTarget {
    /// The pool of this name.
    Pool(String),
    /// The primary address of this interface.
    Interface(InterfaceName),
}

/// `ip nat inside source static ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRule {
    /// Where it stands.
    pub place: Place,
    /// What is mapped to what.
    pub mapping: StaticMapping,
    /// `extendable`: the local address may have other global ones. Implied by a port on a global address.
    pub extendable: bool,
    /// `no-alias`: the global address is not answered for.
    pub no_alias: bool,
    /// `no-payload`: no ALG rewrites what this mapping carries.
    pub no_payload: bool,
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

/// The protocols with ports that rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortProtocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// The kinds of `ip nat translation KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeoutKind {
    /// Address-only translations, and whatever has no timer of its own.
    Simple,
    /// Established TCP.
    Tcp,
    /// PPTP.
    Pptp,
    /// UDP.
    Udp,
    /// TCP after a FIN from both ways, or a RST.
    FinRst,
    /// TCP after a SYN only.
    Syn,
    /// Port 53.
    Dns,
    /// ICMP queries.
    Icmp,
    /// Half entries made by a route-map.
    RouteMapEntry,
    /// ARP ping.
    ArpPing,
}

/// A row of [`TIMEOUTS`].
pub struct TimeoutRow {
    /// The kind.
    pub kind: TimeoutKind,
    /// Its keyword.
    pub keyword: &'static str,
    /// What holds unless configured, in seconds.
    pub default_s: u32,
}

/// Keywords and defaults of the timeouts, in the order of [`TimeoutKind`].
#[rustfmt::skip]
pub const TIMEOUTS: [TimeoutRow; 10] = [
    TimeoutRow { kind: TimeoutKind::Simple, keyword: "timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Tcp, keyword: "tcp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Pptp, keyword: "pptp-timeout", default_s: 86400 },
    TimeoutRow { kind: TimeoutKind::Udp, keyword: "udp-timeout", default_s: 300 },
    TimeoutRow { kind: TimeoutKind::FinRst, keyword: "finrst-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Syn, keyword: "syn-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Dns, keyword: "dns-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::Icmp, keyword: "icmp-timeout", default_s: 60 },
    TimeoutRow { kind: TimeoutKind::RouteMapEntry, keyword: "routemap-entry-timeout", default_s: 3600 },
    TimeoutRow { kind: TimeoutKind::ArpPing, keyword: "arp-ping-timeout", default_s: 60 },
];

impl TimeoutKind {
    /// What holds unless configured.
    pub fn default(self) -> Timeout {
        Timeout::Seconds(self.row().default_s)
    }

    /// The keyword after `ip nat translation`.
    pub fn keyword(self) -> &'static str {
        self.row().keyword
    }

    fn row(self) -> &'static TimeoutRow {
        &TIMEOUTS[self as usize]
    }
}

/// How long an idle translation lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds.
    Seconds(u32),
    /// Until it is cleared.
    Never,
}

/// `ip nat translation port-timeout {tcp|udp} PORT {SECONDS|never}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortTimeout {
    /// The protocol.
    pub protocol: PortProtocol,
    /// The inside local port.
    pub port: u16,
    /// The timeout of its translations.
    pub timeout: Timeout,
}
