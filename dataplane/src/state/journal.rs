//! What began and what ended, and why: totals that always count, and a ring of records for whoever must tell who had an
//! address and a port (RFC 6888 REQ-12, RFC 8158).
//!
//! The worker never waits for a reader: a record that is not read in time is overwritten, and the running number of the
//! next one tells how many were. Bindings and port sets are always recorded, sessions where the policy asks for it.

use std::net::Ipv4Addr;

use alg::Side;
use arrayvec::ArrayVec;

use crate::flow::Endpoint;
use crate::lives::{EndReason, Lives};
use crate::policy::RuleId;
use crate::state::mapping::{ANY_PROTOCOL, Binding};
use crate::state::ports::port_set::PortSet;
use crate::state::session::{Flags, Session};
use crate::state::subscriber::Subscriber;

/// What began and ended, of all that is told apart. A packet that is refused begins nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sessions.
    pub sessions: Lives,
    /// Ports, one each, and whole addresses that hosts had.
    pub bindings: Lives,
    /// Port sets of subscribers.
    pub port_sets: Lives,
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A session.
    Session,
    /// An endpoint that got another in the other realm: a port of a shared address or an identifier of ICMP queries, or a
    /// whole address; see [`Binding::is_address`].
    Binding,
    /// Ports of a shared address that are one subscriber's: so many, the first of them and each so far from the last.
    PortSet {
        /// How many ports.
        size: u16,
        /// The distance between them.
        step: u16,
    },
    /// A source for which a rule had no address or port left (RFC 8158, NAT events 3 and 12): an event, which
    /// begins and ends nothing.
    PoolExhausted,
}

/// That something began or ended, or happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// When, in milliseconds of the worker's clock, which wraps around after 49 days.
    pub time_ms: u32,
    /// What it is about.
    pub what: What,
    /// Why it ended; none if it began or happened.
    pub ended: Option<EndReason>,
    /// Whose endpoint got which. Of a port set, the subscriber's address, and the global one with the first port; of what
    /// got none, [`NOBODY`].
    pub binding: Binding,
    /// Of a session, the outside endpoint as the inside sees it; [`NOBODY`] otherwise.
    pub outside_local: Endpoint,
    /// Of a session, the outside endpoint as it knows itself; [`NOBODY`] otherwise.
    pub outside_global: Endpoint,
}

const _: () =
    assert!(size_of::<Record>() <= 48, "a record is written for each set-up, and less than a cache line");

/// No endpoint.
pub const NOBODY: Endpoint = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);

/// What a place of the ring holds before its first record.
const EMPTY: Record = Record {
    time_ms: 0,
    what: What::Session,
    ended: None,
    binding: Binding {
        own: NOBODY,
        seen: NOBODY,
        own_vrf: 0,
        seen_vrf: 0,
        rule: 0,
        protocol: ANY_PROTOCOL,
        side: Side::Inside,
    },
    outside_local: NOBODY,
    outside_global: NOBODY,
};

/// The least room for records: more than one set-up and its undoing write.
pub(super) const RECORDS_MIN: usize = 16;
/// The most records of a shard that wait to be read: more than a worker's round writes, and few enough that the core's caches
/// keep them. A ring of 65,536 made set-ups a tenth dearer.
const RECORDS_MAX: usize = 1 << 12;

/// A rule's exhaustion is told once in so many milliseconds: every packet of a full pool's hosts would be a record else.
const EXHAUSTED_EVERY_MS: u32 = 1000;
/// Rules whose exhaustion is told within that time; more are told later.
const EXHAUSTED_MAX: usize = 64;

/// The totals and the records of a shard.
pub struct Journal {
    totals: Totals,
    /// A ring of a power of two.
    records: Vec<Record>,
    mask: usize,
    /// The number of the next record, counted from the start.
    next: u64,
    /// The number of the first that was not read.
    unread: u64,
    /// Whether anything began or ended since the totals were told.
    is_changed: bool,
    /// Rules whose exhaustion was told, and when.
    exhausted: ArrayVec<(RuleId, u32), EXHAUSTED_MAX>,
}

impl Journal {
    /// An empty journal of a shard with room for so many sessions.
    pub fn new(sessions_max: usize) -> Journal {
        let room = sessions_max.next_power_of_two().min(RECORDS_MAX);
        let mut records = mem::vec_in_huge_pages(room);
        // Written now, so that no set-up waits for a page.
        records.resize(room, EMPTY);
        Journal {
            totals: Totals::default(),
            records,
            mask: room - 1,
            next: 0,
            unread: 0,
            is_changed: true,
            exhausted: ArrayVec::new(),
        }
    }

    /// What began and ended since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The same, if it is more than when this was asked last.
    pub fn changed_totals(&mut self) -> Option<&Totals> {
        std::mem::take(&mut self.is_changed).then_some(&self.totals)
    }

    /// The oldest record that was not read, with its running number. Numbers that are left out are of records that were
    /// overwritten before they were read.
    pub fn read(&mut self) -> Option<(u64, Record)> {
        let number = self.unread.max(self.oldest());
        if number == self.next {
            return None;
        }
        self.unread = number + 1;
        Some((number, *self.records.get(number as usize & self.mask)?))
    }

    /// The number of the oldest record that the ring still has.
    fn oldest(&self) -> u64 {
        self.next.saturating_sub(self.records.len() as u64)
    }

    /// A session begins, or ends.
    pub(super) fn note_session(
        &mut self,
        session: &Session,
        is_recorded: bool,
        ended: Option<EndReason>,
        now: u32,
    ) {
        self.totals.sessions.count(ended);
        self.is_changed = true;
        if is_recorded {
            let (outside_local, mut outside_global) = (session.outside_local(), session.outside_global());
            let (what, mut binding) = (What::Session, session.binding());
            // A number that was learnt in between is in neither record: both are of one session.
            if session.flags.has(Flags::NUMBERED) {
                (binding.seen, outside_global) = (binding.seen.without_port(), outside_global.without_port());
            }
            self.note(Record { time_ms: now, what, ended, binding, outside_local, outside_global });
        }
    }

    /// A binding begins, or ends.
    pub(super) fn note_binding(&mut self, binding: &Binding, ended: Option<EndReason>, now: u32) {
        self.totals.bindings.count(ended);
        self.is_changed = true;
        self.note(Record {
            time_ms: now,
            what: What::Binding,
            ended,
            binding: *binding,
            outside_local: NOBODY,
            outside_global: NOBODY,
        });
    }

    /// A subscriber takes a port set of an address, or returns it.
    pub(super) fn note_port_set(
        &mut self,
        subscriber: &Subscriber,
        addr: Ipv4Addr,
        set: &PortSet,
        ended: Option<EndReason>,
        now: u32,
    ) {
        self.totals.port_sets.count(ended);
        self.is_changed = true;
        let binding = Binding {
            own: Endpoint::new(subscriber.addr, 0),
            seen: Endpoint::new(addr, set.first),
            own_vrf: subscriber.vrf,
            seen_vrf: set.outside_vrf,
            rule: set.rule,
            protocol: ANY_PROTOCOL,
            side: Side::Inside,
        };
        let what = What::PortSet { size: set.size, step: set.step };
        let (outside_local, outside_global) = (NOBODY, NOBODY);
        self.note(Record { time_ms: now, what, ended, binding, outside_local, outside_global });
    }

    /// A rule has no address or port for what `binding` would be of.
    #[cold]
    pub(super) fn note_exhausted(&mut self, binding: Binding, now: u32) {
        self.exhausted.retain(|(_, told_ms)| now.wrapping_sub(*told_ms) < EXHAUSTED_EVERY_MS);
        let is_told = self.exhausted.iter().any(|&(rule, _)| rule == binding.rule);
        if is_told || self.exhausted.try_push((binding.rule, now)).is_err() {
            return;
        }
        self.note(Record {
            time_ms: now,
            what: What::PoolExhausted,
            ended: None,
            binding,
            outside_local: NOBODY,
            outside_global: NOBODY,
        });
    }

    #[inline(always)]
    fn note(&mut self, record: Record) {
        if let Some(place) = self.records.get_mut(self.next as usize & self.mask) {
            *place = record;
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(port: u16) -> Binding {
        let end = |last| Endpoint::new(Ipv4Addr::new(10, 0, 0, last), port);
        Binding {
            own: end(1),
            seen: end(2),
            own_vrf: 0,
            seen_vrf: 0,
            rule: 1,
            protocol: 17,
            side: Side::Inside,
        }
    }

    #[test]
    fn a_slow_reader_knows_exactly_what_it_lost() {
        let mut journal = Journal::new(4);
        for port in 0..3 {
            journal.note_binding(&binding(port), None, 7);
        }
        let (number, record) = journal.read().unwrap();
        assert_eq!((number, record.binding.seen.port, record.ended, record.time_ms), (0, 0, None, 7));
        for port in 3..9 {
            journal.note_binding(&binding(port), Some(EndReason::Idle), 7);
        }
        let read: Vec<(u64, u16)> = std::iter::from_fn(|| journal.read())
            .map(|(number, record)| (number, record.binding.seen.port))
            .collect();
        assert_eq!(read, [(5, 5), (6, 6), (7, 7), (8, 8)], "1 to 4 were overwritten");
        assert_eq!((journal.totals().bindings.begun, journal.totals().bindings.ended), (3, [6, 0, 0, 0, 0]));
    }

    #[test]
    fn exhaustion_is_told_once_a_second_by_each_rule() {
        let mut journal = Journal::new(256);
        let first = u32::MAX - 10;
        for now in [first, first.wrapping_add(1), first.wrapping_add(999), first.wrapping_add(1000)] {
            for rule in [1, 2] {
                journal.note_exhausted(Binding { rule, ..binding(1) }, now);
            }
        }
        let told: Vec<_> = std::iter::from_fn(|| journal.read())
            .map(|(_, record)| (record.binding.rule, record.time_ms))
            .collect();
        assert_eq!(told, [(1, first), (2, first), (1, 989), (2, 989)]);
        for rule in 0..200 {
            journal.note_exhausted(Binding { rule, ..binding(1) }, 5000);
        }
        let records: Vec<Record> = std::iter::from_fn(|| journal.read()).map(|(_, record)| record).collect();
        assert_eq!(records.len(), EXHAUSTED_MAX, "no more than there is room to remember");
        assert!(records.iter().all(|record| record.what == What::PoolExhausted && record.ended.is_none()));
        assert_eq!(*journal.totals(), Totals::default());
    }
}
