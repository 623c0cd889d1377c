//! How mappings, filters and ports behave.

use super::Deterministic;
use crate::flow::Protocol;

/// `ip nat settings mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A session per peer.
    #[default]
    Default,
    /// One session for all peers of a UDP or ICMP mapping; no destination is kept (RFC 6888).
    Cgn,
}

/// Who outside may send to a mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Everyone.
    EndpointIndependent,
    /// Addresses that the inside endpoint sent to.
    AddressDependent,
    /// Addresses and ports that the inside endpoint sent to.
    #[default]
    AddressAndPortDependent,
}

/// How a global port is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortChoice {
    /// The inside port where it is free; otherwise at random (RFC 6056, RFC 6888 REQ-15).
    pub preserve: bool,
    /// Even ports get even ports (RFC 4787 REQ-4).
    pub parity: bool,
    /// First and last of the high ports handed out where an interface's address is overloaded.
    pub interface_range: (u16, u16),
}

impl Default for PortChoice {
    fn default() -> PortChoice {
        PortChoice { preserve: true, parity: true, interface_range: (1024, u16::MAX) }
    }
}

/// `ip nat settings pap`: a subscriber's mappings share one global address, strictly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pairing {
    /// The most subscribers of one global address.
    pub subscribers_max: u32,
    /// Another address helps out when the paired one has no port left (RFC 7857 section 4).
    pub is_soft: bool,
}

/// `ip nat settings pap bpa`: subscribers get ports in sets, `start + k * step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Ports of a set.
    pub size: u16,
    /// Distance between them.
    pub step: u16,
    /// Sets that one subscriber may have.
    pub per_subscriber_max: u8,
}

/// How mappings, filters and ports behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Sessions per peer, or per mapping.
    pub mode: Mode,
    /// Filtering of inbound packets.
    pub filtering: Filtering,
    /// Port choice.
    pub ports: PortChoice,
    /// Ports never handed out where an interface's address is overloaded.
    pub interface_blocked: Vec<(Protocol, u16)>,
    /// Strict pairing.
    pub pairing: Option<Pairing>,
    /// Port sets.
    pub blocks: Option<Blocks>,
    /// Deterministic NAT: ports computed from the inside address (RFC 7422).
    pub deterministic: Vec<Deterministic>,
    /// How long a freed port is not given to another host, in milliseconds (RFC 6888 REQ-8).
    pub hold_down_ms: u32,
    /// The most ports held down at once.
    pub held_down_max: u32,
    /// Refused flows are told "administratively prohibited" rather than "host unreachable".
    pub tells_prohibited: bool,
    /// An unsolicited inbound SYN is answered after six seconds (RFC 5382 REQ-4).
    pub answers_unsolicited_syn: bool,
    /// A rule with overload gives hosts that use protocols without ports a whole address; otherwise such packets
    /// are dropped, since one of them would keep an address from everyone else.
    pub maps_portless: bool,
    /// Packets from outside to inside hosts' own addresses are dropped, whether rules concern the hosts or not.
    pub drops_inside_local: bool,
    /// The journal tells of every session, besides bindings and port sets.
    pub records_sessions: bool,
}
