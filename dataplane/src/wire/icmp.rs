//! ICMP messages (RFC 792).

/// Bytes of the header that every message has.
pub const LEN: usize = 8;
/// The message's checksum.
pub const CHECKSUM: usize = 2;
/// The identifier of a query.
pub const ID: usize = 4;
/// The next link's MTU, where fragmentation is needed (RFC 1191 section 4).
pub const NEXT_MTU: usize = 6;

/// The type of an echo reply.
pub const ECHO_REPLY: u8 = 0;
/// The type of an echo request.
pub const ECHO_REQUEST: u8 = 8;

/// Whether a message of this type is a query or its answer, with an identifier: echo, timestamp.
#[inline]
pub fn is_query(kind: u8) -> bool {
    matches!(kind, ECHO_REPLY | ECHO_REQUEST | 13 | 14)
}

/// Whether a message of this type is an error that quotes a packet: unreachable, time exceeded, parameter problem.
#[inline]
pub fn is_error(kind: u8) -> bool {
    matches!(kind, 3 | 11 | 12)
}
