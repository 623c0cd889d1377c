//! How mappings, filters and ports behave.

use std::net::Ipv4Addr;

use super::AclIndex;

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
    /// First and last port handed out where an interface's address is overloaded.
    pub interface_range: (u16, u16),
}

impl Default for PortChoice {
    fn default() -> PortChoice {
        PortChoice { preserve: true, parity: true, interface_range: (512, u16::MAX) }
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

/// Ports computed from the inside address (RFC 7422).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deterministic {
    /// The inside prefix: first address and number of hosts.
    pub inside: (Ipv4Addr, u32),
    /// The pool of outside addresses.
    pub pool: u16,
    /// The access list of who is translated this way.
    pub acl: Option<AclIndex>,
    /// First port that is handed out.
    pub first_port: u16,
    /// Ports of each host.
    pub ports_per_host: u16,
    /// Hosts that share an address.
    pub hosts_per_address: u32,
    /// Ports that a host may have in all, its own and those from the dynamic range at the end.
    pub ports_max: u16,
}

impl Deterministic {
    /// The address's position in the pool, and the first port, of an inside host.
    pub fn forward(&self, inside: Ipv4Addr) -> Option<(u32, u16)> {
        let offset = inside.to_bits().checked_sub(self.inside.0.to_bits()).filter(|&o| o < self.inside.1)?;
        let (position, host) = (offset / self.hosts_per_address, offset % self.hosts_per_address);
        let first = u32::from(self.first_port) + host * u32::from(self.ports_per_host);
        Some((position, u16::try_from(first).ok()?))
    }

    /// The inside host that a port of the address at a position belongs to; none for dynamic ports.
    pub fn reverse(&self, position: u32, port: u16) -> Option<Ipv4Addr> {
        let host = u32::from(port.checked_sub(self.first_port)?) / u32::from(self.ports_per_host.max(1));
        let offset = position * self.hosts_per_address + host;
        let is_of_a_host = host < self.hosts_per_address && offset < self.inside.1;
        is_of_a_host.then(|| Ipv4Addr::from_bits(self.inside.0.to_bits() + offset))
    }

    /// The first port that belongs to no host.
    pub fn first_dynamic_port(&self) -> u32 {
        u32::from(self.first_port) + self.hosts_per_address * u32::from(self.ports_per_host)
    }
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
    /// Strict pairing.
    pub pairing: Option<Pairing>,
    /// Port sets.
    pub blocks: Option<Blocks>,
    /// Computed ports.
    pub deterministic: Option<Deterministic>,
    /// How long a freed port is not given to another host, in milliseconds (RFC 6888 REQ-8).
    pub hold_down_ms: u32,
    /// Refused flows are told "administratively prohibited" rather than "host unreachable".
    pub tells_prohibited: bool,
    /// An unsolicited inbound SYN is answered after six seconds (RFC 5382 REQ-4).
    pub answers_unsolicited_syn: bool,
    /// A rule with overload gives hosts that use protocols without ports a whole address; otherwise such packets
    /// are dropped, since one of them would keep an address from everyone else.
    pub maps_portless: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7422 section 2: fourteen hosts on one address, a sixth of the ports dynamic.
    fn example() -> Deterministic {
        Deterministic {
            inside: (Ipv4Addr::new(198, 51, 100, 1), 14),
            pool: 0,
            acl: None,
            first_port: 1024,
            ports_per_host: 4032,
            hosts_per_address: 14,
            ports_max: 5040,
        }
    }

    #[test]
    fn the_table_of_rfc_7422_section_2() {
        let example = example();
        let host = |last| Ipv4Addr::new(198, 51, 100, last);
        assert_eq!(example.forward(host(1)), Some((0, 1024)));
        assert_eq!(example.forward(host(2)), Some((0, 5056)));
        assert_eq!(example.forward(host(14)), Some((0, 53_440)));
        assert_eq!(example.forward(host(15)), None);
        assert_eq!(example.first_dynamic_port(), 57_472);
        assert_eq!(example.reverse(0, 57_472), None);
    }

    #[test]
    fn every_port_leads_back_to_its_host() {
        let example = example();
        for host in 0..14 {
            let inside = Ipv4Addr::from_bits(example.inside.0.to_bits() + host);
            let (position, first) = example.forward(inside).unwrap();
            for port in [first, first + 4031] {
                assert_eq!(example.reverse(position, port), Some(inside));
            }
        }
        assert_eq!(example.reverse(0, 1023), None);
    }
}
