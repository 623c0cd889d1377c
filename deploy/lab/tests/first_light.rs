//! First light: every kind of session a subscriber has, through the gateway, with real programs at both ends.
//!
//! Each scenario runs around the appliance and around the kernel's NAT; the second proves the lab itself.

use lab::address::{SERVER, inside_host};
use lab::{Lab, Peer, Plan, Rules, session, turn};
use std::net::SocketAddrV4;

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);

fn build(peer: Peer, rules: Rules) -> Lab {
    Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab")
}

/// Echo requests leave with the pool's address, and reach the one-to-one static from outside.
fn ping_both_ways(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    session::ping(&lab.hosts[0].namespace, SERVER, 10).expect("inside to outside");
    session::ping(&lab.hosts[1].namespace, SERVER, 10).expect("the static host to outside");
    let global = lab.rules.static_global().expect("a one-to-one static");
    session::ping(&lab.client.namespace, global, 10).expect("outside to the static host");
}

/// 100 MiB each way arrive unchanged.
fn large_transfers(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    let host = &lab.hosts[0].namespace;
    let blob = lab.web.add_blob("down", 100).expect("a blob");
    session::download(host, WEB, &blob).expect("download");
    let blob = lab.inside_web.add_blob("up", 100).expect("a blob");
    session::upload(host, &lab.inside_web, &blob, WEB, &lab.web).expect("upload");
}

/// Fifty clients at once from five hosts, none failing.
fn parallel_clients(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    let hosts: Vec<_> = lab.hosts.iter().map(|host| &host.namespace).collect();
    let failures = session::fetch_in_parallel(&hosts, 50, WEB, "", "hello from web\n");
    assert!(failures.is_empty(), "{} of 50 clients failed: {failures:#?}", failures.len());
}

/// Names resolve over UDP, over TCP, and where an answer too long for UDP makes dig change over.
fn name_resolution(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    let host = &lab.hosts[2].namespace;
    let resolve = |name, options: &[&str]| session::resolve(host, SERVER, name, options).expect(name);
    assert_eq!(resolve("www.lab.example A", &["+notcp"]), SERVER.to_string());
    assert_eq!(resolve("www.lab.example A", &["+tcp"]), SERVER.to_string());
    assert!(resolve("long.lab.example TXT", &[]).len() > 4000);
}

/// An outside client reaches the inside web server through the static port, and is seen with its own address there.
fn static_port(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    let global = lab.rules.web_global().expect("a static port");
    assert_eq!(session::fetch(&lab.client.namespace, global, "").expect("fetch"), "hello from inside-web\n");
    let seen = session::seen_as(&lab.client.namespace, global).expect("address");
    assert_eq!(*seen.ip(), lab.client.address);
}

/// The server sees pool addresses only, the static host's own, and on every kind of pool.
fn source_addresses(peer: Peer) {
    let _turn = turn();
    for rules in [Rules::routed_pool(), Rules::connected_pool(), Rules::interface_overload()] {
        let lab = build(peer, rules);
        for (index, host) in lab.hosts.iter().enumerate() {
            let seen = session::seen_as(&host.namespace, WEB).expect("address");
            match lab.rules.static_global().filter(|_| host.address == inside_host(1)) {
                Some(global) => assert_eq!(*seen.ip(), global, "host {index}"),
                None => assert!(lab.rules.is_source(*seen.ip()), "host {index} was seen as {seen}"),
            }
        }
        let global = lab.rules.web_global().expect("a static port");
        session::fetch(&lab.client.namespace, global, "").expect("fetch through the static port");
    }
}

/// Clearing the table costs nobody more than the sessions in it.
fn recovery_after_clear(peer: Peer) {
    let _turn = turn();
    let lab = build(peer, Rules::routed_pool());
    let host = &lab.hosts[0].namespace;
    session::fetch(host, WEB, "").expect("before");
    lab.gateway.clear_translations().expect("clear");
    session::ping(host, SERVER, 3).expect("ping after");
    session::fetch(host, WEB, "").expect("fetch after");
    session::resolve(host, SERVER, "www.lab.example A", &[]).expect("dig after");
    let global = lab.rules.web_global().expect("a static port");
    session::fetch(&lab.client.namespace, global, "").expect("static port after");
}

#[test]
fn pings_pass_both_ways() {
    ping_both_ways(Peer::Portico);
}

#[test]
fn large_transfers_arrive_unchanged() {
    large_transfers(Peer::Portico);
}

#[test]
fn parallel_clients_all_succeed() {
    parallel_clients(Peer::Portico);
}

#[test]
fn names_resolve() {
    name_resolution(Peer::Portico);
}

#[test]
fn static_port_is_reached() {
    static_port(Peer::Portico);
}

#[test]
fn sources_are_global_addresses() {
    source_addresses(Peer::Portico);
}

#[test]
fn everything_recovers_after_clear() {
    recovery_after_clear(Peer::Portico);
}

/// The lab is sound when the kernel's NAT passes every scenario.
#[test]
fn kernel_nat_passes_every_scenario() {
    let scenarios: [fn(Peer); 7] = [
        ping_both_ways,
        large_transfers,
        parallel_clients,
        name_resolution,
        static_port,
        source_addresses,
        recovery_after_clear,
    ];
    for scenario in scenarios {
        scenario(Peer::Nftables);
    }
}
