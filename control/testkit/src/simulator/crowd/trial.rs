//! Trying announced endpoints: what is sent to one of them, or from behind it, must arrive.

use super::conversation::{Endpoint, Protocol, UDP};
use crate::simulator::link;

/// An IPv4 packet that begins something: a SYN, or a datagram.
pub fn packet(protocol: Protocol, from: Endpoint, to: Endpoint) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend(from.0.octets());
    bytes.extend(to.0.octets());
    bytes.extend(from.1.to_be_bytes());
    bytes.extend(to.1.to_be_bytes());
    if protocol == UDP {
        // Without a checksum, which is allowed (RFC 768); then two bytes of data.
        bytes.extend([0, 10, 0, 0, 0x80, 0x60]);
        bytes[2..4].copy_from_slice(&30u16.to_be_bytes());
        let check = !crate::checksum::sum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&check.to_be_bytes());
    } else {
        bytes.extend([0, 0, 0x12, 0x34, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0, 0, 0, 0]);
        link::seal(&mut bytes, 20);
    }
    bytes
}
