//! Messages are read, and go on.

use super::chunks::{CHUNK_LEN_MAX, Chunk, Chunks, Counters, List};
use super::flow::Flow;
use super::header::Segment;
use super::hold::compact;
use super::sequence::{is_before, later};
use super::{Cause, EditList, Inspection, Inspector, Means, Sender, Stream};
use crate::state::table::slots::NONE;
use crate::wire::tcp::{FIN, PSH};

/// What the inspector made of the bytes at hand.
struct Reading {
    /// So many bytes go on unchanged; then:
    clean: u32,
    then: Then,
}

/// How long a message waits for memory before it is tried again.
const SHORT_MS: u32 = 100;

enum Then {
    /// The rest waits.
    Wait,
    /// There is more to be read.
    Continue,
    /// A message of so many bytes is replaced by `Chunks::rewritten`.
    Replace(u32),
    /// The end of all reading.
    Detach(Cause),
}

impl Stream {
    /// Has the inspector read what there is, and lets go what it releases.
    pub(super) fn advance(&mut self, sender: Sender, means: &mut Means) {
        self.flows[sender.index()].is_short = false;
        while self.detached.is_none() && !self.flows[sender.index()].is_blocked(means.chunks) {
            let Reading { clean, then } = self.read(sender, means);
            let is_short = clean > 0 && !self.release(sender, clean, means);
            match then {
                Then::Detach(cause) => return self.detach(cause, means),
                Then::Replace(len) => {
                    if is_short || !self.replace(sender, len, means) {
                        return self.give_up(means);
                    }
                }
                Then::Wait | Then::Continue if is_short => return self.wait_for_memory(sender, means),
                Then::Wait if self.flows[sender.index()].is_blocked(means.chunks) => return,
                Then::Wait => return self.end(sender, means),
                Then::Continue => {}
            }
        }
    }

    /// What was read cannot go on for want of a buffer or a chunk, and nothing behind it passes unread for that.
    fn wait_for_memory(&mut self, sender: Sender, means: &mut Means) {
        let flow = &mut self.flows[sender.index()];
        flow.is_short = true;
        flow.stall_due = Some(means.now.wrapping_add(SHORT_MS));
    }

    /// Shows the inspector what is held without a gap, message by message, until one is to be changed. A message in one
    /// packet is read there; only one in several is put together, and only when there is enough of it.
    fn read(&mut self, sender: Sender, means: &mut Means) -> Reading {
        let flow = &mut self.flows[sender.index()];
        if !flow.is_readable(means.chunks) {
            return Reading { clean: 0, then: Then::Wait };
        }
        let total = flow.contiguous.wrapping_sub(flow.released) as usize;
        let Chunks { table, edits, rewritten, message_len_max, counters, .. } = &mut *means.chunks;
        let in_place = table.at(flow.held.first).map(Chunk::bytes).unwrap_or_default();
        let in_place = &in_place[..in_place.len().min(total)];
        let has_more = in_place.len() < total;
        let mut view = View { sender, edits, rewritten, counters, len_max: *message_len_max as usize };
        let mut reading = view.read(flow, in_place, means.inspector);
        if !has_more || !matches!(reading.then, Then::Wait) {
            return reading;
        }
        if reading.clean > 0 {
            reading.then = Then::Continue;
            return reading;
        }
        if !flow.is_readable(means.chunks) {
            return reading;
        }
        gather(means.chunks, flow.held, total);
        let Chunks { message, edits, rewritten, message_len_max, counters, .. } = &mut *means.chunks;
        let mut view = View { sender, edits, rewritten, counters, len_max: *message_len_max as usize };
        view.read(flow, message, means.inspector)
    }

    /// Lets the first `count` held bytes go. False where memory ran out: the rest is still held, to go unread.
    fn release(&mut self, sender: Sender, mut count: u32, means: &mut Means) -> bool {
        if means.chunks.is_full() {
            self.fresh = None;
            compact(means.chunks, &mut self.flows[sender.index()].held, NONE);
        }
        while count > 0 {
            let index = self.flows[sender.index()].held.first;
            let Some(first) = means.chunks.at(index) else { return true };
            let (seq, len) = (first.seq, u32::from(first.len).min(count));
            let chunk = if len < u32::from(first.len) {
                let flow = &mut self.flows[sender.index()];
                if means.chunks.is_full() {
                    self.fresh = None;
                    compact(means.chunks, &mut flow.held, NONE);
                }
                let copy = if means.chunks.is_full() { None } else { means.copy_of_chunk(index, 0, len) };
                let Some(packet) = copy else {
                    let flow = &mut self.flows[sender.index()];
                    flow.opaque = flow.opaque.saturating_add(count);
                    return false;
                };
                if let Some(first) = means.chunks.table.at_mut(index) {
                    first.trim_front(len);
                }
                Some(Chunk::new(Some(packet), 0, len as u16, seq))
            } else {
                means.chunks.pop(&mut self.flows[sender.index()].held)
            };
            let Some(chunk) = chunk else { return true };
            let fresh = self.fresh.take_if(|fresh| fresh.0 == index).map(|fresh| fresh.1);
            let has_ended = self.forward(sender, chunk, fresh, means);
            count -= len;
            let flow = &mut self.flows[sender.index()];
            flow.released = flow.released.wrapping_add(len);
            if has_ended {
                flow.finish();
            }
        }
        true
    }

    /// Sends a chunk that was read: in place, if it is a segment that just arrived whole. Bytes that are ours to
    /// deliver, and those that the receiver has no room for, are retained instead, and sent from there. True if the
    /// sender's FIN went along.
    pub(super) fn forward(
        &mut self,
        sender: Sender,
        mut chunk: Chunk,
        fresh: Option<Segment>,
        means: &mut Means,
    ) -> bool {
        let flow = &mut self.flows[sender.index()];
        let seq = chunk.seq.wrapping_add(flow.shift_after);
        let end = seq.wrapping_add(u32::from(chunk.len));
        let is_owned = is_before(chunk.seq, flow.told);
        // The sender may not know: it counts neither growth nor what we acknowledged.
        let is_crowded = is_before(flow.edge, end) || flow.is_blocked(means.chunks);
        if is_owned || is_crowded {
            (chunk.source, chunk.source_len, chunk.seq) = (chunk.seq, u32::from(chunk.len), seq);
            // A chunk has just left the table, unless it was cut off another; then this one may find no room.
            match means.chunks.push(&mut flow.retained, chunk) {
                Ok(_) => self.pump(sender, means),
                Err(chunk) => self.send_chunk(sender, chunk, seq, means),
            }
            return false;
        }
        flow.sent = later(flow.sent, end);
        let is_whole =
            |segment: &Segment| (segment.payload, segment.payload_len) == (chunk.offset, chunk.len);
        match (fresh.filter(is_whole), chunk.packet) {
            (Some(segment), Some(packet)) => {
                self.pass(sender, packet, &segment, seq, means);
                segment.flags & FIN != 0
            }
            (_, packet) => {
                chunk.packet = packet;
                self.send_chunk(sender, chunk, seq, means);
                false
            }
        }
    }

    /// Sends a chunk's bytes in its own packet, with new headers. What exceeds a segment goes before, in copies.
    fn send_chunk(&mut self, sender: Sender, mut chunk: Chunk, mut seq: u32, means: &mut Means) {
        let len_max = self.payload_len_max(sender);
        while u32::from(chunk.len) > len_max {
            // Without a buffer it is lost, and the sender repeats it.
            if let Some(packet) = means.copy_of(chunk.bytes().get(..len_max as usize).unwrap_or_default()) {
                self.emit_own(sender, packet, seq, PSH, means);
            }
            chunk.trim_front(len_max);
            seq = seq.wrapping_add(len_max);
        }
        let Some(mut packet) = chunk.packet.take() else { return };
        let offset = usize::from(chunk.offset) as isize;
        if !packet.shift_front(offset) || !packet.resize(usize::from(chunk.len)) {
            return means.chunks.consume(packet);
        }
        self.emit_own(sender, packet, seq, PSH, means);
    }

    /// Retains `Chunks::rewritten` in place of the first `len` held bytes, and sends it. False where memory ran out, and the
    /// message is lost.
    fn replace(&mut self, sender: Sender, len: u32, means: &mut Means) -> bool {
        let flow = &mut self.flows[sender.index()];
        let seq = flow.released.wrapping_add(flow.shift_after);
        // What is replaced makes room for what replaces it.
        means.chunks.trim_front(&mut flow.held, len);
        let Some((mut list, new_len)) = retain(flow.released, len, seq, means) else { return false };
        means.chunks.append(&mut flow.retained, &mut list);
        flow.released = flow.released.wrapping_add(len);
        flow.shift_after = flow.shift_after.wrapping_add(new_len).wrapping_sub(len);
        let told = flow.told;
        flow.prune(means.chunks);
        if flow.told != told {
            // All of it was deleted: the receiver will never acknowledge it.
            self.acknowledge(sender, means);
        }
        self.pump(sender, means);
        true
    }

    /// Sends the end of the sender's data once all before it has gone.
    pub(super) fn end(&mut self, sender: Sender, means: &mut Means) {
        let flow = &mut self.flows[sender.index()];
        let Some(fin) = flow.fin else { return };
        if fin == flow.released {
            let seq = fin.wrapping_add(flow.shift_after);
            flow.finish();
            self.send_fin(sender, seq, means);
        } else if fin == flow.contiguous {
            self.detach(Cause::Truncated, means);
        }
    }

    /// Sends a FIN. Should it be lost, the sender repeats it.
    pub(super) fn send_fin(&mut self, sender: Sender, seq: u32, means: &mut Means) {
        if let Some(packet) = means.copy_of(&[]) {
            self.emit_own(sender, packet, seq, FIN, means);
        }
    }
}

/// What reading works with, beside the bytes.
struct View<'p> {
    sender: Sender,
    edits: &'p mut EditList,
    rewritten: &'p mut Vec<u8>,
    counters: &'p mut Counters,
    len_max: usize,
}

impl View<'_> {
    fn read(&mut self, flow: &mut Flow, view: &[u8], inspector: &mut dyn Inspector) -> Reading {
        let skipped = flow.opaque.min(view.len() as u32);
        flow.opaque -= skipped;
        let mut clean = skipped as usize;
        let then = loop {
            let rest = view.get(clean..).unwrap_or_default();
            if rest.is_empty() {
                break Then::Wait;
            }
            self.edits.clear();
            (flow.wanted, flow.line_from) = (0, None);
            match inspector.inspect(self.sender, rest, self.edits) {
                Inspection::Detach => break Then::Detach(Cause::Refused),
                Inspection::More { length_min } if length_min > self.len_max => {
                    break Then::Detach(Cause::TooLong);
                }
                Inspection::More { .. } | Inspection::Line { .. } if rest.len() >= self.len_max => {
                    break Then::Detach(Cause::TooLong);
                }
                Inspection::More { length_min } => {
                    flow.wanted = length_min.max(rest.len() + 1) as u32;
                    break Then::Wait;
                }
                Inspection::Line { length_max } => {
                    flow.wanted = length_max.clamp(rest.len() + 1, self.len_max) as u32;
                    let shown = (clean + rest.len()) as u32;
                    flow.line_from = Some(flow.released.wrapping_add(shown));
                    break Then::Wait;
                }
                Inspection::Release { length: 0 } => break Then::Detach(Cause::BadEdit),
                Inspection::Release { length } => {
                    let message = &rest[..length.min(rest.len())];
                    if self.edits.is_empty() {
                        clean += message.len();
                        flow.opaque = u32::try_from(length - message.len()).unwrap_or(u32::MAX);
                    } else if message.len() < length
                        || !self.edits.apply(message, self.rewritten)
                        || self.rewritten.len() > 2 * self.len_max
                    {
                        break Then::Detach(Cause::BadEdit);
                    } else if *self.rewritten == message {
                        clean += message.len();
                    } else {
                        self.counters.edited += 1;
                        break Then::Replace(length as u32);
                    }
                }
            }
        };
        Reading { clean: clean as u32, then }
    }
}

/// Puts the first `total` bytes of a list together in `Chunks::message`.
fn gather(chunks: &mut Chunks, list: List, total: usize) {
    let Chunks { table, message, counters, .. } = chunks;
    message.clear();
    let mut next = list.first;
    while let Some(chunk) = table.at(next).filter(|_| message.len() < total) {
        message.extend_from_slice(chunk.bytes());
        next = chunk.next_index();
    }
    message.truncate(total);
    counters.gathered += total as u64;
}

/// Chunks with copies of `Chunks::rewritten`, which stand for `len` bytes from `source` on; and how long it is. None where
/// memory ran out.
fn retain(source: u32, len: u32, seq: u32, means: &mut Means) -> Option<(List, u32)> {
    let rewritten = std::mem::take(&mut means.chunks.rewritten);
    let new_len = rewritten.len() as u32;
    let mut list = List::EMPTY;
    let mut done = 0;
    let is_whole = loop {
        let part_len = CHUNK_LEN_MAX.min(new_len - done);
        let packet = if new_len == 0 {
            Ok(None)
        } else {
            let part = &rewritten[done as usize..(done + part_len) as usize];
            means.copy_of(part).map(Some).ok_or(())
        };
        let Ok(packet) = packet else { break false };
        // Each part stands for its share. The last one's is never empty: all is acknowledged only with it.
        let share = |done: u32| (u64::from(len) * u64::from(done) / u64::from(new_len.max(1))) as u32;
        let (from, to) = (share(done), if done + part_len == new_len { len } else { share(done + part_len) });
        let mut chunk = Chunk::new(packet, 0, part_len as u16, seq.wrapping_add(done));
        (chunk.source, chunk.source_len) = (source.wrapping_add(from), to - from);
        if let Err(chunk) = means.chunks.push(&mut list, chunk) {
            means.chunks.discard(chunk);
            break false;
        }
        done += part_len;
        if done == new_len {
            break true;
        }
    };
    means.chunks.rewritten = rewritten;
    if !is_whole {
        means.chunks.clear(&mut list);
    }
    is_whole.then_some((list, new_len))
}
