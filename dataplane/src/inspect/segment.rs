//! Segments of control connections: through the stream, to the gateway, and on.

use alg::{Side, State};
use mem::Packet;

use crate::drops::DropReason;
use crate::flow::Direction;
use crate::head::Head;
use crate::inspect::reader::Reader;
use crate::inspect::reading::{Read, Reading};
use crate::inspect::streams::{FromPorts, Record};
use crate::state::connection::Said;
use crate::state::control_session::Channel;
use crate::state::shard::{SessionRef, Shard};
use crate::stream::{Cause, Means, Opening, Sender, Shifts, Stream};
use crate::wire::tcp::{self, SYN_ACK};

/// Who of a connection sends packets of its session's direction.
pub(super) fn sender_of(client: Side, direction: Direction) -> Sender {
    match (client, direction) {
        (Side::Inside, Direction::Outbound) | (Side::Outside, Direction::Inbound) => Sender::Client,
        _ => Sender::Server,
    }
}

fn direction_of(client: Side, sender: Sender) -> Direction {
    match (client, sender) {
        (Side::Inside, Sender::Client) | (Side::Outside, Sender::Server) => Direction::Outbound,
        _ => Direction::Inbound,
    }
}

impl Reading<'_> {
    /// A segment of a connection whose handshake is under way. It is read from the moment that each side has acknowledged
    /// the other's SYN; what proves nothing passes and changes nothing.
    pub(super) fn handshake(&mut self, packet: Packet, head: &Head, found: SessionRef) -> Read {
        let Some(control) = self.shard.control_sessions.of_mut(found.index) else {
            return Read::Unchanged(packet);
        };
        let sender = sender_of(control.client, found.direction);
        let flags = head.tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST);
        let opening = Opening::read(packet.bytes(), head.l3, head.l4);
        let is_again = |known: Opening| known.sequence == head.seq;
        let acknowledges = |other: &Opening| head.ack == other.sequence.wrapping_add(1);
        control.channel = match (sender, flags, control.channel, opening) {
            // It begins the connection again, or another one if the one before was refused: what is neither went its way.
            (Sender::Client, tcp::SYN, as_before, Some(first)) => {
                control.syn = Some(first.sequence);
                match as_before {
                    Channel::Answered(known, _) if is_again(known) => as_before,
                    _ => Channel::Opening(Some(first)),
                }
            }
            (
                Sender::Server,
                SYN_ACK,
                Channel::Opening(Some(first)) | Channel::Answered(first, _),
                Some(answer),
            ) if acknowledges(&first) => Channel::Answered(first, answer),
            (Sender::Client, tcp::ACK, Channel::Answered(first, answer), _) if acknowledges(&answer) => {
                let (gateway, holder) = (control.gateway, control.holder());
                let stream = Stream::new(&first, &answer);
                let channel = self.streams.open(found.index, gateway, holder, stream, self.counters);
                return self.opened(packet, head, channel, found);
            }
            // Its client speaks before its turn, with data in its SYN or to a server that speaks at the same time.
            (Sender::Client, tcp::SYN | SYN_ACK, Channel::Opening(known), _)
                if known.is_none_or(is_again) =>
            {
                self.counters.gateways[usize::from(control.gateway)].unread.add(1);
                Channel::Untouched
            }
            (_, _, as_before, _) => as_before,
        };
        Read::Unchanged(packet)
    }

    /// The handshake is over with this segment, which may have data.
    fn opened(&mut self, packet: Packet, head: &Head, channel: Channel, found: SessionRef) -> Read {
        if let Some(control) = self.shard.control_sessions.of_mut(found.index) {
            control.channel = channel;
        }
        match channel {
            Channel::Open(stream) => self.segment(packet, head, stream, found),
            _ => Read::Unchanged(packet),
        }
    }

    /// A segment of a connection that is read.
    pub(super) fn segment(&mut self, packet: Packet, head: &Head, stream: u32, found: SessionRef) -> Read {
        let (l3, l4) = (head.l3, head.l4);
        self.shard.note_acknowledged(self.policy, found, &Said::of(head), self.now);
        self.run(stream, found.index, head, |stream, client, means| {
            let sender = sender_of(client, found.direction);
            stream.segment(sender, packet, l3, l4, means);
            1
        });
        Read::Taken
    }

    /// Does what is due for a stream.
    pub(super) fn tick(&mut self) {
        let Some((stream, session)) = self.streams.next_due(self.now) else { return };
        self.run(stream, session, &Head::EMPTY, |stream, _, means| {
            stream.tick(means);
            0
        });
    }

    /// Runs a stream, and has go on what comes out of it. `act` says how many packets went in.
    fn run(
        &mut self,
        index: u32,
        session: u32,
        head: &Head,
        act: impl FnOnce(&mut Stream, Side, &mut Means) -> u64,
    ) {
        let Some(control) = self.shard.control_sessions.of_mut(session) else { return };
        let (gateway, client, is_over) = (control.gateway, control.client, control.is_over);
        let streams = &mut *self.streams;
        let left = streams.chunks_left(index);
        let Some(Record { stream, .. }) = streams.records.at_mut(index) else { return };
        let mut output = std::mem::take(&mut streams.output);
        let (before, was_detached) = (*streams.chunks.counters(), stream.detached());
        let (policy, counters, now) = (self.policy, self.counters, self.now);
        let row = &self.gateways[usize::from(gateway)];
        let (chunks, buffers) = (&mut streams.chunks, &mut FromPorts(self.ports));
        let edited = &mut streams.edited;
        let chunks_before = chunks.in_use();
        chunks.allow(left);
        let read = |shard: &mut Shard, state: &mut State| {
            let mut reader = Reader {
                gateway,
                row,
                client,
                state,
                shard,
                policy,
                counters,
                edited,
                control: session,
                peer: None,
                is_over,
                now,
            };
            let mut means = Means { chunks, buffers, inspector: &mut reader, output: &mut output, now };
            (act(stream, client, &mut means), reader.is_over)
        };
        let Some((taken, is_over)) = self.shard.with_state(session, read) else { return };
        let after = *streams.chunks.counters();
        let (generated, consumed) = (after.generated - before.generated, after.consumed - before.consumed);
        streams.held = (streams.held + taken + generated) - consumed - output.len() as u64;
        let (detached, is_settled, shifts) =
            (stream.detached(), stream.is_settled(&streams.chunks), stream.shifts());
        streams.count_chunks(index, chunks_before);
        self.tally.generated += generated;
        self.tally.consumed += consumed;
        // What its gateway refused is counted for that, and a connection that was reset is over.
        let is_failure = |cause: Cause| !matches!(cause, Cause::Refused | Cause::Reset);
        if was_detached.is_none() && detached.is_some_and(is_failure) {
            self.counters.gateways[usize::from(gateway)].detached_stream.add(1);
        }
        if let Some(control) = self.shard.control_sessions.of_mut(session) {
            control.is_over = is_over;
            if is_settled {
                control.channel = match detached {
                    Some(cause) if cause.is_end() => Channel::Ended(shifts),
                    _ if shifts == Shifts::default() => Channel::Untouched,
                    _ => Channel::Settled(shifts),
                };
                self.streams.close(index);
            }
        }
        for emission in output.drain(..) {
            let direction = direction_of(client, emission.sender);
            self.pass(emission.packet, emission.l3, head, SessionRef { index: session, direction }, false);
        }
        self.streams.output = output;
    }

    /// A segment of a connection that is not read any more, but whose numbers were shifted.
    pub(super) fn shifted(
        &mut self,
        mut packet: Packet,
        head: &Head,
        shifts: Shifts,
        found: SessionRef,
    ) -> Read {
        let client =
            self.shard.control_sessions.of_mut(found.index).map_or(Side::Inside, |control| control.client);
        self.shard.note_acknowledged(self.policy, found, &Said::of(head), self.now);
        match shifts.apply(sender_of(client, found.direction), &mut packet, head.l3, head.l4) {
            true => Read::Unchanged(packet),
            false => Read::Refused(DropReason::TcpHeader),
        }
    }

    /// A segment of a connection that was reset, or given up. One side may not have heard of that and go on: nobody reads
    /// what it says, which goes nowhere, and the other side tells it.
    pub(super) fn ended(
        &mut self,
        mut packet: Packet,
        head: &Head,
        shifts: Shifts,
        found: SessionRef,
    ) -> Read {
        let has_data = head.payload_len != 0 || head.tcp_flags & tcp::FIN != 0;
        if !has_data || head.tcp_flags & tcp::SYN != 0 {
            return self.shifted(packet, head, shifts, found);
        }
        let client =
            self.shard.control_sessions.of_mut(found.index).map_or(Side::Inside, |control| control.client);
        let sender = sender_of(client, found.direction);
        self.shard.note_acknowledged(self.policy, found, &Said::of(head), self.now);
        match shifts.apply_without_data(sender, &mut packet, head.l3, head.l4) {
            // Its length is another now, and its headers are read again.
            true => {
                self.pass(packet, head.l3, head, found, false);
                Read::Taken
            }
            false => Read::Refused(DropReason::TcpHeader),
        }
    }
}
