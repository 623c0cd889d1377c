//! IPv4 headers (RFC 791 section 3.1).

use std::net::Ipv4Addr;

use super::bytes::{long, put_word};
use super::checksum::checksum;

/// Bytes of a header without options.
pub const LEN: usize = 20;
/// The packet's length, header included.
pub const TOTAL_LEN: usize = 2;
/// The identification, which the fragments of a packet share.
pub const ID: usize = 4;
/// Flags and the fragment's offset.
pub const FRAGMENT: usize = 6;
/// Time to live.
pub const TTL: usize = 8;
/// The protocol behind the header.
pub const PROTOCOL: usize = 9;
/// The header's checksum.
pub const CHECKSUM: usize = 10;
/// The source address.
pub const SRC: usize = 12;
/// The destination address.
pub const DST: usize = 16;

/// Of the fragment word: the sender forbids fragmentation.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// Of the fragment word: this is not the last fragment.
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// Of the fragment word: the offset, in units of eight bytes.
pub const OFFSET: u16 = 0x1fff;

/// The address at a position.
#[inline]
pub fn addr(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(long(bytes, at))
}

/// The header's length as its first byte says, in bytes.
#[inline]
pub fn header_len(first_byte: u8) -> usize {
    usize::from(first_byte & 0x0f) * 4
}

/// A header in words of eight bytes; what is missing of the last one reads as zero.
#[inline(always)]
pub fn words<const HEADER: usize>(header: &[u8; HEADER]) -> [u64; 3] {
    const { assert!(HEADER >= LEN) };
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(header.chunks(8)) {
        *word = match bytes.first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => bytes.iter().rev().fold(0, |word, &byte| word >> 8 | u64::from(byte) << 56),
        };
    }
    words
}

/// Whether the words of a header without options sum to what a correct checksum makes of them (RFC 1071).
#[inline(always)]
pub fn sums_to_ones([first, second, last]: [u64; 3]) -> bool {
    let halves = (first >> 32) + (first & 0xffff_ffff) + (second >> 32) + (second & 0xffff_ffff);
    let sum = halves + last;
    let folded = (sum >> 32) + (sum & 0xffff_ffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    (folded >> 16) + (folded & 0xffff) == 0xffff
}

/// Whether an address may be one host's: networks 1 to 223 but loopback.
#[inline(always)]
pub fn is_unicast(addr: Ipv4Addr) -> bool {
    let network = (addr.to_bits() >> 24) as u8;
    network.wrapping_sub(1) < 223 && network != 127
}

/// Whether options contain a loose or strict source route. An option with an impossible length ends the search: routers
/// leave such options alone.
pub fn has_source_route(options: &[u8]) -> bool {
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        match kind {
            0 => return false,
            1 => rest = tail,
            131 | 137 => return true,
            _ => match tail.first() {
                Some(&len) if len >= 2 && usize::from(len) <= rest.len() => rest = &rest[usize::from(len)..],
                _ => return false,
            },
        }
    }
    false
}

/// Writes the length of a packet whose header has so many bytes, and the header's checksum.
pub fn finish(packet: &mut [u8], header_len: usize) {
    let total_len = packet.len() as u16;
    put_word(packet, TOTAL_LEN, total_len);
    put_word(packet, CHECKSUM, 0);
    let sum = packet.get(..header_len).map_or(0, checksum);
    put_word(packet, CHECKSUM, sum);
}
