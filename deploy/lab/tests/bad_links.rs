//! FTP, DNS and RTSP between sockets of the kernel, which acknowledge selectively, through the appliance and two links that lose, repeat
//! and reorder: each side reads what the simulator's ideal rewriter makes of what the other said.

#[path = "bad_links/device.rs"]
mod device;
#[path = "bad_links/relay.rs"]
mod relay;
#[path = "bad_links/talk.rs"]
mod talk;

use anyhow::{Context, Result, ensure};
use lab::{GATEWAY_PORT, Lab, Namespace, Peer, Plan, Protocol, Rules, Static, turn};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use relay::Relay;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use talk::{Door, Session};
use testkit::random::generator;
use testkit::simulator::crowd::conversation::{Known, TCP, UDP};
use testkit::simulator::crowd::{Cast, NAMED, Speech};
use testkit::simulator::link::Weather;

/// Sessions at the same time: a third of them from inside, a third to hosts with an address, a third to ports of one,
/// each of all protocols.
const LANES: u8 = 18;
/// Sessions one after another in each lane.
const SESSIONS: usize = 12;
/// The global address of the inside servers that share one.
const SHARED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);

/// What is talked in a lane.
fn speech(lane: u8) -> Speech {
    Speech::ALL[usize::from(lane / 3) % Speech::ALL.len()]
}

/// Who talks in a lane.
fn cast(lane: u8) -> Cast {
    let (client_is_inside, is_whole_static) = (lane.is_multiple_of(3), lane % 3 == 1);
    let global = match (client_is_inside, is_whole_static) {
        (true, _) => (Ipv4Addr::UNSPECIFIED, 0),
        (_, true) => (Ipv4Addr::new(203, 0, 113, 100 + lane), speech(lane).port()),
        _ => (SHARED, 2100 + u16::from(lane)),
    };
    let inside = Ipv4Addr::new(10, 0, 0, 100 + lane);
    Cast {
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
    for (lane, cast) in (0..LANES).map(|lane| (lane, cast(lane))).filter(|(_, cast)| !cast.client_is_inside) {
        let (address, port) = cast.global;
        rules.statics.push(match cast.is_whole_static {
            true => Static::Address(cast.inside, address),
            false => {
                let local = SocketAddrV4::new(cast.inside, speech(lane).port());
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
        for cast in (0..LANES).map(cast) {
            inside(&lab).ip(&format!("addr add {}/24 dev eth0", cast.inside))?;
            outside(&lab).ip(&format!("addr add {}/24 dev eth0", cast.outside))?;
        }
        let weather =
            Weather { loss: 0.05, duplication: 0.03, delay_ms: 2, jitter_ms: 8, cut: 0.0, part_len_max: 1 };
        let start = |switch: &lab::Switch| {
            Relay::start(switch.part(GATEWAY_PORT)?, weather.clone(), generator.random())
        };
        let relays = lab.switches.iter().map(start).collect::<Result<_>>()?;
        Ok(BadLab { relays, lab })
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
    fn connect(&self, cast: &Cast, listener: &TcpListener) -> Result<[TcpStream; 2]> {
        let (namespace, own, to) = match cast.client_is_inside {
            true => (inside(&self.lab), cast.inside, (cast.outside, listener.local_addr()?.port())),
            false => (outside(&self.lab), cast.outside, cast.global),
        };
        let client = namespace.within(|| connect_from(own, to))??;
        listener.set_nonblocking(false)?;
        let (server, _) = listener.accept()?;
        Ok([client, server])
    }

    fn session(&self, lane: u8, listener: &TcpListener, seed: u64) -> Result<()> {
        let cast = &cast(lane);
        let streams = self.connect(cast, listener)?;
        let mut known = Known::new(cast.inside);
        known.global = match streams[1].peer_addr()? {
            std::net::SocketAddr::V4(peer) if cast.client_is_inside => Some((*peer.ip(), peer.port())),
            _ => Some(cast.global),
        };
        let conversation = speech(lane).conversation(cast, &mut SmallRng::seed_from_u64(seed));
        let doors = || self.doors();
        Session { conversation: &conversation, known: Mutex::new(known), doors: &doors }.play(streams, seed)
    }

    /// All sessions of a lane, one after another; those that failed.
    fn lane(&self, lane: u8, seed: u64) -> Result<Vec<String>> {
        let cast = cast(lane);
        let (namespace, address) = match cast.client_is_inside {
            true => (outside(&self.lab), cast.outside),
            false => (inside(&self.lab), cast.inside),
        };
        let listener = namespace.within(|| TcpListener::bind((address, speech(lane).port())))??;
        let mut generator = SmallRng::seed_from_u64(seed);
        let mut failures = Vec::new();
        for number in 0..SESSIONS {
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

#[test]
fn kernel_sockets_read_what_an_ideal_rewriter_writes() {
    let _turn = turn();
    let mut generator = generator("bad_links", 1);
    let bad = BadLab::build(&mut generator).expect("the lab");
    let failures: Vec<String> = thread::scope(|scope| {
        let bad = &bad;
        let run = |lane| {
            let seed = generator.random();
            scope.spawn(move || bad.lane(lane, seed).expect("a lane"))
        };
        let lanes: Vec<_> = (0..LANES).map(run).collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a thread")).collect()
    });
    let counts: Vec<_> = bad.relays.iter().map(Relay::counts).collect();
    let recoveries = bad.sack_recoveries().expect("counters");
    println!(
        "{} sessions, {} failed; frames into and out of the links {counts:?}; {recoveries} selective recoveries",
        usize::from(LANES) * SESSIONS,
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(counts.iter().all(|(arrived, _)| *arrived > 1000), "the links carried little");
    assert!(recoveries > 0, "nobody needed selective acknowledgements");
    let appliance = bad.lab.gateway.appliance();
    appliance.exec("clear ip nat translation *").expect("clear");
    thread::sleep(Duration::from_secs(2));
    assert_eq!(appliance.door_count().expect("doors"), 0, "doors that are open still");
}
