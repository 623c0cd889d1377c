//! Guesses at connections of the witnesses. The one guess in 65,536 that may be right is for `blind_attacks` to count; here
//! all of them are wrong.

use std::net::Ipv4Addr;

use alg::Side;
use testkit::player::packet::{ACK, FIN, ICMP, RST, SYN, datagram, ipv4, segment};

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
    let mut quoted = segment((one.global, one.peer), (seq, 0, ACK), &[], &[]);
    let mut to = *one.global.ip();
    if field.below(4) == 0 {
        let (peer, global) = field.witnesses.exchange_ends(number);
        quoted = datagram((global, peer), b"x");
        to = *global.ip();
    }
    let mut message = vec![3, field.below(5) as u8, 0, 0, 0, 0];
    message.extend(600u16.to_be_bytes());
    message.extend(&quoted[..28]);
    field.network.send(Side::Outside, &ipv4((ROUTER, to), ICMP, &message));
}
