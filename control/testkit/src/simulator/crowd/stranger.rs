//! A stranger who knows who talks to whom and sees none of it: it sends segments and ICMP errors in either side's name,
//! with guessed numbers.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::conversation::Endpoint;
use crate::packet::{ACK, FIN, ICMP, Ipv4, PSH, RST, SYN, TCP, Tcp, icmp};

/// How far from the true numbers guesses are, at least: a host would believe what hits its window, and the appliance
/// what is near it.
const DISTANCE_MIN: u32 = 1 << 18;
/// Time to live, unlike that of the hosts' own packets.
const TTL: u8 = 128;

/// What the stranger would like to be believed.
const WORDS: [&[u8]; 5] = [
    b"PORT 10,0,4,9,7,7\r\n",
    b"227 Entering Passive Mode (10,0,1,9,8,8)\r\n",
    b"QUIT\r\n",
    b"\x00\x0c\x12\x34\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=7000-7001\r\n\r\n",
];

/// What is forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgery {
    /// The beginning of a connection, perhaps with data.
    Syn,
    /// The answer to one.
    SynAck,
    /// An acknowledgement.
    Ack,
    /// Data.
    Data,
    /// A reset, perhaps with an acknowledgement.
    Reset,
    /// The end, perhaps behind data.
    End,
    /// An ICMP error.
    Error,
}

impl Forgery {
    const ALL: [Forgery; 7] = [
        Forgery::Syn,
        Forgery::SynAck,
        Forgery::Ack,
        Forgery::Data,
        Forgery::Reset,
        Forgery::End,
        Forgery::Error,
    ];
}

/// A packet in the name of `from`, to `to`, whose numbers are far from all `known` ones, true or forged, and belong to them
/// from then on: the appliance may believe in one what another made it expect. A SYN is one only where its receiver does
/// not wait for any.
pub fn packet(
    from: Endpoint,
    to: Endpoint,
    with_syn: bool,
    known: &mut Vec<u32>,
    generator: &mut SmallRng,
) -> Vec<u8> {
    let [seq, ack] = [0; 2].map(|_| guess(known, generator));
    known.extend([seq, ack]);
    let words: &[u8] = WORDS[generator.random_range(0..WORDS.len())];
    let is_more = generator.random_bool(0.3);
    let (flags, ack, payload): (u8, u32, &[u8]) = match Forgery::ALL[generator.random_range(0..7)] {
        Forgery::Syn if with_syn => (SYN, 0, if is_more { words } else { &[] }),
        Forgery::SynAck => (SYN | ACK, ack, &[]),
        Forgery::Syn | Forgery::Ack => (ACK, ack, &[]),
        Forgery::Data => (PSH | ACK, ack, words),
        Forgery::Reset if is_more => (RST | ACK, ack, &[]),
        Forgery::Reset => (RST, 0, &[]),
        Forgery::End => (FIN | ACK, ack, if is_more { words } else { &[] }),
        Forgery::Error => return error(from, to, seq, ack, generator),
    };
    segment(from, to, [seq, ack], flags, payload)
}

/// Whether this is one of the stranger's packets, as it comes out of the appliance.
pub fn is_forged(packet: &[u8]) -> bool {
    packet[8] == TTL - 1
}

/// Whether it is one that begins a connection.
pub fn is_forged_syn(packet: &[u8]) -> bool {
    is_forged(packet) && packet[33] & (SYN | ACK) == SYN
}

fn guess(known: &[u32], generator: &mut SmallRng) -> u32 {
    loop {
        let number: u32 = generator.random();
        let is_far = |known: &u32| number.wrapping_sub(*known).wrapping_add(DISTANCE_MIN) > 2 * DISTANCE_MIN;
        if known.iter().all(is_far) {
            return number;
        }
    }
}

fn packet_of(protocol: u8, from: Endpoint, to: Endpoint, carried: &[u8]) -> Vec<u8> {
    Ipv4 { ttl: TTL, ..Ipv4::new((from.0, to.0), protocol) }.sealed(carried)
}

fn segment(from: Endpoint, to: Endpoint, [seq, ack]: [u32; 2], flags: u8, payload: &[u8]) -> Vec<u8> {
    let header = Tcp { ports: (from.1, to.1), seq, ack, flags, window: 0x2000, urgent: 0 };
    packet_of(TCP, from, to, &header.around(&[], payload))
}

/// An error of `from` about a segment that `to` never sent it (RFC 5927).
fn error(from: Endpoint, to: Endpoint, seq: u32, ack: u32, generator: &mut SmallRng) -> Vec<u8> {
    let quoted = segment(to, from, [seq, ack], ACK, &[]);
    let (kind, code, mtu) = [(3, 1, 0), (3, 3, 0), (3, 4, 68u16), (11, 0, 0)][generator.random_range(0..4)];
    let [high, low] = mtu.to_be_bytes();
    packet_of(ICMP, from, to, &icmp((kind, code), [0, 0, high, low], &quoted))
}
