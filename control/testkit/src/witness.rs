//! Witnesses: sessions whose hosts number what they say, so that a test sees whether anything of theirs is lost, or is
//! translated other than before.

use std::net::SocketAddrV4;

use alg::Side;
use rand::RngExt;

use crate::network::{Awaited, Network, Seen};
use crate::packet::{ACK, FIN, PSH, SYN, datagram, segment};

/// A TCP connection between an inside host and an outside one, both of whose ends are there.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The inside host.
    pub local: SocketAddrV4,
    /// The inside host as the outside knows it.
    pub global: SocketAddrV4,
    /// The outside host.
    pub peer: SocketAddrV4,
    /// The outside host as the inside knows it.
    pub peer_inside: SocketAddrV4,
    /// What each side says next.
    pub next: [u32; 2],
    /// What each side has received before.
    seen: [u32; 2],
}

impl Connection {
    /// A handshake that an inside host begins. None if its SYN is refused.
    pub fn open(network: &mut Network, local: SocketAddrV4, peer: SocketAddrV4) -> Option<Connection> {
        let next = [network.random.random(), network.random.random()];
        let mut new = Connection { local, global: local, peer, peer_inside: peer, next, seen: [0; 2] };
        let syn = new.says(Side::Inside, SYN, &[]);
        let came = network.pass(Side::Inside, &syn);
        new.global = came.first()?.src;
        new.hears(Side::Outside, &came);
        new.next[0] = new.next[0].wrapping_add(1);
        new.answered(network, Side::Outside)
    }

    /// A handshake that an outside host begins with a published server, as the inside and the outside know it.
    pub fn accept(
        network: &mut Network,
        (local, global): (SocketAddrV4, SocketAddrV4),
        peer: SocketAddrV4,
    ) -> Option<Connection> {
        let next = [network.random.random(), network.random.random()];
        let mut new = Connection { local, global, peer, peer_inside: peer, next, seen: [0; 2] };
        let syn = new.says(Side::Outside, SYN, &[]);
        let came = network.pass(Side::Outside, &syn);
        new.peer_inside = came.first()?.src;
        new.hears(Side::Inside, &came);
        new.next[1] = new.next[1].wrapping_add(1);
        new.answered(network, Side::Inside)
    }

    /// The second and third segment of a handshake.
    fn answered(mut self, network: &mut Network, by: Side) -> Option<Connection> {
        let answer = self.says(by, SYN | ACK, &[]);
        let came = network.pass(by, &answer);
        self.hears(by.other(), &came);
        self.next[by as usize] = self.next[by as usize].wrapping_add(1);
        let last = self.says(by.other(), ACK, &[]);
        (!network.pass(by.other(), &last).is_empty()).then_some(self)
    }

    /// A segment of one side.
    pub fn says(&self, by: Side, flags: u8, payload: &[u8]) -> Vec<u8> {
        self.says_at(by, (self.next[by as usize], flags), payload)
    }

    /// A segment in the name of one side, with any sequence number.
    pub fn says_at(&self, by: Side, (seq, flags): (u32, u8), payload: &[u8]) -> Vec<u8> {
        let ack = if flags & ACK != 0 { self.seen[by as usize] } else { 0 };
        self.says_numbered(by, (seq, ack, flags), payload)
    }

    /// A segment in the name of one side, with any numbers.
    pub fn says_numbered(&self, by: Side, numbers: (u32, u32, u8), payload: &[u8]) -> Vec<u8> {
        let ends = if by == Side::Inside { (self.local, self.peer_inside) } else { (self.peer, self.global) };
        segment(ends, numbers, &[], payload)
    }

    fn hears(&mut self, side: Side, came: &[Seen]) {
        if let Some(last) = came.last() {
            self.seen[side as usize] = last.next_seq();
        }
    }

    /// One side says something and the other acknowledges it. Returns what comes out.
    pub fn tell(&mut self, network: &mut Network, by: Side, payload: &[u8]) -> Vec<u8> {
        let packet = self.says(by, PSH | ACK, payload);
        let came = network.pass(by, &packet);
        self.next[by as usize] = self.next[by as usize].wrapping_add(payload.len() as u32);
        self.hears(by.other(), &came);
        let answer = self.says(by.other(), ACK, &[]);
        network.send(by.other(), &answer);
        came.into_iter().flat_map(|seen| seen.payload).collect()
    }

    /// Data with a number both ways, which is awaited as it was translated at first: from outside first, as from inside a
    /// new session could begin. It must not be of a gateway's.
    pub fn carry(&mut self, network: &mut Network) {
        for by in [Side::Outside, Side::Inside] {
            let (src, dst) = match by {
                Side::Inside => (self.global, self.peer),
                Side::Outside => (self.peer_inside, self.local),
            };
            let data = network.mark(Awaited { side: by.other(), src, dst });
            let packet = self.says(by, PSH | ACK, &data);
            network.send(by, &packet);
            self.next[by as usize] = self.next[by as usize].wrapping_add(data.len() as u32);
            self.seen[by.other() as usize] = self.next[by as usize];
        }
    }

    /// Both sides end it.
    pub fn close(mut self, network: &mut Network) {
        for by in [Side::Inside, Side::Outside] {
            let fin = self.says(by, FIN | ACK, &[]);
            let came = network.pass(by, &fin);
            self.next[by as usize] = self.next[by as usize].wrapping_add(1);
            self.hears(by.other(), &came);
        }
        let last = self.says(Side::Inside, ACK, &[]);
        network.send(Side::Inside, &last);
    }
}

/// Datagrams between an inside host, which began, and an outside one.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// The inside host.
    pub local: SocketAddrV4,
    /// The inside host as the outside knows it.
    pub global: SocketAddrV4,
    /// The outside host.
    pub peer: SocketAddrV4,
}

impl Exchange {
    /// The first datagram; none if it is refused.
    pub fn open(
        network: &mut Network,
        local: SocketAddrV4,
        peer: SocketAddrV4,
        payload: &[u8],
    ) -> Option<Exchange> {
        let came = network.pass(Side::Inside, &datagram((local, peer), payload));
        Some(Exchange { local, global: came.first()?.src, peer })
    }

    /// What one side says.
    pub fn says(&self, by: Side, payload: &[u8]) -> Vec<u8> {
        let ends = if by == Side::Inside { (self.local, self.peer) } else { (self.peer, self.global) };
        datagram(ends, payload)
    }

    /// A number both ways, which is awaited as it was translated at first: from outside first, as from inside a new session
    /// could begin.
    pub fn carry(&self, network: &mut Network) {
        for by in [Side::Outside, Side::Inside] {
            let (src, dst) = match by {
                Side::Inside => (self.global, self.peer),
                Side::Outside => (self.peer, self.local),
            };
            let data = network.mark(Awaited { side: by.other(), src, dst });
            network.send(by, &self.says(by, &data));
        }
    }
}
