//! Packets a little unlike what the test kit makes.

use std::net::Ipv4Addr;

use testkit::packet::{self, UDP, seal_header};

/// A fragment of a datagram: its flags and offset, and what it carries.
pub fn fragment(ends: (Ipv4Addr, Ipv4Addr), id: u16, field: u16, bytes: &[u8]) -> Vec<u8> {
    packet::fragment(ends, UDP, (id, field), bytes)
}

/// A packet with another byte in its header.
pub fn with_byte(mut packet: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    packet[at] = byte;
    seal_header(&mut packet);
    packet
}
