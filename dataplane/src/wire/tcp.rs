//! TCP segments (RFC 9293 section 3.1).

/// Bytes of a header without options.
pub const LEN: usize = 20;
/// The sequence number.
pub const SEQ: usize = 4;
/// The acknowledgement number.
pub const ACK_NUMBER: usize = 8;
/// The header's length, in the upper half of the byte.
pub const OFFSET: usize = 12;
/// The flags.
pub const FLAGS: usize = 13;
/// The window.
pub const WINDOW: usize = 14;
/// The segment's checksum.
pub const CHECKSUM: usize = 16;
/// The urgent pointer.
pub const URGENT: usize = 18;

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronise sequence numbers.
pub const SYN: u8 = 0x02;
/// Reset the connection.
pub const RST: u8 = 0x04;
/// Push.
pub const PSH: u8 = 0x08;
/// The acknowledgement field is valid.
pub const ACK: u8 = 0x10;
/// The urgent pointer is valid.
pub const URG: u8 = 0x20;
/// What answers a SYN.
pub const SYN_ACK: u8 = SYN | ACK;

/// Whether some TCP sends these flags: not none at all, SYN with FIN or RST, nor FIN without ACK.
#[inline]
pub fn are_possible(flags: u8) -> bool {
    let is_impossible = flags & (SYN | FIN) == SYN | FIN
        || flags & (SYN | RST) == SYN | RST
        || flags & (FIN | ACK | RST) == FIN
        || flags & (SYN | ACK | RST | FIN) == 0;
    !is_impossible
}

/// Where a header has its maximum segment size, if it has one.
pub fn mss_position(header: &[u8]) -> Option<usize> {
    let mut at = LEN;
    loop {
        match *header.get(at)? {
            0 => return None,
            1 => at += 1,
            2 if header.get(at + 1) == Some(&4) && at + 4 <= header.len() => return Some(at + 2),
            _ => at += usize::from(*header.get(at + 1)?).max(2),
        }
    }
}
