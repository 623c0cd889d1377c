//! What a gateway of the lab must carry: each kind of session a subscriber has, with real programs at both ends. They
//! panic where it does not, as the assertions of a test do.

use crate::address::{FAR_SERVER, INSIDE_GATEWAY, ROUTER, SERVER, STATIC_HOST};
use crate::session::{self, Probe};
use crate::topology::Lab;
use std::net::SocketAddrV4;

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);

/// Echo requests leave with the pool's address, and reach the one-to-one static from outside.
pub fn ping_both_ways(lab: &Lab) {
    session::ping(&lab.hosts[0].namespace, SERVER, 10).expect("inside to outside");
    session::ping(&lab.hosts[1].namespace, SERVER, 10).expect("the static host to outside");
    let global = lab.rules.static_global().expect("a one-to-one static");
    session::ping(&lab.client.namespace, global, 10).expect("outside to the static host");
}

/// 100 MiB each way arrive unchanged.
pub fn large_transfers(lab: &Lab) {
    let host = &lab.hosts[0].namespace;
    let blob = lab.web.add_blob("down", 100).expect("a blob");
    session::download(host, WEB, &blob).expect("download");
    let blob = lab.inside_web.add_blob("up", 100).expect("a blob");
    session::upload(host, &lab.inside_web, &blob, WEB, &lab.web).expect("upload");
}

/// Fifty clients at once from five hosts, none failing.
pub fn parallel_clients(lab: &Lab) {
    let hosts: Vec<_> = lab.hosts.iter().map(|host| &host.namespace).collect();
    let failures = session::fetch_in_parallel(&hosts, 50, WEB, "", "hello from web\n");
    assert!(failures.is_empty(), "{} of 50 clients failed: {failures:#?}", failures.len());
}

/// Names resolve over UDP, over TCP, and where an answer too long for UDP makes dig change over.
pub fn name_resolution(lab: &Lab) {
    let host = &lab.hosts[2].namespace;
    let resolve = |name, options: &[&str]| session::resolve(host, SERVER, name, options).expect(name);
    assert_eq!(resolve("www.lab.example A", &["+notcp"]), SERVER.to_string());
    assert_eq!(resolve("www.lab.example A", &["+tcp"]), SERVER.to_string());
    assert!(resolve("long.lab.example TXT", &[]).len() > 4000);
}

/// An outside client reaches the inside web server through the static port, and is seen with its own address there.
pub fn static_port(lab: &Lab) {
    let global = lab.rules.web_global().expect("a static port");
    assert_eq!(session::fetch(&lab.client.namespace, global, "").expect("fetch"), "hello from inside-web\n");
    let seen = session::seen_as(&lab.client.namespace, global).expect("address");
    assert_eq!(*seen.ip(), lab.client.address);
}

/// The server sees pool addresses only, and the static host's own.
pub fn source_addresses(lab: &Lab) {
    for (index, host) in lab.hosts.iter().enumerate() {
        let seen = session::seen_as(&host.namespace, WEB).expect("address");
        match lab.rules.static_global().filter(|_| index == STATIC_HOST) {
            Some(global) => assert_eq!(*seen.ip(), global, "host {index}"),
            None => assert!(lab.rules.is_source(*seen.ip()), "host {index} was seen as {seen}"),
        }
    }
    let global = lab.rules.web_global().expect("a static port");
    session::fetch(&lab.client.namespace, global, "").expect("fetch through the static port");
}

/// Clearing the table costs nobody more than the sessions in it.
pub fn recovery_after_clear(lab: &Lab) {
    let host = &lab.hosts[0].namespace;
    session::fetch(host, WEB, "").expect("before");
    lab.gateway.clear_translations().expect("clear");
    session::ping(host, SERVER, 3).expect("ping after");
    session::fetch(host, WEB, "").expect("fetch after");
    session::resolve(host, SERVER, "www.lab.example A", &[]).expect("dig after");
    let global = lab.rules.web_global().expect("a static port");
    session::fetch(&lab.client.namespace, global, "").expect("static port after");
}

/// The web server behind a static port sees every inside client at the client's global address: one of the pool, the
/// static host's own, and its own host's too.
pub fn hairpin_to_static_port(lab: &Lab) {
    let web = lab.rules.web_global().expect("a static port");
    for (index, host) in lab.hosts.iter().enumerate() {
        let seen =
            session::seen_as(&host.namespace, web).unwrap_or_else(|error| panic!("host {index}: {error:#}"));
        match lab.rules.static_global().filter(|_| index == STATIC_HOST) {
            Some(global) => assert_eq!(*seen.ip(), global, "host {index}"),
            None => assert!(lab.rules.is_source(*seen.ip()), "host {index} was seen as {seen}"),
        }
    }
}

/// Transfers are hairpinned as well as they pass: large ones each way, and many at once.
pub fn hairpin_transfers(lab: &Lab) {
    let web = lab.rules.web_global().expect("a static port");
    let blob = lab.inside_web.add_blob("down-inside", 50).expect("a blob");
    session::download(&lab.hosts[2].namespace, web, &blob).expect("download");
    let up = lab.web.add_blob("up-inside", 50).expect("a blob");
    session::upload(&lab.hosts[3].namespace, &lab.web, &up, web, &lab.inside_web).expect("upload");
    let clients: Vec<_> = lab.hosts[1..].iter().map(|host| &host.namespace).collect();
    let failures = session::fetch_in_parallel(&clients, 40, web, "", "hello from inside-web\n");
    assert!(failures.is_empty(), "{} of 40 clients failed: {failures:#?}", failures.len());
}

/// Echo requests of dynamic hosts and of the static host itself reach the static host.
pub fn hairpin_pings(lab: &Lab) {
    let global = lab.rules.static_global().expect("a one-to-one static");
    for (index, host) in lab.hosts.iter().enumerate() {
        session::ping(&host.namespace, global, 3).unwrap_or_else(|error| panic!("host {index}: {error:#}"));
    }
}

/// The gateway is the first hop and hides nothing behind it, for every kind of probe.
pub fn hops(lab: &Lab) {
    let near = [INSIDE_GATEWAY, SERVER].map(|hop| hop.to_string());
    let far = [INSIDE_GATEWAY, ROUTER, FAR_SERVER].map(|hop| hop.to_string());
    // Two hosts, which may have different workers.
    for host in [&lab.hosts[0].namespace, &lab.hosts[2].namespace] {
        for probe in [Probe::Udp, Probe::Icmp, Probe::Tcp] {
            assert_eq!(session::traceroute(host, SERVER, probe).expect("traceroute"), near, "{probe:?}");
            assert_eq!(session::traceroute(host, FAR_SERVER, probe).expect("traceroute"), far, "{probe:?}");
        }
    }
    assert_eq!(session::mtr(&lab.hosts[0].namespace, FAR_SERVER).expect("mtr"), far);
}

/// What every gateway carries, in one lab.
pub const ALL: [fn(&Lab); 7] = [
    ping_both_ways,
    large_transfers,
    parallel_clients,
    name_resolution,
    static_port,
    source_addresses,
    recovery_after_clear,
];

/// What the appliance hairpins; the rules of the kernel's NAT do not cover it.
pub const HAIRPINS: [fn(&Lab); 3] = [hairpin_to_static_port, hairpin_transfers, hairpin_pings];
