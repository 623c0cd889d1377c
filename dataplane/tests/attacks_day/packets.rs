//! Packets that the test kit does not make.

use std::net::Ipv4Addr;

use testkit::player::packet::UDP;

/// Of a fragment: there are more behind it.
pub const MORE: u16 = 0x2000;

/// A fragment of a datagram: its flags and offset, and what it carries.
pub fn fragment((src, dst): (Ipv4Addr, Ipv4Addr), id: u16, field: u16, bytes: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + bytes.len() as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(field.to_be_bytes());
    packet.extend([64, UDP, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(bytes);
    seal(&mut packet);
    packet
}

/// A packet with another byte in its header.
pub fn with_byte(mut packet: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    packet[at] = byte;
    seal(&mut packet);
    packet
}

/// Computes the checksum of a header.
fn seal(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum: u32 = packet[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = !(folded + (folded >> 16)) as u16;
    packet[10..12].copy_from_slice(&folded.to_be_bytes());
}
