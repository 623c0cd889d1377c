//! The appliance with a wire on each side: packets go in, and those who wait for some of them see them come out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use portico::config::InterfaceName;
use rand::RngExt;
use rand::rngs::SmallRng;
use testkit::bench::{Bench, Setup};
use testkit::packet::{ACK, FIN, SYN, TCP, segment};
use testkit::random::generator;
use testkit::sides::{DEFAULT_ROUTE, TWO_SIDES};

/// What strangers reach servers of 10.0.0.0/24 by.
pub const PUBLISHED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
/// A server that nobody attacks, and its address outside.
pub const PRIVATE_SERVER: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 3, 80), Ipv4Addr::new(203, 0, 113, 81)];
/// A pool of two addresses; for hosts from 10.0.64.0 on the interface's own, of which they have few ports. Addresses of 11.0.0.0/8
/// are others inside, of which there are few, but in CGN mode; one host has a whole address, so that DNS is read. TCP's idle time and that of whole addresses are two hours and four minutes
/// (RFC 5382 REQ-5) instead of a day, so that in a day what one attack established has ended before another one.
const CONFIG: &str = "
platform dpdk
 max-sessions 8192
access-list 1 permit 10.0.0.0 0.0.63.255
access-list 1 permit 10.0.128.0 0.0.127.255
access-list 2 permit 10.0.64.0 0.0.63.255
access-list 7 permit 11.0.0.0 0.255.255.255
ip nat pool P 203.0.113.1 203.0.113.2 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source list 2 interface GigabitEthernet0/0/1 overload
ip nat settings interface-overload port range start 20000 end 21999
ip nat pool OUT 172.16.1.1 172.16.1.30 prefix-length 24
ip nat outside source list 7 pool OUT
ip nat inside source static tcp 10.0.3.80 80 203.0.113.81 80
ip nat inside source static 10.0.3.81 203.0.113.82
ip nat inside source static tcp 10.0.0.80 80 203.0.113.80 80
ip nat inside source static tcp 10.0.0.21 21 203.0.113.80 21
ip nat inside source static tcp 10.0.0.54 554 203.0.113.80 554
ip nat inside source static tcp 10.0.0.14 514 203.0.113.80 514
ip nat inside source static tcp 10.0.0.53 53 203.0.113.80 53
ip nat inside source static udp 10.0.0.53 53 203.0.113.80 53
ip nat inside source static udp 10.0.0.69 69 203.0.113.80 69
ip nat inside source static udp 10.0.0.90 9000 203.0.113.80 9000
ip nat translation tcp-timeout 7440
ip nat translation timeout 7440
ip route 198.18.0.0 255.254.0.0 Null0
interface GigabitEthernet0/0/1
 ip mtu 1400
";
/// Frames on the wires at once.
const AT_ONCE: usize = 128;
/// A packet with a number that somebody waits for begins with this.
const MARK: [u8; 4] = *b"mark";
/// Rounds of the workers after each step of time: a round ends 32 sessions at most, and in so long there are thousands of rounds.
const ROUNDS: usize = 8;

/// A side of the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Inside,
    Outside,
}

impl Side {
    pub fn other(self) -> Side {
        if self == Side::Inside { Side::Outside } else { Side::Inside }
    }
}

/// What is seen of a packet: ports are 0 where it has none.
#[derive(Clone, Debug)]
pub struct Seen {
    pub protocol: u8,
    pub src: SocketAddrV4,
    pub dst: SocketAddrV4,
    pub seq: u32,
    pub flags: u8,
    pub payload: Vec<u8>,
}

impl Seen {
    /// Reads a packet without IP options; fragments have no ports.
    pub fn of(packet: &[u8]) -> Option<Seen> {
        let addr = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let is_fragment = packet.get(6)? & 0x3f != 0 || *packet.get(7)? != 0;
        let protocol = *packet.get(9)?;
        let has_ports = !is_fragment && (protocol == 6 || protocol == 17);
        let word =
            |at: usize| packet.get(at..at + 2).map_or(0, |word| u16::from_be_bytes([word[0], word[1]]));
        let port = |at: usize| if has_ports { word(at) } else { 0 };
        let (mut seq, mut flags, mut data_at) = (0, 0, if has_ports { 28 } else { 20 });
        if has_ports && protocol == TCP {
            seq = u32::from(word(24)) << 16 | u32::from(word(26));
            flags = *packet.get(33)?;
            data_at = 20 + usize::from(packet.get(32)? >> 4) * 4;
        }
        let payload = packet.get(data_at..).unwrap_or_default().to_vec();
        let (src, dst) = (SocketAddrV4::new(addr(12)?, port(20)), SocketAddrV4::new(addr(16)?, port(22)));
        Some(Seen { protocol, src, dst, seq, flags, payload })
    }

    /// The number that its receiver waits for after it.
    pub fn next_seq(&self) -> u32 {
        let of_flags = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        self.seq.wrapping_add(self.payload.len() as u32 + of_flags)
    }
}

/// Where a packet with a number is to come out, from and to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub side: Side,
    pub src: SocketAddrV4,
    pub dst: SocketAddrV4,
}

/// The appliance and its wires.
pub struct Network {
    pub bench: Bench,
    pub random: SmallRng,
    names: [InterfaceName; 2],
    on_wires: usize,
    awaited: HashMap<u32, Awaited>,
    mark_count: u32,
    /// Packets that went in.
    pub sent: u64,
}

impl Network {
    pub fn new(mode: &str, worker_count: usize) -> Network {
        let setup = Setup { worker_count, stations_answer: false, ..Setup::default() };
        let config = format!("{TWO_SIDES}{DEFAULT_ROUTE}{CONFIG}{mode}");
        let bench = Bench::new("attacks_day", &config, setup).expect("a configuration");
        let names =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        let random = generator(&format!("attacks_day, {mode:?}, {worker_count} workers"), 1);
        let awaited = HashMap::new();
        Network { bench, random, names, on_wires: 0, awaited, mark_count: 0, sent: 0 }
    }

    /// The payload of a packet that is to come out so.
    pub fn mark(&mut self, awaited: Awaited) -> Vec<u8> {
        self.mark_count += 1;
        self.awaited.insert(self.mark_count, awaited);
        [MARK, self.mark_count.to_be_bytes()].concat()
    }

    /// Sends a packet, at once with some others.
    pub fn send(&mut self, side: Side, packet: &[u8]) {
        let port = side as u8;
        let mut frame = vec![2, 0, 0, 0, 0, port + 1, 2, 0, 0, 0, 0, 0xa + port, 8, 0];
        frame.extend(packet);
        self.send_frame(side, &frame);
    }

    pub fn send_frame(&mut self, side: Side, frame: &[u8]) {
        self.bench.queue(&self.names[side as usize], frame).expect("room on the wire");
        self.sent += 1;
        self.on_wires += 1;
        if self.on_wires >= AT_ONCE {
            self.work();
        }
    }

    /// Lets the appliance take what is on the wires, and hosts see what comes out.
    pub fn work(&mut self) {
        while self.on_wires > 0 {
            self.on_wires = 0;
            self.see();
        }
    }

    /// What a side sees, once the appliance is at rest.
    fn see(&mut self) -> Vec<(Side, Seen)> {
        self.bench.settle().expect("rest");
        let inside = self.names[0].clone();
        let mut all = Vec::new();
        for (name, frame) in self.bench.take_all() {
            let side = if name == inside { Side::Inside } else { Side::Outside };
            let Some(seen) = Seen::of(&frame[14..]) else { continue };
            self.expect(side, &seen);
            // Servers answer whoever asks, and strangers in made-up names do not.
            let is_server = side == Side::Inside && seen.dst.ip().octets()[..3] == [10, 0, 0];
            if is_server && seen.protocol == TCP && seen.flags & (SYN | ACK) == SYN && !is_known(seen.src) {
                let numbers = (self.random.random(), seen.seq.wrapping_add(1), SYN | ACK);
                let answer = segment((seen.dst, seen.src), numbers, &[], &[]);
                self.send(Side::Inside, &answer);
            }
            all.push((side, seen));
        }
        all
    }

    /// Sends a packet alone. Returns what comes out for it at the other side.
    pub fn pass(&mut self, side: Side, packet: &[u8]) -> Vec<Seen> {
        self.work();
        let sent = Seen::of(packet).expect("a packet");
        self.send(side, packet);
        self.on_wires = 0;
        let came = self.see().into_iter().filter(|(at, _)| *at == side.other()).map(|(_, seen)| seen);
        // The outside end is the same on both sides, or one of the outside pool.
        let is_same = |one: SocketAddrV4, other: SocketAddrV4| {
            let is_pooled = is_of_outside_pool(one) || is_of_outside_pool(other);
            one == other || is_pooled && one.port() == other.port()
        };
        let is_it = |seen: &Seen| {
            let (one, other) = if side == Side::Inside { (seen.dst, sent.dst) } else { (seen.src, sent.src) };
            seen.protocol == sent.protocol && is_same(one, other)
        };
        came.filter(is_it).collect()
    }

    fn expect(&mut self, side: Side, seen: &Seen) {
        let Some(mark) = seen.payload.strip_prefix(&MARK).and_then(|rest| rest.first_chunk::<4>()) else {
            return;
        };
        let came = Awaited { side, src: seen.src, dst: seen.dst };
        if let Some(awaited) = self.awaited.remove(&u32::from_be_bytes(*mark)) {
            assert_eq!(came, awaited, "a packet of a witness is translated as before");
        }
    }

    /// Time passes, with all that ends in it.
    pub fn pass_ms(&mut self, ms: u64) {
        self.work();
        assert!(self.awaited.is_empty(), "lost on the way: {:?}; drops {:?}", self.awaited, self.drops());
        self.bench.advance(ms).expect("rest");
        for _ in 0..ROUNDS {
            self.see();
        }
        self.work();
    }

    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        let all = self.bench.drops().into_iter().filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| (reason.label(), count)).collect()
    }
}

/// Whether somebody is there who answers for himself, step by step.
fn is_known(end: SocketAddrV4) -> bool {
    end.ip().octets()[..3] == [198, 51, 100]
}

fn is_of_outside_pool(end: SocketAddrV4) -> bool {
    end.ip().octets()[..3] == [172, 16, 1]
}
