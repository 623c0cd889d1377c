//! Room for control sessions: one host's flood, or one protocol's, leaves other hosts and other gateways attaching.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use alg::registry::{Port, ROWS};
use alg::{Row, Transport};
use testkit::bench::{Bench, Setup};
use testkit::network::Network;
use testkit::packet::{SYN, datagram, segment};
use testkit::sides::ON_LINK;

const CONFIG: &str = "
platform dpdk
 max-sessions 200000
ip nat pool P 203.0.113.1 203.0.113.6 prefix-length 29
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat inside source list 1 pool P overload
ip nat inside source static 10.0.1.9 192.0.2.9
";
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// A question with EDNS, whose asker's limit is remembered.
const QUESTION: &[u8] =
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03www\x07example\x03com\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\0";
/// A request of RTSP whose set-up is remembered.
const SETUP: &[u8] =
    b"SETUP rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=6000-6001\r\n\r\n";
const READ: &[u8] = b"\0\x01boot\0octet\0";

/// Control sessions of a worker. A gateway may have what is not the others' own; a sixteenth is for hosts with few.
const PLACES: u64 = 16_384;
const OF_GATEWAY: u64 = PLACES - PLACES / (2 * ROWS.len() as u64) * (ROWS.len() as u64 - 1);
const OF_ONE_HOST: u64 = (OF_GATEWAY - OF_GATEWAY / 16).div_ceil(2);

fn host(number: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2 + (number >> 8) as u8, number as u8)
}

/// A first packet to a gateway's port, from IPv4 header on.
fn first_packet(row: &Row, at: &Port, source: (Ipv4Addr, u16)) -> Vec<u8> {
    let ends = (SocketAddrV4::new(source.0, source.1), SocketAddrV4::new(SERVER, at.port));
    match at.transport {
        Transport::Tcp => segment(ends, (256, 0, SYN), &[], &[]),
        Transport::Udp => {
            let payload = match row.name {
                "dns" => QUESTION,
                "rtsp" => SETUP,
                _ => READ,
            };
            datagram(ends, payload)
        }
    }
}

struct Test(Network);

impl Test {
    fn new() -> Test {
        Test(Network::new("control_rooms", &format!("{ON_LINK}{CONFIG}"), Setup::default()))
    }

    /// So many sessions of each host begin. Returns how many attached, and how many found no room.
    fn begin(
        &mut self,
        row: &Row,
        at: &Port,
        hosts: std::ops::Range<u16>,
        ports: std::ops::Range<u16>,
    ) -> (u64, u64) {
        let counters =
            |bench: &Bench| ["attached", "unread"].map(|name| bench.counter(&format!("{}-{name}", row.name)));
        let before = counters(&self.0.bench);
        for number in hosts {
            for port in ports.clone() {
                self.0.send(Side::Inside, &first_packet(row, at, (host(number), port)));
            }
        }
        self.0.work();
        let after = counters(&self.0.bench);
        (after[0] - before[0], after[1] - before[1])
    }

    /// Another host's sessions attach, of every gateway.
    fn others_attach(&mut self, greedy: &str) {
        for row in ROWS {
            for at in row.ports() {
                let (attached, unread) = self.begin(row, at, 2000..2001, 3000..3001);
                assert_eq!((attached, unread), (1, 0), "{} at {at:?} after a flood of {greedy}", row.name);
            }
        }
    }
}

#[test]
fn one_hosts_flood_leaves_other_hosts_and_gateways_attaching() {
    for row in ROWS {
        for at in row.ports() {
            let mut test = Test::new();
            let (attached, unread) = test.begin(row, at, 0..1, 2000..8000);
            println!(
                "{} at {:?} {}: of 6000 sessions of one host {attached} attached, {unread} had no room",
                row.name, at.transport, at.port
            );
            assert_eq!(attached + unread, 6000);
            match at.transport {
                Transport::Tcp => assert_eq!(attached, OF_ONE_HOST, "as many as it leaves to its gateway"),
                Transport::Udp => assert_eq!(unread, 0, "datagrams are read without a record too"),
            }
            test.others_attach(row.name);
        }
    }
}

#[test]
fn many_hosts_flood_leaves_other_gateways_attaching() {
    for row in ROWS {
        let at = &row.ports()[0];
        let mut test = Test::new();
        let (attached, unread) = test.begin(row, at, 0..40, 2000..2500);
        println!(
            "{} at {:?} {}: of 20000 sessions of 40 hosts {attached} attached, {unread} had no room",
            row.name, at.transport, at.port
        );
        assert!(unread > 0 || at.transport == Transport::Udp, "the flood is large enough");
        for other in ROWS.iter().filter(|other| other.name != row.name) {
            for at in other.ports() {
                let came = test.begin(other, at, 2000..2001, 3000..3001);
                assert_eq!(came, (1, 0), "{} at {at:?} after a flood of {}", other.name, row.name);
            }
        }
    }
}
