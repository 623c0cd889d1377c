//! Datagrams above the links' MTU cross the translation in fragments, both ways.

use lab::address::{SERVER, inside_host};
use lab::datagram::{self, Answer, Responder};
use lab::{Lab, Namespace, Peer, Plan, Protocol, Rules, Static, session, turn};
use std::net::{Ipv4Addr, SocketAddrV4};

const PORT: u16 = 7_000;
const UDP_GLOBAL: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), PORT);

fn build(peer: Peer) -> Lab {
    let mut rules = Rules::routed_pool();
    rules.statics.push(Static::Port(Protocol::Udp, SocketAddrV4::new(inside_host(0), PORT), UDP_GLOBAL));
    Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab")
}

/// Echo requests of 6,000 bytes, which are five fragments, out and in.
fn large_pings(peer: Peer) {
    let _turn = turn();
    let lab = build(peer);
    for host in &lab.hosts[..3] {
        session::ping_with(&host.namespace, SERVER, 3, 6000).expect("inside to outside");
    }
    let global = lab.rules.static_global().expect("a one-to-one static");
    session::ping_with(&lab.client.namespace, global, 5, 6000).expect("outside to the static host");
}

/// Datagrams of 6,000 bytes come back as they were sent: from a dynamic host, to a static host and to a static port.
fn large_datagrams(peer: Peer) {
    let _turn = turn();
    let lab = build(peer);
    let datagram: Vec<u8> = (0..6000u32).map(|index| (index % 251) as u8).collect();
    let start = |namespace: &Namespace, address| {
        Responder::start(namespace, lab.directory(), SocketAddrV4::new(address, PORT), Answer::Echo)
            .expect("a responder")
    };
    let _responders = [
        start(&lab.server.namespace, SERVER),
        start(&lab.hosts[0].namespace, inside_host(0)),
        start(&lab.hosts[1].namespace, inside_host(1)),
    ];
    let host = SocketAddrV4::new(lab.rules.static_global().expect("a one-to-one static"), PORT);
    for (from, to) in [
        (&lab.hosts[2].namespace, SocketAddrV4::new(SERVER, PORT)),
        (&lab.client.namespace, UDP_GLOBAL),
        (&lab.client.namespace, host),
    ] {
        let answer = datagram::exchange(from, None, to, &datagram).expect("an exchange");
        assert_eq!(answer.len(), datagram.len(), "bytes of the answer from {to}");
        assert_eq!(answer, datagram, "the answer from {to}");
    }
}

#[test]
fn large_pings_pass_both_ways() {
    large_pings(Peer::Portico);
}

#[test]
fn large_datagrams_pass_both_ways() {
    large_datagrams(Peer::Portico);
}

/// The lab is sound when the kernel's NAT passes every scenario.
#[test]
fn kernel_nat_passes_every_scenario() {
    for scenario in [large_pings, large_datagrams] {
        scenario(Peer::Nftables);
    }
}
