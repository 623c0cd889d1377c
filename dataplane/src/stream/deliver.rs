//! Delivery of retained bytes: they are sent within the receiver's window, and sent again until it acknowledges them.

use mem::Packet;

use super::header::Segment;
use super::hold::Held;
use super::sequence::{earlier, is_before, later};
use super::{Cause, Means, Sender, Stream};
use crate::wire::tcp::{FIN, PSH, RST};

/// The first retransmission timeout, and the longest. Each retransmission doubles it (RFC 6298 section 5).
const RESEND_MS: u32 = 500;
const RESEND_MS_MAX: u32 = 30_000;
/// Retransmissions before the connection is given up. They take more than three minutes.
const TRIES_MAX: u8 = 12;
/// Duplicate acknowledgements before a fast retransmission (RFC 5681 section 3.2).
const DUPLICATES_MAX: u8 = 3;

impl Stream {
    /// Takes an acknowledgement or a window update from the receiver of `sender`'s bytes.
    pub(super) fn acknowledged(&mut self, sender: Sender, segment: &Segment, means: &mut Means) {
        let scale = self.fields[sender.other().index()].window_scale;
        let flow = &mut self.flows[sender.index()];
        if is_before(segment.ack, flow.acked) {
            return;
        }
        let edge = segment.ack.wrapping_add(u32::from(segment.window) << scale);
        let is_same = edge == flow.edge && segment.payload_len == 0 && segment.flags & FIN == 0;
        flow.edge = edge;
        if segment.window == 0 {
            // The receiver is alive, but its application does not read.
            flow.tries = 0;
        }
        if is_before(flow.acked, segment.ack) {
            flow.acked = segment.ack;
            flow.prune(means.chunks);
            (flow.tries, flow.duplicates) = (0, 0);
            let waits = !flow.retained.is_empty();
            flow.resend_due = waits.then_some(means.now.wrapping_add(RESEND_MS));
            if waits && is_before(flow.acked, flow.recover) {
                self.resend_first(sender, means);
            }
        } else if is_same && flow.owns(means.chunks) {
            flow.duplicates = flow.duplicates.saturating_add(1);
            if flow.duplicates == DUPLICATES_MAX {
                flow.recover = flow.sent;
                self.resend_first(sender, means);
            }
        }
        self.pump(sender, means);
        let flow = &self.flows[sender.index()];
        if self.detached.is_none()
            && (!flow.held.is_empty() || flow.fin.is_some_and(|fin| fin == flow.released))
        {
            self.advance(sender, means);
            self.mind_sender(sender, Held::New, false, means);
        }
    }

    /// Sends retained bytes for the first time, as far as the receiver has room.
    pub(super) fn pump(&mut self, sender: Sender, means: &mut Means) {
        let len_max = self.payload_len_max(sender);
        loop {
            let flow = &mut self.flows[sender.index()];
            if flow.retained.is_empty() {
                return;
            }
            if flow.resend_due.is_none() {
                flow.resend_due = Some(means.now.wrapping_add(RESEND_MS));
            }
            let unsent =
                means.chunks.iter(flow.retained).find(|(_, chunk)| is_before(flow.sent, chunk.end()));
            let Some((index, chunk)) = unsent else { return };
            let (start, from) = (chunk.seq, later(flow.sent, chunk.seq));
            let to = earlier(earlier(chunk.end(), flow.edge), from.wrapping_add(len_max));
            if !is_before(from, to) {
                return;
            }
            let Some(packet) = means.copy_of_chunk(index, from.wrapping_sub(start), to.wrapping_sub(from))
            else {
                return;
            };
            flow.sent = to;
            self.emit_own(sender, packet, from, PSH, means);
        }
    }

    /// Sends again the first retained bytes that the receiver has not acknowledged. It sends at least one byte, even
    /// into a closed window, so that the receiver answers.
    fn resend_first(&mut self, sender: Sender, means: &mut Means) {
        let len_max = self.payload_len_max(sender);
        let flow = &mut self.flows[sender.index()];
        let lacking = |chunk: &super::chunks::Chunk| chunk.len > 0 && is_before(flow.acked, chunk.end());
        let Some((index, chunk)) = means.chunks.iter(flow.retained).find(|(_, chunk)| lacking(chunk)) else {
            return;
        };
        let (start, from) = (chunk.seq, later(flow.acked, chunk.seq));
        let to = earlier(earlier(chunk.end(), flow.edge), from.wrapping_add(len_max));
        let to = later(to, from.wrapping_add(1));
        let Some(packet) = means.copy_of_chunk(index, from.wrapping_sub(start), to.wrapping_sub(from)) else {
            return;
        };
        flow.sent = later(flow.sent, to);
        means.chunks.counters.resent += 1;
        self.emit_own(sender, packet, from, PSH, means);
    }

    /// No acknowledgement came in time.
    pub(super) fn resend_after_timeout(&mut self, sender: Sender, means: &mut Means) {
        let flow = &mut self.flows[sender.index()];
        flow.resend_due = None;
        if flow.retained.is_empty() {
            return;
        }
        if flow.tries >= TRIES_MAX {
            if flow.owns(means.chunks) {
                self.give_up(means);
            }
            return;
        }
        flow.tries += 1;
        (flow.recover, flow.duplicates) = (flow.sent, 0);
        let wait_ms = (RESEND_MS << flow.tries.min(10)).min(RESEND_MS_MAX);
        flow.resend_due = Some(means.now.wrapping_add(wait_ms));
        self.resend_first(sender, means);
    }

    /// Refuses a segment of a connection that was given up. Its sender has missed the RST, and gets another.
    pub(super) fn refuse(
        &mut self,
        sender: Sender,
        packet: Packet,
        segment: &Segment,
        is_plausible: bool,
        means: &mut Means,
    ) {
        means.chunks.consume(packet);
        if is_plausible && let Some(packet) = means.copy_of(&[]) {
            self.emit_own(sender.other(), packet, segment.ack, RST, means);
        }
    }

    /// Resets the connection on both sides: bytes that we acknowledged to the sender cannot be delivered to the receiver.
    pub(super) fn give_up(&mut self, means: &mut Means) {
        for sender in Sender::ALL {
            if let Some(packet) = means.copy_of(&[]) {
                let seq = self.flows[sender.index()].acked;
                self.emit_own(sender, packet, seq, RST, means);
            }
        }
        self.detached = Some(Cause::Undeliverable);
        self.close(means.chunks);
    }
}
