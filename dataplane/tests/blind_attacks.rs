//! Blind attackers: who does not see a connection guesses its numbers, and ends as few as one guess in 65,536 may.
//!
//! The hosts are silent, so that nothing but the NAT's own rules protects what is idle: no answer of theirs takes back
//! what a guess did.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use dataplane::policy::IdleClass;
use dataplane::state::connection::RESET_WINDOW;
use portico::config::InterfaceName;
use rand::RngExt;
use rand::rngs::SmallRng;
use testkit::bench::{Bench, Setup};
use testkit::packet::{ACK, FIN, ICMP, Kind, PSH, RST, SYN, View, ipv4, segment};
use testkit::random::generator;
use testkit::sides::{DEFAULT_ROUTE, SHARED_POOL, TWO_SIDES};

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
/// Frames on the wires at once.
const AT_ONCE: usize = 256;
/// The kinds of an attack's guesses, one half after the other: all kinds, then resets alone, since whatever follows one from
/// the other side takes it back.
const ANY_KIND: [Range<u8>; 2] = [0..6, 0..1];
/// FINs, which close a connection that both attackers guess.
const FINS: [Range<u8>; 2] = [1..2, 1..2];
/// Longer than `finrst-timeout` and `syn-timeout` of both modes.
const CLOSING_MS: u64 = 5 * 60_000;

/// An established connection between a client inside and the server.
#[derive(Clone, Copy)]
struct Connection {
    local: SocketAddrV4,
    global: SocketAddrV4,
    /// The client's next sequence number, and the server's.
    next: [u32; 2],
}

/// Who sends a segment, or whose name it bears.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Client,
    Server,
}

struct Rig {
    bench: Bench,
    interfaces: [InterfaceName; 2],
    random: SmallRng,
    connections: Vec<Connection>,
}

impl Connection {
    /// A segment by one of the two.
    fn says(&self, by: By, numbers: (u32, u32), flags: u8, payload: &[u8]) -> Vec<u8> {
        let ends = match by {
            By::Client => (self.local, SERVER),
            By::Server => (SERVER, self.global),
        };
        segment(ends, (numbers.0, numbers.1, flags), &[], payload)
    }

    /// A segment with the right numbers by one of the two, who has said so many bytes before it.
    fn says_rightly(&self, by: By, bytes_before: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [client, server] = self.next;
        let (own, other) = if by == By::Client { (client, server) } else { (server, client) };
        let ack = if flags & ACK != 0 { other } else { 0 };
        self.says(by, (own.wrapping_add(bytes_before), ack), flags, payload)
    }

    /// An ICMP error from one side about a segment of the other's.
    fn error(&self, from: By, code: u8, seq: u32) -> Vec<u8> {
        let (ends, quoted) = match from {
            By::Client => ((*self.local.ip(), *SERVER.ip()), (SERVER, self.local)),
            By::Server => ((ROUTER, *self.global.ip()), (self.global, SERVER)),
        };
        let about = segment(quoted, (seq, 0, ACK), &[], &[]);
        let mut message = vec![3, code, 0, 0, 0, 0];
        message.extend(600u16.to_be_bytes());
        // Eight bytes of the segment are enough to tell its number (RFC 792).
        message.extend(&about[..28]);
        ipv4(ends, ICMP, &message)
    }
}

impl Rig {
    fn new(test: &str, mode: &str, worker_count: usize) -> Rig {
        let setup = Setup { worker_count, ..Setup::default() };
        let bench = Bench::new(
            "blind_attacks",
            &format!("{TABLE}{TWO_SIDES}{DEFAULT_ROUTE}{SHARED_POOL}{mode}"),
            setup,
        )
        .expect("a configuration");
        let interfaces =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        let test = format!("{test}, {mode:?}, {worker_count} workers");
        Rig { bench, interfaces, random: generator(&test, 1), connections: Vec::new() }
    }

    /// Sends packets on their senders' sides. Returns what came out, by the sides it came out of.
    fn send(&mut self, packets: impl IntoIterator<Item = (By, Vec<u8>)>) -> Vec<(By, Vec<u8>)> {
        let mut waiting = 0;
        for (by, packet) in packets {
            let interface = &self.interfaces[by as usize];
            let frame = self.bench.frame_to(interface, &packet).expect("a port");
            self.bench.queue(interface, &frame).expect("room on the wire");
            waiting += 1;
            if waiting % AT_ONCE == 0 {
                self.bench.settle().expect("rest");
            }
        }
        self.bench.settle().expect("rest");
        let inside = self.interfaces[0].clone();
        let side = |name| if name == inside { By::Client } else { By::Server };
        let came = self.bench.take_all().into_iter();
        came.map(|(name, frame)| (side(name), frame[14..].to_vec())).collect()
    }

    /// So many connections of each of so many hosts.
    fn connect(&mut self, hosts: u16, per_host: u16) {
        let ends = (0..hosts).flat_map(|host| (0..per_host).map(move |number| (host, number)));
        let mut connections: Vec<Connection> = ends
            .map(|(host, number)| {
                let addr = Ipv4Addr::new(10, 0, 1 + (host >> 8) as u8, host as u8);
                let local = SocketAddrV4::new(addr, 40_000 + number);
                let next = [self.random.random(), self.random.random()];
                Connection { local, global: local, next }
            })
            .collect();
        let syns =
            connections.iter().map(|one| (By::Client, one.says(By::Client, (one.next[0], 0), SYN, &[])));
        let seen: HashMap<u32, SocketAddrV4> = self.send(syns).iter().filter_map(seen_as).collect();
        for one in &mut connections {
            one.global = seen[&one.next[0]];
            one.next[0] = one.next[0].wrapping_add(1);
        }
        let answers = connections
            .iter()
            .map(|one| (By::Server, one.says(By::Server, (one.next[1], one.next[0]), SYN | ACK, &[])));
        self.send(answers);
        connections.iter_mut().for_each(|one| one.next[1] = one.next[1].wrapping_add(1));
        let last = connections.iter().map(|one| (By::Client, one.says_rightly(By::Client, 0, ACK, &[])));
        self.send(last);
        self.connections = connections;
        assert_eq!(self.established(), self.connections.len());
    }

    fn established(&mut self) -> usize {
        self.bench.sessions().iter().filter(|row| row.class == IdleClass::TcpEstablished).count()
    }

    /// A packet of one who sees nothing, of one of these kinds: from outside in the server's name, or from inside in a client's.
    fn guess(&mut self, kinds: Range<u8>) -> (By, Vec<u8>) {
        let one = self.connections[self.random.random_range(0..self.connections.len())];
        let by = if self.random.random() { By::Client } else { By::Server };
        let numbers = (self.random.random(), self.random.random());
        let with_ack = if self.random.random() { ACK } else { 0 };
        let packet = match self.random.random_range(kinds) {
            0 => one.says(by, numbers, RST | with_ack, &[]),
            1 => one.says(by, numbers, FIN | ACK, &[]),
            2 => one.says(by, numbers, SYN, &[]),
            3 => one.says(by, numbers, SYN | ACK, &[]),
            4 => one.error(by, self.random.random_range(0..4), numbers.0),
            _ => one.error(by, 4, numbers.0),
        };
        (by, packet)
    }

    /// Data both ways over every connection, the server's first. Returns over how many it came through.
    fn carrying(&mut self) -> usize {
        let number = |index: usize| (index as u32).to_be_bytes();
        let mut came = HashMap::<u32, u8>::new();
        for by in [By::Server, By::Client] {
            let connections = self.connections.clone();
            let says =
                |(index, one): (usize, &Connection)| (by, one.says_rightly(by, 0, PSH | ACK, &number(index)));
            for (to, packet) in self.send(connections.iter().enumerate().map(says)) {
                let data = View::of(&packet).map(|view| packet[view.payload].to_vec());
                if let Some(Ok(index)) = data.map(<[u8; 4]>::try_from).filter(|_| to != by) {
                    *came.entry(u32::from_be_bytes(index)).or_default() += 1;
                }
            }
        }
        came.values().filter(|&&ways| ways == 2).count()
    }

    fn pass_ms(&mut self, ms: u64) {
        self.bench.advance(ms).expect("rest");
    }
}

/// A segment that came out at the server: its number, and who sends it there.
fn seen_as((side, packet): &(By, Vec<u8>)) -> Option<(u32, SocketAddrV4)> {
    let view = View::of(packet).filter(|_| *side == By::Server)?;
    match view.kind {
        Kind::Segment(seq, ..) => Some((seq, view.src)),
        _ => None,
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
    let mut rig = Rig::new("blind", mode, worker_count);
    rig.connect(HOSTS, SESSIONS_PER_HOST);
    for kinds in kinds {
        for _ in 0..guess_count / 2 / AT_ONCE {
            let guesses: Vec<_> = (0..AT_ONCE).map(|_| rig.guess(kinds.clone())).collect();
            rig.send(guesses);
        }
        rig.pass_ms(50);
    }
    rig.pass_ms(CLOSING_MS);
    let refused_error_count = rig.bench.counter("icmp-numbers");
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
    rig.bench.finish().expect("whole tables");
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
fn established_after(says: impl Fn(&Connection) -> Vec<(By, Vec<u8>)>, is_let_through: bool) -> [usize; 2] {
    MODES.map(|mode| {
        let mut rig = Rig::new("exact", mode, 1);
        rig.connect(4, 2);
        let said: Vec<_> = rig.connections.iter().map(&says).collect();
        // One after another, whichever sides they come from.
        for turn in 0..said[0].len() {
            let came = rig.send(said.iter().map(|packets| packets[turn].clone())).len();
            assert_eq!(came, if is_let_through { said.len() } else { 0 }, "packets that came out");
        }
        rig.pass_ms(CLOSING_MS);
        let established = rig.established();
        rig.bench.finish().expect("whole tables");
        established
    })
}

#[test]
fn exact_resets_end_their_connection() {
    for by in [By::Client, By::Server] {
        for flags in [RST, RST | ACK] {
            let reset = |one: &Connection| vec![(by, one.says_rightly(by, 0, flags, &[]))];
            assert_eq!(established_after(reset, true), [0, 0]);
        }
    }
}

#[test]
fn a_reset_behind_data_that_nobody_acknowledged_ends_it_too() {
    for by in [By::Client, By::Server] {
        let says = |one: &Connection| {
            let data = one.says_rightly(by, 0, PSH | ACK, &[7; 1000]);
            vec![(by, data), (by, one.says_rightly(by, 1000, RST, &[]))]
        };
        assert_eq!(established_after(says, true), [0, 0]);
    }
}

#[test]
fn a_connection_whose_other_side_goes_on_was_not_reset() {
    for (by, other) in [(By::Client, By::Server), (By::Server, By::Client)] {
        let says = |one: &Connection| {
            let goes_on = one.says_rightly(other, 0, ACK, &[]);
            vec![(by, one.says_rightly(by, 0, RST, &[])), (other, goes_on)]
        };
        assert_eq!(established_after(says, true), [8, 8]);
    }
}

#[test]
fn both_ends_close_it() {
    let says = |one: &Connection| {
        let [client, server] = [By::Client, By::Server].map(|by| one.says_rightly(by, 0, FIN | ACK, &[]));
        vec![(By::Client, client), (By::Server, server)]
    };
    assert_eq!(established_after(says, true), [0, 0]);
}

#[test]
fn errors_about_what_was_sent_pass() {
    for (from, about) in [(By::Server, 0), (By::Client, 1)] {
        for code in 0..5 {
            let says = |one: &Connection| vec![(from, one.error(from, code, one.next[about]))];
            assert_eq!(established_after(says, true), [8, 8], "code {code}");
            let guessed = |one: &Connection| {
                let far = one.next[about].wrapping_add(1 << 20);
                vec![(from, one.error(from, code, far))]
            };
            assert_eq!(established_after(guessed, false), [8, 8], "code {code}");
        }
    }
}
