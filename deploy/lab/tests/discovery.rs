//! What inside hosts find out about the gateway with coturn's natdiscovery (RFC 5780) is what is configured.

use lab::address::{SERVER, SERVER_SECOND, inside_host};
use lab::discovery::Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
use lab::discovery::{self, Behaviour, Dependence};
use lab::{Lab, Peer, Plan, Rules, STUN_PORT, StunServer, datagram, turn};
use std::net::SocketAddrV4;
use std::thread;

fn build(peer: Peer, rules: Rules) -> (StunServer, Lab) {
    let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
    let server = &lab.server.namespace;
    server.ip(&format!("addr add {SERVER_SECOND}/24 dev eth0")).expect("a second address");
    let stun = StunServer::start(server, lab.directory(), [SERVER, SERVER_SECOND]).expect("turnserver");
    (stun, lab)
}

fn rules(line: Option<&str>) -> Rules {
    Rules { lines: line.map(str::to_owned).into_iter().collect(), ..Rules::interface_overload() }
}

/// Hosts 3 and 4 send from the same port, the others from another.
fn local(host: usize) -> SocketAddrV4 {
    SocketAddrV4::new(inside_host(host), if host < 3 { 40_000 } else { 40_001 })
}

fn assert_behaviour(line: &str, filtering: Dependence) {
    let _turn = turn();
    let (_stun, lab) = build(Peer::Portico, rules(Some(line)));
    let found = discovery::discover(&lab.hosts[2].namespace, SERVER, local(2)).expect("discovery");
    assert_eq!(found, Behaviour { mapping: EndpointIndependent, filtering }, "under {line}");
    assert_eq!(mapping_where_ports_clash(&lab), EndpointIndependent, "where ports clash, under {line}");
}

/// The mapping of a host whose port another host has in use towards one of the servers it asks, and not towards the
/// other; both hosts have the same global address.
fn mapping_where_ports_clash(lab: &Lab) -> Dependence {
    let second = SocketAddrV4::new(SERVER_SECOND, STUN_PORT);
    datagram::exchange(&lab.hosts[3].namespace, Some(local(3)), second, b"no request").expect("a datagram");
    discovery::mapping(&lab.hosts[4].namespace, SERVER, local(4)).expect("discovery")
}

/// Which is also the default: `hairpin.rs` meets it.
#[test]
fn filters_by_address_and_port() {
    assert_behaviour("ip nat settings filtering address-and-port-dependent", AddressAndPortDependent);
}

#[test]
fn filters_by_address() {
    assert_behaviour("ip nat settings filtering address-dependent", AddressDependent);
}

#[test]
fn lets_everyone_in() {
    assert_behaviour("ip nat settings filtering endpoint-independent", EndpointIndependent);
}

#[test]
fn cgn_mode_lets_everyone_in() {
    assert_behaviour("ip nat settings mode cgn", EndpointIndependent);
}

/// A host with an address of its own is reached by everyone.
#[test]
fn static_host_is_open() {
    let _turn = turn();
    let (_stun, lab) = build(Peer::Portico, Rules::routed_pool());
    let found = discovery::discover(&lab.hosts[1].namespace, SERVER, local(1)).expect("discovery");
    assert_eq!(found, Behaviour { mapping: EndpointIndependent, filtering: EndpointIndependent });
}

/// Ports drawn at random are drawn once for a mapping.
#[test]
fn maps_by_endpoint_with_random_ports() {
    let _turn = turn();
    let (_stun, lab) = build(Peer::Portico, rules(Some("ip nat settings port choice random")));
    let host = &lab.hosts[2].namespace;
    assert_eq!(discovery::mapping(host, SERVER, local(2)).expect("discovery"), EndpointIndependent);
    assert_ne!(discovery::reflexive(host, SERVER, local(2)).expect("discovery").port(), local(2).port());
}

// The kernel's NAT beside it, as docs/comparison.md has it.

/// It keeps the port where it can and then looks endpoint-independent; a port that another host has in use shows that
/// it is not. What a host sends to its own global endpoint does not come back.
#[test]
fn kernel_nat_maps_by_destination_where_ports_clash() {
    let _turn = turn();
    let (_stun, lab) = build(Peer::Nftables, rules(None));
    let itself = SocketAddrV4::new(inside_host(1), 41_000);
    let (found, has_hairpinning) = thread::scope(|scope| {
        let found = scope.spawn(|| discovery::discover(&lab.hosts[2].namespace, SERVER, local(2)));
        let has_hairpinning = discovery::has_hairpinning(&lab.hosts[1].namespace, SERVER, itself);
        (found.join(), has_hairpinning)
    });
    let found = found.expect("a thread").expect("discovery");
    assert_eq!(found, Behaviour { mapping: EndpointIndependent, filtering: AddressAndPortDependent });
    assert!(!has_hairpinning.expect("discovery"));
    assert_eq!(mapping_where_ports_clash(&lab), AddressDependent);
}

/// Its random ports are drawn for each destination.
#[test]
fn kernel_nat_maps_by_destination_with_random_ports() {
    let _turn = turn();
    let (_stun, lab) = build(Peer::Nftables, rules(None));
    let nft = |words: &str| {
        let argv: Vec<&str> = ["nft"].into_iter().chain(words.split_whitespace()).collect();
        lab.gateway.namespace().run(&argv).expect("nft")
    };
    nft("flush chain ip nat postrouting");
    nft("add rule ip nat postrouting oif outside masquerade fully-random");
    let mapping = discovery::mapping(&lab.hosts[2].namespace, SERVER, local(2)).expect("discovery");
    assert_eq!(mapping, AddressAndPortDependent);
}
