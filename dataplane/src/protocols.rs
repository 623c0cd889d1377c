//! What a worker knows of protocols above IPv4, TCP, UDP and ICMP, as data: the product's, or those of a test.

use alg::Row;
use alg::registry::ROWS;

use crate::flow::Protocol;
use crate::head::{Head, Transport};
use crate::wire::bytes::word;

/// The protocols that a worker knows.
#[derive(Clone, Copy)]
pub struct Protocols {
    /// The gateways: as many as there are [`ROWS`], by the numbers of those.
    pub gateways: &'static [Row],
    /// Protocols without ports whose packets begin with a number of 32 bits, another one each way, that their receiver
    /// chose (as the SPI of ESP, RFC 4303 section 2.1). 0 is none.
    pub numbered: &'static [Protocol],
}

/// Those of the product.
pub const PROTOCOLS: Protocols = Protocols { gateways: ROWS, numbered: &[] };

impl Protocols {
    /// Whether packets of a protocol show a number of their direction.
    pub fn is_numbered(&self, protocol: Protocol) -> bool {
        self.numbered.contains(&protocol)
    }

    /// Takes over the number that a frame's packet shows, in the place of ports. One that is too short for it shows none.
    #[inline]
    pub fn read_number(&self, frame: &[u8], head: &mut Head) {
        if head.transport != Transport::Other || !self.is_numbered(head.tuple.protocol) {
            return;
        }
        let end = usize::from(head.l3) + usize::from(head.total_len);
        let Some(number) = frame.get(usize::from(head.l4)..end).and_then(|rest| rest.first_chunk::<4>())
        else {
            return;
        };
        (head.tuple.src.port, head.tuple.dst.port) = (word(number, 0), word(number, 2));
    }
}
