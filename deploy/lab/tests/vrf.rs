//! Two VRFs with the same inside addresses, served at the same time.

use lab::address::{SERVER, STATIC_HOST, inside_host};
use lab::table;
use lab::{
    Host, Lab, Peer, Plan, Rules, Source, Static, Vrfs, WebServer, session, static_global, turn, web_global,
};
use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);

fn build(vrfs: Vrfs, worker_count: u32) -> Lab {
    let rules = Rules { vrfs: Some(vrfs), worker_count, ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

/// One VRF of the lab.
#[derive(Clone, Copy)]
struct Vrf<'a> {
    name: &'static str,
    hosts: &'a [Host],
    web: &'a WebServer,
    web_name: &'static str,
    source: Source,
    statics: &'a [Static],
}

fn vrfs(lab: &Lab) -> [Vrf<'_>; 2] {
    let vrfs = lab.rules.vrfs.as_ref().expect("VRFs");
    let blue_web = lab.blue_web.as_ref().expect("BLUE's web server");
    let (hosts, web) = (&lab.hosts[..], &lab.inside_web);
    let (source, statics) = (lab.rules.source, &lab.rules.statics[..]);
    let red = Vrf { name: "RED", hosts, web, web_name: "inside-web", source, statics };
    let (hosts, source, statics) = (&lab.blue_hosts[..], vrfs.blue_source, &vrfs.blue_statics[..]);
    [red, Vrf { name: "BLUE", hosts, web: blue_web, web_name: "blue-web", source, statics }]
}

impl Vrf<'_> {
    /// Every kind of session, out and in.
    fn carry(&self, lab: &Lab) {
        let Vrf { name, hosts, web, source, statics, .. } = *self;
        let host = &hosts[0].namespace;
        session::ping(host, SERVER, 10).expect(name);
        session::ping(&lab.client.namespace, static_global(statics).expect("a static host"), 10).expect(name);
        self.assert_sources();
        let answer = session::resolve(&hosts[2].namespace, SERVER, "long.lab.example TXT", &[]).expect(name);
        assert!(answer.len() > 4000, "{name}");
        let down = lab.web.add_blob(&format!("down-{name}"), 30).expect("a blob");
        session::download(host, WEB, &down).expect(name);
        let up = web.add_blob(&format!("up-{name}"), 30).expect("a blob");
        session::upload(host, web, &up, WEB, &lab.web).expect(name);
        let clients: Vec<_> = hosts.iter().map(|host| &host.namespace).collect();
        let failures = session::fetch_in_parallel(&clients, 25, WEB, "", "hello from web\n");
        assert!(failures.is_empty(), "{name}: {} of 25 clients failed: {failures:#?}", failures.len());
        let global = web_global(statics).expect("a static port");
        let body = session::fetch(&lab.client.namespace, global, "").expect(name);
        assert_eq!(body, format!("hello from {}\n", self.web_name));
        assert!(!source.contains(*global.ip()), "the static port's address is not of the pool");
    }

    fn assert_sources(&self) {
        for (index, host) in self.hosts.iter().enumerate() {
            let seen = session::seen_as(&host.namespace, WEB).expect(self.name);
            match static_global(self.statics).filter(|_| index == STATIC_HOST) {
                Some(global) => assert_eq!(*seen.ip(), global, "host {index} of {}", self.name),
                None => assert!(self.source.contains(*seen.ip()), "host {index} of {} is {seen}", self.name),
            }
        }
    }
}

/// The lab's traffic in both VRFs at once.
fn carry_both(lab: &Lab) {
    thread::scope(|scope| {
        let running = vrfs(lab).map(|vrf| scope.spawn(move || vrf.carry(lab)));
        for (vrf, thread) in vrfs(lab).iter().zip(running) {
            assert!(thread.join().is_ok(), "VRF {}", vrf.name);
        }
    });
}

/// A host reaches the web server of the other VRF, whose inside address is that of its own VRF's, by its global address.
fn meet_by_global_addresses(lab: &Lab) {
    let [red, blue] = vrfs(lab);
    for (client, server) in [(red, blue), (blue, red), (red, red), (blue, blue)] {
        let web = web_global(server.statics).expect("a static port");
        let names = format!("{} to {}", client.name, server.name);
        let body = session::fetch(&client.hosts[2].namespace, web, "").expect(&names);
        assert_eq!(body, format!("hello from {}\n", server.web_name), "{names}");
        let seen = session::seen_as(&client.hosts[2].namespace, web).expect(&names);
        assert!(client.source.contains(*seen.ip()), "{names} is seen as {seen}");
    }
}

/// The same inside endpoint of both VRFs has a connection to the same server at once, as two global endpoints.
fn same_endpoints_stay_apart(lab: &Lab) {
    let blob = lab.web.add_blob("slow", 2).expect("a blob");
    let url = format!("http://{WEB}/{}", blob.name);
    let argv =
        ["curl", "-sS", "--fail", "--local-port", "40000", "--limit-rate", "1M", "-o", "/dev/null", &url];
    thread::scope(|scope| {
        let downloads = vrfs(lab).map(|vrf| scope.spawn(move || vrf.hosts[0].namespace.run(&argv)));
        wait_for_globals(lab, SocketAddrV4::new(inside_host(0), 40_000), 2);
        for download in downloads {
            download.join().expect("a thread").expect("a download");
        }
    });
}

/// Waits until the table has `count` global endpoints of one inside endpoint at once.
fn wait_for_globals(lab: &Lab, local: SocketAddrV4, count: usize) {
    let start = Instant::now();
    loop {
        let text = lab.gateway.translations().expect("show ip nat translations");
        let rows = table::translations(&text).unwrap_or_else(|error| panic!("{error:#} in\n{text}"));
        let of_local =
            rows.into_iter().filter(|row| row.protocol == "tcp" && row.inside_local == local.to_string());
        let globals: BTreeSet<String> = of_local.map(|row| row.inside_global).collect();
        if globals.len() == count {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{local} has {globals:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn overlapping_vrfs_share_a_pool() {
    let _turn = turn();
    let lab = build(Vrfs::one_pool(), 1);
    carry_both(&lab);
    same_endpoints_stay_apart(&lab);
    meet_by_global_addresses(&lab);
}

#[test]
fn overlapping_vrfs_have_their_own_pools() {
    let _turn = turn();
    let lab = build(Vrfs::two_pools(), 1);
    carry_both(&lab);
    same_endpoints_stay_apart(&lab);
    meet_by_global_addresses(&lab);
}

/// Hosts of the same address have the same worker in both VRFs.
#[test]
fn two_workers_keep_overlapping_vrfs_apart() {
    let _turn = turn();
    let lab = build(Vrfs::one_pool(), 2);
    same_endpoints_stay_apart(&lab);
    meet_by_global_addresses(&lab);
    vrfs(&lab).iter().for_each(Vrf::assert_sources);
}
