//! What makes the box tell the sender something, or look for somebody.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use testkit::packet::{SYN, datagram, segment};

use super::field::Field;
use crate::network::PUBLISHED;
use crate::packets::with_byte;

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub fn ttl(field: &mut Field) {
    let (stranger, own, made_up) = (field.stranger(), field.infected(), field.made_up());
    let (side, ends) = match field.below(3) {
        0 => (Side::Outside, (stranger, SocketAddrV4::new(PUBLISHED, 9000))),
        1 => (Side::Inside, (own, stranger)),
        _ => (Side::Inside, (made_up, stranger)),
    };
    field.send(side, with_byte(datagram(ends, b"x"), 8, 1));
}

pub fn too_big(field: &mut Field) {
    let ends = (field.infected(), field.stranger());
    field.send(Side::Inside, with_byte(datagram(ends, &[0; 1400]), 6, 0x40));
}

pub fn unroutable(field: &mut Field) {
    let nowhere = SocketAddrV4::new(Ipv4Addr::from_bits(0xc612_0000 | field.below(1 << 17)), 9);
    let (side, from) = match field.below(3) {
        0 => (Side::Inside, field.made_up()),
        1 => (Side::Inside, field.infected()),
        _ => (Side::Outside, field.stranger()),
    };
    field.datagram(side, (from, nowhere), b"x");
}

/// Ports of the pool that nobody has, and of the box itself.
pub fn closed(field: &mut Field) {
    let (stranger, global) = (field.stranger(), field.global());
    let seq = field.number();
    match field.below(3) {
        0 => field.send(Side::Outside, segment((stranger, global), (seq, 0, SYN), &[], &[])),
        1 => field.datagram(Side::Outside, (stranger, global), b"x"),
        _ => field.datagram(Side::Outside, (stranger, SocketAddrV4::new(OWN, 161)), b"x"),
    }
}

/// Stations on the box's subnets that are not there.
pub fn neighbours(field: &mut Field) {
    let number = 2 + field.below(250) as u8;
    let (side, from, to) = match field.below(2) {
        0 => (Side::Inside, field.infected(), Ipv4Addr::new(192, 0, 2, number)),
        _ => (Side::Outside, field.stranger(), Ipv4Addr::new(10, 1, 0, number)),
    };
    field.datagram(side, (from, SocketAddrV4::new(to, 9)), b"x");
}
