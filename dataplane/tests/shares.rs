//! Tables that greedy hosts have filled still have something for those who come next, and for those who talk already.
use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use testkit::bench::Setup;
use testkit::network::Network;
use testkit::packet::{SYN, datagram, segment};
use testkit::sides::{DEFAULT_ROUTE, TWO_SIDES};
use testkit::stations::{Arp, BROADCAST, frame, station_mac};
use testkit::witness::Exchange;

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
    network: Network,
    witnesses: Vec<Exchange>,
}

fn host(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0200 + number)
}

fn network(config: &str) -> Network {
    Network::new("shares", config, Setup { stations_answer: false, ..Setup::default() })
}

impl Rig {
    fn new(mode: &str) -> Rig {
        Rig::of(&format!("{TWO_SIDES}{DEFAULT_ROUTE}{POOL}{mode}"))
    }

    fn of(config: &str) -> Rig {
        Rig { network: network(config), witnesses: Vec::new() }
    }

    /// A host's flow begins, if it may.
    fn begin(&mut self, host: Ipv4Addr, port: u16) -> Option<Exchange> {
        Exchange::open(&mut self.network, SocketAddrV4::new(host, port), PEER, b"first")
    }

    /// A host asks for the box's MAC address, as it does before its first packet.
    fn arrive(&mut self, host: Ipv4Addr) {
        let [mac, nobody] = [station_mac(host), [0; 6]];
        let request = Arp { operation: 1, sender: (mac, host), target: (nobody, GATEWAY) };
        let inside = self.network.interface(Side::Inside).clone();
        let frame = frame(BROADCAST, mac, None, 0x0806, &request.bytes());
        self.network.bench.inject(&inside, &frame).expect("an ARP packet");
        assert_eq!(self.network.bench.take_all().len(), 1, "an answer");
    }

    /// How many of so many flows of a host's begin, and are answered.
    fn begun_of(&mut self, host: Ipv4Addr, count: u16) -> usize {
        let begun: Vec<_> = (0..count).filter_map(|at| self.begin(host, 20_000 + at)).collect();
        for part in begun.chunks(50) {
            part.iter().for_each(|one| self.network.send(Side::Outside, &one.says(Side::Outside, b"answer")));
            assert_eq!(self.network.work().len(), part.len(), "who has begun is answered");
        }
        begun.len()
    }

    fn witnesses_begin(&mut self) {
        for number in 0..WITNESSES {
            let witness = self.begin(host(0x8000 + u32::from(number) / 10), 30_000 + number % 10);
            self.witnesses.push(witness.expect("a witness"));
        }
    }

    /// Every witness's number comes through, both ways.
    fn witnesses_talk(&mut self, round: u32) {
        self.witnesses.iter().for_each(|one| one.carry(&mut self.network));
        assert_eq!(self.network.take_lost(), 0, "numbers that came out nowhere, round {round}");
    }
}

/// One host of a large subnet writes in everybody's name, and answers for nobody: it gets three quarters of the table, and
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
        assert!(rig.network.bench.counter("host-unresolved") > 0, "{mode:?}");
        for number in 0..200 {
            let host = host(0x9000 + number);
            rig.arrive(host);
            assert_eq!(rig.begun_of(host, 10), 10, "{mode:?}: a host that is there");
        }
        rig.witnesses_talk(20_000);
        rig.network.bench.finish().expect("whole tables");
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
        assert!(rig.network.bench.counter("session-share") > 0, "{mode:?}: somebody wanted more");
        for number in 0..20 {
            assert_eq!(rig.begun_of(host(0x9000 + number), 10), 10, "{mode:?}: another host");
        }
        rig.witnesses_talk(GREEDY);
        rig.network.bench.finish().expect("whole tables");
    }
}

/// An ARP reply of an outside host for its own address.
fn arp_reply(addr: Ipv4Addr) -> Vec<u8> {
    let (own, station) = ([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 0xcc]);
    let target = (own, Ipv4Addr::new(192, 0, 2, 1));
    frame(own, station, None, 0x0806, &Arp { operation: 2, sender: (station, addr), target }.bytes())
}

/// What a host sends to neighbours that are not there takes all the room that it may have to wait; a packet to one that is there waits
/// nevertheless, and goes on with the neighbour's answer.
#[test]
fn a_scan_leaves_others_room_to_wait() {
    let mut network = network(&format!("{TWO_SIDES}{DEFAULT_ROUTE}{POOL}"));
    let neighbour = |last| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), 7);
    let scanned = (10..50).flat_map(|last| (0..8).map(move |port| (0, 1000 + port, last)));
    for (who, port, last) in scanned.chain([(1, 1000, 200)]) {
        let to = neighbour(last);
        network.send(Side::Inside, &datagram((SocketAddrV4::new(host(who), port), to), b"there"));
        network.work();
    }
    assert_eq!(
        network.bench.counter("neighbour-queue-full"),
        40 * 8 - 60,
        "a host has 60 of its side's 128 places"
    );
    network.send_frame(Side::Outside, &arp_reply(*neighbour(200).ip()));
    let came: Vec<_> = network.work().into_iter().map(|(_, seen)| seen.dst).collect();
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
        let came = rig.network.pass(Side::Outside, &segment((from, server), (1, 0, SYN), &[], &[]));
        assert_eq!(came.len(), 1, "stranger {number}");
        rig.network.bench.advance(1).expect("rest");
    }
    rig.network.bench.finish().expect("whole tables");
}
