//! Fragments in numbers: honest hosts' all pass, at half a million packets a second and beside a flood, and what waits
//! holds no port's buffer.
use std::net::Ipv4Addr;

use control::appliance::Appliance;
use control::compile::PortBinding;
use dataplane::drops::DropReason;
use dataplane::port::Port;
use dataplane::port::memory::{Wire, memory_port};
use dataplane::worker::Worker;
use mem::Slab;
use rand::RngExt;
use rand::rngs::SmallRng;
use testkit::packet::{self, MORE, UDP};
use testkit::random::generator;
use testkit::sides::{DEFAULT_ROUTE, TWO_SIDES};
use testkit::stations::frame;

const STATICS: &str = "ip nat inside source static network 10.0.1.0 203.0.113.0 /24
";
const INSIDE: usize = 0;
const OUTSIDE: usize = 1;
/// Inside hosts, and outside ones that each of them talks with.
const HOSTS: u32 = 200;
const PEERS: u32 = 16;
/// Packet buffers of all ports.
const BUFFERS: usize = 2048;
/// Payload of a first fragment, and of the second.
const PARTS: [usize; 2] = [32, 16];

struct Rig {
    worker: Worker,
    wires: Vec<Wire>,
    /// Kept, as it holds the other end of the worker's channels.
    appliance: Appliance,
    slab: Slab,
    now_ms: u32,
    next_id: u16,
    random: SmallRng,
    /// Fragments of honest hosts that came out where they should.
    came: u64,
}

fn local(host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0101 + host)
}

fn global(host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xcb00_7101 + host)
}

fn peer(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0xc633_6401 + number)
}

/// A UDP packet's fragment as a frame to the port with this number. Its payload begins with `mark` if it is no first one.
fn fragment(
    port: usize,
    (src, dst): (Ipv4Addr, Ipv4Addr),
    ports: (u16, u16),
    (id, field): (u16, u16),
    mark: u32,
    len: usize,
) -> Vec<u8> {
    let mut carried = Vec::with_capacity(len);
    if field & 0x1fff == 0 {
        // No checksum: repetitions look alike.
        let datagram_len = (PARTS[0] + PARTS[1]) as u16;
        carried.extend([ports.0, ports.1, datagram_len, 0].map(u16::to_be_bytes).concat());
    }
    carried.extend(mark.to_be_bytes());
    carried.resize(len, 0);
    let packet = packet::fragment((src, dst), UDP, (id, field), &carried);
    frame([2, 0, 0, 0, 0, port as u8 + 1], [2, 0, 0, 0, 0, 0xff], None, 0x0800, &packet)
}

impl Rig {
    fn new(settings: &str, name: &str) -> Rig {
        let config = control::config::parse(
            "fragment_floods",
            &format!("{TWO_SIDES}{DEFAULT_ROUTE}{STATICS}{settings}"),
        );
        let config = config.unwrap_or_else(|errors| panic!("{errors:?}")).config;
        let binding =
            |name: &str| PortBinding { interface: name.parse().expect("a name"), mac: None, has_link: true };
        let bindings = vec![binding("GigabitEthernet0/0/0"), binding("GigabitEthernet0/0/1")];
        let slab = Slab::new(BUFFERS, 2048);
        let (own, wires): (Vec<_>, Vec<_>) = (0..2).map(|index| memory_port(index, &slab, 512)).unzip();
        let queues = vec![own.into_iter().map(|port| Box::new(port) as Box<dyn Port>).collect()];
        let (appliance, setups) =
            Appliance::new(config, bindings, queues, [7, 11]).unwrap_or_else(|errors| panic!("{errors:?}"));
        let worker = setups.into_iter().map(|setup| Worker::new(setup, 0)).next().expect("one worker");
        let random = generator(name, 0);
        let mut rig = Rig { worker, wires, appliance, slab, now_ms: 0, next_id: 0, random, came: 0 };
        for _ in 0..3 {
            rig.appliance.step(u64::from(rig.now_ms));
            rig.work();
        }
        rig
    }

    fn send(&mut self, port: usize, frame: &[u8]) {
        assert!(self.wires[port].send(frame), "there is a buffer, and room on the wire");
    }

    /// Lets the worker take all that is on the wires, and looks at what comes out.
    fn work(&mut self) {
        while self.worker.round(self.now_ms) > 0 {}
        for port in [INSIDE, OUTSIDE] {
            while let Some(packet) = self.wires[port].receive() {
                self.came += u64::from(is_right(port, packet.bytes()));
            }
        }
        assert_eq!(self.slab.available(), BUFFERS, "what waits holds no port's buffer");
    }

    /// The two fragments of a packet between a host and one of its peers. Identifications are few, so that each is used again
    /// within a moment.
    fn datagram(&mut self, number: u32) -> (usize, [Vec<u8>; 2]) {
        let (host, way) = (number / 2 % HOSTS, number % 2);
        let outside = peer(number / (2 * HOSTS) % PEERS);
        self.next_id = (self.next_id + 1) % 1024;
        let (port, ends, ports) = match way {
            0 => (INSIDE, (local(host), outside), (4000, 5000)),
            _ => (OUTSIDE, (outside, global(host)), (5000, 4000)),
        };
        let id = self.next_id;
        let first = fragment(port, ends, ports, (id, MORE), host, PARTS[0]);
        let second = fragment(port, ends, ports, (id, PARTS[0] as u16 / 8), host, PARTS[1]);
        (port, [first, second])
    }

    /// So many packets of honest hosts, a seventh of them with the last fragment first, and others' and more `between` the
    /// fragments of each.
    fn honest(&mut self, start: u32, count: u32, mut between: impl FnMut(&mut Rig)) {
        let datagrams: Vec<_> = (start..start + count).map(|number| self.datagram(number)).collect();
        for turn in 0..2 {
            for (number, (port, parts)) in datagrams.iter().enumerate() {
                let is_reversed = number % 7 == 3;
                self.send(*port, &parts[if is_reversed { 1 - turn } else { turn }]);
            }
            between(self);
            self.work();
        }
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.worker.counters().drops(reason).value()
    }
}

/// Whether a frame that came out of a port is an honest host's, and has that host's address.
fn is_right(port: usize, frame: &[u8]) -> bool {
    let addr =
        |at: usize| Ipv4Addr::from_bits(u32::from_be_bytes(frame[at..at + 4].try_into().expect("four")));
    if frame.len() < 46 || frame[23] != 17 {
        return false;
    }
    let is_first = frame[20] & 0x1f == 0 && frame[21] == 0;
    let at = if is_first { 42 } else { 34 };
    let host = u32::from_be_bytes(frame[at..at + 4].try_into().expect("four"));
    let (at, expected): (_, fn(u32) -> Ipv4Addr) = if port == INSIDE { (30, local) } else { (26, global) };
    host < HOSTS && addr(at) == expected(host)
}

/// Half a million packets in one second, both ways.
fn all_pass(settings: &str) {
    let mut rig = Rig::new(settings, "honest");
    for ms in 0..1000 {
        rig.now_ms = ms;
        for part in 0..5 {
            rig.honest(ms * 500 + part * 100, 100, |_| ());
        }
    }
    assert_eq!(rig.came, 1_000_000, "fragments that came out with their host's address");
    assert_eq!(rig.worker.counters().fates.dropped.value(), 0);
}

#[test]
fn half_a_million_fragmented_packets_a_second_pass() {
    all_pass("");
}

#[test]
fn and_in_cgn_mode() {
    all_pass("ip nat settings mode cgn\n");
}

/// Between the fragments of each ten packets of theirs, a hundred lone ones, first and later: from everywhere, and from one
/// host; to mapped addresses, and to nobody's.
#[test]
fn a_flood_takes_nothing_from_others() {
    const STRANGE: u32 = 0xffff_ffff;
    let mut rig = Rig::new("", "flood");
    for ms in 0..500 {
        rig.now_ms = ms;
        rig.honest(ms * 10, 10, |rig| {
            for n in 0..100u32 {
                let (anybody, id): (u32, u16) = (rig.random.random(), rig.random.random());
                let from = match n % 4 {
                    0 => peer(250),
                    _ => Ipv4Addr::from_bits(0x0800_0000 | anybody >> 8),
                };
                let to = if n % 5 == 0 { Ipv4Addr::new(198, 18, 0, 1) } else { global(anybody % HOSTS) };
                let field = if n % 3 == 0 { MORE } else { MORE | (anybody % 64 + 1) as u16 };
                let lone = fragment(OUTSIDE, (from, to), (9, 4000), (id, field), STRANGE, 24);
                rig.send(OUTSIDE, &lone);
            }
        });
    }
    assert_eq!(rig.came, 10_000, "fragments of honest hosts, 500 packets of ten");
    assert!(rig.drops(DropReason::FragmentsFull) > 10_000, "the flood's are refused");
    rig.now_ms += 4000;
    (0..100).for_each(|_| rig.work());
    assert_eq!(rig.worker.counters().fates.held.value(), 0, "nothing waits for ever");
}

/// As `fragflood`s do it: 48 later fragments of each of a thousand packets, from a thousand addresses.
#[test]
fn what_waits_holds_no_buffer_of_the_ports() {
    let mut rig = Rig::new("", "lone");
    for number in 0..65_000u32 {
        let from = Ipv4Addr::from_bits(0x0800_0000 + number / 48);
        let field = MORE | (3 + 3 * (number % 48)) as u16;
        let lone = fragment(OUTSIDE, (from, global(2)), (0, 0), (number as u16 / 48, field), 0, 24);
        rig.send(OUTSIDE, &lone);
        if number % 256 == 0 {
            rig.work();
        }
    }
    rig.work();
    let held = rig.worker.counters().fates.held.value();
    assert!((512..=1024).contains(&held), "{held} wait, the half that those from outside may have at most");
    assert_eq!(rig.drops(DropReason::FragmentsFull), 65_000 - held);
    rig.honest(0, 100, |_| ());
    assert_eq!(rig.came, 200);
}

/// A packet in as many fragments as there can be.
#[test]
fn any_number_of_fragments_pass_in_order() {
    let mut rig = Rig::new("", "many");
    let of = |host: u32, id: u16, units: u16, last: u16| {
        let field = units | if units == last { 0 } else { MORE };
        fragment(
            INSIDE,
            (local(host), peer(0)),
            (4000, 5000),
            (id, field),
            host,
            8 + 8 * usize::from(units == 0),
        )
    };
    let sent = |rig: &Rig| rig.worker.counters().fates.sent.value();
    let before = sent(&rig);
    // The first has sixteen bytes, two units of eight.
    let in_order: Vec<u16> = std::iter::once(0).chain(2..=4000).collect();
    for units in &in_order {
        rig.send(INSIDE, &of(3, 1, *units, 4000));
        rig.work();
    }
    let reversed: Vec<u16> = std::iter::once(0).chain(2..=120).rev().collect();
    for units in reversed {
        rig.send(INSIDE, &of(3, 2, units, 120));
        rig.work();
    }
    assert_eq!(sent(&rig) - before, 4000 + 120);
    assert_eq!(rig.worker.counters().fates.dropped.value(), 0);
    for gap in 1..=100 {
        rig.send(INSIDE, &of(3, 3, 2 * gap, 4000));
        rig.work();
    }
    assert_eq!(rig.drops(DropReason::FragmentsScattered), 100, "with their packet, for their own reason");
    assert_eq!(rig.worker.counters().fates.dropped.value(), 100);
}
