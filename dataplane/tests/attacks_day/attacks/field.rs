//! Where attacks happen: the appliance, its witnesses, and what attackers know.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use rand::RngExt;
use testkit::network::Network;
use testkit::packet::{datagram, segment};
use testkit::witness::Connection;

use crate::honest::Witnesses;
use crate::network::PUBLISHED;

/// An infected host of those that share a pool, and one of those that share the interface's address.
pub const INFECTED: Ipv4Addr = Ipv4Addr::new(10, 0, 32, 66);
pub const INFECTED_OF_INTERFACE: Ipv4Addr = Ipv4Addr::new(10, 0, 100, 66);
/// Who helps attackers from outside, and answers.
pub const ACCOMPLICE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
/// Connections that an attack goes on with; it leaves older ones open.
const DIALOGUES: usize = 64;
/// Packets of attacks that may be sent again, mutated.
const RECENT: usize = 512;

/// What attacks are made with.
pub struct Field {
    pub network: Network,
    pub witnesses: Witnesses,
    dialogues: HashMap<&'static str, VecDeque<Connection>>,
    pub recent: VecDeque<(Side, Vec<u8>)>,
}

impl Field {
    pub fn new(mut network: Network) -> Field {
        let witnesses = Witnesses::new(&mut network);
        Field { network, witnesses, dialogues: HashMap::new(), recent: VecDeque::new() }
    }

    pub fn below(&mut self, end: u32) -> u32 {
        self.network.random.random_range(0..end)
    }

    pub fn port(&mut self) -> u16 {
        self.network.random.random_range(1024..=65535)
    }

    pub fn number(&mut self) -> u32 {
        self.network.random.random()
    }

    /// Somebody outside, in a made-up name.
    pub fn stranger(&mut self) -> SocketAddrV4 {
        let addr = Ipv4Addr::from_bits(0x0800_0000 | self.number() >> 8);
        SocketAddrV4::new(addr, self.port())
    }

    /// Somebody inside, in a made-up name: one of many hosts that are not there.
    pub fn made_up(&mut self) -> SocketAddrV4 {
        let addr = Ipv4Addr::from_bits(0x0a00_8000 | self.below(1 << 15));
        SocketAddrV4::new(addr, self.port())
    }

    pub fn infected(&mut self) -> SocketAddrV4 {
        SocketAddrV4::new(INFECTED, self.port())
    }

    pub fn accomplice(&mut self, port: u16) -> SocketAddrV4 {
        let addr = Ipv4Addr::from_bits(ACCOMPLICE.to_bits() + self.below(32));
        SocketAddrV4::new(addr, port)
    }

    /// An address and port of the pool, or of the interface.
    pub fn global(&mut self) -> SocketAddrV4 {
        let addr = match self.below(3) {
            0 => Ipv4Addr::new(192, 0, 2, 1),
            number => Ipv4Addr::new(203, 0, 113, number as u8),
        };
        SocketAddrV4::new(addr, self.port())
    }

    /// Sends a packet that may come again, mutated.
    pub fn send(&mut self, side: Side, packet: Vec<u8>) {
        self.network.send(side, &packet);
        self.recent.push_back((side, packet));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    pub fn segment(&mut self, side: Side, ends: (SocketAddrV4, SocketAddrV4), flags: u8) {
        let numbers = (self.number(), self.number(), flags);
        self.send(side, segment(ends, numbers, &[], &[]));
    }

    pub fn datagram(&mut self, side: Side, ends: (SocketAddrV4, SocketAddrV4), payload: &[u8]) {
        self.send(side, datagram(ends, payload));
    }

    /// Goes on with one of an attack's connections, or with another one that `open` opens: one in eight times.
    pub fn talk(
        &mut self,
        attack: &'static str,
        open: fn(&mut Field) -> Option<Connection>,
        says: impl FnOnce(&mut Connection, &mut Network),
    ) {
        let count = self.dialogues.get(attack).map_or(0, VecDeque::len) as u32;
        if count == 0 || self.below(8) == 0 {
            let Some(new) = open(self) else { return };
            let known = self.dialogues.entry(attack).or_default();
            known.push_back(new);
            if known.len() > DIALOGUES {
                known.pop_front();
            }
        }
        let count = self.dialogues.get(attack).map_or(0, VecDeque::len) as u32;
        let number = self.below(count) as usize;
        if let Some(one) = self.dialogues.get_mut(attack).and_then(|known| known.get_mut(number)) {
            says(one, &mut self.network);
        }
    }

    /// A connection of the infected host's to an accomplice.
    pub fn outwards(&mut self, port: u16) -> Option<Connection> {
        let (local, peer) = (self.infected(), self.accomplice(port));
        Connection::open(&mut self.network, local, peer)
    }

    /// A connection of a stranger's, who has its address, to a published server.
    pub fn inwards(&mut self, host: u8, port: u16) -> Option<Connection> {
        let sport = self.port();
        let peer = self.accomplice(sport);
        let ends = [Ipv4Addr::new(10, 0, 0, host), PUBLISHED].map(|addr| SocketAddrV4::new(addr, port));
        Connection::accept(&mut self.network, (ends[0], ends[1]), peer)
    }
}
