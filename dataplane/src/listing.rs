//! Listing what the tables hold: for `show ip nat translations`, a slice at a time, and as plain state.

use alg::Side;

use crate::flow::{Endpoint, ICMP, TCP, UDP};
use crate::message::{DoorRow, Holder, List, SessionRow, Slice, SubscriberRow};
use crate::path::tables::Tables;
use crate::policy::IdleClass;
use crate::state::journal::NOBODY;
use crate::state::mapping::Mapping;
use crate::state::plain::Plain;
use crate::state::ports::address_use::AddressUse;
use crate::state::session::Session;
use crate::state::shard::{Entry, deadline_ms, mapping_deadline_ms};
use crate::state::table::timer::left_ms;
use crate::worker::Worker;

/// Table positions that a slice looks at, so that no burst waits for the walk of a large and empty table.
const LOOKED_AT_MAX: u32 = 4096;

/// Answers with the rows of a table of so many positions.
fn answer<E, R, I: Iterator<Item = (u32, E)>>(
    list: List<R>,
    position_count: u32,
    entries_between: impl FnOnce(u32, u32) -> I,
    row: impl Fn(E) -> R,
) {
    let end = list.start.saturating_add(LOOKED_AT_MAX).min(position_count);
    let mut entries = entries_between(list.start, end);
    let rows = entries.by_ref().take(list.limit).map(|(_, entry)| row(entry)).collect();
    let next = entries.next().map_or(end, |(position, _)| position);
    // Who asked may have gone.
    let _ = list.reply.try_send(Slice { rows, next: Some(next).filter(|&next| next < position_count) });
}

impl Worker {
    /// Answers with sessions, then with the mappings of whole addresses.
    pub(crate) fn list_sessions(&self, list: List<SessionRow>, now: u32) {
        let shard = &self.engine.tables.shard;
        let entries = |start, end| shard.entries_between(start, end);
        answer(list, shard.position_count(), entries, |entry| match entry {
            Entry::Session(session, created_ms) => self.row(session, created_ms, now),
            Entry::Address(mapping) => self.address_row(mapping, now),
        });
    }

    /// Answers with doors.
    pub(crate) fn list_doors(&self, list: List<DoorRow>, now: u32) {
        let shard = &self.engine.tables.shard;
        let doors = |start, end| shard.doors_between(start, end);
        answer(list, shard.door_position_count(), doors, |door| DoorRow {
            protocol: door.protocol,
            inside_local: door.inside,
            inside_global: door.global,
            peer: door.peer,
            vrf: door.vrfs.0,
            gateway: door.gateway,
            child: door.child,
            uses_left: door.uses_left,
            left_ms: left_ms(door.closes_ms, now),
        });
    }

    /// Answers with subscribers.
    pub(crate) fn list_subscribers(&self, list: List<SubscriberRow>) {
        let shard = &self.engine.tables.shard;
        let subscribers = |start, end| shard.subscribers_between(start, end);
        answer(list, shard.subscriber_position_count(), subscribers, |subscriber| SubscriberRow {
            addr: subscriber.addr,
            vrf: subscriber.vrf,
            session_count: subscriber.session_count,
            unsolicited_count: subscriber.unsolicited_count,
            port_count: subscriber.mapping_count,
            paired: subscriber.paired.map(|(_, addr)| addr),
            sets: shard.port_sets_of(subscriber).collect(),
            refused_count: subscriber.refused_count,
            limit_missed_count: subscriber.limit_missed_count,
        });
    }

    /// Answers with the global addresses in use.
    pub(crate) fn list_addresses(&self, list: List<AddressUse>) {
        let shard = &self.engine.tables.shard;
        let addresses = |start, end| shard.addresses_between(start, end);
        answer(list, shard.address_position_count(), addresses, |used| used);
    }

    /// Who has a global endpoint now, by a dynamic rule.
    pub(crate) fn holders(&self, global: Endpoint) -> Vec<Holder> {
        let Tables { policy, shard, .. } = &self.engine.tables;
        let mut found = Vec::new();
        for vrf in policy.rules.iter().map(|rule| rule.outside_vrf) {
            for protocol in [TCP, UDP, ICMP] {
                let mapped = shard.mapping_of_global(vrf, protocol, global);
                let holder = mapped.map(|it| Holder { protocol, inside_local: it.local, vrf: it.vrfs.0 });
                found.extend(holder.filter(|holder| !found.contains(holder)));
            }
        }
        found
    }

    /// All that the worker's tables hold: see [`Shard::plain`](crate::state::shard::Shard::plain).
    pub fn plain(&self, now: u32) -> impl Iterator<Item = Plain> + '_ {
        self.engine.tables.shard.plain(now, |stream| self.engine.streams.shifts_at_rest(stream))
    }

    fn address_row(&self, mapping: &Mapping, now: u32) -> SessionRow {
        let binding = &mapping.binding;
        let (inside, outside, vrf) = match binding.side {
            Side::Inside => ((binding.own, binding.seen), (NOBODY, NOBODY), binding.own_vrf),
            Side::Outside => ((NOBODY, NOBODY), (binding.seen, binding.own), binding.seen_vrf),
        };
        SessionRow {
            protocol: binding.protocol,
            inside_local: inside.0,
            inside_global: inside.1,
            outside_local: outside.0,
            outside_global: outside.1,
            vrf,
            rule: binding.rule,
            is_static: false,
            class: IdleClass::Other,
            age_ms: now.wrapping_sub(mapping.created_ms),
            idle_ms: now.wrapping_sub(mapping.used_ms),
            left_ms: mapping_deadline_ms(&self.engine.tables.policy, mapping).map(|at| left_ms(at, now)),
        }
    }

    fn row(&self, session: &Session, created_ms: u32, now: u32) -> SessionRow {
        SessionRow {
            protocol: session.protocol,
            inside_local: session.inside_local(),
            inside_global: session.inside_global(),
            outside_local: session.outside_local(),
            outside_global: session.outside_global(),
            vrf: session.inside_vrf(),
            rule: session.rule,
            is_static: !session.is_dynamic(),
            class: session.progress.class(),
            age_ms: now.wrapping_sub(created_ms),
            idle_ms: now.wrapping_sub(session.used_ms),
            left_ms: deadline_ms(&self.engine.tables.policy, session).map(|at| left_ms(at, now)),
        }
    }
}
