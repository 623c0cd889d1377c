//! Streams: TCP connections whose messages a gateway reads and changes, whatever segments they come in.
//!
//! A [`Stream`] stands between the two ends of a connection and takes over every segment of it. Payload goes on
//! as soon as the [`Inspector`] has released it, and not before; as long as nothing is changed, in the very packets
//! it came in. Bytes of an unfinished message are *held*: in their packets, and unacknowledged, so that the sender
//! remains responsible for them. A changed message is *retained*: it is kept as the receiver is to get it until the
//! receiver acknowledges it, so that every repetition is identical. What was changed shifts the sequence numbers
//! behind it (`shift.rs`).
//!
//! A sender that would wait for ever for an acknowledgement of held bytes gets one from us. From then on they are ours
//! to deliver, with a timer, and within the receiver's window.
//!
//! At the first violation or shortage the stream *detaches*: what is held goes on as it came, nothing is read any
//! more, and only numbers are mapped, until that too is a constant ([`Stream::is_settled`]).
//!
//! A stream's segments, and those it makes itself, carry addresses as their sender writes them: translation comes
//! afterwards, and treats all alike.

mod arrive;
mod cause;
mod chunks;
mod compose;
mod deliver;
mod detach;
mod flow;
mod header;
mod hold;
mod inspect;
mod means;
mod opening;
mod release;
mod repeat;
mod sender;
mod sequence;
mod shift;

use mem::Packet;
use serde::{Deserialize, Serialize};

pub use cause::Cause;
pub use chunks::{Chunks, Counters, MESSAGE_LEN_MAX};
pub use inspect::{EditList, EditRefused, Inspection, Inspector};
pub use means::{Buffers, Emission, Means};
pub use opening::Opening;
pub use sender::Sender;

use flow::Flow;
use header::Segment;
use opening::SEGMENT_LEN_DEFAULT;
use sender::HeaderFields;

/// One inspected connection, both ways. Its bytes are in chunks: [`Stream::close`] gives them back.
pub struct Stream {
    /// By sender: what segments of our own look like, and the bytes on their way.
    fields: [HeaderFields; 2],
    flows: [Flow; 2],
    has_timestamps: bool,
    detached: Option<Cause>,
    /// Another connection may begin over this one's ports: the initiator sent a SYN for it.
    is_reopening: bool,
    /// The segment that just arrived, and the chunk it became: as long as that is whole it can go on in place.
    fresh: Option<(u32, Segment)>,
}

const _: () = assert!(size_of::<Stream>() <= 512, "a stream is a few cache lines; its bytes are in chunks");

impl Stream {
    /// A stream of a connection whose handshake was seen: the SYN and the answer to it, as their senders wrote them.
    pub fn new(initiator: &Opening, responder: &Opening) -> Stream {
        let scaled = initiator.window_scale.zip(responder.window_scale);
        let (initiator_scale, responder_scale) = scaled.unwrap_or((0, 0));
        let has_timestamps = initiator.timestamp.is_some() && responder.timestamp.is_some();
        let flow = |from: &Opening, to: &Opening| {
            let segment_len_max = to.segment_len_max.unwrap_or(SEGMENT_LEN_DEFAULT);
            Flow::new(from.sequence.wrapping_add(1), u32::from(to.window), segment_len_max)
        };
        let mut fields = [initiator.fields(initiator_scale), responder.fields(responder_scale)];
        // The responder's SYN has acknowledged the initiator's; the answer to that may still be lost.
        fields[1].announced = (initiator.sequence.wrapping_add(1), fields[1].window);
        Stream {
            fields,
            flows: [flow(initiator, responder), flow(responder, initiator)],
            has_timestamps,
            detached: None,
            is_reopening: false,
            fresh: None,
        }
    }

    /// The initiator sent a SYN of another connection. What the responder answers to it must reach it, whatever of this
    /// connection it was told before: it resets this one with that (RFC 9293 section 3.5.1).
    pub fn note_reopening(&mut self) {
        self.is_reopening = true;
    }

    /// Takes over a TCP segment of `sender`, whose IPv4 header is at `l3` and whose TCP header is at `l4`.
    pub fn segment(&mut self, sender: Sender, packet: Packet, l3: u16, l4: u16, means: &mut Means) {
        let Some(segment) = header::read(packet.bytes(), l3, l4) else {
            means.chunks.counters.malformed += 1;
            return means.chunks.consume(packet);
        };
        self.arrive(sender, packet, segment, means);
        self.fresh = None;
    }

    /// Does what is due at `means.now`.
    pub fn tick(&mut self, means: &mut Means) {
        for sender in Sender::ALL {
            let flow = &mut self.flows[sender.index()];
            let is_due = |deadline: Option<u32>| {
                deadline.is_some_and(|at| crate::state::table::timer::is_due(means.now, at))
            };
            let (is_stalled, is_resent) = (is_due(flow.stall_due), is_due(flow.resend_due));
            if is_stalled {
                flow.stall_due = None;
                if flow.is_short {
                    self.advance(sender, means);
                }
                self.relieve(sender, means);
            }
            if is_resent {
                self.resend_after_timeout(sender, means);
            }
        }
    }

    /// When to call [`Stream::tick`] next. Later than that is no mistake.
    pub fn deadline(&self) -> Option<u32> {
        let due = self.flows.iter().flat_map(|flow| [flow.stall_due, flow.resend_due]);
        due.flatten().reduce(sequence::earlier)
    }

    /// Why nothing is read any more; none as long as it is.
    pub fn detached(&self) -> Option<Cause> {
        self.detached
    }

    /// Whether nothing is left to do but to map numbers by a constant: [`Stream::shifts`] can take over.
    pub fn is_settled(&self, chunks: &Chunks) -> bool {
        let is_quiet = |flow: &Flow| flow.held.is_empty() && flow.retained.is_empty() && !flow.owns(chunks);
        // Whoever has not heard that it was given up is told again.
        let goes_on = self.detached.is_some_and(|cause| cause != Cause::Undeliverable);
        goes_on && self.flows.iter().all(is_quiet)
    }

    /// What is added to sequence numbers going either way, and taken from the acknowledgements of them.
    pub fn shifts(&self) -> Shifts {
        Shifts { client: self.flows[0].shift_after, server: self.flows[1].shift_after }
    }

    /// [`Stream::shifts`] where they are all that the connection needs to go on, unread: none while bytes that
    /// were changed, or that the sender believes to have arrived, are still to be acknowledged.
    pub fn shifts_at_rest(&self, chunks: &Chunks) -> Option<Shifts> {
        let is_at_rest = |flow: &Flow| flow.retained.is_empty() && !flow.owns(chunks);
        self.flows.iter().all(is_at_rest).then(|| self.shifts())
    }

    /// The numbers to quote in an ICMP error to `sender` about a segment that left here as `seq` and
    /// `ack`: as the sender wrote them.
    pub fn quoted(&self, chunks: &Chunks, sender: Sender, seq: u32, ack: u32) -> (u32, u32) {
        let seq = self.flows[sender.index()].map(chunks).to_sender(seq);
        (seq, self.flows[sender.other().index()].map(chunks).to_receiver(ack))
    }

    /// Cuts segments of our own to what a path can take, as an ICMP error to `sender` said. `mtu` counts the
    /// IPv4 header.
    pub fn limit_segments(&mut self, sender: Sender, mtu: u16) {
        let flow = &mut self.flows[sender.index()];
        let len_max = mtu.saturating_sub(40).max(opening::SEGMENT_LEN_MIN);
        flow.segment_len_max = flow.segment_len_max.min(len_max);
    }

    /// Gives all chunks back. What was held or retained is lost.
    pub fn close(&mut self, chunks: &mut Chunks) {
        for flow in &mut self.flows {
            flow.clear(chunks);
        }
    }
}

/// What remains of a stream that settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shifts {
    /// Added to the client's sequence numbers, taken from the server's acknowledgements.
    pub client: u32,
    /// Added to the server's sequence numbers, taken from the client's acknowledgements.
    pub server: u32,
}

impl Shifts {
    /// The shift of what a sender sends, and that of what the other one does.
    pub fn of(&self, sender: Sender) -> (u32, u32) {
        match sender {
            Sender::Client => (self.client, self.server),
            Sender::Server => (self.server, self.client),
        }
    }

    /// Maps the numbers of a segment in place, SACK blocks included. False, with nothing changed, where its headers
    /// or checksum are wrong.
    pub fn apply(&self, sender: Sender, packet: &mut Packet, l3: u16, l4: u16) -> bool {
        let (own, other) = self.of(sender);
        let Some(segment) = header::read(packet.bytes(), l3, l4) else { return false };
        header::set_numbers(packet, &segment, segment.seq.wrapping_add(own), segment.ack.wrapping_sub(other));
        if other != 0 {
            header::map_sack(packet, &segment, |left, right| {
                Some((left.wrapping_sub(other), right.wrapping_sub(other)))
            });
        }
        true
    }

    /// The same to a segment of a connection that is over, which loses its data: its numbers are those of bytes that its
    /// receiver has, or never will, so that he refuses it, and its sender hears how things stand (RFC 9293 section
    /// 3.10.7.4).
    pub fn apply_without_data(&self, sender: Sender, packet: &mut Packet, l3: u16, l4: u16) -> bool {
        if !self.apply(sender, packet, l3, l4) {
            return false;
        }
        let Some(segment) = header::read(packet.bytes(), l3, l4) else { return false };
        header::set_numbers(packet, &segment, segment.seq.wrapping_sub(1), segment.ack);
        header::cut_data(packet, &segment)
    }
}
