//! Fragments of packets that are never whole.

use std::net::SocketAddrV4;

use alg::Side;
use testkit::packet::{MORE, datagram};

use super::field::Field;
use crate::network::PUBLISHED;
use crate::packets::fragment;

const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";

/// A part of a datagram, from a unit of eight bytes to another.
fn part(ends: (SocketAddrV4, SocketAddrV4), id: u16, (from, to): (u16, u16), more: u16) -> Vec<u8> {
    let whole = datagram(ends, &[QUESTION, &[0; 2000]].concat());
    let bytes = &whole[20 + usize::from(from) * 8..20 + usize::from(to) * 8];
    fragment((*ends.0.ip(), *ends.1.ip()), id, from | more, bytes)
}

/// Who sends, and to whom.
fn way(field: &mut Field) -> (Side, (SocketAddrV4, SocketAddrV4)) {
    let stranger = field.stranger();
    match field.below(4) {
        0 => (Side::Inside, (field.infected(), stranger)),
        1 => (Side::Outside, (stranger, SocketAddrV4::new(PUBLISHED, 9000))),
        2 => (Side::Outside, (stranger, field.global())),
        _ => (Side::Outside, (field.accomplice(53), field.global())),
    }
}

pub fn first(field: &mut Field) {
    let ((side, ends), id) = (way(field), field.number() as u16);
    field.send(side, part(ends, id, (0, 6), MORE));
}

pub fn later(field: &mut Field) {
    let ((side, ends), id) = (way(field), field.number() as u16);
    let from = 1 + field.below(90) as u16;
    for from in [from, from + 20, from + 40] {
        field.send(side, part(ends, id, (from, from + 6), MORE));
    }
}

pub fn overlapping(field: &mut Field) {
    let ((side, ends), id) = (way(field), field.number() as u16);
    field.send(side, part(ends, id, (0, 6), MORE));
    for from in [2, 5, 10, 7] {
        field.send(side, part(ends, id, (from, from + 6), MORE));
    }
}

/// Questions of the infected host, and answers, that are read once they are whole.
pub fn dns(field: &mut Field) {
    let (own, id) = (field.infected(), field.number() as u16);
    let server = field.accomplice(53);
    let global =
        field.network.pass(Side::Inside, &datagram((own, server), QUESTION)).first().map(|seen| seen.src);
    let Some(global) = global else { return };
    field.send(Side::Outside, part((server, global), id, (0, 6), MORE));
    field.send(Side::Outside, part((server, global), id, (12, 18), MORE));
    field.send(Side::Inside, part((own, server), id, (0, 6), MORE));
    let stranger = field.stranger();
    field.send(Side::Outside, part((stranger, SocketAddrV4::new(PUBLISHED, 53)), id, (0, 6), MORE));
}
