//! What gateways remember: control sessions, pieces, messages and doors, of one host or of strangers; and connections that are opened
//! again on the same addresses and ports.

use crate::servers::FTP;
use crate::stage::{AttackedLab, PUBLISHED};
use crate::wire::{Wire, random, stranger};
use crate::witness::dial;
use anyhow::{Context, Result, bail, ensure};
use lab::address::CLIENT;
use nix::sys::socket::{setsockopt, sockopt::TcpRepair};
use rand::RngExt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::packet::{ACK, Kind, PSH, SYN, View, datagram, segment};

/// Segment size, and the largest scale of windows (RFC 7323).
const OPTIONS: [u8; 8] = [2, 4, 5, 0xb4, 1, 3, 3, 14];
const ETHERNET_LEN: usize = 14;
/// What happens between two ends of the attacker's own.
const LIMIT: Duration = Duration::from_secs(10);
/// Who serves a connection that was opened again.
const SERVED_LIMIT: Duration = Duration::from_secs(15);

/// A host inside that is made up, and never has to be resolved.
fn inside_host(number: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 3, 1 + (number % 4) as u8)
}

/// SYNs of four inside hosts to servers of a gateway's protocol.
pub fn control_sessions(stage: &AttackedLab) -> Result<()> {
    let (mut wire, mut random) = (Wire::inside(stage)?, random(stage));
    stage.at_rate(|number| {
        let from = SocketAddrV4::new(inside_host(number), random.random_range(1024..=65535));
        let to = SocketAddrV4::new(*stranger(&mut random).ip(), if number % 4 == 3 { 554 } else { 21 });
        wire.send(&segment((from, to), (random.random(), 0, SYN), &OPTIONS, &[]));
        Ok(())
    })
}

/// Requests of an inside host for files, each of which has a door opened.
pub fn doors(stage: &AttackedLab) -> Result<()> {
    let (mut wire, mut random) = (Wire::inside(stage)?, random(stage));
    stage.at_rate(|number| {
        let from = SocketAddrV4::new(inside_host(number), random.random_range(1024..=65535));
        let to = SocketAddrV4::new(*stranger(&mut random).ip(), 69);
        wire.send(&datagram((from, to), b"\0\x01file\0octet\0"));
        Ok(())
    })
}

/// Both ends of connections, which are the attacker's.
struct Both {
    inside: Wire,
    outside: Wire,
}

/// A connection of both ends, as each of them knows it.
struct Own {
    local: SocketAddrV4,
    global: SocketAddrV4,
    server: SocketAddrV4,
}

impl Own {
    fn out(&self, seq: u32, payload: &[u8]) -> Vec<u8> {
        segment((self.local, self.server), (seq, 5001, PSH | ACK), &[], payload)
    }

    fn back(&self, seq: u32, payload: &[u8]) -> Vec<u8> {
        segment((self.server, self.global), (seq, 1001, PSH | ACK), &[], payload)
    }
}

impl Both {
    fn new(stage: &AttackedLab) -> Result<Both> {
        Ok(Both { inside: Wire::inside(stage)?, outside: Wire::outside(stage)? })
    }

    /// Has a connection opened; none when the attack was over first.
    fn open(&mut self, stage: &AttackedLab, number: u64) -> Result<Option<Own>> {
        let local = SocketAddrV4::new(inside_host(number), 20_000 + (number / 4 % 40_000) as u16);
        let server = SocketAddrV4::new(Ipv4Addr::from_bits(0x0840_0001 + number as u32), 21);
        while self.outside.hear().is_some() {}
        self.inside.send(&segment((local, server), (1000, 0, SYN), &OPTIONS, &[]));
        let start = Instant::now();
        let global = loop {
            if stage.attack_is_over() {
                return Ok(None);
            }
            ensure!(start.elapsed() < LIMIT, "the attacker's own SYN does not come through");
            let Some(frame) = self.outside.hear() else {
                sleep(Duration::from_millis(1));
                continue;
            };
            let Some(view) = frame.get(ETHERNET_LEN..).and_then(View::of) else { continue };
            if view.dst == server && matches!(view.kind, Kind::Segment(_, _, SYN)) {
                break view.src;
            }
        };
        self.outside.send(&segment((server, global), (5000, 1001, SYN | ACK), &OPTIONS, &[]));
        sleep(Duration::from_millis(2));
        self.inside.send(&segment((local, server), (1001, 5001, ACK), &[], &[]));
        Ok(Some(Own { local, global, server }))
    }
}

/// Connections of which every second byte comes, both ways, so that all of it is held.
pub fn held_pieces(stage: &AttackedLab) -> Result<()> {
    let mut both = Both::new(stage)?;
    let mut own = None;
    stage.at_rate(|number| {
        let (connection, at) = (number / 256, number as u32 % 256);
        if at == 0 {
            own = both.open(stage, connection)?;
        }
        let Some(own) = &own else { return Ok(()) };
        both.inside.send(&own.out(1003 + 2 * at, b"x"));
        both.outside.send(&own.back(5003 + 2 * at, b"y"));
        Ok(())
    })
}

/// Commands that grow, which nobody acknowledges: their changed form has to be kept.
pub fn retained_messages(stage: &AttackedLab) -> Result<()> {
    let mut both = Both::new(stage)?;
    let mut own = None;
    stage.at_rate(|number| {
        let (connection, at) = (number / 400, number as u32 % 400);
        if at == 0 {
            own = both.open(stage, connection)?;
            if let Some(own) = &own {
                both.outside.send(&own.back(5001, b"220 hi\r\n"));
                sleep(Duration::from_millis(2));
            }
        }
        let Some(own) = &own else { return Ok(()) };
        let command =
            format!("PORT {},150,10\r\n", own.local.ip().octets().map(|part| part.to_string()).join(","));
        both.inside.send(&own.out(1001 + at * command.len() as u32, command.as_bytes()));
        Ok(())
    })
}

/// Commands of strangers to the published FTP server, which name the stranger's own host and have doors opened outwards.
pub fn strangers_doors(stage: &AttackedLab) -> Result<()> {
    let server = SocketAddrV4::new(PUBLISHED, 21);
    let mut own: Option<TcpStream> = None;
    stage.lab.client.namespace.within(|| {
        stage.at_rate(|number| {
            if number % 500 == 0 {
                let mut stream =
                    dial(SocketAddrV4::new(CLIENT, 0), server, LIMIT).context("the stranger's connection")?;
                stream.read_exact(&mut [0; 4])?;
                stream.set_write_timeout(Some(Duration::from_millis(100)))?;
                own = Some(stream);
            }
            let port = (8000 + number % 40_000) as u16;
            let host = CLIENT.octets().map(|part| part.to_string()).join(",");
            let command = format!("PORT {host},{},{}\r\n", port >> 8, port & 0xff);
            if let Some(stream) = &mut own {
                stream.write_all(command.as_bytes())?;
            }
            Ok(())
        })
    })?
}

/// How a client lets go of its connection.
#[derive(Clone, Copy, Debug)]
enum Parting {
    /// The server closes, then the client.
    Orderly,
    /// The client resets.
    Reset,
    /// The client is gone without a word, as one that is switched off.
    Silent,
}

/// The same client's control connections, each on the addresses and ports of the one before: whoever opens one is served.
pub fn opened_again(stage: &AttackedLab) -> Result<()> {
    let partings = [Parting::Orderly, Parting::Reset, Parting::Silent];
    stage.inside(crate::witness::NAMESPACE).within(|| {
        stage.at_rate(|number| {
            let parting = partings[(number % 3) as usize];
            let local = SocketAddrV4::new(Ipv4Addr::new(10, 0, 100, 1 + (number % 3) as u8), 2049);
            served(local, parting).with_context(|| format!("connection {number}, after {parting:?}"))
        })
    })?
}

fn served(local: SocketAddrV4, parting: Parting) -> Result<()> {
    let mut stream = dial(local, FTP, SERVED_LIMIT).context("cannot connect")?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut expect = |start: &str| match lines.next().transpose().context("no reply")? {
        Some(line) if line.starts_with(start) => Ok(()),
        line => bail!("the server said {line:?}"),
    };
    expect("220")?;
    stream.write_all(b"USER again\r\n")?;
    expect("200")?;
    match parting {
        Parting::Orderly => {
            stream.write_all(b"QUIT\r\n")?;
            ensure!(stream.read(&mut [0])? == 0, "the server does not close");
        }
        Parting::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?,
        Parting::Silent => setsockopt(&stream, TcpRepair, &1)?,
    }
    Ok(())
}
