//! Making mappings: which global address and port an endpoint gets.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::Arc;

use alg::{Ports, Side};

use crate::drops::DropReason;
use crate::flow::{Endpoint, Protocol, TCP, WorkerIndex};
use crate::lives::EndReason;
use crate::policy::{Blocks, Deterministic, OutsideRule, Policy, Pool, PoolKind, SourceRule};
use crate::state::journal::Journal;
use crate::state::mapping::{ANY_PROTOCOL, Binding};
use crate::state::ports::address_use::AddressUse;
use crate::state::ports::addresses::Addresses;
use crate::state::ports::bitmaps::{Wish, class_of, used_total};
use crate::state::ports::ownership::{Claimant, Ownership};
use crate::state::ports::port_set::PortSet;
use crate::state::ports::random::Random;
use crate::state::ports::request::{Request, Source, deterministic_of, is_interface, takes_of_sets};
use crate::state::ports::sets::Sets;
use crate::state::ports::share::refusal;
use crate::state::subscriber::{SETS_MAX, Subscriber};
use crate::state::table::share::reserve_of;
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

/// The most ports held down at once; beyond that the oldest is free early (RFC 6888 REQ-8).
pub const HELD_DOWN_MAX: usize = 65_536;

/// Pools of a policy at most.
const POOLS_MAX: usize = 1 << 16;

/// Addresses of a pool, beside its own, of which a host may have its share before it is refused.
const SHARES_TRIED: u32 = 16;

/// How long a pool is not searched for outside hosts after it was in vain.
const SEARCH_AGAIN_MS: u32 = 1000;

/// The global addresses a shard takes ports from.
pub struct Allocator {
    addresses: Addresses,
    sets: Sets,
    /// For each pool, the position that is tried first.
    positions: Vec<u32>,
    /// For each pool, when it had no address left for an outside host.
    searched_in_vain_ms: Vec<Option<u32>>,
    held_down: VecDeque<HeldDown>,
    random: Random,
    /// Which worker owns which ports: shared by all, as the policy in force has it.
    pub ownership: Arc<Ownership>,
    worker: WorkerIndex,
    worker_count: u8,
}

/// A port that nobody has but that is not free yet.
struct HeldDown {
    until_ms: u32,
    end: Endpoint,
    protocol: Protocol,
}

impl Allocator {
    /// An allocator that has given out nothing.
    pub fn new(seed: [u64; 2], worker: WorkerIndex, worker_count: u8) -> Allocator {
        Allocator {
            addresses: Addresses::new(),
            sets: Sets::new(),
            positions: Vec::with_capacity(POOLS_MAX),
            searched_in_vain_ms: Vec::with_capacity(POOLS_MAX),
            held_down: VecDeque::with_capacity(HELD_DOWN_MAX),
            random: Random::new(seed),
            ownership: Arc::default(),
            worker,
            worker_count,
        }
    }

    /// The addresses, to be given room.
    pub(in crate::state) fn addresses_mut(&mut self) -> &mut Addresses {
        &mut self.addresses
    }

    /// The port sets, to be given room.
    pub(in crate::state) fn sets_mut(&mut self) -> &mut Sets {
        &mut self.sets
    }

    /// A policy is in force, and who owns which of its ports.
    pub fn start_policy(&mut self, policy: &Policy, ownership: Arc<Ownership>) {
        self.ownership = ownership;
        let pool_count = policy.pools.len().max(self.positions.len());
        self.positions.resize(pool_count, 0);
        self.searched_in_vain_ms.clear();
        self.searched_in_vain_ms.resize(pool_count, None);
    }

    /// Takes a global endpoint for a subscriber's source: on its paired address where it has one, else on the
    /// first address of the pool that has room.
    ///
    /// # Errors
    /// `PoolExhausted` when nothing is free, `PortShare` when what is free is for others.
    pub fn take(
        &mut self,
        request: &mut Request,
        subscriber: &mut Subscriber,
    ) -> Result<Endpoint, DropReason> {
        const EXHAUSTED: DropReason = DropReason::PoolExhausted;
        let Request { policy, rule, source, .. } = *request;
        let pool = policy.pools.get(usize::from(rule.pool)).ok_or(EXHAUSTED)?;
        if let Some(deterministic) = deterministic_of(policy, rule, source) {
            let taken = self.take_deterministic(request, pool, deterministic, subscriber);
            return taken.ok_or_else(|| request.refusal());
        }
        if let PoolKind::MatchHost(prefix_len) = pool.kind {
            let addr = pool.match_host(source.local.addr, prefix_len).ok_or(EXHAUSTED)?;
            return self.take_on(request, addr, subscriber);
        }
        // Under overload a whole address is for what has no ports alone: never the last one that is shared, and
        // nobody is paired with it.
        let is_beside = rule.overload && source.protocol == ANY_PROTOCOL;
        if is_beside && self.shared_count(policy, rule) <= 1 {
            return Err(EXHAUSTED);
        }
        let paired = subscriber.paired.filter(|&(of, addr)| of == rule.pool && pool.contains(addr));
        if let Some((_, addr)) = paired.filter(|_| !is_beside) {
            let taken = self.take_on(request, addr, subscriber);
            let is_strict =
                rule.is_paired && policy.behaviour.pairing.is_some_and(|pairing| !pairing.is_soft);
            if taken.is_ok() || is_strict {
                return taken;
            }
        }
        self.take_anywhere(request, pool, subscriber, paired.is_none() && !is_beside)
    }

    /// Takes ports for what a gateway announces: on the address that its control session has.
    pub fn take_at(
        &mut self,
        request: &mut Request,
        addr: Ipv4Addr,
        subscriber: &mut Subscriber,
    ) -> Option<Endpoint> {
        let Request { policy, rule, source, .. } = *request;
        match (deterministic_of(policy, rule, source), policy.pools.get(usize::from(rule.pool))) {
            (Some(deterministic), Some(pool)) => {
                self.take_deterministic(request, pool, deterministic, subscriber)
            }
            _ => self.take_on(request, addr, subscriber).ok(),
        }
    }

    /// Tries the pool's addresses in turn, from the one that had room last time. The subscriber is paired with
    /// the one that has room, unless it helps out another.
    fn take_anywhere(
        &mut self,
        request: &mut Request,
        pool: &Pool,
        subscriber: &mut Subscriber,
        pair: bool,
    ) -> Result<Endpoint, DropReason> {
        let number = usize::from(request.rule.pool);
        let count = pool.address_count();
        let start = self.positions.get(number).copied().unwrap_or_default();
        let (mut refused, mut shares_left) = (DropReason::PoolExhausted, SHARES_TRIED);
        for step in 0..count {
            let position = (start + step) % count;
            let Some(addr) = pool.address_at(position) else { break };
            if pair && !self.pair(request, subscriber, addr) {
                continue;
            }
            match self.take_on(request, addr, subscriber) {
                Ok(end) => {
                    self.positions[number] = position;
                    return Ok(end);
                }
                Err(DropReason::PoolExhausted) => {}
                // Others may have more left; who has his share of so many has had enough of all.
                Err(reason) => {
                    refused = reason;
                    shares_left -= 1;
                    if shares_left == 0 {
                        break;
                    }
                }
            }
        }
        if pair {
            self.unpair(subscriber, request.journal, request.now);
        }
        Err(refused)
    }

    /// Pairs a subscriber with an address instead of the one it had, unless that has as many as it may. All workers
    /// count together.
    fn pair(&mut self, request: &mut Request, subscriber: &mut Subscriber, addr: Ipv4Addr) -> bool {
        let Request { policy, rule, .. } = *request;
        if subscriber.paired == Some((rule.pool, addr)) {
            return true;
        }
        let pairing = policy.behaviour.pairing.filter(|_| rule.is_paired);
        let subscribers_max = pairing.map_or(u32::MAX, |pairing| pairing.subscribers_max);
        if !self.ownership.claim_subscriber(addr, subscribers_max) && pairing.is_some() {
            return false;
        }
        self.unpair(subscriber, request.journal, request.now);
        subscriber.paired = Some((rule.pool, addr));
        true
    }

    /// Ends a subscriber's pairing, with its port sets.
    pub fn unpair(&mut self, subscriber: &mut Subscriber, journal: &mut Journal, now: u32) {
        let Some((_, addr)) = subscriber.paired.take() else { return };
        self.ownership.release_subscriber(addr);
        while let Some(set) = self.sets.take(subscriber, |_| true) {
            self.return_set(subscriber, addr, &set, journal, now);
        }
    }

    fn return_set(
        &mut self,
        subscriber: &Subscriber,
        addr: Ipv4Addr,
        set: &PortSet,
        journal: &mut Journal,
        now: u32,
    ) {
        if let Some(mut ports) = self.addresses.ports_mut(self.ownership.layout(), addr) {
            ports.release_set(set);
        }
        if set.is_told {
            journal.note_port_set(subscriber, addr, set, Some(EndReason::Idle), now);
        }
    }

    /// Tells of a port set that was taken for a port which has found an owner.
    pub fn tell_set(&mut self, subscriber: &Subscriber, addr: Ipv4Addr, journal: &mut Journal, now: u32) {
        let new = self.sets.find_map(subscriber, |set| {
            let is_new = !std::mem::replace(&mut set.is_told, true);
            is_new.then_some(*set)
        });
        if let Some(set) = new {
            journal.note_port_set(subscriber, addr, &set, None, now);
        }
    }

    /// Of those, sets that were taken for a port without an owner.
    pub fn untold_set_count(&self) -> usize {
        self.sets.iter().filter(|set| !set.is_told).count()
    }

    /// Port sets that subscribers have.
    pub fn set_count(&self) -> usize {
        self.sets.len()
    }

    fn take_on(
        &mut self,
        request: &mut Request,
        addr: Ipv4Addr,
        subscriber: &mut Subscriber,
    ) -> Result<Endpoint, DropReason> {
        const EXHAUSTED: DropReason = DropReason::PoolExhausted;
        let Request { policy, rule, source, .. } = *request;
        if source.protocol == ANY_PROTOCOL {
            return self.take_whole(policy, addr).then(|| Endpoint::new(addr, 0)).ok_or(EXHAUSTED);
        }
        let wish = self.wish(request);
        if let Some(blocks) = policy.behaviour.blocks
            && takes_of_sets(policy, rule, source)
        {
            let taken = self.take_in_sets(request, &wish, addr, blocks, subscriber);
            let has_sets = subscriber.first_set != NONE;
            return taken.ok_or_else(|| if has_sets { request.refusal() } else { EXHAUSTED });
        }
        let blocked = &policy.behaviour.interface_blocked;
        let is_allowed = |port| {
            let end = Endpoint::new(addr, port);
            policy.statics.owner_of(rule.outside_vrf, source.protocol, end).is_none()
                && policy.deterministic_host(end).is_none()
                && !(is_interface(policy, rule) && blocked.contains(&(source.protocol, port)))
        };
        let groups = self.ownership.claimant(addr, self.worker, self.worker_count);
        let mut ports = self.addresses.ports_mut(self.ownership.layout(), addr).ok_or(EXHAUSTED)?;
        let is_limited = policy.limits.of_host(source.local.addr).is_some();
        let is_of_few = || request.may_have_reserved();
        let held = (subscriber.mapping_count, is_limited);
        if let Some(reason) = refusal(&ports, &wish, held, self.worker_count, is_of_few) {
            return Err(reason);
        }
        let port = ports.take(&wish, groups, is_allowed).ok_or(EXHAUSTED)?;
        Ok(Endpoint::new(addr, port))
    }

    fn take_whole(&mut self, policy: &Policy, addr: Ipv4Addr) -> bool {
        let (worker, worker_count) = (self.worker, self.worker_count);
        let layout = self.ownership.layout();
        let is_static = policy.statics.is_global_anywhere(addr);
        let used = self.addresses.used(layout, addr);
        used.is_some_and(|used| used_total(&used) == 0 && !is_static)
            && (worker_count <= 1 || self.ownership.claim_whole(addr, worker))
            && self.addresses.take_whole(layout, addr)
    }

    /// Addresses of a rule's pool that nobody has as a whole, two at most.
    fn shared_count(&self, policy: &Policy, rule: &SourceRule) -> usize {
        let Some(pool) = policy.pools.get(usize::from(rule.pool)) else { return 0 };
        let addrs = (0..pool.address_count()).filter_map(|position| pool.address_at(position));
        addrs.filter(|&addr| !self.addresses.is_whole(self.ownership.layout(), addr)).take(2).count()
    }

    fn wish(&mut self, request: &Request) -> Wish {
        let Request { policy, rule, source, .. } = *request;
        let choice = &policy.behaviour.ports;
        let mut range = match source.ports {
            Ports::Reserved => (512, 1023),
            Ports::One | Ports::Pair => class_of(source.protocol, source.local.port),
        };
        if is_interface(policy, rule) && range.0 == 1024 {
            range = choice.interface_range;
        }
        Wish {
            protocol: source.protocol,
            inside: request.wish.unwrap_or(source.local.port),
            range,
            preserve: choice.preserve || request.wish.is_some(),
            parity: choice.parity,
            random: self.random.draw(),
            is_pair: source.ports == Ports::Pair,
        }
    }

    /// A port of the subscriber's own sets; another set when they are used up (bulk port allocation).
    fn take_in_sets(
        &mut self,
        request: &mut Request,
        wish: &Wish,
        addr: Ipv4Addr,
        blocks: Blocks,
        subscriber: &mut Subscriber,
    ) -> Option<Endpoint> {
        let Request { policy, rule, source, .. } = *request;
        // Sets are of one address: where that has no more, a subscriber gets no other one's.
        if subscriber.paired.is_some_and(|(_, paired)| paired != addr) && self.sets.count(subscriber) > 0 {
            return None;
        }
        if !self.pair(request, subscriber, addr) {
            return None;
        }
        let mut ports = self.addresses.ports_mut(self.ownership.layout(), addr)?;
        let is_free = |port| {
            policy.statics.owner_of(rule.outside_vrf, source.protocol, Endpoint::new(addr, port)).is_none()
        };
        let mut take_of_own = |part: usize| {
            self.sets.find_map(subscriber, |set| {
                let port = ports.take_of_set(wish, set, set.parts()[part].clone(), is_free)?;
                set.used += 1 + u16::from(wish.is_pair);
                Some(port)
            })
        };
        let of_own = take_of_own(0);
        let of_own = of_own.or_else(|| request.may_have_reserved().then(|| take_of_own(1))?);
        if let Some(port) = of_own {
            return Some(Endpoint::new(addr, port));
        }
        let sets_max = usize::from(blocks.per_subscriber_max).min(SETS_MAX);
        if self.sets.count(subscriber) >= sets_max || self.sets.is_full() {
            return None;
        }
        let (worker, worker_count) = (self.worker, self.worker_count);
        let span = u32::from(blocks.size) * u32::from(blocks.step);
        // Every group that the set reaches into must be the worker's own.
        let may_take = |first: u16| {
            worker_count <= 1
                || (0..span).step_by(64).chain([span - 1]).all(|distance| {
                    self.ownership.claim(addr, (u32::from(first) + distance).min(65_535) as u16, worker)
                })
        };
        let mut set = ports.take_set(blocks.size, blocks.step, may_take)?;
        let Some(port) = ports.take_of_set(wish, &set, set.parts()[0].clone(), is_free) else {
            ports.release_set(&set);
            return None;
        };
        (set.rule, set.outside_vrf, set.used) = (rule.id, rule.outside_vrf, 1 + u16::from(wish.is_pair));
        self.sets.push(subscriber, set);
        Some(Endpoint::new(addr, port))
    }

    /// A port of the host's own range (RFC 7422), then one that no host has, up to the most it may have.
    fn take_deterministic(
        &mut self,
        request: &Request,
        pool: &Pool,
        deterministic: &Deterministic,
        subscriber: &mut Subscriber,
    ) -> Option<Endpoint> {
        let range = deterministic.forward(request.source.local.addr)?;
        let addr = pool.address_at(range.position)?;
        let wish = self.wish(request);
        let (first, last) = (range.first_port, range.last_port);
        let reserved_from = last + 1 - reserve_of(usize::from(last - first) + 1) as u16;
        let groups = self.ownership.claimant(addr, self.worker, self.worker_count);
        let mut ports = self.addresses.ports_mut(self.ownership.layout(), addr)?;
        let statics = &request.policy.statics;
        let is_free = |port| {
            let end = Endpoint::new(addr, port);
            !deterministic.is_reserved(port)
                && statics.owner_of(request.rule.outside_vrf, wish.protocol, end).is_none()
        };
        let mut take_of_own = |range| {
            ports
                .take(&Wish { range, ..wish }, Claimant::ALONE, is_free)
                .map(|port| Endpoint::new(addr, port))
        };
        let of_own = take_of_own((first, reserved_from - 1));
        let of_own =
            of_own.or_else(|| request.may_have_reserved().then(|| take_of_own((reserved_from, last)))?);
        if of_own.is_some() {
            return of_own;
        }
        let extra_max = deterministic.ports_max.saturating_sub(deterministic.ports_per_host);
        if subscriber.extra_ports >= u32::from(extra_max) {
            return None;
        }
        let dynamic = Wish { range: (deterministic.first_dynamic_port()?, u16::MAX), ..wish };
        let port = ports.take(&dynamic, groups, is_free)?;
        subscriber.extra_ports += 1 + u32::from(dynamic.is_pair);
        Some(Endpoint::new(addr, port))
    }

    /// Whether a policy's deterministic NAT and port sets would let a subscriber's source have a global endpoint.
    pub fn may_have(
        &self,
        policy: &Policy,
        rule: &SourceRule,
        source: Source,
        subscriber: &Subscriber,
        global: Endpoint,
    ) -> bool {
        if let Some(deterministic) = deterministic_of(policy, rule, source) {
            let host = deterministic.forward(source.local.addr);
            let pool = policy.pools.get(usize::from(rule.pool));
            let addr = pool.zip(host).and_then(|(pool, host)| pool.address_at(host.position));
            let is_own = host.is_some_and(|host| (host.first_port..=host.last_port).contains(&global.port));
            let is_extra = deterministic.first_dynamic_port().is_some_and(|first| first <= global.port);
            return addr == Some(global.addr)
                && (is_own || is_extra)
                && !deterministic.is_reserved(global.port);
        }
        let blocks = policy.behaviour.blocks.filter(|_| takes_of_sets(policy, rule, source));
        let is_in_a_set = |blocks: Blocks| {
            let sets = self.sets.of(subscriber).take(usize::from(blocks.per_subscriber_max));
            let mut fitting = sets.filter(|set| (set.size, set.step) == (blocks.size, blocks.step));
            subscriber.paired.is_some_and(|(_, addr)| addr == global.addr)
                && fitting.any(|set| set.holds(global.port))
        };
        policy.deterministic_host(global).is_none() && blocks.is_none_or(is_in_a_set)
    }

    /// Takes a whole address of a rule's pool for an outside host: the next one in turn that is free, and that no static
    /// line gives another host. A pool that was searched in vain is not searched again for a while, as outsiders cause the
    /// searches.
    pub fn take_for_outside(&mut self, policy: &Policy, rule: &OutsideRule, now: u32) -> Option<Ipv4Addr> {
        let number = usize::from(rule.pool);
        let pool = policy.pools.get(number)?;
        let in_vain_ms = *self.searched_in_vain_ms.get(number)?;
        if in_vain_ms.is_some_and(|in_vain_ms| now.wrapping_sub(in_vain_ms) < SEARCH_AGAIN_MS) {
            return None;
        }
        let statics = &policy.outside_statics;
        let (start, count) = (*self.positions.get(number)?, pool.address_count());
        for step in 0..count {
            let position = (start + step) % count;
            let addr = pool.address_at(position)?;
            let of_static =
                statics.global_of(rule.inside_vrf, ANY_PROTOCOL, Endpoint::new(addr, 0), |_| true);
            if of_static.is_none() && self.addresses.take_whole(self.ownership.layout(), addr) {
                self.positions[number] = (position + 1) % count;
                return Some(addr);
            }
        }
        self.searched_in_vain_ms[number] = Some(now);
        None
    }

    /// Gives an endpoint back that was taken at `since_ms`: at once, or after the hold-down.
    pub fn release(
        &mut self,
        policy: &Policy,
        binding: &Binding,
        subscriber: Option<&mut Subscriber>,
        since_ms: u32,
        journal: &mut Journal,
        now: u32,
    ) {
        if binding.is_address() {
            self.addresses.release_whole(self.ownership.layout(), binding.seen.addr);
            self.searched_in_vain_ms.fill(None);
            if binding.side == Side::Inside {
                self.ownership.release_whole(binding.seen.addr, self.worker);
            }
            return;
        }
        if let Some(subscriber) = subscriber {
            self.release_from_set(binding, subscriber, journal, now);
            let is_extra = policy.deterministic_host(binding.seen).is_none();
            subscriber.extra_ports = subscriber.extra_ports.saturating_sub(u32::from(is_extra));
        }
        // A TCP connection's end was seen, so its port may be used again at once; and so may a port that was
        // given back in the moment it was taken, as nobody heard of it.
        if policy.behaviour.hold_down_ms == 0 || binding.protocol == TCP || since_ms == now {
            self.free_port(binding.protocol, binding.seen);
            return;
        }
        let held_down_max = (policy.behaviour.held_down_max as usize).clamp(1, HELD_DOWN_MAX);
        while self.held_down.len() >= held_down_max {
            self.free_oldest();
        }
        let until_ms = now.wrapping_add(policy.behaviour.hold_down_ms);
        self.held_down.push_back(HeldDown { until_ms, end: binding.seen, protocol: binding.protocol });
    }

    fn release_from_set(
        &mut self,
        binding: &Binding,
        subscriber: &mut Subscriber,
        journal: &mut Journal,
        now: u32,
    ) {
        let left = self.sets.find_map(subscriber, |set| {
            set.holds(binding.seen.port).then(|| {
                set.used -= 1;
                set.used
            })
        });
        if left == Some(0)
            && let Some(set) = self.sets.take(subscriber, |set| set.holds(binding.seen.port))
        {
            self.return_set(subscriber, binding.seen.addr, &set, journal, now);
        }
    }

    fn free_port(&mut self, protocol: Protocol, end: Endpoint) {
        let Some(mut ports) = self.addresses.ports_mut(self.ownership.layout(), end.addr) else { return };
        if ports.release(protocol, end.port) && self.worker_count > 1 {
            self.ownership.release(end.addr, end.port, self.worker);
        }
    }

    fn free_oldest(&mut self) {
        if let Some(HeldDown { end, protocol, .. }) = self.held_down.pop_front() {
            self.free_port(protocol, end);
        }
    }

    /// Frees at most `count_max` ports whose hold-down is over.
    pub fn end_hold_downs(&mut self, now: u32, count_max: usize) {
        for _ in 0..count_max {
            if !self.held_down.front().is_some_and(|held| is_due(now, held.until_ms)) {
                return;
            }
            self.free_oldest();
        }
    }

    /// The port sets of a subscriber.
    pub fn sets_of(&self, subscriber: &Subscriber) -> impl Iterator<Item = PortSet> {
        self.sets.of(subscriber)
    }

    /// Ports held down.
    pub fn held_down_count(&self) -> usize {
        self.held_down.len()
    }

    /// A number that outsiders cannot guess.
    pub fn draw(&mut self) -> u64 {
        self.random.draw()
    }

    /// Positions of [`Allocator::addresses_between`].
    pub fn address_position_count(&self) -> u32 {
        self.addresses.position_count()
    }

    /// The addresses in use whose numbers lie from one to before another, and what is of each.
    pub fn addresses_between(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, AddressUse)> {
        self.addresses.iter_between(start, end)
    }

    /// Addresses with ports in use, and how many, held-down ones included.
    pub fn in_use(&self) -> impl Iterator<Item = (Ipv4Addr, u32)> + '_ {
        self.addresses.iter().map(|(addr, used)| (addr, used_total(&used))).filter(|&(_, used)| used > 0)
    }
}
