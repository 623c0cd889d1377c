//! The path as a user explores it: traceroute and mtr show the gateway as a hop, and the path MTU is discovered through
//! it, whoever has the narrow link.

use lab::address::{FAR_SERVER, OUTSIDE_GATEWAY, SERVER};
use lab::session::{self, Probe};
use lab::{Lab, Peer, Plan, Rules, scenario, turn};
use std::net::{Ipv4Addr, SocketAddrV4};

const NARROW_MTU: u16 = 1400;
const TRANSFER_MIB: u32 = 20;

fn hops(peer: Peer) {
    let _turn = turn();
    scenario::hops(&Lab::build(&Plan::new(peer)).expect("the lab"));
}

/// Large transfers pass and tracepath tells the MTU of the narrow link.
fn transfers_pass_at(lab: &Lab, server: Ipv4Addr, web: &lab::WebServer) {
    let host = &lab.hosts[0].namespace;
    let at = SocketAddrV4::new(server, 80);
    let up = lab.inside_web.add_blob("up", TRANSFER_MIB).expect("a blob");
    session::upload(host, &lab.inside_web, &up, at, web).expect("upload");
    let down = web.add_blob("down", TRANSFER_MIB).expect("a blob");
    session::download(host, at, &down).expect("download");
}

/// The router's "fragmentation needed" reaches the inside host through the translation.
fn narrow_link_beyond(peer: Peer) {
    let _turn = turn();
    let lab = Lab::build(&Plan { far_mtu: NARROW_MTU, ..Plan::new(peer) }).expect("the lab");
    transfers_pass_at(&lab, FAR_SERVER, &lab.far_web);
    let mtu = session::path_mtu(&lab.hosts[1].namespace, FAR_SERVER).expect("tracepath");
    assert_eq!(mtu, u32::from(NARROW_MTU));
}

/// The gateway's own outside link is the narrow one: it says so to the inside host itself.
fn narrow_outside_link(peer: Peer) {
    let _turn = turn();
    let rules = Rules { outside_mtu: Some(NARROW_MTU), ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
    transfers_pass_at(&lab, SERVER, &lab.web);
    let mtu = session::path_mtu(&lab.hosts[1].namespace, SERVER).expect("tracepath");
    assert_eq!(mtu, u32::from(NARROW_MTU));
}

/// The inside link is the narrow one: the outside server must be told, about the packet as it sent it.
fn narrow_inside_link(peer: Peer) {
    let _turn = turn();
    let rules = Rules { inside_mtu: Some(NARROW_MTU), ..Rules::routed_pool() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
    transfers_pass_at(&lab, SERVER, &lab.web);
    let global = lab.rules.static_global().expect("a one-to-one static");
    let mtu = session::path_mtu(&lab.client.namespace, global).expect("tracepath");
    assert_eq!(mtu, u32::from(NARROW_MTU));
}

#[test]
fn gateway_is_the_first_hop() {
    hops(Peer::Portico);
}

/// From outside, the gateway answers by its outside address before the static host does by its global one. The kernel's
/// NAT differs: it answers by the global address itself, as if the host stood there twice.
#[test]
fn gateway_is_a_hop_from_outside() {
    let _turn = turn();
    let lab = Lab::build(&Plan::new(Peer::Portico)).expect("the lab");
    let global = lab.rules.static_global().expect("a one-to-one static");
    let expected = [OUTSIDE_GATEWAY, global].map(|hop| hop.to_string());
    for probe in [Probe::Udp, Probe::Icmp] {
        assert_eq!(session::traceroute(&lab.client.namespace, global, probe).expect("traceroute"), expected);
    }
}

#[test]
fn path_mtu_is_discovered_beyond_the_gateway() {
    narrow_link_beyond(Peer::Portico);
}

#[test]
fn path_mtu_is_told_for_the_outside_link() {
    narrow_outside_link(Peer::Portico);
}

#[test]
fn path_mtu_is_told_for_the_inside_link() {
    narrow_inside_link(Peer::Portico);
}

/// The lab is sound when the kernel's NAT passes every scenario.
#[test]
fn kernel_nat_passes_every_scenario() {
    for scenario in [hops, narrow_link_beyond, narrow_outside_link, narrow_inside_link] {
        scenario(Peer::Nftables);
    }
}
