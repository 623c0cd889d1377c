//! What the sender says again, and all that it says once nothing is read any more.

use mem::Packet;

use super::header::Segment;
use super::sequence::{earlier, is_before, later};
use super::{Cause, Means, Sender, Stream};
use crate::wire::tcp::{FIN, PSH};

impl Stream {
    /// A segment that is not to be read: its bytes have gone before, or reading is over.
    pub(super) fn pass_again(
        &mut self,
        sender: Sender,
        packet: Packet,
        segment: &Segment,
        means: &mut Means,
    ) {
        if self.detached.is_some_and(Cause::is_end) {
            // Nobody is there for it, and the other end tells its sender.
            means.chunks.consume(packet);
            return self.answer(sender, means);
        }
        let flow = &self.flows[sender.index()];
        let is_fin = segment.flags & FIN != 0;
        let data_end = segment.seq.wrapping_add(u32::from(segment.payload_len));
        let end = data_end.wrapping_add(u32::from(is_fin));
        let has_arrived = !is_before(flow.acked_by_receiver(means.chunks), end);
        let is_owned = !is_before(flow.told, end) && flow.owns(means.chunks);
        if has_arrived || is_owned {
            // The acknowledgement was lost. The receiver has the bytes, perhaps as others than these, which are not
            // remembered any more, and is asked to say so again; or they are ours to deliver.
            means.chunks.consume(packet);
            return self.answer(sender, means);
        }
        let map = flow.map(means.chunks);
        let seq = map.to_receiver(segment.seq);
        let end = map.to_receiver(data_end).wrapping_add(u32::from(is_fin));
        let mut retained = means.chunks.iter(flow.retained);
        let is_changed = retained.any(|(_, chunk)| {
            is_before(segment.seq, chunk.source_end()) && is_before(chunk.source, data_end)
        });
        // What the receiver acknowledged may have been changed, and how is forgotten: it does not go on again.
        let is_changed = is_changed || is_before(segment.seq, flow.acked_by_receiver(means.chunks));
        drop(retained);
        let is_too_early = is_before(flow.sent, end) && flow.is_blocked(means.chunks);
        if is_changed {
            self.repeat(sender, &packet, segment, data_end, means);
            if is_fin && !is_too_early {
                self.send_fin(sender, end.wrapping_sub(1), means);
            }
            means.chunks.consume(packet);
        } else if is_too_early {
            means.chunks.consume(packet);
        } else {
            self.pass(sender, packet, segment, seq, means);
        }
        if is_too_early {
            // What comes before it waits for room with the receiver, and so does this, with the sender.
            return;
        }
        let flow = &mut self.flows[sender.index()];
        flow.sent = later(flow.sent, end);
    }

    /// Sends a segment's bytes up to `until` again: what was changed as it was, the rest from the segment.
    pub(super) fn repeat(
        &mut self,
        sender: Sender,
        packet: &Packet,
        segment: &Segment,
        until: u32,
        means: &mut Means,
    ) {
        let flow = &self.flows[sender.index()];
        let mut next = flow.retained.first;
        let mut done = later(segment.seq, earlier(flow.acked_by_receiver(means.chunks), until));
        while let Some(chunk) = means.chunks.at(next).filter(|chunk| is_before(chunk.source, until)) {
            let (index, source, source_end) = (next, chunk.source, chunk.source_end());
            next = chunk.next_index();
            let is_passed = is_before(source_end, done) || source_end == done && chunk.source_len > 0;
            if is_passed {
                continue;
            }
            self.repeat_bytes(sender, packet, segment, (done, source), means);
            done = later(done, source_end);
            self.repeat_chunk(sender, index, means);
        }
        self.repeat_bytes(sender, packet, segment, (done, until), means);
    }

    /// Sends what a segment has between two numbers.
    fn repeat_bytes(
        &mut self,
        sender: Sender,
        packet: &Packet,
        segment: &Segment,
        (from, to): (u32, u32),
        means: &mut Means,
    ) {
        if !is_before(from, to) {
            return;
        }
        let start = usize::from(segment.payload) + from.wrapping_sub(segment.seq) as usize;
        let bytes = packet.bytes().get(start..start + to.wrapping_sub(from) as usize).unwrap_or_default();
        let flow = &self.flows[sender.index()];
        let mut seq = flow.map(means.chunks).to_receiver(from);
        if is_before(flow.sent, seq.wrapping_add(bytes.len() as u32)) && flow.is_blocked(means.chunks) {
            return;
        }
        for part in bytes.chunks(self.payload_len_max(sender) as usize) {
            if let Some(copy) = means.copy_of(part) {
                self.emit_own(sender, copy, seq, PSH, means);
            }
            seq = seq.wrapping_add(part.len() as u32);
        }
    }

    /// Sends what the receiver lacks of a retained chunk, as far as it was sent before.
    fn repeat_chunk(&mut self, sender: Sender, index: u32, means: &mut Means) {
        let flow = &self.flows[sender.index()];
        let Some(chunk) = means.chunks.at(index) else { return };
        let (start, end) = (chunk.seq, earlier(chunk.end(), flow.sent));
        let mut from = later(start, flow.acked);
        while is_before(from, end) {
            let to = earlier(end, from.wrapping_add(self.payload_len_max(sender)));
            let len = to.wrapping_sub(from);
            let Some(copy) = means.copy_of_chunk(index, from.wrapping_sub(start), len) else { return };
            self.emit_own(sender, copy, from, PSH, means);
            from = to;
        }
    }
}
