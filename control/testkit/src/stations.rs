//! The stations on the appliance's wires: their Ethernet addresses, their ARP, and which of them is the next hop.
use std::net::Ipv4Addr;

use control::config::model::{Config, Interface, RouteTarget};
use ipnet::Ipv4Net;

/// Ethernet broadcast.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// The Ethernet address of the station with an IPv4 address.
pub fn station_mac(addr: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = addr.octets();
    [0x02, 0xaa, a, b, c, d]
}

/// An ARP packet for Ethernet and IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 for a request, 2 for a reply.
    pub operation: u16,
    /// Who sends it, by Ethernet and IPv4.
    pub sender: ([u8; 6], Ipv4Addr),
    /// Whom it is about or for.
    pub target: ([u8; 6], Ipv4Addr),
}

impl Arp {
    /// The ARP packet in a frame, if it holds one.
    pub fn of_frame(frame: &[u8]) -> Option<Arp> {
        let start = if frame.get(12..14)? == [0x81, 0x00] { 18 } else { 14 };
        let bytes = frame.get(start..start + 28)?;
        if frame[start - 2..start] != [0x08, 0x06] || bytes[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let station = |at: usize| {
            let mac: [u8; 6] = bytes[at..at + 6].try_into().ok()?;
            Some((mac, Ipv4Addr::new(bytes[at + 6], bytes[at + 7], bytes[at + 8], bytes[at + 9])))
        };
        Some(Arp {
            operation: u16::from(bytes[6]) << 8 | u16::from(bytes[7]),
            sender: station(8)?,
            target: station(18)?,
        })
    }

    /// Its 28 bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 1, 8, 0, 6, 4];
        bytes.extend(self.operation.to_be_bytes());
        for (mac, addr) in [self.sender, self.target] {
            bytes.extend(mac);
            bytes.extend(addr.octets());
        }
        bytes
    }

    /// The answer of the station that a request asks for.
    pub fn answer(&self) -> Arp {
        Arp { operation: 2, sender: (station_mac(self.target.1), self.target.1), target: self.sender }
    }
}

/// An Ethernet frame.
pub fn frame(to: [u8; 6], from: [u8; 6], vlan: Option<u16>, ethertype: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(18 + body.len());
    frame.extend(to);
    frame.extend(from);
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(body);
    frame
}

fn holds(interface: &Interface, addr: Ipv4Addr) -> bool {
    interface.addresses.iter().any(|own| own.network.contains(&addr))
}

/// The station that a packet leaving by an interface goes to, by the configured routes: the destination itself on
/// the interface's own subnets, else the next hop of the longest route that leads out there.
pub fn next_hop(config: &Config, interface: &Interface, destination: Ipv4Addr) -> Ipv4Addr {
    if holds(interface, destination) {
        return destination;
    }
    let mut best: Option<(Ipv4Net, Ipv4Addr)> = None;
    for route in config.routes.iter().filter(|route| route.prefix.contains(&destination)) {
        let hop = match &route.target {
            RouteTarget::NextHop(hop) if holds(interface, *hop) => *hop,
            RouteTarget::Interface(name, hop) if *name == interface.name => hop.unwrap_or(destination),
            _ => continue,
        };
        if best.is_none_or(|(prefix, _)| prefix.prefix_len() < route.prefix.prefix_len()) {
            best = Some((route.prefix, hop));
        }
    }
    best.map_or(destination, |(_, hop)| hop)
}

/// The Ethernet address of the station that a packet goes to: the configured one, or its usual one.
pub fn next_hop_mac(config: &Config, interface: &Interface, destination: Ipv4Addr) -> [u8; 6] {
    let hop = next_hop(config, interface, destination);
    let configured = config.arp_entries.iter().find(|entry| entry.address == hop);
    configured.map_or_else(|| station_mac(hop), |entry| entry.mac.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arp_is_read_as_it_is_written() {
        let asks = Arp {
            operation: 1,
            sender: ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1)),
            target: ([0; 6], Ipv4Addr::new(10, 0, 0, 2)),
        };
        let bytes = frame(BROADCAST, asks.sender.0, Some(7), 0x0806, &asks.bytes());
        assert_eq!(Arp::of_frame(&bytes), Some(asks));
        assert_eq!(asks.answer().sender.0, [0x02, 0xaa, 10, 0, 0, 2]);
    }
}
