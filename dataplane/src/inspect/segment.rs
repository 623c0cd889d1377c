//! Segments of control connections: through the stream, to the gateway, and on.

use alg::{Side, State};
use mem::Packet;

use crate::drops::DropReason;
use crate::inspect::reader::Reader;
use crate::inspect::streams::{FromPorts, Record};
use crate::inspect::{go_on, go_on_changed};
use crate::path::parse::{Head, tcp_flags};
use crate::state::control::Channel;
use crate::state::session::Direction;
use crate::state::shard::{SessionRef, Shard};
use crate::stream::{self, Cause, Means, Opening, Shifts, Stream};
use crate::worker::Worker;

/// Which way packets of a session's direction go, seen from who opened the connection.
pub(super) fn stream_direction(client: Side, direction: Direction) -> stream::Direction {
    match (client, direction) {
        (Side::Inside, Direction::Outbound) | (Side::Outside, Direction::Inbound) => {
            stream::Direction::Forward
        }
        _ => stream::Direction::Backward,
    }
}

fn session_direction(client: Side, direction: stream::Direction) -> Direction {
    match (client, direction) {
        (Side::Inside, stream::Direction::Forward) | (Side::Outside, stream::Direction::Backward) => {
            Direction::Outbound
        }
        _ => Direction::Inbound,
    }
}

/// A segment of a connection whose handshake is under way. What comes out of turn passes, and the connection is not
/// read: who does not shake hands is not listened to.
pub(super) fn open(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let streams = &mut worker.streams;
    let Some(control) = worker.tables.shard.controls.of_mut(found.index) else {
        return go_on(worker, packet, head, found, now);
    };
    let direction = stream_direction(control.client, found.direction);
    let flags = head.tcp_flags & (tcp_flags::SYN | tcp_flags::ACK | tcp_flags::RST);
    let opening = Opening::read(packet.bytes(), head.l3, head.l4);
    let first = match &control.channel {
        Channel::Opening(first) => *first,
        _ => None,
    };
    let channel = match (direction, flags, opening, first) {
        (stream::Direction::Forward, tcp_flags::SYN, Some(opening), _) => Channel::Opening(Some(opening)),
        (stream::Direction::Backward, flags, Some(answer), Some(first))
            if flags == tcp_flags::SYN | tcp_flags::ACK =>
        {
            let stream = Stream::new(&first, &answer);
            let stream = streams.open(found.index, control.gateway, control.host(), stream);
            if stream.is_none() {
                worker.counters.gateways[usize::from(control.gateway)].unread.add(1);
            }
            stream.map_or(Channel::Untouched, Channel::Open)
        }
        // A reset ends the attempt; anything else is not a handshake that can be followed.
        (.., first) if flags & tcp_flags::RST != 0 => Channel::Opening(first),
        _ => Channel::Untouched,
    };
    control.channel = channel;
    go_on(worker, packet, head, found, now)
}

/// A segment of a connection that is read.
pub(super) fn pass(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    stream: u32,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let (l3, l4) = (head.l3, head.l4);
    run(worker, stream, found.index, now, head, |stream, client, means| {
        let direction = stream_direction(client, found.direction);
        stream.segment(direction, packet, l3, l4, means);
        1
    });
    Ok(())
}

/// Does what is due for a few streams, and gives up datagrams that do not become whole.
pub(crate) fn look_after(worker: &mut Worker, now: u32) {
    while let Some(count) = worker.streams.assembly.expire(now) {
        (0..count).for_each(|_| worker.counters.dropped(DropReason::FragmentTimeout));
    }
    while let Some(stream) = worker.tables.shard.controls.next_ended() {
        let lost = worker.streams.close(stream);
        worker.counters.fates.consumed.add(lost);
    }
    let Some((stream, session)) = worker.streams.next_due(now) else { return };
    run(worker, stream, session, now, &Head::EMPTY, |stream, _, means| {
        stream.tick(means);
        0
    });
}

/// Runs a stream, and sends what comes out of it. `act` says how many packets went in.
fn run(
    worker: &mut Worker,
    index: u32,
    session: u32,
    now: u32,
    head: &Head,
    act: impl FnOnce(&mut Stream, Side, &mut Means) -> u64,
) {
    let Some(control) = worker.tables.shard.controls.of_mut(session) else { return };
    let (gateway, client, is_over) = (control.gateway, control.client, control.is_over);
    let Worker { streams, tables, ports, .. } = &mut *worker;
    let left = streams.pieces_left(index);
    let Some(Record { stream, .. }) = streams.records.at_mut(index) else { return };
    let (policy, counters) = (&tables.policy, &tables.counters);
    let mut output = std::mem::take(&mut streams.output);
    let (before, was_detached) = (*streams.pool.counters(), stream.detached());
    let (pool, buffers) = (&mut streams.pool, &mut FromPorts(ports));
    let pieces_before = pool.pieces_in_use();
    pool.allow(left);
    let read = |shard: &mut Shard, state: &mut State| {
        let mut reader = Reader {
            gateway,
            client,
            state,
            shard,
            policy,
            counters,
            control: session,
            peer: None,
            is_over,
            now,
        };
        let mut means = Means { pool, buffers, inspector: &mut reader, output: &mut output, now };
        (act(stream, client, &mut means), reader.is_over)
    };
    let Some((taken, is_over)) = tables.shard.with_state(session, read) else { return };
    let after = *streams.pool.counters();
    let (generated, consumed) = (after.generated - before.generated, after.consumed - before.consumed);
    streams.held = (streams.held + taken + generated) - consumed - output.len() as u64;
    let (detached, is_settled, shifts) =
        (stream.detached(), stream.is_settled(&streams.pool), stream.shifts());
    streams.count_pieces(index, pieces_before);
    worker.counters.fates.generated.add(generated);
    worker.counters.fates.consumed.add(consumed);
    let counters = &worker.counters.gateways[usize::from(gateway)];
    // What its gateway refused is counted for that, and a connection that was reset is over.
    let is_failure = |cause: Cause| !matches!(cause, Cause::Refused | Cause::Reset);
    if was_detached.is_none() && detached.is_some_and(is_failure) {
        counters.detached_stream.add(1);
    }
    if let Some(control) = worker.tables.shard.controls.of_mut(session) {
        control.is_over = is_over;
        if is_settled {
            control.channel =
                if shifts == Shifts::default() { Channel::Untouched } else { Channel::Settled(shifts) };
            worker.streams.close(index);
        }
    }
    for emission in output.drain(..) {
        let direction = session_direction(client, emission.direction);
        let found = SessionRef { index: session, direction };
        let fate = go_on_changed(worker, emission.packet, emission.l3, head, found, now);
        if let Err(reason) = fate {
            worker.counters.dropped(reason);
        }
    }
    worker.streams.output = output;
}

/// A segment of a connection that is not read any more, but whose numbers were shifted.
pub(super) fn shift(
    worker: &mut Worker,
    mut packet: Packet,
    head: &Head,
    shifts: Shifts,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let client =
        worker.tables.shard.controls.of_mut(found.index).map_or(Side::Inside, |control| control.client);
    if !shifts.apply(stream_direction(client, found.direction), &mut packet, head.l3, head.l4) {
        return Err(DropReason::TcpHeader);
    }
    go_on(worker, packet, head, found, now)
}
