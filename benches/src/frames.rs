//! Frames made from templates: only addresses, ports, the flow's number and both checksums are written anew.

use std::ops::Range;

use clap::ValueEnum;
use dataplane::flow::Direction;

use crate::flows::Endpoint;

/// Ethernet and IPv4 headers; there are no options.
pub const L4: usize = 34;
/// The fields of both addresses.
const ADDRESSES: Range<usize> = 26..34;
/// The frame check sequence, which frame sizes include and buffers do not.
pub const FCS_LEN: usize = 4;

/// What the packets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Connections; each is set up by a handshake.
    Tcp,
    /// Echo requests and replies.
    Icmp,
}

impl Protocol {
    /// The number in the IPv4 header.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Icmp => 1,
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    /// Where the payload starts in a frame.
    pub fn payload_at(self) -> usize {
        L4 + if self == Protocol::Tcp { 20 } else { 8 }
    }

    fn checksum_at(self) -> usize {
        L4 + match self {
            Protocol::Icmp => 2,
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        }
    }
}

/// A packet's part in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first of a flow: a SYN, for TCP.
    First,
    /// TCP's answer to it.
    SynAck,
    /// The end of TCP's handshake.
    Ack,
    /// Any other.
    Data,
}

/// TCP's flags by kind.
fn tcp_flags(kind: Kind) -> u8 {
    match kind {
        Kind::First => 0x02,
        Kind::SynAck => 0x12,
        Kind::Ack => 0x10,
        Kind::Data => 0x18,
    }
}

/// A frame of one length, direction and kind, without what differs from flow to flow.
pub struct Template {
    bytes: Vec<u8>,
    ip_sum: u32,
    l4_sum: u32,
}

/// The templates of a run.
pub struct Frames {
    /// The protocol of all.
    pub protocol: Protocol,
    /// Lengths in buffers, so without the frame check sequence.
    lens: Vec<usize>,
    templates: Vec<Template>,
}

/// The Ethernet addresses of one side: ours and the appliance's.
pub type Link = ([u8; 6], [u8; 6]);

const KINDS: [Kind; 4] = [Kind::First, Kind::SynAck, Kind::Ack, Kind::Data];

impl Frames {
    /// Templates for frames of these sizes, one after the other; each includes the frame check sequence. `links` are
    /// those of the inside and the outside.
    pub fn new(protocol: Protocol, sizes: &[usize], links: [Link; 2]) -> Frames {
        let lens: Vec<usize> = sizes.iter().map(|size| size - FCS_LEN).collect();
        let mut templates = Vec::new();
        for &len in &lens {
            for (direction, link) in [Direction::Outbound, Direction::Inbound].into_iter().zip(links) {
                templates.extend(KINDS.map(|kind| Template::new(protocol, len, direction, kind, link)));
            }
        }
        Frames { protocol, lens, templates }
    }

    /// How many sizes there are.
    pub fn size_count(&self) -> usize {
        self.lens.len()
    }

    /// Which of the sizes has this length in the buffer.
    pub fn size_of(&self, len: usize) -> Option<usize> {
        self.lens.iter().position(|&known| known == len)
    }

    /// The template of the `size`-th size.
    #[inline]
    pub fn template(&self, size: usize, direction: Direction, kind: Kind) -> &Template {
        &self.templates[size * 8 + usize::from(direction == Direction::Inbound) * 4 + kind as usize]
    }

    /// The flow a frame belongs to and its kind, read from its payload; none for a frame that is not one of ours.
    #[inline]
    pub fn recognise(&self, frame: &[u8]) -> Option<(u32, Kind)> {
        let mark = frame.get(self.protocol.payload_at()..)?.first_chunk::<6>()?;
        if frame[12..14] != [0x08, 0x00] || frame[23] != self.protocol.number() {
            return None;
        }
        let flow = u32::from_be_bytes([mark[0], mark[1], mark[2], mark[3]]);
        let kind = KINDS[usize::from(mark[5] & 3)];
        (u16::from_be_bytes([mark[4], mark[5]]) == tag(flow, kind)).then_some((flow, kind))
    }
}

/// What a payload has beside the flow's number: proof that it is one, and the packet's kind.
#[inline]
fn tag(flow: u32, kind: Kind) -> u16 {
    let proof = (flow.wrapping_mul(0x9e37_79b1) >> 16) as u16 ^ 0xa55a;
    (proof & !3) | kind as u16
}

impl Template {
    fn new(protocol: Protocol, len: usize, direction: Direction, kind: Kind, link: Link) -> Template {
        let mut bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        bytes[..6].copy_from_slice(&link.1);
        bytes[6..12].copy_from_slice(&link.0);
        let payload_at = protocol.payload_at();
        bytes[12..payload_at].fill(0);
        bytes[12..16].copy_from_slice(&[0x08, 0x00, 0x45, 0]);
        bytes[16..18].copy_from_slice(&((len - 14) as u16).to_be_bytes());
        bytes[20] = 0x40;
        (bytes[22], bytes[23]) = (64, protocol.number());
        let l4_len = (len - L4) as u16;
        match protocol {
            Protocol::Udp => bytes[38..40].copy_from_slice(&l4_len.to_be_bytes()),
            Protocol::Icmp => bytes[L4] = if direction == Direction::Outbound { 8 } else { 0 },
            Protocol::Tcp => {
                let (ours, theirs) =
                    if direction == Direction::Outbound { (1000, 5000) } else { (5000, 1000) };
                let begun = u32::from(matches!(kind, Kind::Ack | Kind::Data));
                bytes[38..42].copy_from_slice(&(ours + begun * 7u32).to_be_bytes());
                if kind != Kind::First {
                    bytes[42..46].copy_from_slice(&(theirs + 7u32).to_be_bytes());
                }
                (bytes[46], bytes[47]) = (0x50, tcp_flags(kind));
                bytes[48..50].copy_from_slice(&0xffffu16.to_be_bytes());
            }
        }
        bytes[payload_at..payload_at + 6].fill(0);
        let pseudo = u32::from(protocol.number()) + u32::from(l4_len);
        let l4_sum = sum(&bytes[L4..]) + if protocol == Protocol::Icmp { 0 } else { pseudo };
        Template { ip_sum: sum(&bytes[14..L4]), l4_sum, bytes }
    }

    /// Length in the buffer.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no byte, which it always has.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a frame, as long as the template, has its payload, but for the mark of the flow.
    pub fn has_payload_of(&self, protocol: Protocol, frame: &[u8]) -> bool {
        let rest = protocol.payload_at() + 6;
        self.bytes[rest..] == frame[rest..]
    }

    /// Whether a frame has the template's transport header, but for ports and checksum.
    pub fn has_transport_of(&self, protocol: Protocol, frame: &[u8]) -> bool {
        let own = match protocol {
            Protocol::Udp => 38..40,
            Protocol::Tcp => 38..50,
            Protocol::Icmp => 34..36,
        };
        let rest = if protocol == Protocol::Icmp { 40..42 } else { 0..0 };
        self.bytes[own.clone()] == frame[own] && self.bytes[rest.clone()] == frame[rest]
    }

    /// Writes the frame of a flow into `frame`, which is as long as the template.
    #[inline]
    pub fn write(
        &self,
        protocol: Protocol,
        frame: &mut [u8],
        (src, dst): (Endpoint, Endpoint),
        flow: u32,
        kind: Kind,
    ) {
        // Nearly all frames are of the smallest size, for which a copy of known length is a few instructions.
        match (frame.first_chunk_mut::<60>(), self.bytes.first_chunk::<60>()) {
            (Some(frame), Some(bytes)) => *frame = *bytes,
            _ => unreachable!("frames have 60 bytes at least"),
        }
        if frame.len() > 60 {
            frame[60..].copy_from_slice(&self.bytes[60..]);
        }
        let addresses = halves(src.address) + halves(dst.address);
        frame[26..30].copy_from_slice(&src.address.to_be_bytes());
        frame[30..34].copy_from_slice(&dst.address.to_be_bytes());
        frame[24..26].copy_from_slice(&(!fold(self.ip_sum + addresses)).to_be_bytes());
        let tag = tag(flow, kind);
        let mut l4 = self.l4_sum + halves(flow) + u32::from(tag);
        if protocol == Protocol::Icmp {
            let id = if frame[L4] == 8 { src.port } else { dst.port };
            frame[38..40].copy_from_slice(&id.to_be_bytes());
            l4 += u32::from(id);
        } else {
            frame[34..36].copy_from_slice(&src.port.to_be_bytes());
            frame[36..38].copy_from_slice(&dst.port.to_be_bytes());
            l4 += addresses + u32::from(src.port) + u32::from(dst.port);
        }
        let payload = protocol.payload_at();
        frame[payload..payload + 4].copy_from_slice(&flow.to_be_bytes());
        frame[payload + 4..payload + 6].copy_from_slice(&tag.to_be_bytes());
        let checksum = match !fold(l4) {
            0 if protocol == Protocol::Udp => 0xffff,
            checksum => checksum,
        };
        let at = protocol.checksum_at();
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The source and the destination that a frame of ours shows. ICMP has one identifier, which counts as the inside's
/// or the global port.
pub fn endpoints(protocol: Protocol, frame: &[u8], direction: Direction) -> (Endpoint, Endpoint) {
    let word = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let half = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let ports = match (protocol, direction) {
        (Protocol::Icmp, Direction::Outbound) => (half(38), 0),
        (Protocol::Icmp, Direction::Inbound) => (0, half(38)),
        _ => (half(34), half(36)),
    };
    (
        Endpoint { address: word(ADDRESSES.start), port: ports.0 },
        Endpoint { address: word(ADDRESSES.start + 4), port: ports.1 },
    )
}

/// Whether the IPv4 header's checksum is right.
pub fn ip_checksum_is_right(frame: &[u8]) -> bool {
    fold(sum(&frame[14..L4])) == 0xffff
}

/// Whether the transport checksum is right, which must be there.
pub fn l4_checksum_is_right(protocol: Protocol, frame: &[u8]) -> bool {
    let at = protocol.checksum_at();
    let pseudo = match protocol {
        Protocol::Icmp => 0,
        _ => sum(&frame[ADDRESSES]) + u32::from(protocol.number()) + (frame.len() - L4) as u32,
    };
    // Zero says for UDP that there is none; for the others it is a sum like any.
    let is_there = protocol != Protocol::Udp || frame[at..at + 2] != [0, 0];
    is_there && fold(sum(&frame[L4..]) + pseudo) == 0xffff
}

#[inline]
fn halves(value: u32) -> u32 {
    (value >> 16) + (value & 0xffff)
}

/// The sum of big-endian 16-bit words (RFC 1071). A second implementation, not the product's: it judges that one.
fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    bytes.chunks(2).map(word).sum()
}

#[inline]
fn fold(sum: u32) -> u16 {
    let once = halves(sum);
    halves(once) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [Link; 2] = [([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1]); 2];

    #[test]
    fn frames_are_recognised_and_their_checksums_right() {
        let src = Endpoint { address: 0x6440_0102, port: 1024 };
        let dst = Endpoint { address: 0xc633_6407, port: 9000 };
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
            let frames = Frames::new(protocol, &[64, 595, 1500], LINKS);
            for (direction, flow, kind, size) in [
                (Direction::Outbound, 0, Kind::First, 0),
                (Direction::Inbound, 1_000_000, Kind::Data, 1),
                (Direction::Outbound, u32::MAX, Kind::Data, 2),
            ] {
                let template = frames.template(size, direction, kind);
                let mut frame = vec![0; template.len()];
                template.write(protocol, &mut frame, (src, dst), flow, kind);
                assert_eq!(frames.recognise(&frame), Some((flow, kind)), "{protocol:?}");
                assert!(
                    ip_checksum_is_right(&frame) && l4_checksum_is_right(protocol, &frame),
                    "{protocol:?}"
                );
                let seen = endpoints(protocol, &frame, direction);
                assert_eq!((seen.0.address, seen.1.address), (src.address, dst.address));
                frame[50] ^= 1;
                assert!(
                    !l4_checksum_is_right(protocol, &frame),
                    "{protocol:?}: a flipped bit went unnoticed"
                );
            }
        }
    }
}
