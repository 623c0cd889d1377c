//! Listing what the tables hold: for `show ip nat translations`, a slice at a time, and as plain state.

use crate::flow::{Endpoint, ICMP, TCP, UDP};
use crate::inspect::{EDITS_KEPT, Edit};
use crate::message::{
    CallRow, DOOR_SESSIONS_MAX, DoorRow, EditRow, Holder, List, SessionCount, SessionRow, Slice,
    SubscriberRow,
};
use crate::path::tables::Tables;
use crate::policy::{GatewayIndex, IdleClass};
use crate::state::door::OwnerKey;
use crate::state::mapping::Mapping;
use crate::state::plain::Plain;
use crate::state::ports::address_use::AddressUse;
use crate::state::session::{Flags, Session};
use crate::state::shard::{Entry, deadline_ms, mapping_deadline_ms};
use crate::state::table::timer::left_ms;
use crate::state::wanted::{Wanted, address_columns_of, columns_of, vrfs_of};
use crate::worker::Worker;

/// Table positions that a slice looks at, so that no burst waits for the walk of a large and empty table.
const LOOKED_AT_MAX: u32 = 4096;

/// Answers with the rows of a table of so many positions.
fn answer<E, R, I: Iterator<Item = (u32, E)>>(
    list: List<R>,
    position_count: u32,
    entries_between: impl FnOnce(u32, u32) -> I,
    row: impl Fn(u32, E) -> R,
) {
    let end = list.start.saturating_add(LOOKED_AT_MAX).min(position_count);
    let mut entries = entries_between(list.start, end);
    let rows = entries.by_ref().take(list.limit).map(|(position, entry)| row(position, entry)).collect();
    let next = entries.next().map_or(end, |(position, _)| position);
    // Who asked may have gone.
    let _ = list.reply.try_send(Slice { rows, next: Some(next).filter(|&next| next < position_count) });
}

impl Worker {
    /// Answers with the sessions that an operator means, then with the mappings of whole addresses.
    pub(crate) fn list_sessions(&self, wanted: &Wanted, list: List<SessionRow>, now: u32) {
        let entries = |start, end| self.entries_between(wanted, start, end);
        answer(list, self.engine.tables.shard.position_count(), entries, |position, entry| match entry {
            Entry::Session(session, created_ms) => self.row(position, session, created_ms, now),
            Entry::Address(mapping) => self.address_row(position, mapping, now),
        });
    }

    /// Answers with their number, of as many positions as a slice looks at.
    pub(crate) fn count_sessions(&self, wanted: &Wanted, list: List<SessionCount>) {
        let count = |start, end| {
            let count = self.entries_between(wanted, start, end).count();
            std::iter::once((start, SessionCount(count as u64)))
        };
        answer(list, self.engine.tables.shard.position_count(), count, |_, count| count);
    }

    fn entries_between<'a>(
        &'a self,
        wanted: &'a Wanted,
        start: u32,
        end: u32,
    ) -> impl Iterator<Item = (u32, Entry<'a>)> {
        let shard = &self.engine.tables.shard;
        shard.entries_between(start, end).filter(move |(_, entry)| shard.means(wanted, entry))
    }

    /// Answers with doors.
    pub(crate) fn list_doors(&self, list: List<DoorRow>, now: u32) {
        let shard = &self.engine.tables.shard;
        let doors = |start, end| shard.doors_between(start, end);
        answer(list, shard.door_position_count(), doors, |_, door| DoorRow {
            protocol: door.protocol,
            inside_local: door.inside,
            inside_global: door.global,
            peer: door.peer,
            vrf: door.vrfs.0,
            gateway: door.gateway,
            child: door.child,
            uses_left: door.uses_left,
            left_ms: left_ms(door.closes_ms, now),
            call: match door.owner() {
                OwnerKey::Call(key) => Some(key),
                OwnerKey::ControlSession(_) => None,
            },
            number: door.tag,
            session_count: shard.session_count_of_door(door, DOOR_SESSIONS_MAX),
        });
    }

    /// Answers with calls.
    pub(crate) fn list_calls(&self, list: List<CallRow>, now: u32) {
        let calls = &self.engine.tables.shard.calls;
        answer(
            list,
            calls.capacity() as u32,
            |start, end| calls.iter_between(start, end),
            |_, record| {
                let (kind, state) = record.memory.describe();
                let (key, gateway) = (record.key, record.gateway);
                CallRow { key, gateway, kind, state, left_ms: left_ms(record.ends_ms, now) }
            },
        );
    }

    /// Answers with the last edits of gateways, the oldest first.
    pub(crate) fn list_edits(&self, list: List<EditRow>, now: u32) {
        let edits = |start, end| self.engine.streams.edited.iter_between(start, end);
        let row = |_, edit: &Edit| EditRow { edit: *edit, age_ms: now.wrapping_sub(edit.of.at_ms) };
        answer(list, EDITS_KEPT as u32, edits, row);
    }

    /// Answers with subscribers.
    pub(crate) fn list_subscribers(&self, list: List<SubscriberRow>) {
        let shard = &self.engine.tables.shard;
        let subscribers = |start, end| shard.subscribers_between(start, end);
        answer(list, shard.subscriber_position_count(), subscribers, |_, subscriber| SubscriberRow {
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
        answer(list, shard.address_position_count(), addresses, |_, used| used);
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

    fn address_row(&self, position: u32, mapping: &Mapping, now: u32) -> SessionRow {
        let [inside_global, inside_local, outside_local, outside_global] = address_columns_of(mapping);
        let (vrf, outside_vrf) = vrfs_of(mapping);
        SessionRow {
            protocol: mapping.binding.protocol,
            inside_local,
            inside_global,
            outside_local,
            outside_global,
            vrf,
            outside_vrf,
            rule: mapping.binding.rule,
            class: IdleClass::Other,
            is_confirmed: !mapping.is_unsolicited,
            is_from_outside: mapping.is_unsolicited,
            gateway: None,
            entry: (self.engine.index, position),
            use_count: mapping.session_count,
            age_ms: now.wrapping_sub(mapping.created_ms),
            idle_ms: now.wrapping_sub(mapping.used_ms),
            left_ms: mapping_deadline_ms(&self.engine.tables.policy, mapping).map(|at| left_ms(at, now)),
        }
    }

    fn row(&self, position: u32, session: &Session, created_ms: u32, now: u32) -> SessionRow {
        let [inside_global, inside_local, outside_local, outside_global] = columns_of(session);
        SessionRow {
            protocol: session.protocol,
            inside_local,
            inside_global,
            outside_local,
            outside_global,
            vrf: session.inside_vrf(),
            outside_vrf: session.outside_vrf(),
            rule: session.rule,
            class: session.progress.class(),
            is_confirmed: session.progress.is_confirmed(),
            is_from_outside: session.flags.has(Flags::FROM_OUTSIDE),
            gateway: self.gateway_of(position, session),
            entry: (self.engine.index, position),
            use_count: 1,
            age_ms: now.wrapping_sub(created_ms),
            idle_ms: now.wrapping_sub(session.used_ms),
            left_ms: deadline_ms(&self.engine.tables.policy, session).map(|at| left_ms(at, now)),
        }
    }

    /// The gateway that reads a session, or that opened the door it came through.
    fn gateway_of(&self, index: u32, session: &Session) -> Option<GatewayIndex> {
        if !session.flags.has(Flags::CONTROL) && !session.flags.has(Flags::CHILD) {
            return None;
        }
        let Tables { policy, shard, .. } = &self.engine.tables;
        let controls = &shard.control_sessions;
        let control = controls.of(index).or_else(|| controls.of(controls.parent_of(index)?));
        let listens = |end: Endpoint| policy.gateway_of(session.rule, session.protocol, end.port, end.addr);
        // Of a control session without a record, which carries datagrams, it is told as when it began.
        let by_port = || match session.flags {
            flags if !flags.has(Flags::CONTROL) => None,
            flags if flags.has(Flags::FROM_OUTSIDE) => {
                listens(session.inside_local()).or_else(|| listens(session.inside_global()))
            }
            _ => listens(session.outside_local()),
        };
        control.map(|control| control.gateway).or_else(by_port)
    }
}
