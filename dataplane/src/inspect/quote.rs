//! ICMP errors about segments of control connections: the numbers they quote become those that the sender wrote.

use mem::Packet;

use crate::flow::TCP;
use crate::head::{Head, Transport};
use crate::inspect::reading::Reading;
use crate::inspect::segment;
use crate::state::control_session::Channel;
use crate::state::shard::SessionRef;
use crate::wire::bytes::{long, put_long, put_word, word};
use crate::wire::checksum::Delta;
use crate::wire::{icmp, tcp};

impl Reading<'_> {
    /// Puts the numbers that the sender of the quoted segment wrote in place of those it had on its way.
    pub fn restore_quote(&mut self, mut packet: Packet, head: &Head, found: SessionRef) -> Packet {
        let Transport::IcmpError { l4, .. } = head.transport else { return packet };
        if head.tuple.protocol == TCP
            && let Some((seq, ack)) = self.numbers(&packet, head, usize::from(l4), found)
        {
            put(&mut packet, head, usize::from(l4) + tcp::SEQ, seq);
            put(&mut packet, head, usize::from(l4) + tcp::ACK_NUMBER, ack);
        }
        packet
    }

    /// The numbers of the quoted segment, as its sender wrote them.
    fn numbers(&mut self, packet: &Packet, head: &Head, l4: usize, found: SessionRef) -> Option<(u32, u32)> {
        let control = self.shard.control_sessions.of_mut(found.index)?;
        // The quoted segment went the other way than the error does.
        let sender = segment::sender_of(control.client, found.direction.reverse());
        let bytes = packet.bytes();
        bytes.get(l4..l4 + tcp::ACK_NUMBER)?;
        let (seq, ack) = (long(bytes, l4 + tcp::SEQ), long(bytes, l4 + tcp::ACK_NUMBER));
        match control.channel {
            Channel::Open(index) => {
                let stream = &mut self.streams.records.at_mut(index)?.stream;
                let mtu = word(bytes, usize::from(head.l4) + icmp::NEXT_MTU);
                if head.icmp == (3, 4) && mtu != 0 {
                    stream.limit_segments(sender, mtu);
                }
                Some(stream.quoted(&self.streams.chunks, sender, seq, ack))
            }
            Channel::Settled(shifts) | Channel::Ended(shifts) => {
                let (own, other) = shifts.of(sender);
                Some((seq.wrapping_sub(own), ack.wrapping_add(other)))
            }
            _ => None,
        }
    }
}

/// Changes a quoted number, where it is quoted, and the error's checksum with it. Quoted headers stand at even
/// offsets: their words are words of the checksum.
fn put(packet: &mut Packet, head: &Head, at: usize, value: u32) {
    let bytes = packet.bytes_mut();
    if bytes.len() < at + 4 {
        return;
    }
    let old = long(bytes, at);
    put_long(bytes, at, value);
    let sum_at = usize::from(head.l4) + icmp::CHECKSUM;
    let sum = Delta::address(old, value).apply(word(bytes, sum_at));
    put_word(bytes, sum_at, sum);
}
