//! Whether a frame that came back is what a NAT must make of the frame that was sent.

use std::fmt;
use std::ops::RangeInclusive;

use dataplane::flow::Direction;

use crate::flows::Flows;
use crate::frames::{Frames, Kind, Protocol, endpoints, ip_checksum_is_right, l4_checksum_is_right};
use crate::translations::Translations;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is ours by its protocol, but its payload does not say which flow it belongs to.
    Mark,
    /// It is longer or shorter than what was sent.
    Length,
    /// Version, header length, protocol, fragmentation or time to live.
    Header,
    /// The IPv4 header's checksum.
    IpChecksum,
    /// The transport checksum.
    L4Checksum,
    /// The payload.
    Payload,
    /// It comes from an address outside the pool.
    Pool,
    /// It comes from another global endpoint than before.
    Global,
    /// It goes to the wrong inside endpoint.
    Inside,
    /// It is from or to another peer.
    Peer,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Mark => "its payload names no flow",
            Wrong::Length => "its length changed",
            Wrong::Header => "its IPv4 header is not what was sent",
            Wrong::IpChecksum => "its IPv4 checksum is wrong",
            Wrong::L4Checksum => "its transport checksum is wrong",
            Wrong::Payload => "its payload changed",
            Wrong::Pool => "its source is not in the pool",
            Wrong::Global => "its inside endpoint had another global endpoint before",
            Wrong::Inside => "it goes to the wrong inside endpoint",
            Wrong::Peer => "its peer changed",
        })
    }
}

/// What frames are judged by.
pub struct Verifier {
    /// The flows of the run.
    pub flows: Flows,
    /// Their frames.
    pub frames: Frames,
    /// Global addresses; none where nothing is translated.
    pub pool: Option<RangeInclusive<u32>>,
    /// The translations seen.
    pub translations: Translations,
}

impl Verifier {
    /// Judges a frame that arrived, `direction` being its way through the appliance, and notes its translation.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn judge(&mut self, frame: &[u8], direction: Direction, flow: u32, kind: Kind) -> Result<(), Wrong> {
        let protocol = self.frames.protocol;
        self.judge_content(frame, direction, kind)?;
        let (src, dst) = endpoints(protocol, frame, direction);
        let (inside, mut peer) = self.flows.tuple(flow);
        if protocol == Protocol::Icmp {
            peer.port = 0;
        }
        let (near, far) = if direction == Direction::Outbound { (src, dst) } else { (dst, src) };
        ensure(far == peer, Wrong::Peer)?;
        if direction == Direction::Inbound {
            return ensure(near == inside, Wrong::Inside);
        }
        match &self.pool {
            Some(pool) => ensure(pool.contains(&near.address), Wrong::Pool)?,
            None => ensure(near == inside, Wrong::Pool)?,
        }
        ensure(self.translations.see(flow, near), Wrong::Global)
    }

    fn judge_content(&self, frame: &[u8], direction: Direction, kind: Kind) -> Result<(), Wrong> {
        let protocol = self.frames.protocol;
        let ip_len = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        ensure(ip_len + 14 == frame.len(), Wrong::Length)?;
        let size = self.frames.size_of(frame.len()).ok_or(Wrong::Length)?;
        let header = (frame[14], frame[20], frame[21], frame[23]);
        ensure(header == (0x45, 0x40, 0, protocol.number()), Wrong::Header)?;
        // A router takes one off the time to live, a wire does not.
        ensure(frame[22] == 64 - u8::from(self.pool.is_some()), Wrong::Header)?;
        ensure(ip_checksum_is_right(frame), Wrong::IpChecksum)?;
        ensure(l4_checksum_is_right(protocol, frame), Wrong::L4Checksum)?;
        let template = self.frames.template(size, direction, kind);
        ensure(template.has_payload_of(protocol, frame), Wrong::Payload)?;
        // What TCP's header says is the hosts' own, and so is ICMP's type.
        ensure(template.has_transport_of(protocol, frame), Wrong::Header)
    }
}

fn ensure(is_right: bool, wrong: Wrong) -> Result<(), Wrong> {
    if is_right { Ok(()) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::Endpoint;

    fn verifier(protocol: Protocol) -> Verifier {
        let flows = Flows {
            subscribers: 4,
            per_subscriber: 4,
            peers: 1,
            inside: [100, 64, 1, 0].into(),
            peer: [198, 51, 100, 7].into(),
        };
        let frames = Frames::new(protocol, &[64], [([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1]); 2]);
        let translations = Translations::new(&flows);
        Verifier { flows, frames, pool: Some(0xcb00_7001..=0xcb00_7004), translations }
    }

    /// A frame as a right NAT would send it outside.
    fn translated(verifier: &Verifier, flow: u32, global: Endpoint) -> Vec<u8> {
        let template = verifier.frames.template(0, Direction::Outbound, Kind::First);
        let mut frame = vec![0; template.len()];
        let (_, peer) = verifier.flows.tuple(flow);
        template.write(verifier.frames.protocol, &mut frame, (global, peer), flow, Kind::First);
        frame[22] -= 1;
        let sum = u16::from_be_bytes([frame[24], frame[25]]);
        let sum = if sum >= 0xfeff { sum.wrapping_add(0x101) } else { sum + 0x100 };
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
            let mut verifier = verifier(protocol);
            let frame = translated(&verifier, 5, Endpoint { address: 0xcb00_7002, port: 1029 });
            let mut judge = |frame: &[u8]| verifier.judge(frame, Direction::Outbound, 5, Kind::First);
            assert_eq!(judge(&frame), Ok(()), "{protocol:?}");
            for at in 14..frame.len() {
                let mut changed = frame.clone();
                changed[at] ^= 0x10;
                assert!(judge(&changed).is_err(), "{protocol:?}: byte {at} changed unnoticed");
            }
        }
    }

    #[test]
    fn a_wandering_global_endpoint_is_noticed() {
        let mut verifier = verifier(Protocol::Udp);
        let mut judge = |address, port| {
            let frame = translated(&verifier, 5, Endpoint { address, port });
            verifier.judge(&frame, Direction::Outbound, 5, Kind::First)
        };
        assert_eq!(judge(0xcb00_7005, 1029), Err(Wrong::Pool));
        assert_eq!(judge(0xcb00_7001, 1029), Ok(()));
        assert_eq!(judge(0xcb00_7001, 1030), Err(Wrong::Global));
        assert_eq!(judge(0xcb00_7002, 1029), Err(Wrong::Global));
    }
}
