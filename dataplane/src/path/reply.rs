//! What the box says itself: echo replies, and ICMP errors about packets it dropped.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::Notice;
use crate::path::parse::{Head, Transport};
use crate::wire::checksum::checksum;

const IPV4_LEN: usize = 20;
const ICMP_LEN: usize = 8;
/// TTL of packets that start here (RFC 1700).
const TTL: u8 = 64;
/// The longest ICMP error (RFC 1812 section 4.3.2.3).
const NOTICE_LEN_MAX: usize = 576;

/// Turns an echo request to the box into its reply, in place. Offsets stay those of `head`.
pub fn answer_echo(packet: &mut Packet, head: &Head) {
    let (l3, l4) = (usize::from(head.l3), usize::from(head.l4));
    let bytes = packet.bytes_mut();
    let Some((headers, message)) = bytes.split_at_mut_checked(l4) else { return };
    let header = &mut headers[l3..];
    header[8] = TTL;
    header[12..16].copy_from_slice(&head.dst.octets());
    header[16..20].copy_from_slice(&head.src.octets());
    header[10..12].fill(0);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    message[0] = 0;
    message[2..4].fill(0);
    let sum = checksum(message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Whether an ICMP error may be sent about a packet at all (RFC 1812 section 4.3.2.7).
pub fn may_notify(head: &Head) -> bool {
    !matches!(head.transport, Transport::IcmpError { .. } | Transport::LaterFragment)
}

/// Writes an ICMP error about `original`, which starts with its IPv4 header, into an empty packet, from the
/// IPv4 header on. Returns false when the notice says to be silent or there is no room.
#[must_use]
pub fn write_notice(packet: &mut Packet, notice: Notice, mtu: u16, from: Ipv4Addr, original: &[u8]) -> bool {
    let Some((kind, code)) = type_and_code(notice) else { return false };
    let quoted = original.len().min(NOTICE_LEN_MAX - IPV4_LEN - ICMP_LEN);
    let len = IPV4_LEN + ICMP_LEN + quoted;
    if quoted < IPV4_LEN || !packet.resize(len) {
        return false;
    }
    let (header, message) = packet.bytes_mut().split_at_mut(IPV4_LEN);
    header.fill(0);
    // Precedence 6, internetwork control, as RFC 1812 section 4.3.2.5 asks.
    (header[0], header[1]) = (0x45, 0xc0);
    header[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    (header[8], header[9]) = (TTL, crate::flow::ICMP);
    header[12..16].copy_from_slice(&from.octets());
    header[16..20].copy_from_slice(&original[12..16]);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());

    message[..ICMP_LEN].fill(0);
    (message[0], message[1]) = (kind, code);
    message[6..8].copy_from_slice(&mtu.to_be_bytes());
    message[ICMP_LEN..].copy_from_slice(&original[..quoted]);
    let sum = checksum(message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    true
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

/// A token bucket for notices: so many at once, and so many a second.
#[derive(Debug)]
pub struct NoticeBudget {
    tokens: u32,
    refilled_ms: u32,
}

/// Notices in a row, and per second.
const NOTICES_MAX: u32 = 100;
const NOTICE_EVERY_MS: u32 = 5;

impl NoticeBudget {
    /// A full bucket at `now`.
    pub fn new(now: u32) -> NoticeBudget {
        NoticeBudget { tokens: NOTICES_MAX, refilled_ms: now }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: u32) -> bool {
        let gained = now.wrapping_sub(self.refilled_ms) / NOTICE_EVERY_MS;
        if gained > 0 {
            self.tokens = self.tokens.saturating_add(gained).min(NOTICES_MAX);
            self.refilled_ms = self.refilled_ms.wrapping_add(gained * NOTICE_EVERY_MS);
        }
        let is_left = self.tokens > 0;
        self.tokens -= u32::from(is_left);
        is_left
    }
}
