//! Calls and registrations: what gateways remember beyond a control session, by a key that messages have.

use std::net::Ipv4Addr;

use alg::Call;
use alg::registry::ROWS;

use crate::flow::Vrf;
use crate::policy::GatewayIndex;
use crate::state::room::{Initiator, Room};
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};

/// The most calls of a shard.
pub const CALLS_MAX: usize = 1 << 14;
/// The longest that a call is remembered without a word of it, in seconds.
pub(super) const LIFE_MAX_S: u32 = 86_400;

/// What a call is found by. It is its inside host's: nobody else's messages reach it, whatever key they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// The inside host.
    pub host: (Vrf, Ipv4Addr),
    /// A hash of its identity, by its gateway.
    pub hash: u64,
}

impl CallKey {
    fn words(self) -> Key {
        let (vrf, addr) = self.host;
        [self.hash, u64::from(vrf) << 32 | u64::from(addr.to_bits())]
    }
}

/// A call.
pub struct Record {
    /// What it is found by.
    pub key: CallKey,
    /// The gateway whose room it takes.
    pub gateway: GatewayIndex,
    /// What that remembers.
    pub memory: Call,
    /// Whose place in the table it has.
    holder: Initiator,
    /// When it is forgotten, in milliseconds.
    pub ends_ms: u32,
}

/// The calls of a shard.
pub struct Calls {
    records: Keyed<Record>,
    room: Room,
}

impl Calls {
    /// Room for `capacity` calls.
    pub fn new(capacity: usize, hasher: Hasher) -> Calls {
        Calls { records: Keyed::new(capacity, hasher), room: Room::new(capacity, hasher) }
    }

    /// Verifies that each has its place. For tests.
    pub(super) fn check(&self) -> Result<(), String> {
        self.room.check(self.records.len()).map_err(|text| format!("calls: {text}"))
    }

    /// Calls in the table.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Calls in the table, by gateway.
    pub fn by_gateway(&self) -> &[u32; ROWS.len()] {
        self.room.taken()
    }

    /// Calls there is room for.
    pub fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// The number of a call.
    pub fn find(&self, key: CallKey) -> Option<u32> {
        self.records.find(key.words(), |record| record.key == key)
    }

    /// What is remembered of a call.
    pub fn memory_mut(&mut self, number: u32) -> Option<&mut Call> {
        self.records.at_mut(number).map(|record| &mut record.memory)
    }

    /// What a call is found by.
    pub(super) fn key(&self, number: u32) -> Option<CallKey> {
        self.records.at(number).map(|record| record.key)
    }

    /// When a call is forgotten, in milliseconds.
    pub(super) fn ends_ms(&self, number: u32) -> Option<u32> {
        self.records.at(number).map(|record| record.ends_ms)
    }

    /// Sets when a call is forgotten. False if there is no such call.
    pub(super) fn renew(&mut self, number: u32, ends_ms: u32) -> bool {
        self.records.at_mut(number).map(|record| record.ends_ms = ends_ms).is_some()
    }

    /// The calls from one table position to before another.
    pub fn iter_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Record)> {
        self.records.iter_between(start, end)
    }

    /// All calls.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    pub(super) fn begin(
        &mut self,
        gateway: GatewayIndex,
        key: CallKey,
        holder: Initiator,
        ends_ms: u32,
    ) -> Option<u32> {
        if !self.room.take(gateway, holder, 1) {
            return None;
        }
        let record = Record { key, gateway, memory: Call::None, holder, ends_ms };
        let number = self.records.insert(key.words(), record);
        if number.is_none() {
            self.room.give_back(gateway, holder, 1);
        }
        number
    }

    pub(super) fn end(&mut self, number: u32) -> Option<CallKey> {
        let key = self.records.at(number)?.key;
        let record = self.records.remove(key.words(), number)?;
        self.room.give_back(record.gateway, record.holder, 1);
        Some(key)
    }
}
