//! Datagrams of control sessions: each is a message.
use alg::{Side, State};
use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint};
use crate::head::Head;
use crate::inspect::reader::Reader;
use crate::inspect::reading::{Read, Reading};
use crate::inspect::streams::{FromPorts, Passed};
use crate::policy::{GatewayIndex, Policy};
use crate::state::control_session::{Channel, ControlSession};
use crate::state::room::Initiator;
use crate::state::session::Flags;
use crate::state::shard::{SessionRef, Shard};
use crate::stream::{Buffers, EditList};
use crate::wire::fragment::Cutter;
use crate::wire::{ipv4, udp};

/// A datagram that has to be cut is cut into packets of this many bytes at least; a link with a smaller MTU cuts again.
const CUT_LEN_MIN: u16 = 576;

impl Reading<'_> {
    /// A datagram of a control session.
    pub(super) fn datagram(&mut self, packet: Packet, head: &Head, found: SessionRef) -> Read {
        let (start, len) = (usize::from(head.l3), usize::from(head.total_len));
        let datagram = packet.bytes().get(start..start + len).unwrap_or_default();
        if self.reads(datagram, head, found) { Read::Changed(packet) } else { Read::Unchanged(packet) }
    }

    /// A datagram that came in fragments, from its IPv4 header on, its first one's head, and the longest one's length. True if
    /// it was changed, and goes on so.
    pub(super) fn whole_datagram(
        &mut self,
        whole: &mut Vec<u8>,
        first: &Head,
        len_max: u16,
        found: SessionRef,
    ) -> bool {
        if !self.reads(whole, first, found) {
            return false;
        }
        whole.truncate(first.header_len() + udp::LEN);
        whole.extend_from_slice(&self.streams.text);
        finish(whole, first);
        self.cut(whole, first, len_max, found);
        true
    }

    /// Has a datagram go on in fragments, whose payload is to be [`Streams::text`](super::Streams::text) and for which its own
    /// buffer has no room.
    pub fn cut_changed(&mut self, packet: &Packet, head: &Head, found: SessionRef) {
        let mut whole = std::mem::take(&mut self.streams.whole);
        whole.clear();
        let headers = usize::from(head.l3)..usize::from(head.l4) + udp::LEN;
        whole.extend_from_slice(packet.bytes().get(headers).unwrap_or_default());
        whole.extend_from_slice(&self.streams.text);
        finish(&mut whole, head);
        let new_id = self.shard.draw() as u16;
        let first = Head { new_id: Some(new_id), ..*head };
        self.tally.consumed += 1;
        self.cut(&whole, &first, head.total_len, found);
        self.streams.whole = whole;
    }

    /// Has a datagram go on that no packet holds, or that came in several, in fragments of about the length that it came in.
    /// They are packets of our own, translated one by one.
    fn cut(&mut self, whole: &[u8], first: &Head, len_max: u16, found: SessionRef) {
        let vrf = self.vrf_of(found);
        let Some(mut cutter) = Cutter::new(whole, len_max.max(CUT_LEN_MIN)) else { return };
        while !cutter.is_done() {
            self.tally.generated += 1;
            let fragment = FromPorts(self.ports).take();
            let fragment =
                fragment.and_then(|mut fragment| cutter.write_next(&mut fragment).then_some(fragment));
            let Some(packet) = fragment else {
                // What is missing makes the rest useless: nobody can put it together.
                return self.tally.drop(DropReason::BuffersExhausted, 1);
            };
            match Head::of(packet.bytes(), 0, first.interface, vrf) {
                Ok(mut head) => {
                    (head.tuple, head.new_id) = (first.tuple, first.new_id);
                    self.streams.passed.push(Passed { packet, head, found, is_unread: false });
                }
                Err(reason) => self.tally.drop(reason, 1),
            }
        }
    }

    /// Has the gateway read a datagram, from its IPv4 header on. True if it has another payload now: what
    /// `streams.text` says. One that is damaged is for its receiver to drop: it is not read, and so not mended.
    fn reads(&mut self, datagram: &[u8], head: &Head, found: SessionRef) -> bool {
        let datagram = datagram.get(head.header_len()..).unwrap_or_default();
        let Some(message) = udp::payload(datagram, head.src, head.dst) else { return false };
        let mut edits = std::mem::take(&mut self.streams.edits);
        edits.clear();
        self.show(message, head, found, &mut edits);
        let is_changed = !edits.is_empty() && edits.apply(message, &mut self.streams.text);
        self.streams.edits = edits;
        is_changed
    }

    fn show(&mut self, message: &[u8], head: &Head, found: SessionRef, edits: &mut EditList) {
        let serves_any =
            self.shard.session(found.index).is_some_and(|session| session.flags.has(Flags::ANY_PEER));
        let peer = match found.direction {
            Direction::Outbound => head.tuple.dst,
            Direction::Inbound => head.tuple.src,
        };
        let known =
            self.shard.control_sessions.of(found.index).map(|control| (control.gateway, control.client));
        let Some((gateway, client)) = known.or_else(|| reader_of(self.policy, self.shard, found.index))
        else {
            return;
        };
        let by_client = (client == Side::Inside) == (found.direction == Direction::Outbound);
        let (policy, counters, now) = (self.policy, self.counters, self.now);
        let row = &self.gateways[usize::from(gateway)];
        let edited = &mut self.streams.edited;
        let mut read = |shard: &mut Shard, state: &mut State| {
            let mut reader = Reader {
                gateway,
                row,
                client,
                state,
                shard,
                policy,
                counters,
                edited: &mut *edited,
                control: found.index,
                peer: serves_any.then_some(peer),
                is_over: false,
                now,
            };
            // A datagram that is not understood says nothing of the next one, which anybody may have sent.
            let _ = reader.read(message, by_client, edits);
            reader.is_over
        };
        let fresh = (row.state)();
        if let Some(is_over) = self.shard.with_state(found.index, &mut read) {
            match self.shard.control_sessions.of_mut(found.index) {
                Some(control) if is_over => control.channel = Channel::Untouched,
                _ => self.shard.control_sessions.forget_if_new(found.index, &fresh),
            }
            return;
        }
        let mut state = fresh.clone();
        let is_over = read(self.shard, &mut state);
        if let Some(session) = self.shard.session(found.index).filter(|_| is_over || state != fresh) {
            let holder = Initiator::of(session);
            let channel = if is_over { Channel::Untouched } else { Channel::Datagrams };
            // Where there is no room the next datagram is read as if it were the first.
            self.shard.attach(found.index, ControlSession::new(gateway, holder, client, channel), state);
        }
    }
}

/// The gateway of a control session without a record, and who opened it.
pub(super) fn reader_of(policy: &Policy, shard: &Shard, index: u32) -> Option<(GatewayIndex, Side)> {
    let session = shard.session(index)?;
    let listens = |end: Endpoint| policy.gateway_of(session.rule, session.protocol, end.port, end.addr);
    let at_server = || listens(session.inside_local()).or_else(|| listens(session.inside_global()));
    let at_client = listens(session.outside_local()).map(|gateway| (gateway, Side::Inside));
    at_client.or_else(|| Some((at_server()?, Side::Outside)))
}

/// Puts another payload into a datagram. False, and nothing is written, where its buffer has no room for it.
pub fn write_payload(packet: &mut Packet, head: &Head, text: &[u8]) -> bool {
    let (l3, payload) = (usize::from(head.l3), usize::from(head.l4) + udp::LEN);
    if !packet.resize(payload + text.len()) {
        return false;
    }
    let bytes = packet.bytes_mut();
    bytes[payload..].copy_from_slice(text);
    finish(&mut bytes[l3..], head);
    true
}

/// Writes lengths and checksums of a datagram, from its IPv4 header on, whose payload is another now.
fn finish(packet: &mut [u8], head: &Head) {
    let header_len = head.header_len();
    ipv4::finish(packet, header_len);
    udp::finish(packet.get_mut(header_len..).unwrap_or_default(), head.src, head.dst);
}
