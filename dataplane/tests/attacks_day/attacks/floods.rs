//! What fills tables with sessions.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use testkit::packet::{ACK, SYN, segment};

use super::field::{ACCOMPLICE, Field, INFECTED_OF_INTERFACE};
use crate::network::PUBLISHED;

const SERVER: SocketAddrV4 = SocketAddrV4::new(PUBLISHED, 80);
/// The published port at which nobody answers.
const SILENT: SocketAddrV4 = SocketAddrV4::new(PUBLISHED, 9000);
const ONE_PEER: SocketAddrV4 = SocketAddrV4::new(ACCOMPLICE, 443);

pub fn syns(field: &mut Field) {
    let stranger = field.stranger();
    field.segment(Side::Outside, (stranger, SERVER), SYN);
}

/// All that one side can say of a handshake without seeing the other's number.
pub fn handshakes(field: &mut Field) {
    let (stranger, own, global) = (field.stranger(), field.infected(), field.global());
    let (side, ends) = match field.below(3) {
        0 => (Side::Outside, (stranger, SERVER)),
        1 => (Side::Outside, (stranger, global)),
        _ => (Side::Inside, (own, stranger)),
    };
    let (seq, ack) = (field.number(), field.number());
    for (seq, ack, flags) in [(seq, 0, SYN), (seq, ack, SYN | ACK), (seq.wrapping_add(1), ack, ACK)] {
        field.send(side, segment(ends, (seq, ack, flags), &[], &[]));
    }
}

pub fn datagrams(field: &mut Field) {
    let stranger = field.stranger();
    field.datagram(Side::Outside, (stranger, SILENT), b"x");
}

pub fn made_up_datagrams(field: &mut Field) {
    let ends = (field.made_up(), field.stranger());
    field.datagram(Side::Inside, ends, b"x");
}

pub fn made_up_syns(field: &mut Field) {
    let ends = (field.made_up(), field.stranger());
    field.segment(Side::Inside, ends, SYN);
}

fn flow(field: &mut Field, ends: (SocketAddrV4, SocketAddrV4)) {
    match field.below(2) {
        0 => field.segment(Side::Inside, ends, SYN),
        _ => field.datagram(Side::Inside, ends, b"x"),
    }
}

pub fn infected_to_many(field: &mut Field) {
    let ends = (field.infected(), field.stranger());
    flow(field, ends);
}

pub fn infected_to_one(field: &mut Field) {
    let own = field.infected();
    flow(field, (own, ONE_PEER));
}

/// It wants all of the few ports of the interface, and low ones.
pub fn infected_of_interface(field: &mut Field) {
    let port = if field.below(4) == 0 { 1 + field.below(1023) as u16 } else { field.port() };
    flow(field, (SocketAddrV4::new(INFECTED_OF_INTERFACE, port), ONE_PEER));
}

/// Whole handshakes with an accomplice.
pub fn established(field: &mut Field) {
    field.outwards(443);
}

/// Strangers whom the inside knows by another address, half of them a few that come again and again.
pub fn outside_pool(field: &mut Field) {
    let is_one_of_few = field.below(2) == 0;
    let number = if is_one_of_few { 0x80_0000 + field.below(40) } else { field.number() >> 8 };
    let addr = Ipv4Addr::from_bits(0x0b00_0000 | number);
    let stranger = SocketAddrV4::new(addr, field.port());
    match field.below(2) {
        0 => field.segment(Side::Outside, (stranger, SERVER), SYN),
        _ => field.datagram(Side::Outside, (stranger, SILENT), b"x"),
    }
}
