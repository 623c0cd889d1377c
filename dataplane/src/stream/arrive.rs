//! A segment arrives: what it says about its sender, what it acknowledges, and what becomes of it.

use mem::Packet;

use super::header::{self, Segment};
use super::hold::Held;
use super::sequence::{ahead, earlier, is_before, later};
use super::{Cause, Emission, Means, Sender, Stream};
use crate::wire::tcp::{ACK, FIN, RST, SYN};

/// How far the numbers of a segment may be from where we think its sender is, beyond the longest message or window.
const NUMBERS_SLACK: u32 = 65_536;
/// Bytes that may be held beyond the longest message.
const HOLD_SLACK: u32 = 4096;
const ECN_MASK: u8 = 0x03;

impl Stream {
    pub(super) fn arrive(&mut self, sender: Sender, packet: Packet, segment: Segment, means: &mut Means) {
        if segment.flags & SYN != 0 {
            // Again, as its numbers come before all shifts; or an attack, which is for the receiver to judge.
            return emit(sender, packet, &segment, means);
        }
        if segment.flags & ACK == 0 && segment.flags & RST == 0 {
            means.chunks.counters.malformed += 1;
            return means.chunks.consume(packet);
        }
        let is_plausible = self.is_plausible(sender, &segment, means);
        if segment.flags & RST != 0 {
            return self.pass_reset(sender, packet, &segment, is_plausible, means);
        }
        if self.detached == Some(Cause::Undeliverable) {
            return self.refuse(sender, packet, &segment, is_plausible, means);
        }
        if is_plausible {
            // Whoever goes on has sent no SYN.
            self.is_reopening &= sender == Sender::Server;
            self.note(sender, &packet, &segment);
            self.acknowledged(sender.other(), &segment, means);
        }
        if segment.payload_len == 0 && segment.flags & FIN == 0 && !is_plausible {
            self.pass_guess(sender, packet, &segment, means);
        } else if segment.payload_len == 0 && segment.flags & FIN == 0 {
            self.pass_bare(sender, packet, &segment, means);
        } else if self.detached.is_some() {
            self.pass_again(sender, packet, &segment, means);
        } else if is_plausible {
            self.take_data(sender, packet, &segment, means);
        } else {
            means.chunks.counters.beyond_hold += 1;
            means.chunks.consume(packet);
        }
        if is_plausible {
            self.announce(sender, means);
        }
    }

    /// Whether a segment can come from its sender. Who cannot see the connection will hardly guess such numbers.
    fn is_plausible(&self, sender: Sender, segment: &Segment, means: &Means) -> bool {
        let (flow, other) = (&self.flows[sender.index()], &self.flows[sender.other().index()]);
        let window = |sender: Sender| self.fields[sender.index()].window_bytes();
        let reach = |window: u32| window.max(means.chunks.message_len_max).saturating_add(NUMBERS_SLACK);
        let distance = segment.seq.wrapping_sub(flow.released) as i32;
        let is_near = distance.unsigned_abs() <= reach(window(sender.other()));
        let is_acked =
            !is_before(other.sent, segment.ack) && ahead(segment.ack, other.acked) <= reach(window(sender));
        is_near && (is_acked || segment.flags & ACK == 0)
    }

    /// Remembers what the sender's segments look like.
    fn note(&mut self, sender: Sender, packet: &Packet, segment: &Segment) {
        let is_latest = !is_before(segment.ack, self.flows[sender.other().index()].acked);
        let fields = &mut self.fields[sender.index()];
        if is_latest {
            fields.window = segment.window;
        }
        if let Some(timestamp) = segment.timestamp {
            fields.timestamp = later(fields.timestamp, timestamp);
        }
        if let Some(ip) =
            packet.bytes().get(usize::from(segment.l3)..).and_then(|rest| rest.first_chunk::<20>())
        {
            (fields.tos, fields.ttl, fields.dont_fragment) = (ip[1] & !ECN_MASK, ip[8], ip[6] & 0x40 != 0);
        }
    }

    /// Emits a segment in the packet it came in, its numbers mapped.
    pub(super) fn pass(
        &mut self,
        sender: Sender,
        mut packet: Packet,
        segment: &Segment,
        seq: u32,
        means: &mut Means,
    ) {
        let other = &self.flows[sender.other().index()];
        let map = other.map(means.chunks);
        let mut ack = segment.ack;
        if segment.flags & ACK != 0 {
            ack = map.to_sender(ack);
            if is_before(ack, other.told) && other.owns(means.chunks) {
                ack = other.told;
            }
        }
        if (seq, ack) != (segment.seq, segment.ack) {
            header::set_numbers(&mut packet, segment, seq, ack);
        }
        let is_shifted = other.shift != 0 || !other.retained.is_empty() || ack != segment.ack;
        if segment.sack.is_some() && is_shifted {
            header::map_sack(&mut packet, segment, |left, right| map.block_to_sender((left, right), ack));
        }
        let fields = &mut self.fields[sender.index()];
        fields.announced = (other.told, fields.window);
        emit(sender, packet, segment, means);
    }

    /// A segment without data: acknowledgements, probes, new windows.
    fn pass_bare(&mut self, sender: Sender, packet: Packet, segment: &Segment, means: &mut Means) {
        let flow = &self.flows[sender.index()];
        if is_before(segment.seq, flow.told) && flow.owns(means.chunks) {
            // A keep-alive, or the acknowledgement that we sent was lost.
            means.chunks.consume(packet);
            return self.answer(sender, means);
        }
        let other = &self.flows[sender.other().index()];
        let is_below = is_before(other.map(means.chunks).to_sender(segment.ack), other.told);
        let fields = &self.fields[sender.index()];
        let has_news = fields.announced != (other.told, fields.window);
        let is_known = fields.announced.1 == segment.window;
        let is_answer = self.is_reopening && sender == Sender::Server;
        if is_below && is_known && other.owns(means.chunks) && !is_answer {
            // The sender has long heard about these bytes, from us.
            return means.chunks.consume(packet);
        }
        let window = self.fields[sender.other().index()].window_bytes();
        let seq = if is_before(flow.told.wrapping_add(window), segment.seq) && !has_news {
            // Beyond the window that the sender knows of, it probes: the receiver would refuse this, and so answer. What
            // it refuses tells it nothing.
            flow.acked.wrapping_sub(1)
        } else {
            // Not ahead of what has gone on, which is no probe.
            earlier(flow.map(means.chunks).to_receiver(segment.seq), flow.bare_seq())
        };
        self.pass(sender, packet, segment, seq, means);
    }

    /// An acknowledgement that cannot be from its sender: a stranger's, or an old connection's. Its receiver answers it with
    /// the true numbers, or a reset, and for that its own must not become better ones.
    fn pass_guess(&mut self, sender: Sender, mut packet: Packet, segment: &Segment, means: &mut Means) {
        let [own, other] = [sender, sender.other()].map(|end| &self.flows[end.index()]);
        let seq = own.map(means.chunks).to_receiver(segment.seq);
        let ack = other.map(means.chunks).to_sender(segment.ack);
        header::set_numbers(&mut packet, segment, seq, ack);
        emit(sender, packet, segment, means);
    }

    fn pass_reset(
        &mut self,
        sender: Sender,
        packet: Packet,
        segment: &Segment,
        is_plausible: bool,
        means: &mut Means,
    ) {
        let flow = &self.flows[sender.index()];
        // Who does not know the connection answers with the number that he was told (RFC 9293 section 3.5.2). Who does has
        // sent more than that, or begins no other.
        let is_unknown = self.is_reopening && sender == Sender::Client || flow.told != flow.contiguous;
        let is_answer = is_plausible && is_unknown && segment.seq == flow.told;
        // One after that is about what the receiver says it waits for, which numbers that are only mapped tell.
        let is_end = is_plausible
            && self.detached.is_none()
            && [flow.contiguous, flow.told, flow.released].contains(&segment.seq);
        let seq = if is_answer {
            flow.acked
        } else if is_end {
            // What was held is lost, and so the receiver expects an earlier number.
            flow.sent
        } else {
            // Whether it is to be believed is for the receiver to judge: a guess must not become a better one.
            flow.map(means.chunks).to_receiver(segment.seq)
        };
        self.pass(sender, packet, segment, seq, means);
        if is_answer || is_end {
            self.detached.get_or_insert(Cause::Reset);
            self.close(means.chunks);
        }
    }

    /// Data, or its end, for the inspector to see.
    fn take_data(&mut self, sender: Sender, packet: Packet, segment: &Segment, means: &mut Means) {
        let flow = &self.flows[sender.index()];
        let end = segment.seq.wrapping_add(u32::from(segment.payload_len));
        let is_fin = segment.flags & FIN != 0;
        let is_over = flow.fin.is_some_and(|fin| is_before(fin, flow.released));
        let is_new = is_before(flow.released, end) || is_fin && end == flow.released;
        if is_over || !is_new {
            return self.pass_again(sender, packet, segment, means);
        }
        let hold_len_max = means.chunks.message_len_max.saturating_add(HOLD_SLACK);
        if ahead(flow.released, end) > hold_len_max {
            means.chunks.counters.beyond_hold += 1;
            return means.chunks.consume(packet);
        }
        if is_before(segment.seq, flow.released) {
            self.repeat(sender, &packet, segment, flow.released, means);
        }
        let flow = &mut self.flows[sender.index()];
        if let Some(urgent) = segment.urgent {
            flow.urgent = Some(flow.urgent.map_or(urgent, |known| later(known, urgent)));
        }
        let had = flow.contiguous;
        if is_fin && !is_before(end, had) && flow.fin.is_none() {
            flow.fin = Some(end);
        }
        if segment.payload_len == 0 {
            return self.take_fin(sender, packet, segment, means);
        }
        let held = self.hold(sender, packet, segment, means);
        let had_gap = had != self.flows[sender.index()].contiguous;
        self.advance(sender, means);
        self.mind_sender(sender, held, had_gap, means);
    }

    /// A FIN without data.
    fn take_fin(&mut self, sender: Sender, packet: Packet, segment: &Segment, means: &mut Means) {
        let flow = &mut self.flows[sender.index()];
        if flow.fin == Some(flow.released) && !flow.is_blocked(means.chunks) {
            let seq = flow.released.wrapping_add(flow.shift_after);
            flow.finish();
            return self.pass(sender, packet, segment, seq, means);
        }
        means.chunks.consume(packet);
        self.advance(sender, means);
        self.mind_sender(sender, Held::New, false, means);
    }

    /// Sees to it that news about the receiver does not wait with the data it came with.
    fn announce(&mut self, sender: Sender, means: &mut Means) {
        let fields = &self.fields[sender.index()];
        let known = (self.flows[sender.other().index()].told, fields.window);
        if fields.announced == known {
            return;
        }
        if let Some(packet) = means.copy_of(&[]) {
            let seq = self.flows[sender.index()].bare_seq();
            self.emit_own(sender, packet, seq, 0, means);
        }
    }
}

/// Emits a segment as it stands.
pub(super) fn emit(sender: Sender, packet: Packet, segment: &Segment, means: &mut Means) {
    means.output.push(Emission { sender, packet, l3: segment.l3, l4: segment.l4 });
}
