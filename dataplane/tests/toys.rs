//! Two protocols that exist for this, with packets, on 1, 2 and 8 workers: one whose calls outlive the control session that
//! announced them and are changed by another, and one whose packets show a number, another one each way, that is learnt
//! from the first answer. After every packet, what began less what ended is what is live, at every worker, by its counters
//! and by its journal (`testkit::bench`).
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use alg::registry::ROWS;
use alg::{
    Call, Context, Framing, Handled, Message, Owner, Ports, Refusal, Row, Side, Span, State, Transport,
};
use arrayvec::ArrayVec;
use control::config::InterfaceName;
use dataplane::protocols::Protocols;
use rand::RngExt;
use rand::rngs::SmallRng;
use testkit::bench::{Bench, Setup};
use testkit::describe;
use testkit::packet::udp;
use testkit::random::generator;
use testkit::reference::facts::{Endpoint, UDP};
use testkit::reference::view::{Edits, forwarded, packet};
use testkit::sides::ON_LINK;

/// `ADD call address:port` announces an endpoint of a call, `END call` ends it.
const CALLING: Row = Row { handle, framing: |_, _| Framing::Foreign, state: State::default, ..ROWS[0] };
/// The port of the row that makes room for it.
const CONTROL_PORT: u16 = 69;
/// How long a call is remembered, and its doors wait.
const LIFE_S: u32 = 300;
/// A number for experiments (RFC 3692).
const NUMBERED: u8 = 253;

fn handle(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let text = std::str::from_utf8(message.bytes).map_err(|_| Refusal::Malformed)?;
    let mut words = text.split(' ');
    let (what, name) = (words.next(), words.next().and_then(|name| name.parse().ok()));
    let call: u64 = name.ok_or(Refusal::Malformed)?;
    match (what, words.next()) {
        (Some("ADD"), Some(place)) => {
            let inside: SocketAddrV4 = place.parse().map_err(|_| Refusal::Malformed)?;
            let global = context.reserve(alg::Door {
                transport: Transport::Udp,
                inside,
                peer: None,
                ports: Ports::One,
                life_s: LIFE_S,
                uses_max: u16::MAX,
                owner: Owner::Call(call),
                child: None,
            })?;
            match context.call(call, LIFE_S)? {
                Call::Announced(ends) if ends.contains(&inside) => {}
                Call::Announced(ends) => ends.try_push(inside).map_err(|_| Refusal::Argument)?,
                new => *new = Call::Announced(ArrayVec::from_iter([inside])),
            }
            context.renew(Owner::Call(call), LIFE_S);
            let span = Span { start: text.len() - place.len(), end: text.len() };
            context.replace(span, global.to_string().as_bytes())?;
        }
        (Some("END"), None) => context.close(Owner::Call(call)),
        _ => return Err(Refusal::Malformed),
    }
    Ok(Handled::Continue)
}

fn protocols() -> Protocols {
    let listens = |row: &Row| row.ports().iter().any(|port| port.port == CONTROL_PORT);
    let rows: Vec<Row> = ROWS
        .iter()
        .map(|row| match listens(row) {
            true => Row { name: row.name, keyword: row.keyword, attach: row.attach, ..CALLING },
            false => *row,
        })
        .collect();
    Protocols { gateways: rows.leak(), numbered: &[NUMBERED] }
}

const CONFIG: &str = "
access-list 1 permit 10.0.0.0 0.0.0.255
access-list 2 permit 10.0.1.0 0.0.0.255
ip nat pool SHARED 203.0.113.1 203.0.113.2 prefix-length 24
ip nat pool WHOLE 203.0.113.16 203.0.113.31 prefix-length 24
ip nat inside source list 1 pool SHARED overload
ip nat inside source list 2 pool WHOLE
ip nat inside source static network 10.0.2.0 203.0.114.0 255.255.255.0
ip nat translation udp-timeout 20
ip nat settings record-sessions
";
/// After this wait every session is over, and no call.
const WAIT_MS: u64 = 30_000;
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Callers have ports of a shared address; the others an address of their own, from a pool or by a static.
const HOST_COUNT: u8 = 8;
const CALL_COUNT: u8 = 3;

/// Where an announced endpoint is met, and until when.
#[derive(Clone, Copy, Debug)]
struct Announced {
    call: u8,
    global: Endpoint,
    ends_ms: u64,
}

/// Two hosts that send each other numbers.
#[derive(Default)]
struct Pair {
    /// Those that the inside sent.
    out: Vec<u32>,
    /// Those that were learnt from answers.
    learnt: Vec<u32>,
}

struct Test {
    bench: Bench,
    sides: [InterfaceName; 2],
    random: SmallRng,
    is_cgn: bool,
    packet_count: usize,
    /// Announced endpoints that were met after every control session was over, and numbers that were learnt.
    outlived_count: usize,
    learnt_count: usize,
    /// By inside endpoint.
    announced: BTreeMap<Endpoint, Announced>,
    /// Inside endpoints with the global ones that they were met at, and by whom.
    met: Vec<(Endpoint, Endpoint, Endpoint)>,
    pairs: BTreeMap<(Ipv4Addr, Ipv4Addr), Pair>,
    /// The global address of a host, as long as it has sessions.
    globals: BTreeMap<Ipv4Addr, Ipv4Addr>,
}

impl Test {
    fn new(worker_count: usize, is_cgn: bool, mut random: SmallRng) -> Test {
        let secret = [random.random(), random.random()];
        let setup = Setup { worker_count, secret, protocols: protocols(), ..Setup::default() };
        let mode = if is_cgn { "ip nat settings mode cgn\n" } else { "" };
        let bench = Bench::new("toys", &format!("{ON_LINK}{CONFIG}{mode}"), setup).expect("a configuration");
        let sides =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        Test {
            bench,
            sides,
            random,
            is_cgn,
            packet_count: 0,
            outlived_count: 0,
            learnt_count: 0,
            announced: BTreeMap::new(),
            met: Vec::new(),
            pairs: BTreeMap::new(),
            globals: BTreeMap::new(),
        }
    }

    fn now(&self) -> u64 {
        self.bench.now_ms()
    }

    /// Puts a packet in, and returns what came out on the other side.
    fn put(&mut self, from: Side, packet: &[u8]) -> Option<Vec<u8>> {
        self.packet_count += 1;
        let [here, there] = match from {
            Side::Inside => self.sides.clone(),
            Side::Outside => [self.sides[1].clone(), self.sides[0].clone()],
        };
        let frame = self.bench.frame_to(&here, packet).expect("a port");
        self.bench.inject(&here, &frame).expect("invariants hold");
        let came = self.bench.take_all();
        assert!(came.len() <= 1 && came.iter().all(|(name, _)| *name == there), "{came:?}");
        came.into_iter().next().map(|(_, frame)| frame[14..].to_vec())
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.bench.counter(reason)
    }

    fn host(&mut self, subnet: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, subnet, 10 + self.random.random_range(0..HOST_COUNT))
    }

    fn peer(&mut self) -> Endpoint {
        let last = self.random.random_range(50..53);
        (Ipv4Addr::new(198, 51, 100, last), self.random.random_range(5000..5002))
    }

    /// A host says something about a call, on any control session; returns what its server reads, from where.
    fn say(&mut self, host: Ipv4Addr, text: &str) -> (String, Ipv4Addr) {
        let (control, id) = (self.random.random_range(40_000..40_003), self.random.random());
        let said = packet(UDP, host, SERVER, 64, id, &udp((control, CONTROL_PORT), text.as_bytes()));
        let came = self.put(Side::Inside, &said).expect("a message passes");
        let (addr, port) = source(&came);
        let read = String::from_utf8(came[28..].to_vec()).expect("text");
        let whole = packet(UDP, addr, SERVER, 63, id, &udp((port, CONTROL_PORT), read.as_bytes()));
        assert_eq!(came, whole, "{}", describe::packet(&came));
        self.meets(host, addr);
        (read, addr)
    }

    /// A host is known by one address as long as it has sessions or doors.
    fn meets(&mut self, host: Ipv4Addr, global: Ipv4Addr) {
        assert_eq!(*self.globals.entry(host).or_insert(global), global, "{host} has another address");
    }

    fn announce(&mut self) {
        let (host, call) = (self.host(0), self.random.random_range(0..CALL_COUNT));
        let inside: Endpoint = (host, 6000 + u16::from(call) * 16 + self.random.random_range(0..4));
        let (read, addr) = self.say(host, &format!("ADD {call} {}", SocketAddrV4::new(host, inside.1)));
        let place = read.strip_prefix(&format!("ADD {call} ")).expect("the rest stays");
        let place: SocketAddrV4 = place.parse().expect("an endpoint");
        let global = (*place.ip(), place.port());
        assert_eq!(global.0, addr, "it is met at its control session's address");
        if let Some(met) = self.met.iter().find(|met| met.0 == inside) {
            assert_eq!(met.1, global, "as it has sessions there");
        }
        if let Some(known) = self.announced.get(&inside) {
            assert_eq!(known.global, global, "announced twice, it has one global endpoint");
        }
        let others = self.announced.iter().filter(|(other, _)| **other != inside);
        assert!(others.into_iter().all(|(_, other)| other.global != global), "{global:?} is another's");
        let ends_ms = self.now() + u64::from(LIFE_S) * 1000;
        self.announced.insert(inside, Announced { call, global, ends_ms });
        for (end, known) in &mut self.announced {
            if end.0 == host && known.call == call {
                known.ends_ms = ends_ms;
            }
        }
    }

    /// Another control session than the one that announced a call may end it, also long after that is gone.
    fn end(&mut self) {
        let (host, call) = (self.host(0), self.random.random_range(0..CALL_COUNT));
        let (read, _) = self.say(host, &format!("END {call}"));
        assert_eq!(read, format!("END {call}"));
        self.announced.retain(|end, known| end.0 != host || known.call != call);
    }

    /// Somebody outside sends to an announced endpoint, or to one that was.
    fn meet(&mut self, global: Endpoint, inside: Endpoint) {
        let (peer, id) = (self.peer(), self.random.random());
        let sent = packet(UDP, peer.0, global.0, 64, id, &udp((peer.1, global.1), b"media"));
        let came = self.put(Side::Outside, &sent);
        let is_open = self.announced.get(&inside).is_some_and(|known| known.global == global);
        // A session that went through a door stays when that closes; in CGN mode everybody may send to it.
        let is_met = |met: &(Endpoint, Endpoint, Endpoint)| {
            (met.0, met.1) == (inside, global) && (self.is_cgn || met.2 == peer)
        };
        if is_open || self.met.iter().any(is_met) {
            let edits = Edits { dst: Some(inside), ..Edits::default() };
            assert_eq!(came, Some(forwarded(&sent, &edits)), "{global:?} is met");
            self.met.push((inside, global, peer));
            // What is answered gives way to nobody.
            let answer = packet(UDP, inside.0, peer.0, 64, id, &udp((inside.1, peer.1), b"media"));
            let came = self.put(Side::Inside, &answer);
            let edits = Edits { src: Some(global), ..Edits::default() };
            assert_eq!(came, Some(forwarded(&answer, &edits)));
        } else {
            assert_eq!(came, None, "nobody is at {global:?}");
        }
    }

    /// A host with an address of its own sends a number.
    fn send_number(&mut self) {
        let subnet = self.random.random_range(1..3);
        let (host, peer) = (self.host(subnet), self.peer().0);
        let pair = self.pairs.entry((host, peer)).or_default();
        let is_new = pair.out.is_empty() || self.random.random_bool(0.5);
        let number =
            if is_new { self.random.random() } else { pair.out[self.random.random_range(0..pair.out.len())] };
        let waits = pair.out.len() > pair.learnt.len();
        let sent = packet(NUMBERED, host, peer, 64, self.random.random(), &numbered(number));
        let conflicts = self.dropped("session-conflict");
        let came = self.put(Side::Inside, &sent);
        if number == 0 {
            return assert_eq!(came, None, "no number");
        }
        if is_new && waits {
            assert_eq!((came, self.dropped("session-conflict")), (None, conflicts + 1), "one waits already");
            return;
        }
        let came = came.expect("it passes");
        let (global, _) = source(&came);
        let edits = Edits { src: Some((global, 0)), is_address_only: true, ..Edits::default() };
        assert_eq!(came, forwarded(&sent, &edits));
        self.meets(host, global);
        if is_new {
            self.pairs.entry((host, peer)).or_default().out.push(number);
        }
    }

    /// A peer sends a number: a known one, or a first answer, or one out of nowhere.
    fn send_answer(&mut self) {
        let keys: Vec<_> =
            self.pairs.keys().copied().filter(|(host, _)| self.globals.contains_key(host)).collect();
        if keys.is_empty() {
            return;
        }
        let (host, peer) = keys[self.random.random_range(0..keys.len())];
        let global = self.globals[&host];
        let pair = self.pairs.entry((host, peer)).or_default();
        let is_known = !pair.learnt.is_empty() && self.random.random_bool(0.5);
        let number = match is_known {
            true => pair.learnt[self.random.random_range(0..pair.learnt.len())],
            false => self.random.random::<u32>() | 1,
        };
        let is_learnt = !is_known && pair.out.len() > pair.learnt.len();
        if is_learnt {
            pair.learnt.push(number);
            self.learnt_count += 1;
        }
        let sent = packet(NUMBERED, peer, global, 64, self.random.random(), &numbered(number));
        let unknown = self.dropped("no-mapping");
        let came = self.put(Side::Outside, &sent);
        let edits = Edits { dst: Some((host, 0)), is_address_only: true, ..Edits::default() };
        match is_known || is_learnt {
            true => assert_eq!(came, Some(forwarded(&sent, &edits))),
            false => assert_eq!((came, self.dropped("no-mapping")), (None, unknown + 1)),
        }
    }

    /// Every session is over, and so are control sessions; calls are not, nor are their doors.
    fn wait(&mut self) {
        self.bench.advance(WAIT_MS).expect("invariants hold");
        self.bench.take_all();
        let now = self.now();
        // At the end of their lives it takes a moment until they are swept.
        let is_near = |known: &Announced| (now.saturating_sub(2000)..now + 2000).contains(&known.ends_ms);
        if self.announced.values().any(is_near) {
            self.bench.advance(5000).expect("invariants hold");
        }
        let now = self.now();
        self.announced.retain(|_, known| known.ends_ms > now);
        self.met.clear();
        self.pairs.clear();
        let has_door = |host: &Ipv4Addr| self.announced.keys().any(|end| end.0 == *host);
        let whole = |host: &Ipv4Addr| host.octets()[2] != 0;
        self.globals.retain(|host, _| has_door(host) || whole(host));
        let live: Vec<_> = self.bench.sessions().into_iter().filter(|row| row.protocol != 0).collect();
        assert_eq!(live.len(), 0, "{live:?}");
        assert_eq!(self.bench.doors().len(), self.announced.len(), "doors wait as long as their calls");
        let known: Vec<_> = self.announced.iter().map(|(end, known)| (known.global, *end)).collect();
        self.outlived_count += known.len();
        known.into_iter().for_each(|(global, inside)| self.meet(global, inside));
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..20 => self.announce(),
            20..25 => self.end(),
            25..45 => {
                let known: Vec<_> = self.announced.iter().map(|(end, known)| (known.global, *end)).collect();
                if !known.is_empty() {
                    let (global, inside) = known[self.random.random_range(0..known.len())];
                    let closes = self.random.random_bool(0.1);
                    self.meet(global, inside);
                    if closes {
                        let call = self.announced[&inside].call;
                        self.say(inside.0, &format!("END {call}"));
                        self.announced.retain(|end, known| end.0 != inside.0 || known.call != call);
                        self.meet(global, inside);
                    }
                }
            }
            45..70 => self.send_number(),
            70..98 => self.send_answer(),
            _ => self.wait(),
        }
    }

    fn run(mut self, step_count: usize) -> usize {
        for step in 0..step_count {
            self.step();
            if step % 50 == 0 {
                self.bench.check_tables().expect("invariants hold");
            }
        }
        self.bench.advance(2 * 86_400_000).expect("invariants hold");
        let live = (self.bench.sessions().len(), self.bench.doors().len(), self.bench.mapping_count());
        assert_eq!(live, (0, 0, 0), "all ends");
        let count = self.packet_count;
        assert!(self.outlived_count > 0 && self.learnt_count > 0);
        self.bench.finish().expect("invariants hold");
        count
    }
}

/// Where a packet comes from.
fn source(packet: &[u8]) -> Endpoint {
    let addr = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
    (addr, u16::from_be_bytes([packet[20], packet[21]]))
}

fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], b"and whatever follows"].concat()
}

fn run(worker_count: usize, step_count: usize) {
    let mut random = generator(&format!("toys with {worker_count} workers"), worker_count as u64);
    let mut packet_count = 0;
    for is_cgn in [false, true, false, true] {
        let seed: u64 = random.random();
        println!("seed {seed}");
        let own = rand::SeedableRng::seed_from_u64(seed);
        packet_count += Test::new(worker_count, is_cgn, own).run(step_count);
    }
    println!("{packet_count} packets with {worker_count} workers");
}

#[test]
fn one_worker() {
    run(1, 1500);
}

#[test]
fn two_workers() {
    run(2, 1500);
}

#[test]
fn eight_workers() {
    run(8, 1500);
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn long() {
    [1, 2, 8].into_iter().for_each(|worker_count| run(worker_count, 300_000));
}

/// Two inside hosts that know each other by global addresses.
#[test]
fn numbers_are_learnt_of_hairpins() {
    for worker_count in [1, 2, 8] {
        let mut test = Test::new(worker_count, false, generator("turned", 1));
        let [one, other] =
            [10, 11].map(|last| (Ipv4Addr::new(10, 0, 2, last), Ipv4Addr::new(203, 0, 114, last)));
        let inside = test.sides[0].clone();
        let mut send = |from: (Ipv4Addr, Ipv4Addr), to: (Ipv4Addr, Ipv4Addr), number| {
            let sent = packet(NUMBERED, from.0, to.1, 64, 1, &numbered(number));
            let frame = test.bench.frame_to(&inside, &sent).expect("a port");
            test.bench.inject(&inside, &frame).expect("invariants hold");
            let edits = Edits {
                src: Some((from.1, 0)),
                dst: Some((to.0, 0)),
                is_address_only: true,
                ..Edits::default()
            };
            let came: Vec<_> =
                test.bench.take_all().into_iter().map(|(_, frame)| frame[14..].to_vec()).collect();
            came == [forwarded(&sent, &edits)]
        };
        assert!(!send(one, other, 7), "the other waits for nobody");
        assert!(send(other, one, 8) && send(one, other, 7) && send(other, one, 8));
        assert!(!send(one, other, 9), "nobody waits for another one");
        test.bench.finish().expect("invariants hold");
    }
}
