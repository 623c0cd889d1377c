//! UDP datagrams (RFC 768).

use std::net::Ipv4Addr;

use super::bytes::put_word;
use super::checksum::transport_checksum;

/// The IP protocol number.
const PROTOCOL: u8 = 17;
/// Bytes of the header.
pub const LEN: usize = 8;
/// The datagram's length, header included.
pub const LENGTH: usize = 4;
/// The checksum; zero for none.
pub const CHECKSUM: usize = 6;

/// The payload of a datagram that is sound: of the length that it says, and with a right checksum or none.
pub fn payload(datagram: &[u8], src: Ipv4Addr, dst: Ipv4Addr) -> Option<&[u8]> {
    let &[.., high, low, a, b] = datagram.first_chunk::<LEN>()?;
    let datagram = datagram.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let is_sound =
        [a, b] == [0, 0] || transport_checksum(src.octets(), dst.octets(), PROTOCOL, datagram) == 0;
    datagram.get(LEN..).filter(|_| is_sound)
}

/// Writes the length and the checksum of a datagram whose payload is another now. No checksum stays none; a computed zero
/// is sent as ones.
pub fn finish(datagram: &mut [u8], src: Ipv4Addr, dst: Ipv4Addr) {
    let len = datagram.len() as u16;
    put_word(datagram, LENGTH, len);
    if datagram.get(CHECKSUM..LEN) != Some(&[0, 0]) {
        put_word(datagram, CHECKSUM, 0);
        let sum = match transport_checksum(src.octets(), dst.octets(), PROTOCOL, datagram) {
            0 => 0xffff,
            sum => sum,
        };
        put_word(datagram, CHECKSUM, sum);
    }
}
