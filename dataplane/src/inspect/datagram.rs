//! Datagrams of control sessions: each is a message.

use alg::State;
use alg::registry::ROWS;
use mem::Packet;

use crate::drops::DropReason;
use crate::flow::UDP;
use crate::inspect::attach::reader_of;
use crate::inspect::streams::FromPorts;
use crate::inspect::{go_on, reader::Reader, vrf_of};
use crate::path;
use crate::path::parse::{Head, parse_ipv4};
use crate::path::translate::{self, Refused};
use crate::state::control::{Channel, Control};
use crate::state::session::{Direction, Flags};
use crate::state::shard::{SessionRef, Shard};
use crate::stream::{Buffers, EditList};
use crate::wire::checksum::{checksum, transport_checksum};
use crate::wire::fragment::Cutter;
use crate::worker::Worker;

/// Bytes of a UDP header.
const UDP_LEN: usize = 8;
/// A datagram that has to be cut is cut into packets of this many bytes at least; a link with a smaller MTU cuts again.
const CUT_LEN_MIN: u16 = 576;
/// The smallest MTU of a link (RFC 791).
const MTU_MIN: u16 = 68;

/// A datagram of a control session.
pub(super) fn pass(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let (start, len) = (usize::from(head.l3), usize::from(head.total_len));
    let datagram = packet.bytes().get(start..start + len).unwrap_or_default();
    if !read(worker, datagram, head, found, now) {
        return go_on(worker, packet, head, found, now);
    }
    let text = std::mem::take(&mut worker.streams.text);
    let fate = pass_changed(worker, packet, head, found, &text, now);
    worker.streams.text = text;
    fate
}

/// A datagram whose payload is another now. Whether it fits to where it goes is decided by its new length.
fn pass_changed(
    worker: &mut Worker,
    mut packet: Packet,
    head: &Head,
    found: SessionRef,
    text: &[u8],
    now: u32,
) -> Result<(), DropReason> {
    let (l3, l4) = (usize::from(head.l3), usize::from(head.l4));
    let total_len = l4 - l3 + UDP_LEN + text.len();
    let changed = Head { total_len: u16::try_from(total_len).unwrap_or(u16::MAX), ..*head };
    let decision = translate::translated(&mut worker.tables, &changed, found, now);
    if let Err(refused) = decision {
        let refused = before_growth(refused, changed.total_len.saturating_sub(head.total_len));
        return path::follow(worker, packet, head, Err(refused), now);
    }
    if !packet.resize(l3 + total_len) {
        let mut whole = std::mem::take(&mut worker.streams.whole);
        whole.clear();
        whole.extend_from_slice(packet.bytes().get(l3..l4 + UDP_LEN).unwrap_or_default());
        whole.extend_from_slice(text);
        finish(&mut whole, head);
        let new_id = worker.tables.shard.draw() as u16;
        let first = Head { new_id: Some(new_id), ..*head };
        worker.counters.fates.consumed.add(1);
        send_cut(worker, &whole, &first, head.total_len, found, now);
        worker.streams.whole = whole;
        return Ok(());
    }
    let bytes = packet.bytes_mut();
    bytes[l4 + UDP_LEN..].copy_from_slice(text);
    finish(&mut bytes[l3..], head);
    path::follow(worker, packet, &changed, decision, now)
}

/// A datagram that came in fragments, from its IPv4 header on, its first one's head, and the longest one's length. True if it
/// was changed, and has gone on so.
pub(super) fn pass_whole(
    worker: &mut Worker,
    whole: &mut Vec<u8>,
    first: &Head,
    len_max: u16,
    found: SessionRef,
    now: u32,
) -> bool {
    if !read(worker, whole, first, found, now) {
        return false;
    }
    whole.truncate(usize::from(first.l4 - first.l3) + UDP_LEN);
    whole.extend_from_slice(&worker.streams.text);
    finish(whole, first);
    send_cut(worker, whole, first, len_max, found, now);
    true
}

/// Sends a datagram that no packet holds, or that came in several, in fragments of about the length that it came in. They
/// are packets of our own, translated one by one.
fn send_cut(worker: &mut Worker, whole: &[u8], first: &Head, len_max: u16, found: SessionRef, now: u32) {
    let vrf = vrf_of(worker, found);
    let Some(mut cutter) = Cutter::new(whole, len_max.max(CUT_LEN_MIN)) else { return };
    while !cutter.is_done() {
        worker.counters.fates.generated.add(1);
        let fragment = FromPorts(&mut worker.ports).take();
        let fragment = fragment.and_then(|mut fragment| cutter.write_next(&mut fragment).then_some(fragment));
        let Some(fragment) = fragment else {
            // What is missing makes the rest useless: nobody can put it together.
            return worker.counters.dropped(DropReason::BuffersExhausted);
        };
        let fate = parse_ipv4(fragment.bytes(), 0, first.interface, vrf).and_then(|mut head| {
            head.tuple = first.tuple;
            head.new_id = first.new_id;
            go_on(worker, fragment, &head, found, now)
        });
        if let Err(reason) = fate {
            worker.counters.dropped(reason);
        }
    }
}

/// The MTU that a sender is told, whose packets grow on their way (RFC 1191 asks for one that helps it).
fn before_growth(refused: Refused, growth: u16) -> Refused {
    match refused.reason {
        DropReason::FragmentationNeeded => {
            Refused { mtu: refused.mtu.saturating_sub(growth).max(MTU_MIN), ..refused }
        }
        _ => refused,
    }
}

/// Has the gateway read a datagram, from its IPv4 header on. True if it has another payload now: what
/// `worker.streams.text` says. One that is damaged is for its receiver to drop: it is not read, and so not mended.
fn read(worker: &mut Worker, datagram: &[u8], head: &Head, found: SessionRef, now: u32) -> bool {
    let Some(message) = payload(datagram, head) else { return false };
    let mut edits = std::mem::take(&mut worker.streams.edits);
    edits.clear();
    show(worker, message, head, found, &mut edits, now);
    let is_changed = !edits.is_empty() && edits.apply(message, &mut worker.streams.text);
    worker.streams.edits = edits;
    is_changed
}

/// The payload of a datagram that is sound.
fn payload<'d>(datagram: &'d [u8], head: &Head) -> Option<&'d [u8]> {
    let datagram = datagram.get(usize::from(head.l4 - head.l3)..)?;
    let &[.., high, low, a, b] = datagram.first_chunk::<UDP_LEN>()?;
    let datagram = datagram.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let sum = || transport_checksum(head.src.octets(), head.dst.octets(), UDP, datagram);
    let is_sound = [a, b] == [0, 0] || sum() == 0;
    datagram.get(UDP_LEN..).filter(|_| is_sound)
}

fn show(worker: &mut Worker, message: &[u8], head: &Head, found: SessionRef, edits: &mut EditList, now: u32) {
    let tables = &mut worker.tables;
    let serves_any =
        tables.shard.session(found.index).is_some_and(|session| session.flags.has(Flags::ANY_PEER));
    let peer = match found.direction {
        Direction::Outbound => head.tuple.dst,
        Direction::Inbound => head.tuple.src,
    };
    let known = tables.shard.controls.of(found.index).map(|control| (control.gateway, control.client));
    let Some((gateway, client)) = known.or_else(|| reader_of(tables, found.index)) else { return };
    let by_client = (client == alg::Side::Inside) == (found.direction == Direction::Outbound);
    let (policy, counters, shard) = (&tables.policy, &tables.counters, &mut tables.shard);
    let mut read = |shard: &mut Shard, state: &mut State| {
        let mut reader = Reader {
            gateway,
            client,
            state,
            shard,
            policy,
            counters,
            control: found.index,
            peer: serves_any.then_some(peer),
            is_over: false,
            now,
        };
        // A datagram that is not understood says nothing of the next one, which anybody may have sent.
        let _ = reader.read(message, by_client, edits);
        reader.is_over
    };
    let fresh = (ROWS[usize::from(gateway)].state)();
    if let Some(is_over) = shard.with_state(found.index, &mut read) {
        match shard.controls.of_mut(found.index) {
            Some(control) if is_over => control.channel = Channel::Untouched,
            _ => shard.controls.forget_if_new(found.index, &fresh),
        }
        return;
    }
    let mut state = fresh.clone();
    let is_over = read(shard, &mut state);
    if let Some(session) = shard.session(found.index).filter(|_| is_over || state != fresh) {
        let host = (session.inside_vrf, session.inside_local.addr);
        let channel = if is_over { Channel::Untouched } else { Channel::Datagrams };
        // Where there is no room the next datagram is read as if it were the first.
        shard.attach(found.index, Control::new(gateway, host, client, channel), state);
    }
}

/// Writes length and checksum of an IPv4 header, whose packet is of another length now.
pub(super) fn finish_header(packet: &mut [u8], head: &Head) {
    let total_len = packet.len() as u16;
    let header = &mut packet[..usize::from(head.l4 - head.l3)];
    header[2..4].copy_from_slice(&total_len.to_be_bytes());
    header[10..12].fill(0);
    let sum = checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Writes lengths and checksums of a datagram, from its IPv4 header on, whose payload is another now.
fn finish(datagram: &mut [u8], head: &Head) {
    finish_header(datagram, head);
    let (_, udp) = datagram.split_at_mut(usize::from(head.l4 - head.l3));
    let udp_len = udp.len() as u16;
    udp[4..6].copy_from_slice(&udp_len.to_be_bytes());
    // None stays none (RFC 768).
    if udp[6..8] != [0, 0] {
        udp[6..8].fill(0);
        let sum = match transport_checksum(head.src.octets(), head.dst.octets(), UDP, udp) {
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}
