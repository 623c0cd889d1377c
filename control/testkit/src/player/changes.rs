//! Packets of captures: the same packets with other numbers, and as they were on the wire.

use crate::build;
use crate::checksum;
use crate::dissect::{Dissection, Site, SiteKind};
use crate::packet::{FIN, ICMP, Kind, PSH, TCP, UDP, View};
use crate::spec::{PacketSpec, Quote, Shape, Value};

/// The longest packet of a link, in bytes.
const MTU: usize = 1500;

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
    use std::net::SocketAddrV4;

    use super::*;
    use crate::packet::{ACK, segment};

    #[test]
    fn a_packet_is_changed_and_sealed_again() {
        let ends: (SocketAddrV4, SocketAddrV4) =
            ("10.0.0.2:4000".parse().expect("one"), "198.51.100.7:21".parse().expect("one"));
        let packet = segment(ends, (7, 9, PSH | ACK), &[1, 1, 5, 10, 0, 0, 0, 8, 0, 0, 0, 9], b"hello");
        assert_eq!(sack_edges(&packet[40..52]), [4, 8]);
        let other = Changes { payload: Some(b"hi".into()), fields: vec![("seq", 8)], ..Changes::default() };
        let other = changed(&packet, other).expect("another packet");
        assert_eq!(
            (wrong_checksum(&other), View::of(&other).map(|view| view.payload.len())),
            (None, Some(2))
        );
    }
}
