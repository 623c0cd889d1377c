//! ARP for Ethernet and IPv4 (RFC 826).

/// Bytes of a packet, from the hardware type on.
pub const LEN: usize = 28;
/// How such a packet begins: hardware type 1, protocol type IPv4, addresses of six and of four bytes.
pub const START: [u8; 6] = [0, 1, 8, 0, 6, 4];
