//! FTP through the gateways: curl, lftp and a client that sends in pieces, to vsftpd outside and inside.

use anyhow::Result;
use lab::address::{SERVER, inside_host};
use lab::comparison::{Column, Outcome, assert_as_written, assert_like};
use lab::ftp::{Client, DataMode, EXTRA_PORT, FtpServer, PiecemealClient, Program};
use lab::{Blob, Lab, Namespace, Peer, Plan, Protocol, Rules, Static, Vrfs, static_global, turn};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use testkit::leak::Row;

const PORT: u16 = 21;
/// The global address of the inside host of which two ports are reached and nothing else.
const PORTS_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The page's sections.
const OUTSIDE: &str = "FTP, server outside";
const INSIDE: &str = "FTP, server inside";
const SMALL_MIB: u32 = 1;
const LARGE_MIB: u32 = 50;

/// A lab with FTP servers.
struct FtpLab {
    outside: Server,
    outside_extra: Server,
    /// At an inside host with a global address of its own.
    inside: Server,
    /// At an inside host with a port of a global address.
    inside_port: Server,
    inside_port_extra: Server,
    lab: Lab,
}

struct Server {
    vsftpd: FtpServer,
    at: SocketAddrV4,
    small: Blob,
}

impl Server {
    fn start(lab: &Lab, namespace: &Namespace, name: &str, port: u16, global: Ipv4Addr) -> Server {
        let vsftpd = FtpServer::start(namespace, lab.directory(), name, port).expect("vsftpd");
        let small = vsftpd.add_blob("small", SMALL_MIB).expect("a blob");
        Server { vsftpd, at: SocketAddrV4::new(global, port), small }
    }
}

/// The servers on another port are listed.
fn rules() -> Rules {
    let servers = [SERVER, inside_host(0)].map(|server| format!("access-list 21 permit {server}"));
    // A listed server has the ports that lists name, and no others.
    let lists = [PORT, EXTRA_PORT].map(|port| format!("ip nat service list 21 ftp tcp port {port}"));
    Rules { lines: [servers, lists].concat(), ..Rules::routed_pool() }
}

impl FtpLab {
    fn build(peer: Peer, mut rules: Rules) -> FtpLab {
        for port in [PORT, EXTRA_PORT] {
            let [local, global] =
                [inside_host(0), PORTS_GLOBAL].map(|address| SocketAddrV4::new(address, port));
            rules.statics.push(Static::Port(Protocol::Tcp, local, global));
        }
        let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
        let static_global = lab.rules.static_global().expect("a static host");
        let hosts = [&lab.server, &lab.hosts[0], &lab.hosts[1]].map(|host| &host.namespace);
        FtpLab {
            outside: Server::start(&lab, hosts[0], "ftp-outside", PORT, SERVER),
            outside_extra: Server::start(&lab, hosts[0], "ftp-outside-extra", EXTRA_PORT, SERVER),
            inside: Server::start(&lab, hosts[2], "ftp-inside", PORT, static_global),
            inside_port: Server::start(&lab, hosts[1], "ftp-port", PORT, PORTS_GLOBAL),
            inside_port_extra: Server::start(&lab, hosts[1], "ftp-port-extra", EXTRA_PORT, PORTS_GLOBAL),
            lab,
        }
    }

    fn client<'a>(&'a self, from: &'a Namespace, program: Program, mode: DataMode) -> Client<'a> {
        Client { from, directory: self.lab.directory(), program, mode, has_tls: false }
    }

    /// An inside user of the outside server.
    fn out(&self, program: Program, mode: DataMode) -> Result<()> {
        let client = self.client(&self.lab.hosts[2].namespace, program, mode);
        client.there_and_back(self.outside.at, &self.outside.vsftpd, &self.outside.small)
    }

    fn out_with_tls(&self, program: Program, mode: DataMode) -> Result<()> {
        let client = self.client(&self.lab.hosts[2].namespace, program, mode);
        let client = Client { has_tls: true, ..client };
        client.there_and_back(self.outside.at, &self.outside.vsftpd, &self.outside.small)
    }

    fn out_in_pieces(&self, mode: DataMode, has_no_delay: bool) -> Result<()> {
        let (from, directory) = (&self.lab.hosts[3].namespace, self.lab.directory());
        let client = PiecemealClient { from, directory, mode, has_no_delay };
        client.there_and_back(self.outside.at, &self.outside.vsftpd, &self.outside.small)
    }

    /// An outside user of an inside server.
    fn inward(&self, server: &Server, program: Program, mode: DataMode) -> Result<()> {
        let client = self.client(&self.lab.client.namespace, program, mode);
        client.there_and_back(server.at, &server.vsftpd, &server.small)
    }

    fn inward_in_pieces(&self, server: &Server, mode: DataMode) -> Result<()> {
        let (from, directory) = (&self.lab.client.namespace, self.lab.directory());
        let client = PiecemealClient { from, directory, mode, has_no_delay: true };
        client.there_and_back(server.at, &server.vsftpd, &server.small)
    }
}

type Scenario = (&'static str, fn(&FtpLab) -> Result<()>);

const OUTWARD: &[Scenario] = &[
    ("curl, PASV", |lab| lab.out(Program::Curl, DataMode::Pasv)),
    ("curl, EPSV", |lab| lab.out(Program::Curl, DataMode::Epsv)),
    ("curl, PORT", |lab| lab.out(Program::Curl, DataMode::Port)),
    ("curl, EPRT", |lab| lab.out(Program::Curl, DataMode::Eprt)),
    ("lftp, PASV", |lab| lab.out(Program::Lftp, DataMode::Pasv)),
    ("lftp, EPSV", |lab| lab.out(Program::Lftp, DataMode::Epsv)),
    ("lftp, PORT", |lab| lab.out(Program::Lftp, DataMode::Port)),
    ("lftp, PORT, commands not awaiting replies", |lab| lab.out(Program::LftpPipelined, DataMode::Port)),
    ("curl, TLS, EPSV", |lab| lab.out_with_tls(Program::Curl, DataMode::Epsv)),
    ("lftp, TLS, PASV", |lab| lab.out_with_tls(Program::Lftp, DataMode::Pasv)),
    ("a byte at a time, PASV", |lab| lab.out_in_pieces(DataMode::Pasv, true)),
    ("a byte at a time, PORT", |lab| lab.out_in_pieces(DataMode::Port, true)),
    ("a byte at a time, EPRT", |lab| lab.out_in_pieces(DataMode::Eprt, true)),
    ("a byte at a time with Nagle's algorithm, PORT", |lab| lab.out_in_pieces(DataMode::Port, false)),
    ("a byte at a time with Nagle's algorithm, EPRT", |lab| lab.out_in_pieces(DataMode::Eprt, false)),
    ("server on port 2121, as listed, curl, PORT", |lab| {
        let (client, server) = (&lab.lab.hosts[2].namespace, &lab.outside_extra);
        let client = lab.client(client, Program::Curl, DataMode::Port);
        client.there_and_back(server.at, &server.vsftpd, &server.small)
    }),
];

const INWARD: &[Scenario] = &[
    ("inside server with an address, curl, PASV", |lab| {
        lab.inward(&lab.inside, Program::Curl, DataMode::Pasv)
    }),
    ("inside server with an address, curl, EPSV", |lab| {
        lab.inward(&lab.inside, Program::Curl, DataMode::Epsv)
    }),
    ("inside server with an address, curl, PORT", |lab| {
        lab.inward(&lab.inside, Program::Curl, DataMode::Port)
    }),
    ("inside server with an address, lftp, PASV", |lab| {
        lab.inward(&lab.inside, Program::Lftp, DataMode::Pasv)
    }),
    ("inside server with an address, a byte at a time, PASV", |lab| {
        lab.inward_in_pieces(&lab.inside, DataMode::Pasv)
    }),
    ("inside server with a port, curl, PASV", |lab| {
        lab.inward(&lab.inside_port, Program::Curl, DataMode::Pasv)
    }),
    ("inside server with a port, curl, EPSV", |lab| {
        lab.inward(&lab.inside_port, Program::Curl, DataMode::Epsv)
    }),
    ("inside server with a port, curl, PORT", |lab| {
        lab.inward(&lab.inside_port, Program::Curl, DataMode::Port)
    }),
    ("inside server with a port, lftp, PORT", |lab| {
        lab.inward(&lab.inside_port, Program::Lftp, DataMode::Port)
    }),
    ("inside server with port 2121, as listed, curl, PASV", |lab| {
        lab.inward(&lab.inside_port_extra, Program::Curl, DataMode::Pasv)
    }),
];

/// Each scenario is on its own connections; they run at once, so that those that fail wait together.
fn play(lab: &FtpLab, scenarios: &[Scenario]) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> =
            scenarios.iter().map(|(title, play)| (*title, scope.spawn(move || play(lab)))).collect();
        running.into_iter().map(|(title, thread)| (title, thread.join().expect("a thread"))).collect()
    })
}

fn compare(lab: &FtpLab, column: Column) {
    assert_as_written(OUTSIDE, column, &play(lab, OUTWARD));
    assert_as_written(INSIDE, column, &play(lab, INWARD));
}

#[test]
fn every_client_is_served() {
    let _turn = turn();
    let lab = FtpLab::build(Peer::Portico, rules());
    compare(&lab, Column::Portico);
    assert_eq!(lab.lab.gateway.appliance().door_count().expect("doors"), 0, "doors that are open still");
}

#[test]
fn kernel_nat_with_its_helper_is_as_written() {
    let _turn = turn();
    let lab = FtpLab::build(Peer::Nftables, Rules { has_helpers: true, ..rules() });
    compare(&lab, Column::NftablesWithHelper);
}

#[test]
fn kernel_nat_is_as_written() {
    let _turn = turn();
    compare(&FtpLab::build(Peer::Nftables, rules()), Column::Nftables);
}

/// Whichever worker has the host, and whichever sees the first packet of the data.
#[test]
fn two_workers_serve_every_client() {
    let _turn = turn();
    let lab = FtpLab::build(Peer::Portico, Rules { worker_count: 2, ..rules() });
    assert_like(OUTSIDE, Column::Portico, &play(&lab, OUTWARD));
    assert_like(INSIDE, Column::Portico, &play(&lab, INWARD));
}

/// Without gateways, and without lists that switch one on, the appliance does what any NAT does.
#[test]
fn switched_off_it_is_like_kernel_nat() {
    let _turn = turn();
    let lines = vec!["no ip nat service all-algs".to_owned()];
    let lab = FtpLab::build(Peer::Portico, Rules { lines, ..Rules::routed_pool() });
    assert_like(OUTSIDE, Column::Nftables, &play(&lab, OUTWARD));
    assert_like(INSIDE, Column::Nftables, &play(&lab, INWARD));
    // What the tap is there for: addresses that nobody translates leave, and it finds them.
    let report = lab.lab.tap().finish().expect("a tap that saw everything");
    println!("{}: of {} payloads {} leak", Row::SwitchedOff.name(), report.read, report.leaks.len());
    for host in [lab.lab.hosts[2].address, lab.lab.hosts[3].address, lab.lab.hosts[0].address] {
        let leak = format!("{host} as Commas left from ");
        assert!(
            report.leaks.iter().any(|told| told.starts_with(&leak)),
            "{host} is not among\n{:#?}",
            report.leaks
        );
    }
}

/// 50 MiB there and back, active and passive, out and in, arrive as they left.
fn large_files(peer: Peer) {
    let _turn = turn();
    let lab = FtpLab::build(peer, Rules { has_helpers: true, ..rules() });
    let outside = lab.outside.vsftpd.add_blob("large", LARGE_MIB).expect("a blob");
    let inside = lab.inside.vsftpd.add_blob("large", LARGE_MIB).expect("a blob");
    for (program, mode) in [(Program::Curl, DataMode::Eprt), (Program::Lftp, DataMode::Pasv)] {
        let client = lab.client(&lab.lab.hosts[2].namespace, program, mode);
        client.there_and_back(lab.outside.at, &lab.outside.vsftpd, &outside).expect("outward");
    }
    let client = lab.client(&lab.lab.client.namespace, Program::Curl, DataMode::Pasv);
    client.there_and_back(lab.inside.at, &lab.inside.vsftpd, &inside).expect("inward");
}

#[test]
fn large_files_arrive_unchanged() {
    large_files(Peer::Portico);
}

#[test]
fn kernel_nat_delivers_large_files() {
    large_files(Peer::Nftables);
}

/// The same inside addresses in two VRFs, users and servers both, at once.
#[test]
fn overlapping_vrfs_are_served_at_once() {
    let _turn = turn();
    let rules = Rules { vrfs: Some(Vrfs::one_pool()), ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let outside = Server::start(&lab, &lab.server.namespace, "ftp-outside", PORT, SERVER);
    let blue_statics = &lab.rules.vrfs.as_ref().expect("VRFs").blue_statics;
    let vrfs = [("red", &lab.hosts, &lab.rules.statics), ("blue", &lab.blue_hosts, blue_statics)];
    let insides = vrfs.map(|(name, hosts, statics)| {
        let global = static_global(statics).expect("a static host");
        Server::start(&lab, &hosts[1].namespace, &format!("ftp-{name}"), PORT, global)
    });
    thread::scope(|scope| {
        for ((name, hosts, _), inside) in vrfs.into_iter().zip(&insides) {
            let (lab, outside) = (&lab, &outside);
            scope.spawn(move || {
                for mode in [DataMode::Port, DataMode::Pasv] {
                    let (from, directory) = (&hosts[2].namespace, lab.directory());
                    let client = PiecemealClient { from, directory, mode, has_no_delay: true };
                    client.there_and_back(outside.at, &outside.vsftpd, &outside.small).expect(name);
                    let from = &lab.client.namespace;
                    let client = Client { from, directory, program: Program::Curl, mode, has_tls: false };
                    client.there_and_back(inside.at, &inside.vsftpd, &inside.small).expect(name);
                }
            });
        }
    });
}
