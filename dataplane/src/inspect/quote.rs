//! ICMP errors about segments of control connections: the numbers they quote become those that the sender wrote.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::TCP;
use crate::inspect::{go_on, segment};
use crate::path::parse::{Head, Transport};
use crate::state::control::Channel;
use crate::state::session::Direction;
use crate::state::shard::SessionRef;
use crate::wire::checksum::Delta;
use crate::worker::Worker;

/// Offsets of sequence and acknowledgement number in a TCP header, and of the checksum in an ICMP message.
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const ICMP_CHECKSUM: usize = 2;
/// Offset of the next link's MTU in an ICMP message that asks for fragmentation (RFC 1191 section 4).
const NEXT_MTU: usize = 6;

/// An ICMP error that quotes a packet of a control session.
pub(super) fn pass(
    worker: &mut Worker,
    mut packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    restore(worker, &mut packet, head, found);
    go_on(worker, packet, head, found, now)
}

/// Puts the numbers that the sender of the quoted segment wrote in place of those it had on its way.
pub fn restore(worker: &mut Worker, packet: &mut Packet, head: &Head, found: SessionRef) {
    let Transport::IcmpError { l4, .. } = head.transport else { return };
    if head.tuple.protocol != TCP {
        return;
    }
    if let Some((seq, ack)) = numbers(worker, packet, head, usize::from(l4), found) {
        put(packet, head, usize::from(l4) + SEQUENCE, seq);
        put(packet, head, usize::from(l4) + ACKNOWLEDGEMENT, ack);
    }
}

/// The numbers of the quoted segment, as its sender wrote them.
fn numbers(
    worker: &mut Worker,
    packet: &Packet,
    head: &Head,
    l4: usize,
    found: SessionRef,
) -> Option<(u32, u32)> {
    let control = worker.tables.shard.controls.of_mut(found.index)?;
    // The quoted segment went the other way than the error does.
    let quoted = match found.direction {
        Direction::Outbound => Direction::Inbound,
        Direction::Inbound => Direction::Outbound,
    };
    let direction = segment::stream_direction(control.client, quoted);
    let seq = long(packet, l4 + SEQUENCE)?;
    let ack = long(packet, l4 + ACKNOWLEDGEMENT).unwrap_or(0);
    match control.channel {
        Channel::Open(index) => {
            let streams = &mut worker.streams;
            let stream = &mut streams.records.at_mut(index)?.stream;
            if head.icmp == (3, 4)
                && let Some(mtu) = long(packet, usize::from(head.l4) + NEXT_MTU - 2).map(|word| word as u16)
                && mtu != 0
            {
                stream.limit_segments(direction, mtu);
            }
            Some(stream.quoted(&streams.pool, direction, seq, ack))
        }
        Channel::Settled(shifts) => {
            let (own, other) = shifts.of(direction);
            Some((seq.wrapping_sub(own), ack.wrapping_add(other)))
        }
        _ => None,
    }
}

fn long(packet: &Packet, at: usize) -> Option<u32> {
    packet.bytes().get(at..at + 4)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// Changes a quoted number, where it is quoted, and the error's checksum with it. Quoted headers stand at even
/// offsets: their words are words of the checksum.
fn put(packet: &mut Packet, head: &Head, at: usize, value: u32) {
    let Some(old) = long(packet, at) else { return };
    let bytes = packet.bytes_mut();
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    let sum_at = usize::from(head.l4) + ICMP_CHECKSUM;
    if let Some(place) = bytes.get_mut(sum_at..sum_at + 2) {
        let sum = Delta::address(old, value).apply(u16::from_be_bytes([place[0], place[1]]));
        place.copy_from_slice(&sum.to_be_bytes());
    }
}
