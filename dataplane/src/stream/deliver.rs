//! Retained bytes reach the receiver: within its window, and again until it acknowledges them.

use mem::Packet;

use super::header::Segment;
use super::hold::Held;
use super::sequence::{earlier, is_before, later};
use super::{Cause, Means, Sender, Stream};
use crate::wire::tcp::{FIN, PSH, RST};

/// How long an acknowledgement is waited for at first, and at most. It doubles each time (RFC 6298 section 5).
const RESEND_MS: u32 = 500;
const RESEND_MS_MAX: u32 = 30_000;
/// Times that bytes are sent again before the connection is given up: after more than three minutes.
const TRIES_MAX: u8 = 12;
/// Acknowledgements that say the same before what they ask for is sent again (RFC 5681 section 3.2).
const DUPLICATES_MAX: u8 = 3;

impl Stream {
    /// The receiver of what `sender` sends acknowledges, or tells its window.
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
            // It is alive, but does not read.
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

    /// Sends the first retained bytes that the receiver lacks again; at least one, so that it answers.
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

    /// A segment of a connection that was given up: its sender has not heard of it, and learns it again.
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

    /// The receiver will not have what we promised the sender to deliver. Both learn that the connection failed.
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
