//! Packets as the reference sees them: who sends what to whom, and the bytes that a translation makes of them.

use std::net::Ipv4Addr;

use super::facts::{Endpoint, ICMP, TCP, UDP};
use crate::checksum;
use crate::dissect::{self, Dissection};
use crate::packet::{DF, Ipv4, MORE, seal_header};

/// What a packet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ports, or an ICMP query's identifier, or none at all.
    Flow,
    /// An ICMP error about the packet it quotes.
    Error,
    /// A fragment that is not the first.
    LaterFragment,
}

/// A packet, or one that an error quotes.
#[derive(Clone, Debug)]
pub struct View {
    /// The IP protocol.
    pub protocol: u8,
    /// Source, with port; an ICMP query has its identifier here if it is a request.
    pub src: Endpoint,
    /// Destination, with port; an ICMP query has its identifier here if it is a reply.
    pub dst: Endpoint,
    /// What it is about.
    pub kind: Kind,
    /// TCP flags.
    pub flags: u8,
    /// TCP sequence number.
    pub seq: u32,
    /// What TCP acknowledges.
    pub ack: u32,
    /// ICMP type.
    pub icmp_type: u8,
    /// Hops left.
    pub ttl: u8,
    /// IP identification.
    pub id: u16,
    /// More fragments follow.
    pub has_more: bool,
}

impl View {
    /// A packet's own view.
    pub fn of(packet: &[u8]) -> View {
        View::at(packet, &Dissection::of_packet(packet), 0)
    }

    /// The view of the packet that an error quotes.
    pub fn quoted(packet: &[u8]) -> View {
        View::at(packet, &Dissection::of_packet(packet), 1)
    }

    fn at(packet: &[u8], layout: &Dissection, depth: u8) -> View {
        let value = |name| layout.value(packet, depth, name).unwrap_or(0);
        let protocol = value("protocol") as u8;
        let icmp_type = value("type") as u8;
        let address = |name| Ipv4Addr::from_bits(value(name) as u32);
        let (src_port, dst_port) = match (protocol, icmp_type) {
            (TCP | UDP, _) => (value("sport") as u16, value("dport") as u16),
            (ICMP, 8 | 13) => (value("id") as u16, 0),
            (ICMP, 0 | 14) => (0, value("id") as u16),
            _ => (0, 0),
        };
        let kind = match () {
            () if value("frag") != 0 => Kind::LaterFragment,
            () if protocol == ICMP && matches!(icmp_type, 3 | 4 | 5 | 11 | 12) => Kind::Error,
            () => Kind::Flow,
        };
        View {
            protocol,
            src: (address("src"), src_port),
            dst: (address("dst"), dst_port),
            kind,
            flags: value("flags") as u8,
            seq: value("seq") as u32,
            ack: value("ack") as u32,
            icmp_type,
            ttl: value("ttl") as u8,
            id: value("ip-id") as u16,
            has_more: value("mf") != 0,
        }
    }

    /// Whether it is an ICMP query that asks.
    pub fn is_request(&self) -> bool {
        self.protocol == ICMP && matches!(self.icmp_type, 8 | 13)
    }

    /// Whether it is an ICMP query that answers.
    pub fn is_reply(&self) -> bool {
        self.protocol == ICMP && matches!(self.icmp_type, 0 | 14)
    }
}

/// What a translation replaces: endpoints of the packet, and of the packet it quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The new source.
    pub src: Option<Endpoint>,
    /// The new destination.
    pub dst: Option<Endpoint>,
    /// The quoted packet's new source.
    pub quoted_src: Option<Endpoint>,
    /// The quoted packet's new destination.
    pub quoted_dst: Option<Endpoint>,
    /// A new identification, which a translator gives to all fragments of a datagram (RFC 7857 section 10).
    pub id: Option<u16>,
    /// Only addresses change: the packet shows no ports.
    pub is_address_only: bool,
}

/// The bytes of a packet once it is forwarded with these edits: a hop less, and every checksum as it should be.
pub fn forwarded(before: &[u8], edits: &Edits) -> Vec<u8> {
    let layout = Dissection::of_packet(before);
    let mut bytes = before.to_vec();
    let mut set = |depth, name: &str, value: u64| {
        if let Some(field) = layout.field(depth, name) {
            dissect::set(&mut bytes, field, value);
        }
    };
    let ttl = layout.value(before, 0, "ttl").unwrap_or(0);
    set(0, "ttl", ttl.saturating_sub(1));
    if let Some(id) = edits.id {
        set(0, "ip-id", u64::from(id));
    }
    for (depth, is_src, end) in [
        (0, true, edits.src),
        (0, false, edits.dst),
        (1, true, edits.quoted_src),
        (1, false, edits.quoted_dst),
    ] {
        let Some((addr, port)) = end else { continue };
        set(depth, if is_src { "src" } else { "dst" }, u64::from(addr.to_bits()));
        let is_error = depth == 0 && edits.quoted_src.or(edits.quoted_dst).is_some();
        if edits.is_address_only || is_error {
            continue;
        }
        let protocol = layout.value(before, depth, "protocol").unwrap_or(0) as u8;
        match (protocol, layout.value(before, depth, "type").unwrap_or(0), is_src) {
            (TCP | UDP, _, true) => set(depth, "sport", u64::from(port)),
            (TCP | UDP, _, false) => set(depth, "dport", u64::from(port)),
            (ICMP, 8 | 13, true) | (ICMP, 0 | 14, false) => set(depth, "id", u64::from(port)),
            _ => {}
        }
    }
    // Sites are found by protocol and position, which no edit changes.
    checksum::reseal(&mut bytes, &layout.sites, before, &layout.sites);
    bytes
}

/// A packet with right checksums, of a header's fields and what follows it. Fragments are cut from one.
pub fn packet(protocol: u8, src: Ipv4Addr, dst: Ipv4Addr, ttl: u8, id: u16, body: &[u8]) -> Vec<u8> {
    // The service and DF are anything that follows from the identification, so that they vary.
    let fragment = if id.is_multiple_of(4) { DF } else { 0 };
    Ipv4 { tos: id as u8, id, fragment, ttl, ..Ipv4::new((src, dst), protocol) }.sealed(body)
}

/// Cuts a packet into fragments at these positions of its body, multiples of eight.
pub fn fragments(whole: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let body = &whole[20..];
    let mut ends = cuts.to_vec();
    ends.push(body.len());
    let mut start = 0;
    let mut pieces = Vec::new();
    for end in ends {
        let mut piece = whole[..20].to_vec();
        piece.extend(&body[start..end]);
        let more = if end < body.len() { MORE } else { 0 };
        piece[6..8].copy_from_slice(&(more | (start / 8) as u16).to_be_bytes());
        seal_header(&mut piece);
        pieces.push(piece);
        start = end;
    }
    pieces
}
