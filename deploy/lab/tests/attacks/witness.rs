//! The witness: a thousand sessions of the kernel's that were there before the attack, and say numbers all the time.

use crate::stage::{AttackedLab, ECHO, HONEST};
use crate::tally::Tally;
use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Sessions, a tenth of them connections, of 250 inside hosts.
pub const SESSIONS: usize = 1000;
const CONNECTION_EVERY: usize = 10;
const HOSTS: usize = 250;
/// Each such session's messages are longer than the links' MTU.
const LONG_EVERY: usize = 45;
const LONG_LEN: usize = 2000;
const SHORT_LEN: usize = 32;
/// A session says a number each turn, unless so many have no answer: all of them together fit in the appliance's ring.
const SLOTS: usize = 50;
const SLOT: Duration = Duration::from_millis(10);
const WAITING_MAX: usize = 4;
/// A number without an answer after this time is late.
const LATE: Duration = Duration::from_secs(1);
/// How much of the machine's memory a socket may take.
const BUFFER: usize = 32 << 20;

/// A socket whose queue is no reason to lose anything.
pub fn roomy(local: SocketAddrV4) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(local)?;
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &BUFFER)?;
    Ok(socket)
}

/// A connection from an address of a host with many.
pub fn dial(local: SocketAddrV4, to: SocketAddrV4, limit: Duration) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::V4(local).into())?;
    socket.connect_timeout(&SocketAddr::V4(to).into(), limit)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(limit))?;
    Ok(stream)
}

/// The address of a session's host.
fn host(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_4001 + (number % HOSTS) as u32)
}

enum Channel {
    Datagrams(UdpSocket),
    Stream(TcpStream, Vec<u8>),
    Broken,
}

struct Session {
    number: u32,
    len: usize,
    channel: Channel,
    next: u32,
    /// Numbers without an answer, when they were said, and in which phase.
    waiting: VecDeque<(u32, Instant, usize)>,
}

/// All sessions.
pub struct Witness {
    sessions: Vec<Session>,
    /// Turns that all sessions had.
    pub turns: usize,
    /// A number without an answer after this time is lost.
    patience: Duration,
}

impl Session {
    fn begin(number: usize) -> Result<Session> {
        let local = SocketAddrV4::new(host(number), 0);
        let len = if number % LONG_EVERY == 1 { LONG_LEN } else { SHORT_LEN };
        let channel = if number.is_multiple_of(CONNECTION_EVERY) {
            let stream = dial(local, ECHO, Duration::from_secs(60))?;
            stream.set_nonblocking(true)?;
            Channel::Stream(stream, Vec::new())
        } else {
            let socket = roomy(local)?;
            socket.connect(ECHO)?;
            socket.set_nonblocking(true)?;
            Channel::Datagrams(socket)
        };
        Ok(Session { number: number as u32, len, channel, next: 0, waiting: VecDeque::new() })
    }

    fn message(&self, said: u32) -> Vec<u8> {
        let mut message = [self.number.to_be_bytes(), said.to_be_bytes()].concat();
        message.resize(self.len, said as u8);
        message
    }

    fn say(&mut self, phase: usize, tally: &Tally) {
        if self.waiting.len() >= WAITING_MAX {
            return;
        }
        let message = self.message(self.next);
        let said = match &mut self.channel {
            Channel::Datagrams(socket) => socket.send(&message).map(drop),
            Channel::Stream(stream, _) => stream.write_all(&message),
            Channel::Broken => Ok(()),
        };
        if let Err(error) = said
            && error.kind() != ErrorKind::WouldBlock
        {
            tally.note(format!("session {} of the witness cannot speak: {error}", self.number));
        }
        self.waiting.push_back((self.next, Instant::now(), phase));
        self.next += 1;
        tally.change(phase, |got| got.messages += 1);
    }

    /// The next answer's number.
    fn hear(&mut self) -> std::io::Result<u32> {
        let mut bytes = [0; LONG_LEN];
        let answer = match &mut self.channel {
            Channel::Datagrams(socket) => {
                let len = socket.recv(&mut bytes)?;
                bytes[..len].to_vec()
            }
            Channel::Stream(stream, heard) => {
                while heard.len() < self.len {
                    let len = stream.read(&mut bytes)?;
                    if len == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    heard.extend(&bytes[..len]);
                }
                heard.drain(..self.len).collect()
            }
            Channel::Broken => return Err(ErrorKind::WouldBlock.into()),
        };
        let said = answer.get(4..8).and_then(|part| part.try_into().ok()).map(u32::from_be_bytes);
        match said {
            Some(said) if answer == self.message(said) => Ok(said),
            _ => Err(std::io::Error::other("somebody else's words")),
        }
    }

    fn listen(&mut self, patience: Duration, tally: &Tally) {
        while !self.waiting.is_empty() {
            match self.hear() {
                Ok(said) => {
                    let Some(at) = self.waiting.iter().position(|(one, ..)| *one == said) else { continue };
                    let (_, when, phase) = self.waiting.remove(at).expect("it was found");
                    let is_late = when.elapsed() > LATE;
                    tally.change(phase, |got| got.late += u64::from(is_late));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    tally.note(format!("session {} of the witness: {error}", self.number));
                    if matches!(self.channel, Channel::Stream(..)) {
                        self.channel = Channel::Broken;
                    }
                    break;
                }
            }
        }
        while let Some((_, when, phase)) = self.waiting.front().copied() {
            if when.elapsed() < patience {
                break;
            }
            self.waiting.pop_front();
            tally.change(phase, |got| got.lost += 1);
        }
    }
}

impl Witness {
    /// All sessions begin, and each has its first answer.
    pub fn begin(patience: Duration) -> Result<Witness> {
        let sessions = (0..SESSIONS).map(Session::begin).collect::<Result<Vec<_>>>()?;
        let mut witness = Witness { sessions, turns: 0, patience };
        let first = Tally::default();
        for number in 0..SESSIONS {
            witness.sessions[number].say(0, &first);
            if number % 50 == 49 {
                sleep(SLOT);
            }
        }
        witness.finish(&first);
        let ([first, ..], notes) = first.read();
        ensure!(first.lost == 0, "{} of the witness's first messages are lost: {notes:?}", first.lost);
        Ok(witness)
    }

    /// Inside endpoints of the connections.
    pub fn connections(&self) -> Result<Vec<SocketAddrV4>> {
        let streams = self.sessions.iter().filter_map(|session| match &session.channel {
            Channel::Stream(stream, _) => Some(stream),
            _ => None,
        });
        let ends = streams.map(|stream| match stream.local_addr()? {
            SocketAddr::V4(end) => Ok(end),
            SocketAddr::V6(end) => anyhow::bail!("{end} is not IPv4"),
        });
        ends.collect::<Result<_>>().context("the witness's connections")
    }

    /// A turn: every session says a number, and hears what there is to hear.
    pub fn turn(&mut self, stage: &AttackedLab, tally: &Tally) {
        for slot in 0..SLOTS {
            let start = Instant::now();
            for session in self.sessions.iter_mut().skip(slot).step_by(SLOTS) {
                session.say(stage.phase(), tally);
            }
            self.sessions.iter_mut().for_each(|session| session.listen(self.patience, tally));
            sleep(SLOT.saturating_sub(start.elapsed()));
        }
        self.turns += 1;
    }

    /// Waits until every number is answered or lost.
    pub fn finish(&mut self, tally: &Tally) {
        while self.sessions.iter().any(|session| !session.waiting.is_empty()) {
            self.sessions.iter_mut().for_each(|session| session.listen(self.patience, tally));
            sleep(SLOT);
        }
    }
}

/// The namespace that the witness's hosts are in.
pub const NAMESPACE: usize = HONEST;
