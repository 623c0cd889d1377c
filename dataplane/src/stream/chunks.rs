//! The chunks that a worker's streams keep: bytes that wait to be read, and bytes that wait to be acknowledged.
//!
//! Chunks are records of one table per worker, taken at start and chained by index, so that what all streams
//! together keep is bounded by its size. Their bytes stay in the packets they came in.

use mem::Packet;

use super::inspect::EditList;
use super::sequence::{ahead, is_before};
use crate::state::table::slots::{NONE, Slots};

/// Bytes that are put together in one packet, whatever a receiver takes at once: few enough for any packet.
pub const CHUNK_LEN_MAX: u32 = 1200;

/// A run of bytes in a packet.
pub struct Chunk {
    /// Holds the bytes; none where a whole message was deleted.
    pub packet: Option<Packet>,
    /// Where in the packet the bytes start.
    pub offset: u16,
    /// How many bytes there are.
    pub len: u16,
    /// The first byte's sequence number: the sender's of a chunk that is held, the receiver's of one that is
    /// retained.
    pub seq: u32,
    /// Of a retained chunk, the sender's sequence number of what it stands for, and how many bytes that is.
    pub source: u32,
    /// See `source`.
    pub source_len: u32,
    next: u32,
}

impl Chunk {
    /// A chunk in no list.
    pub fn new(packet: Option<Packet>, offset: u16, len: u16, seq: u32) -> Chunk {
        Chunk { packet, offset, len, seq, source: seq, source_len: u32::from(len), next: NONE }
    }

    /// Behind the last byte.
    pub fn end(&self) -> u32 {
        self.seq.wrapping_add(u32::from(self.len))
    }

    /// Behind the last byte it stands for, as the sender counts.
    pub fn source_end(&self) -> u32 {
        self.source.wrapping_add(self.source_len)
    }

    /// The chunk behind it in its list.
    pub fn next_index(&self) -> u32 {
        self.next
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        let start = usize::from(self.offset);
        let packet = self.packet.as_ref().map(Packet::bytes).unwrap_or_default();
        packet.get(start..start + usize::from(self.len)).unwrap_or_default()
    }

    /// Drops `count` bytes at the front.
    pub fn trim_front(&mut self, count: u32) {
        let count = count.min(u32::from(self.len)) as u16;
        self.offset += count;
        self.len -= count;
        self.seq = self.seq.wrapping_add(u32::from(count));
    }
}

/// Chunks in order, first to last.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub first: u32,
    pub last: u32,
    pub count: u16,
}

impl List {
    pub const EMPTY: List = List { first: NONE, last: NONE, count: 0 };

    pub fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

/// What the streams of one worker did, for its metrics. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets taken from [`super::Buffers`].
    pub generated: u64,
    /// Packets, arrived or generated, that end here.
    pub consumed: u64,
    /// Segments that contradicted bytes already held: an attempt to show the gateway something else than the
    /// receiver. The first bytes count.
    pub contradictions: u64,
    /// Segments with a wrong checksum or a broken header.
    pub malformed: u64,
    /// Data beyond what a stream may hold.
    pub beyond_hold: u64,
    /// Acknowledgements made for a receiver.
    pub acknowledged: u64,
    /// Segments sent again on a sender's behalf.
    pub resent: u64,
    /// Messages that were changed.
    pub edited: u64,
    /// Bytes that were put together to be read, each time that they were.
    pub gathered: u64,
}

/// What the streams of one worker share: their chunks, and room to work in.
pub struct Chunks {
    pub(super) table: Slots<Chunk>,
    /// How many there may be, as long as the stream that is being run is.
    chunks_max: usize,
    /// Where a message in several packets is put together to be read.
    pub(super) message: Vec<u8>,
    pub(super) rewritten: Vec<u8>,
    pub(super) edits: EditList,
    pub(super) message_len_max: u32,
    pub(super) counters: Counters,
}

/// The longest message of ordinary configurations, in bytes.
pub const MESSAGE_LEN_MAX: u32 = 65_536;

impl Chunks {
    /// Room for `chunk_count` chunks among all streams of a worker, and messages of at most `message_len_max`
    /// bytes. A chunk holds a packet buffer.
    pub fn new(chunk_count: usize, message_len_max: u32) -> Chunks {
        Chunks {
            table: Slots::new(chunk_count),
            chunks_max: chunk_count,
            message: Vec::with_capacity(2 * message_len_max as usize),
            rewritten: Vec::with_capacity(2 * message_len_max as usize),
            edits: EditList::with_room(),
            message_len_max,
            counters: Counters::default(),
        }
    }

    /// Chunks in use: packets held or retained, and the marks of messages that were deleted whole.
    pub fn in_use(&self) -> usize {
        self.table.len()
    }

    /// Lets the stream that is run next take so many more chunks.
    pub fn allow(&mut self, count: usize) {
        self.chunks_max = self.table.len() + count;
    }

    /// Whether there is no chunk left for the stream that is being run.
    pub(super) fn is_full(&self) -> bool {
        self.table.is_full() || self.table.len() >= self.chunks_max
    }

    /// Packets in chunks; walks the table.
    pub fn packets_held(&self) -> usize {
        self.table.iter_from(0).filter(|(_, chunk)| chunk.packet.is_some()).count()
    }

    /// What the streams did so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn at(&self, index: u32) -> Option<&Chunk> {
        self.table.at(index)
    }

    /// The chunks of a list.
    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = (u32, &Chunk)> {
        let mut next = list.first;
        std::iter::from_fn(move || {
            let index = next;
            let chunk = self.table.at(index)?;
            next = chunk.next;
            Some((index, chunk))
        })
    }

    /// Appends a chunk to a list. The chunk comes back where the table is full.
    pub(super) fn push(&mut self, list: &mut List, chunk: Chunk) -> Result<u32, Chunk> {
        self.insert_after(list, list.last, chunk)
    }

    /// Puts a chunk into a list behind the one at `previous`, or in front of all.
    pub(super) fn insert_after(
        &mut self,
        list: &mut List,
        previous: u32,
        mut chunk: Chunk,
    ) -> Result<u32, Chunk> {
        chunk.next = match self.table.at(previous) {
            Some(previous) => previous.next,
            None => list.first,
        };
        let next = chunk.next;
        if self.is_full() {
            return Err(chunk);
        }
        // There is room, as was just seen.
        let Some(index) = self.table.insert(chunk) else { return Ok(NONE) };
        match self.table.at_mut(previous) {
            Some(previous) => previous.next = index,
            None => list.first = index,
        }
        if next == NONE {
            list.last = index;
        }
        list.count += 1;
        Ok(index)
    }

    /// Moves all chunks of another list to a list's end.
    pub(super) fn append(&mut self, list: &mut List, other: &mut List) {
        match self.table.at_mut(list.last) {
            Some(last) => last.next = other.first,
            None => list.first = other.first,
        }
        if !other.is_empty() {
            list.last = other.last;
        }
        list.count += other.count;
        *other = List::EMPTY;
    }

    /// Takes the first chunk out.
    pub(super) fn pop(&mut self, list: &mut List) -> Option<Chunk> {
        self.remove_after(list, NONE)
    }

    /// Takes out the chunk behind the one at `previous`, or the first.
    pub(super) fn remove_after(&mut self, list: &mut List, previous: u32) -> Option<Chunk> {
        let index = match self.table.at(previous) {
            Some(previous) => previous.next,
            None => list.first,
        };
        let chunk = self.table.remove(index)?;
        match self.table.at_mut(previous) {
            Some(previous) => previous.next = chunk.next,
            None => list.first = chunk.next,
        }
        if list.last == index {
            list.last = previous;
        }
        list.count -= 1;
        Some(chunk)
    }

    /// Ends a packet's way.
    pub(super) fn consume(&mut self, packet: Packet) {
        self.counters.consumed += 1;
        drop(packet);
    }

    /// Takes a chunk apart, its packet included.
    pub(super) fn discard(&mut self, chunk: Chunk) {
        if let Some(packet) = chunk.packet {
            self.consume(packet);
        }
    }

    /// Empties a list.
    pub(super) fn clear(&mut self, list: &mut List) {
        while let Some(chunk) = self.pop(list) {
            self.discard(chunk);
        }
        *list = List::EMPTY;
    }

    /// Drops `count` bytes from the front of a list, and chunks without a byte left.
    pub(super) fn trim_front(&mut self, list: &mut List, mut count: u32) {
        while count > 0 {
            let Some(first) = self.table.at_mut(list.first) else { return };
            let len = u32::from(first.len);
            if len > count {
                return first.trim_front(count);
            }
            count -= len;
            if let Some(chunk) = self.pop(list) {
                self.discard(chunk);
            }
        }
    }
}

/// Where the bytes that a list has without a gap from `from` on end.
pub fn contiguous_end(chunks: &Chunks, list: List, from: u32) -> u32 {
    let mut end = from;
    for (_, chunk) in chunks.iter(list) {
        if is_before(end, chunk.seq) {
            break;
        }
        end = end.wrapping_add(ahead(end, chunk.end()));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(seq: u32) -> Chunk {
        Chunk::new(None, 0, 10, seq)
    }

    fn order(chunks: &Chunks, list: List) -> Vec<u32> {
        chunks.iter(list).map(|(_, chunk)| chunk.seq).collect()
    }

    #[test]
    fn chunks_keep_their_order() {
        let (mut chunks, mut list) = (Chunks::new(4, 100), List::EMPTY);
        let first = chunks.push(&mut list, chunk(10)).ok().unwrap();
        chunks.push(&mut list, chunk(30)).ok().unwrap();
        chunks.insert_after(&mut list, first, chunk(20)).ok().unwrap();
        chunks.insert_after(&mut list, NONE, chunk(0)).ok().unwrap();
        assert_eq!(order(&chunks, list), [0, 10, 20, 30]);
        assert_eq!(contiguous_end(&chunks, list, 0), 40);
        assert!(chunks.push(&mut list, chunk(40)).is_err(), "the table is full");
        assert_eq!(chunks.remove_after(&mut list, first).unwrap().seq, 20);
        assert_eq!(contiguous_end(&chunks, list, 0), 20);
        assert_eq!(chunks.remove_after(&mut list, first).unwrap().seq, 30);
        assert_eq!((order(&chunks, list), list.last, list.count), (vec![0, 10], first, 2));
        chunks.trim_front(&mut list, 13);
        assert_eq!(order(&chunks, list), [13]);
        chunks.clear(&mut list);
        assert!(chunks.table.is_empty() && list.is_empty() && list.last == NONE);
    }
}
