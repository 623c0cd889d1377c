//! Inside hosts reach each other by their global addresses, and are seen there by theirs (RFC 4787 REQ-9).

use lab::address::{SERVER, SERVER_SECOND, inside_host};
use lab::datagram::{self, Answer, Responder};
use lab::{Lab, Peer, Plan, Rules, StunServer, discovery, scenario, turn};
use std::net::SocketAddrV4;

const PORT: u16 = 41_000;

fn build(lines: &[&str]) -> (StunServer, Lab) {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let rules = Rules { lines, ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let server = &lab.server.namespace;
    server.ip(&format!("addr add {SERVER_SECOND}/24 dev eth0")).expect("a second address");
    let stun = StunServer::start(server, lab.directory(), [SERVER, SERVER_SECOND]).expect("turnserver");
    (stun, lab)
}

fn local(host: usize) -> SocketAddrV4 {
    SocketAddrV4::new(inside_host(host), PORT)
}

/// The global endpoint of a host's UDP port, as the host learns it.
fn learn(lab: &Lab, host: usize) -> SocketAddrV4 {
    discovery::reflexive(&lab.hosts[host].namespace, SERVER, local(host)).expect("a reflexive address")
}

fn respond(lab: &Lab, host: usize, answer: Answer) -> Responder {
    Responder::start(&lab.hosts[host].namespace, lab.directory(), local(host), answer).expect("a responder")
}

fn seen_as(lab: &Lab, host: usize, to: SocketAddrV4) -> Option<SocketAddrV4> {
    datagram::seen_as(&lab.hosts[host].namespace, Some(local(host)), to).expect("an exchange")
}

/// Static ports and static hosts, from dynamic hosts, from a static one, and from themselves.
#[test]
fn statics_are_reached_from_inside() {
    let _turn = turn();
    let lab = Lab::build(&Plan::new(Peer::Portico)).expect("the lab");
    scenario::HAIRPINS.iter().for_each(|play| play(&lab));
}

/// Two dynamic hosts that let everyone in: each reaches the other at the endpoint the other learnt from the STUN server,
/// is seen there at the endpoint it learnt itself, and is answered from where it sent to.
fn peers_meet(line: &str) {
    let _turn = turn();
    let (_stun, lab) = build(&[line]);
    let global = [2, 3].map(|host| learn(&lab, host));
    for (server, client, to, expected) in [(2, 3, global[0], global[1]), (3, 2, global[1], global[0])] {
        let _responder = respond(&lab, server, Answer::Peer);
        assert_eq!(seen_as(&lab, client, to), Some(expected), "host {client} at host {server} under {line}");
    }
    let itself = discovery::has_hairpinning(&lab.hosts[4].namespace, SERVER, local(4));
    assert!(itself.expect("discovery"), "natdiscovery finds no hairpin under {line}");
}

#[test]
fn dynamic_hosts_meet_with_open_filters() {
    peers_meet("ip nat settings filtering endpoint-independent");
}

#[test]
fn dynamic_hosts_meet_in_cgn_mode() {
    peers_meet("ip nat settings mode cgn");
}

/// Filters hold for those inside as for those outside: the first datagram opens the sender's own filter only, and the
/// two meet once both have sent.
#[test]
fn dynamic_hosts_punch_through_filters() {
    let _turn = turn();
    let (_stun, lab) = build(&[]);
    let global = [2, 3].map(|host| learn(&lab, host));
    {
        let _responder = respond(&lab, 2, Answer::Peer);
        assert_eq!(seen_as(&lab, 3, global[0]), None, "host 2 has sent nothing to host 3 yet");
    }
    let _responder = respond(&lab, 3, Answer::Peer);
    assert_eq!(seen_as(&lab, 2, global[1]), Some(global[0]));
}
