//! TCP segments as they arrive: read, checked, and changed in place.

use mem::Packet;

use crate::flow::TCP;
use crate::wire::bytes::{self, put_long, put_word};
use crate::wire::checksum::{Delta, transport_checksum};
use crate::wire::{ipv4, tcp};

const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// A TCP segment's positions and values.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub l3: u16,
    pub l4: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// Where the payload starts in the frame, and its bytes.
    pub payload: u16,
    pub payload_len: u16,
    /// The sender's timestamp.
    pub timestamp: Option<u32>,
    /// Where in the frame the blocks of a SACK option are, and how many bytes they have.
    pub sack: Option<(u16, u16)>,
    /// Behind the urgent data, where there is some.
    pub urgent: Option<u32>,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads the segment whose IPv4 and TCP headers start at `l3` and `l4`. None where the headers are cut off or
/// contradict each other, or the checksum is wrong: what is read on somebody's behalf must be what he would accept.
pub fn read(frame: &[u8], l3: u16, l4: u16) -> Option<Segment> {
    let (ip, tcp) = (usize::from(l3), usize::from(l4));
    let total_len = usize::from(word(frame, ip + ipv4::TOTAL_LEN)?);
    let datagram = frame.get(ip..ip + total_len)?;
    let addresses: [u8; 8] = *datagram.get(ipv4::SRC..)?.first_chunk()?;
    let segment = datagram.get(tcp.checked_sub(ip).filter(|len| *len >= ipv4::LEN)?..)?;
    let header_len = usize::from(*segment.get(tcp::OFFSET)? >> 4) * 4;
    let options = segment.get(tcp::LEN..header_len)?;
    let [a, b, c, d, rest @ ..] = addresses;
    if transport_checksum([a, b, c, d], rest, TCP, segment) != 0 {
        return None;
    }
    let (seq, flags) = (long(segment, tcp::SEQ)?, *segment.get(tcp::FLAGS)?);
    let urgent = (flags & tcp::URG != 0).then_some(seq.wrapping_add(u32::from(word(segment, tcp::URGENT)?)));
    let (timestamp, sack) = read_options(options, tcp + tcp::LEN);
    Some(Segment {
        l3,
        l4,
        seq,
        ack: long(segment, tcp::ACK_NUMBER)?,
        flags,
        window: word(segment, tcp::WINDOW)?,
        payload: (tcp + header_len) as u16,
        payload_len: (segment.len() - header_len) as u16,
        timestamp,
        sack,
        urgent,
    })
}

/// The timestamp, and the position of SACK blocks. Options that lie about their length end the reading.
fn read_options(options: &[u8], start: usize) -> (Option<u32>, Option<(u16, u16)>) {
    let (mut timestamp, mut sack) = (None, None);
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let len = match kind {
            END_OF_OPTIONS => break,
            NO_OPERATION => 1,
            _ => usize::from(options.get(at + 1).copied().unwrap_or(0)),
        };
        if len == 0 || (kind != NO_OPERATION && len < 2) || at + len > options.len() {
            break;
        }
        match (kind, len) {
            (TIMESTAMPS, 10) => timestamp = long(options, at + 2),
            (SACK, 10 | 18 | 26 | 34) => sack = Some(((start + at + 2) as u16, (len - 2) as u16)),
            _ => {}
        }
        at += len;
    }
    (timestamp, sack)
}

/// Writes sequence and acknowledgement numbers in place. The checksum follows.
pub fn set_numbers(packet: &mut Packet, segment: &Segment, seq: u32, ack: u32) {
    let at = usize::from(segment.l4);
    let Some(tcp) = packet.bytes_mut().get_mut(at..).and_then(|rest| rest.first_chunk_mut::<{ tcp::LEN }>())
    else {
        return;
    };
    let delta = Delta::address(segment.seq, seq).and(Delta::address(segment.ack, ack));
    let sum = delta.apply(bytes::word(tcp, tcp::CHECKSUM));
    put_long(tcp, tcp::SEQ, seq);
    put_long(tcp, tcp::ACK_NUMBER, ack);
    put_word(tcp, tcp::CHECKSUM, sum);
}

/// Passes every SACK block through `map`; a block mapped to none is taken out, and no-operations fill its place.
pub fn map_sack(packet: &mut Packet, segment: &Segment, map: impl Fn(u32, u32) -> Option<(u32, u32)>) {
    let Some((start, len)) = segment.sack else { return };
    let (start, len) = (usize::from(start), usize::from(len));
    let Some(option) = start.checked_sub(2).and_then(|at| packet.bytes_mut().get_mut(at..start + len)) else {
        return;
    };
    let mut written = 2;
    for at in (2..option.len()).step_by(8) {
        let (Some(left), Some(right)) = (long(option, at), long(option, at + 4)) else { break };
        let Some((left, right)) = map(left, right) else { continue };
        option[written..written + 4].copy_from_slice(&left.to_be_bytes());
        option[written + 4..written + 8].copy_from_slice(&right.to_be_bytes());
        written += 8;
    }
    if written == 2 {
        option.fill(NO_OPERATION);
    } else {
        option[1] = written as u8;
        option[written..].fill(NO_OPERATION);
    }
    write_checksum(packet, usize::from(segment.l3), usize::from(segment.l4));
}

/// Leaves a segment its headers alone. False where it cannot be cut.
pub fn cut_data(packet: &mut Packet, segment: &Segment) -> bool {
    let (l3, l4) = (usize::from(segment.l3), usize::from(segment.l4));
    if !packet.resize(usize::from(segment.payload)) {
        return false;
    }
    let frame = packet.bytes_mut();
    let (ip, total_len) = (&mut frame[l3..], segment.payload - segment.l3);
    let change = Delta::word(bytes::word(ip, ipv4::TOTAL_LEN), total_len);
    put_word(ip, ipv4::CHECKSUM, change.apply(bytes::word(ip, ipv4::CHECKSUM)));
    put_word(ip, ipv4::TOTAL_LEN, total_len);
    frame[l4 + tcp::FLAGS] &= !(tcp::FIN | tcp::PSH | tcp::URG);
    put_word(&mut frame[l4..], tcp::URGENT, 0);
    write_checksum(packet, l3, l4);
    true
}

/// Computes the TCP checksum anew, of the IPv4 packet at `l3`.
pub fn write_checksum(packet: &mut Packet, l3: usize, l4: usize) {
    let frame = packet.bytes_mut();
    let Some(total_len) = word(frame, l3 + ipv4::TOTAL_LEN).map(usize::from) else { return };
    let Some(datagram) = frame.get_mut(l3..l3 + total_len) else { return };
    let Some((header, segment)) = datagram.split_at_mut_checked(l4 - l3) else { return };
    let (Some(&src), Some(&dst)) = (
        header.get(ipv4::SRC..ipv4::DST).and_then(|address| address.first_chunk()),
        header.get(ipv4::DST..ipv4::LEN).and_then(|address| address.first_chunk()),
    ) else {
        return;
    };
    put_word(segment, tcp::CHECKSUM, 0);
    let sum = transport_checksum(src, dst, TCP, segment);
    put_word(segment, tcp::CHECKSUM, sum);
}
