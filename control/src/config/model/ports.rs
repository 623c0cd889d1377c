//! Protocols with ports, and ranges of ports.

use std::fmt::{self, Display};

use alg::Transport;
use dataplane::flow::{Protocol, TCP, UDP};

/// The protocols with ports that rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortProtocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl PortProtocol {
    /// Its number in the IP header.
    pub fn number(self) -> Protocol {
        match self {
            PortProtocol::Tcp => TCP,
            PortProtocol::Udp => UDP,
        }
    }
}

impl Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PortProtocol::Tcp => "tcp",
            PortProtocol::Udp => "udp",
        })
    }
}

impl From<Transport> for PortProtocol {
    fn from(transport: Transport) -> PortProtocol {
        match transport {
            Transport::Tcp => PortProtocol::Tcp,
            Transport::Udp => PortProtocol::Udp,
        }
    }
}

impl From<PortProtocol> for Transport {
    fn from(protocol: PortProtocol) -> Transport {
        match protocol {
            PortProtocol::Tcp => Transport::Tcp,
            PortProtocol::Udp => Transport::Udp,
        }
    }
}

/// Ports from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub start: u16,
    /// The last port, not below the first.
    pub end: u16,
}

impl PortRange {
    /// How many ports there are, 1 to 65536.
    pub fn count(self) -> u32 {
        u32::from(self.end) - u32::from(self.start) + 1
    }
}

impl Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start == self.end {
            true => write!(f, "{}", self.start),
            false => write!(f, "{}-{}", self.start, self.end),
        }
    }
}
