//! FTP, DNS and RTSP between sockets of the kernel, which acknowledge selectively, through the appliance and two links that lose, repeat
//! and reorder: each side reads what the simulator's ideal rewriter makes of what the other said. It does too where the
//! appliance or a host's program is stopped for a while; and the lab's tap sees no inside address leave.

#[path = "bad_links/device.rs"]
mod device;
#[path = "bad_links/relay.rs"]
mod relay;
#[path = "bad_links/stops.rs"]
mod stops;
#[path = "bad_links/talk.rs"]
mod talk;

use anyhow::{Context, Result, ensure};
use lab::address::{INSIDE_GATEWAY, OUTSIDE_GATEWAY};
use lab::{GATEWAY_PORT, Lab, Namespace, Peer, Plan, Protocol, Rules, Static, turn};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use relay::Relay;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use stops::{Gate, Stops, stop_programs};
use talk::{Door, Session};
use testkit::random::generator;
use testkit::simulator::crowd::conversation::{Known, TCP, UDP};
use testkit::simulator::crowd::{NAMED, Parties, Speech};
use testkit::simulator::link::Impairments;

/// Sessions at the same time: a third of them from inside, a third to hosts with an address, a third to ports of one,
/// each of all protocols.
const LANES: u8 = 18;
/// Sessions one after another in each lane.
const SESSIONS: usize = 12;
/// The same beside programs that are stopped, and in the long run of that: 504 in all.
const STOPPED_SESSIONS: usize = 2;
const STOPPED_SESSIONS_LONG: usize = 28;
/// How long a server waits for the last part of a handshake: longer than its kernel does.
const ACCEPT_LIMIT: Duration = Duration::from_secs(120);
/// What was cleared is gone soon.
const CLEAR_LIMIT: Duration = Duration::from_secs(60);
/// The global address of the inside servers that share one.
const SHARED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);

/// What is talked in a lane.
fn speech(lane: u8) -> Speech {
    Speech::ALL[usize::from(lane / 3) % Speech::ALL.len()]
}

/// Who talks in a lane.
fn parties(lane: u8) -> Parties {
    let (client_is_inside, is_whole_static) = (lane.is_multiple_of(3), lane % 3 == 1);
    let global = match (client_is_inside, is_whole_static) {
        (true, _) => (Ipv4Addr::UNSPECIFIED, 0),
        (_, true) => (Ipv4Addr::new(203, 0, 113, 100 + lane), speech(lane).port()),
        _ => (SHARED, 2100 + u16::from(lane)),
    };
    let inside = Ipv4Addr::new(10, 0, 0, 100 + lane);
    Parties {
        client_is_inside,
        inside,
        outside: Ipv4Addr::new(198, 51, 100, 100 + lane),
        global,
        is_whole_static,
        shared_port: None,
    }
}

fn rules() -> Rules {
    let mut rules = Rules::routed_pool();
    for (lane, parties) in
        (0..LANES).map(|lane| (lane, parties(lane))).filter(|(_, parties)| !parties.client_is_inside)
    {
        let (address, port) = parties.global;
        rules.statics.push(match parties.is_whole_static {
            true => Static::Address(parties.inside, address),
            false => {
                let local = SocketAddrV4::new(parties.inside, speech(lane).port());
                Static::Port(Protocol::Tcp, local, SocketAddrV4::new(address, port))
            }
        });
    }
    let [local, global] = [NAMED.0, NAMED.1].map(|[a, b, c]| format!("{a}.{b}.{c}.0"));
    rules.lines.push(format!("ip nat inside source static network {local} {global} 255.255.255.0"));
    rules
}

/// A lab whose links are bad from now on, and the hosts of all lanes in a namespace on either side.
struct BadLab {
    // The relays end before the devices they carry frames between.
    relays: Vec<Relay>,
    lab: Lab,
    gates: [[Gate; 2]; LANES as usize],
    /// Connections made.
    connected: AtomicUsize,
}

impl BadLab {
    fn build(generator: &mut SmallRng) -> Result<BadLab> {
        let lab = Lab::build(&Plan { rules: rules(), ..Plan::new(Peer::Portico) })?;
        for namespace in [inside(&lab), outside(&lab)] {
            let sack = namespace.run(&["sysctl", "-n", "net.ipv4.tcp_sack"])?;
            ensure!(sack.trim() == "1", "the kernel does not acknowledge selectively");
        }
        // Room for a few segments, so that it runs out.
        inside(&lab).run(&["sysctl", "-qw", "net.ipv4.tcp_rmem=4096 4608 8192"])?;
        for parties in (0..LANES).map(parties) {
            inside(&lab).ip(&format!("addr add {}/24 dev eth0", parties.inside))?;
            outside(&lab).ip(&format!("addr add {}/24 dev eth0", parties.outside))?;
        }
        introduce(&lab)?;
        let impairments = Impairments {
            loss: 0.05,
            duplication: 0.03,
            delay_ms: 2,
            jitter_ms: 8,
            cut: 0.0,
            part_len_max: 1,
        };
        let start = |switch: &lab::Switch| {
            Relay::start(switch.part(GATEWAY_PORT)?, impairments.clone(), generator.random())
        };
        let relays = lab.switches.iter().map(start).collect::<Result<_>>()?;
        Ok(BadLab { relays, lab, gates: Default::default(), connected: AtomicUsize::new(0) })
    }

    /// The doors that the appliance shows.
    fn doors(&self) -> Result<Vec<Door>> {
        let text = self.lab.gateway.appliance().exec("show ip nat doors")?;
        let endpoint = |text: &str| {
            let end: SocketAddrV4 = text.parse().ok()?;
            Some((*end.ip(), end.port()))
        };
        let door = |line: &str| {
            let mut words = line.split_whitespace();
            let protocol = match words.next()? {
                "tcp" => TCP,
                "udp" => UDP,
                _ => return None,
            };
            let (global, local) = (endpoint(words.next()?)?, endpoint(words.next()?)?);
            Some((protocol, local, global))
        };
        Ok(text.lines().filter_map(door).collect())
    }

    /// Connects a lane's client to its server, where `listener` is.
    fn connect(&self, parties: &Parties, listener: &TcpListener) -> Result<[TcpStream; 2]> {
        let (namespace, own, to) = match parties.client_is_inside {
            true => (inside(&self.lab), parties.inside, (parties.outside, listener.local_addr()?.port())),
            false => (outside(&self.lab), parties.outside, parties.global),
        };
        let client = namespace.within(|| connect_from(own, to))??;
        // Its last part may be lost, and come again.
        listener.set_nonblocking(true)?;
        let start = Instant::now();
        let (server, _) = loop {
            match listener.accept() {
                Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < ACCEPT_LIMIT => {
                    thread::sleep(Duration::from_millis(5));
                }
                accepted => break accepted.context("its server has not seen the connection")?,
            }
        };
        server.set_nonblocking(false)?;
        self.connected.fetch_add(1, Ordering::Relaxed);
        Ok([client, server])
    }

    fn session(&self, lane: u8, listener: &TcpListener, seed: u64) -> Result<()> {
        let parties = &parties(lane);
        let streams = self.connect(parties, listener)?;
        let mut known = Known::new(parties.inside);
        known.global = match streams[1].peer_addr()? {
            std::net::SocketAddr::V4(peer) if parties.client_is_inside => Some((*peer.ip(), peer.port())),
            _ => Some(parties.global),
        };
        let conversation = speech(lane).conversation(parties, &mut SmallRng::seed_from_u64(seed));
        self.lab.tap().may_pass(conversation.passes(parties.inside_side()));
        let (doors, gates) = (|| self.doors(), &self.gates[usize::from(lane)]);
        let known = Mutex::new(known);
        Session { conversation: &conversation, known, doors: &doors, gates }.play(streams, seed)
    }

    /// All sessions of a lane, one after another; those that failed.
    fn lane(&self, lane: u8, count: usize, seed: u64) -> Result<Vec<String>> {
        let parties = parties(lane);
        let (namespace, address) = match parties.client_is_inside {
            true => (outside(&self.lab), parties.outside),
            false => (inside(&self.lab), parties.inside),
        };
        let listener = namespace.within(|| TcpListener::bind((address, speech(lane).port())))??;
        let mut generator = SmallRng::seed_from_u64(seed);
        let mut failures = Vec::new();
        for number in 0..count {
            if let Err(error) = self.session(lane, &listener, generator.random()) {
                failures.push(format!(
                    "lane {lane}, {:?}, seed {seed}, session {number}: {error:#}",
                    speech(lane)
                ));
            }
        }
        Ok(failures)
    }

    /// How often the kernels of both sides repeated what selective acknowledgements told them to.
    fn sack_recoveries(&self) -> Result<u64> {
        let counts = [inside(&self.lab), outside(&self.lab)].map(|namespace| -> Result<u64> {
            let text = namespace.run(&["cat", "/proc/net/netstat"])?;
            let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
            let (names, values) = lines.next().zip(lines.next()).context("no counters of TCP")?;
            let wanted = ["TCPSackRecovery", "TCPSACKReorder", "TCPDSACKRecv", "TCPSackFailures"];
            let pairs = names.split(' ').zip(values.split(' '));
            let found: Vec<_> = pairs.filter(|(name, _)| wanted.contains(name)).collect();
            println!("{}: {found:?}", namespace.name());
            Ok(found
                .iter()
                .filter(|(name, _)| *name == wanted[0])
                .filter_map(|(_, n)| n.parse::<u64>().ok())
                .sum())
        });
        counts.into_iter().sum()
    }
}

/// Lets every host and the appliance learn each other's station while the links are good: three ARP questions in a row may
/// well be lost later, and who asked is told then that there is no way.
fn introduce(lab: &Lab) -> Result<()> {
    for parties in (0..LANES).map(parties) {
        let ends =
            [(inside(lab), parties.inside, INSIDE_GATEWAY), (outside(lab), parties.outside, OUTSIDE_GATEWAY)];
        for (namespace, own, gateway) in ends {
            let [own, gateway] = [own, gateway].map(|addr| addr.to_string());
            namespace.run(&["ping", "-c", "1", "-w", "60", "-I", &own, &gateway])?;
        }
    }
    Ok(())
}

fn inside(lab: &Lab) -> &Namespace {
    &lab.hosts[3].namespace
}

fn outside(lab: &Lab) -> &Namespace {
    &lab.client.namespace
}

/// A connection from one of several own addresses.
fn connect_from(own: Ipv4Addr, to: (Ipv4Addr, u16)) -> Result<TcpStream> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::os::fd::AsRawFd;
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(own, 0)))?;
    connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(to.0, to.1)))
        .with_context(|| format!("{own} cannot connect to {to:?}"))?;
    Ok(TcpStream::from(socket))
}

/// Lets so many sessions of each lane talk, and judges what became of them. Programs are stopped meanwhile, or none.
fn play(test: &str, default_seed: u64, count: usize, with_stops: bool) {
    let _turn = turn();
    let mut generator = generator(test, default_seed);
    let bad = BadLab::build(&mut generator).expect("the lab");
    let is_over = AtomicBool::new(false);
    let appliance = bad.lab.gateway.appliance();
    let (failures, stops) = thread::scope(|scope| {
        let (bad, is_over) = (&bad, &is_over);
        let seeds: Vec<u64> = (0..LANES).map(|_| generator.random()).collect();
        let run = |(lane, seed)| scope.spawn(move || bad.lane(lane, count, seed).expect("a lane"));
        let lanes: Vec<_> = (0..LANES).zip(seeds).map(run).collect();
        let seed = generator.random();
        let stops = move || {
            // Once there is something to interrupt.
            while bad.connected.load(Ordering::Relaxed) < usize::from(LANES)
                && !is_over.load(Ordering::Relaxed)
            {
                thread::sleep(Duration::from_millis(10));
            }
            stop_programs(appliance, &bad.gates, is_over, seed)
        };
        let stops = with_stops.then(|| scope.spawn(stops));
        let failures = lanes.into_iter().flat_map(|lane| lane.join().unwrap_or(vec!["it panicked".into()]));
        let failures: Vec<String> = failures.collect();
        is_over.store(true, Ordering::Relaxed);
        let stops = stops.map(|stops| stops.join().expect("a thread").expect("signals"));
        (failures, stops)
    });
    let counts: Vec<_> = bad.relays.iter().map(Relay::counts).collect();
    let recoveries = bad.sack_recoveries().expect("counters");
    println!(
        "{} sessions, {} failed; frames into and out of the links {counts:?}; {recoveries} selective recoveries; {stops:?}",
        usize::from(LANES) * count,
        failures.len()
    );
    let report = bad.lab.tap().finish().expect("a tap that saw everything");
    println!("the tap looked at {} payloads; inside addresses passed: {:?}", report.read, report.passed);
    let faults = [failures, report.leaks].concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(report.read as usize > 5 * usize::from(LANES) * count, "the tap saw little");
    assert!(counts.iter().all(|(arrived, _)| *arrived > 1000), "the links carried little");
    assert!(with_stops || recoveries > 0, "nobody needed selective acknowledgements");
    let was_stopped = |stops: Stops| stops.appliance > 0 && stops.hosts > 0;
    assert!(stops.is_none_or(was_stopped), "nobody was stopped");
    appliance.exec("clear ip nat translation *").expect("clear");
    let start = Instant::now();
    while appliance.door_count().expect("doors") > 0 {
        assert!(start.elapsed() < CLEAR_LIMIT, "doors that are open still");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn kernel_sockets_read_what_an_ideal_rewriter_writes() {
    play("bad_links", 1, SESSIONS, false);
}

#[test]
fn programs_that_are_stopped_lose_nothing_and_leak_nothing() {
    play("bad_links_stopped", 2, STOPPED_SESSIONS, true);
}

/// The same, for a while: `cargo test -p lab --test bad_links -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn five_hundred_sessions_beside_programs_that_are_stopped() {
    play("bad_links_stopped_long", 3, STOPPED_SESSIONS_LONG, true);
}
