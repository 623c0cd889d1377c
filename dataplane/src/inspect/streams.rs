//! The streams of a worker's control connections, and its control datagrams in fragments.

use alg::registry::ROWS;
use mem::Packet;

use crate::inspect::assembly::Assembly;
use crate::policy::GatewayIndex;
use crate::port::Ports;
use crate::state::table::slots::Slots;
use crate::stream::{Buffers, EditList, Emission, MESSAGE_LEN_MAX, Pool, Shifts, Stream};

/// The most connections that are read at once.
const STREAMS_MAX: usize = 1 << 12;
/// Pieces, each a packet buffer, that streams keep at most.
const PIECES_MAX: usize = 2048;
/// Segments that one segment can set free.
const EMISSIONS_MAX: usize = PIECES_MAX;
/// Streams looked after in one round.
const LOOKED_AFTER_AT_ONCE: u32 = 64;

/// A stream, and whose it is.
pub(super) struct Record {
    session: u32,
    gateway: GatewayIndex,
    pub stream: Stream,
}

/// Streams, and what reading them needs.
pub struct Streams {
    pub(super) records: Slots<Record>,
    /// How many there are of each gateway's.
    reading: [u32; ROWS.len()],
    pub(super) pool: Pool,
    pub(super) output: Vec<Emission>,
    /// What one datagram's gateway changes.
    pub(super) edits: EditList,
    /// A datagram's new payload.
    pub(super) text: Vec<u8>,
    /// A datagram that came in fragments, or that no packet holds.
    pub(super) whole: Vec<u8>,
    pub(super) assembly: Assembly,
    /// Packets that streams keep.
    pub(super) held: u64,
    next: u32,
}

impl Default for Streams {
    fn default() -> Streams {
        Streams {
            records: Slots::new(STREAMS_MAX),
            reading: [0; ROWS.len()],
            // The longest message is one of DNS over TCP, with its length in front.
            pool: Pool::new(PIECES_MAX, MESSAGE_LEN_MAX + 2),
            output: Vec::with_capacity(EMISSIONS_MAX),
            edits: EditList::with_room(),
            text: Vec::with_capacity(usize::from(u16::MAX)),
            whole: Vec::with_capacity(usize::from(u16::MAX)),
            assembly: Assembly::default(),
            held: 0,
            next: 0,
        }
    }
}

impl Streams {
    /// Packets that streams keep, and fragments that wait for others.
    pub fn held_count(&self) -> u64 {
        self.held + self.assembly.waiting_count() as u64
    }

    /// Connections that gateways read now, by gateway.
    pub fn reading(&self) -> &[u32; ROWS.len()] {
        &self.reading
    }

    /// What a stream's connection needs to go on elsewhere, if that is all it needs.
    pub fn shifts_at_rest(&self, index: u32) -> Option<Shifts> {
        self.records.at(index)?.stream.shifts_at_rest(&self.pool)
    }

    /// Puts a stream into the table, if there is room.
    pub(super) fn open(&mut self, session: u32, gateway: GatewayIndex, stream: Stream) -> Option<u32> {
        let index = self.records.insert(Record { session, gateway, stream })?;
        self.reading[usize::from(gateway)] += 1;
        Some(index)
    }

    /// Closes a stream. Returns how many packets were lost with it.
    pub(super) fn close(&mut self, index: u32) -> u64 {
        let Some(Record { mut stream, gateway, .. }) = self.records.remove(index) else { return 0 };
        self.reading[usize::from(gateway)] -= 1;
        let before = self.pool.counters().consumed;
        stream.close(&mut self.pool);
        let lost = self.pool.counters().consumed - before;
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
