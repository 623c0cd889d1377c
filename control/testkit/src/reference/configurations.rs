//! Random configurations, and ones that tests name.

use std::net::Ipv4Addr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::facts::{Dynamic, Facts, Filtering, Mode, OUTSIDE_ADDRESS, Static, TCP, UDP};

/// Addresses of pools, from the first on.
fn pool(count: u8) -> Vec<Ipv4Addr> {
    (1..=count).map(|last| Ipv4Addr::new(203, 0, 113, last)).collect()
}

/// Random facts, and how many inside hosts there are.
pub fn random_facts(random: &mut SmallRng) -> (Facts, u8) {
    let mut facts = Facts::default();
    let chance = |random: &mut SmallRng, of: u32| random.random_ratio(1, of);
    facts.dynamic = match random.random_range(0..10) {
        0 => Dynamic::Nothing,
        1..3 => Dynamic::Interface,
        3..5 => Dynamic::Whole(pool(random.random_range(1..7))),
        _ => Dynamic::Overload(pool(random.random_range(1..5))),
    };
    let shares_ports = matches!(facts.dynamic, Dynamic::Overload(_) | Dynamic::Interface);
    if shares_ports && chance(random, 3) {
        (facts.mode, facts.filtering) = (Mode::Cgn, Filtering::EndpointIndependent);
        facts.preserve = false;
    } else {
        facts.filtering = match random.random_range(0..3) {
            0 => Filtering::EndpointIndependent,
            1 => Filtering::AddressDependent,
            _ => Filtering::AddressAndPortDependent,
        };
    }
    facts.parity = !chance(random, 3);
    if facts.dynamic == Dynamic::Interface && chance(random, 2) {
        let low = random.random_range(16..1000) * 64;
        facts.interface_range = Some((low, low + 127));
    }
    if matches!(facts.dynamic, Dynamic::Overload(_)) {
        facts.paired_max = chance(random, 3).then_some(30);
    }
    if shares_ports && chance(random, 4) {
        facts.hold_down_ms = 120_000;
    }
    facts.per_host_max = chance(random, 4).then(|| random.random_range(3..40));
    facts.all_max = chance(random, 8).then(|| random.random_range(30..200));
    facts.room = if chance(random, 5) { random.random_range(64..512) } else { 16_384 };
    idle_times(&mut facts, random);
    facts.statics = statics(&facts, random);
    let host_count = if chance(random, 3) { 100 } else { random.random_range(2..8) };
    (facts, host_count)
}

fn idle_times(facts: &mut Facts, random: &mut SmallRng) {
    let mut seconds = |low: u64, high: u64| random.random_range(low..=high) * 1000;
    facts.idle.udp_ms = seconds(60, 300);
    facts.idle.dns_ms = seconds(20, 60);
    facts.idle.icmp_ms = seconds(30, 90);
    facts.idle.syn_ms = seconds(30, 120);
    facts.idle.tcp_ms = seconds(600, 8000);
    facts.idle.finrst_ms = seconds(20, 240);
    facts.idle.simple_ms = seconds(300, 6000);
}

/// Static rules beside the pool, and a port of the pool's first address or the interface's.
fn statics(facts: &Facts, random: &mut SmallRng) -> Vec<Static> {
    let local = |last| Ipv4Addr::new(10, 0, 2, last);
    let global = |last| Ipv4Addr::new(203, 0, 113, last);
    let shared = match &facts.dynamic {
        Dynamic::Overload(pool) => pool[0],
        Dynamic::Interface => OUTSIDE_ADDRESS,
        Dynamic::Nothing | Dynamic::Whole(_) => global(80),
    };
    let all = [
        Static::Address(local(5), global(65)),
        Static::Address(local(6), global(66)),
        Static::Port(TCP, (local(7), 8080), (global(67), 80)),
        Static::Port(UDP, (local(7), 5353), (shared, 4001)),
        Static::Port(TCP, (local(8), 80), (shared, 443)),
        Static::Network(local(16), global(96), 29),
    ];
    all.into_iter().filter(|_| random.random()).collect()
}
