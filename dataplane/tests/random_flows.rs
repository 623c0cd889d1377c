//! Random flows through the appliance: what goes out comes back to where it came from, whatever it holds.
use std::collections::HashMap;

use control::config::InterfaceName;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::compare::differences;
use testkit::describe;
use testkit::dissect::Dissection;
use testkit::random::generator;
use testkit::sides::ON_LINK;
use testkit::spec::{PacketSpec, Value};
use testkit::stations::{next_hop_mac, station_mac};

const CONFIG: &str = "
platform dpdk
 max-sessions 120000
ip nat pool P 203.0.113.1 203.0.113.6 prefix-length 29
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat inside source list 1 pool P overload
ip nat inside source static 10.0.1.9 192.0.2.9
ip nat inside source static tcp 10.0.1.8 8080 192.0.2.8 80
";

struct Test {
    bench: Bench,
    inside: InterfaceName,
    outside: InterfaceName,
}

/// An address and a port, or the identifier of a ping.
type Endpoint = ([u8; 4], u16);

/// One flow as the inside sees it.
#[derive(Clone, Copy)]
struct Flow {
    kind: Kind,
    local: Endpoint,
    peer: Endpoint,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Udp,
    Tcp,
    Echo,
}

impl Test {
    fn new(worker_count: usize) -> Test {
        let setup = Setup { worker_count, ..Setup::default() };
        let bench = Bench::new("random_flows", &format!("{ON_LINK}{CONFIG}"), setup)
            .expect("a configuration that is right");
        let name = |place: &str| bench.interface(place).expect("an interface").name.clone();
        let (inside, outside) = (name("inside"), name("outside"));
        Test { bench, inside, outside }
    }

    /// Sends a packet in on one side and returns the one frame that comes out on the other.
    fn pass(&mut self, packet: &[u8], is_outbound: bool) -> Vec<u8> {
        let (from, to) = match is_outbound {
            true => (self.inside.clone(), self.outside.clone()),
            false => (self.outside.clone(), self.inside.clone()),
        };
        let frame = self.bench.frame_to(&from, packet).expect("a port");
        self.bench.inject(&from, &frame).expect("invariants hold");
        let mut came = self.bench.take_all();
        let text = describe::packet(packet);
        assert_eq!(came.len(), 1, "{text}: {came:?}, drops {:?}", self.dropped());
        let (interface, frame) = came.remove(0);
        assert_eq!(interface, to, "{text}: drops {:?}", self.dropped());
        frame
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        let drops = self.bench.drops().into_iter();
        drops.filter(|(_, count)| *count > 0).map(|(reason, count)| (reason.label(), count)).collect()
    }

    /// Verifies a frame byte for byte: `before` with the named fields changed.
    fn verify(&self, came: &[u8], before: &[u8], spec: &PacketSpec, is_outbound: bool) {
        let packet = build::forwarded(before, spec).expect("an IPv4 packet");
        let name = if is_outbound { &self.outside } else { &self.inside };
        let destination = <[u8; 4]>::try_from(&packet[16..20]).expect("four bytes").into();
        let config = self.bench.config();
        let to = next_hop_mac(config, config.interface(name).expect("an interface"), destination);
        let (from, vlan) = self.bench.link(name).expect("a port");
        let expected = testkit::stations::frame(to, from, vlan, 0x0800, &packet);
        let differing = differences(&expected, came);
        assert!(differing.is_empty(), "{differing:?}\nwent in {}", describe::packet(before));
    }
}

fn random_flow(random: &mut SmallRng) -> Flow {
    let kind = *[Kind::Udp, Kind::Tcp, Kind::Echo].choose(random).expect("not empty");
    let local =
        ([10, 0, random.random_range(0..2), random.random_range(2..10)], random.random_range(1..=65535));
    let peer = ([198, 51, 100, random.random_range(1..=254)], random.random_range(1..=65535));
    Flow { kind, local, peer }
}

fn address([a, b, c, d]: [u8; 4]) -> String {
    format!("{a}.{b}.{c}.{d}")
}

/// A packet with random fields and payload between two endpoints.
fn random_packet(random: &mut SmallRng, kind: Kind, src: Endpoint, dst: Endpoint) -> Vec<u8> {
    let (from, to) = (address(src.0), address(dst.0));
    let head = match kind {
        Kind::Udp => {
            let sum = ["", "", "checksum none", "checksum bad"].choose(random).expect("not empty");
            format!("udp {from}:{} > {to}:{} {sum}", src.1, dst.1)
        }
        Kind::Tcp => {
            // An answer to a SYN begins nothing.
            let flags = ["syn", "ack", "psh,ack", "fin,ack", "ack,urg,ece"].choose(random);
            let options = ["", "mss 1460", "timestamps 1 2 nop nop", "sack 5-9 sack-ok"].choose(random);
            let (flags, options) = (flags.expect("not empty"), options.expect("not empty"));
            let (seq, ack) = (random.random::<u32>(), random.random::<u32>());
            format!("tcp {from}:{} > {to}:{} {flags} seq {seq} ack {ack} {options}", src.1, dst.1)
        }
        Kind::Echo => {
            let (name, id) = if src.0[0] == 10 { ("echo", src.1) } else { ("echo-reply", dst.1) };
            format!("icmp {name} {from} > {to} id {id} seq {}", random.random::<u16>())
        }
    };
    let options = ["", "", "", "record-route 2", "ip-options 94040000"].choose(random).expect("not empty");
    let (ttl, tos, id) = (random.random_range(2..=255u8), random.random::<u8>(), random.random::<u16>());
    let mut spec: PacketSpec =
        format!("{head} ttl {ttl} tos {tos} ip-id {id} {options}").parse().expect("the notation");
    if random.random() {
        spec.settings.push(("df", Value::Is(1)));
    }
    let mut data = vec![0; random.random_range(0..600)];
    random.fill_bytes(&mut data);
    spec.data = Some(data);
    build::packet(&spec).expect("a packet")
}

fn endpoint(frame: &[u8], kind: Kind, addr: &str, port: &str) -> Endpoint {
    let layout = Dissection::of_frame(frame);
    let port = if kind == Kind::Echo { "id" } else { port };
    let value = |name| layout.value(frame, 0, name).expect("a field");
    ((value(addr) as u32).to_be_bytes(), value(port) as u16)
}

/// The fields that a translator changes.
fn changed(kind: Kind, addr: &'static str, port: &'static str, to: Endpoint) -> PacketSpec {
    let text = match kind {
        Kind::Udp => "udp *:* > *:*",
        Kind::Tcp => "tcp *:* > *:*",
        Kind::Echo => "icmp echo * > *",
    };
    let mut spec: PacketSpec = text.parse().expect("the notation");
    let port = if kind == Kind::Echo { "id" } else { port };
    let to_address = u64::from(u32::from_be_bytes(to.0));
    spec.settings = vec![(addr, Value::Is(to_address)), (port, Value::Is(u64::from(to.1)))];
    spec
}

/// Translating and translating back is the identity; and since every frame is compared with checksums that are
/// computed in full, updating them by what changed comes to the same.
#[test]
fn what_goes_out_comes_back() {
    there_and_back("what_goes_out_comes_back", 1, 1);
}

#[test]
fn what_goes_out_comes_back_among_workers() {
    there_and_back("what_goes_out_comes_back_among_workers", 6, 3);
}

fn there_and_back(test: &str, seed: u64, worker_count: usize) {
    let mut random = generator(test, seed);
    let mut test = Test::new(worker_count);
    let mut globals: HashMap<(u8, Endpoint), Endpoint> = HashMap::new();
    for _ in 0..20_000 {
        let Flow { kind, local, peer } = random_flow(&mut random);
        let packet = random_packet(&mut random, kind, local, peer);
        let came = test.pass(&packet, true);
        let global = endpoint(&came, kind, "src", "sport");
        test.verify(&came, &packet, &changed(kind, "src", "sport", global), true);
        // One global endpoint for each local one, whoever the peer is (RFC 4787 REQ-1).
        let known = *globals.entry((kind as u8, local)).or_insert(global);
        assert_eq!(known, global, "{local:?} has two global endpoints");

        let answer = random_packet(&mut random, kind, peer, global);
        let came = test.pass(&answer, false);
        test.verify(&came, &answer, &changed(kind, "dst", "dport", local), false);
    }
    assert!(test.dropped().is_empty(), "{:?}", test.dropped());
    test.bench.finish().expect("invariants hold");
}

/// Flows that come and go for hours: the ports in use are always those of the live mappings, and no two inside
/// endpoints ever share one.
#[test]
fn ports_in_use_are_those_of_live_mappings() {
    let mut random = generator("ports_in_use_are_those_of_live_mappings", 2);
    let mut test = Test::new(1);
    for round in 0..400 {
        for _ in 0..random.random_range(1..40) {
            let Flow { kind, local, peer } = random_flow(&mut random);
            let packet = random_packet(&mut random, kind, local, peer);
            test.pass(&packet, true);
        }
        test.bench.advance(random.random_range(0..60_000)).expect("invariants hold");
        test.bench.check_tables().expect("tables that agree");
        let in_use: u32 = test.bench.ports_in_use().iter().map(|(_, count)| count).sum();
        assert_eq!(in_use as usize, test.bench.mapping_count(), "round {round}");
        let mut owners = HashMap::new();
        for row in test.bench.sessions() {
            let owner = owners.entry((row.protocol, row.inside_global)).or_insert(row.inside_local);
            assert_eq!(*owner, row.inside_local, "round {round}: {:?} has two owners", row.inside_global);
        }
    }
    test.bench.advance(90_000_000).expect("invariants hold");
    assert_eq!((test.bench.sessions().len(), test.bench.mapping_count()), (0, 0), "everything ends in a day");
    assert_eq!(test.bench.ports_in_use(), [], "and gives its ports back");
    assert_eq!(test.bench.counter("dropped"), 0);
    test.bench.finish().expect("invariants hold");
}

/// The station of an inside host is where the kit says it is; without that nothing above means anything.
#[test]
fn stations_are_told_apart() {
    let mut random = generator("stations_are_told_apart", 3);
    let mut test = Test::new(1);
    let flow = Flow { kind: Kind::Udp, local: ([10, 0, 0, 2], 4000), peer: ([198, 51, 100, 7], 5000) };
    let packet = random_packet(&mut random, flow.kind, flow.local, flow.peer);
    let came = test.pass(&packet, true);
    assert_eq!(came[..6], station_mac([192, 0, 2, 254].into()));
}
