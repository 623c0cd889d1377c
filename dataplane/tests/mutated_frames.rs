//! Frames of every kind, mutated, cut, stretched and glued together: each has one fate, nothing panics, and no
//! inside address leaks.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::checksum::is_correct;
use testkit::describe;
use testkit::dissect::{Dissection, set};
use testkit::random::generator;
use testkit::spec::PacketSpec;
use testkit::stations::{Arp, BROADCAST, frame, station_mac};

const FRAME_COUNT: usize = 200_000;
/// What a packet buffer holds, in bytes.
const FRAME_LEN_MAX: usize = 2048;

const CONFIG: &str = "
platform dpdk
 max-sessions 2000
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
 ip mtu 1300
interface GigabitEthernet0/0/0.7
 encapsulation dot1Q 7
 ip address 10.0.7.1 255.255.255.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 192.0.2.1 255.255.255.0
 ip nat outside
 ip access-group 101 in
ip route 0.0.0.0 0.0.0.0 192.0.2.254
ip route 198.18.0.0 255.254.0.0 Null0
ip nat pool P 203.0.113.1 203.0.113.1 prefix-length 32
access-list 1 permit 10.0.0.0 0.0.255.255
access-list 101 deny udp any any eq snmp
access-list 101 permit ip any any
ip nat inside source list 1 pool P overload
ip nat inside source static tcp 10.0.0.8 8080 192.0.2.8 80
ip nat inside source static 10.0.0.9 192.0.2.9
";

const FROM_INSIDE: &[&str] = &[
    "udp 10.0.0.2:4000 > 198.51.100.7:53 \"query\"",
    "udp 10.0.0.2:4000 > 198.51.100.7:5000 checksum none",
    "udp 10.0.7.2:4000 > 198.51.100.7:5000 bytes 1300 df",
    "udp 10.0.0.2:4000 > 198.51.100.7:5000 bytes 1400",
    "udp 10.0.0.2:4000 > 198.51.100.7:5000 record-route 3 \"x\"",
    "udp 10.0.0.2:4000 > 198.51.100.7:5000 loose-route 10.0.0.9",
    "udp 10.0.0.2:4000 > 198.18.0.1:5000 ttl 1",
    "udp 10.0.0.2:4000 > 198.51.100.7:5000 mf udp-length 100 bytes 56",
    "ip udp 10.0.0.2 > 198.51.100.7 frag 8 bytes 36",
    "tcp 10.0.0.2:4000 > 198.51.100.7:80 syn mss 1460 sack-ok timestamps 1 0 wscale 7",
    "tcp 10.0.0.2:4000 > 198.51.100.7:80 ack \"GET / HTTP/1.0\"",
    "tcp 10.0.0.2:4000 > 198.51.100.7:80 fin,ack",
    "tcp 10.0.0.9:22 > 198.51.100.7:4000 rst,ack",
    "tcp 10.0.0.2:4000 > 203.0.113.1:80 syn",
    "icmp echo 10.0.0.2 > 198.51.100.7 id 7 \"ping\"",
    "icmp echo 10.0.0.2 > 10.0.0.1 \"ping\"",
    "icmp port-unreachable 10.0.0.2 > 198.51.100.7 quote { udp 198.51.100.7:53 > 10.0.0.2:4000 \"answer\" }",
    "icmp timestamp 10.0.0.2 > 198.51.100.7 id 7 bytes 12",
    "ip gre 10.0.0.9 > 198.51.100.7 hex 00000800",
    "ip esp 10.0.0.2 > 198.51.100.7 bytes 40",
];

const FROM_OUTSIDE: &[&str] = &[
    "udp 198.51.100.7:53 > 203.0.113.1:4000 \"answer\"",
    "udp 198.51.100.7:5000 > 203.0.113.1:4000 ttl 1",
    "udp 198.51.100.7:5000 > 192.0.2.1:161",
    "tcp 198.51.100.7:80 > 203.0.113.1:4000 syn,ack mss 1400",
    "tcp 198.51.100.7:4000 > 192.0.2.8:80 syn",
    "tcp 198.51.100.7:4000 > 192.0.2.9:22 syn",
    "icmp echo-reply 198.51.100.7 > 203.0.113.1 id 7 \"ping\"",
    "icmp echo 198.51.100.7 > 192.0.2.9 id 7 \"ping\"",
    "icmp time-exceeded 198.18.0.1 > 203.0.113.1 quote { udp 203.0.113.1:4000 > 198.51.100.7:53 \"query\" }",
    "icmp fragmentation-needed 198.18.0.1 > 203.0.113.1 mtu 1280 quote { tcp 203.0.113.1:4000 > 198.51.100.7:80 syn cut 28 }",
    "icmp time-exceeded 198.18.0.1 > 203.0.113.1 quote { icmp echo 203.0.113.1 > 198.51.100.7 id 7 \"ping\" }",
    "icmp redirect 198.18.0.1 > 203.0.113.1 quote { udp 203.0.113.1:4000 > 198.51.100.7:53 }",
    "ip gre 198.51.100.7 > 192.0.2.9 hex 00000800",
    "udp 192.0.2.77:4000 > 192.0.2.1:5000",
];

struct Corpus {
    /// Frames with the side they come from: true for inside.
    frames: Vec<(bool, Vec<u8>)>,
}

impl Corpus {
    fn new(bench: &Bench) -> Corpus {
        let mut frames = Vec::new();
        for (is_inside, lines) in [(true, FROM_INSIDE), (false, FROM_OUTSIDE)] {
            let place = if is_inside { "Gi0/0/0" } else { "Gi0/0/1" };
            let interface = bench.interface(place).expect("an interface").name.clone();
            for line in lines {
                let spec: PacketSpec = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
                let packet = build::packet(&spec).unwrap_or_else(|error| panic!("{line}: {error}"));
                frames.push((is_inside, bench.frame_to(&interface, &packet).expect("a port")));
            }
            let (mac, _) = bench.link(&interface).expect("a port");
            let asked = if is_inside { [10, 0, 0, 1] } else { [192, 0, 2, 1] };
            let asker = if is_inside { [10, 0, 0, 2] } else { [192, 0, 2, 254] };
            let sender = (station_mac(asker.into()), asker.into());
            let request = Arp { operation: 1, sender, target: ([0; 6], asked.into()) };
            frames.push((is_inside, frame(BROADCAST, sender.0, None, 0x0806, &request.bytes())));
            let reply = Arp { operation: 2, sender, target: (mac, asked.into()) };
            frames.push((is_inside, frame(mac, sender.0, None, 0x0806, &reply.bytes())));
        }
        Corpus { frames }
    }

    /// A frame of the corpus, mutated or not, with the side it comes from.
    fn draw(&self, random: &mut SmallRng) -> (bool, Vec<u8>) {
        let (is_inside, mut frame) = self.frames.choose(random).expect("not empty").clone();
        if random.random_ratio(1, 50) {
            let from = random.random_range(0..=14);
            random.fill_bytes(&mut frame[from..]);
            return (is_inside, frame);
        }
        for _ in 0..*[0, 1, 1, 1, 2, 3, 8].choose(random).expect("not empty") {
            self.mutate(random, &mut frame);
        }
        // A header whose checksum is wrong goes no further: most are made right again.
        if random.random_ratio(4, 5) {
            mend_header_checksum(&mut frame);
        }
        frame.truncate(FRAME_LEN_MAX);
        (is_inside ^ random.random_ratio(1, 20), frame)
    }

    fn mutate(&self, random: &mut SmallRng, frame: &mut Vec<u8>) {
        if frame.is_empty() {
            return;
        }
        let at = random.random_range(0..frame.len());
        match random.random_range(0..10) {
            0 => frame[at] ^= 1 << random.random_range(0..8),
            1 => frame[at] = random.random(),
            2 => frame.truncate(at),
            3 => {
                let mut tail = vec![0; random.random_range(1..100)];
                random.fill_bytes(&mut tail);
                frame.extend(tail);
            }
            4 => {
                let (_, other) = self.frames.choose(random).expect("not empty");
                let from = random.random_range(0..other.len());
                frame.truncate(at);
                frame.extend(&other[from..]);
            }
            5 if frame.len() >= 12 => {
                frame.splice(12..12, [0x81, 0, 0, *[0, 7, 8].choose(random).expect("not empty")]);
            }
            6 => frame[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(random).expect("not empty"),
            // A field, set to anything: most bytes are payload, and most faults in headers.
            _ => {
                let layout = Dissection::of_frame(frame);
                if let Some(field) = layout.fields.iter().skip(3).collect::<Vec<_>>().choose(random) {
                    set(frame, field, random.random::<u64>() >> random.random_range(0..64));
                }
            }
        }
    }
}

fn mend_header_checksum(frame: &mut [u8]) {
    let layout = Dissection::of_frame(frame);
    let sites: Vec<_> =
        layout.sites.into_iter().filter(|site| site.kind == testkit::dissect::SiteKind::Ipv4).collect();
    testkit::checksum::seal(frame, &sites);
}

/// What leaves must be whole, and no source inside may show outside.
///
/// `spoofed` are sources of frames that came from outside: those go back there as they came.
fn verify_sent(interface: &str, frame: &[u8], spoofed: &[Option<u64>]) -> Result<(), &'static str> {
    let demand = |is_met: bool, what| if is_met { Ok(()) } else { Err(what) };
    let layout = Dissection::of_frame(frame);
    let Some(range) = &layout.ipv4 else {
        return demand(Arp::of_frame(frame).is_some(), "neither IPv4 nor ARP leaves");
    };
    let value = |name| layout.value(frame, 0, name).unwrap_or(0);
    let header = layout.sites.iter().find(|site| site.at == range.start + 10);
    demand(header.is_some_and(|site| is_correct(frame, site)), "the header's checksum is wrong")?;
    demand(range.len() as u64 == value("total-length"), "the total length is wrong")?;
    demand(value("ttl") > 0, "the TTL is zero")?;
    demand(frame.len() <= 18 + 1500, "it is longer than the link carries")?;
    // The box's own inside addresses may show: it answers whoever reaches them.
    let is_own = [0x0a00_0001, 0x0a00_0701].contains(&value("src"));
    let is_inside = value("src") >> 16 == 0x0a00 && !is_own && !spoofed.contains(&Some(value("src")));
    demand(interface != "GigabitEthernet0/0/1" || !is_inside, "an inside address leaves")
}

#[test]
fn every_frame_has_one_fate() {
    play("every_frame_has_one_fate", 4, 1);
}

/// Whichever queue a frame arrives on, and however many workers hand it on.
#[test]
fn every_frame_has_one_fate_among_workers() {
    play("every_frame_has_one_fate_among_workers", 5, 3);
}

/// An access list that permits everything keeps packets out of the fast path, and changes nothing else.
#[test]
fn the_fast_path_does_what_the_full_path_does() {
    let mut random = generator("the_fast_path_does_what_the_full_path_does", 6);
    let open = CONFIG.replace("ip access-group 101 in", "");
    let listed = open
        .replace("ip nat inside\n", "ip nat inside\n ip access-group 102 in\n")
        .replace("ip nat outside\n", "ip nat outside\n ip access-group 102 in\n")
        + "access-list 102 permit ip any any\n";
    for mode in ["", "ip nat settings mode cgn\n"] {
        let mut benches = [&open, &listed].map(|config| {
            let setup = Setup { frame_len_max: FRAME_LEN_MAX, ..Setup::default() };
            Bench::new("fast", &format!("{config}{mode}"), setup).expect("a configuration that is right")
        });
        let corpus = Corpus::new(&benches[0]);
        let names = ["Gi0/0/0", "Gi0/0/1"]
            .map(|place| benches[0].interface(place).expect("an interface").name.clone());
        for _ in 0..FRAME_COUNT / 64 {
            let frames: Vec<_> = (0..32).map(|_| corpus.draw(&mut random)).collect();
            let [fast, full] = benches.each_mut().map(|bench| {
                for (is_inside, frame) in &frames {
                    let name = if *is_inside { &names[0] } else { &names[1] };
                    bench.queue(name, frame).expect("room on the wire");
                }
                bench.settle().expect("invariants hold");
                (bench.take_all(), bench.drops(), ["sent", "hits", "misses"].map(|name| bench.counter(name)))
            });
            let told = |frames: &[(_, Vec<u8>)]| {
                frames.iter().map(|(_, frame)| describe::frame(frame)).collect::<Vec<_>>()
            };
            assert_eq!(told(&fast.0), told(&full.0));
            assert!(fast == full, "bytes or counters differ: {:?} {:?}", fast.2, full.2);
        }
    }
}

fn play(test: &str, seed: u64, worker_count: usize) {
    let mut random = generator(test, seed);
    let start_ms = (1 << 32) - 60_000;
    let setup = Setup { start_ms, worker_count, frame_len_max: FRAME_LEN_MAX, ..Setup::default() };
    let mut bench = Bench::new("mutated_frames", CONFIG, setup).expect("a configuration that is right");
    let corpus = Corpus::new(&bench);
    let names =
        ["Gi0/0/0", "Gi0/0/1"].map(|place| bench.interface(place).expect("an interface").name.clone());
    let mut count = 0;
    while count < FRAME_COUNT {
        let (mut batch, mut spoofed) = (Vec::new(), Vec::new());
        for _ in 0..random.random_range(1..=48) {
            let (is_inside, frame) = corpus.draw(&mut random);
            let name = if is_inside { &names[0] } else { &names[1] };
            bench.queue(name, &frame).expect("room on the wire");
            if !is_inside {
                spoofed.push(Dissection::of_frame(&frame).value(&frame, 0, "src"));
            }
            batch.push(frame);
            count += 1;
        }
        bench.settle().expect("invariants hold");
        for (interface, frame) in bench.take_all() {
            if let Err(fault) = verify_sent(interface.as_str(), &frame, &spoofed) {
                batch.iter().for_each(|frame| println!("went in {}", describe::frame(frame)));
                panic!("{fault}: {interface} {}", describe::frame(&frame));
            }
        }
        assert_eq!(bench.counter("received"), bench.put_in(), "frames taken from the wires");
        if random.random_ratio(1, 10) {
            bench.advance(random.random_range(0..5000)).expect("invariants hold");
            bench.take_all();
        }
        if random.random_ratio(1, 50) {
            bench.check_tables().expect("tables that agree");
        }
    }
    let reasons = bench.drops().into_iter().filter(|(_, count)| *count > 0).count();
    println!(
        "{count} frames, {} sent, {} dropped for {reasons} reasons",
        bench.counter("sent"),
        bench.counter("dropped")
    );
    assert!(bench.counter("sent") > 20_000 && reasons > 20, "the frames reach every part of the path");
    bench.finish().expect("every buffer back");
}
