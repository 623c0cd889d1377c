//! Blind attackers beside sockets of the kernel: idle connections outlive a hundred thousand guessed resets, SYNs and ICMP
//! errors, from outside in the server's name and from a neighbour in the client's.

#[path = "bad_links/device.rs"]
mod device;

use anyhow::{Context, Result, ensure};
use lab::{End, Host, Lab, Peer, Plan, Rules, table, turn};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::packet::{ACK, RST, SYN, segment, unreachable};
use testkit::random::generator;
use testkit::stations::frame;

/// Idle connections, of four hosts; the fifth is the neighbour.
const CONNECTIONS: usize = 200;
const CLIENT_HOSTS: usize = 4;
const PORT: u16 = 9000;
/// Guesses, and how many go on the wire at once: what the appliance's rings hold.
const GUESSES: u64 = 100_000;
const AT_ONCE: u64 = 1000;
/// Guesses that must have reached the appliance: rings that are full lose frames.
const ARRIVED_MIN: u64 = GUESSES * 9 / 10;
/// Nothing takes so long.
const LIMIT: Duration = Duration::from_secs(120);
/// How a guess that lies in the window would end its connection, unless the other side goes on.
const CLOSING: [&str; 2] = ["ip nat translation finrst-timeout 2", "ip nat translation syn-timeout 2"];

/// A connection of the kernel's, as each side knows it.
struct Connection {
    streams: [TcpStream; 2],
    local: SocketAddrV4,
    global: SocketAddrV4,
}

fn v4(end: SocketAddr) -> Result<SocketAddrV4> {
    match end {
        SocketAddr::V4(end) => Ok(end),
        SocketAddr::V6(_) => anyhow::bail!("{end} is not IPv4"),
    }
}

fn connect(from: &Host, server: SocketAddrV4, listener: &TcpListener) -> Result<Connection> {
    let client = from.namespace.within(|| TcpStream::connect(server))??;
    let (accepted, global) = listener.accept()?;
    let (local, streams) = (v4(client.local_addr()?)?, [client, accepted]);
    for stream in &streams {
        stream.set_read_timeout(Some(LIMIT))?;
    }
    Ok(Connection { streams, local, global: v4(global)? })
}

impl Connection {
    /// Carries a few bytes each way.
    fn carry(&self) -> Result<()> {
        let [client, server] = &self.streams;
        for (mut from, mut to) in [(server, client), (client, server)] {
            from.write_all(b"still there")?;
            let mut heard = [0; 11];
            to.read_exact(&mut heard)?;
            ensure!(&heard == b"still there", "{} read {heard:?}", self.local);
        }
        Ok(())
    }

    /// A guess as a packet: from outside or from inside.
    fn guess(&self, is_outside: bool, server: SocketAddrV4, random: &mut SmallRng) -> Vec<u8> {
        let ends = if is_outside { (server, self.global) } else { (self.local, server) };
        let (seq, ack) = (random.random(), random.random());
        match random.random_range(0..4) {
            0 => segment(ends, (seq, 0, RST), &[], &[]),
            1 => segment(ends, (seq, ack, RST | ACK), &[], &[]),
            2 => segment(ends, (seq, 0, SYN), &[], &[]),
            _ => {
                let about = segment((ends.1, ends.0), (seq, ack, ACK), &[], &[]);
                let code = random.random_range(0..5);
                unreachable(*ends.0.ip(), code, &about)
            }
        }
    }
}

/// A device that an attacker sends frames by, to a station of the appliance's.
struct Attacker {
    device: File,
    station: [u8; 6],
}

impl Attacker {
    fn new(host: &Host, interface: u8) -> Result<Attacker> {
        let device = device::open(End { namespace: &host.namespace, device: "eth0" })?;
        Ok(Attacker { device, station: [2, 0, 0, 0, 0, interface] })
    }

    /// Sends a packet as a frame. A device without room loses it.
    fn send(&mut self, packet: &[u8]) {
        let own = [2, 0xbb, 0, 0, 0, self.station[5]];
        let _ = self.device.write(&frame(self.station, own, None, 0x0800, packet));
    }
}

/// Sum of a counter over all workers.
fn counted(lab: &Lab, name: &str) -> Result<u64> {
    let samples = table::samples(&lab.gateway.appliance().metrics()?)?;
    let of_name = |series: &&String| series.split('{').next() == Some(name);
    Ok(samples.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| *value as u64).sum())
}

fn received(lab: &Lab) -> Result<u64> {
    counted(lab, "portico_worker_received_packets_total")
}

/// Sends all guesses, from both sides in turn. Returns how many packets reached the appliance meanwhile.
fn attack(lab: &Lab, connections: &[Connection], server: SocketAddrV4, random: &mut SmallRng) -> Result<u64> {
    let mut attackers = [Attacker::new(&lab.hosts[CLIENT_HOSTS], 1)?, Attacker::new(&lab.client, 2)?];
    let start = received(lab)?;
    let mut before = start;
    for _ in 0..GUESSES / AT_ONCE {
        for turn in 0..AT_ONCE as usize {
            let victim = &connections[random.random_range(0..connections.len())];
            attackers[turn % 2].send(&victim.guess(turn % 2 == 1, server, random));
        }
        // The next ones when these have arrived, or as many of them as will.
        let mut last = before;
        loop {
            let now = received(lab)?;
            if now >= before + AT_ONCE || now == last {
                before = now;
                break;
            }
            last = now;
        }
    }
    Ok(before - start)
}

/// The rows of the connections in the appliance's table that end by idle time in hours.
fn established(lab: &Lab, connections: &[Connection]) -> Result<usize> {
    let text = lab.gateway.appliance().exec("show ip nat translations verbose")?;
    let mut lines = text.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace().skip(1);
        let ends = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is_own = |one: &Connection| ends == (&*one.global.to_string(), &*one.local.to_string());
        if connections.iter().any(is_own) {
            let details = lines.peek().context("a row without its details")?;
            let (_, hours) = details.split_once("timeout: ").context("no time out")?;
            let hours: u32 = hours.split(':').next().unwrap_or_default().parse()?;
            count += usize::from(hours >= 1);
        }
    }
    Ok(count)
}

/// Waits until the appliance has forgotten a connection that was closed.
fn wait_until_forgotten(lab: &Lab, closed: Connection) -> Result<()> {
    let row = (closed.local.to_string(), closed.global.to_string());
    drop(closed);
    let start = Instant::now();
    loop {
        let text = lab.gateway.appliance().exec("show ip nat translations")?;
        let mut rows = table::translations(&text)?.into_iter();
        if !rows.any(|one| (one.inside_local, one.inside_global) == row) {
            return Ok(());
        }
        ensure!(start.elapsed() < LIMIT, "{} is closed and stays", row.0);
        sleep(Duration::from_millis(100));
    }
}

/// Among so many SYNs a kernel would answer few guesses: it challenges one segment of a connection in half a second
/// (tcp_invalid_ratelimit), and of these guesses each fifth run has one whose number lies in the window.
fn connections_outlive(mode: &[&str]) -> Result<()> {
    let lines = CLOSING.iter().chain(mode).map(|line| (*line).to_owned()).collect();
    let rules = Rules { lines, ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) })?;
    for host in lab.hosts.iter().chain([&lab.server]) {
        host.namespace.run(&["sysctl", "-qw", "net.ipv4.tcp_invalid_ratelimit=0"])?;
    }
    let mut random = generator("blind_attacks in the lab", 1);
    let server = SocketAddrV4::new(lab.server.address, PORT);
    let listener = lab.server.namespace.within(|| TcpListener::bind(server))??;
    let open = |number: usize| connect(&lab.hosts[number % CLIENT_HOSTS], server, &listener);
    let connections = (0..CONNECTIONS).map(open).collect::<Result<Vec<_>>>()?;
    let arrived = attack(&lab, &connections, server, &mut random)?;
    ensure!(arrived >= ARRIVED_MIN, "only {arrived} of {GUESSES} guesses reached the appliance");
    // What a guess closed ends before what is closed after it.
    let closed = open(0)?;
    wait_until_forgotten(&lab, closed)?;
    let count = established(&lab, &connections)?;
    println!("{arrived} packets reached the appliance; {count} connections are established");
    ensure!(count == CONNECTIONS, "{count} of {CONNECTIONS} are established");
    for connection in &connections {
        connection.carry().with_context(|| format!("{} at {}", connection.local, connection.global))?;
    }
    Ok(())
}

#[test]
fn idle_connections_outlive_guesses() {
    let _turn = turn();
    connections_outlive(&[]).expect("connections that live");
}

#[test]
fn and_in_cgn_mode() {
    let _turn = turn();
    connections_outlive(&["ip nat settings mode cgn"]).expect("connections that live");
}
