//! What the handshake says about a connection.

use serde::{Deserialize, Serialize};

use super::header;
use super::sender::HeaderFields;
use crate::wire::tcp::{self, SYN};

/// What an end that says nothing can take (RFC 9293 section 3.7.1).
pub const SEGMENT_LEN_DEFAULT: u16 = 536;
/// Segments are not cut smaller than this: what a link must carry at least (RFC 791), without headers.
pub const SEGMENT_LEN_MIN: u16 = 28;

/// What the SYN of one end says, or the SYN that acknowledges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Source address and port, as its sender writes them.
    pub source: ([u8; 4], u16),
    /// Destination address and port, as its sender writes them.
    pub destination: ([u8; 4], u16),
    /// Time to live.
    pub ttl: u8,
    /// Sequence number of the SYN.
    pub sequence: u32,
    /// Window, which a SYN does not scale.
    pub window: u16,
    /// The longest segment its sender takes.
    pub segment_len_max: Option<u16>,
    /// How far its later windows are scaled.
    pub window_scale: Option<u8>,
    /// Its timestamp.
    pub timestamp: Option<u32>,
}

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
/// The largest scale that means anything (RFC 7323 section 2.3).
const WINDOW_SCALE_MAX: u8 = 14;

impl Opening {
    /// Reads a SYN whose IPv4 and TCP headers are at `l3` and `l4`. None where it is no SYN, or malformed, or carries
    /// data: who speaks before the handshake is over is not inspected.
    pub fn read(frame: &[u8], l3: u16, l4: u16) -> Option<Opening> {
        let segment = header::read(frame, l3, l4)?;
        if segment.flags & SYN == 0 || segment.payload_len != 0 {
            return None;
        }
        let ip: &[u8; 20] = frame.get(usize::from(l3)..)?.first_chunk()?;
        let tcp: &[u8; tcp::LEN] = frame.get(usize::from(l4)..)?.first_chunk()?;
        let mut opening = Opening {
            source: ([ip[12], ip[13], ip[14], ip[15]], u16::from_be_bytes([tcp[0], tcp[1]])),
            destination: ([ip[16], ip[17], ip[18], ip[19]], u16::from_be_bytes([tcp[2], tcp[3]])),
            ttl: ip[8],
            sequence: segment.seq,
            window: segment.window,
            segment_len_max: None,
            window_scale: None,
            timestamp: segment.timestamp,
        };
        let mut options = frame.get(usize::from(l4) + tcp::LEN..usize::from(segment.payload))?;
        loop {
            options = match options {
                [] | [END_OF_OPTIONS, ..] => break,
                [NO_OPERATION, rest @ ..] => rest,
                [MAXIMUM_SEGMENT_SIZE, 4, high, low, rest @ ..] => {
                    let len = u16::from_be_bytes([*high, *low]);
                    opening.segment_len_max = Some(len.max(SEGMENT_LEN_MIN));
                    rest
                }
                [WINDOW_SCALE, 3, scale, rest @ ..] => {
                    opening.window_scale = Some((*scale).min(WINDOW_SCALE_MAX));
                    rest
                }
                [_, len, ..] if *len >= 2 => options.get(usize::from(*len)..).unwrap_or_default(),
                _ => break,
            };
        }
        Some(opening)
    }

    /// What the headers of segments on the sender's behalf have in common at first.
    pub(super) fn fields(&self, window_scale: u8) -> HeaderFields {
        HeaderFields {
            source: self.source.0,
            destination: self.destination.0,
            source_port: self.source.1,
            destination_port: self.destination.1,
            ttl: self.ttl,
            tos: 0,
            dont_fragment: true,
            identification: 0,
            window: self.window >> window_scale,
            window_scale,
            timestamp: self.timestamp.unwrap_or(0),
            announced: (0, 0),
        }
    }
}
