//! Where an attack is played: the lab with addresses without end on both sides, and what every row of the table is told.

use anyhow::Result;
use lab::address::{CLIENT, SERVER};
use lab::{Host, Lab, Namespace, Peer, Plan, Protocol, Rules, Static};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::sleep;
use std::time::Duration;

/// Where the outside server answers datagrams and connections.
pub const ECHO: SocketAddrV4 = SocketAddrV4::new(SERVER, 7000);
/// The global address of the inside server whose ports have gateways.
pub const PUBLISHED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 30);
/// The global endpoint of the inside web server.
pub const WEB: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 8080);
/// The inside host with an address of its own; of the lab's five, the first has the web server.
pub const STATIC_HOST: usize = 1;
/// Where honest inside hosts are.
pub const HONEST: usize = 2;
/// The inside server whose ports have gateways.
pub const SERVER_HOST: usize = 3;
/// The inside attacker.
pub const ATTACKER: usize = 4;
/// A station for the attacker's made-up hosts 10.0.3.0/28, which never have to be resolved.
pub const ATTACKER_STATION: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
const ATTACKER_STATION_TEXT: &str = "02bb.0000.0001";
/// How often a flood's next packets go on the wire.
const TURN: Duration = Duration::from_millis(5);

/// Where an attack stands; what is measured belongs to one of the first three.
pub const PHASES: [&str; 3] = ["before", "during", "after"];

/// One attack.
pub struct Row {
    /// As the table calls it.
    pub name: &'static str,
    /// Lines of configuration besides those that all have.
    pub lines: &'static [&'static str],
    /// Packets, or whatever the attack is made of, a second.
    pub rate: u32,
    /// Workers of the appliance.
    pub workers: u32,
    /// What holds while the attack is on.
    pub promise: Promise,
    /// Plays the attack until the stage says that it is over.
    pub attack: fn(&AttackedLab) -> Result<()>,
}

/// What holds during an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nobody loses anything, and everybody is served within a second.
    All,
    /// What comes meanwhile comes late, and nothing is lost: the one who would forward it stands still.
    NothingLost,
}

/// A lab in which an attack is played.
pub struct AttackedLab {
    /// The lab.
    pub lab: Lab,
    /// The attack.
    pub row: &'static Row,
    /// Who waits longer gets nothing.
    pub patience: Duration,
    /// Connections of the witness: inside and global endpoint.
    pub connections: OnceLock<Vec<(SocketAddrV4, SocketAddrV4)>>,
    sent: AtomicU64,
    phase: AtomicUsize,
    is_over: AtomicBool,
}

impl AttackedLab {
    /// Builds the lab.
    pub fn build(row: &'static Row, patience: Duration) -> Result<AttackedLab> {
        let lab = Lab::build(&Plan { rules: rules(row, &[]), ..Plan::new(Peer::Portico) })?;
        // What attackers say of themselves is their own affair, and the flood would be recorded.
        lab.tap().finish()?;
        let hosts = &lab.hosts;
        for host in hosts {
            host.namespace.ip(&format!("addr del {}/24 dev eth0", host.address))?;
            host.namespace.ip(&format!("addr add {}/16 dev eth0", host.address))?;
            host.namespace.ip("route replace default via 10.0.0.1")?;
        }
        for (namespace, network) in [
            (&hosts[HONEST].namespace, "10.0.64.0/18"),
            (&hosts[HONEST].namespace, "10.0.128.0/17"),
            (&lab.server.namespace, "9.0.0.0/8"),
            (&lab.client.namespace, "8.0.0.0/8"),
        ] {
            namespace.ip(&format!("route add local {network} dev lo"))?;
        }
        // What answers made-up segments would be resets; nobody with such an address is there.
        lab.client.namespace.run(&["nft", "add", "table", "ip", "nobody"])?;
        let chain = "{ type filter hook input priority 0 ; }";
        lab.client.namespace.run(&["nft", "add", "chain", "ip", "nobody", "input", chain])?;
        let rule = ["nft", "add", "rule", "ip", "nobody", "input", "ip", "daddr", "8.0.0.0/9", "drop"];
        lab.client.namespace.run(&rule)?;
        Ok(AttackedLab {
            lab,
            row,
            patience,
            connections: OnceLock::new(),
            sent: AtomicU64::new(0),
            phase: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    /// The namespace of an inside host.
    pub fn inside(&self, host: usize) -> &Namespace {
        &self.lab.hosts[host].namespace
    }

    /// The inside attacker, who is a station of the subnet.
    pub fn attacker(&self) -> &Host {
        &self.lab.hosts[ATTACKER]
    }

    /// Has the appliance read its configuration again, with more lines.
    pub fn reload(&self, lines: &[&str]) -> Result<()> {
        let appliance = self.lab.gateway.appliance();
        appliance.configure(&rules(self.row, lines))?;
        appliance.reload()
    }

    /// The phase now.
    pub fn phase(&self) -> usize {
        self.phase.load(Relaxed)
    }

    /// The next phase begins.
    pub fn enter_phase(&self, phase: usize) {
        self.phase.store(phase, Relaxed);
    }

    /// Whether the attack ends now.
    pub fn attack_is_over(&self) -> bool {
        self.phase() > 1 || self.is_over()
    }

    /// Whether everybody goes home.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Sends everybody home.
    pub fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Counts what an attack did.
    pub fn count(&self, count: u64) {
        self.sent.fetch_add(count, Relaxed);
    }

    /// What the attack did so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Does one thing after another at the row's rate, numbered, until the attack is over. What a busy machine had no time for
    /// is not made up for.
    pub fn at_rate(&self, mut act: impl FnMut(u64) -> Result<()>) -> Result<()> {
        let per_turn = f64::from(self.row.rate) * TURN.as_secs_f64();
        let (mut number, mut due) = (0, 0.0);
        while !self.attack_is_over() {
            due += per_turn;
            while due >= 1.0 {
                act(number)?;
                self.count(1);
                number += 1;
                due -= 1.0;
            }
            sleep(TURN);
        }
        Ok(())
    }
}

/// The lab's rules for a row, with more lines. Strangers have 8.0.0.0/8, honest hosts outside 9.0.0.0/8.
fn rules(row: &Row, more: &[&str]) -> Rules {
    let mut rules = Rules { worker_count: row.workers, ..Rules::routed_pool() };
    let server = lab::address::inside_host(SERVER_HOST);
    for (protocol, port) in [(Protocol::Tcp, 21), (Protocol::Udp, 69)] {
        let end = |address| SocketAddrV4::new(address, port);
        rules.statics.push(Static::Port(protocol, end(server), end(PUBLISHED)));
    }
    rules.lines = [
        "interface GigabitEthernet0/0/0",
        " ip address 10.0.0.1 255.255.0.0",
        "access-list 10 permit 10.0.0.0 0.0.255.255",
    ]
    .map(str::to_owned)
    .to_vec();
    rules.lines.push(format!("ip route 8.0.0.0 255.0.0.0 {CLIENT}"));
    rules.lines.push(format!("ip route 9.0.0.0 255.0.0.0 {SERVER}"));
    let arp = |last: u8| format!("arp 10.0.3.{last} {ATTACKER_STATION_TEXT} arpa");
    rules.lines.extend((1..16).map(arp));
    rules.lines.extend(row.lines.iter().chain(more).map(|line| (*line).to_owned()));
    rules
}
