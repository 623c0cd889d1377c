//! What a packet is looked up by.

use std::fmt;
use std::net::Ipv4Addr;

use alg::{Side, Transport};

use serde::{Deserialize, Serialize};

/// An IP protocol number (RFC 5237).
pub type Protocol = u8;

/// ICMP.
pub const ICMP: Protocol = 1;
/// TCP.
pub const TCP: Protocol = 6;
/// UDP.
pub const UDP: Protocol = 17;

/// UDP-Lite (RFC 3828).
pub const UDP_LITE: Protocol = 136;
/// DCCP (RFC 4340).
pub const DCCP: Protocol = 33;

/// What packets of a protocol are told apart by, besides their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A port at each end.
    Ports,
    /// One identifier, which both ends show: that of an ICMP query.
    Identifier,
    /// Nothing that a NAT could change.
    Nothing,
}

impl Selector {
    /// The selector of a protocol.
    #[inline]
    pub const fn of(protocol: Protocol) -> Selector {
        match protocol {
            TCP | UDP => Selector::Ports,
            ICMP => Selector::Identifier,
            _ => Selector::Nothing,
        }
    }

    /// What packets show as the port of their far end, where that of the near one is `near`.
    #[inline]
    pub fn far_port(self, near: u16, far: u16) -> u16 {
        if self == Selector::Identifier { near } else { far }
    }
}

/// The IP protocol of a transport that gateways read.
pub fn protocol_of(transport: Transport) -> Protocol {
    match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
    }
}

/// The transport that gateways know a protocol as.
pub fn transport_of(protocol: Protocol) -> Option<Transport> {
    match protocol {
        TCP => Some(Transport::Tcp),
        UDP => Some(Transport::Udp),
        _ => None,
    }
}

/// A VRF by its index in the policy; 0 is the global table.
pub type Vrf = u16;

/// A worker's number.
pub type WorkerIndex = u8;

/// An interface by its index in the policy.
pub type InterfaceIndex = u16;

/// The most interfaces, sub-interfaces included, that one appliance has.
pub const INTERFACE_COUNT_MAX: usize = 1024;

/// Which way a packet crosses the NAT, seen from the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From inside to outside.
    Outbound,
    /// From outside to inside.
    Inbound,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Outbound, Direction::Inbound];

    /// The other one.
    pub fn reverse(self) -> Direction {
        match self {
            Direction::Outbound => Direction::Inbound,
            Direction::Inbound => Direction::Outbound,
        }
    }

    /// Which end of a packet that goes this way is the outside one.
    #[inline(always)]
    pub fn outside_end(self, src: Endpoint, dst: Endpoint) -> Endpoint {
        if self == Direction::Outbound { dst } else { src }
    }
}

impl From<Side> for Direction {
    /// That of packets from a side.
    #[inline(always)]
    fn from(side: Side) -> Direction {
        match side {
            Side::Inside => Direction::Outbound,
            Side::Outside => Direction::Inbound,
        }
    }
}

/// An address with a port. For ICMP queries the identifier stands in for the port; protocols without ports
/// have port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub addr: Ipv4Addr,
    /// Port or ICMP query identifier.
    pub port: u16,
}

impl Endpoint {
    /// An endpoint of its parts.
    pub const fn new(addr: Ipv4Addr, port: u16) -> Endpoint {
        Endpoint { addr, port }
    }

    /// Its address alone.
    pub fn without_port(self) -> Endpoint {
        Endpoint { port: 0, ..self }
    }

    /// An endpoint of the same address, so many ports on.
    pub fn behind(self, ports: u16) -> Endpoint {
        Endpoint { port: self.port.wrapping_add(ports), ..self }
    }

    /// The endpoint of [`Endpoint::bits`].
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Endpoint {
        Endpoint { addr: Ipv4Addr::from_bits((bits >> 16) as u32), port: bits as u16 }
    }

    /// Both parts in one word, for hashing and comparing.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        u64::from(self.addr.to_bits()) << 16 | u64::from(self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.addr, self.port)
    }
}

/// The flow a packet belongs to, in the direction it travels. For an ICMP error it is the quoted packet's,
/// reversed: the flow the error would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Where it comes from.
    pub src: Endpoint,
    /// Where it goes to.
    pub dst: Endpoint,
    /// The IP protocol.
    pub protocol: Protocol,
    /// The VRF of the interface it arrived on.
    pub vrf: Vrf,
}

impl Tuple {
    /// The flow of the answers.
    pub fn reverse(self) -> Tuple {
        Tuple { src: self.dst, dst: self.src, ..self }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = protocol_name(self.protocol);
        write!(f, "{name} {} > {}", self.src, self.dst)?;
        if self.vrf == 0 { Ok(()) } else { write!(f, " vrf {}", self.vrf) }
    }
}

/// The protocol's name as the `show` commands print it; its number where it has none there.
pub fn protocol_name(protocol: Protocol) -> std::borrow::Cow<'static, str> {
    match protocol {
        ICMP => "icmp".into(),
        TCP => "tcp".into(),
        UDP => "udp".into(),
        47 => "gre".into(),
        50 => "esp".into(),
        51 => "ah".into(),
        132 => "sctp".into(),
        number => number.to_string().into(),
    }
}
