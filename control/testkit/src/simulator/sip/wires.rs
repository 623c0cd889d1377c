//! Links, datagrams and connections between agents and appliance. Outside hosts reach each other without it, and at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::Ipv4Addr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::message::{self, Endpoint};
use super::parcel::{Connection, Incoming, Outgoing, Transport, is_inside};
use crate::packet::{self, ACK, Ipv4, RST, SYN, TCP, Tcp, UDP};
use crate::simulator::host::{Host, HostSetup};
use crate::simulator::link::{Impairments, Link};

/// What outside hosts say to each other takes so long, in milliseconds.
const OUTSIDE_MS: u64 = 5;
/// Connections made for a message, at most: others were forgotten by the other side, which resets them.
const TRIES_MAX: usize = 3;
/// Bytes that a host receives before they are read.
const ROOM: usize = 16_384;

/// A host's place.
struct Place {
    /// Where it listens.
    port: u16,
    up: Link,
    down: Link,
    next_port: u16,
}

/// One end of a connection.
struct End {
    owner: usize,
    local: Endpoint,
    remote: Endpoint,
    host: Host,
    parsed: usize,
    /// Messages that may not have arrived, and how much was said by the end of each.
    said: Vec<(usize, Vec<u8>)>,
    said_len: usize,
    /// Connections that were made before it for the same messages, if its owner made it.
    tries: Option<usize>,
    /// Its owner has forgotten it, or another has its ports.
    is_forgotten: bool,
}

impl End {
    fn is_alive(&self) -> bool {
        !self.is_forgotten && (self.host.is_listening() || !self.host.is_free())
    }

    fn say(&mut self, bytes: &[u8]) {
        let acknowledged = self.host.acknowledged();
        self.said.retain(|(end, _)| *end > acknowledged);
        self.said_len += bytes.len();
        self.said.push((self.said_len, bytes.to_vec()));
        self.host.say(bytes);
    }

    /// What never arrived of a connection that was reset.
    fn take_lost(&mut self) -> Vec<Vec<u8>> {
        let acknowledged = self.host.acknowledged();
        let said = std::mem::take(&mut self.said);
        said.into_iter().filter(|(end, _)| *end > acknowledged).map(|(_, bytes)| bytes).collect()
    }
}

/// All links and connections.
pub struct Wires {
    places: Vec<Place>,
    owners: HashMap<Ipv4Addr, usize>,
    ends: Vec<End>,
    /// What outside hosts say to each other: when it arrives, and at whom.
    outside: BinaryHeap<Reverse<(u64, u64)>>,
    outside_parcels: HashMap<u64, (usize, Incoming)>,
    count: u64,
    generator: SmallRng,
    /// All links are good.
    is_fair: bool,
}

fn impairments(is_bad: bool, generator: &mut SmallRng) -> Impairments {
    // What is cut into small pieces is lost more often: all of it, and a connection with many calls stands still.
    let (cut, part_len_max) = [(0.0, 1), (0.05, 30), (0.3, 200), (1.0, 700)][generator.random_range(0..4)];
    Impairments {
        loss: if is_bad { 0.025 } else { 0.0 },
        duplication: if is_bad { 0.03 } else { 0.0 },
        delay_ms: generator.random_range(0..40),
        jitter_ms: if is_bad { generator.random_range(0..30) } else { 0 },
        cut,
        part_len_max,
    }
}

impl Wires {
    /// No links. Those that will be are good, or bad by chance.
    pub fn new(generator: SmallRng, is_fair: bool) -> Wires {
        Wires {
            places: Vec::new(),
            owners: HashMap::new(),
            ends: Vec::new(),
            outside: BinaryHeap::new(),
            outside_parcels: HashMap::new(),
            count: 0,
            generator,
            is_fair,
        }
    }

    /// Another host, at these addresses, which listens at a port.
    pub fn add(&mut self, addresses: &[Ipv4Addr], port: u16) {
        let owner = self.places.len();
        addresses.iter().for_each(|addr| {
            self.owners.insert(*addr, owner);
        });
        let is_bad = !self.is_fair && self.generator.random_bool(0.8);
        let impairments = impairments(is_bad, &mut self.generator);
        let [up, down] = [0, 1].map(|_| Link::new(impairments.clone()));
        self.places.push(Place { port, up, down, next_port: 40_000 });
    }

    /// Who has an address.
    pub fn owner(&self, addr: Ipv4Addr) -> Option<usize> {
        self.owners.get(&addr).copied()
    }

    /// A host sends something.
    pub fn send(&mut self, owner: usize, parcel: Outgoing, now_ms: u64) {
        let to = self.owner(parcel.to.0).filter(|_| !is_inside(parcel.from.0) && !is_inside(parcel.to.0));
        if let Some(to) = to {
            let Outgoing { transport, from, to: at, bytes, .. } = parcel;
            self.count += 1;
            self.outside.push(Reverse((now_ms + OUTSIDE_MS, self.count)));
            let incoming = Incoming { transport, from, to: at, connection: None, bytes };
            self.outside_parcels.insert(self.count, (to, incoming));
            return;
        }
        if parcel.transport == Transport::Udp {
            let ends = (parcel.from.0, parcel.to.0);
            let datagram = packet::udp((parcel.from.1, parcel.to.1), &parcel.bytes);
            let packet = packet::ipv4(ends, UDP, &datagram);
            return self.places[owner].up.send(packet, now_ms, &mut self.generator);
        }
        let given = parcel.connection.filter(|at| self.ends[*at].owner == owner && self.ends[*at].is_alive());
        let is_it = |end: &End| end.owner == owner && end.remote == parcel.to && end.is_alive();
        let end = given.or_else(|| self.ends.iter().position(is_it));
        let at = end.unwrap_or_else(|| self.connect(owner, parcel.from.0, parcel.to, now_ms));
        self.ends[at].say(&parcel.bytes);
    }

    fn connect(&mut self, owner: usize, addr: Ipv4Addr, to: Endpoint, now_ms: u64) -> Connection {
        let place = &mut self.places[owner];
        let local = (addr, place.next_port);
        place.next_port += 1;
        let at = self.open(owner, local, to, now_ms);
        self.ends[at].host.connect((to.0.octets(), to.1));
        self.ends[at].tries = Some(0);
        at
    }

    fn open(&mut self, owner: usize, local: Endpoint, remote: Endpoint, now_ms: u64) -> Connection {
        let generator = &mut self.generator;
        let setup = HostSetup {
            endpoint: (local.0.octets(), local.1),
            mtu: [576, 1500][generator.random_range(0..2)],
            receive_room: ROOM,
            send_room: ROOM,
            nagle: generator.random_bool(0.5),
            ack_delay_ms: [None, Some(10), Some(200)][generator.random_range(0..3)],
            timestamps: generator.random_bool(0.5),
            script: Vec::new(),
            write_len_max: [200, 1000, 4000][generator.random_range(0..3)],
            pause_ms_max: [0, 5][generator.random_range(0..2)],
            nap_ms: 0,
        };
        let mut host = Host::new(setup, generator.random(), now_ms);
        host.keep_open();
        let (said, said_len, tries) = (Vec::new(), 0, None);
        self.ends.push(End {
            owner,
            local,
            remote,
            host,
            parsed: 0,
            said,
            said_len,
            tries,
            is_forgotten: false,
        });
        self.ends.len() - 1
    }

    /// A host has forgotten its connections, and begins with the same ports again.
    pub fn forget(&mut self, owner: usize) {
        self.ends.iter_mut().filter(|end| end.owner == owner).for_each(|end| end.is_forgotten = true);
        self.places[owner].next_port = 40_000;
    }

    /// Some hosts close their connections.
    pub fn close(&mut self) {
        for end in &mut self.ends {
            if self.generator.random_bool(0.3) {
                end.host.fall_silent();
            }
        }
    }

    /// What was lost with a connection is said again over another, as long as its owner can make one.
    fn repair(&mut self, now_ms: u64) {
        for at in 0..self.ends.len() {
            let end = &mut self.ends[at];
            if end.is_forgotten || end.is_alive() {
                continue;
            }
            let lost = end.take_lost();
            let (owner, local, remote) = (end.owner, end.local, end.remote);
            if let Some(tries) = end.tries.filter(|tries| *tries < TRIES_MAX && !lost.is_empty()) {
                let next = self.connect(owner, local.0, remote, now_ms);
                self.ends[next].tries = Some(tries + 1);
                lost.iter().for_each(|bytes| self.ends[next].say(bytes));
            }
        }
    }

    /// Has the connections run, and returns what leaves for the appliance, and whether from inside.
    pub fn leaving(&mut self, now_ms: u64) -> Vec<(bool, Vec<u8>)> {
        for end in self.ends.iter_mut().filter(|end| !end.is_forgotten) {
            if end.host.next_ms(now_ms).is_none_or(|at| at > now_ms) {
                continue;
            }
            for packet in end.host.run(now_ms) {
                self.places[end.owner].up.send(packet, now_ms, &mut self.generator);
            }
        }
        self.repair(now_ms);
        let mut leaving = Vec::new();
        for place in &mut self.places {
            while let Some(packet) = place.up.receive(now_ms) {
                let from = Ipv4Addr::new(packet[12], packet[13], packet[14], packet[15]);
                leaving.push((is_inside(from), packet));
            }
        }
        leaving
    }

    /// A packet came out of the appliance.
    pub fn deliver(&mut self, packet: Vec<u8>, now_ms: u64) -> Result<(), String> {
        let to = Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]);
        let owner = self.owner(to).ok_or(format!("a packet to {to}: {packet:02x?}"))?;
        self.places[owner].down.send(packet, now_ms, &mut self.generator);
        Ok(())
    }

    /// What arrives at hosts. Those that are away take nothing.
    pub fn arriving(&mut self, now_ms: u64, is_away: impl Fn(usize) -> bool) -> Vec<(usize, Incoming)> {
        let mut arriving = Vec::new();
        while self.outside.peek().is_some_and(|Reverse((at, _))| *at <= now_ms) {
            let parcel =
                self.outside.pop().and_then(|Reverse((_, number))| self.outside_parcels.remove(&number));
            arriving.extend(parcel);
        }
        for owner in 0..self.places.len() {
            while let Some(packet) = self.places[owner].down.receive(now_ms) {
                let [from, to] = [(12, 20), (16, 22)].map(|(addr, port)| ends_of(&packet, addr, port));
                match packet[9] {
                    _ if is_away(owner) => {}
                    UDP => {
                        let bytes = packet[28..].to_vec();
                        let transport = Transport::Udp;
                        arriving.push((owner, Incoming { transport, from, to, connection: None, bytes }));
                    }
                    TCP => self.segment(owner, (from, to), packet, now_ms),
                    _ => {}
                }
            }
        }
        self.read(&mut arriving);
        arriving.retain(|(owner, _)| !is_away(*owner));
        arriving
    }

    fn segment(&mut self, owner: usize, (from, to): (Endpoint, Endpoint), packet: Vec<u8>, now_ms: u64) {
        let is_it = |end: &&mut End| !end.is_forgotten && (end.local, end.remote) == (to, from);
        let is_syn = packet[33] & (SYN | ACK | RST) == SYN;
        if let Some(end) = self.ends.iter_mut().rev().find(is_it) {
            if !is_syn || end.is_alive() {
                end.host.arrive(packet);
                for packet in end.host.run(now_ms) {
                    self.places[owner].up.send(packet, now_ms, &mut self.generator);
                }
                return;
            }
            end.is_forgotten = true;
        }
        if is_syn && to.1 == self.places[owner].port {
            let at = self.open(owner, to, from, now_ms);
            self.ends[at].host.listen();
            self.ends[at].host.arrive(packet);
        } else if packet[33] & RST == 0 {
            let ack = u32::from_be_bytes([packet[28], packet[29], packet[30], packet[31]]);
            let reset = Tcp { ports: (to.1, from.1), seq: ack, ack: 0, flags: RST, window: 0, urgent: 0 };
            let reset = Ipv4::new((to.0, from.0), TCP).sealed(&reset.around(&[], &[]));
            self.places[owner].up.send(reset, now_ms, &mut self.generator);
        }
    }

    /// Takes whole messages out of what connections have read.
    fn read(&mut self, arriving: &mut Vec<(usize, Incoming)>) {
        for (at, end) in self.ends.iter_mut().enumerate().filter(|(_, end)| !end.is_forgotten) {
            while end.parsed < end.host.received.len() {
                let (blank, len) = message::frame(&end.host.received[end.parsed..]);
                end.parsed += blank;
                let Some(len) = len else { break };
                let bytes = end.host.received[end.parsed..end.parsed + len].to_vec();
                end.parsed += len;
                let (transport, connection) = (Transport::Tcp, Some(at));
                let incoming = Incoming { transport, from: end.remote, to: end.local, connection, bytes };
                arriving.push((end.owner, incoming));
            }
        }
    }

    /// When something happens.
    pub fn next_ms(&mut self, now_ms: u64) -> Option<u64> {
        let links = self.places.iter().flat_map(|place| [place.up.next_ms(), place.down.next_ms()]);
        let links = links.flatten().min();
        let ends = self.ends.iter_mut().filter(|end| !end.is_forgotten);
        let ends = ends.filter_map(|end| end.host.next_ms(now_ms)).min();
        let outside = self.outside.peek().map(|Reverse((at, _))| *at);
        [links, ends, outside].into_iter().flatten().min()
    }

    /// What connections that did not come to rest say of themselves.
    pub fn describe(&self) -> Vec<String> {
        let ends = self.ends.iter().filter(|end| !end.is_forgotten);
        let text = |end: &End| format!("{:?} to {:?}: {}", end.local, end.remote, end.host.describe());
        ends.map(text).collect()
    }
}

fn ends_of(packet: &[u8], addr: usize, port: usize) -> Endpoint {
    let octets: [u8; 4] = std::array::from_fn(|at| packet[addr + at]);
    (octets.into(), u16::from_be_bytes([packet[port], packet[port + 1]]))
}
