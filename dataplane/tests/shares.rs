//! Tables that greedy hosts have filled still have something for those who come next, and for those who talk already.

use std::net::{Ipv4Addr, SocketAddrV4};

use portico::config::InterfaceName;
use testkit::bench::{Bench, Setup};
use testkit::player::packet::{SYN, View, datagram, segment};
use testkit::sides::{DEFAULT_ROUTE, TWO_SIDES};
use testkit::stations::{Arp, BROADCAST, frame, station_mac};

const POOL: &str = "
platform dpdk
 max-sessions 16384
ip nat pool P 203.0.113.1 203.0.113.6 prefix-length 24
access-list 1 permit 10.0.0.0 0.255.255.255
ip nat inside source list 1 pool P overload
";
const MODES: [&str; 2] = ["", "ip nat settings mode cgn\n"];
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 443);
/// The box, in the test whose hosts are on its own subnet.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Hosts that want all that there is.
const GREEDY: u32 = 80;
/// Sessions that carry numbers all the time.
const WITNESSES: u16 = 1000;

struct Rig {
    bench: Bench,
    inside: InterfaceName,
    outside: InterfaceName,
    witnesses: Vec<SocketAddrV4>,
}

fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0200 + number)
}

impl Rig {
    fn new(mode: &str) -> Rig {
        Rig::of(&format!("{TWO_SIDES}{DEFAULT_ROUTE}{POOL}{mode}"))
    }

    fn of(config: &str) -> Rig {
        let setup = Setup { stations_answer: false, ..Setup::default() };
        let bench = Bench::new("shares", config, setup).expect("a configuration");
        let [inside, outside] =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        Rig { bench, inside, outside, witnesses: Vec::new() }
    }

    /// Sends packets from one side. Returns the packets that come out at the other.
    fn send(&mut self, is_inside: bool, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let (from, to) = match is_inside {
            true => (self.inside.clone(), self.outside.clone()),
            false => (self.outside.clone(), self.inside.clone()),
        };
        for packet in packets {
            let frame = self.bench.frame_to(&from, packet).expect("a port");
            self.bench.queue(&from, &frame).expect("room on the wire");
        }
        self.bench.settle().expect("rest");
        let came = self.bench.take_all().into_iter().filter(|(interface, _)| *interface == to);
        came.map(|(_, frame)| frame[14..].to_vec()).collect()
    }

    /// A host's flow begins, if it may: its global endpoint.
    fn begin(&mut self, host: Ipv4Addr, port: u16) -> Option<SocketAddrV4> {
        let packet = datagram((SocketAddrV4::new(host, port), PEER), b"first");
        let came = self.send(true, &[packet]);
        came.first().and_then(|packet| View::of(packet)).map(|view| view.src)
    }

    /// A host asks for the box's station, as it does before its first packet.
    fn arrive(&mut self, host: Ipv4Addr) {
        let [mac, nobody] = [station_mac(host), [0; 6]];
        let request = Arp { operation: 1, sender: (mac, host), target: (nobody, GATEWAY) };
        let inside = self.inside.clone();
        let frame = frame(BROADCAST, mac, None, 0x0806, &request.bytes());
        self.bench.inject(&inside, &frame).expect("an ARP packet");
        assert_eq!(self.bench.take_all().len(), 1, "an answer");
    }

    /// How many of so many flows of a host's begin, and are answered.
    fn begun_of(&mut self, host: Ipv4Addr, count: u16) -> usize {
        let begun: Vec<_> = (0..count).filter_map(|at| self.begin(host, 20_000 + at)).collect();
        let answers: Vec<_> = begun.iter().map(|&global| datagram((PEER, global), b"answer")).collect();
        for part in answers.chunks(50) {
            assert_eq!(self.send(false, part).len(), part.len(), "who has begun is answered");
        }
        begun.len()
    }

    fn witnesses_begin(&mut self) {
        for number in 0..WITNESSES {
            let global = self.begin(host(0x8000 + u32::from(number) / 10), 30_000 + number % 10);
            self.witnesses.push(global.expect("a witness"));
        }
    }

    /// Every witness's number comes through, both ways.
    fn witnesses_talk(&mut self, round: u32) {
        let number = |at: usize| (round << 16 | at as u32).to_be_bytes();
        let local = |at: usize| SocketAddrV4::new(host(0x8000 + at as u32 / 10), 30_000 + (at % 10) as u16);
        for is_inside in [true, false] {
            let globals = self.witnesses.clone();
            let ends = |at: usize| if is_inside { (local(at), PEER) } else { (PEER, globals[at]) };
            for part in (0..globals.len()).collect::<Vec<_>>().chunks(50) {
                let packets: Vec<_> = part.iter().map(|&at| datagram(ends(at), &number(at))).collect();
                let came = self.send(is_inside, &packets);
                let said: Vec<_> = came
                    .iter()
                    .filter_map(|packet| View::of(packet).map(|view| &packet[view.payload]))
                    .collect();
                let all: Vec<_> = part.iter().map(|&at| number(at)).collect();
                assert!(all.iter().all(|number| said.contains(&&number[..])), "round {round}: {said:?}");
            }
        }
    }
}

/// One station of a large subnet writes in everybody's name, and answers for nobody: it gets three quarters of the table, and
/// who is there has the rest.
#[test]
fn made_up_names_leave_room_for_those_who_answer() {
    let subnet = TWO_SIDES.replace("10.1.0.1 255.255.255.0", "10.0.0.1 255.255.0.0");
    let subnet =
        subnet.replace("ip route 10.0.0.0 255.255.0.0 10.1.0.2\narp 10.1.0.2 0200.0000.000a arpa\n", "");
    for mode in MODES {
        let mut rig = Rig::of(&format!("{subnet}{DEFAULT_ROUTE}{POOL}{mode}"));
        (0..WITNESSES / 10).for_each(|number| rig.arrive(host(0x8000 + u32::from(number))));
        rig.witnesses_begin();
        let mut taken = 0;
        for number in 0..20_000 {
            taken += usize::from(rig.begin(host(number), 4000).is_some());
            if number % 5000 == 0 {
                rig.witnesses_talk(number);
            }
        }
        assert_eq!(taken + usize::from(WITNESSES), 16384 * 3 / 4 + 1, "{mode:?}: three quarters");
        assert!(rig.bench.counter("host-unresolved") > 0, "{mode:?}");
        for number in 0..200 {
            let host = host(0x9000 + number);
            rig.arrive(host);
            assert_eq!(rig.begun_of(host, 10), 10, "{mode:?}: a host that is there");
        }
        rig.witnesses_talk(20_000);
        rig.bench.finish().expect("whole tables");
    }
}

/// The session table is full of answered flows of many hosts, as full as it gets; one host more gets its first ten.
#[test]
fn a_full_table_has_ten_sessions_for_another_host() {
    for mode in MODES {
        let mut rig = Rig::new(mode);
        rig.witnesses_begin();
        let mut taken = 0;
        for number in 0..GREEDY {
            taken += rig.begun_of(host(number), 300);
            if number % 20 == 0 {
                rig.witnesses_talk(number);
            }
        }
        assert!(taken > 13_500, "{mode:?}: {taken} of 16384 are taken");
        assert!(rig.bench.counter("session-share") > 0, "{mode:?}: somebody wanted more");
        for number in 0..20 {
            assert_eq!(rig.begun_of(host(0x9000 + number), 10), 10, "{mode:?}: another host");
        }
        rig.witnesses_talk(GREEDY);
        rig.bench.finish().expect("whole tables");
    }
}

/// An ARP reply of an outside station for its own address.
fn arp_reply(addr: Ipv4Addr) -> Vec<u8> {
    let (own, station) = ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 0xcc]);
    let mut frame = [own, station].concat();
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    frame.extend(station);
    frame.extend(addr.octets());
    frame.extend(own);
    frame.extend([192, 0, 2, 1]);
    frame
}

/// What a host sends to neighbours that are not there takes all the room that it may have to wait; a packet to one that is there waits
/// nevertheless, and goes on with the neighbour's answer.
#[test]
fn a_scan_leaves_others_room_to_wait() {
    let setup = Setup { stations_answer: false, ..Setup::default() };
    let bench = Bench::new("shares", &format!("{TWO_SIDES}{DEFAULT_ROUTE}{POOL}"), setup);
    let mut bench = bench.expect("a configuration");
    let [inside, outside] =
        ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
    let neighbour = |last| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), 7);
    let scanned = (10..50).flat_map(|last| (0..8).map(move |port| (0, 1000 + port, last)));
    for (who, port, last) in scanned.chain([(1, 1000, 200)]) {
        let packet = datagram((SocketAddrV4::new(host(who), port), neighbour(last)), b"there");
        let frame = bench.frame_to(&inside, &packet).expect("a port");
        bench.queue(&inside, &frame).expect("room on the wire");
        bench.settle().expect("rest");
    }
    assert_eq!(bench.counter("neighbour-queue-full"), 40 * 8 - 60, "a host has 60 of its side's 128 places");
    bench.take_all();
    bench.queue(&outside, &arp_reply(*neighbour(200).ip())).expect("room on the wire");
    bench.settle().expect("rest");
    let came: Vec<_> = bench
        .take_all()
        .iter()
        .filter_map(|(_, frame)| View::of(&frame[14..]).map(|view| view.dst))
        .collect();
    assert_eq!(came, [neighbour(200)]);
}

const OUTSIDE_POOL: &str = "
ip nat inside source static tcp 10.0.0.80 80 203.0.113.80 80
ip nat pool LOCAL 172.16.1.1 172.16.1.8 prefix-length 24
access-list 2 permit 8.0.0.0 0.255.255.255
ip nat outside source list 2 pool LOCAL
";

/// Strangers have all addresses of an outside pool, and the oldest gives way to each that comes: however many did before, and though
/// one of them has two flows and none of these gives an address free.
#[test]
fn an_outside_pool_has_an_address_for_every_newcomer() {
    let mut rig = Rig::new(OUTSIDE_POOL);
    let server = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 80), 80);
    for (number, port) in [(0, 1000), (0, 1001)].into_iter().chain((1..300).map(|number| (number, 1000))) {
        let from = SocketAddrV4::new(Ipv4Addr::from_bits(0x0800_0001 + number), port);
        let came = rig.send(false, &[segment((from, server), (1, 0, SYN), &[], &[])]);
        assert_eq!(came.len(), 1, "stranger {number}");
        rig.bench.advance(1).expect("rest");
    }
    rig.bench.finish().expect("whole tables");
}
