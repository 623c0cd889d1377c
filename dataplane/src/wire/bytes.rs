//! Numbers in network order at any position. What lies outside the bytes reads as zero and is not written.

/// The 16-bit number at a position.
#[inline]
pub fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]))
}

/// The 32-bit number at a position.
#[inline]
pub fn long(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |long| u32::from_be_bytes(*long))
}

/// Writes a 16-bit number.
#[inline]
pub fn put_word(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Writes a 32-bit number.
#[inline]
pub fn put_long(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}
