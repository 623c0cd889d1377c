//! Guesses at connections of the witnesses. The one guess in 65,536 that may be right is for `blind_attacks` to count; here
//! all of them are wrong.

use std::net::Ipv4Addr;

use alg::Side;
use testkit::packet::{ACK, FIN, RST, SYN, datagram, segment, unreachable};

use super::field::Field;

const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
/// How far a wrong number is from the right one, at least.
const FAR: u32 = 1 << 25;

/// A segment in the name of one end.
fn guess(field: &mut Field, by: Side, flags: u8) {
    let (number, distance) = (field.number() as usize, FAR + (field.number() >> 1));
    let one = field.witnesses.connection(number);
    let seq = one.next[by as usize].wrapping_add(distance);
    let packet = one.says_at(by, (seq, flags), &[]);
    field.network.send(by, &packet);
}

fn side(field: &mut Field) -> Side {
    if field.below(2) == 0 { Side::Inside } else { Side::Outside }
}

pub fn resets(field: &mut Field) {
    let by = side(field);
    let flags = [RST, RST | ACK, FIN | ACK][field.below(3) as usize];
    guess(field, by, flags);
}

pub fn resets_then_syns(field: &mut Field) {
    guess(field, Side::Outside, RST);
    guess(field, Side::Outside, SYN);
}

/// ICMP errors about segments that were never sent, and about datagrams that were.
pub fn errors(field: &mut Field) {
    let (number, distance) = (field.number() as usize, FAR + (field.number() >> 1));
    let one = field.witnesses.connection(number);
    let seq = one.next[0].wrapping_add(distance);
    let mut about = segment((one.global, one.peer), (seq, 0, ACK), &[], &[]);
    if field.below(4) == 0 {
        let (peer, global) = field.witnesses.exchange_ends(number);
        about = datagram((global, peer), b"x");
    }
    let error = unreachable(ROUTER, field.below(5) as u8, &about);
    field.network.send(Side::Outside, &error);
}
