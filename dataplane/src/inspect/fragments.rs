//! Packets of control sessions that come in fragments: read when all of them are there.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::TCP;
use crate::inspect::assembly::{Added, Fragments};
use crate::inspect::streams::FromPorts;
use crate::inspect::{self, datagram, go_on, vrf_of};
use crate::path::parse::{Head, parse_ipv4};
use crate::state::shard::SessionRef;
use crate::stream::Buffers;
use crate::worker::Worker;

/// A fragment of a packet of a control session.
pub(super) fn pass(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let session = worker.tables.shard.session(found.index).ok_or(DropReason::NoMapping)?;
    let host = (session.inside_vrf, session.inside_local.addr);
    match worker.streams.assembly.add(packet, head, found, host, now) {
        Added::Waits => Ok(()),
        Added::Repeated => {
            worker.counters.fates.consumed.add(1);
            Ok(())
        }
        Added::Refused(reason, count) => {
            (1..count).for_each(|_| worker.counters.dropped(reason));
            Err(reason)
        }
        Added::Whole(fragments) => {
            pass_whole(worker, fragments, found, now);
            Ok(())
        }
    }
}

/// A packet all of whose fragments are there. A datagram that is not changed goes on in those that it came in.
fn pass_whole(worker: &mut Worker, fragments: Fragments, found: SessionRef, now: u32) {
    let Some(&(_, first)) = fragments.first() else { return };
    let len_max = fragments.iter().map(|(_, head)| head.total_len).max().unwrap_or(0);
    let mut whole = std::mem::take(&mut worker.streams.whole);
    put_together(&fragments, &mut whole);
    let has_gone = match first.tuple.protocol {
        TCP => pass_segment(worker, &mut whole, &first, found, now),
        _ => datagram::pass_whole(worker, &mut whole, &first, len_max, found, now),
    };
    worker.streams.whole = whole;
    if has_gone {
        worker.counters.fates.consumed.add(fragments.len() as u64);
        return;
    }
    for (packet, head) in fragments {
        if let Err(reason) = go_on(worker, packet, &head, found, now) {
            worker.counters.dropped(reason);
        }
    }
}

/// A segment that came in fragments goes on as one: its stream must see it whole. True in any case.
fn pass_segment(worker: &mut Worker, whole: &mut [u8], first: &Head, found: SessionRef, now: u32) -> bool {
    datagram::finish_header(whole, first);
    let vrf = vrf_of(worker, found);
    worker.counters.fates.generated.add(1);
    let packet = FromPorts(&mut worker.ports).take().and_then(|mut packet| {
        packet.resize(whole.len()).then(|| {
            packet.bytes_mut().copy_from_slice(whole);
            packet
        })
    });
    let fate = packet.ok_or(DropReason::BuffersExhausted).and_then(|packet| {
        let head = parse_ipv4(packet.bytes(), 0, first.interface, vrf)?;
        inspect::pass(worker, packet, &head, found, now)
    });
    if let Err(reason) = fate {
        worker.counters.dropped(reason);
    }
    true
}

/// Writes the packet that fragments, in their order, were cut from; it may be cut again.
fn put_together(fragments: &Fragments, whole: &mut Vec<u8>) {
    whole.clear();
    for (n, (packet, head)) in fragments.iter().enumerate() {
        let start = usize::from(if n == 0 { head.l3 } else { head.l4 });
        let end = usize::from(head.l3) + usize::from(head.total_len);
        whole.extend_from_slice(packet.bytes().get(start..end).unwrap_or_default());
    }
    if let Some(flags_and_offset) = whole.get_mut(6..8) {
        flags_and_offset.fill(0);
    }
}
