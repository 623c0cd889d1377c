//! Many subscribers at once.

use lab::address::SERVER;
use lab::{Lab, Peer, Plan, session, turn};
use std::net::SocketAddrV4;

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
const CLIENT_COUNT: usize = 200;

/// Two hundred downloads from twenty hosts, slow enough that they all overlap, none failing.
fn two_hundred_clients(peer: Peer) {
    let _turn = turn();
    let lab = Lab::build(&Plan { inside_host_count: 20, ..Plan::new(peer) }).expect("the lab");
    let hosts: Vec<_> = lab.hosts.iter().map(|host| &host.namespace).collect();
    let blob = lab.web.add_blob("down", 1).expect("a blob");
    let failures = session::in_parallel(&hosts, CLIENT_COUNT, |host| {
        session::download_slowly(host, WEB, &blob, 4).map(drop)
    });
    assert!(failures.is_empty(), "{} of {CLIENT_COUNT} clients failed: {failures:#?}", failures.len());
}

#[test]
fn two_hundred_clients_all_succeed() {
    two_hundred_clients(Peer::Portico);
}

/// The lab is sound when the kernel's NAT passes too.
#[test]
fn kernel_nat_serves_two_hundred_clients() {
    two_hundred_clients(Peer::Nftables);
}
