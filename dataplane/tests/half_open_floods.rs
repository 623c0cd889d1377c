//! A day of floods that leave sessions half-open: from strangers to a published server, from an infected host inside, and of
//! datagrams that nobody answers. Who talks goes on, and whoever comes new is let through within a second,
//! at the second try at the latest.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use portico::config::InterfaceName;
use rand::RngExt;
use rand::rngs::SmallRng;
use testkit::bench::{Bench, Setup};
use testkit::packet::{ACK, Kind, PSH, SYN, View, datagram, segment};
use testkit::random::generator;
use testkit::sides::{DEFAULT_ROUTE, SHARED_POOL, TWO_SIDES};

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
/// Sessions that are established all day.
const ESTABLISHED: u16 = 200;
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
    bench: Bench,
    inside: InterfaceName,
    outside: InterfaceName,
    random: SmallRng,
    flood_count: u32,
    /// Honest hosts that were there, each of which is new once.
    host_count: u32,
    /// Marks of the packets of honest hosts that came out.
    came: HashSet<u32>,
    /// Honest hosts that had to try again.
    retry_count: u32,
    established: Vec<SocketAddrV4>,
}

impl Rig {
    fn new(mode: &str) -> Rig {
        let bench = Bench::new(
            "half_open_floods",
            &format!("{TWO_SIDES}{DEFAULT_ROUTE}{SHARED_POOL}{SERVERS}{mode}"),
            Setup::default(),
        )
        .expect("a configuration");
        let [inside, outside] =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        let random = generator(&format!("half_open_floods, {mode:?}"), 1);
        Rig {
            bench,
            inside,
            outside,
            random,
            flood_count: 0,
            host_count: 0,
            came: HashSet::new(),
            retry_count: 0,
            established: Vec::new(),
        }
    }

    fn queue(&mut self, is_inside: bool, packet: &[u8]) {
        let interface = if is_inside { &self.inside } else { &self.outside };
        let frame = self.bench.frame_to(interface, packet).expect("a port");
        self.bench.queue(interface, &frame).expect("room on the wire");
    }

    /// Lets the appliance work. The published server answers, and what honest hosts sent is noted.
    fn work(&mut self) {
        self.bench.settle().expect("rest");
        let mut answered = false;
        for (interface, frame) in self.bench.take_all() {
            let Some(view) = View::of(&frame[14..]) else { continue };
            let data = &frame[14..][view.payload.clone()];
            match view.kind {
                Kind::Segment(seq, _, SYN) if view.dst.ip() == &SERVER_LOCAL => {
                    let numbers = (self.random.random(), seq.wrapping_add(1), SYN | ACK);
                    let answer = segment((view.dst, view.src), numbers, &[], &[]);
                    self.queue(true, &answer);
                    answered = true;
                }
                Kind::Segment(seq, _, SYN) if view.dst == PEER => _ = self.came.insert(seq),
                Kind::Segment(..) | Kind::Datagram if view.dst == PEER || interface == self.inside => {
                    self.came.extend(<[u8; 4]>::try_from(data).map(u32::from_be_bytes));
                }
                _ => {}
            }
        }
        if answered {
            self.bench.settle().expect("rest");
            self.bench.take_all();
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.bench.advance(ms).expect("rest");
        self.work();
    }

    fn flood(&mut self, flood: Flood) {
        self.flood_count += 1;
        let stranger = Ipv4Addr::from_bits(0x0800_0000 | self.random.random::<u32>() >> 8);
        let end = SocketAddrV4::new(stranger, self.random.random_range(1024..=65535));
        let seq = self.random.random();
        let is_now = |kind, turn| flood == kind || flood == Flood::All && self.flood_count % 3 == turn;
        if is_now(Flood::Strangers, 0) {
            self.queue(false, &segment((end, SERVER), (seq, 0, SYN), &[], &[]));
        } else if is_now(Flood::Infected, 1) {
            let own = SocketAddrV4::new(INFECTED, self.random.random_range(1024..=65535));
            self.queue(true, &segment((own, end), (seq, 0, SYN), &[], &[]));
        } else {
            self.queue(false, &datagram((end, SILENT), &[]));
        }
    }

    /// The first packet of a new host, a SYN or a datagram; a number that is seen in it.
    fn first_packet(&self, number: u32) -> (u32, Vec<u8>) {
        let local = SocketAddrV4::new(Ipv4Addr::from_bits(0x0a00_0200 + number), 50_000);
        let mark = 0x7000_0000 + number;
        match number % 2 {
            0 => (mark, segment((local, PEER), (mark, 0, SYN), &[], &[])),
            _ => (mark, datagram((local, PEER), &mark.to_be_bytes())),
        }
    }

    /// A second of a flood at this rate. In its first part a new host comes, which may try again once.
    fn second(&mut self, flood: Flood, rate: u32, second: u32) {
        let number = self.host_count;
        self.host_count += 1;
        let (mark, packet) = self.first_packet(number);
        let comes_at = self.random.random_range(0..STEPS - RETRY_STEPS);
        let of_step = |step: u32| u64::from(rate) * u64::from(step) / u64::from(STEPS);
        for step in 0..STEPS {
            let has_come = self.came.contains(&mark);
            self.retry_count += u32::from(step == comes_at + RETRY_STEPS && !has_come);
            if step == comes_at || step == comes_at + RETRY_STEPS && !has_come {
                self.queue(true, &packet);
            }
            for sent in of_step(step)..of_step(step + 1) {
                self.flood(flood);
                if sent % 100 == 99 {
                    self.work();
                }
            }
            self.work();
            self.bench.advance(1000 / u64::from(STEPS)).expect("rest");
        }
        assert!(
            self.came.remove(&mark),
            "{flood:?} at {rate} a second, second {second}: new host {number} was let through neither at first \
             nor again; {} sessions, drops {:?}",
            self.bench.sessions().len(),
            self.drops()
        );
    }

    fn drops(&self) -> Vec<(&'static str, u64)> {
        let all = self.bench.drops().into_iter().filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| (reason.label(), count)).collect()
    }

    /// Connections of many hosts, established.
    fn establish(&mut self) {
        let ends = |number: u16| SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, number as u8), 40_000);
        for number in 0..ESTABLISHED {
            let local = ends(number);
            self.queue(true, &segment((local, PEER), (100, 0, SYN), &[], &[]));
            self.bench.settle().expect("rest");
            let (_, frame) = self.bench.take_all().pop().expect("the SYN");
            let global = View::of(&frame[14..]).expect("a packet").src;
            self.queue(false, &segment((PEER, global), (900, 101, SYN | ACK), &[], &[]));
            self.bench.settle().expect("rest");
            self.queue(true, &segment((local, PEER), (101, 901, ACK), &[], &[]));
            self.bench.settle().expect("rest");
            self.bench.take_all();
            self.established.push(global);
        }
    }

    /// Every established connection carries data both ways.
    fn all_talk(&mut self) {
        for way in 0..2 {
            for (number, global) in self.established.clone().into_iter().enumerate() {
                let mark = (number as u32).to_be_bytes();
                let local = SocketAddrV4::new(Ipv4Addr::new(10, 0, 1, number as u8), 40_000);
                match way {
                    0 => self.queue(false, &segment((PEER, global), (901, 101, PSH | ACK), &[], &mark)),
                    _ => self.queue(true, &segment((local, PEER), (101, 901, PSH | ACK), &[], &mark)),
                }
            }
            self.work();
            let missing = (0..u32::from(ESTABLISHED)).filter(|mark| !self.came.remove(mark)).count();
            assert_eq!(missing, 0, "connections that carry no data any more; drops {:?}", self.drops());
        }
    }
}

/// Hours of a day, each with a flood of its own.
fn hours(mode: &str, hours: Range<u32>) {
    let mut rig = Rig::new(mode);
    rig.establish();
    for hour in hours {
        let flood = FLOODS[(hour / 6 % 4) as usize];
        let rate = RATES[(hour % 6) as usize];
        let start_ms = rig.bench.now_ms();
        for second in 0..(FLOOD_PACKETS / rate).clamp(2, 3600) {
            rig.second(flood, rate, second);
        }
        rig.all_talk();
        let left_ms = HOUR_MS - (rig.bench.now_ms() - start_ms);
        rig.pass_ms(left_ms);
    }
    rig.all_talk();
    println!(
        "{mode:?}: {} flooding packets, {} new hosts, of which {} tried again; drops {:?}",
        rig.flood_count,
        rig.host_count,
        rig.retry_count,
        rig.drops()
    );
    rig.bench.finish().expect("whole tables");
}

#[test]
fn a_day_of_floods_keeps_nobody_out() {
    hours(MODES[0], 0..24);
}

#[test]
fn and_in_cgn_mode() {
    hours(MODES[1], 0..24);
}
