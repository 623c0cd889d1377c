//! What agents hand to the network, and what it brings them.

use std::net::Ipv4Addr;

use super::message::Endpoint;

/// How signalling travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// In datagrams.
    Udp,
    /// In connections.
    Tcp,
}

impl Transport {
    /// Its name in a Via.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// A connection, by its number.
pub type Connection = usize;

/// Something to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// How.
    pub transport: Transport,
    /// From where; of a connection the address alone.
    pub from: Endpoint,
    /// To where.
    pub to: Endpoint,
    /// The connection to use as long as it lives.
    pub connection: Option<Connection>,
    /// What.
    pub bytes: Vec<u8>,
}

/// Something that arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// How.
    pub transport: Transport,
    /// From where, as its receiver sees it.
    pub from: Endpoint,
    /// Where it arrived.
    pub to: Endpoint,
    /// The connection it came by.
    pub connection: Option<Connection>,
    /// What.
    pub bytes: Vec<u8>,
}

/// Whether an address is one that the appliance gives to inside hosts.
pub fn is_global(addr: Ipv4Addr) -> bool {
    addr.octets()[0] == 203
}

/// Whether it is an inside host's.
pub fn is_inside(addr: Ipv4Addr) -> bool {
    addr.octets()[..2] == [10, 0]
}
