//! Honest traffic: witnesses that talk all day, and hosts that come new.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::Side;
use testkit::network::{Awaited, Network, Seen};
use testkit::packet::{MORE, datagram};
use testkit::witness::{Connection, Exchange};

use crate::network::PRIVATE_SERVER;
use crate::packets::fragment;

/// Hosts that witness, and how many sessions of either protocol each has.
const HOSTS: u16 = 100;
const SESSIONS_PER_HOST: u16 = 5;
/// The first hosts of those that share a pool, and of those that share the interface's address.
const POOL_HOSTS: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 0);
const INTERFACE_HOSTS: Ipv4Addr = Ipv4Addr::new(10, 0, 65, 0);
/// The first of the outside hosts that the inside knows by other addresses.
const OUTSIDE_HOSTS: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);
/// Every witness talks once in so many minutes, more often than any idle time.
const TALKS_EVERY: usize = 2;
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc6\x33\x64\x09";

/// Where honest hosts go.
fn server(number: u16, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 10 + (number % 40) as u8), port)
}

fn later(addr: Ipv4Addr, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(addr.to_bits() + number)
}

/// Sessions that are there all day.
pub struct Witnesses {
    connections: Vec<Connection>,
    exchanges: Vec<Exchange>,
    ftp: Connection,
    rtsp: Connection,
    said: u32,
}

impl Witnesses {
    pub fn new(network: &mut Network) -> Witnesses {
        let (mut connections, mut exchanges) = (Vec::new(), Vec::new());
        for host in 0..HOSTS {
            // A fifth of them share the interface's address.
            let first = if host % 5 == 0 { INTERFACE_HOSTS } else { POOL_HOSTS };
            for number in 0..SESSIONS_PER_HOST {
                let local = SocketAddrV4::new(later(first, u32::from(host)), 40_000 + number);
                let peer = server(host + number, 443);
                connections.push(Connection::open(network, local, peer).expect("a witness"));
                exchanges.push(Exchange::open(network, local, peer, b"first").expect("a witness"));
            }
        }
        // One from outside too, whom the inside knows by another address.
        connections.push(visit(network, 0).expect("a witness"));
        let client = SocketAddrV4::new(later(POOL_HOSTS, 200), 50_000);
        let mut ftp = Connection::open(network, client, server(0, 21)).expect("a witness");
        ftp.tell(network, Side::Outside, b"220 ready\r\n");
        let rtsp = Connection::open(network, client, server(0, 554)).expect("a witness");
        Witnesses { connections, exchanges, ftp, rtsp, said: 0 }
    }

    /// A connection that blind attackers guess at.
    pub fn connection(&self, number: usize) -> &Connection {
        &self.connections[number % self.connections.len()]
    }

    pub fn exchange_ends(&self, number: usize) -> (SocketAddrV4, SocketAddrV4) {
        let one = &self.exchanges[number % self.exchanges.len()];
        (one.peer, one.global)
    }

    /// Those that talk in one of a minute's steps.
    pub fn talk(&mut self, network: &mut Network, minute: u32, (step, steps): (u32, u32)) {
        let all = self.connections.len();
        let at = |step: u32| all * step as usize / steps as usize;
        for number in at(step)..at(step + 1) {
            if (number + minute as usize).is_multiple_of(TALKS_EVERY) {
                self.connections[number].carry(network);
                self.exchanges.get(number).into_iter().for_each(|one| one.carry(network));
            }
        }
    }

    /// Once a minute, the control sessions of gateways go on, with a question of DNS besides.
    pub fn control(&mut self, network: &mut Network) {
        self.said += 1;
        for (by, line) in [(Side::Inside, "NOOP"), (Side::Outside, "200 yes")] {
            let line = format!("{line} {}\r\n", self.said);
            let came = self.ftp.tell(network, by, line.as_bytes());
            assert_eq!(came, line.as_bytes(), "the witness of FTP: {:?}", network.drops());
        }
        for (by, line) in [(Side::Inside, "OPTIONS * RTSP/1.0"), (Side::Outside, "RTSP/1.0 200 OK")] {
            let message = format!("{line}\r\nCSeq: {}\r\n\r\n", self.said);
            let came = self.rtsp.tell(network, by, message.as_bytes());
            assert_eq!(came, message.as_bytes(), "the witness of RTSP: {:?}", network.drops());
        }
        let asker = SocketAddrV4::new(later(POOL_HOSTS, 201), 50_000);
        ask(network, asker).expect("a question of the witness");
    }

    /// Doors open for the witnesses of gateways: data of FTP, and a stream of RTSP.
    pub fn use_doors(&mut self, network: &mut Network) {
        let (client, peer) = (*self.ftp.local.ip(), *self.ftp.peer.ip());
        // A port of its own each time, so that nothing of the last time is in the way.
        let port = 30_000 + (self.said % 10_000) as u16 * 2;
        let local = SocketAddrV4::new(client, port);
        let order = |end: &SocketAddrV4| {
            let host = end.ip().to_string().replace('.', ",");
            format!("PORT {host},{},{}\r\n", end.port() >> 8, end.port() & 0xff)
        };
        let came = self.ftp.tell(network, Side::Inside, order(&local).as_bytes());
        let global = endpoint_of(&came).expect("an order");
        assert_eq!(*global.ip(), *self.ftp.global.ip(), "the announced address: {:?}", network.drops());
        let ends = (local, global);
        let data = Connection::accept(network, ends, SocketAddrV4::new(peer, 20)).expect("a door of FTP");
        data.close(network);
        self.said += 1;
        let setup = format!(
            "SETUP rtsp://{peer}/a RTSP/1.0\r\nCSeq: {}\r\nTransport: RTP/AVP;unicast;client_port={port}-{}\r\n\r\n",
            self.said,
            port + 1
        );
        let came = self.rtsp.tell(network, Side::Inside, setup.as_bytes());
        let said = String::from_utf8(came).expect("text");
        let announced = said.split("client_port=").nth(1).and_then(|rest| rest.split('-').next());
        let announced: u16 = announced.and_then(|port| port.parse().ok()).expect("an announced port");
        let answer = format!(
            "RTSP/1.0 200 OK\r\nCSeq: {}\r\nSession: 7\r\nTransport: RTP/AVP;unicast;client_port={announced}-{};server_port=9000-9001\r\n\r\n",
            self.said,
            announced + 1
        );
        self.rtsp.tell(network, Side::Outside, answer.as_bytes());
        let (media, global) =
            (SocketAddrV4::new(peer, 9000), SocketAddrV4::new(*self.rtsp.global.ip(), announced));
        let data = network.mark(Awaited { side: Side::Inside, src: media, dst: local });
        network.send(Side::Outside, &datagram((media, global), &data));
        self.said += 1;
        for (by, line) in [(Side::Inside, "TEARDOWN * RTSP/1.0"), (Side::Outside, "RTSP/1.0 200 OK")] {
            let message = format!("{line}\r\nCSeq: {}\r\nSession: 7\r\n\r\n", self.said);
            self.rtsp.tell(network, by, message.as_bytes());
        }
    }

    /// Two fragments of a datagram, in order.
    pub fn fragments(&self, network: &mut Network, id: u16) {
        let one = &self.exchanges[usize::from(id) % self.exchanges.len()];
        let there = Awaited {
            side: Side::Outside,
            src: SocketAddrV4::new(*one.global.ip(), 0),
            dst: SocketAddrV4::new(*one.peer.ip(), 0),
        };
        let tail = network.mark(there);
        let whole = datagram((one.local, one.peer), &[&[7; 40], &tail[..]].concat());
        let ends = (*one.local.ip(), *one.peer.ip());
        network.send(Side::Inside, &fragment(ends, id, MORE, &whole[20..68]));
        network.send(Side::Inside, &fragment(ends, id, 6, &tail));
    }
}

/// A question of DNS and its answer; none if it is refused.
fn ask(network: &mut Network, asker: SocketAddrV4) -> Option<()> {
    let peer = server(1, 53);
    let exchange = Exchange::open(network, asker, peer, QUESTION)?;
    let came: Vec<Seen> = network.pass(Side::Outside, &datagram((peer, exchange.global), ANSWER));
    (came.first()?.dst == asker).then_some(())
}

/// A connection of an outside host's to the server that nobody attacks.
fn visit(network: &mut Network, number: u32) -> Option<Connection> {
    let peer = SocketAddrV4::new(later(OUTSIDE_HOSTS, number), 50_000);
    let [local, global] = PRIVATE_SERVER.map(|addr| SocketAddrV4::new(addr, 80));
    Connection::accept(network, (local, global), peer)
}

/// The endpoint in an order `PORT`.
fn endpoint_of(line: &[u8]) -> Option<SocketAddrV4> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("PORT ")?.trim_end();
    let numbers: Vec<u8> = text.split(',').filter_map(|number| number.parse().ok()).collect();
    let &[a, b, c, d, high, low] = &numbers[..] else { return None };
    Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

/// A host that comes new, whose number is its own. Outside hosts that need an address of the outside pool are not among them:
/// late answers to floods keep its addresses (`cases/known/outside_pool_late_answer.nat`).
pub fn newcomer(network: &mut Network, number: u32) -> Option<()> {
    let first =
        later(if number.is_multiple_of(3) { INTERFACE_HOSTS } else { POOL_HOSTS }, 0x100 + number % 0x2000);
    let local = SocketAddrV4::new(first, 50_000);
    match number % 4 {
        0 => {
            let mut new = Connection::open(network, local, server(2, 443))?;
            new.carry(network);
            network.work();
            new.close(network);
        }
        1 => Exchange::open(network, local, server(3, 443), b"first")?.carry(network),
        2 => return ask(network, local),
        _ => {
            let mut new = Connection::open(network, local, server(4, 21))?;
            new.tell(network, Side::Outside, b"220 ready\r\n");
            let order = format!("PORT {},60,60\r\n", first.to_string().replace('.', ","));
            let came = new.tell(network, Side::Inside, order.as_bytes());
            let global = endpoint_of(&came).expect("an order");
            assert_eq!(global.ip(), new.global.ip(), "a new host's gateway: {:?}", network.drops());
            new.close(network);
        }
    }
    Some(())
}
