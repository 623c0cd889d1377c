//! Deterministic NAT (RFC 7422): addresses and ports are computed from the inside address, and nothing needs to be remembered to
//! tell who had one.

use std::net::Ipv4Addr;

/// A mapping of deterministic NAT. Inside hosts are numbered through their prefixes; so many of them share each outside
/// address, and each has so many of the ports that are not reserved, in order. What is left of the ports is for
/// hosts that need more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deterministic {
    /// The inside hosts: first address and number of each stretch. RFC 7422 calls them I.
    pub inside: Vec<(Ipv4Addr, u32)>,
    /// Index of the pool of outside addresses, O.
    pub pool: u16,
    /// Ports that are not used, R: first and last of each range, ascending and apart.
    pub reserved: Vec<(u16, u16)>,
    /// Ports of each host.
    pub ports_per_host: u16,
    /// Hosts that share an address, C.
    pub hosts_per_address: u32,
    /// Ports that a host may have in all, M: its own and those that no host has.
    pub ports_max: u16,
}

/// The ports of an inside host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeterministicRange {
    /// Position of its address in the pool.
    pub position: u32,
    /// Its first port.
    pub first_port: u16,
    /// Its last port; reserved ports in between are not its.
    pub last_port: u16,
}

impl Deterministic {
    /// What an inside host has; none for hosts outside the prefixes.
    pub fn forward(&self, inside: Ipv4Addr) -> Option<DeterministicRange> {
        let mut number = 0;
        for &(first, count) in &self.inside {
            match inside.to_bits().checked_sub(first.to_bits()).filter(|&offset| offset < count) {
                Some(offset) => return self.of_number(number + offset),
                None => number += count,
            }
        }
        None
    }

    fn of_number(&self, number: u32) -> Option<DeterministicRange> {
        let (position, host) = (number / self.hosts_per_address, number % self.hosts_per_address);
        let first = host * u32::from(self.ports_per_host);
        let last = first + u32::from(self.ports_per_host) - 1;
        Some(DeterministicRange { position, first_port: self.port(first)?, last_port: self.port(last)? })
    }

    /// The inside host that a port of the address at a position belongs to; none for reserved ports and those
    /// that no host has.
    pub fn reverse(&self, position: u32, port: u16) -> Option<Ipv4Addr> {
        let host = self.rank(port)? / u32::from(self.ports_per_host);
        let mut number = position * self.hosts_per_address + host;
        if host >= self.hosts_per_address {
            return None;
        }
        for &(first, count) in &self.inside {
            if number < count {
                return Some(Ipv4Addr::from_bits(first.to_bits() + number));
            }
            number -= count;
        }
        None
    }

    /// The first port that no host has; none where hosts have all.
    pub fn first_dynamic_port(&self) -> Option<u16> {
        self.port(self.hosts_per_address * u32::from(self.ports_per_host))
    }

    /// Whether a port is reserved.
    pub fn is_reserved(&self, port: u16) -> bool {
        self.reserved.iter().any(|&(first, last)| (first..=last).contains(&port))
    }

    /// The port with so many ports before it that are not reserved.
    fn port(&self, rank: u32) -> Option<u16> {
        let mut port = rank;
        for &(first, last) in &self.reserved {
            if port >= u32::from(first) {
                port += u32::from(last) - u32::from(first) + 1;
            }
        }
        u16::try_from(port).ok()
    }

    /// How many ports before this one are not reserved; none for a reserved port.
    fn rank(&self, port: u16) -> Option<u32> {
        if self.is_reserved(port) {
            return None;
        }
        let below = self.reserved.iter().filter(|&&(_, last)| last < port);
        let reserved: u32 = below.map(|&(first, last)| u32::from(last - first) + 1).sum();
        Some(u32::from(port) - reserved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7422 section 2: fourteen hosts on one address, a seventh of the ports for all.
    fn example() -> Deterministic {
        Deterministic {
            inside: vec![(Ipv4Addr::new(198, 51, 100, 1), 14)],
            pool: 0,
            reserved: vec![(0, 1023)],
            ports_per_host: 4032,
            hosts_per_address: 14,
            ports_max: 5040,
        }
    }

    #[test]
    fn the_table_of_rfc_7422_section_2() {
        let example = example();
        let ports = |last| {
            example
                .forward(Ipv4Addr::new(198, 51, 100, last))
                .map(|c| (c.position, c.first_port, c.last_port))
        };
        assert_eq!(ports(1), Some((0, 1024, 5055)));
        assert_eq!(ports(2), Some((0, 5056, 9087)));
        assert_eq!(ports(14), Some((0, 53_440, 57_471)));
        assert_eq!(ports(15), None);
        assert_eq!(example.first_dynamic_port(), Some(57_472));
        assert_eq!(example.reverse(0, 57_472), None);
        assert_eq!(example.reverse(0, 1023), None);
    }

    #[test]
    fn every_port_leads_back_to_its_host() {
        let mut scattered = example();
        scattered.reserved = vec![(0, 1023), (5004, 5004), (5060, 5061)];
        scattered.inside = vec![(Ipv4Addr::new(10, 0, 0, 1), 20), (Ipv4Addr::new(10, 9, 0, 1), 30)];
        scattered.ports_per_host = 1000;
        let mut owned = std::collections::HashMap::new();
        for &(first, count) in &scattered.inside {
            for inside in (0..count).map(|n| Ipv4Addr::from_bits(first.to_bits() + n)) {
                let range = scattered.forward(inside).unwrap();
                let ports = (range.first_port..=range.last_port).filter(|&p| !scattered.is_reserved(p));
                for port in ports {
                    assert_eq!(scattered.reverse(range.position, port), Some(inside));
                    assert_eq!(
                        owned.insert((range.position, port), inside),
                        None,
                        "port {port} has two owners"
                    );
                }
            }
        }
        assert_eq!(owned.len(), 50 * 1000);
    }
}
