//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/// Sums `bytes` in the machine's own byte order, four at a time. Bytes missing from the last four count as zero.
/// [`fold_wide`] turns the result into the sum of big-endian words (RFC 1071 section 2 B).
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(4);
    let rest = words.remainder();
    let mut sum = words.map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))).sum();
    if !rest.is_empty() {
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum += u64::from(u32::from_ne_bytes(last));
    }
    sum
}

/// Folds a result of [`sum`] to the 16-bit sum of big-endian words.
#[inline]
fn fold_wide(sum: u64) -> u16 {
    // `sum` plus `sum` with its halves swapped: the upper half is the sum of both halves with end-around carry.
    let half = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    u16::from_be(fold(half))
}

/// Folds a partial sum to 16 bits by end-around carry.
#[inline]
fn fold(sum: u32) -> u16 {
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// The checksum of `bytes`. Over bytes that contain a correct checksum it is zero.
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold_wide(sum(bytes))
}

/// The checksum of a TCP or UDP segment with its IPv4 pseudo header. Addresses are in network order.
pub fn transport_checksum(src: [u8; 4], dst: [u8; 4], protocol: u8, segment: &[u8]) -> u16 {
    let rest = u32::from(protocol) + segment.len() as u32;
    !fold_wide(sum(&src) + sum(&dst) + u64::from(rest.to_be()) + sum(segment))
}

/// What a change of words adds to the checksum that covers them. It is the same for every packet of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(u16);

impl Delta {
    /// No change.
    pub const NONE: Delta = Delta(0);

    /// The change of an IPv4 header whose TTL is lowered by one.
    pub const HOP: Delta = Delta(!0x0100);

    /// The change of one 16-bit word.
    #[inline]
    pub fn word(old: u16, new: u16) -> Delta {
        Delta(fold(u32::from(!old) + u32::from(new)))
    }

    /// The change of an address or of any 32-bit field.
    #[inline]
    pub fn address(old: u32, new: u32) -> Delta {
        let old = !old;
        Delta(fold((old >> 16) + (old & 0xffff) + (new >> 16) + (new & 0xffff)))
    }

    /// Both changes.
    #[inline]
    #[must_use]
    pub fn and(self, other: Delta) -> Delta {
        Delta(fold(u32::from(self.0) + u32::from(other.0)))
    }

    /// The change undone.
    #[inline]
    #[must_use]
    pub fn reverse(self) -> Delta {
        Delta(!self.0)
    }

    /// The checksum field after the change (RFC 1624 equation 3).
    #[inline]
    pub fn apply(self, field: u16) -> u16 {
        !fold(u32::from(!field) + u32::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1624_section_4() {
        assert_eq!(Delta::word(0x5555, 0x3285).apply(0xdd2f), 0x0000);
    }

    #[test]
    fn a_hop_is_a_ttl_less() {
        for field in [0, 1, 0x00ff, 0x0100, 0x7fff, 0xfeff, 0xff00, 0xfffe, 0xffff] {
            assert_eq!(Delta::HOP.apply(field), Delta::word(0x4011, 0x3f11).apply(field), "{field:#x}");
        }
    }

    #[test]
    fn a_known_header_sums_to_zero() {
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header), 0);
    }

    proptest! {
        #[test]
        fn incremental_equals_full(mut bytes in prop::collection::vec(any::<u8>(), 8..80), new in any::<[u8; 4]>(), at in 0usize..36) {
            // The checksum field is the last word. As in IPv4, the first byte holds version 4: the sum is never zero.
            if bytes.len() % 2 == 1 { bytes.pop(); }
            bytes[0] |= 0x40;
            let field = bytes.len() - 2;
            bytes[field..].fill(0);
            let full = checksum(&bytes);
            let at = 2 + (at * 2) % (field - 4).max(1) / 2 * 2;
            prop_assume!(at + 4 <= field);
            let old = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            bytes[at..at + 4].copy_from_slice(&new);
            let delta = Delta::address(old, u32::from_be_bytes(new));
            prop_assert_eq!(delta.apply(full), checksum(&bytes));
            prop_assert_eq!(delta.reverse().apply(delta.apply(full)), full);
            let words = Delta::word((old >> 16) as u16, u16::from_be_bytes([new[0], new[1]]))
                .and(Delta::word(old as u16, u16::from_be_bytes([new[2], new[3]])));
            prop_assert_eq!(words.apply(full), checksum(&bytes));
        }
    }
}
