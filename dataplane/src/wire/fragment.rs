//! Cutting a packet into fragments for a link with a smaller MTU (RFC 791 section 3.2).

use arrayvec::ArrayVec;
use mem::Packet;

use super::bytes::{put_word, word};
use super::ipv4;

/// Bytes of options at most.
const OPTIONS_LEN_MAX: usize = 40;
/// The bit of an option's type that says it belongs into every fragment.
const COPIED: u8 = 0x80;

/// Fragments of one packet that are kept at most until it is known what becomes of them.
pub const KEPT_MAX: usize = 48;
/// The longest frame, in bytes, that is kept in memory apart from the ports': as long as their buffers are.
pub const KEPT_LEN_MAX: usize = 2176;

/// A packet being cut, from its IPv4 header on. It may be a fragment itself.
pub struct Cutter<'a> {
    packet: &'a [u8],
    header_len: usize,
    /// The options that later fragments carry, padded to a multiple of four.
    copied_options: ArrayVec<u8, OPTIONS_LEN_MAX>,
    bytes_max: usize,
    /// Payload bytes written so far.
    done: usize,
}

impl<'a> Cutter<'a> {
    /// Cuts `packet` into fragments of at most `bytes_max` bytes. None where no payload would fit.
    pub fn new(packet: &'a [u8], bytes_max: u16) -> Option<Cutter<'a>> {
        let header_len = ipv4::header_len(*packet.first()?);
        let options = packet.get(ipv4::LEN..header_len)?;
        let bytes_max = usize::from(bytes_max);
        let cutter = Cutter { packet, header_len, copied_options: copied(options), bytes_max, done: 0 };
        (bytes_max >= header_len + 8).then_some(cutter)
    }

    /// Whether every fragment is written.
    pub fn is_done(&self) -> bool {
        self.header_len + self.done >= self.packet.len()
    }

    /// Writes the next fragment into an empty packet, from its IPv4 header on. Returns false when all are
    /// written, or the packet has too little room.
    #[must_use]
    pub fn write_next(&mut self, fragment: &mut Packet) -> bool {
        let payload = self.packet.get(self.header_len + self.done..).unwrap_or_default();
        if payload.is_empty() {
            return false;
        }
        let is_first = self.done == 0;
        let options = if is_first { &self.packet[ipv4::LEN..self.header_len] } else { &self.copied_options };
        let header_len = ipv4::LEN + options.len();
        let room = (self.bytes_max - header_len) / 8 * 8;
        let (len, is_last) = if payload.len() + header_len <= self.bytes_max {
            (payload.len(), true)
        } else {
            (room.min(payload.len()), false)
        };
        let total_len = header_len + len;
        if !fragment.resize(total_len) {
            return false;
        }
        let bytes = fragment.bytes_mut();
        bytes[..ipv4::LEN].copy_from_slice(&self.packet[..ipv4::LEN]);
        bytes[ipv4::LEN..header_len].copy_from_slice(options);
        bytes[header_len..].copy_from_slice(&payload[..len]);
        bytes[0] = 0x40 | (header_len / 4) as u8;
        let field = word(self.packet, ipv4::FRAGMENT);
        let offset = (field & ipv4::OFFSET) + (self.done / 8) as u16;
        let more = if is_last { field & ipv4::MORE_FRAGMENTS } else { ipv4::MORE_FRAGMENTS };
        put_word(bytes, ipv4::FRAGMENT, more | offset & ipv4::OFFSET);
        ipv4::finish(bytes, header_len);
        self.done += len;
        true
    }
}

/// The options with the copied bit, padded with ends of list. Options that lie about their length are left out.
fn copied(options: &[u8]) -> ArrayVec<u8, OPTIONS_LEN_MAX> {
    let mut copied = ArrayVec::new();
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => match tail.first() {
                Some(&len) if len >= 2 && usize::from(len) <= rest.len() => usize::from(len),
                _ => break,
            },
        };
        if kind & COPIED != 0 {
            copied.extend(rest[..len].iter().copied());
        }
        rest = &rest[len..];
    }
    while !copied.len().is_multiple_of(4) {
        copied.push(0);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;
    use mem::Slab;

    fn fragments(packet: &[u8], bytes_max: u16) -> Vec<Vec<u8>> {
        let slab = Slab::new(1, 1500);
        let mut cutter = Cutter::new(packet, bytes_max).unwrap();
        std::iter::from_fn(|| {
            let mut fragment = slab.allocate(0).unwrap();
            cutter.write_next(&mut fragment).then(|| fragment.bytes().to_vec())
        })
        .collect()
    }

    fn packet(options: &[u8], payload_len: usize, flags_and_offset: u16) -> Vec<u8> {
        let mut packet = vec![0; ipv4::LEN];
        packet[0] = 0x40 | ((ipv4::LEN + options.len()) / 4) as u8;
        packet[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
        packet.extend(options);
        packet.extend((0..payload_len).map(|n| n as u8));
        packet
    }

    #[test]
    fn the_pieces_make_the_whole() {
        // A security option is copied (RFC 791), a record route is not.
        let options = [0x82, 4, 1, 2, 7, 3, 4, 0];
        for (bytes_max, start) in [(68, 0), (100, 0x2000 | 40), (576, 7)] {
            let original = packet(&options, 1003, start);
            let mut payload: Vec<u8> = Vec::new();
            let pieces = fragments(&original, bytes_max);
            for (position, piece) in pieces.iter().enumerate() {
                let header_len = usize::from(piece[0] & 0xf) * 4;
                assert_eq!(header_len, if position == 0 { 28 } else { 24 });
                assert!(piece.len() <= usize::from(bytes_max));
                assert_eq!(usize::from(u16::from_be_bytes([piece[2], piece[3]])), piece.len());
                let field = u16::from_be_bytes([piece[6], piece[7]]);
                assert_eq!(
                    usize::from(field & ipv4::OFFSET),
                    usize::from(start & ipv4::OFFSET) + payload.len() / 8
                );
                let is_last = position + 1 == pieces.len();
                assert_eq!(field & ipv4::MORE_FRAGMENTS != 0, !is_last || start & ipv4::MORE_FRAGMENTS != 0);
                payload.extend(&piece[header_len..]);
            }
            assert_eq!(payload, original[28..]);
        }
    }

    #[test]
    fn a_link_too_small_for_any_payload_is_refused() {
        assert!(Cutter::new(&packet(&[], 100, 0), 27).is_none());
    }
}
