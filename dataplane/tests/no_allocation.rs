//! The packet path allocates nothing: every round of every worker below is counted, from the first packet after the
//! policy on, with nothing warmed up.
//!
//! Covered, in the default mode, in CGN mode, with address-dependent filtering and with port sets, with one worker and
//! with two, which hand packets to each other:
//! - set-up of sessions of UDP, TCP and ICMP, of new hosts, new ports and new peers; of whole addresses; of statics;
//! - established packets of all of these, both ways; the end of TCP connections;
//! - hairpins; echo requests to the box; ICMP errors about translated packets, and our own: TTL, no route, no mapping,
//!   unreachable neighbour, a link too small;
//! - fragments, the first one first and last, repeated, without a first one; packets cut, with IPv4 options to be copied;
//! - packets that wait for a next hop, go on, or are given up; unsolicited SYNs and their late answers;
//! - refused: malformed, unsolicited, an exhausted pool, full tables;
//! - expiry of everything, and the same once more.
//!
//! Not covered, as they answer the control thread between bursts: `show` (`WorkerMessage::Sessions`, `WorkerMessage::Usage`), a new
//! policy, forwarding table or neighbour, and control's own frames (`WorkerMessage::Transmit`). Nor are messages that
//! gateways read: sessions of theirs, doors and streams.
use allocation_counter::measure;
use control::appliance::Appliance;
use control::compile::PortBinding;
use dataplane::drops::DropReason;
use dataplane::port::Port;
use dataplane::port::memory::{Wire, memory_port};
use dataplane::worker::Worker;
use mem::Slab;
use testkit::build;
use testkit::sides::TWO_SIDES;
use testkit::spec::PacketSpec;
use testkit::stations::{frame, station_mac};

const REST: &str = "
platform dpdk
 max-sessions 4096
interface GigabitEthernet0/0/1
 ip mtu 600
ip route 198.51.100.0 255.255.255.0 192.0.2.254
ip route 198.18.0.0 255.255.0.0 192.0.2.253
ip nat pool P 203.0.113.1 203.0.113.4 prefix-length 28
ip nat pool Q 203.0.113.65 203.0.113.68 prefix-length 28
ip nat pool R 203.0.113.129 203.0.113.129 prefix-length 32
access-list 1 permit 10.0.0.0 0.0.3.255
access-list 2 permit 10.0.4.0 0.0.0.255
access-list 3 permit 10.0.5.0 0.0.0.255
ip nat inside source list 1 pool P overload
ip nat inside source list 2 pool Q
ip nat inside source list 3 pool R overload
ip nat inside source static 10.0.9.9 203.0.113.200
ip nat inside source static tcp 10.0.9.8 8080 203.0.113.201 80
";

const INSIDE: usize = 0;
const OUTSIDE: usize = 1;

/// The appliance on wires, its rounds counted.
struct Rig {
    workers: Vec<Worker>,
    /// By worker, then by port.
    wires: Vec<Vec<Wire>>,
    appliance: Appliance,
    now_ms: u32,
    next_worker: usize,
    /// Packets that came out by now, by port.
    came_out: [Vec<Vec<u8>>; 2],
    /// Frames that came out in all.
    out_count: usize,
}

impl Rig {
    fn new(settings: &str, worker_count: usize) -> Rig {
        let config = control::config::parse("no_allocation", &format!("{TWO_SIDES}{REST}{settings}"));
        let config = config.unwrap_or_else(|errors| panic!("{errors:?}")).config;
        let binding =
            |name: &str| PortBinding { interface: name.parse().expect("a name"), mac: None, has_link: true };
        let bindings = vec![binding("GigabitEthernet0/0/0"), binding("GigabitEthernet0/0/1")];
        let slab = Slab::new(4096, 2048);
        let (mut queues, mut wires) = (Vec::new(), Vec::new());
        for _ in 0..worker_count {
            let (own, others): (Vec<_>, Vec<_>) = (0..2).map(|index| memory_port(index, &slab, 512)).unzip();
            queues.push(own.into_iter().map(|port| Box::new(port) as Box<dyn Port>).collect());
            wires.push(others);
        }
        let (appliance, setups) =
            Appliance::new(config, bindings, queues, [7, 11]).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut workers: Vec<Worker> = setups.into_iter().map(|setup| Worker::new(setup, 0)).collect();
        // The first round takes the policy, which is not the path.
        workers.iter_mut().for_each(|worker| _ = worker.round(0));
        let came_out = Default::default();
        let mut rig = Rig { workers, wires, appliance, now_ms: 0, next_worker: 0, came_out, out_count: 0 };
        rig.let_control_work();
        rig
    }

    /// The control side's step, and the round that takes its messages. Neither is the path.
    fn let_control_work(&mut self) {
        for _ in 0..3 {
            self.appliance.step(u64::from(self.now_ms));
            let now = self.now_ms;
            self.workers.iter_mut().for_each(|worker| _ = worker.round(now));
        }
        self.drain();
    }

    fn drain(&mut self) {
        for wires in &self.wires {
            for (port, wire) in wires.iter().enumerate() {
                while let Some(packet) = wire.receive() {
                    self.out_count += 1;
                    self.came_out[port].push(packet.bytes()[14..].to_vec());
                }
            }
        }
    }

    /// Rounds of all workers, until nothing moves any more.
    #[track_caller]
    fn work(&mut self, what: &str) {
        for _ in 0..64 {
            let mut count = 0;
            for worker in &mut self.workers {
                let now = self.now_ms;
                let info = measure(|| count += worker.round(now));
                assert_eq!(info.count_total, 0, "{what}: a round allocated: {info:?}");
            }
            self.drain();
            if count == 0 {
                return;
            }
        }
        panic!("{what}: the workers do not come to rest");
    }

    /// Sends packets through a port, each to the next worker in turn, and takes what comes out of the other port.
    #[track_caller]
    fn send(&mut self, what: &str, port: usize, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        self.came_out = Default::default();
        for packet in packets {
            let mac = [2, 0, 0, 0, 0, port as u8 + 1];
            let framed = frame(mac, station_mac([9, 9, 9, 9].into()), None, 0x0800, packet);
            assert!(self.wires[self.next_worker][port].send(&framed), "{what}: the wire is full");
            self.next_worker = (self.next_worker + 1) % self.workers.len();
        }
        self.work(what);
        std::mem::take(&mut self.came_out[1 - port])
    }

    /// Lets time pass in steps of half a second.
    #[track_caller]
    fn advance(&mut self, what: &str, ms: u32) {
        for _ in 0..ms.div_ceil(500) {
            self.now_ms += 500;
            self.work(what);
        }
    }

    fn counter(&self, of: impl Fn(&dataplane::counters::Counters) -> u64) -> u64 {
        self.appliance.counters.iter().map(|counters| of(counters)).sum()
    }
}

fn packet(text: &str) -> Vec<u8> {
    let spec: PacketSpec = text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let mut bytes = build::packet(&spec).unwrap_or_else(|error| panic!("{text}: {error}"));
    build::finish(&mut bytes, &spec).expect("patches inside");
    bytes
}

/// The global endpoint that a packet shows as its source.
fn source(packet: &[u8]) -> (String, u16) {
    let port = if packet[9] == 1 { 24 } else { 20 };
    let [a, b, c, d] = [packet[12], packet[13], packet[14], packet[15]];
    (format!("{a}.{b}.{c}.{d}"), u16::from_be_bytes([packet[port], packet[port + 1]]))
}

/// The answer to a packet that came out.
fn answer(out: &[u8], tcp_flags: &str) -> Vec<u8> {
    let (global, port) = source(out);
    let [a, b, c, d] = [out[16], out[17], out[18], out[19]];
    let (peer, peer_port) = (format!("{a}.{b}.{c}.{d}"), u16::from_be_bytes([out[22], out[23]]));
    packet(&match out[9] {
        1 => format!("icmp echo-reply {peer} > {global} id {port} seq 1"),
        6 => format!("tcp {peer}:{peer_port} > {global}:{port} {tcp_flags}"),
        _ => format!("udp {peer}:{peer_port} > {global}:{port} \"answer\""),
    })
}

fn answers(out: &[Vec<u8>], tcp_flags: &str) -> Vec<Vec<u8>> {
    out.iter().map(|out| answer(out, tcp_flags)).collect()
}

/// First packets of 60 hosts: two ports of UDP, one connection, one ping.
fn first_packets() -> Vec<Vec<u8>> {
    (0..60u16)
        .flat_map(|host| {
            let local = format!("10.0.{}.{}", host % 4, 10 + host / 4);
            [
                format!("udp {local}:{} > 198.51.100.7:9000 \"one\"", 4000 + host),
                format!("udp {local}:{} > 198.51.100.7:9000 \"two\"", 5000 + host),
                format!("tcp {local}:{} > 198.51.100.7:80 syn", 6000 + host),
                format!("icmp echo {local} > 198.51.100.7 id {host} seq 1"),
            ]
        })
        .map(|text| packet(&text))
        .collect()
}

fn sessions_both_ways(rig: &mut Rig) {
    let first = first_packets();
    let out = rig.send("set-up", INSIDE, &first);
    assert_eq!(out.len(), first.len(), "every host has its sessions");
    let back = rig.send("the first answers", OUTSIDE, &answers(&out, "syn,ack"));
    assert_eq!(back.len(), first.len());
    for _ in 0..3 {
        assert_eq!(rig.send("established, out", INSIDE, &first).len(), first.len());
        let back = rig.send("established, in", OUTSIDE, &answers(&out, "ack"));
        assert_eq!(back.len(), first.len());
    }
    let second: Vec<_> =
        (0..60).map(|n| packet(&format!("udp 10.0.0.10:4000 > 198.51.100.{}:7 \"x\"", n + 20))).collect();
    assert_eq!(rig.send("new peers", INSIDE, &second).len(), second.len());
    let ends: Vec<_> = out.iter().filter(|out| out[9] == 6).map(|out| answer(out, "fin,ack")).collect();
    assert_eq!(rig.send("an end", OUTSIDE, &ends).len(), ends.len());
    let resets: Vec<_> = out.iter().filter(|out| out[9] == 6).map(|out| answer(out, "rst,ack")).collect();
    assert_eq!(rig.send("resets", OUTSIDE, &resets).len(), resets.len());
}

fn statics_addresses_and_hairpins(rig: &mut Rig) {
    let whole: Vec<_> = ["udp 10.0.4.9:1 > 198.51.100.7:2", "tcp 10.0.4.10:1 > 198.51.100.7:2 syn"]
        .iter()
        .map(|text| packet(text))
        .collect();
    let out = rig.send("whole addresses", INSIDE, &whole);
    assert_eq!(out.len(), 2);
    assert_eq!(rig.send("answers to them", OUTSIDE, &answers(&out, "syn,ack")).len(), 2);
    let fixed = [packet("udp 198.51.100.7:9 > 203.0.113.200:53 \"q\"")];
    assert_eq!(rig.send("a static", OUTSIDE, &fixed).len(), 1);
    rig.send("a hairpin to a static", INSIDE, &[packet("udp 10.0.0.11:700 > 203.0.113.200:53 \"q\"")]);
    let out = rig.send("a mapping", INSIDE, &[packet("udp 10.0.0.12:4100 > 198.51.100.7:9000")]);
    let (global, port) = source(&out[0]);
    rig.send("a hairpin", INSIDE, &[packet(&format!("udp 10.0.1.13:4200 > {global}:{port} \"hi\""))]);
    rig.send("an echo to the box", INSIDE, &[packet("icmp echo 10.0.0.2 > 10.1.0.1 id 7 seq 1")]);
}

fn errors_and_drops(rig: &mut Rig) {
    let out = rig.send("a flow", INSIDE, &[packet("udp 10.0.0.14:4100 > 198.51.100.7:9000 \"data\"")]);
    let (global, port) = source(&out[0]);
    let error = format!(
        "icmp time-exceeded 198.18.0.1 > {global} quote {{ udp {global}:{port} > 198.51.100.7:9000 ttl 1 \"data\" }}"
    );
    assert_eq!(rig.send("an error from outside", OUTSIDE, &[packet(&error)]).len(), 1);
    let notices = rig.out_count;
    for (what, port, text) in [
        ("TTL", INSIDE, "udp 10.0.0.14:4100 > 198.51.100.7:9000 ttl 1"),
        ("TTL of an answer", OUTSIDE, "udp 198.51.100.7:9 > 203.0.113.200:9 ttl 1"),
        ("no route", INSIDE, "udp 10.0.0.14:4100 > 192.88.99.1:9000"),
        ("nobody asked", OUTSIDE, "udp 198.51.100.9:9 > 203.0.113.1:60000"),
        ("a SYN nobody asked for", OUTSIDE, "tcp 198.51.100.9:9 > 203.0.113.1:60000 syn"),
        ("a RST without a session", INSIDE, "tcp 10.0.0.14:9 > 198.51.100.7:60000 rst"),
        ("a wrong header checksum", INSIDE, "udp 10.0.0.14:4100 > 198.51.100.7:9000 ip-checksum bad"),
        ("too long and not to be cut", INSIDE, "udp 10.0.0.14:4100 > 198.51.100.7:9000 df bytes 900"),
        ("another protocol", INSIDE, "ip 47 10.0.0.14 > 198.51.100.7 bytes 20"),
    ] {
        rig.send(what, port, &[packet(text)]);
    }
    assert!(rig.out_count >= notices + 3, "some senders are told");
    rig.advance("late answers to SYNs", 7000);
}

fn fragments(rig: &mut Rig) {
    let options = "udp 10.0.0.15:4100 > 198.51.100.7:9000 ip-options 82040102 bytes 1500";
    let out = rig.send("packets cut", INSIDE, &[packet(options)]);
    assert!(out.len() >= 3, "{} fragments", out.len());
    for id in 1..80u16 {
        let head = format!("udp 10.0.0.15:4100 > 198.51.100.7:9000 ip-id {id} mf bytes 24");
        let tail = |offset: u16| format!("ip 17 10.0.0.15 > 198.51.100.7 ip-id {id} frag {offset} bytes 16");
        let (head, tail) = (packet(&head), packet(&tail(4)));
        let order = if id % 2 == 0 { [head.clone(), tail.clone()] } else { [tail.clone(), head] };
        rig.send("fragments", INSIDE, &order);
        rig.send("a repeated fragment", INSIDE, &[tail]);
        let alone = format!("ip 17 10.0.0.16 > 198.51.100.7 ip-id {id} frag 4 bytes 16");
        rig.send("a fragment without the first", INSIDE, &[packet(&alone)]);
    }
    rig.advance("fragments that waited in vain", 4000);
}

fn next_hops(rig: &mut Rig) {
    let waiting: Vec<_> = (0..12)
        .map(|n| packet(&format!("udp 10.0.0.17:{} > 198.18.0.{}:9 \"wait\"", 4300 + n, n + 1)))
        .collect();
    rig.send("nobody knows the next hop", INSIDE, &waiting);
    rig.advance("given up", 3500);
    rig.let_control_work();
}

fn full_tables(rig: &mut Rig) {
    let many = |offset: u32, count: u32| -> Vec<Vec<u8>> {
        (offset..offset + count)
            .map(|n| packet(&format!("udp 10.0.5.{}:{} > 198.51.100.7:9", n % 200 + 1, 1024 + n / 200)))
            .collect()
    };
    for part in 0..20 {
        rig.send("until the table is full", INSIDE, &many(part * 256, 256));
    }
}

fn exercise(settings: &str, worker_count: usize) {
    let mut rig = Rig::new(settings, worker_count);
    for _ in 0..2 {
        sessions_both_ways(&mut rig);
        statics_addresses_and_hairpins(&mut rig);
        errors_and_drops(&mut rig);
        fragments(&mut rig);
        next_hops(&mut rig);
        full_tables(&mut rig);
        let sessions = rig.counter(|counters| counters.nat.sessions.value());
        assert!(sessions > 1500, "{sessions} sessions");
        rig.advance("expiry", 2 * 86_400_000 / 500);
        rig.now_ms += 86_400_000;
        rig.advance("expiry of the rest", 420_000);
        let left: usize = rig.workers.iter().map(|worker| worker.shard().session_count()).sum();
        assert_eq!(left, 0, "everything ends");
        rig.workers.iter().for_each(|worker| worker.shard().check().expect("invariants hold"));
    }
    // What was to be refused was refused for its own reason.
    for reason in [
        DropReason::Ipv4Checksum,
        DropReason::TtlExceeded,
        DropReason::NoRoute,
        DropReason::FragmentationNeeded,
        DropReason::NoMapping,
        DropReason::TcpNoSession,
        DropReason::FragmentTimeout,
        DropReason::NeighbourUnresolved,
        DropReason::NeighbourQueueFull,
        if settings.contains("pap") { DropReason::PoolExhausted } else { DropReason::DestinationShare },
    ] {
        let count = rig.counter(|counters| counters.drops(reason).value());
        assert!(count > 0, "nothing was dropped as {}", reason.label());
    }
    if worker_count > 1 {
        assert!(
            rig.counter(|counters| counters.fates.handed_over.value()) > 100,
            "workers hand packets over"
        );
    }
}

const MODES: [(&str, &str); 4] = [
    ("default", ""),
    ("cgn", "ip nat settings mode cgn\n"),
    ("address-dependent", "ip nat settings filtering address-dependent\n"),
    ("port sets", "ip nat settings mode cgn\nip nat settings pap limit 60 bpa set-size 64 step-size 1\n"),
];

#[test]
fn one_worker_allocates_nothing() {
    for (name, settings) in MODES {
        println!("{name}");
        exercise(settings, 1);
    }
}

#[test]
fn two_workers_allocate_nothing() {
    for (name, settings) in MODES {
        println!("{name}");
        exercise(settings, 2);
    }
}

/// The counter counts; without that nothing above means anything.
#[test]
fn an_allocation_is_noticed() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);
}
