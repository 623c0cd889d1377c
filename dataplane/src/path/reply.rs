//! What the box says itself: echo replies, and ICMP errors about packets it dropped.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::Notice;
use crate::flow::ICMP;
use crate::head::{Head, Transport};
use crate::wire::bytes::{put_long, put_word, word};
use crate::wire::checksum::{Delta, checksum};
use crate::wire::{icmp, ipv4};

/// TTL of packets that start here (RFC 1700).
const TTL: u8 = 64;
/// The longest ICMP error (RFC 1812 section 4.3.2.3).
const NOTICE_LEN_MAX: usize = 576;

/// Turns an echo request to the box into its reply, in place, or a fragment of one into the reply's. Offsets stay those of
/// `head`.
pub fn answer_echo(packet: &mut Packet, head: &Head) {
    let (l3, l4) = (usize::from(head.l3), usize::from(head.l4));
    let bytes = packet.bytes_mut();
    let Some((headers, message)) = bytes.split_at_mut_checked(l4) else { return };
    let header = &mut headers[l3..];
    header[ipv4::TTL] = TTL;
    put_long(header, ipv4::SRC, head.dst.to_bits());
    put_long(header, ipv4::DST, head.src.to_bits());
    put_word(header, ipv4::CHECKSUM, 0);
    let sum = checksum(header);
    put_word(header, ipv4::CHECKSUM, sum);
    if head.transport == Transport::LaterFragment {
        return;
    }
    let before = word(message, 0);
    message[0] = icmp::ECHO_REPLY;
    if head.is_fragment {
        // The sum is over what other fragments have too.
        let change = Delta::word(before, word(message, 0));
        let sum = word(message, icmp::CHECKSUM);
        put_word(message, icmp::CHECKSUM, change.apply(sum));
    } else {
        finish_message(message);
    }
}

/// Writes an ICMP error about `original`, which starts with its IPv4 header, into an empty packet, from the
/// IPv4 header on. Returns false when the notice says to be silent or there is no room.
#[must_use]
pub fn write_notice(packet: &mut Packet, notice: Notice, mtu: u16, from: Ipv4Addr, original: &[u8]) -> bool {
    let Some((kind, code)) = type_and_code(notice) else { return false };
    let quoted = original.len().min(NOTICE_LEN_MAX - ipv4::LEN - icmp::LEN);
    let len = ipv4::LEN + icmp::LEN + quoted;
    if quoted < ipv4::LEN || !packet.resize(len) {
        return false;
    }
    let (header, message) = packet.bytes_mut().split_at_mut(ipv4::LEN);
    header.fill(0);
    // Precedence 6, internetwork control, as RFC 1812 section 4.3.2.5 asks.
    (header[0], header[1]) = (0x45, 0xc0);
    put_word(header, ipv4::TOTAL_LEN, len as u16);
    (header[ipv4::TTL], header[ipv4::PROTOCOL]) = (TTL, ICMP);
    put_long(header, ipv4::SRC, from.to_bits());
    put_long(header, ipv4::DST, ipv4::addr(original, ipv4::SRC).to_bits());
    let sum = checksum(header);
    put_word(header, ipv4::CHECKSUM, sum);

    message[..icmp::LEN].fill(0);
    (message[0], message[1]) = (kind, code);
    put_word(message, icmp::NEXT_MTU, mtu);
    message[icmp::LEN..].copy_from_slice(&original[..quoted]);
    finish_message(message);
    true
}

/// Writes the checksum of an ICMP message.
fn finish_message(message: &mut [u8]) {
    put_word(message, icmp::CHECKSUM, 0);
    let sum = checksum(message);
    put_word(message, icmp::CHECKSUM, sum);
}

fn type_and_code(notice: Notice) -> Option<(u8, u8)> {
    match notice {
        Notice::Silent => None,
        Notice::NetUnreachable => Some((3, 0)),
        Notice::HostUnreachable => Some((3, 1)),
        Notice::PortUnreachable => Some((3, 3)),
        Notice::FragmentationNeeded => Some((3, 4)),
        Notice::AdministrativelyProhibited => Some((3, 13)),
        Notice::TtlExceeded => Some((11, 0)),
    }
}
