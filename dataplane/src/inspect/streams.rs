//! The streams of a worker's control connections, and its control datagrams in fragments.

use alg::registry::ROWS;
use mem::Packet;

use crate::counters::{Counters, Level};
use crate::head::Head;
use crate::inspect::assembly::Assembly;
use crate::inspect::edited::Edits;
use crate::policy::GatewayIndex;
use crate::port::Ports;
use crate::state::control_session::Channel;
use crate::state::room::{Initiator, Room};
use crate::state::shard::SessionRef;
use crate::state::table::index::Hasher;
use crate::state::table::slots::Slots;
use crate::stream::{Buffers, Chunks, EditList, Emission, MESSAGE_LEN_MAX, Shifts, Stream};

/// The most connections that are read at once.
const STREAMS_MAX: usize = 1 << 12;
/// Chunks, each a packet buffer, that streams keep at most.
const CHUNKS_MAX: usize = 2048;
/// Segments that one segment can set free.
const EMISSIONS_MAX: usize = CHUNKS_MAX;
/// Streams looked after in one round.
const LOOKED_AFTER_AT_ONCE: u32 = 64;

/// A packet of a control session that goes on.
pub struct Passed {
    /// The packet.
    pub packet: Packet,
    /// Its headers.
    pub head: Head,
    /// Its session.
    pub found: SessionRef,
    /// It was put together from fragments, and is still to be read.
    pub is_unread: bool,
}

/// A stream, and whose it is.
pub(super) struct Record {
    session: u32,
    gateway: GatewayIndex,
    holder: Initiator,
    /// Chunks it keeps.
    chunks: u32,
    pub stream: Stream,
}

/// Streams, and what reading them needs.
pub struct Streams {
    pub(super) records: Slots<Record>,
    /// Who has the places of that table.
    room: Room,
    pub(super) chunks: Chunks,
    /// Who has the chunks.
    chunk_room: Room,
    pub(super) output: Vec<Emission>,
    /// Packets that go on, for the path to take.
    pub passed: Vec<Passed>,
    /// What one datagram's gateway changes.
    pub(super) edits: EditList,
    /// What gateways changed last.
    pub edited: Edits,
    /// A datagram's new payload.
    pub text: Vec<u8>,
    /// A datagram that came in fragments, or that no packet holds.
    pub(super) whole: Vec<u8>,
    pub(super) assembly: Assembly,
    /// Packets that streams keep.
    pub(super) held: u64,
    next: u32,
}

impl Streams {
    /// No stream yet, and room for as many as there may be.
    pub fn new(secret: [u64; 2]) -> Streams {
        Streams {
            records: Slots::new(STREAMS_MAX),
            room: Room::new(STREAMS_MAX, Hasher::new(secret)),
            chunk_room: Room::new(CHUNKS_MAX, Hasher::new(secret)),
            // The longest message is one of DNS over TCP, with its length in front.
            chunks: Chunks::new(CHUNKS_MAX, MESSAGE_LEN_MAX + 2),
            output: Vec::with_capacity(EMISSIONS_MAX),
            passed: Vec::with_capacity(EMISSIONS_MAX),
            edits: EditList::with_room(),
            edited: Edits::default(),
            text: Vec::with_capacity(usize::from(u16::MAX)),
            whole: Vec::with_capacity(usize::from(u16::MAX)),
            assembly: Assembly::default(),
            held: 0,
            next: 0,
        }
    }

    /// Packets that streams keep, and fragments that wait for others.
    pub fn held_count(&self) -> u64 {
        self.held + self.assembly.waiting_count() as u64
    }

    /// Whether there is nothing to look after: no stream, and no datagram in fragments.
    pub fn is_idle(&self) -> bool {
        self.records.is_empty() && self.assembly.waiting_count() == 0
    }

    /// What a stream's connection needs to go on elsewhere, if that is all it needs.
    pub fn shifts_at_rest(&self, index: u32) -> Option<Shifts> {
        self.records.at(index)?.stream.shifts_at_rest(&self.chunks)
    }

    /// How full the tables are: of streams, and of the chunks that they keep.
    pub fn levels(&self) -> [Level; 2] {
        [(self.records.len(), STREAMS_MAX), (self.chunks.in_use(), CHUNKS_MAX)]
    }

    /// Connections that gateways read now, by gateway.
    pub fn reading(&self) -> &[u32; ROWS.len()] {
        self.room.taken()
    }

    /// What carries a connection from its handshake on: a stream, if there is room for another of its gateway's and its
    /// holder's.
    pub(super) fn open(
        &mut self,
        session: u32,
        gateway: GatewayIndex,
        holder: Initiator,
        stream: Stream,
        counters: &Counters,
    ) -> Channel {
        if !self.records.is_full() && self.room.take(gateway, holder, 1) {
            let record = Record { session, gateway, holder, chunks: 0, stream };
            if let Some(index) = self.records.insert(record) {
                return Channel::Open(index);
            }
        }
        counters.gateways[usize::from(gateway)].unread.add(1);
        Channel::Untouched
    }

    /// Chunks that a stream may still take.
    pub(super) fn chunks_left(&self, index: u32) -> usize {
        let record = self.records.at(index);
        record.map_or(0, |record| self.chunk_room.left(record.gateway, record.holder))
    }

    /// Counts the chunks that a stream took or gave back, where so many were in use before.
    pub(super) fn count_chunks(&mut self, index: u32, before: usize) {
        let Some(record) = self.records.at_mut(index) else { return };
        let now = (record.chunks as usize + self.chunks.in_use()).saturating_sub(before) as u32;
        let (gateway, holder) = (record.gateway, record.holder);
        match now.checked_sub(record.chunks) {
            Some(0) => return,
            // There is room, as the table was told.
            Some(more) if !self.chunk_room.take(gateway, holder, more) => return,
            Some(_) => {}
            None => self.chunk_room.give_back(gateway, holder, record.chunks - now),
        }
        record.chunks = now;
    }

    /// Closes a stream. Returns how many packets were lost with it.
    pub(super) fn close(&mut self, index: u32) -> u64 {
        let Some(Record { mut stream, gateway, holder, chunks, .. }) = self.records.remove(index) else {
            return 0;
        };
        self.room.give_back(gateway, holder, 1);
        self.chunk_room.give_back(gateway, holder, chunks);
        let before = self.chunks.counters().consumed;
        stream.close(&mut self.chunks);
        let lost = self.chunks.counters().consumed - before;
        self.held -= lost;
        lost
    }

    /// Streams of the next few places, with something to do: their index and that of their session.
    pub(super) fn next_due(&mut self, now: u32) -> Option<(u32, u32)> {
        if self.records.is_empty() {
            return None;
        }
        let capacity = self.records.capacity() as u32;
        for _ in 0..LOOKED_AFTER_AT_ONCE {
            let index = self.next;
            self.next = (index + 1) % capacity;
            let Some(Record { session, stream, .. }) = self.records.at(index) else { continue };
            if stream.deadline().is_some_and(|at| crate::state::table::timer::is_due(now, at)) {
                return Some((index, *session));
            }
        }
        None
    }
}

/// Buffers of a worker's first port that has some.
pub(super) struct FromPorts<'a>(pub &'a mut Ports);

impl Buffers for FromPorts<'_> {
    fn take(&mut self) -> Option<Packet> {
        self.0.iter_mut().find_map(|port| port.allocate())
    }
}
