//! Packets of captures: what is where in them, and the same packets with other numbers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use crate::build;
use crate::checksum;
use crate::dissect::{Dissection, Site, SiteKind};
use crate::spec::{PacketSpec, Quote, Shape, Value};

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;

/// The longest packet of a link, in bytes.
const MTU: usize = 1500;

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

/// Changes to a packet.
#[derive(Default)]
pub struct Changes {
    /// Fields of the packet.
    pub fields: Vec<(&'static str, u64)>,
    /// Fields of the packet that it quotes.
    pub quoted: Vec<(&'static str, u64)>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Its TCP options.
    pub options: Option<Vec<u8>>,
}

/// The same packet with changes, and checksums as right or as wrong as they were.
///
/// # Errors
/// A change that the packet has no place for.
pub fn changed(packet: &[u8], changes: Changes) -> Result<Vec<u8>, String> {
    let layout = Dissection::of_packet(packet);
    let value = |name| layout.value(packet, 0, name).unwrap_or(0);
    let shape = match (layout.field(0, "sport"), value("protocol") as u8) {
        (Some(_), TCP) => Shape::Tcp,
        (Some(_), UDP) => Shape::Udp,
        (_, ICMP) => Shape::Icmp,
        _ => Shape::Ip,
    };
    let mut spec = PacketSpec::new(shape);
    let set = |(name, value): (&'static str, u64)| (name, Value::Is(value));
    spec.settings = changes.fields.into_iter().map(set).collect();
    // The kit thinks of what a router does; this is still on its way there.
    spec.settings.push(("ttl", Value::Is(value("ttl"))));
    spec.settings.push(("protocol", Value::Is(value("protocol"))));
    spec.data = changes.payload;
    spec.tcp_options = changes.options;
    if !changes.quoted.is_empty() {
        let mut quoted = PacketSpec::new(Shape::Ip);
        quoted.settings = changes.quoted.into_iter().map(set).collect();
        spec.quote = Some(Quote::Packet(Box::new(quoted)));
    }
    build::forwarded(packet, &spec)
}

/// Makes a TCP segment. Options are whole words.
pub fn segment(
    (src, dst): (SocketAddrV4, SocketAddrV4),
    (seq, ack, flags): (u32, u32, u8),
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend(src.port().to_be_bytes());
    transport.extend(dst.port().to_be_bytes());
    transport.extend(seq.to_be_bytes());
    transport.extend(ack.to_be_bytes());
    transport.extend([(5 + options.len() / 4) as u8 * 16, flags, 0xff, 0xff, 0, 0, 0, 0]);
    transport.extend(options);
    transport.extend(payload);
    ipv4((*src.ip(), *dst.ip()), TCP, &transport)
}

/// Makes a datagram.
pub fn datagram((src, dst): (SocketAddrV4, SocketAddrV4), payload: &[u8]) -> Vec<u8> {
    let mut transport = Vec::new();
    transport.extend(src.port().to_be_bytes());
    transport.extend(dst.port().to_be_bytes());
    transport.extend((8 + payload.len() as u16).to_be_bytes());
    transport.extend([0, 0]);
    transport.extend(payload);
    ipv4((*src.ip(), *dst.ip()), UDP, &transport)
}

/// Puts an IPv4 header in front of a transport, and computes the checksums.
pub fn ipv4((src, dst): (Ipv4Addr, Ipv4Addr), protocol: u8, transport: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + transport.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(transport);
    let layout = Dissection::of_packet(&packet);
    checksum::seal(&mut packet, &layout.sites);
    packet
}

/// A captured packet as it was on the wire: where the sender's network card computes checksums and cuts long segments,
/// a capture on the sender has neither. One that was to expire at the next router expires at the one behind the appliance,
/// which is a hop more.
pub fn as_sent(packet: &[u8]) -> Vec<Vec<u8>> {
    let Some(View { kind, payload, .. }) = View::of(packet) else { return vec![packet.to_vec()] };
    let mut packet = packet.to_vec();
    let layout = Dissection::of_packet(&packet);
    let is_wrong = |site: &&Site| site.depth == 0 && site.is_whole && !checksum::is_correct(&packet, site);
    let wrong: Vec<Site> = layout.sites.iter().filter(is_wrong).cloned().collect();
    checksum::seal(&mut packet, &wrong);
    if packet[8] == 1 {
        packet[8] = 2;
        let of_header: Vec<Site> =
            layout.sites.iter().filter(|site| site.kind == SiteKind::Ipv4).cloned().collect();
        checksum::seal(&mut packet, &of_header);
    }
    let Kind::Segment(seq, _, flags) = kind else { return vec![packet] };
    if packet.len() <= MTU {
        return vec![packet];
    }
    let data = packet[payload.clone()].to_vec();
    let parts = data.chunks(MTU - payload.start).enumerate().map(|(n, part)| {
        let at = n * (MTU - payload.start);
        let is_last = at + part.len() == data.len();
        let flags = if is_last { flags } else { flags & !(FIN | PSH) };
        let fields = vec![("seq", u64::from(seq.wrapping_add(at as u32))), ("flags", u64::from(flags))];
        changed(&packet, Changes { fields, payload: Some(part.to_vec()), ..Changes::default() })
    });
    parts.collect::<Result<_, _>>().unwrap_or_else(|_| vec![packet.clone()])
}

/// The first checksum that is wrong.
pub fn wrong_checksum(packet: &[u8]) -> Option<String> {
    let layout = Dissection::of_packet(packet);
    let own = layout.sites.iter().filter(|site| site.depth == 0 && site.is_whole);
    let mut wrong = own.filter(|site| !checksum::is_correct(packet, site));
    wrong.next().map(|site| format!("{:?}", site.kind))
}

/// Selective acknowledgements in TCP options: where each edge stands (RFC 2018).
pub fn sack_edges(options: &[u8]) -> Vec<usize> {
    let (mut at, mut edges) = (0, Vec::new());
    while let Some(&kind) = options.get(at) {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => options.get(at + 1).map_or(0, |len| usize::from(*len)),
        };
        if len == 0 || at + len > options.len() {
            break;
        }
        if kind == 5 {
            edges.extend((at + 2..at + len).step_by(4).filter(|edge| edge + 4 <= at + len));
        }
        at += len;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_seen_as_it_was_made() {
        let ends: (SocketAddrV4, SocketAddrV4) =
            ("10.0.0.2:4000".parse().expect("one"), "198.51.100.7:21".parse().expect("one"));
        let packet = segment(ends, (7, 9, PSH | ACK), &[1, 1, 5, 10, 0, 0, 0, 8, 0, 0, 0, 9], b"hello");
        let view = View::of(&packet).expect("a packet");
        assert!(matches!(view.kind, Kind::Segment(7, 9, flags) if flags == PSH | ACK));
        assert_eq!((view.src, view.dst, &packet[view.payload]), (ends.0, ends.1, &b"hello"[..]));
        assert_eq!(sack_edges(&packet[40..52]), [4, 8]);
        let other = Changes { payload: Some(b"hi".into()), fields: vec![("seq", 8)], ..Changes::default() };
        let other = changed(&packet, other).expect("another packet");
        assert_eq!(
            (wrong_checksum(&other), View::of(&other).map(|view| view.payload.len())),
            (None, Some(2))
        );
    }
}
