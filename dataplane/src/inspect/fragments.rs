//! Fragmented packets of control sessions. A packet is read when all its fragments have arrived.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::TCP;
use crate::head::{Head, Transport};
use crate::inspect::assembly::{Added, Fragments};
use crate::inspect::datagram::reader_of;
use crate::inspect::reading::{Read, Reading};
use crate::inspect::streams::{FromPorts, Passed};
use crate::policy::GatewayIndex;
use crate::state::shard::SessionRef;
use crate::stream::Buffers;
use crate::wire::bytes::put_word;
use crate::wire::ipv4;

impl Reading<'_> {
    /// A fragment of a packet of a control session.
    pub(super) fn fragment(&mut self, packet: Packet, head: &Head, found: SessionRef) -> Read {
        let Some(session) = self.shard.session(found.index) else {
            return Read::Refused(DropReason::NoMapping);
        };
        let host = (session.inside_vrf(), session.inside_local().addr);
        match self.streams.assembly.add(packet, head, found, host, self.now) {
            Added::Waits(gone) if gone > 0 => self.tally.drop(DropReason::FragmentsFull, gone),
            Added::Waits(_) => {}
            Added::Repeated => self.tally.consumed += 1,
            Added::Refused(reason, count) => {
                self.tally.drop(reason, count - 1);
                return Read::Refused(reason);
            }
            Added::Unread(packet, before) => return self.unread(packet, before, head, found),
            Added::Whole(fragments) => self.whole(fragments, found),
        }
        Read::Taken
    }

    /// Handles a fragment for which there is no room to reassemble its packet. A UDP datagram goes on unread: first its
    /// waiting fragments, then this one. A TCP segment is dropped, as its stream must see every byte; the sender
    /// retransmits it.
    fn unread(&mut self, packet: Packet, before: Fragments, head: &Head, found: SessionRef) -> Read {
        let is_later = head.transport == Transport::LaterFragment;
        let is_counted = !is_later || !before.is_empty();
        if head.tuple.protocol == TCP {
            if !before.is_empty() {
                self.tally.drop(DropReason::FragmentsFull, before.len());
            }
            let reason =
                if is_counted { DropReason::FragmentsFull } else { DropReason::FragmentUntranslatable };
            return Read::Refused(reason);
        }
        if is_counted && let Some(gateway) = self.gateway_of(found.index) {
            self.counters.gateways[usize::from(gateway)].unread_datagrams.add(1);
        }
        if before.is_empty() {
            return Read::Unchanged(packet);
        }
        let all = before.into_iter().chain([(packet, *head)]);
        let unread = all.map(|(packet, head)| Passed { packet, head, found, is_unread: false });
        self.streams.passed.extend(unread);
        Read::Taken
    }

    fn gateway_of(&self, session: u32) -> Option<GatewayIndex> {
        let known = self.shard.control_sessions.of(session).map(|control| control.gateway);
        known.or_else(|| reader_of(self.policy, self.shard, session).map(|(gateway, _)| gateway))
    }

    /// Reads a packet when all its fragments have arrived. A datagram that is not changed goes on in its original
    /// fragments. A segment goes on as one packet, since its stream must see it whole.
    fn whole(&mut self, fragments: Fragments, found: SessionRef) {
        let Some(&(_, first)) = fragments.first() else { return };
        let len_max = fragments.iter().map(|(_, head)| head.total_len).max().unwrap_or(0);
        let mut whole = std::mem::take(&mut self.streams.whole);
        put_together(&fragments, &mut whole);
        let has_gone = if first.tuple.protocol == TCP {
            self.whole_segment(&mut whole, &first, found);
            true
        } else {
            self.whole_datagram(&mut whole, &first, len_max, found)
        };
        self.streams.whole = whole;
        if has_gone {
            self.tally.consumed += fragments.len() as u64;
            return;
        }
        let unchanged =
            fragments.into_iter().map(|(packet, head)| Passed { packet, head, found, is_unread: false });
        self.streams.passed.extend(unchanged);
    }

    fn whole_segment(&mut self, whole: &mut [u8], first: &Head, found: SessionRef) {
        ipv4::finish(whole, first.header_len());
        self.tally.generated += 1;
        let packet = FromPorts(self.ports).take().and_then(|mut packet| packet.fill(whole).then_some(packet));
        match packet {
            Some(packet) => self.pass(packet, 0, &Head { new_id: None, ..*first }, found, true),
            None => self.tally.drop(DropReason::BuffersExhausted, 1),
        }
    }
}

/// Writes the packet that these fragments, given in order, were cut from. It may be fragmented again.
fn put_together(fragments: &Fragments, whole: &mut Vec<u8>) {
    whole.clear();
    for (n, (packet, head)) in fragments.iter().enumerate() {
        let start = usize::from(if n == 0 { head.l3 } else { head.l4 });
        let end = usize::from(head.l3) + usize::from(head.total_len);
        whole.extend_from_slice(packet.bytes().get(start..end).unwrap_or_default());
    }
    put_word(whole, ipv4::FRAGMENT, 0);
}
