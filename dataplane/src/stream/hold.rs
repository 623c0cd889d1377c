//! Bytes that wait for the rest of their message, or for bytes before them.

use mem::Packet;

use super::chunks::{CHUNK_LEN_MAX, Chunk, Chunks, contiguous_end};
use super::header::Segment;
use super::sequence::{ahead, is_before};
use super::{Means, Sender, Stream};
use crate::state::table::slots::NONE;

/// Chunks of one sender that a stream may hold: small segments share packets, so that it is bytes that count.
const HELD_MAX: u16 = 128;
/// How long a sender waits for an acknowledgement of held bytes before we give it, as long as it sends nothing more.
/// Shorter than what senders wait before they repeat (200 ms at least), and than a receiver may wait.
const STALL_MS: u32 = 40;

/// Segments with nothing new are not answered more often.
const ANSWER_MS: u32 = 200;

/// What became of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It is the next, or fills a gap.
    New,
    /// Something before it is missing.
    BehindGap,
    /// All of it was there.
    Duplicate,
    /// There is no room, and the sender will repeat it.
    Dropped,
}

impl Stream {
    /// Takes over a segment's payload, as far as it is new. Where bytes are there already, the first ones count.
    pub(super) fn hold(
        &mut self,
        sender: Sender,
        packet: Packet,
        segment: &Segment,
        means: &mut Means,
    ) -> Held {
        let flow = &mut self.flows[sender.index()];
        let chunks = &mut *means.chunks;
        let mut chunk = Chunk::new(Some(packet), segment.payload, segment.payload_len, segment.seq);
        chunk.trim_front(ahead(chunk.seq, flow.released));
        if let Some(fin) = flow.fin.filter(|fin| is_before(*fin, chunk.end())) {
            chunk.len = ahead(chunk.seq, fin) as u16;
        }
        let previous = place_of(chunks, flow.held.first, flow.held.last, &chunk);
        let contradicts = merge(chunks, &mut flow.held, previous, &mut chunk);
        chunks.counters.contradictions += u64::from(contradicts);
        if chunk.len == 0 {
            chunks.discard(chunk);
            return Held::Duplicate;
        }
        let is_next = !is_before(flow.contiguous, chunk.seq);
        let held = if is_next { Held::New } else { Held::BehindGap };
        let is_whole = (chunk.seq, chunk.len) == (segment.seq, segment.payload_len) && !contradicts;
        match append(chunks, previous, chunk) {
            None => {}
            Some(chunk) => {
                let Some(index) = insert(chunks, &mut flow.held, previous, chunk, flow.contiguous) else {
                    return Held::Dropped;
                };
                // Older than what has gone on since, a receiver would take it for a leftover (RFC 7323 section 5).
                let is_current =
                    segment.timestamp.is_none_or(|at| at == self.fields[sender.index()].timestamp);
                self.fresh = (is_whole && is_current).then_some((index, *segment));
            }
        }
        flow.contiguous = contiguous_end(chunks, flow.held, flow.released);
        held
    }

    /// Decides whether the sender of held bytes needs an acknowledgement, now or later.
    pub(super) fn mind_sender(&mut self, sender: Sender, held: Held, has_advanced: bool, means: &mut Means) {
        if self.detached.is_some() {
            return;
        }
        if self.flows[sender.index()].is_short {
            return;
        }
        let window = self.fields[sender.other().index()].window_bytes();
        if matches!(held, Held::Duplicate | Held::BehindGap) {
            // It repeats, or something is lost: it will not go on by itself.
            let is_relieved = self.relieve(sender, means);
            match held {
                _ if is_relieved => {}
                // It counts these (RFC 5681 section 3.2).
                Held::BehindGap if window > 0 && self.flows[sender.index()].can_own(means.chunks) => {
                    self.acknowledge(sender, means);
                }
                _ => self.answer(sender, means),
            }
            return;
        }
        let flow = &mut self.flows[sender.index()];
        match held {
            Held::New if flow.contiguous == flow.released || flow.is_blocked(means.chunks) => {
                flow.stall_due = None
            }
            Held::New if ahead(flow.told, flow.contiguous) >= window => {
                self.relieve(sender, means);
            }
            Held::New if has_advanced || flow.stall_due.is_none() => {
                flow.stall_due = Some(means.now.wrapping_add(STALL_MS));
            }
            _ => {}
        }
    }

    /// Acknowledges what is held without a gap, and so takes it over. False where there is nothing to acknowledge, or
    /// where it must be left to the receiver: it has no room, or bytes are on their way to it that we do not keep.
    pub(super) fn relieve(&mut self, sender: Sender, means: &mut Means) -> bool {
        let flow = &mut self.flows[sender.index()];
        let is_waiting = flow.contiguous != flow.released && is_before(flow.told, flow.contiguous);
        let is_stuck = flow.is_short || flow.is_blocked(means.chunks) || !flow.can_own(means.chunks);
        if self.detached.is_some() || !is_waiting || is_stuck {
            return false;
        }
        flow.told = flow.contiguous;
        flow.stall_due = None;
        self.acknowledge(sender, means);
        true
    }

    /// Answers a segment with nothing new: a keep-alive, a probe of the window, or what we acknowledged and the sender
    /// did not hear of. The receiver is asked, as only it knows its window; the sender is told what it was told before
    /// where the receiver knows less. Seldom, or two ends that disagree about a number would answer each other for ever
    /// (RFC 5961 section 7).
    pub(super) fn answer(&mut self, sender: Sender, means: &mut Means) {
        let flow = &mut self.flows[sender.index()];
        let now = means.now;
        if flow.answered_ms.is_some_and(|at| now.wrapping_sub(at) < ANSWER_MS) {
            return;
        }
        flow.answered_ms = Some(now);
        if flow.owns(means.chunks) {
            self.acknowledge(sender, means);
        }
        if let Some(packet) = means.copy_of(&[]) {
            // Whatever comes before its window it answers (RFC 9293 section 3.10.7.4).
            let seq = self.flows[sender.index()].acked.wrapping_sub(1);
            self.emit_own(sender, packet, seq, 0, means);
        }
    }

    /// Tells the sender what it was told before, as its receiver would.
    pub(super) fn acknowledge(&mut self, sender: Sender, means: &mut Means) {
        let Some(packet) = means.copy_of(&[]) else { return };
        means.chunks.counters.acknowledged += 1;
        let seq = self.flows[sender.other().index()].bare_seq();
        self.emit_own(sender.other(), packet, seq, 0, means);
    }
}

/// The last chunk that starts no later than a new one; none where all start later.
fn place_of(chunks: &Chunks, first: u32, last: u32, chunk: &Chunk) -> u32 {
    // Mostly it is the last.
    if chunks.at(last).is_some_and(|last| !is_before(chunk.seq, last.seq)) {
        return last;
    }
    let mut previous = NONE;
    let mut next = first;
    while let Some(held) = chunks.at(next).filter(|held| !is_before(chunk.seq, held.seq)) {
        previous = next;
        next = held.next_index();
    }
    previous
}

/// Cuts a new chunk to what is missing between the one at `previous` and those behind it, which it may swallow. True
/// where it says something else than they do.
fn merge(chunks: &mut Chunks, list: &mut super::chunks::List, previous: u32, chunk: &mut Chunk) -> bool {
    let mut contradicts = false;
    if let Some(before) = chunks.at(previous).filter(|before| is_before(chunk.seq, before.end())) {
        let overlap = ahead(chunk.seq, before.end()).min(u32::from(chunk.len));
        let start = ahead(before.seq, chunk.seq) as usize;
        let known = before.bytes().get(start..start + overlap as usize);
        contradicts |= known != chunk.bytes().get(..overlap as usize);
        chunk.trim_front(overlap);
    }
    loop {
        let next = chunks.at(previous).map_or(list.first, Chunk::next_index);
        let Some(behind) = chunks.at(next).filter(|behind| is_before(behind.seq, chunk.end())) else {
            return contradicts;
        };
        if chunk.len == 0 {
            return contradicts;
        }
        let start = ahead(chunk.seq, behind.seq) as usize;
        let is_covered = !is_before(chunk.end(), behind.end());
        let overlap = if is_covered { usize::from(behind.len) } else { usize::from(chunk.len) - start };
        let (known, offset) =
            (behind.bytes().get(..overlap).unwrap_or_default(), usize::from(chunk.offset) + start);
        if let Some(new) =
            chunk.packet.as_mut().and_then(|packet| packet.bytes_mut().get_mut(offset..offset + overlap))
        {
            contradicts |= new != known;
            new.copy_from_slice(known);
        }
        if !is_covered {
            chunk.len = start as u16;
            return contradicts;
        }
        if let Some(swallowed) = chunks.remove_after(list, previous) {
            chunks.discard(swallowed);
        }
    }
}

/// Copies a chunk into the room behind the one at `previous`, if it follows it. Otherwise the chunk comes back.
fn append(chunks: &mut Chunks, previous: u32, chunk: Chunk) -> Option<Chunk> {
    let Some(before) = chunks.table.at_mut(previous) else { return Some(chunk) };
    let is_next = before.end() == chunk.seq && u32::from(before.len) + u32::from(chunk.len) <= CHUNK_LEN_MAX;
    let end = usize::from(before.offset) + usize::from(before.len);
    let len = usize::from(chunk.len);
    let Some(packet) = before.packet.as_mut().filter(|_| is_next) else { return Some(chunk) };
    if !packet.resize(end + len) {
        return Some(chunk);
    }
    let Some(room) = packet.bytes_mut().get_mut(end..) else { return Some(chunk) };
    room.copy_from_slice(chunk.bytes());
    before.len += chunk.len;
    chunks.discard(chunk);
    None
}

/// Puts a chunk into its place. Where there is no room, one that lies further behind gaps gives way.
fn insert(
    chunks: &mut Chunks,
    list: &mut super::chunks::List,
    previous: u32,
    chunk: Chunk,
    contiguous: u32,
) -> Option<u32> {
    if list.count >= HELD_MAX || chunks.is_full() {
        compact(chunks, list, previous);
    }
    if list.count >= HELD_MAX || chunks.is_full() {
        let is_last = chunks
            .at(list.last)
            .is_none_or(|last| !is_before(chunk.seq, last.seq) || !is_before(contiguous, last.seq));
        if is_last {
            chunks.discard(chunk);
            return None;
        }
        let second_last =
            chunks.iter(*list).find(|(_, held)| held.next_index() == list.last).map_or(NONE, |(at, _)| at);
        if let Some(last) = chunks.remove_after(list, second_last) {
            chunks.discard(last);
        }
    }
    match chunks.insert_after(list, previous, chunk) {
        Ok(index) => Some(index),
        Err(chunk) => {
            chunks.discard(chunk);
            None
        }
    }
}

/// Joins chunks that follow each other, as far as packets have room; the one at `kept` stays where it is.
pub(super) fn compact(chunks: &mut Chunks, list: &mut super::chunks::List, kept: u32) {
    let mut at = list.first;
    while let Some(chunk) = chunks.at(at) {
        let next = chunk.next_index();
        if next == NONE || next == kept {
            at = next;
            continue;
        }
        let Some(behind) = chunks.remove_after(list, at) else { return };
        if let Some(behind) = append(chunks, at, behind) {
            // It has just left its place, and so there is room for it.
            match chunks.insert_after(list, at, behind) {
                Ok(index) => at = index,
                Err(behind) => return chunks.discard(behind),
            }
        }
    }
}
