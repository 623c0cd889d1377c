//! ARP packets (RFC 826): what one says, and how one is made.

use std::net::Ipv4Addr;

use dataplane::policy::Interface;
use dataplane::wire::arp;
pub use dataplane::wire::ethernet::BROADCAST;
use ipnet::Ipv4Net;

/// The operation that asks.
pub const REQUEST: u16 = 1;
/// The operation that answers.
pub const REPLY: u16 = 2;

/// An ARP packet's fields.
pub struct Arp {
    /// [`REQUEST`] or [`REPLY`].
    pub operation: u16,
    /// The sender's own address.
    pub sender_mac: [u8; 6],
    /// The sender.
    pub sender: Ipv4Addr,
    /// Who is asked for, or answered.
    pub target: Ipv4Addr,
}

impl Arp {
    /// From the hardware type on.
    pub fn read(bytes: &[u8; arp::LEN]) -> Arp {
        let addr = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        let mut sender_mac = [0; 6];
        sender_mac.copy_from_slice(&bytes[8..14]);
        Arp {
            operation: u16::from_be_bytes([bytes[6], bytes[7]]),
            sender_mac,
            sender: addr(14),
            target: addr(24),
        }
    }
}

/// An ARP frame from an interface.
pub fn arp_frame(
    interface: &Interface,
    operation: u16,
    sender: Ipv4Addr,
    to: [u8; 6],
    target: Ipv4Addr,
) -> Vec<u8> {
    let mut frame = Vec::with_capacity(18 + arp::LEN);
    frame.extend(to);
    frame.extend(interface.mac);
    if let Some(vlan) = interface.vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4]);
    frame.extend(operation.to_be_bytes());
    frame.extend(interface.mac);
    frame.extend(sender.octets());
    frame.extend(if to == BROADCAST { [0; 6] } else { to });
    frame.extend(target.octets());
    frame
}

/// The address of an interface in whose subnet another one lies.
pub fn subnet_address(interface: &Interface, addr: Ipv4Addr) -> Option<Ipv4Addr> {
    let holds = |&&(own, len): &&(Ipv4Addr, u8)| Ipv4Net::new(own, len).is_ok_and(|net| net.contains(&addr));
    interface.addresses.iter().find(holds).map(|&(own, _)| own)
}

/// The address to ask for another one from.
pub fn own_address(interface: &Interface, addr: Ipv4Addr) -> Option<Ipv4Addr> {
    let any_own = || interface.addresses.first().map(|&(own, _)| own);
    subnet_address(interface, addr).or_else(any_own)
}
