//! How global ports are used up, and whether they can be guessed.
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use control::config::InterfaceName;
use rand::RngExt;
use rand::seq::SliceRandom;
use testkit::bench::{Bench, Setup};
use testkit::packet::udp;
use testkit::random::generator;
use testkit::reference::facts::{Dynamic, Facts, Filtering, Mode, UDP};
use testkit::reference::view::{View, packet};

/// Ports of the class of 1024 and above.
const PORT_COUNT: usize = 64_512;
/// Inside hosts that share the address.
const HOST_COUNT: u16 = 64;

/// An appliance with one global address for all.
struct Nat {
    bench: Bench,
    inside: InterfaceName,
}

impl Nat {
    fn new(mode: Mode, worker_count: usize, address_count: u8, seed: u64) -> Nat {
        let filtering = match mode {
            Mode::Cgn => Filtering::EndpointIndependent,
            Mode::Default => Filtering::AddressAndPortDependent,
        };
        let facts = Facts {
            mode,
            filtering,
            preserve: mode == Mode::Default,
            parity: false,
            room: 300_000,
            worker_count,
            dynamic: Dynamic::Overload(
                (0..address_count).map(|k| Ipv4Addr::new(203, 0, 113, 1 + k)).collect(),
            ),
            ..Facts::default()
        };
        let setup = Setup { worker_count, secret: [seed, !seed], ..Setup::default() };
        let bench = Bench::new("ports", &facts.config(), setup).expect("a configuration that is right");
        let inside = bench.interface("inside").expect("an interface").name.clone();
        Nat { bench, inside }
    }

    /// The global port of a host's datagram; none if it was dropped.
    fn port_of(&mut self, host: u16, port: u16) -> Option<u16> {
        let src = Ipv4Addr::from_bits(0x0a00_000a + u32::from(host));
        // A few flows to each of many, so that nobody's are down to those for other destinations.
        let dst = Ipv4Addr::new(198, 51, 100, (port / 64 % 250) as u8);
        let packet = packet(UDP, src, dst, 64, 1, &udp((port, 5000), &[]));
        let frame = self.bench.frame_to(&self.inside, &packet).expect("a port");
        self.bench.inject(&self.inside, &frame).expect("invariants hold");
        let came = self.bench.take_all();
        let sent = came.iter().map(|(_, frame)| View::of(&frame[14..]));
        sent.filter(|sent| sent.protocol == UDP).map(|sent| sent.src.1).next()
    }
}

/// Opens so many flows of each of many hosts until the address has nothing left, or all were tried.
/// Returns how many ports are in use then, and how often a host was refused for its share.
fn used_up(mode: Mode, worker_count: usize, (hosts, flows): (u16, u16), seed: u64) -> (usize, u64) {
    let mut random = generator(&format!("{mode:?} mode, {worker_count} workers, {hosts} hosts"), seed);
    let mut nat = Nat::new(mode, worker_count, 1, random.random());
    let step = (u16::MAX - 1024) / flows;
    let mut flows: Vec<(u16, u16)> =
        (0..hosts).flat_map(|host| (0..flows).map(move |at| (host, 1024 + at * step))).collect();
    flows.shuffle(&mut random);
    let mut used = BTreeSet::new();
    for (host, port) in flows {
        match nat.port_of(host, port) {
            Some(global) => assert!(used.insert(global), "{global} was given out twice"),
            None if nat.bench.counter("pool-exhausted") > 0 => break,
            None => {}
        }
    }
    assert!(used.iter().all(|&port| port >= 1024), "a port of the lower class");
    (used.len(), nat.bench.counter("port-share"))
}

/// Hosts with few ports, and those with many.
const MANY_HOSTS: (u16, u16) = (8000, 16);
const GREEDY_HOSTS: (u16, u16) = (HOST_COUNT, 1000);

#[test]
fn one_worker_uses_every_port_before_it_refuses() {
    assert_eq!(used_up(Mode::Default, 1, MANY_HOSTS, 1), (PORT_COUNT, 0));
}

#[test]
fn one_worker_in_cgn_mode_uses_every_port_before_it_refuses() {
    assert_eq!(used_up(Mode::Cgn, 1, MANY_HOSTS, 2), (PORT_COUNT, 0));
}

#[test]
fn two_workers_use_nearly_every_port_before_one_refuses() {
    for mode in [Mode::Default, Mode::Cgn] {
        let (used, refused) = used_up(mode, 2, MANY_HOSTS, 3);
        println!("{mode:?} mode: {used} of {PORT_COUNT}");
        assert!(used * 100 >= PORT_COUNT * 95 && refused == 0, "{mode:?} mode: {used} of {PORT_COUNT}");
    }
}

/// A sixteenth is left for others, and as much as one of them has.
#[test]
fn greedy_hosts_leave_a_reserve() {
    let (used, refused) = used_up(Mode::Default, 1, GREEDY_HOSTS, 5);
    let (hosts, flows) = (usize::from(GREEDY_HOSTS.0), usize::from(GREEDY_HOSTS.1));
    let each = PORT_COUNT * 15 / 16 / (hosts + 1);
    assert!(used.abs_diff(each * hosts) < 2 * hosts, "{used} of {PORT_COUNT}");
    assert_eq!(refused as usize, hosts * flows - used);
}

/// Hosts fill one address after another: who has his share of the one that he is paired with has ports of others, which are
/// empty still.
#[test]
fn a_crowded_address_refuses_nobody_while_others_are_empty() {
    let mut nat = Nat::new(Mode::Default, 1, 2, 6);
    for host in 0..260 {
        for flow in 0..256 {
            let port = 1024 + host * 7 + flow * 64;
            assert!(nat.port_of(host, port).is_some(), "host {host}, flow {flow}");
        }
    }
}

/// One host keeps ports all over the range; those of other workers still get ports, and so do those of its own.
#[test]
fn a_host_cannot_claim_the_ports_of_other_workers() {
    for worker_count in [2, 3, 8] {
        let mut nat = Nat::new(Mode::Default, worker_count, 1, 4);
        for group in 16..1024 {
            nat.port_of(0, group * 64 + 7).expect("a port");
        }
        for host in 1..HOST_COUNT {
            assert!(
                nat.port_of(host, 5000).is_some(),
                "{worker_count} workers: nothing is left for host {host}"
            );
        }
    }
}

/// Pearson's statistic for as many counts that should be equal.
fn chi_square(counts: &[u32]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
}

/// What the statistic of 64 counts exceeds once in a thousand times.
const CHI_SQUARE_63_MAX: f64 = 103.4;

/// Ports are spread evenly, within 64 neighbours and over the whole range, and do not follow each other.
#[test]
fn ports_of_cgn_mode_pass_a_chi_square_test() {
    for seed in 1..=3 {
        let mut random = generator("ports_of_cgn_mode_pass_a_chi_square_test", seed);
        let mut nat = Nat::new(Mode::Cgn, 1, 1, random.random());
        let (mut low, mut high, mut step) = ([0; 64], [0; 64], [0; 64]);
        let mut last = 0;
        let mut neighbours = 0;
        let mut opened = BTreeSet::new();
        while opened.len() < 12_800 {
            let flow = (random.random_range(0..HOST_COUNT), random.random_range(1024..=u16::MAX));
            if !opened.insert(flow) {
                continue;
            }
            let port = nat.port_of(flow.0, flow.1).expect("a port");
            low[usize::from(port % 64)] += 1;
            high[usize::from((port - 1024) / 1008)] += 1;
            step[usize::from(port.wrapping_sub(last) % 64)] += 1;
            neighbours += u32::from(port.abs_diff(last) <= 1);
            last = port;
        }
        for (name, counts) in [("low bits", low), ("ranges", high), ("steps", step)] {
            let statistic = chi_square(&counts);
            println!("seed {seed}: chi-square of {name} is {statistic:.1}");
            assert!(statistic < CHI_SQUARE_63_MAX, "seed {seed}: chi-square of {name} is {statistic:.1}");
        }
        // About 12,800 * 3 / 64,512 by chance.
        assert!(neighbours < 12, "seed {seed}: {neighbours} of 12800 ports follow the one before");
    }
}
