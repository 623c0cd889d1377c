//! What a stream works with, and what comes out of it.

use mem::Packet;

use super::chunks::{Chunks, Counters};
use super::inspect::Inspector;
use super::sender::Sender;

/// A segment to be translated and sent as if it had arrived so.
#[derive(Debug)]
pub struct Emission {
    /// Which way it goes.
    pub sender: Sender,
    /// The frame; one of our own begins with its IPv4 header.
    pub packet: Packet,
    /// Offset of the IPv4 header.
    pub l3: u16,
    /// Offset of the TCP header.
    pub l4: u16,
}

/// Where packets of our own come from.
pub trait Buffers {
    /// An empty packet with head room for headers; none when there is none to spare.
    fn take(&mut self) -> Option<Packet>;
}

/// What a stream works with, lent to it for one call.
pub struct Means<'a> {
    /// The chunks of all streams of this worker.
    pub chunks: &'a mut Chunks,
    /// Packets for what is sent in addition.
    pub buffers: &'a mut dyn Buffers,
    /// Reads this stream's messages.
    pub inspector: &'a mut dyn Inspector,
    /// Segments to be sent, in order, are appended here.
    pub output: &'a mut Vec<Emission>,
    /// Milliseconds, on the worker's clock.
    pub now: u32,
}

impl Means<'_> {
    /// A packet of our own with a copy of `payload`.
    pub(super) fn copy_of(&mut self, payload: &[u8]) -> Option<Packet> {
        copy(self.buffers, payload, &mut self.chunks.counters)
    }

    /// The same, of bytes of a chunk.
    pub(super) fn copy_of_chunk(&mut self, index: u32, start: u32, len: u32) -> Option<Packet> {
        let Chunks { table, counters, .. } = &mut *self.chunks;
        let (start, len) = (start as usize, len as usize);
        copy(self.buffers, table.at(index)?.bytes().get(start..start + len)?, counters)
    }
}

fn copy(buffers: &mut dyn Buffers, payload: &[u8], counters: &mut Counters) -> Option<Packet> {
    let mut packet = buffers.take()?;
    counters.generated += 1;
    if !packet.fill(payload) {
        counters.consumed += 1;
        return None;
    }
    Some(packet)
}
