//! Carries out the plan of a packet. Only this module changes bytes of forwarded packets. It cannot fail.

use mem::Packet;

use crate::flow::{
    Direction, Endpoint, ICMP, InterfaceIndex, Protocol, Selector, TCP, Tuple, UDP, UDP_LITE, Vrf,
};
use crate::head::{Head, Transport};
use crate::path::plan::{Edit, Plan};
use crate::state::session::{Flags, Session};
use crate::wire::bytes::{long, put_long, put_word, word};
use crate::wire::checksum::{Delta, checksum};
use crate::wire::{icmp, ipv4, tcp, udp};

#[inline]
fn put_addr(bytes: &mut [u8], at: usize, end: Endpoint) {
    put_long(bytes, at, end.addr.to_bits());
}

#[inline]
fn adjust(bytes: &mut [u8], at: usize, delta: Delta) {
    put_word(bytes, at, delta.apply(word(bytes, at)));
}

/// Adjusts a UDP checksum. Zero means that there is none, and stays (RFC 3022 section 4.1). A computed zero is written as
/// 0xffff.
#[inline]
fn adjust_udp(bytes: &mut [u8], at: usize, delta: Delta) {
    let old = word(bytes, at);
    if old != 0 {
        let new = delta.apply(old);
        put_word(bytes, at, if new == 0 { 0xffff } else { new });
    }
}

/// Adjusts the checksum of UDP-Lite or DCCP, which stands where UDP's does (RFC 3828 section 3.1, RFC 4340 section 5.1).
fn adjust_covered(transport: &mut [u8], protocol: Protocol, delta: Delta) {
    let Some(header) = transport.first_chunk_mut::<{ udp::LEN }>() else { return };
    if protocol == UDP_LITE {
        adjust_udp(header, udp::CHECKSUM, delta);
    } else {
        adjust(header, udp::CHECKSUM, delta);
    }
}

/// Changes a packet as planned.
#[inline(always)]
pub fn apply(packet: &mut Packet, plan: &Plan) {
    let bytes = packet.bytes_mut();
    let Some((before, transport)) = bytes.split_at_mut_checked(usize::from(plan.l4)) else { return };
    let Some(ip) = before.get_mut(usize::from(plan.l3)..).and_then(|ip| ip.first_chunk_mut()) else { return };
    apply_to_header(ip, plan);
    match plan.edit {
        Edit::None | Edit::Addresses => {}
        Edit::Covered => adjust_covered(transport, ip[ipv4::PROTOCOL], plan.l4_delta),
        Edit::Udp => {
            let Some(header) = transport.first_chunk_mut::<{ udp::LEN }>() else { return };
            header[0..2].copy_from_slice(&plan.src.port.to_be_bytes());
            header[2..4].copy_from_slice(&plan.dst.port.to_be_bytes());
            adjust_udp(header, udp::CHECKSUM, plan.l4_delta);
        }
        Edit::Tcp => {
            let Some(header) = transport.first_chunk_mut::<{ tcp::LEN }>() else { return };
            header[0..2].copy_from_slice(&plan.src.port.to_be_bytes());
            header[2..4].copy_from_slice(&plan.dst.port.to_be_bytes());
            adjust(header, tcp::CHECKSUM, plan.l4_delta);
        }
        Edit::IcmpQuery => {
            put_word(transport, icmp::ID, plan.src.port);
            adjust(transport, icmp::CHECKSUM, plan.l4_delta);
        }
        Edit::IcmpError => apply_to_quote(bytes, plan),
    }
    if plan.mss_max != 0 {
        limit_mss(packet.bytes_mut(), usize::from(plan.l4), plan.mss_max);
    }
}

/// Translates a hairpin like an outbound packet. Returns its new headers, as if it had just arrived on this interface.
pub fn hairpin(
    packet: &mut Packet,
    head: &Head,
    plan: &Plan,
    (interface, vrf): (InterfaceIndex, Vrf),
) -> Head {
    apply(packet, plan);
    let (src, dst, protocol) = match head.transport {
        // The tuple of an ICMP error is that of the packet it quotes, reversed.
        Transport::IcmpError { .. } => (plan.quoted_dst, plan.quoted_src, head.tuple.protocol),
        _ => (plan.src, plan.dst, head.tuple.protocol),
    };
    let dst = Endpoint::new(dst.addr, Selector::of(protocol).far_port(src.port, dst.port));
    let tuple = Tuple { src, dst, protocol, vrf };
    let (src, dst, id) = (plan.src.addr, plan.dst.addr, plan.new_id.unwrap_or(head.id));
    // A gateway may have made it longer.
    let total_len = word(packet.bytes(), usize::from(head.l3) + ipv4::TOTAL_LEN);
    Head { tuple, src, dst, interface, id, new_id: plan.new_id, total_len, ..*head }
}

/// Offset of the ports behind an IPv4 header without options.
const PORTS: usize = ipv4::LEN;

/// Offsets of an endpoint's address and port in a packet without IPv4 options.
const SOURCE: (usize, usize) = (ipv4::SRC, PORTS);
const DESTINATION: (usize, usize) = (ipv4::DST, PORTS + 2);

#[inline(always)]
fn put_end(headers: &mut [u8; ipv4::LEN + udp::LEN], (addr, port): (usize, usize), end: Endpoint) {
    put_addr(headers, addr, end);
    put_word(headers, port, end.port);
}

/// Changes addresses, ports and TTL of a whole UDP or TCP packet without IPv4 options: what [`apply`] does with a plan
/// of its session, in fewer steps.
#[inline(always)]
pub fn translate_plain(packet: &mut Packet, l3: u16, session: &Session, direction: Direction) {
    let Some(ip) = packet.bytes_mut().get_mut(usize::from(l3)..) else { return };
    let Some(headers) = ip.first_chunk_mut::<{ ipv4::LEN + udp::LEN }>() else { return };
    headers[ipv4::TTL] = headers[ipv4::TTL].wrapping_sub(1);
    // A session that serves every peer does not translate the peer.
    let has_peer = !session.flags.has(Flags::ANY_PEER);
    let (mut ip_delta, mut l4_delta) = (session.ip_delta, session.l4_delta);
    match direction {
        Direction::Outbound => {
            put_end(headers, SOURCE, session.inside_global());
            if has_peer {
                put_end(headers, DESTINATION, session.outside_global());
            }
        }
        Direction::Inbound => {
            (ip_delta, l4_delta) = (ip_delta.reverse(), l4_delta.reverse());
            put_end(headers, DESTINATION, session.inside_local());
            if has_peer {
                put_end(headers, SOURCE, session.outside_local());
            }
        }
    }
    adjust(headers, ipv4::CHECKSUM, ip_delta.and(Delta::HOP));
    if session.protocol == UDP {
        adjust_udp(headers, PORTS + udp::CHECKSUM, l4_delta);
    } else if let Some(field) =
        ip.get_mut(PORTS + tcp::CHECKSUM..).and_then(|rest| rest.first_chunk_mut::<2>())
    {
        adjust(field, 0, l4_delta);
    }
}

/// Changes TTL, addresses, identification and checksum of the IPv4 header.
#[inline]
fn apply_to_header(ip: &mut [u8; ipv4::LEN], plan: &Plan) {
    let ttl_and_protocol = word(ip, ipv4::TTL);
    let decremented = ttl_and_protocol.wrapping_sub(if plan.keeps_ttl { 0 } else { 0x0100 });
    put_word(ip, ipv4::TTL, decremented);
    let mut delta = Delta::word(ttl_and_protocol, decremented);
    if plan.edit != Edit::None {
        put_addr(ip, ipv4::SRC, plan.src);
        put_addr(ip, ipv4::DST, plan.dst);
        delta = delta.and(plan.ip_delta);
    }
    if let Some(id) = plan.new_id {
        delta = delta.and(Delta::word(word(ip, ipv4::ID), id));
        put_word(ip, ipv4::ID, id);
    }
    adjust(ip, ipv4::CHECKSUM, delta);
}

/// Lowers the maximum segment size that a SYN announces (RFC 9293 section 3.7.1).
fn limit_mss(bytes: &mut [u8], l4: usize, mss_max: u16) {
    let header_len = bytes.get(l4 + tcp::OFFSET).map_or(0, |offset| usize::from(offset >> 4) * 4);
    let Some(header) = bytes.get_mut(l4..l4 + header_len) else { return };
    let Some(at) = tcp::mss_position(header) else { return };
    if word(header, at) <= mss_max {
        return;
    }
    // The option may start at an odd offset. Comparing the checksums of the whole header is right for any offset.
    let before = checksum(header);
    put_word(header, at, mss_max);
    let after = checksum(header);
    adjust(header, tcp::CHECKSUM, Delta::word(!before, !after));
}

/// Restores the packet that an ICMP error quotes: addresses, ports, and the checksums as far as they are
/// quoted (RFC 5508 REQ-4). What lies past the quoted headers is left alone (RFC 4884 extensions, padding).
fn apply_to_quote(bytes: &mut [u8], plan: &Plan) {
    let (l3, l4) = (usize::from(plan.quoted_l3), usize::from(plan.quoted_l4));
    let end = bytes.len().min(l4 + tcp::CHECKSUM + 4);
    let Some(before) = bytes.get(l3..end).map(checksum) else { return };

    let addresses = Delta::address(long(bytes, l3 + ipv4::SRC), plan.quoted_src.addr.to_bits())
        .and(Delta::address(long(bytes, l3 + ipv4::DST), plan.quoted_dst.addr.to_bits()));
    put_addr(bytes, l3 + ipv4::SRC, plan.quoted_src);
    put_addr(bytes, l3 + ipv4::DST, plan.quoted_dst);
    adjust(bytes, l3 + ipv4::CHECKSUM, addresses);

    let protocol = bytes.get(l3 + ipv4::PROTOCOL).copied().unwrap_or(0);
    match protocol {
        TCP | UDP => {
            let ports = Delta::word(word(bytes, l4), plan.quoted_src.port)
                .and(Delta::word(word(bytes, l4 + 2), plan.quoted_dst.port));
            put_word(bytes, l4, plan.quoted_src.port);
            put_word(bytes, l4 + 2, plan.quoted_dst.port);
            if protocol == UDP {
                adjust_udp(bytes, l4 + udp::CHECKSUM, addresses.and(ports));
            } else {
                adjust(bytes, l4 + tcp::CHECKSUM, addresses.and(ports));
            }
        }
        ICMP => {
            let id = Delta::word(word(bytes, l4 + icmp::ID), plan.quoted_src.port);
            put_word(bytes, l4 + icmp::ID, plan.quoted_src.port);
            adjust(bytes, l4 + icmp::CHECKSUM, id);
        }
        _ => {}
    }

    let after = bytes.get(l3..end).map_or(before, checksum);
    adjust(bytes, usize::from(plan.l4) + icmp::CHECKSUM, Delta::word(!before, !after));
}
