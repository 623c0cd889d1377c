//! IPv4 packets from what stands in their headers, for tests that make many; and what is seen of one.
//!
//! A packet with more to say than these know is written in the notation, and made by [`crate::build`].

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use crate::checksum::{add, sum};
use crate::dissect::Dissection;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;

/// TCP flags.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// PSH.
pub const PSH: u8 = 0x08;
/// ACK.
pub const ACK: u8 = 0x10;

/// The packet may not be fragmented.
pub const DF: u16 = 0x4000;
/// More fragments follow.
pub const MORE: u16 = 0x2000;
/// What is no fragment has neither this nor an offset.
const FRAGMENT: u16 = 0x3fff;

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4 {
    /// From and to where.
    pub ends: (Ipv4Addr, Ipv4Addr),
    /// What it carries.
    pub protocol: u8,
    /// Type of service.
    pub tos: u8,
    /// Identification.
    pub id: u16,
    /// Flags, and the fragment's offset in units of eight bytes.
    pub fragment: u16,
    /// Time to live.
    pub ttl: u8,
}

impl Ipv4 {
    /// A header as most packets have it.
    pub fn new(ends: (Ipv4Addr, Ipv4Addr), protocol: u8) -> Ipv4 {
        Ipv4 { ends, protocol, tos: 0, id: 1, fragment: 0, ttl: 64 }
    }

    /// The packet, with what it carries as that is given.
    pub fn around(&self, carried: &[u8]) -> Vec<u8> {
        let mut packet = Vec::with_capacity(20 + carried.len());
        packet.extend([0x45, self.tos, 0, 0]);
        packet.extend([self.id, self.fragment].map(u16::to_be_bytes).concat());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.ends.0.octets());
        packet.extend(self.ends.1.octets());
        packet.extend(carried);
        seal_header(&mut packet);
        packet
    }

    /// The packet, with the checksum of what it carries besides.
    pub fn sealed(&self, carried: &[u8]) -> Vec<u8> {
        let mut packet = self.around(carried);
        seal(&mut packet);
        packet
    }
}

/// A TCP header.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Source and destination.
    pub ports: (u16, u16),
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

impl Tcp {
    /// The segment, without its checksum. Options are whole words.
    pub fn around(&self, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut segment = [self.ports.0, self.ports.1].map(u16::to_be_bytes).concat();
        segment.extend([self.seq, self.ack].map(u32::to_be_bytes).concat());
        segment.extend([(5 + options.len() / 4) as u8 * 16, self.flags]);
        segment.extend([self.window, 0, self.urgent].map(u16::to_be_bytes).concat());
        segment.extend(options);
        segment.extend(payload);
        segment
    }
}

/// A UDP header without checksum, and its payload.
pub fn udp((sport, dport): (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut datagram = [sport, dport, 8 + payload.len() as u16, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    datagram
}

/// An ICMP message without checksum: type and code, the four bytes behind it, and its payload.
pub fn icmp((kind, code): (u8, u8), rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], &rest, payload].concat()
}

/// Makes a packet with right checksums.
pub fn ipv4(ends: (Ipv4Addr, Ipv4Addr), protocol: u8, carried: &[u8]) -> Vec<u8> {
    Ipv4::new(ends, protocol).sealed(carried)
}

/// Makes a TCP segment. Options are whole words.
pub fn segment(
    (src, dst): (SocketAddrV4, SocketAddrV4),
    (seq, ack, flags): (u32, u32, u8),
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header = Tcp { ports: (src.port(), dst.port()), seq, ack, flags, window: 0xffff, urgent: 0 };
    ipv4((*src.ip(), *dst.ip()), TCP, &header.around(options, payload))
}

/// Makes a datagram.
pub fn datagram((src, dst): (SocketAddrV4, SocketAddrV4), payload: &[u8]) -> Vec<u8> {
    ipv4((*src.ip(), *dst.ip()), UDP, &udp((src.port(), dst.port()), payload))
}

/// Makes a fragment: identification, flags and offset, and what it carries as that is given.
pub fn fragment(
    ends: (Ipv4Addr, Ipv4Addr),
    protocol: u8,
    (id, fragment): (u16, u16),
    carried: &[u8],
) -> Vec<u8> {
    Ipv4 { id, fragment, ..Ipv4::new(ends, protocol) }.around(carried)
}

/// Makes the ICMP error that a router or host sends about a packet that is not delivered, or that is too long for a link of
/// 600 bytes. Eight bytes of a segment are enough to tell its number (RFC 792).
pub fn unreachable(by: Ipv4Addr, code: u8, about: &[u8]) -> Vec<u8> {
    let [a, b, c, d] = [12, 13, 14, 15].map(|at| about[at]);
    let [high, low] = 600u16.to_be_bytes();
    ipv4((by, Ipv4Addr::new(a, b, c, d)), ICMP, &icmp((3, code), [0, 0, high, low], &about[..28]))
}

fn header_len(packet: &[u8]) -> usize {
    usize::from(packet[0] & 0x0f) * 4
}

/// Writes the length and the checksum of a packet's header.
pub fn seal_header(packet: &mut [u8]) {
    let total_len = packet.len() as u16;
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet[10..12].fill(0);
    let header = !sum(&packet[..header_len(packet)]);
    packet[10..12].copy_from_slice(&header.to_be_bytes());
}

/// Writes the length and all checksums of a packet. That of a fragment is its whole packet's, and stays.
pub fn seal(packet: &mut [u8]) {
    seal_header(packet);
    let start = header_len(packet);
    let at = match packet[9] {
        TCP => start + 16,
        UDP => start + 6,
        ICMP => start + 2,
        _ => return,
    };
    let is_fragment = u16::from_be_bytes([packet[6], packet[7]]) & FRAGMENT != 0;
    if is_fragment || packet.len() < at + 2 {
        return;
    }
    packet[at..at + 2].fill(0);
    let check = match !transport_sum(packet) {
        // Zero says that there is none (RFC 768).
        0 if packet[9] == UDP => 0xffff,
        check => check,
    };
    packet[at..at + 2].copy_from_slice(&check.to_be_bytes());
}

/// The sum of what a packet carries, and of its pseudo header where it has one; all ones if the checksum in it is right.
pub fn transport_sum(packet: &[u8]) -> u16 {
    let carried = &packet[header_len(packet)..];
    let pseudo = match packet[9] {
        ICMP => 0,
        protocol => add(sum(&packet[12..20]), add(u16::from(protocol), carried.len() as u16)),
    };
    add(pseudo, sum(carried))
}

/// What carries what, and who talks.
#[derive(Clone, Debug)]
pub struct View {
    /// The IP protocol.
    pub protocol: u8,
    /// From where; the identifier of an ICMP query is its port.
    pub src: SocketAddrV4,
    /// To where.
    pub dst: SocketAddrV4,
    /// What kind of packet it is.
    pub kind: Kind,
    /// Where its payload is.
    pub payload: Range<usize>,
}

/// Kinds of packets that are treated differently.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A segment: sequence and acknowledgement number, flags.
    Segment(u32, u32, u8),
    /// A datagram or an ICMP query.
    Datagram,
    /// An ICMP error about this packet, from and to where.
    Error {
        /// The IP protocol of the quoted packet.
        protocol: u8,
        /// From where.
        src: SocketAddrV4,
        /// To where.
        dst: SocketAddrV4,
    },
    /// A fragment; the first one has ports.
    Fragment,
    /// Anything else.
    Other,
}

impl View {
    /// Reads a packet; none if its header is broken or its end missing.
    pub fn of(packet: &[u8]) -> Option<View> {
        let layout = Dissection::of_packet(packet);
        let number = |depth: u8, name: &str| layout.value(packet, depth, name);
        let is_whole = number(0, "total-length")? == packet.len() as u64;
        layout.ipv4.as_ref().filter(|_| is_whole)?;
        let protocol = number(0, "protocol")? as u8;
        let end = |depth: u8, addr: &'static str, port: &'static str, or: u64| {
            let addr = Ipv4Addr::from(number(depth, addr)? as u32);
            Some(SocketAddrV4::new(addr, number(depth, port).unwrap_or(or) as u16))
        };
        let is_query = protocol == ICMP && number(0, "id").is_some();
        let id = if is_query { number(0, "id")? } else { 0 };
        let is_fragment = number(0, "mf")? != 0 || number(0, "frag")? != 0;
        let kind = match protocol {
            _ if is_fragment => Kind::Fragment,
            TCP => match (number(0, "seq"), number(0, "ack"), number(0, "flags")) {
                (Some(seq), Some(ack), Some(flags)) => Kind::Segment(seq as u32, ack as u32, flags as u8),
                _ => Kind::Other,
            },
            UDP if number(0, "udp-length").is_some() => Kind::Datagram,
            ICMP if is_query => Kind::Datagram,
            ICMP => match number(1, "protocol") {
                Some(protocol) => Kind::Error {
                    protocol: protocol as u8,
                    src: end(1, "src", "sport", 0)?,
                    dst: end(1, "dst", "dport", 0)?,
                },
                None => Kind::Other,
            },
            _ => Kind::Other,
        };
        let payload = layout.range(0, "data").unwrap_or(packet.len()..packet.len());
        Some(View {
            protocol,
            src: end(0, "src", "sport", id)?,
            dst: end(0, "dst", "dport", id)?,
            kind,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::is_correct;

    fn ends() -> (SocketAddrV4, SocketAddrV4) {
        ("10.0.0.2:4000".parse().expect("one"), "198.51.100.7:21".parse().expect("another"))
    }

    #[test]
    fn a_segment_is_seen_as_it_was_made() {
        let packet = segment(ends(), (7, 9, PSH | ACK), &[1, 1, 5, 10, 0, 0, 0, 8, 0, 0, 0, 9], b"hello");
        let view = View::of(&packet).expect("a packet");
        assert!(matches!(view.kind, Kind::Segment(7, 9, flags) if flags == PSH | ACK));
        assert_eq!((view.src, view.dst, &packet[view.payload]), (ends().0, ends().1, &b"hello"[..]));
    }

    /// Checksums are found right by the code that reads packets, which shares none with the one that writes them.
    #[test]
    fn what_is_made_has_right_checksums() {
        let addresses = (*ends().0.ip(), *ends().1.ip());
        for packet in [
            segment(ends(), (7, 9, PSH | ACK), &[], b"odd"),
            datagram(ends(), b"four"),
            ipv4(addresses, ICMP, &icmp((8, 0), [0, 1, 0, 2], b"ping")),
            fragment(addresses, UDP, (5, MORE), &udp((1, 2), b"half of it")),
        ] {
            let layout = Dissection::of_packet(&packet);
            let mut whole = layout.sites.iter().filter(|site| site.is_whole);
            assert!(layout.value(&packet, 0, "total-length") == Some(packet.len() as u64));
            assert!(whole.all(|site| is_correct(&packet, site)), "{packet:02x?}");
        }
        let without = Ipv4::new(addresses, UDP).around(&udp((1, 2), b"none"));
        assert_eq!(without[26..28], [0; 2]);
    }
}
