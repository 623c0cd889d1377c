//! Tests of a shard: its ports, sessions, timers and journal, in use together.

use std::net::Ipv4Addr;
use std::sync::Arc;

use alg::Ports;

use crate::drops::DropReason;
use crate::flow::{Direction, Endpoint, Tuple, UDP};
use crate::lives::EndReason;
use crate::policy::{HostLimit, Policy, Pool, PoolKind, Recomputed, Selector, SourceRule};
use crate::route::neighbour::CachedHop;
use crate::state::enter::First;
use crate::state::journal::{NOBODY, Record, Totals, What};
use crate::state::mapping::Binding;
use crate::state::ports::layout::{Layout, ranges_of};
use crate::state::ports::ownership::Ownership;
use crate::state::ports::request::Source;
use crate::state::session::{Above, Flags, NewSession, Session, SessionKey};
use crate::state::shard::{SessionRef, Shard};
use crate::state::supply::Supplier;

const SERVER: Endpoint = Endpoint::new(Ipv4Addr::new(198, 51, 100, 1), 443);

fn host(last: u8) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 0, 0, last), 5000)
}

/// Rule 1 shares 203.0.113.1 by port, rule 2 gives 203.0.113.2 away as a whole.
fn policy() -> Policy {
    let pool = |last: u8| {
        let addr = Ipv4Addr::new(203, 0, 113, last);
        Pool { name: format!("P{last}"), kind: PoolKind::Generic, ranges: vec![(addr, addr)], prefix_len: 32 }
    };
    let rule = |id, pool, overload| SourceRule {
        id,
        selector: Selector::Nothing,
        pool,
        overload,
        inside_vrf: 0,
        outside_vrf: 0,
        egress: None,
        is_reversible: false,
        is_paired: false,
    };
    Policy {
        pools: vec![pool(1), pool(2)],
        rules: vec![rule(1, 0, true), rule(2, 1, false)],
        ..Policy::default()
    }
}

fn shard(policy: &Policy) -> Shard {
    let mut shard = Shard::new(64, [1, 2], 0, 1, 0);
    let ownership =
        Ownership::new(Layout::default().with(ranges_of(policy)), &Ownership::default(), 1).unwrap();
    let supply = Supplier::new(64, [1, 2]).supply(policy, &ownership);
    shard.start_policy(policy, Arc::new(ownership), supply);
    shard
}

fn map(shard: &mut Shard, policy: &Policy, rule: usize, local: Endpoint) -> (Above, Endpoint) {
    let source = Source { protocol: UDP, vrf: 0, local, to: None, ports: Ports::One };
    shard.map(policy, &policy.rules[rule], source, 0).unwrap()
}

/// Begins a session of a host with the server.
fn begin(
    shard: &mut Shard,
    policy: &Policy,
    rule: usize,
    local: Endpoint,
    (above, global): (Above, Endpoint),
) -> Result<u32, DropReason> {
    let new = NewSession {
        inside_local: local,
        inside_global: global,
        outside_local: SERVER,
        outside_global: SERVER,
        inside_vrf: 0,
        outside_vrf: 0,
        rule: policy.rules[rule].id,
        protocol: UDP,
        class: Session::class_of(UDP, 443),
        first: Direction::Outbound,
        flags: Flags::default(),
        above,
    };
    shard.begin(policy, Session::new(&new, 0), new.above, First::FromInside { to: SERVER.addr }, 0)
}

#[test]
fn a_dropped_lease_gives_its_port_or_its_address_back() {
    let policy = policy();
    for rule in [0, 1] {
        let mut shard = shard(&policy);
        let (dropped, first) = map(&mut shard, &policy, rule, host(1));
        assert!(matches!(dropped, Above::New(_)));
        shard.check().unwrap();
        let (_, again) = map(&mut shard, &policy, rule, host(2));
        assert_eq!(again, first, "the port or address is free for the next host");
        shard.expire(&policy, 1, 32);
        assert_eq!(
            (shard.ports_in_use().count(), shard.subscriber_count()),
            (0, 0),
            "the timer gives it back too"
        );
        shard.check().unwrap();
    }
}

#[test]
fn a_lease_that_is_kept_too_long_is_no_mapping() {
    let policy = policy();
    let mut shard = shard(&policy);
    let kept = map(&mut shard, &policy, 0, host(1));
    let other = map(&mut shard, &policy, 0, host(2));
    assert_eq!(begin(&mut shard, &policy, 0, host(1), kept), Err(DropReason::SessionConflict));
    assert!(begin(&mut shard, &policy, 0, host(2), other).is_ok());
    shard.check().unwrap();
}

#[test]
fn what_a_session_that_may_not_begin_took_is_free_again() {
    for rule in [0, 1] {
        let mut policy = policy();
        let mut shard = shard(&policy);
        let mapped = map(&mut shard, &policy, rule, host(1));
        policy.limits.per_host = Some(HostLimit { sessions_max: 0, counter: 0 });
        assert_eq!(begin(&mut shard, &policy, rule, host(1), mapped), Err(DropReason::LimitHost));
        assert_eq!((shard.ports_in_use().count(), shard.subscriber_count()), (0, 0));
        policy.limits.per_host = None;
        let mapped = map(&mut shard, &policy, rule, host(2));
        assert!(begin(&mut shard, &policy, rule, host(2), mapped).is_ok());
        assert_eq!(shard.mapping_count(), 1);
        shard.check().unwrap();
    }
}

#[test]
fn the_journal_tells_what_began_and_why_it_ended() {
    for is_recorded in [false, true] {
        let mut policy = policy();
        policy.behaviour.records_sessions = is_recorded;
        let mut shard = shard(&policy);
        let mapped = map(&mut shard, &policy, 0, host(1));
        let index = begin(&mut shard, &policy, 0, host(1), mapped).unwrap();
        shard.end(&policy, index, EndReason::Cleared, 5);
        let told = |what| (0, what, None);
        let gone = |what| (5, what, Some(EndReason::Cleared));
        let all = [told(What::Binding), told(What::Session), gone(What::Binding), gone(What::Session)];
        let expected: Vec<_> =
            all.into_iter().filter(|(_, what, _)| is_recorded || *what != What::Session).collect();
        let records = std::iter::from_fn(|| shard.journal.read()).map(|(_, record)| {
            let Record { binding, .. } = record;
            assert_eq!(
                (binding.own, binding.seen.port, binding.rule, binding.protocol),
                (host(1), 5000, 1, UDP)
            );
            assert_eq!(record.outside_global == SERVER, record.what == What::Session);
            (record.time_ms, record.what, record.ended)
        });
        assert_eq!(records.collect::<Vec<_>>(), expected);
        let totals = shard.journal.totals();
        assert_eq!((totals.sessions, totals.bindings), (totals.bindings, totals.sessions));
        assert_eq!((totals.sessions.begun, totals.sessions.ended), (1, [0, 0, 1, 0, 0]));
    }
}

#[test]
fn what_is_refused_is_not_in_the_journal() {
    for rule in [0, 1] {
        let mut policy = policy();
        let mut shard = shard(&policy);
        let mapped = map(&mut shard, &policy, rule, host(1));
        let _ = map(&mut shard, &policy, rule, host(2));
        policy.limits.per_host = Some(HostLimit { sessions_max: 0, counter: 0 });
        assert!(begin(&mut shard, &policy, rule, host(1), mapped).is_err());
        let source = Source { protocol: UDP, vrf: 0, local: host(3), to: None, ports: Ports::One };
        assert!(
            shard.map(&policy, &policy.rules[rule], source, 0).is_err(),
            "a refused host takes no port or address"
        );
        shard.expire(&policy, 1, 32);
        assert_eq!((shard.journal.read(), *shard.journal.totals()), (None, Totals::default()));
        shard.check().unwrap();
    }
}

#[test]
fn a_rule_without_an_address_left_is_told() {
    let policy = policy();
    let mut shard = shard(&policy);
    let mapped = map(&mut shard, &policy, 1, host(1));
    begin(&mut shard, &policy, 1, host(1), mapped).unwrap();
    while shard.journal.read().is_some() {}
    for now in [7, 8] {
        let source = Source { protocol: UDP, vrf: 0, local: host(2), to: None, ports: Ports::One };
        let refused = shard.map(&policy, &policy.rules[1], source, now);
        assert_eq!(refused.map(|(_, end)| end), Err(DropReason::PoolExhausted));
    }
    let (_, record) = shard.journal.read().unwrap();
    assert_eq!((record.time_ms, record.what, record.ended), (7, What::PoolExhausted, None));
    let Binding { own, seen, rule, .. } = record.binding;
    assert_eq!((own.addr, seen, rule), (host(2).addr, NOBODY, 2));
    assert_eq!(shard.journal.read(), None, "an exhausted rule is told once a second");
    shard.check().unwrap();
}

/// A protocol whose packets carry one 32-bit number for each direction, as ESP packets carry an SPI.
const TOY: u8 = 253;

fn numbered(end: Endpoint, half: u32) -> Endpoint {
    Endpoint::new(end.addr, half as u16)
}

#[test]
fn a_sweep_forgets_next_hops_of_other_tables() {
    let policy = policy();
    let mut shard = shard(&policy);
    let above = map(&mut shard, &policy, 0, host(1));
    let index = begin(&mut shard, &policy, 0, host(1), above).unwrap();
    let hop = |generation| CachedHop { neighbour: 3, generation };
    let noted = |shard: &Shard| shard.session(index).unwrap().hop(Direction::Outbound);
    let is_left = |shard: &mut Shard, generation| {
        let (next, ended) = shard.sweep(&policy, generation, Recomputed::default(), 0, 0);
        assert_eq!((next, ended), (None, 0), "a table of this size is swept at once");
        noted(shard) == hop(7)
    };
    shard.session_mut(index).unwrap().note_hop(Direction::Outbound, hop(7));
    assert!(is_left(&mut shard, 7));
    assert!(!is_left(&mut shard, 8));
    assert_eq!(noted(&shard).generation, CachedHop::UNKNOWN.generation);
}

/// Begins a session of the toy protocol. Only its outbound number is known.
fn begin_one_sided(shard: &mut Shard, policy: &Policy, number: u32) -> Result<u32, DropReason> {
    let global = Endpoint::new(Ipv4Addr::new(203, 0, 113, 1), 0);
    let new = NewSession {
        inside_local: numbered(host(1), number >> 16),
        inside_global: global,
        outside_local: numbered(SERVER, number),
        outside_global: numbered(SERVER, 0),
        inside_vrf: 0,
        outside_vrf: 0,
        rule: 1,
        protocol: TOY,
        class: Session::class_of(TOY, 0),
        first: Direction::Outbound,
        flags: Flags::default().with(Flags::NUMBERED, true),
        above: Above::Fixed,
    };
    shard.begin(policy, Session::new(&new, 0), new.above, First::FromInside { to: SERVER.addr }, 0)
}

fn find(shard: &Shard, number: u32, direction: Direction) -> Option<SessionRef> {
    let (inside, outside) = match direction {
        Direction::Outbound => (host(1), SERVER),
        Direction::Inbound => (Endpoint::new(Ipv4Addr::new(203, 0, 113, 1), 0), SERVER),
    };
    let (src, dst) = if direction == Direction::Outbound { (inside, outside) } else { (outside, inside) };
    let (src, dst) = (numbered(src, number >> 16), numbered(dst, number));
    let key = SessionKey::new(&Tuple { src, dst, protocol: TOY, vrf: 0 }, direction);
    shard.find(key, shard.prepare(key))
}

#[test]
fn a_session_may_have_another_number_each_way_and_learn_one_later() {
    const OUT: [u32; 2] = [0x1234_5678, 0x1234_5679];
    const IN: [u32; 3] = [0x9abc_def0, 0x0000_def0, 0x0000_def1];
    let policy = policy();
    let mut shard = shard(&policy);
    let outbound = |index| Some(SessionRef { index, direction: Direction::Outbound });
    let inbound = |index| Some(SessionRef { index, direction: Direction::Inbound });
    let found = |shard: &Shard| IN.map(|number| find(shard, number, Direction::Inbound));

    let first = begin_one_sided(&mut shard, &policy, OUT[0]).unwrap();
    let too_early = begin_one_sided(&mut shard, &policy, OUT[1]);
    assert_eq!(too_early, Err(DropReason::SessionConflict), "an answer could belong to either session");
    assert_eq!(found(&shard), [None; 3]);
    shard.check().unwrap();
    assert_eq!(Some(shard.learn_inbound(&answer(IN[0])).unwrap()), inbound(first));
    assert_eq!(
        shard.learn_inbound(&answer(IN[1])),
        Err(DropReason::NoMapping),
        "no session waits for a number"
    );
    shard.check().unwrap();

    let second = begin_one_sided(&mut shard, &policy, OUT[1]).unwrap();
    assert_eq!(
        OUT.map(|number| find(&shard, number, Direction::Outbound)),
        [outbound(first), outbound(second)]
    );
    assert_eq!(
        shard.learn_inbound(&answer(IN[0])),
        Err(DropReason::SessionConflict),
        "the first session has this number"
    );
    assert_eq!(Some(shard.learn_inbound(&answer(IN[1])).unwrap()), inbound(second));
    assert_eq!(found(&shard), [inbound(first), inbound(second), None]);
    shard.check().unwrap();

    shard.end(&policy, second, EndReason::Idle, 1);
    assert_eq!(OUT.map(|number| find(&shard, number, Direction::Outbound)), [outbound(first), None]);
    shard.end(&policy, first, EndReason::Idle, 1);
    assert_eq!(found(&shard), [None; 3]);
    let lives = shard.journal.totals().sessions;
    assert_eq!((shard.session_count(), lives.begun, lives.live()), (0, 2, 0));
    shard.check().unwrap();
}

/// The addresses and numbers of a packet from the server with this number.
fn answer(number: u32) -> Tuple {
    let global = Endpoint::new(Ipv4Addr::new(203, 0, 113, 1), 0);
    Tuple { src: numbered(SERVER, number >> 16), dst: numbered(global, number), protocol: TOY, vrf: 0 }
}
