//! A new connection over the ports of one before it (RFC 9293 section 3.10.7.4, RFC 6191).
//!
//! A client that restarted, or whose ports came round, sends a SYN on a control session whose connection the box still
//! knows. Believing it at once would let anybody end a connection with one forged packet; passing it to the old stream
//! would swallow the new one. So the SYN goes on as it came and changes nothing, and neither does what answers it. With
//! the client's acknowledgement of that it is the new connection, which is read from its first byte.

use mem::Packet;

use crate::head::{Head, Transport};
use crate::inspect::reading::Reading;
use crate::state::connection::Said;
use crate::state::control_session::Channel;
use crate::state::door::OwnerKey;
use crate::state::reopen::Noted;
use crate::state::reopenings::Reopening;
use crate::state::shard::SessionRef;
use crate::stream::{Opening, Stream};
use crate::wire::tcp;

impl Reading<'_> {
    /// Notes what a packet says about another connection over the ports of the control session's. Whether it is of its
    /// handshake, and goes on as it came; with the third one, the new connection is read.
    pub(super) fn note_reuse(&mut self, packet: &Packet, head: &Head, found: SessionRef) -> bool {
        if head.transport != Transport::Tcp || head.is_fragment {
            return false;
        }
        let Some(channel) = self.shard.control_sessions.of(found.index).map(|control| control.channel) else {
            return false;
        };
        let has_syn = head.tcp_flags & tcp::SYN != 0;
        let opening = has_syn.then(|| Opening::read(packet.bytes(), head.l3, head.l4)).flatten();
        match self.shard.note_reopening(self.policy, found, &Said::of(head), opening, self.now) {
            Noted::Nothing => false,
            Noted::Handshake => {
                self.note_reopening(channel);
                true
            }
            Noted::Begun(reopening) => {
                self.begin_anew(found.index, &reopening);
                false
            }
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
    /// not. A connection that began with data is not read.
    fn begin_anew(&mut self, session: u32, reopening: &Reopening) {
        let Some(control) = self.shard.control_sessions.of_mut(session) else { return };
        let (gateway, holder) = (control.gateway, control.holder());
        let state = (self.gateways[usize::from(gateway)].state)();
        if let Some(stream) = self.shard.control_sessions.begin_anew(session, Channel::Untouched, state) {
            self.tally.consumed += self.streams.close(stream);
        }
        self.shard.close_doors_of(self.policy, OwnerKey::ControlSession(session), None, self.now);
        let [Some(first), Some(answer)] = reopening.openings else {
            return self.counters.gateways[usize::from(gateway)].unread.add(1);
        };
        let stream = Stream::new(&first, &answer);
        let channel = self.streams.open(session, gateway, holder, stream, self.counters);
        if let Some(control) = self.shard.control_sessions.of_mut(session) {
            (control.channel, control.syn) = (channel, Some(first.sequence));
        }
    }
}
