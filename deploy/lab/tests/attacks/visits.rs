//! Who is new: once a second a host that nobody has heard of is served, or an operator asks; each kind in a thread of its own.

use crate::servers::{FTP, NAMES};
use crate::stage::{AttackedLab, ECHO, HONEST, PHASES, PUBLISHED, Promise, STATIC_HOST, WEB};
use crate::tally::Tally;
use crate::wire;
use crate::witness::dial;
use anyhow::{Context, Result, bail, ensure};
use lab::address::{INSIDE_GATEWAY, STATIC_GLOBAL, inside_host};
use lab::{Namespace, table};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::thread::{Scope, sleep};
use std::time::{Duration, Instant};

/// Between two visits of a kind.
const PAUSE: Duration = Duration::from_secs(1);
/// Who has no answer says it again after this time.
const AGAIN: Duration = Duration::from_millis(400);

/// A kind of visit.
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// The column it belongs to.
    pub column: Column,
    from: fn(&AttackedLab) -> &Namespace,
    visit: fn(&AttackedLab, u32) -> Result<()>,
}

/// Columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// A new host that is forwarded.
    Newcomer,
    /// A new host that needs a gateway.
    Gateway,
    /// A new host that is told by the box itself.
    Notice,
    /// A command.
    Command,
    /// A page of metrics.
    Page,
}

fn honest(stage: &AttackedLab) -> &Namespace {
    stage.inside(HONEST)
}

fn outside(stage: &AttackedLab) -> &Namespace {
    &stage.lab.server.namespace
}

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "datagram of a new host",
        column: Column::Newcomer,
        from: honest,
        visit: |stage, n| echo(stage, new_host(stage, 0, n)?),
    },
    Kind { name: "connection of a new host", column: Column::Newcomer, from: honest, visit: connection },
    Kind {
        name: "new session of a published host",
        column: Column::Newcomer,
        from: |stage| stage.inside(STATIC_HOST),
        visit: |stage, _| echo(stage, inside_host(STATIC_HOST)),
    },
    Kind { name: "outside visitor of the web server", column: Column::Newcomer, from: outside, visit: web },
    Kind { name: "FTP of a new host", column: Column::Gateway, from: honest, visit: ftp },
    Kind { name: "name in fragments", column: Column::Gateway, from: honest, visit: name },
    Kind { name: "outside reader of a file", column: Column::Gateway, from: outside, visit: tftp },
    Kind { name: "notice to a new host", column: Column::Notice, from: honest, visit: notice },
    Kind { name: "command", column: Column::Command, from: honest, visit: |stage, _| command(stage) },
];

/// Has all kinds visit until everybody goes home.
pub fn begin<'s>(scope: &'s Scope<'s, '_>, stage: &'s AttackedLab, tally: &'s Tally) {
    for kind in KINDS {
        scope.spawn(move || {
            (kind.from)(stage).within(|| repeat(stage, tally, kind.name, |n| (kind.visit)(stage, n)))
        });
    }
    scope.spawn(move || repeat(stage, tally, PAGE, |_| page(stage, tally)));
}

/// What scrapes are called.
pub const PAGE: &str = "page of metrics";

fn repeat(stage: &AttackedLab, tally: &Tally, kind: &'static str, mut visit: impl FnMut(u32) -> Result<()>) {
    let mut number = 0;
    while !stage.is_over() {
        let (begun, start) = (stage.phase(), Instant::now());
        let failure = visit(number).err();
        // Who was surprised by the attack belongs to it.
        let phase = if begun == 0 { stage.phase().min(1) } else { begun };
        let failure = failure.map(|error| format!("{error:#} [{}]", PHASES[phase]));
        // What begins as everybody goes home is nobody's.
        if !stage.is_over() {
            tally.visit(phase, kind, start.elapsed(), failure);
        }
        number += 1;
        while start.elapsed() < PAUSE && !stage.is_over() {
            sleep(Duration::from_millis(20));
        }
    }
}

/// A new inside host: each kind has 2048 of them. It knows the box's station when it begins.
fn new_host(stage: &AttackedLab, kind: u32, number: u32) -> Result<Ipv4Addr> {
    let host = Ipv4Addr::from_bits(0x0a00_8001 + kind * 2048 + number);
    wire::ask_for_gateway(stage, host)?;
    Ok(host)
}

/// A new outside host.
fn new_visitor(kind: u32, number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0900_0001 + kind * 65_536 + number)
}

/// Sends a message until it is answered; the answer, and who gave it.
fn ask(
    stage: &AttackedLab,
    local: Ipv4Addr,
    to: SocketAddrV4,
    message: &[u8],
    is_connected: bool,
) -> Result<(Vec<u8>, SocketAddr, UdpSocket)> {
    let socket = UdpSocket::bind((local, 0))?;
    if is_connected {
        socket.connect(to)?;
    }
    socket.set_read_timeout(Some(AGAIN))?;
    let (start, mut answer) = (Instant::now(), vec![0; 4096]);
    while start.elapsed() < stage.patience {
        // An error that came meanwhile is told by the next call, whichever it is.
        let sent = if is_connected { socket.send(message) } else { socket.send_to(message, to) };
        match sent.and_then(|_| socket.recv_from(&mut answer)) {
            Ok((len, from)) => {
                answer.truncate(len);
                return Ok((answer, from, socket));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("{local} has no answer from {to} in {:?}", stage.patience)
}

fn echo(stage: &AttackedLab, local: Ipv4Addr) -> Result<()> {
    let (answer, ..) = ask(stage, local, ECHO, b"anybody there", true)?;
    ensure!(answer == b"anybody there", "{local} hears {answer:?}");
    Ok(())
}

fn connection(stage: &AttackedLab, number: u32) -> Result<()> {
    let local = SocketAddrV4::new(new_host(stage, 1, number)?, 0);
    let mut stream = dial(local, ECHO, stage.patience).with_context(|| format!("{local} cannot connect"))?;
    stream.write_all(b"anybody")?;
    stream.read_exact(&mut [0; 7]).context("no echo")
}

fn web(stage: &AttackedLab, number: u32) -> Result<()> {
    let local = SocketAddrV4::new(new_visitor(0, number), 0);
    let mut stream = dial(local, WEB, stage.patience).with_context(|| format!("{local} cannot connect"))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(page.contains("hello from inside-web"), "the page is {page:?}");
    Ok(())
}

/// A data connection that only the gateway makes possible. A user to whom it does not come tries all of it again.
fn ftp(stage: &AttackedLab, number: u32) -> Result<()> {
    let start = Instant::now();
    let local = new_host(stage, 2, number)?;
    loop {
        match ftp_once(stage, local) {
            Err(_) if start.elapsed() < stage.patience => sleep(AGAIN),
            done => return done.with_context(|| format!("{local} speaks FTP")),
        }
    }
}

fn ftp_once(stage: &AttackedLab, local: Ipv4Addr) -> Result<()> {
    let mut control = dial(SocketAddrV4::new(local, 0), FTP, stage.patience)?;
    let mut lines = BufReader::new(control.try_clone()?).lines();
    let mut line = || -> Result<String> { lines.next().context("the server closed")?.context("no reply") };
    line()?;
    let listener = TcpListener::bind((local, 0))?;
    let port = listener.local_addr()?.port().to_be_bytes();
    let address = local.octets().map(|part| part.to_string()).join(",");
    control.write_all(format!("PORT {address},{},{}\r\n", port[0], port[1]).as_bytes())?;
    let reply = line()?;
    ensure!(reply.starts_with("200"), "the reply is {reply:?}");
    listener.set_nonblocking(true)?;
    listener.accept().context("no data connection").map(drop)
}

/// An answer in two fragments, in which the gateway writes the inside address.
fn name(stage: &AttackedLab, number: u32) -> Result<()> {
    let start = Instant::now();
    let local = new_host(stage, 3, number)?;
    let mut query = vec![0x4c, number as u8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend(b"\x09published\x03lab\x07example\0\0\x01\0\x01\0\0\x29\x10\0\0\0\0\0\0\0");
    loop {
        let (answer, ..) = ask(stage, local, NAMES, &query, true)?;
        ensure!(answer.len() > 1500, "an answer of {} bytes", answer.len());
        let has = |address: Ipv4Addr| answer.windows(4).any(|part| part == address.octets());
        if has(inside_host(STATIC_HOST)) && !has(STATIC_GLOBAL) {
            return Ok(());
        }
        ensure!(start.elapsed() < stage.patience, "{local} is told the global address of an inside host");
        sleep(AGAIN);
    }
}

/// The server's answer comes from a port that only the gateway lets it come from.
fn tftp(stage: &AttackedLab, number: u32) -> Result<()> {
    let to = SocketAddrV4::new(PUBLISHED, 69);
    let (block, from, socket) = ask(stage, new_visitor(1, number), to, b"\0\x01file\0octet\0", false)?;
    ensure!(from.ip() == PUBLISHED, "the file comes from {from}");
    ensure!(block == b"\0\x03\0\x01hello", "the block is {block:?}");
    socket.send_to(b"\0\x04\0\x01", from)?;
    Ok(())
}

/// Nothing listens on the box's own port; who asks is told so.
fn notice(stage: &AttackedLab, number: u32) -> Result<()> {
    let local = new_host(stage, 4, number)?;
    match ask(stage, local, SocketAddrV4::new(INSIDE_GATEWAY, 9), b"anybody there", true) {
        Err(error) if error.downcast_ref().is_some_and(is_refused) => Ok(()),
        Err(error) => Err(error),
        Ok((answer, ..)) => bail!("the box answers {answer:?}"),
    }
}

fn is_refused(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::ConnectionRefused
}

fn command(stage: &AttackedLab) -> Result<()> {
    // A worker that stands still answers nothing.
    let (command, word) = match stage.row.promise {
        Promise::All => ("show ip nat statistics", "Hits: "),
        Promise::NothingLost => ("show version", "uptime"),
    };
    let answer = stage.lab.gateway.appliance().exec(command)?;
    ensure!(answer.contains(word), "the answer is {answer:?}");
    Ok(())
}

fn page(stage: &AttackedLab, tally: &Tally) -> Result<()> {
    let phase = stage.phase();
    let samples = table::samples(&stage.lab.gateway.appliance().metrics()?)?;
    let ratios = samples.iter().filter(|(series, _)| {
        series.starts_with("portico_worker_busy_ratio") && series.contains("window=\"5s\"")
    });
    let busy = ratios.map(|(_, ratio)| *ratio).fold(0.0, f64::max);
    tally.change(phase, |got| got.busy = got.busy.max(busy));
    Ok(())
}
