//! Blind attackers: who does not see a connection guesses its numbers, and ends as few as one guess in 65,536 may.
//!
//! The hosts are silent, so that nothing but the NAT's own rules protects what is idle: no answer of theirs takes back
//! what a guess did.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use alg::Side;
use dataplane::policy::IdleClass;
use dataplane::state::connection::RESET_WINDOW;
use rand::RngExt;
use testkit::bench::Setup;
use testkit::network::Network;
use testkit::packet::{ACK, FIN, PSH, RST, SYN, segment, unreachable};
use testkit::sides::{DEFAULT_ROUTE, SHARED_POOL, TWO_SIDES};
use testkit::witness::Connection;

const TABLE: &str = "
platform dpdk
 max-sessions 65536
";
const MODES: [&str; 2] = ["", "ip nat settings mode cgn\n"];
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 443);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
/// Inside hosts, and sessions of each.
const HOSTS: u16 = 200;
const SESSIONS_PER_HOST: u16 = 10;
/// The kinds of an attack's guesses, one half after the other: all kinds, then resets alone, since whatever follows one from
/// the other side takes it back.
const ANY_KIND: [Range<u8>; 2] = [0..6, 0..1];
/// FINs, which close a connection that both attackers guess.
const FINS: [Range<u8>; 2] = [1..2, 1..2];
/// Longer than `finrst-timeout` and `syn-timeout` of both modes.
const CLOSING_MS: u64 = 5 * 60_000;

struct Rig {
    network: Network,
    connections: Vec<Connection>,
}

/// An ICMP error of the server's side, or of the client, about a segment of the other's with this number.
fn error(one: &Connection, from: Side, code: u8, seq: u32) -> Vec<u8> {
    let (by, ends) = match from {
        Side::Inside => (*one.local.ip(), (SERVER, one.local)),
        Side::Outside => (ROUTER, (one.global, SERVER)),
    };
    unreachable(by, code, &segment(ends, (seq, 0, ACK), &[], &[]))
}

impl Rig {
    /// So many connections of each of so many hosts.
    fn new(test: &str, mode: &str, worker_count: usize, (hosts, per_host): (u16, u16)) -> Rig {
        let config = format!("{TABLE}{TWO_SIDES}{DEFAULT_ROUTE}{SHARED_POOL}{mode}");
        let test = format!("blind_attacks, {test}, {mode:?}, {worker_count} workers");
        let mut network = Network::new(&test, &config, Setup { worker_count, ..Setup::default() });
        let ends = (0..hosts).flat_map(|host| (0..per_host).map(move |number| (host, number)));
        let open = |(host, number): (u16, u16)| {
            let addr = Ipv4Addr::new(10, 0, 1 + (host >> 8) as u8, host as u8);
            let local = SocketAddrV4::new(addr, 40_000 + number);
            Connection::open(&mut network, local, SERVER).expect("a connection")
        };
        let connections: Vec<_> = ends.map(open).collect();
        let mut rig = Rig { network, connections };
        assert_eq!(rig.established(), rig.connections.len());
        rig
    }

    fn established(&mut self) -> usize {
        self.network.bench.sessions().iter().filter(|row| row.class == IdleClass::TcpEstablished).count()
    }

    /// Sends a packet of one who sees nothing, of one of these kinds: from outside in the server's name, or from inside in a
    /// client's.
    fn guess(&mut self, kinds: Range<u8>) {
        let random = &mut self.network.random;
        let one = &self.connections[random.random_range(0..self.connections.len())];
        let by = if random.random() { Side::Inside } else { Side::Outside };
        let (seq, ack) = (random.random(), random.random());
        let with_ack = if random.random() { ACK } else { 0 };
        let says = |flags| one.says_numbered(by, (seq, ack, flags), &[]);
        let packet = match random.random_range(kinds) {
            0 => says(RST | with_ack),
            1 => says(FIN | ACK),
            2 => says(SYN),
            3 => says(SYN | ACK),
            4 => error(one, by, random.random_range(0..4), seq),
            _ => error(one, by, 4, seq),
        };
        self.network.send(by, &packet);
    }

    /// Over how many connections data comes through both ways.
    fn carrying(&mut self) -> usize {
        let carries = |one: &mut Connection| {
            one.carry(&mut self.network);
            self.network.take_lost() == 0
        };
        self.connections.iter_mut().map(carries).filter(|&carries| carries).count()
    }

    fn pass_ms(&mut self, ms: u64) {
        self.network.work();
        self.network.bench.advance(ms).expect("rest");
    }
}

/// How many of so many guesses may be right. Each ends a connection with a chance of [`RESET_WINDOW`] in 2^32 at most,
/// whatever it guesses; so those that end are no more than a binomial number, here its limit by Poisson. It exceeds what
/// is returned once in a thousand million runs.
fn right_guesses_max(guess_count: usize) -> usize {
    let mean = guess_count as f64 * f64::from(RESET_WINDOW) / 2f64.powi(32);
    let mut chance = (-mean).exp();
    let (mut count, mut below) = (0, chance);
    while 1.0 - below > 1e-9 {
        count += 1;
        chance *= mean / count as f64;
        below += chance;
    }
    count
}

/// So many guesses, spread over all connections; the closing times pass; then data is to come through.
fn attack((mode, worker_count): (&str, usize), kinds: &[Range<u8>; 2], guess_count: usize) {
    let mut rig = Rig::new("blind", mode, worker_count, (HOSTS, SESSIONS_PER_HOST));
    for kinds in kinds {
        (0..guess_count / 2).for_each(|_| rig.guess(kinds.clone()));
        rig.pass_ms(50);
    }
    rig.pass_ms(CLOSING_MS);
    let refused_error_count = rig.network.bench.counter("icmp-numbers");
    let established = rig.established();
    let count = rig.connections.len();
    let (ended, max) = (count - rig.carrying(), right_guesses_max(guess_count));
    println!(
        "{guess_count} guesses: {ended} of {count} ended ({max} may), {established} established, \
         {refused_error_count} ICMP errors refused"
    );
    assert!(ended <= max, "{ended} of {count} connections ended by {guess_count} guesses, {max} may");
    assert!(count - established <= max, "{established} of {count} are still established");
    // A third of the kinds are errors, of which one in 32,768 passes.
    let error_count = if *kinds == ANY_KIND { guess_count / 6 } else { 0 };
    assert!(refused_error_count as f64 >= 0.95 * error_count as f64, "errors about what was never sent");
    rig.network.bench.finish().expect("whole tables");
}

/// Both modes, with one worker and with two.
fn each_setup(attack: impl Fn((&str, usize))) {
    MODES.into_iter().for_each(|mode| (1..=2).for_each(|worker_count| attack((mode, worker_count))));
}

#[test]
fn half_a_million_guesses_end_hardly_any_connection() {
    each_setup(|setup| attack(setup, &ANY_KIND, 500_000));
}

#[test]
fn two_attackers_fins_close_hardly_any_connection() {
    each_setup(|setup| attack(setup, &FINS, 200_000));
}

/// The same with ten million: `cargo test --release -p dataplane --test blind_attacks -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn ten_million_guesses_end_hardly_any_connection() {
    each_setup(|setup| {
        attack(setup, &ANY_KIND, 10_000_000);
        attack(setup, &FINS, 10_000_000);
    });
}

/// What those who are part of a connection say, in both modes; how many are established after the closing times.
fn established_after(says: impl Fn(&Connection) -> Vec<(Side, Vec<u8>)>, is_let_through: bool) -> [usize; 2] {
    MODES.map(|mode| {
        let mut rig = Rig::new("exact", mode, 1, (4, 2));
        let said: Vec<_> = rig.connections.iter().map(&says).collect();
        // One after another, whichever sides they come from.
        for turn in 0..said[0].len() {
            said.iter().for_each(|packets| rig.network.send(packets[turn].0, &packets[turn].1));
            let came = rig.network.work().len();
            assert_eq!(came, if is_let_through { said.len() } else { 0 }, "packets that came out");
        }
        rig.pass_ms(CLOSING_MS);
        let established = rig.established();
        rig.network.bench.finish().expect("whole tables");
        established
    })
}

#[test]
fn exact_resets_end_their_connection() {
    for by in [Side::Inside, Side::Outside] {
        for flags in [RST, RST | ACK] {
            let reset = |one: &Connection| vec![(by, one.says(by, flags, &[]))];
            assert_eq!(established_after(reset, true), [0, 0]);
        }
    }
}

#[test]
fn a_reset_behind_data_that_nobody_acknowledged_ends_it_too() {
    for by in [Side::Inside, Side::Outside] {
        let says = |one: &Connection| {
            let data = one.says(by, PSH | ACK, &[7; 1000]);
            vec![(by, data), (by, one.says_at(by, (one.next[by as usize].wrapping_add(1000), RST), &[]))]
        };
        assert_eq!(established_after(says, true), [0, 0]);
    }
}

#[test]
fn a_connection_whose_other_side_goes_on_was_not_reset() {
    for (by, other) in [(Side::Inside, Side::Outside), (Side::Outside, Side::Inside)] {
        let says = |one: &Connection| {
            let goes_on = one.says(other, ACK, &[]);
            vec![(by, one.says(by, RST, &[])), (other, goes_on)]
        };
        assert_eq!(established_after(says, true), [8, 8]);
    }
}

#[test]
fn both_ends_close_it() {
    let says = |one: &Connection| {
        let [client, server] = [Side::Inside, Side::Outside].map(|by| one.says(by, FIN | ACK, &[]));
        vec![(Side::Inside, client), (Side::Outside, server)]
    };
    assert_eq!(established_after(says, true), [0, 0]);
}

#[test]
fn errors_about_what_was_sent_pass() {
    for (from, about) in [(Side::Outside, 0), (Side::Inside, 1)] {
        for code in 0..5 {
            let says = |one: &Connection| vec![(from, error(one, from, code, one.next[about]))];
            assert_eq!(established_after(says, true), [8, 8], "code {code}");
            let guessed = |one: &Connection| {
                let far = one.next[about].wrapping_add(1 << 20);
                vec![(from, error(one, from, code, far))]
            };
            assert_eq!(established_after(guessed, false), [8, 8], "code {code}");
        }
    }
}
