//! Reads a packet of a control session: as a part of its TCP stream, or as a datagram.

use alg::Row;
use mem::Packet;

use crate::counters::{Counters, Tally};
use crate::drops::DropReason;
use crate::head::{Head, Transport};
use crate::inspect::streams::Streams;
use crate::policy::Policy;
use crate::port::Ports;
use crate::state::control_session::Channel;
use crate::state::shard::{SessionRef, Shard};

/// What is needed to read one packet.
pub struct Reading<'a> {
    /// Streams, and datagrams in fragments.
    pub streams: &'a mut Streams,
    /// Control sessions and doors.
    pub shard: &'a mut Shard,
    /// The policy in force.
    pub policy: &'a Policy,
    /// The gateways.
    pub gateways: &'static [Row],
    /// The counters of the gateways.
    pub counters: &'a Counters,
    /// Where buffers come from.
    pub ports: &'a mut Ports,
    /// The packets that were dropped, made or used up here, for the path to count.
    pub tally: &'a mut Tally,
    /// Milliseconds.
    pub now: u32,
}

/// What became of a packet that was to be read.
pub enum Read {
    /// It goes on as it came, or as it is now: its length is the same.
    Unchanged(Packet),
    /// Its payload is to be replaced by [`Streams::text`]. It is not written yet, as the new packet may be too long for the
    /// outgoing link.
    Changed(Packet),
    /// It is kept, or other packets go on in its place. The path takes those from [`Streams::passed`].
    Taken,
    /// It is dropped.
    Refused(DropReason),
}

impl Reading<'_> {
    /// A packet of a control session.
    pub fn packet(&mut self, packet: Packet, head: &Head, found: SessionRef) -> Read {
        if self.note_reuse(&packet, head, found) {
            return Read::Unchanged(packet);
        }
        // A control session without a record carries datagrams.
        let control = self.shard.control_sessions.of(found.index);
        match (control.map_or(&Channel::Datagrams, |control| &control.channel), head.transport) {
            (_, Transport::IcmpError { .. }) => Read::Unchanged(self.restore_quote(packet, head, found)),
            (Channel::Untouched, _) => Read::Unchanged(packet),
            _ if head.is_fragment => self.fragment(packet, head, found),
            (Channel::Datagrams, Transport::Udp) => self.datagram(packet, head, found),
            (Channel::Opening(_) | Channel::Answered(..), Transport::Tcp) => {
                self.handshake(packet, head, found)
            }
            (&Channel::Open(stream), Transport::Tcp) => self.segment(packet, head, stream, found),
            (&Channel::Settled(shifts), Transport::Tcp) => self.shifted(packet, head, shifts, found),
            (&Channel::Ended(shifts), Transport::Tcp) => self.ended(packet, head, shifts, found),
            _ => Read::Unchanged(packet),
        }
    }

    /// Does what is due for a few streams, closes those of ended control sessions, and drops fragments that waited too
    /// long for the rest of their packets.
    pub fn look_after(&mut self) {
        while let Some(count) = self.streams.assembly.expire(self.now) {
            self.tally.drop(DropReason::FragmentTimeout, count);
        }
        while let Some(stream) = self.shard.control_sessions.next_ended() {
            self.tally.consumed += self.streams.close(stream);
        }
        self.tick();
    }
}
