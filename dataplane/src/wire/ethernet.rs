//! Ethernet II frames, and one tag of a VLAN (IEEE 802.3, 802.1Q).

use super::bytes::word;

/// Bytes of a header without tags.
pub const LEN: usize = 14;
/// Bytes that a tag adds.
pub const TAG_LEN: usize = 4;
/// The longest header: addresses, one tag, type.
pub const LEN_MAX: usize = LEN + TAG_LEN;
/// What the frame carries: the offset of its type.
pub const TYPE: usize = 12;
/// The type of IPv4 (RFC 894).
pub const IPV4: u16 = 0x0800;
/// The type of ARP (RFC 826).
pub const ARP: u16 = 0x0806;
/// The address of all.
pub const BROADCAST: [u8; 6] = [0xff; 6];
/// The type of a tag.
pub const VLAN: u16 = 0x8100;

/// The VLAN of a tagged frame, none for a priority tag, and the type of what it carries. None where the frame ends inside
/// the tag.
#[inline]
pub fn tag(frame: &[u8]) -> Option<(Option<u16>, u16)> {
    let tag: &[u8; LEN_MAX] = frame.first_chunk()?;
    Some((Some(word(tag, LEN) & 0x0fff).filter(|&id| id != 0), word(tag, LEN + 2)))
}
