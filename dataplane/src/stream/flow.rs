//! One sender's bytes in a stream: where they stand, with the sender and with the receiver.

use super::chunks::{Chunks, List};
use super::sequence::{ahead, earlier, is_before, later};
use super::shift::Map;

/// The bytes that one end sends.
///
/// In the sender's numbers, in this order: what the receiver acknowledged, `released`, `contiguous`. Between
/// the last two are bytes that wait for the rest of their message; beyond, bytes with gaps before them. What was
/// released has gone on and is forgotten, except for retained chunks: places that were changed, bytes that we
/// acknowledged, and bytes that the receiver has no room for yet.
pub struct Flow {
    /// Up to here everything was read, and has gone on or is retained. The sender's number, as the next three.
    pub released: u32,
    /// Up to here everything has arrived.
    pub contiguous: u32,
    /// Up to here the sender was told that everything arrived. Ahead of what the receiver acknowledged where we
    /// took its bytes over.
    pub told: u32,
    /// Where the sender's data ends, once it said so.
    pub fin: Option<u32>,
    /// Behind the urgent data, as long as it is not acknowledged.
    pub urgent: Option<u32>,
    /// Arrived and not released, in the sender's numbers; chunks do not overlap.
    pub held: List,
    /// Released and not acknowledged by the receiver, as far as we must be able to say it again. In both numbers.
    pub retained: List,
    /// From the sender's to the receiver's numbers: before all retained chunks, and behind them.
    pub shift: u32,
    /// See `shift`.
    pub shift_after: u32,
    /// What the receiver acknowledged. The receiver's number, as the next two.
    pub acked: u32,
    /// Up to here everything was sent at least once.
    pub sent: u32,
    /// Up to here the receiver has room.
    pub edge: u32,
    /// Until this was acknowledged, what is lost was lost together.
    pub recover: u32,
    /// Bytes of the unfinished message that are needed before it is worth reading.
    pub wanted: u32,
    /// Where a line feed would make it worth reading sooner: the first number that was not looked at yet.
    pub line_from: Option<u32>,
    /// Bytes that pass unread, beginning at `released`.
    pub opaque: u32,
    /// Buffers or chunks ran out when a message was to go on: it waits for some.
    pub is_short: bool,
    /// When the sender has waited long enough for an acknowledgement, or a message for memory.
    pub stall_due: Option<u32>,
    /// When retained bytes are sent again.
    pub resend_due: Option<u32>,
    /// Times in a row that `resend_due` came.
    pub tries: u8,
    /// Acknowledgements in a row that say the same.
    pub duplicates: u8,
    /// When a segment with nothing new was last answered for the receiver.
    pub answered_ms: Option<u32>,
    /// Payload bytes of a segment, without options.
    pub segment_len_max: u16,
}

impl Flow {
    /// A flow whose first byte has the number `start`, to a receiver with room up to `edge`.
    pub fn new(start: u32, window: u32, segment_len_max: u16) -> Flow {
        Flow {
            released: start,
            contiguous: start,
            told: start,
            fin: None,
            urgent: None,
            held: List::EMPTY,
            retained: List::EMPTY,
            shift: 0,
            shift_after: 0,
            acked: start,
            sent: start,
            edge: start.wrapping_add(window),
            recover: start,
            wanted: 0,
            line_from: None,
            opaque: 0,
            is_short: false,
            stall_due: None,
            resend_due: None,
            tries: 0,
            duplicates: 0,
            answered_ms: None,
            segment_len_max,
        }
    }

    /// How its numbers map.
    pub fn map<'a>(&self, chunks: &'a Chunks) -> Map<'a> {
        Map { chunks, retained: self.retained, shift: self.shift }
    }

    /// What the receiver acknowledged, in the sender's numbers.
    pub fn acked_by_receiver(&self, chunks: &Chunks) -> u32 {
        self.map(chunks).to_sender(self.acked)
    }

    /// The number of a segment without data that the receiver accepts whatever it has got: inside its window (RFC
    /// 9293 section 3.10.7.4). To others it would answer, and the other end to that, for ever.
    pub fn bare_seq(&self) -> u32 {
        later(self.acked, earlier(self.sent, self.edge.wrapping_sub(1)))
    }

    /// Whether the sender was told more than the receiver acknowledged: those bytes are ours to deliver.
    pub fn owns(&self, chunks: &Chunks) -> bool {
        is_before(self.acked_by_receiver(chunks), self.told)
    }

    /// Whether retained bytes wait for room with the receiver. Until they have left, nothing more is read.
    pub fn is_blocked(&self, chunks: &Chunks) -> bool {
        chunks.at(self.retained.last).is_some_and(|last| is_before(self.sent, last.end()))
    }

    /// Whether all that the sender was not told about could be said again by us.
    pub fn can_own(&self, chunks: &Chunks) -> bool {
        let mut covered = self.told;
        for (_, chunk) in chunks.iter(self.retained) {
            if !is_before(covered, chunk.source) {
                covered = covered.wrapping_add(ahead(covered, chunk.source_end()));
            }
        }
        !is_before(covered, self.released)
    }

    /// Takes over retained chunks that the receiver acknowledged. Their shift is the flow's from here on.
    pub fn prune(&mut self, chunks: &mut Chunks) {
        while let Some(first) = chunks.at(self.retained.first) {
            if is_before(self.acked, first.end()) {
                break;
            }
            self.shift = first.end().wrapping_sub(first.source_end());
            if let Some(chunk) = chunks.pop(&mut self.retained) {
                chunks.discard(chunk);
            }
        }
        let acked = self.acked_by_receiver(chunks);
        self.told = self.told.wrapping_add(ahead(self.told, acked));
        self.urgent = self.urgent.filter(|urgent| is_before(acked, *urgent));
    }

    /// The sender's data has ended and gone, and its FIN with it.
    pub fn finish(&mut self) {
        let Some(fin) = self.fin else { return };
        let behind = fin.wrapping_add(1);
        (self.released, self.contiguous) = (behind, behind);
        self.sent = later(self.sent, behind.wrapping_add(self.shift_after));
    }

    /// Whether what has come of the unfinished message is worth reading. No byte is looked at twice before it is.
    pub fn is_readable(&mut self, chunks: &Chunks) -> bool {
        if self.opaque > 0 || self.contiguous.wrapping_sub(self.released) >= self.wanted {
            return true;
        }
        let Some(from) = self.line_from else { return false };
        let end = self.contiguous;
        self.line_from = Some(end);
        let new = chunks
            .iter(self.held)
            .filter(|(_, chunk)| is_before(from, chunk.end()) && is_before(chunk.seq, end));
        new.into_iter().any(|(_, chunk)| {
            let skipped = ahead(chunk.seq, from) as usize;
            chunk.bytes().get(skipped..).is_some_and(|bytes| bytes.contains(&b'\n'))
        })
    }

    /// Gives all chunks back. What the sender was told beyond what the receiver acknowledged can be kept no more, and from here
    /// on the receiver's word counts.
    pub fn clear(&mut self, chunks: &mut Chunks) {
        chunks.clear(&mut self.held);
        chunks.clear(&mut self.retained);
        self.shift = self.shift_after;
        self.told = self.acked_by_receiver(chunks);
        (self.stall_due, self.resend_due) = (None, None);
    }
}
