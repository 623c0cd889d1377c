//! Whoever scans next hops that are not there keeps nobody else's packets from waiting for one that is.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use control::config::InterfaceName;
use testkit::bench::{Bench, Setup};
use testkit::packet::{View, datagram};
use testkit::stations::{Arp, frame, station_mac};

/// A large subnet on both sides, and outside networks behind a router that is known. 203.0.0.0/16 are hosts of the inside subnet.
const CONFIG: &str = "
interface GigabitEthernet0/0/0
 mac-address 0200.0000.0001
 ip address 10.1.0.1 255.255.0.0
 ip nat inside
interface GigabitEthernet0/0/1
 mac-address 0200.0000.0002
 ip address 172.16.0.1 255.255.0.0
 ip nat outside
ip route 0.0.0.0 0.0.0.0 172.16.255.254
ip route 10.0.0.0 255.255.0.0 10.1.255.254
arp 172.16.255.254 0200.0000.000b arpa
arp 10.1.255.254 0200.0000.000a arpa
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat pool P 198.18.0.1 198.18.0.6 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source static network 10.1.0.0 203.0.0.0 /16
platform dpdk
 max-sessions 65536
";
/// Packets of a scan in a millisecond.
const RATE: u32 = 100;
/// How long a scan lasts before and after a newcomer's packet, in milliseconds: an ARP answer may take as long.
const SCAN_MS: [u32; 2] = [20, 10];

struct Rig {
    bench: Bench,
    interfaces: [InterfaceName; 2],
}

impl Rig {
    fn new(stations_answer: bool) -> Rig {
        let setup = Setup { stations_answer, ..Setup::default() };
        let bench = Bench::new("scans", CONFIG, setup).expect("a configuration");
        let interfaces =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        Rig { bench, interfaces }
    }

    /// Puts a packet of a sender of this side, behind the inside router or a stranger, to the next hop with this number on the wire, and returns what it carries.
    fn queue(&mut self, side: Side, sender: u32, hop: u32) -> [u8; 8] {
        let (of_sender, of_hop) = match side {
            Side::Inside => (0x0a00_0000, 0xac10_1000),
            Side::Outside => (0x0800_0000, 0xcb00_1000),
        };
        let [source, destination] = [(of_sender, sender), (of_hop, hop)]
            .map(|(base, number)| SocketAddrV4::new(Ipv4Addr::from_bits(base + 1 + number), 7));
        let mark = (u64::from(sender) << 32 | u64::from(hop)).to_be_bytes();
        let from = &self.interfaces[side as usize];
        let frame = self.bench.frame_to(from, &datagram((source, destination), &mark)).expect("a port");
        self.bench.queue(from, &frame).expect("room on the wire");
        mark
    }

    /// The station of a next hop says where it is. Returns what the packets carry that it gets then.
    fn answer(&mut self, side: Side, hop: u32) -> Vec<Vec<u8>> {
        self.bench.take_all();
        let (own, base, gateway) = match side {
            Side::Inside => ([2, 0, 0, 0, 0, 2], 0xac10_1000, Ipv4Addr::new(172, 16, 0, 1)),
            Side::Outside => ([2, 0, 0, 0, 0, 1], 0x0a01_1000, Ipv4Addr::new(10, 1, 0, 1)),
        };
        let station = Ipv4Addr::from_bits(base + 1 + hop);
        let arp = Arp { operation: 2, sender: (station_mac(station), station), target: (own, gateway) };
        let frame = frame(own, station_mac(station), None, 0x0806, &arp.bytes());
        let to = self.interfaces[1 - side as usize].clone();
        self.bench.inject(&to, &frame).expect("an ARP packet");
        let carried = |packet: &[u8]| View::of(packet).map(|view| packet[view.payload].to_vec());
        self.bench.take(&to).iter().filter_map(|frame| carried(&frame[14..])).collect()
    }

    /// A scan for some milliseconds: each packet goes to the next of these hops.
    fn scan(
        &mut self,
        ms: u32,
        side: Side,
        sender: impl Fn(u32) -> u32,
        hops: &mut impl Iterator<Item = u32>,
    ) {
        for _ in 0..ms {
            for hop in hops.take(RATE as usize) {
                self.queue(side, sender(hop), hop);
            }
            self.bench.advance(1).expect("rest");
        }
    }
}

#[test]
fn a_scan_keeps_no_other_sender_from_waiting() {
    for scanner in [Side::Inside, Side::Outside] {
        for newcomer in [Side::Inside, Side::Outside] {
            let mut rig = Rig::new(false);
            let mut hops = 0..;
            rig.scan(SCAN_MS[0], scanner, |_| 0, &mut hops);
            let mark = rig.queue(newcomer, 1, 0x8000);
            rig.scan(SCAN_MS[1], scanner, |_| 0, &mut hops);
            assert!(rig.bench.counter("neighbour-queue-full") > 2000, "{scanner:?} scans");
            assert_eq!(rig.answer(newcomer, 0x8000), [mark], "{scanner:?} scans, {newcomer:?} is new");
            rig.bench.finish().expect("whole tables");
        }
    }
}

#[test]
fn a_scan_in_many_names_leaves_the_other_side_its_room() {
    for (scanner, newcomer) in [(Side::Inside, Side::Outside), (Side::Outside, Side::Inside)] {
        let mut rig = Rig::new(false);
        let mark = rig.queue(newcomer, 1, 0x8000);
        rig.scan(SCAN_MS[1], scanner, |hop| 2 + hop, &mut (0..));
        assert_eq!(rig.answer(newcomer, 0x8000), [mark], "{scanner:?} scans");
        rig.bench.finish().expect("whole tables");
    }
}

/// Eight wait for one next hop; whoever sends more gives up his own.
#[test]
fn who_crowds_a_next_hop_leaves_others_their_packets_for_it() {
    let mut rig = Rig::new(false);
    (0..SCAN_MS[0]).for_each(|_| _ = rig.queue(Side::Inside, 0, 7));
    let mark = rig.queue(Side::Inside, 1, 7);
    rig.scan(SCAN_MS[1], Side::Inside, |_| 0, &mut std::iter::repeat(7));
    let came = rig.answer(Side::Inside, 7);
    assert_eq!(came.len(), 8);
    assert!(came.contains(&mark.to_vec()), "{came:?}");
    rig.bench.finish().expect("whole tables");
}

/// As after a restart: nobody is known yet, and whoever all talk to answers them.
#[test]
fn a_server_answers_hosts_that_are_new_together() {
    let mut rig = Rig::new(true);
    let mut came = 0;
    for hop in 0..1000 {
        rig.queue(Side::Outside, 0, hop);
        if hop % 20 == 19 {
            rig.bench.advance(1).expect("rest");
            let inside = rig.interfaces[0].clone();
            came += rig.bench.take(&inside).iter().filter(|frame| View::of(&frame[14..]).is_some()).count();
        }
    }
    assert_eq!(came, 1000);
    rig.bench.finish().expect("whole tables");
}
