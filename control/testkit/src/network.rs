//! An appliance with a wire on each side, for tests of many hosts: packets go in, and those who wait for some of them see
//! them come out.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use control::config::InterfaceName;
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::bench::{Bench, Setup};
use crate::packet::{ACK, FIN, SYN, TCP, UDP, segment};
use crate::random::generator;

/// Frames on the wires at once.
const AT_ONCE: usize = 128;
/// A packet with a number that somebody waits for begins with this.
const MARK: [u8; 4] = *b"mark";
/// Rounds of the workers after each step of time: a round ends 32 sessions at most, and in so long there are thousands of rounds.
const ROUNDS: usize = 8;

/// What is seen of a packet: ports are 0 where it has none.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The IP protocol.
    pub protocol: u8,
    /// From where.
    pub src: SocketAddrV4,
    /// To where.
    pub dst: SocketAddrV4,
    /// The sequence number of a segment.
    pub seq: u32,
    /// The flags of a segment.
    pub flags: u8,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Seen {
    /// Reads a packet without IP options; fragments have no ports.
    pub fn of(packet: &[u8]) -> Option<Seen> {
        let addr = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let is_fragment = packet.get(6)? & 0x3f != 0 || *packet.get(7)? != 0;
        let protocol = *packet.get(9)?;
        let has_ports = !is_fragment && (protocol == TCP || protocol == UDP);
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

    fn is_syn(&self) -> bool {
        self.protocol == TCP && self.flags & (SYN | ACK) == SYN
    }
}

/// Where a packet with a number is to come out, from and to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// At which side.
    pub side: Side,
    /// From where.
    pub src: SocketAddrV4,
    /// To where.
    pub dst: SocketAddrV4,
}

/// The appliance and its wires.
pub struct Network {
    /// The appliance.
    pub bench: Bench,
    /// What tests draw from.
    pub random: SmallRng,
    /// Whether the inside host that a SYN comes to answers it at once.
    pub answers: fn(&Seen) -> bool,
    /// Packets that went in.
    pub sent: u64,
    names: [InterfaceName; 2],
    on_wires: usize,
    awaited: HashMap<u32, Awaited>,
    mark_count: u32,
}

impl Network {
    /// A network in which nobody answers of himself. The seed is printed with the test's name.
    ///
    /// # Panics
    /// When the configuration is wrong, or has several interfaces on a side.
    pub fn new(test: &str, config: &str, setup: Setup) -> Network {
        let bench = Bench::new(test, config, setup).expect("a configuration");
        let names =
            ["inside", "outside"].map(|side| bench.interface(side).expect("an interface").name.clone());
        Network {
            bench,
            random: generator(test, 1),
            answers: |_| false,
            sent: 0,
            names,
            on_wires: 0,
            awaited: HashMap::new(),
            mark_count: 0,
        }
    }

    /// The interface of a side.
    pub fn interface(&self, side: Side) -> &InterfaceName {
        &self.names[side as usize]
    }

    /// The payload of a packet that is to come out so.
    pub fn mark(&mut self, awaited: Awaited) -> Vec<u8> {
        self.mark_count += 1;
        self.awaited.insert(self.mark_count, awaited);
        [MARK, self.mark_count.to_be_bytes()].concat()
    }

    /// Sends a packet, at once with some others.
    ///
    /// # Panics
    /// As [`Network::work`].
    pub fn send(&mut self, side: Side, packet: &[u8]) {
        let frame = self.bench.frame_to(&self.names[side as usize], packet).expect("a port");
        self.send_frame(side, &frame);
    }

    /// Sends a frame, at once with some others.
    ///
    /// # Panics
    /// As [`Network::work`].
    pub fn send_frame(&mut self, side: Side, frame: &[u8]) {
        self.bench.queue(&self.names[side as usize], frame).expect("room on the wire");
        self.sent += 1;
        self.on_wires += 1;
        if self.on_wires >= AT_ONCE {
            self.work();
        }
    }

    /// Lets the appliance take what is on the wires, and hosts see what comes out. Returns that.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn work(&mut self) -> Vec<(Side, Seen)> {
        let mut all = Vec::new();
        while self.on_wires > 0 {
            self.on_wires = 0;
            all.append(&mut self.see());
        }
        all
    }

    /// What hosts see, once the appliance is at rest.
    fn see(&mut self) -> Vec<(Side, Seen)> {
        self.bench.settle().expect("rest");
        let mut all = Vec::new();
        for (name, frame) in self.bench.take_all() {
            let side = if name == self.names[0] { Side::Inside } else { Side::Outside };
            let Some(seen) = Seen::of(&frame[14..]) else { continue };
            self.expect(side, &seen);
            if side == Side::Inside && seen.is_syn() && (self.answers)(&seen) {
                let numbers = (self.random.random(), seen.seq.wrapping_add(1), SYN | ACK);
                let answer = segment((seen.dst, seen.src), numbers, &[], &[]);
                self.send(Side::Inside, &answer);
            }
            all.push((side, seen));
        }
        all
    }

    /// Sends a packet alone. Returns what comes out for it at the other side.
    ///
    /// # Panics
    /// As [`Network::work`], and when it is no packet.
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
        // One that is translated other than before is as good as lost.
        let (mark, came) = (u32::from_be_bytes(*mark), Awaited { side, src: seen.src, dst: seen.dst });
        if self.awaited.get(&mark) == Some(&came) {
            self.awaited.remove(&mark);
        }
    }

    /// Lets the appliance take what is on the wires, and forgets the packets that were awaited and did not come, or not as they
    /// should: how many.
    ///
    /// # Panics
    /// As [`Network::work`].
    pub fn take_lost(&mut self) -> usize {
        self.work();
        let lost = self.awaited.len();
        self.awaited.clear();
        lost
    }

    /// Time passes, with all that ends in it.
    ///
    /// # Panics
    /// As [`Network::work`], and when a packet that was awaited did not come.
    pub fn pass_ms(&mut self, ms: u64) {
        self.work();
        assert!(self.awaited.is_empty(), "lost on the way: {:?}; drops {:?}", self.awaited, self.drops());
        self.bench.advance(ms).expect("rest");
        for _ in 0..ROUNDS {
            self.see();
        }
        self.work();
    }

    /// Packets that were dropped, by reason.
    pub fn drops(&self) -> Vec<(&'static str, u64)> {
        let all = self.bench.drops().into_iter().filter(|(_, count)| *count > 0);
        all.map(|(reason, count)| (reason.label(), count)).collect()
    }
}

/// Whether it stands for an outside host, as tests configure outside pools.
fn is_of_outside_pool(end: SocketAddrV4) -> bool {
    end.ip().octets()[..3] == [172, 16, 1]
}
