//! A new connection over the ports of one before it (RFC 9293 section 3.10.7.4, RFC 6191).
//!
//! A client that restarted, or whose ports came round, sends a SYN on a control session whose connection the box still
//! knows. Believing it at once would let anybody end a connection with one forged packet; passing it to the old stream
//! would swallow the new one. So the SYN goes on as it came and changes nothing, until the other side acknowledges it:
//! from then on it is the new connection's, which is read from its first byte once the client has acknowledged the other
//! side, like any.

use alg::registry::ROWS;
use mem::Packet;

use crate::head::{Head, Transport};
use crate::inspect::reading::Reading;
use crate::inspect::segment::stream_direction;
use crate::state::control::Channel;
use crate::state::door::OwnerKey;
use crate::state::shard::SessionRef;
use crate::stream::{Direction, Opening};
use crate::wire::tcp::{self, SYN_ACK};

impl Reading<'_> {
    /// Notes a packet of another connection's handshake than that of the control session's connection. Whether it is one:
    /// it goes on as it came.
    pub(super) fn note_reuse(&mut self, packet: &Packet, head: &Head, found: SessionRef) -> bool {
        let flags = head.tcp_flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN);
        if head.transport != Transport::Tcp || flags & tcp::SYN == 0 || head.is_fragment {
            return false;
        }
        let Some(control) = self.shard.controls.of_mut(found.index) else { return false };
        let has_begun = !matches!(control.channel, Channel::Opening(_) | Channel::Datagrams);
        let Some(opening) = Opening::read(packet.bytes(), head.l3, head.l4).filter(|_| has_begun) else {
            return false;
        };
        match (stream_direction(control.client, found.direction), flags) {
            (Direction::Forward, tcp::SYN) if control.syn != Some(opening.sequence) => {
                control.reopening = Some(opening);
                let channel = control.channel;
                self.note_reopening(channel);
                true
            }
            (Direction::Backward, SYN_ACK) => {
                let answered = |first: &mut Opening| head.ack == first.sequence.wrapping_add(1);
                let Some(first) = control.reopening.take_if(answered) else { return false };
                self.begin_anew(found.index, &first, &opening);
                true
            }
            _ => false,
        }
    }

    fn note_reopening(&mut self, channel: Channel) {
        if let Channel::Open(stream) = channel
            && let Some(record) = self.streams.records.at_mut(stream)
        {
            record.stream.note_reopening();
        }
    }

    /// The control session is the new connection's. What the old one announced is over; sessions that went through are
    /// not.
    fn begin_anew(&mut self, session: u32, first: &Opening, answer: &Opening) {
        let Some(control) = self.shard.controls.of_mut(session) else { return };
        control.syn = Some(first.sequence);
        let state = (ROWS[usize::from(control.gateway)].state)();
        // Until the client has acknowledged the answer, nothing may be said in its name.
        let channel = Channel::Answered(*first, *answer);
        if let Some(stream) = self.shard.controls.begin_anew(session, channel, state) {
            self.tally.consumed += self.streams.close(stream);
        }
        self.shard.close_doors_of(self.policy, OwnerKey::Control(session), None, self.now);
    }
}
