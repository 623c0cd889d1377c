//! A day of floods that leave sessions half-open: from strangers to a published server, from an infected host inside, and of
//! datagrams that nobody answers. Who talks goes on, and whoever comes new is let through within a second,
//! at the second try at the latest.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use alg::Side;
use rand::RngExt;
use testkit::bench::Setup;
use testkit::network::Network;
use testkit::packet::{SYN, datagram, segment};
use testkit::sides::{DEFAULT_ROUTE, SHARED_POOL, TWO_SIDES};
use testkit::witness::Connection;

const SERVERS: &str = "
platform dpdk
 max-sessions 4096
ip nat inside source static tcp 10.0.0.80 80 203.0.113.80 80
ip nat inside source static udp 10.0.0.90 9000 203.0.113.80 9000
";
const MODES: [&str; 2] = ["", "ip nat settings mode cgn\n"];
/// The published server, which answers every SYN, as the outside knows it.
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 80), 80);
const SERVER_LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 80);
/// The published port at which nobody answers.
const SILENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 80), 9000);
/// Where honest hosts go.
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 7), 443);
const INFECTED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);
/// Connections that are established all day.
const WITNESSES: u16 = 200;
/// Packets a second.
const RATES: [u32; 6] = [3, 30, 300, 3000, 30_000, 100_000];
/// A flood lasts so many packets, but two seconds at least, and an hour at most.
const FLOOD_PACKETS: u32 = 20_000;
const HOUR_MS: u64 = 3_600_000;
/// Steps of a second.
const STEPS: u32 = 20;
/// After how many steps a host that was not let through tries again.
const RETRY_STEPS: u32 = 18;

/// What floods: those who send it, by hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    /// SYNs of strangers to the published server.
    Strangers,
    /// SYNs of the infected host to peers that are not there.
    Infected,
    /// Datagrams of strangers to the published port at which nobody answers.
    Datagrams,
    /// All three.
    All,
}

const FLOODS: [Flood; 4] = [Flood::Strangers, Flood::Infected, Flood::Datagrams, Flood::All];

struct Rig {
    network: Network,
    flood_count: u32,
    /// Honest hosts that were there, each of which is new once.
    host_count: u32,
    /// Honest hosts that had to try again.
    retry_count: u32,
    /// Connections that are established all day.
    witnesses: Vec<Connection>,
}

impl Rig {
    fn new(mode: &str) -> Rig {
        let config = format!("{TWO_SIDES}{DEFAULT_ROUTE}{SHARED_POOL}{SERVERS}{mode}");
        let mut network = Network::new(&format!("half_open_floods, {mode:?}"), &config, Setup::default());
        network.answers = |syn| *syn.dst.ip() == SERVER_LOCAL;
        let open = |number: u16| {
            let local = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, number as u8), 40_000);
            Connection::open(&mut network, local, PEER).expect("a witness")
        };
        let witnesses = (0..WITNESSES).map(open).collect();
        Rig { network, flood_count: 0, host_count: 0, retry_count: 0, witnesses }
    }

    fn flood(&mut self, flood: Flood) {
        self.flood_count += 1;
        let random = &mut self.network.random;
        let stranger = Ipv4Addr::from_bits(0x0800_0000 | random.random::<u32>() >> 8);
        let end = SocketAddrV4::new(stranger, random.random_range(1024..=65535));
        let seq = random.random();
        let is_now = |kind, turn| flood == kind || flood == Flood::All && self.flood_count % 3 == turn;
        if is_now(Flood::Strangers, 0) {
            self.network.send(Side::Outside, &segment((end, SERVER), (seq, 0, SYN), &[], &[]));
        } else if is_now(Flood::Infected, 1) {
            let own = SocketAddrV4::new(INFECTED, random.random_range(1024..=65535));
            self.network.send(Side::Inside, &segment((own, end), (seq, 0, SYN), &[], &[]));
        } else {
            self.network.send(Side::Outside, &datagram((end, SILENT), &[]));
        }
    }

    /// The first packet of a new host, a SYN or a datagram. Whether it is let through.
    fn comes(&mut self, number: u32) -> bool {
        let local = SocketAddrV4::new(Ipv4Addr::from_bits(0x0a00_0200 + number), 50_000);
        let packet = match number % 2 {
            0 => segment((local, PEER), (number, 0, SYN), &[], &[]),
            _ => datagram((local, PEER), b"first"),
        };
        !self.network.pass(Side::Inside, &packet).is_empty()
    }

    /// A second of a flood at this rate. In its first part a new host comes, which may try again once.
    fn second(&mut self, flood: Flood, rate: u32, second: u32) {
        let number = self.host_count;
        self.host_count += 1;
        let comes_at = self.network.random.random_range(0..STEPS - RETRY_STEPS);
        let mut has_come = false;
        let of_step = |step: u32| u64::from(rate) * u64::from(step) / u64::from(STEPS);
        for step in 0..STEPS {
            let is_again = step == comes_at + RETRY_STEPS && !has_come;
            self.retry_count += u32::from(is_again);
            if step == comes_at || is_again {
                has_come = self.comes(number);
            }
            for sent in of_step(step)..of_step(step + 1) {
                self.flood(flood);
                if sent % 100 == 99 {
                    self.network.work();
                }
            }
            self.network.work();
            self.network.bench.advance(1000 / u64::from(STEPS)).expect("rest");
        }
        assert!(
            has_come,
            "{flood:?} at {rate} a second, second {second}: new host {number} was let through neither at first \
             nor again; {} sessions, drops {:?}",
            self.network.bench.sessions().len(),
            self.network.drops()
        );
    }

    /// Every established connection carries data both ways.
    fn all_talk(&mut self) {
        self.witnesses.iter_mut().for_each(|one| one.carry(&mut self.network));
        let lost = self.network.take_lost();
        assert_eq!(lost, 0, "data of connections that came out nowhere; drops {:?}", self.network.drops());
    }
}

/// Hours of a day, each with a flood of its own.
fn hours(mode: &str, hours: Range<u32>) {
    let mut rig = Rig::new(mode);
    for hour in hours {
        let flood = FLOODS[(hour / 6 % 4) as usize];
        let rate = RATES[(hour % 6) as usize];
        let start_ms = rig.network.bench.now_ms();
        for second in 0..(FLOOD_PACKETS / rate).clamp(2, 3600) {
            rig.second(flood, rate, second);
        }
        rig.all_talk();
        let left_ms = HOUR_MS - (rig.network.bench.now_ms() - start_ms);
        rig.network.bench.advance(left_ms).expect("rest");
    }
    rig.all_talk();
    println!(
        "{mode:?}: {} flooding packets, {} new hosts, of which {} tried again; drops {:?}",
        rig.flood_count,
        rig.host_count,
        rig.retry_count,
        rig.network.drops()
    );
    rig.network.bench.finish().expect("whole tables");
}

#[test]
fn a_day_of_floods_keeps_nobody_out() {
    hours(MODES[0], 0..24);
}

#[test]
fn and_in_cgn_mode() {
    hours(MODES[1], 0..24);
}
