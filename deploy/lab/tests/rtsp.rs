//! RTSP through the gateways: GStreamer's player and server, with pictures and sound over UDP.

use anyhow::{Context, Result};
use lab::address::{SERVER, inside_host};
use lab::comparison::{Column, Outcome, assert_as_written, assert_like};
use lab::rtsp::{Media, RtspServer, play};
use lab::{Lab, Peer, Plan, Protocol, Rules, Static, Vrfs, turn};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

const PORT: u16 = 8554;
const OUTSIDE: SocketAddrV4 = SocketAddrV4::new(SERVER, 554);
/// The global address of the inside host of which the server's port is reached.
const PORT_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// Where two players want their media both.
const CLASHING_PORT: u16 = 5000;

struct RtspLab {
    _servers: [RtspServer; 3],
    lab: Lab,
}

impl RtspLab {
    fn build(peer: Peer, worker_count: u32) -> RtspLab {
        let mut rules = Rules { worker_count, ..Rules::routed_pool() };
        let [local, global] = [inside_host(0), PORT_GLOBAL].map(|address| SocketAddrV4::new(address, PORT));
        rules.statics.push(Static::Port(Protocol::Tcp, local, global));
        let lab = Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab");
        let start = |namespace, name, port| {
            RtspServer::start(namespace, lab.directory(), name, port).expect("the RTSP server")
        };
        let servers = [
            start(&lab.server.namespace, "rtsp-outside", OUTSIDE.port()),
            start(&lab.hosts[1].namespace, "rtsp-inside", PORT),
            start(&lab.hosts[0].namespace, "rtsp-port", PORT),
        ];
        RtspLab { _servers: servers, lab }
    }

    fn out(&self, host: usize, media: Media) -> Result<()> {
        play(&self.lab.hosts[host].namespace, self.lab.directory(), OUTSIDE, media)
    }

    fn inward(&self, global: Ipv4Addr, media: Media) -> Result<()> {
        let at = SocketAddrV4::new(global, PORT);
        play(&self.lab.client.namespace, self.lab.directory(), at, media)
    }

    fn static_global(&self) -> Ipv4Addr {
        self.lab.rules.static_global().expect("a static host")
    }

    /// Two inside players want the media at the same port, at once.
    fn clash(&self) -> Result<()> {
        thread::scope(|scope| {
            let players =
                [3, 4].map(|host| scope.spawn(move || self.out(host, Media::UdpFrom(CLASHING_PORT))));
            players.into_iter().try_for_each(|player| player.join().expect("a thread")).context("one of two")
        })
    }
}

type Scenario = (&'static str, fn(&RtspLab) -> Result<()>);

const SCENARIOS: &[Scenario] = &[
    ("server outside, media over UDP", |lab| lab.out(2, Media::Udp)),
    ("server outside, two players with the same ports", RtspLab::clash),
    ("server outside, interleaved media", |lab| lab.out(2, Media::Interleaved)),
    ("inside server with an address, media over UDP", |lab| lab.inward(lab.static_global(), Media::Udp)),
    ("inside server with port 8554, media over UDP", |lab| lab.inward(PORT_GLOBAL, Media::Udp)),
    ("inside server with port 8554, interleaved media", |lab| lab.inward(PORT_GLOBAL, Media::Interleaved)),
];

/// All players at once.
fn play_all(lab: &RtspLab) -> Vec<Outcome> {
    thread::scope(|scope| {
        let running: Vec<_> =
            SCENARIOS.iter().map(|(title, play)| (*title, scope.spawn(move || play(lab)))).collect();
        running.into_iter().map(|(title, thread)| (title, thread.join().expect("a thread"))).collect()
    })
}

#[test]
fn every_player_sees_and_hears() {
    let _turn = turn();
    let lab = RtspLab::build(Peer::Portico, 1);
    assert_as_written("RTSP", Column::Portico, &play_all(&lab));
    let appliance = lab.lab.gateway.appliance();
    assert_eq!(appliance.door_count().expect("doors"), 0, "players that have left have open doors");
}

#[test]
fn two_workers_serve_every_player() {
    let _turn = turn();
    assert_like("RTSP", Column::Portico, &play_all(&RtspLab::build(Peer::Portico, 2)));
}

/// The kernel has no helper for RTSP.
#[test]
fn kernel_nat_is_as_written() {
    let _turn = turn();
    assert_as_written("RTSP", Column::Nftables, &play_all(&RtspLab::build(Peer::Nftables, 1)));
}

/// Players with the same address want their media at the same ports, in two VRFs.
#[test]
fn overlapping_vrfs_are_served_at_once() {
    let _turn = turn();
    let rules = Rules { vrfs: Some(Vrfs::one_pool()), ..Rules::routed_pool() };
    let lab = &Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let _server = RtspServer::start(&lab.server.namespace, lab.directory(), "rtsp-outside", OUTSIDE.port())
        .expect("the RTSP server");
    thread::scope(|scope| {
        for host in [&lab.hosts[2], &lab.blue_hosts[2]] {
            let media = Media::UdpFrom(CLASHING_PORT);
            scope.spawn(move || play(&host.namespace, lab.directory(), OUTSIDE, media).expect("a player"));
        }
    });
}
