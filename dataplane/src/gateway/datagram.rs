//! Datagrams of control sessions: each is a message.

use mem::Packet;

use crate::checksum::{checksum, transport_checksum};
use crate::drops::DropReason;
use crate::gateway::{go_on, go_on_changed, reader::Reader};
use crate::parse::Head;
use crate::state::control::Channel;
use crate::state::session::{Direction, Flags};
use crate::state::shard::SessionRef;
use crate::state::stream::EditList;
use crate::tuple::UDP;
use crate::worker::Worker;

/// Bytes of a UDP header.
const UDP_LEN: usize = 8;

/// A datagram of a control session.
pub(super) fn pass(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let start = usize::from(head.l4) + UDP_LEN;
    let end = usize::from(head.l3) + usize::from(head.total_len);
    let mut edits = std::mem::take(&mut worker.streams.edits);
    edits.clear();
    if let Some(message) = packet.bytes().get(start..end) {
        read(worker, message, head, found, &mut edits, now);
    }
    let fate = if edits.is_empty() {
        go_on(worker, packet, head, found, now)
    } else {
        let mut text = std::mem::take(&mut worker.streams.text);
        let changed = packet.bytes().get(start..end).is_some_and(|message| edits.apply(message, &mut text));
        let changed = if changed { change(packet, head, &text) } else { Err(DropReason::BuffersExhausted) };
        worker.streams.text = text;
        changed.and_then(|packet| go_on_changed(worker, packet, head.l3, head, found, now))
    };
    worker.streams.edits = edits;
    fate
}

fn read(worker: &mut Worker, message: &[u8], head: &Head, found: SessionRef, edits: &mut EditList, now: u32) {
    let tables = &mut worker.tables;
    let serves_any =
        tables.shard.session(found.index).is_some_and(|session| session.flags.has(Flags::ANY_PEER));
    let peer = match found.direction {
        Direction::Outbound => head.tuple.dst,
        Direction::Inbound => head.tuple.src,
    };
    let Some(control) = tables.shard.controls.of_mut(found.index) else { return };
    let (gateway, client) = (control.gateway, control.client);
    let by_client = (client == alg::Side::Inside) == (found.direction == Direction::Outbound);
    let mut reader = Reader {
        gateway,
        client,
        state: std::mem::take(&mut control.state),
        shard: &mut tables.shard,
        policy: &tables.policy,
        counters: &tables.counters,
        control: found.index,
        peer: serves_any.then_some(peer),
        is_over: false,
        now,
    };
    // A datagram that is not understood says nothing of the next one, which anybody may have sent.
    let _ = reader.read(message, by_client, edits);
    let (state, is_over) = (reader.state, reader.is_over);
    if let Some(control) = tables.shard.controls.of_mut(found.index) {
        control.state = state;
        if is_over {
            control.channel = Channel::Untouched;
        }
    }
}

/// Puts another payload into a datagram, in the same buffer or, where that is too small, in none.
fn change(mut packet: Packet, head: &Head, payload: &[u8]) -> Result<Packet, DropReason> {
    let (l3, l4) = (usize::from(head.l3), usize::from(head.l4));
    let total_len = l4 - l3 + UDP_LEN + payload.len();
    if !packet.resize(l3 + total_len) || total_len > usize::from(u16::MAX) {
        return Err(DropReason::BuffersExhausted);
    }
    let bytes = packet.bytes_mut();
    bytes[l4 + UDP_LEN..].copy_from_slice(payload);
    bytes[l3 + 2..l3 + 4].copy_from_slice(&(total_len as u16).to_be_bytes());
    bytes[l3 + 10..l3 + 12].fill(0);
    let sum = checksum(&bytes[l3..l4]);
    bytes[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
    bytes[l4 + 4..l4 + 6].copy_from_slice(&((UDP_LEN + payload.len()) as u16).to_be_bytes());
    // None stays none (RFC 768).
    if bytes[l4 + 6..l4 + 8] != [0, 0] {
        bytes[l4 + 6..l4 + 8].fill(0);
        let (src, dst) = (head.src.octets(), head.dst.octets());
        let sum = match transport_checksum(src, dst, UDP, &bytes[l4..]) {
            0 => 0xffff,
            sum => sum,
        };
        bytes[l4 + 6..l4 + 8].copy_from_slice(&sum.to_be_bytes());
    }
    Ok(packet)
}
