//! The shard: all NAT state of one worker.

use std::net::Ipv4Addr;

use alg::Side;
use alg::registry::ROWS;

use crate::counters::Level;
use crate::flow::{Direction, Vrf, WorkerIndex};
use crate::head::{Head, Transport};
use crate::policy::{IdleClass, Policy, RuleId, Timeouts};
use crate::state::call::{CALLS_MAX, Calls};
use crate::state::contacts::Contacts;
use crate::state::control_session::{CONTROL_SESSIONS_MAX, ControlSessions};
use crate::state::destinations::{Counter, Destinations};
use crate::state::door::{DOORS_MAX, Door, Doors};
use crate::state::groups::Groups;
use crate::state::journal::{Journal, RECORDS_MIN};
use crate::state::mapping::Mapping;
use crate::state::ports::address_use::AddressUse;
use crate::state::ports::allocate::Allocator;
use crate::state::ports::lease::Lender;
use crate::state::ports::ownership::Ownership;
use crate::state::ports::port_set::PortSet;
use crate::state::reopenings::Reopenings;
use crate::state::session::{Ends, Session, SessionKey};
use crate::state::subscriber::{Subscriber, Subscribers};
use crate::state::table::index::{Candidate, Hash, Hasher, Index};
use crate::state::table::slots::Slots;
use crate::state::table::timer::Wheel;
use crate::state::unconfirmed::{Unconfirmed, Waiting};
use crate::state::unconfirmed_hosts::UnconfirmedHosts;

/// Sessions, mappings, subscribers and ports of one worker.
///
/// The sessions beneath a port's mapping are a ring; one of them, the head, is in `port_index` under the mapping's
/// keys. A mapping whose only session serves every peer needs no entries there: the session's own keys are the
/// mapping's.
///
/// Invariant: the ports in use are those of the rings, of whole addresses and those held down; [`Shard::check`]
/// verifies it.
pub struct Shard {
    pub(super) hasher: Hasher,
    pub(super) sessions: Slots<Session>,
    /// How each session began, by its index: what no packet of it needs.
    pub(super) beginnings: Vec<Beginning>,
    pub(super) session_index: Index,
    pub(super) port_index: Index,
    /// Mappings of ports.
    pub(super) port_mapping_count: usize,
    /// Sessions that serve every peer.
    pub(super) any_peer_count: usize,
    /// Mappings of whole addresses.
    pub(super) mappings: Slots<Mapping>,
    pub(super) mapping_index: Index,
    /// Endpoints that gateways announced.
    pub(super) doors: Doors,
    /// Calls that gateways remember.
    pub calls: Calls,
    /// Control sessions that gateways read.
    pub control_sessions: ControlSessions,
    /// Doors that closed for want of a packet, by gateway, to be counted.
    pub doors_expired: [u32; ROWS.len()],
    pub(super) wheel: Wheel,
    pub(super) subscribers: Subscribers,
    /// What hosts have begun, by where it goes.
    pub(super) destinations: Destinations,
    pub(super) allocator: Allocator,
    pub(super) lender: Lender,
    /// By rule number. There is room for all numbers, so that a policy with more rules only counts them.
    rules: Vec<RuleUse>,
    /// Numbers of rules that policies used so far.
    pub(super) rule_count: usize,
    /// Sessions under each group limit of the policy.
    pub(super) groups: Groups,
    /// The counter of the limit that refused a session, to be counted.
    pub limit_reached: Option<u32>,
    /// Sessions that sweeps ended as the policy computes otherwise now, to be told.
    pub recomputed_count: u64,
    /// For address-dependent filtering; without room before a policy asks for that.
    pub(super) contacts: Contacts,
    /// Which worker this is, and of how many.
    pub(super) worker: (WorkerIndex, u8),
    /// By rule number: which real server of a destination rule is next.
    rotation: Vec<u32>,
    /// Flows that only one side has begun.
    pub unconfirmed: Unconfirmed,
    /// Outside hosts whose addresses strangers asked for alone.
    pub(super) unconfirmed_hosts: UnconfirmedHosts,
    /// SYNs over live connections.
    pub(super) reopenings: Reopenings,
    /// What began and ended.
    pub journal: Journal,
}

/// How a session began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// When, in milliseconds.
    pub at_ms: u32,
    /// What counts it among those to its destination.
    pub counter: Counter,
}

/// How much a rule is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleUse {
    /// Sessions it made that are alive.
    pub session_count: u32,
    /// Whole addresses that hosts have by it.
    pub address_count: u32,
    /// Packets it had no address or port for.
    pub misses: u64,
}

/// A session with the direction a packet crosses it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRef {
    /// Index of the session.
    pub index: u32,
    /// The packet's direction.
    pub direction: Direction,
}

impl SessionRef {
    #[inline]
    pub(super) fn from_value(value: u32) -> SessionRef {
        let direction = if value & 1 == 0 { Direction::Outbound } else { Direction::Inbound };
        SessionRef { index: value >> 1, direction }
    }

    pub(super) fn value(self) -> u32 {
        self.index << 1 | u32::from(self.direction == Direction::Inbound)
    }
}

/// Something in the tables that `show ip nat translations` lists.
pub enum Entry<'a> {
    /// A session, and when it was made, in milliseconds.
    Session(&'a Session, u32),
    /// The mapping of a whole address.
    Address(&'a Mapping),
}

/// Subscribers of a shard: one for so many sessions, but so many at least and at most.
const SESSIONS_PER_SUBSCRIBER: usize = 8;
const SUBSCRIBERS_MIN: usize = 1 << 16;
const SUBSCRIBERS_MAX: usize = 1 << 20;
/// The most mappings of whole addresses of a shard.
pub const ADDRESSES_MAX: usize = 1 << 16;
/// Numbers of rules.
const RULES_MAX: usize = 1 << RuleId::BITS;

impl Shard {
    /// An empty shard of a worker, with room for `capacity` sessions, at time `now`.
    pub fn new(capacity: usize, secret: [u64; 2], worker: WorkerIndex, worker_count: u8, now: u32) -> Shard {
        let seed = [secret[0], secret[1] ^ u64::from(worker) << 56];
        let (addresses_max, doors_max) = (capacity.min(ADDRESSES_MAX), capacity.min(DOORS_MAX));
        let calls_max = capacity.min(CALLS_MAX);
        let subscribers_max = (capacity / SESSIONS_PER_SUBSCRIBER).clamp(SUBSCRIBERS_MIN, SUBSCRIBERS_MAX);
        let mut beginnings = mem::vec_in_huge_pages(capacity);
        beginnings.resize(capacity, Beginning { at_ms: now, counter: Counter::NONE });
        Shard {
            hasher: Hasher::new(secret),
            sessions: Slots::new(capacity),
            beginnings,
            session_index: Index::new(capacity * 2),
            port_index: Index::new(capacity * 2),
            port_mapping_count: 0,
            any_peer_count: 0,
            mappings: Slots::new(addresses_max),
            mapping_index: Index::new(addresses_max * 2),
            doors: Doors::new(doors_max, Hasher::new(secret)),
            calls: Calls::new(calls_max, Hasher::new(secret)),
            control_sessions: ControlSessions::new(capacity.min(CONTROL_SESSIONS_MAX), Hasher::new(secret)),
            doors_expired: [0; ROWS.len()],
            // Sessions first, then mappings, then doors, then calls.
            wheel: Wheel::new(capacity + addresses_max + doors_max + calls_max, now),
            subscribers: Subscribers::new(subscribers_max.min(capacity), Hasher::new(secret)),
            destinations: Destinations::new(capacity, Hasher::new(secret)),
            allocator: Allocator::new(seed, worker, worker_count),
            lender: Lender::default(),
            rules: vec![RuleUse::default(); RULES_MAX],
            rule_count: 0,
            groups: Groups::default(),
            limit_reached: None,
            recomputed_count: 0,
            contacts: Contacts::new(0, Hasher::new(secret)),
            worker: (worker, worker_count),
            rotation: vec![0; RULES_MAX],
            unconfirmed: Unconfirmed::new(capacity),
            unconfirmed_hosts: UnconfirmedHosts::new(RULES_MAX, addresses_max),
            reopenings: Reopenings::default(),
            journal: Journal::new(capacity.max(RECORDS_MIN)),
        }
    }

    /// The hash of a session key; asks for the index's cache line.
    #[inline(always)]
    pub fn prepare(&self, key: SessionKey) -> Hash {
        let hash = self.hasher.hash(key.words());
        self.session_index.prefetch(hash);
        hash
    }

    /// The session that a hash probably finds, as the key's first bucket has it; asks for its cache line. False if the
    /// other bucket is to be looked at, which is asked for too.
    #[inline(always)]
    pub fn candidate(&self, hash: Hash) -> Candidate<SessionRef> {
        match self.session_index.candidate(hash) {
            Candidate::Likely(value) => {
                let found = SessionRef::from_value(value);
                self.sessions.prefetch(found.index);
                Candidate::Likely(found)
            }
            Candidate::None => Candidate::None,
            Candidate::Elsewhere => {
                self.session_index.prefetch_other(hash);
                Candidate::Elsewhere
            }
        }
    }

    /// The session that a hash probably finds, wherever the index has it; asks for its cache line.
    pub fn candidate_anywhere(&self, hash: Hash) -> Option<SessionRef> {
        let found = SessionRef::from_value(self.session_index.candidate_anywhere(hash)?);
        self.sessions.prefetch(found.index);
        Some(found)
    }

    /// Asks for what beginning a session with this key looks at first: its mapping, its subscriber, its place.
    pub fn prefetch_new(&self, key: &SessionKey) {
        let &SessionKey { ends: Ends { src, dst, vrf }, protocol, direction } = key;
        let mapping = match direction {
            Direction::Outbound => {
                self.subscribers.prefetch(vrf, src.addr);
                self.destinations.prefetch(self.destinations.counter(vrf, src.addr, dst.addr));
                Mapping::own_key(Side::Inside, protocol, vrf, src)
            }
            Direction::Inbound => Mapping::seen_key(Side::Inside, protocol, vrf, dst),
        };
        self.port_index.prefetch(self.hasher.hash(mapping));
        self.sessions.prefetch_free();
    }

    /// Whether packets with this key belong to a session.
    #[inline]
    pub fn has_key(&self, found: SessionRef, key: SessionKey) -> bool {
        self.sessions.at(found.index).is_some_and(|session| session.key(found.direction) == key)
    }

    /// The session with this key.
    #[inline]
    pub fn find(&self, key: SessionKey, hash: Hash) -> Option<SessionRef> {
        let is_key = |value| self.has_key(SessionRef::from_value(value), key);
        self.session_index.find(hash, is_key).map(SessionRef::from_value)
    }

    /// The session with this key. Nearly always it is the candidate; a packet before it in the burst may have begun it.
    #[inline(always)]
    pub fn find_likely(
        &self,
        candidate: Option<SessionRef>,
        key: SessionKey,
        hash: Hash,
    ) -> Option<SessionRef> {
        candidate.filter(|found| self.has_key(*found, key)).or_else(|| self.find(key, hash))
    }

    /// The session of a packet that was not prepared with its burst.
    pub fn find_now(&self, policy: &Policy, head: &Head, direction: Direction) -> Option<SessionRef> {
        if head.transport == Transport::LaterFragment && head.new_id.is_none() {
            return None;
        }
        let key = SessionKey::of(policy, &head.tuple, direction);
        self.find(key, self.prepare(key))
    }

    /// A session by its index.
    #[inline]
    pub fn session(&self, index: u32) -> Option<&Session> {
        self.sessions.at(index)
    }

    /// A session by its index, to be refreshed.
    #[inline]
    pub fn session_mut(&mut self, index: u32) -> Option<&mut Session> {
        self.sessions.at_mut(index)
    }

    /// How a session began.
    pub(super) fn beginning(&self, index: u32) -> Option<Beginning> {
        self.beginnings.get(index as usize).copied()
    }

    /// When a session was made, in milliseconds.
    pub(super) fn created_ms(&self, index: u32) -> u32 {
        self.beginning(index).map_or(0, |beginning| beginning.at_ms)
    }

    /// A session as the queues of unconfirmed ones have it.
    pub(super) fn waiting(&self, index: u32) -> Waiting {
        Waiting { index, created_ms: self.created_ms(index) }
    }

    /// The next position in a destination rule's rotation.
    pub fn rotate(&mut self, rule: RuleId) -> u32 {
        let position = &mut self.rotation[usize::from(rule)];
        *position = position.wrapping_add(1);
        position.wrapping_sub(1)
    }

    /// Which worker owns which global ports.
    #[inline(always)]
    pub fn ownership(&self) -> &Ownership {
        &self.allocator.ownership
    }

    /// A number that outsiders cannot guess.
    pub fn draw(&mut self) -> u64 {
        self.allocator.draw()
    }

    /// Positions of [`Shard::entries_between`].
    pub fn position_count(&self) -> u32 {
        (self.sessions.capacity() + self.mappings.capacity()) as u32
    }

    /// What is in the tables from one position to before another: sessions, then the mappings of whole addresses.
    pub fn entries_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, Entry<'_>)> {
        let capacity = self.sessions.capacity() as u32;
        let sessions = self.sessions.iter_between(start, end);
        let sessions =
            sessions.map(move |(index, session)| (index, Entry::Session(session, self.created_ms(index))));
        let of_mappings = |position: u32| position.saturating_sub(capacity);
        let mappings = self.mappings.iter_between(of_mappings(start), of_mappings(end));
        let addresses = mappings.map(move |(index, mapping)| (capacity + index, Entry::Address(mapping)));
        sessions.chain(addresses)
    }

    /// Live sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// How full the tables are: sessions, those of strangers that nobody confirmed, inside hosts, whole addresses, doors, calls
    /// and control sessions.
    pub fn levels(&self) -> [Level; 7] {
        [
            (self.sessions.len(), self.sessions.capacity()),
            self.unconfirmed.level(),
            (self.subscribers.len(), self.subscribers.capacity()),
            (self.mappings.len(), self.mappings.capacity()),
            (self.doors.len(), self.doors.capacity()),
            (self.calls.len(), self.calls.capacity()),
            (self.control_sessions.len(), self.control_sessions.capacity()),
        ]
    }

    /// Sessions under each group limit of the policy.
    pub fn group_counts(&self) -> &[u32] {
        self.groups.counts()
    }

    /// Sessions of an inside host.
    pub fn session_count_of(&self, vrf: Vrf, host: Ipv4Addr) -> u32 {
        self.subscribers.session_count(vrf, host)
    }

    /// Live mappings of whole addresses.
    pub fn address_count(&self) -> usize {
        self.mappings.len()
    }

    /// Live mappings, of ports and of whole addresses.
    pub fn mapping_count(&self) -> usize {
        self.port_mapping_count + self.mappings.len()
    }

    /// Port sets that subscribers have.
    pub fn port_set_count(&self) -> usize {
        self.allocator.set_count()
    }

    /// Doors open.
    pub fn door_count(&self) -> usize {
        self.doors.len()
    }

    /// Positions of [`Shard::doors_between`].
    pub fn door_position_count(&self) -> u32 {
        self.doors.capacity() as u32
    }

    /// The doors from one table position to before another.
    pub fn doors_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Door)> {
        self.doors.iter_between(start, end)
    }

    /// Positions of [`Shard::subscribers_between`].
    pub fn subscriber_position_count(&self) -> u32 {
        self.subscribers.capacity() as u32
    }

    /// The subscribers from one table position to before another.
    pub fn subscribers_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &Subscriber)> {
        self.subscribers.iter_between(start, end)
    }

    /// The port sets of a subscriber.
    pub fn port_sets_of(&self, subscriber: &Subscriber) -> impl Iterator<Item = PortSet> {
        self.allocator.sets_of(subscriber)
    }

    /// Positions of [`Shard::addresses_between`].
    pub fn address_position_count(&self) -> u32 {
        self.allocator.address_position_count()
    }

    /// The global addresses in use whose numbers lie from one to before another.
    pub fn addresses_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, AddressUse)> {
        self.allocator.addresses_between(start, end)
    }

    /// Subscribers with live sessions or mappings.
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// The use of every rule that was ever used.
    pub fn rule_uses(&self) -> impl Iterator<Item = (RuleId, RuleUse)> + '_ {
        let used = self
            .rules
            .iter()
            .take(self.rule_count)
            .enumerate()
            .filter(|(_, used)| **used != RuleUse::default());
        used.map(|(id, &used)| (id as RuleId, used))
    }

    /// The use of a rule of this policy or one before, to be counted.
    pub(super) fn rule_mut(&mut self, id: RuleId) -> &mut RuleUse {
        &mut self.rules[usize::from(id)]
    }

    /// Global addresses with ports in use, and how many.
    pub fn ports_in_use(&self) -> impl Iterator<Item = (Ipv4Addr, u32)> + '_ {
        self.allocator.in_use()
    }
}

/// When a whole address's mapping ends unless sessions use it; none for never.
pub fn mapping_deadline_ms(policy: &Policy, mapping: &Mapping) -> Option<u32> {
    if mapping.is_unsolicited {
        return Some(mapping.used_ms);
    }
    let idle_ms = policy.timeouts.of(IdleClass::Other);
    (idle_ms != Timeouts::NEVER).then(|| mapping.used_ms.wrapping_add(idle_ms))
}

/// A deadline for what never ends: it is looked at once a turn, since the configuration may change.
pub(super) fn far_off(now: u32) -> u32 {
    now.wrapping_add(i32::MAX as u32 / 2)
}

/// When a session ends unless a packet refreshes it; none for never.
pub fn deadline_ms(policy: &Policy, session: &Session) -> Option<u32> {
    let local = (session.protocol, session.inside_local().port);
    let of_port = policy.port_timeouts.iter().find(|&&(protocol, port, _)| (protocol, port) == local);
    let of_class = policy.timeouts.of(session.progress.class());
    let idle_ms = match of_port {
        // What a stranger began lives no longer than a handshake may take, until the inside answers.
        _ if !session.progress.is_confirmed() => of_class.min(policy.timeouts.of(IdleClass::TcpSyn)),
        Some(&(.., of_port)) => of_port,
        None => of_class,
    };
    (idle_ms != Timeouts::NEVER).then(|| session.used_ms.wrapping_add(idle_ms))
}
