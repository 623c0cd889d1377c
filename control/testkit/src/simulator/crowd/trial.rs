//! Packets to try an announced endpoint: a packet to it must arrive, and so must one from the host behind it.

use super::conversation::{Endpoint, Protocol, UDP};
use crate::packet::{self, Ipv4, SYN, Tcp};

/// An IPv4 packet that begins a flow: a SYN, or a UDP datagram.
pub fn packet(protocol: Protocol, from: Endpoint, to: Endpoint) -> Vec<u8> {
    let (header, ports) = (Ipv4::new((from.0, to.0), protocol), (from.1, to.1));
    if protocol == UDP {
        // Without a checksum, which is allowed (RFC 768).
        return header.around(&packet::udp(ports, &[0x80, 0x60]));
    }
    let syn = Tcp { ports, seq: 0x1234, ack: 0, flags: SYN, window: 0x2000, urgent: 0 };
    header.sealed(&syn.around(&[], &[]))
}
