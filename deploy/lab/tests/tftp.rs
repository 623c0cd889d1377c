//! TFTP through the gateways: tftp-hpa and curl, to tftpd-hpa outside and inside.

use anyhow::Result;
use lab::address::{SERVER, inside_host};
use lab::comparison::{Column, Outcome, assert_as_written, assert_like};
use lab::tftp::{Program, TftpServer};
use lab::{Blob, Lab, Namespace, Peer, Plan, Protocol, Rules, Static, Vrfs, static_global, turn};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

/// The global address of the inside host of which port 69 is reached.
const PORT_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

struct Server {
    tftpd: TftpServer,
    at: Ipv4Addr,
    blob: Blob,
}

impl Server {
    fn start(lab: &Lab, namespace: &Namespace, name: &str, at: Ipv4Addr) -> Server {
        let tftpd = TftpServer::start(namespace, lab.directory(), name).expect("tftpd");
        let blob = tftpd.add_blob("image", 1).expect("a blob");
        Server { tftpd, at, blob }
    }
}

struct TftpLab {
    outside: Server,
    /// At an inside host with a global address of its own.
    inside: Server,
    /// At an inside host with a port of a global address.
    inside_port: Server,
    lab: Lab,
}

impl TftpLab {
    fn build(peer: Peer, has_helpers: bool, line: Option<&str>) -> TftpLab {
        let mut rules = Rules { has_helpers, ..Rules::routed_pool() };
        let [local, global] = [inside_host(0), PORT_GLOBAL].map(|address| SocketAddrV4::new(address, 69));
        rules.statics.push(Static::Port(Protocol::Udp, local, global));
        rules.lines.extend(line.map(str::to_owned));
        let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
        let static_global = lab.rules.static_global().expect("a static host");
        TftpLab {
            outside: Server::start(&lab, &lab.server.namespace, "tftp-outside", SERVER),
            inside: Server::start(&lab, &lab.hosts[1].namespace, "tftp-inside", static_global),
            inside_port: Server::start(&lab, &lab.hosts[0].namespace, "tftp-port", PORT_GLOBAL),
            lab,
        }
    }

    fn out(&self, program: Program) -> Result<()> {
        self.transfer(&self.lab.hosts[2].namespace, &self.outside, program)
    }

    fn inward(&self, server: &Server, program: Program) -> Result<()> {
        self.transfer(&self.lab.client.namespace, server, program)
    }

    fn transfer(&self, from: &Namespace, server: &Server, program: Program) -> Result<()> {
        program.there_and_back(from, self.lab.directory(), server.at, &server.tftpd, &server.blob)
    }
}

type Scenario = (&'static str, fn(&TftpLab) -> Result<()>);

const SCENARIOS: &[Scenario] = &[
    ("server outside, tftp-hpa", |lab| lab.out(Program::Tftp)),
    ("server outside, curl", |lab| lab.out(Program::Curl)),
    ("inside server with an address, tftp-hpa", |lab| lab.inward(&lab.inside, Program::Tftp)),
    ("inside server with an address, curl", |lab| lab.inward(&lab.inside, Program::Curl)),
    ("inside server with port 69, tftp-hpa", |lab| lab.inward(&lab.inside_port, Program::Tftp)),
    ("inside server with port 69, curl", |lab| lab.inward(&lab.inside_port, Program::Curl)),
];

fn play(lab: &TftpLab) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> =
            SCENARIOS.iter().map(|(title, play)| (*title, scope.spawn(move || play(lab)))).collect();
        running.into_iter().map(|(title, thread)| (title, thread.join().expect("a thread"))).collect()
    })
}

fn compare(column: Column, peer: Peer, has_helpers: bool) {
    let _turn = turn();
    assert_as_written("TFTP", column, &play(&TftpLab::build(peer, has_helpers, None)));
}

#[test]
fn clients_are_served() {
    compare(Column::Portico, Peer::Portico, false);
}

#[test]
fn kernel_nat_with_its_helper_is_as_written() {
    compare(Column::NftablesWithHelper, Peer::Nftables, true);
}

#[test]
fn kernel_nat_is_as_written() {
    compare(Column::Nftables, Peer::Nftables, false);
}

/// How the appliance filters makes no difference to users.
fn assert_same_under(line: &str) {
    let _turn = turn();
    assert_like("TFTP", Column::Portico, &play(&TftpLab::build(Peer::Portico, false, Some(line))));
}

#[test]
fn clients_are_served_with_filters_by_address() {
    assert_same_under("ip nat settings filtering address-dependent");
}

#[test]
fn clients_are_served_with_open_filters() {
    assert_same_under("ip nat settings filtering endpoint-independent");
}

#[test]
fn clients_are_served_in_cgn_mode() {
    assert_same_under("ip nat settings mode cgn");
}

/// Users with the same address, and servers with the same address, in two VRFs.
#[test]
fn overlapping_vrfs_are_served_at_once() {
    let _turn = turn();
    let rules = Rules { vrfs: Some(Vrfs::one_pool()), ..Rules::routed_pool() };
    let lab = &Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let outside = &Server::start(lab, &lab.server.namespace, "tftp-outside", SERVER);
    let blue_statics = &lab.rules.vrfs.as_ref().expect("VRFs").blue_statics;
    let vrfs = [("red", &lab.hosts, &lab.rules.statics), ("blue", &lab.blue_hosts, blue_statics)];
    thread::scope(|scope| {
        for (name, hosts, statics) in vrfs {
            let global = static_global(statics).expect("a static host");
            scope.spawn(move || {
                let inside = &Server::start(lab, &hosts[1].namespace, &format!("tftp-{name}"), global);
                for (from, server) in [(&hosts[2], outside), (&lab.client, inside)] {
                    let (from, directory) = (&from.namespace, lab.directory());
                    let there_and_back =
                        Program::Tftp.there_and_back(from, directory, server.at, &server.tftpd, &server.blob);
                    there_and_back.expect(name);
                }
            });
        }
    });
}
