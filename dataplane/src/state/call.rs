//! Calls and registrations: what gateways remember beyond a control session, by a key that messages have.

use alg::Call;

use crate::policy::{GatewayIndex, Policy};
use crate::state::door::OwnerKey;
use crate::state::room::{Host, Room};
use crate::state::shard::Shard;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};
use crate::state::table::timer::is_due;

/// The most calls of a shard.
pub const CALLS_MAX: usize = 1 << 14;
/// The longest that a call is remembered without a word of it, in seconds.
const LIFE_MAX_S: u32 = 86_400;

/// What a call is found by. It is its inside host's: nobody else's messages reach it, whatever key they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// The inside host.
    pub host: Host,
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
pub(super) struct Record {
    pub key: CallKey,
    /// The gateway whose room it takes.
    pub gateway: GatewayIndex,
    pub memory: Call,
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

    /// Calls in the table.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
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

    /// All calls.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    fn begin(&mut self, gateway: GatewayIndex, key: CallKey, ends_ms: u32) -> Option<u32> {
        if !self.room.take(gateway, key.host, 1) {
            return None;
        }
        let number = self.records.insert(key.words(), Record { key, gateway, memory: Call::None, ends_ms });
        if number.is_none() {
            self.room.give_back(gateway, key.host, 1);
        }
        number
    }

    fn end(&mut self, number: u32) -> Option<CallKey> {
        let key = self.records.at(number)?.key;
        let record = self.records.remove(key.words(), number)?;
        self.room.give_back(record.gateway, key.host, 1);
        Some(key)
    }
}

impl Shard {
    /// Begins a call, which is remembered so long without a word of it. None where its gateway or its host has no room for
    /// another.
    pub fn begin_call(&mut self, gateway: GatewayIndex, key: CallKey, life_s: u32, now: u32) -> Option<u32> {
        let ends_ms = now.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
        let number = self.calls.begin(gateway, key, ends_ms)?;
        self.wheel.arm(self.call_node(number), ends_ms);
        Some(number)
    }

    /// There was a word of a call: it is remembered so long from now on.
    pub fn renew_call(&mut self, number: u32, life_s: u32, now: u32) {
        let node = self.call_node(number);
        let Some(record) = self.calls.records.at_mut(number) else { return };
        record.ends_ms = now.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
        let ends_ms = record.ends_ms;
        self.wheel.disarm(node);
        self.wheel.arm(node, ends_ms);
    }

    /// Ends a call, and closes its doors. Sessions stay.
    pub fn end_call(&mut self, policy: &Policy, number: u32, now: u32) {
        self.wheel.disarm(self.call_node(number));
        if let Some(key) = self.calls.end(number) {
            self.close_doors_of(policy, OwnerKey::Call(key), None, now);
        }
    }

    pub(super) fn expire_call(&mut self, policy: &Policy, number: u32, now: u32) {
        let Some(&Record { ends_ms, .. }) = self.calls.records.at(number) else { return };
        if is_due(now, ends_ms) {
            self.end_call(policy, number, now);
        } else {
            self.wheel.arm(self.call_node(number), ends_ms);
        }
    }

    fn call_node(&self, number: u32) -> u32 {
        (self.sessions.capacity() + self.mappings.capacity() + self.doors.capacity()) as u32 + number
    }
}
