//! Remote commands through the gateways: rsh, rexec and rcp, to netkit's servers outside and inside.

use anyhow::Result;
use lab::address::{SERVER, inside_host};
use lab::comparison::{Column, Outcome, assert_as_written, assert_like};
use lab::rcmd::{CommandServer, Program, are_installed};
use lab::{Host, Lab, Namespace, Peer, Plan, Protocol, Rules, Static, turn};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

const SECTION: &str = "rsh and rexec";
/// The global address of the inside host of which two ports are reached.
const PORTS_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

struct Server {
    commands: CommandServer,
    at: Ipv4Addr,
}

impl Server {
    fn start(lab: &Lab, host: &Host, name: &str, at: Ipv4Addr) -> Server {
        let commands = CommandServer::start(&host.namespace, lab.directory(), name).expect("inetd");
        Server { commands, at }
    }
}

struct CommandLab {
    outside: Server,
    /// At an inside host with a global address of its own.
    inside: Server,
    /// At an inside host with two ports of a global address.
    inside_ports: Server,
    lab: Lab,
}

impl CommandLab {
    fn build(peer: Peer, rules: Rules) -> CommandLab {
        let mut rules = rules;
        for port in [512, 514] {
            let [local, global] =
                [inside_host(0), PORTS_GLOBAL].map(|address| SocketAddrV4::new(address, port));
            rules.statics.push(Static::Port(Protocol::Tcp, local, global));
        }
        let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
        let static_global = lab.rules.static_global().expect("a static host");
        CommandLab {
            outside: Server::start(&lab, &lab.server, "rcmd-outside", SERVER),
            inside: Server::start(&lab, &lab.hosts[1], "rcmd-inside", static_global),
            inside_ports: Server::start(&lab, &lab.hosts[0], "rcmd-ports", PORTS_GLOBAL),
            lab,
        }
    }

    /// Inside users of the outside server at the same time: their programs begin with the same ports.
    fn out(&self, program: Program) -> Result<()> {
        thread::scope(|scope| {
            let users = &self.lab.hosts[2..5];
            let running: Vec<_> = users
                .iter()
                .map(|user| scope.spawn(|| self.run(&user.namespace, &self.outside, program)))
                .collect();
            running.into_iter().try_for_each(|user| user.join().expect("a thread"))
        })
    }

    /// An outside user of an inside server.
    fn inward(&self, server: &Server, program: Program) -> Result<()> {
        self.run(&self.lab.client.namespace, server, program)
    }

    fn run(&self, from: &Namespace, server: &Server, program: Program) -> Result<()> {
        program.run(from, self.lab.directory(), server.at, &server.commands)
    }
}

type Scenario = (&'static str, fn(&CommandLab) -> Result<()>);

const SCENARIOS: &[Scenario] = &[
    ("server outside, rsh", |lab| lab.out(Program::Rsh)),
    ("server outside, rexec", |lab| lab.out(Program::Rexec)),
    ("server outside, rcp", |lab| lab.out(Program::Rcp)),
    ("inside server with an address, rsh", |lab| lab.inward(&lab.inside, Program::Rsh)),
    ("inside server with an address, rexec", |lab| lab.inward(&lab.inside, Program::Rexec)),
    ("inside server with ports 512 and 514, rsh", |lab| lab.inward(&lab.inside_ports, Program::Rsh)),
    ("inside server with ports 512 and 514, rexec", |lab| lab.inward(&lab.inside_ports, Program::Rexec)),
    ("inside server with ports 512 and 514, rcp", |lab| lab.inward(&lab.inside_ports, Program::Rcp)),
];

fn play(lab: &CommandLab) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> =
            SCENARIOS.iter().map(|(title, play)| (*title, scope.spawn(move || play(lab)))).collect();
        running.into_iter().map(|(title, thread)| (title, thread.join().expect("a thread"))).collect()
    })
}

#[test]
fn commands_write_to_both_outputs() {
    if !are_installed() {
        return;
    }
    let _turn = turn();
    let lab = CommandLab::build(Peer::Portico, Rules::routed_pool());
    assert_as_written(SECTION, Column::Portico, &play(&lab));
}

#[test]
fn kernel_nat_is_as_written() {
    if !are_installed() {
        return;
    }
    let _turn = turn();
    let lab = CommandLab::build(Peer::Nftables, Rules::routed_pool());
    assert_as_written(SECTION, Column::Nftables, &play(&lab));
}

fn with_line(line: &str) -> Rules {
    Rules { lines: vec![line.to_owned()], ..Rules::routed_pool() }
}

/// Without the gateway it is like the kernel's NAT, and fails where that does.
#[test]
fn without_the_gateway_errors_do_not_arrive() {
    if !are_installed() {
        return;
    }
    let _turn = turn();
    let lab = CommandLab::build(Peer::Portico, with_line("no ip nat service rcmd"));
    assert_like(SECTION, Column::Nftables, &play(&lab));
}

#[test]
fn commands_write_to_both_outputs_in_cgn_mode() {
    if !are_installed() {
        return;
    }
    let _turn = turn();
    let lab = CommandLab::build(Peer::Portico, with_line("ip nat settings mode cgn"));
    assert_like(SECTION, Column::Portico, &play(&lab));
}

#[test]
fn commands_write_to_both_outputs_with_two_workers() {
    if !are_installed() {
        return;
    }
    let _turn = turn();
    let lab = CommandLab::build(Peer::Portico, Rules { worker_count: 2, ..Rules::routed_pool() });
    assert_like(SECTION, Column::Portico, &play(&lab));
}
