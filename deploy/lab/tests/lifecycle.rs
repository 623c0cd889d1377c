//! The appliance's life under load: reload, clean stop, and restart after a crash.

use lab::address::{POOL_FIRST, SERVER, inside_host};
use lab::{Appliance, Blob, Host, Lab, Peer, Plan, Process, Rules, Static, session, turn};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
const SPARE_POOL: &str = "ip nat pool SPARE 203.0.113.200 203.0.113.203 prefix-length 24";
const NEW_TIMEOUT: &str = "ip nat translation tcp-timeout 7200";
const NEW_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 21);
/// What a stop and a restart may take on a machine that is busy with other work; on an idle one, 1 and 2 s.
const STOP_LIMIT: Duration = Duration::from_secs(20);
const RESTART_LIMIT: Duration = Duration::from_secs(40);

fn build(rules: Rules) -> (Lab, Blob) {
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    let blob = lab.web.add_blob("down", 20).expect("a blob");
    (lab, blob)
}

/// Waits until the running configuration has the new timeout and has lost the spare pool.
fn wait_for_reload(appliance: &Appliance) {
    let start = Instant::now();
    loop {
        let text = appliance.exec("show running-config").expect("show running-config");
        if text.contains(NEW_TIMEOUT) && !text.contains("pool SPARE") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the reload did not take effect:\n{text}");
        sleep(Duration::from_millis(50));
    }
}

/// Waits until `count` downloads are on their way, as the appliance's own table has it.
fn wait_for_sessions(lab: &Lab, count: usize) {
    let start = Instant::now();
    loop {
        let text = lab.gateway.translations().expect("show ip nat translations");
        if text.matches("198.51.100.10:80 ").count() >= count {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no {count} sessions in\n{text}");
        sleep(Duration::from_millis(50));
    }
}

/// A reload that adds a static, changes a timeout and removes a pool disturbs none of the downloads under way.
#[test]
fn reload_keeps_the_sessions() {
    let _turn = turn();
    let (lab, blob) = build(Rules { lines: vec![SPARE_POOL.to_owned()], ..Rules::routed_pool() });
    thread::scope(|scope| {
        let download = |host| session::download_slowly(host, WEB, &blob, 6);
        let downloads: Vec<_> =
            lab.hosts.iter().map(|Host { namespace, .. }| scope.spawn(move || download(namespace))).collect();
        wait_for_sessions(&lab, lab.hosts.len());

        let mut rules = Rules { lines: vec![NEW_TIMEOUT.to_owned()], ..Rules::routed_pool() };
        rules.statics.push(Static::Address(inside_host(2), NEW_GLOBAL));
        let appliance = lab.gateway.appliance();
        appliance.configure(&rules).expect("configure");
        appliance.reload().expect("reload");
        wait_for_reload(appliance);
        session::ping(&lab.client.namespace, NEW_GLOBAL, 3).expect("the new static answers");

        for (index, download) in downloads.into_iter().enumerate() {
            let result = download.join().expect("a download's thread");
            result.unwrap_or_else(|error| panic!("host {index} lost its download: {error:#}"));
        }
    });
    session::fetch(&lab.hosts[3].namespace, WEB, "").expect("new sessions after the reload");
}

/// A configuration that does not parse leaves the running one in force.
#[test]
fn broken_reload_changes_nothing() {
    let _turn = turn();
    let (lab, _) = build(Rules::routed_pool());
    let appliance = lab.gateway.appliance();
    let before = appliance.exec("show running-config").expect("show running-config");
    let lines = vec![format!("ip nat pool BROKEN {POOL_FIRST} prefix-length")];
    appliance.configure(&Rules { lines, ..Rules::routed_pool() }).expect("configure");
    appliance.reload().expect("reload");
    session::ping(&lab.hosts[0].namespace, SERVER, 10).expect("still forwarding");
    assert_eq!(appliance.exec("show running-config").expect("show running-config"), before);
}

#[test]
fn sigterm_under_load_stops_cleanly() {
    let _turn = turn();
    let (mut lab, blob) = build(Rules::routed_pool());
    let _downloads = start_downloads(&lab, &blob);
    let stopped = lab.gateway.appliance_mut().stop(STOP_LIMIT).expect("a stop within the limit");
    assert!(stopped.status.success(), "ended with {}", stopped.status);
    println!("stopped {:?} after SIGTERM", stopped.took);
}

#[test]
fn crash_and_restart_forwards_again() {
    let _turn = turn();
    let (mut lab, blob) = build(Rules::routed_pool());
    let downloads = start_downloads(&lab, &blob);
    lab.gateway.appliance_mut().kill();
    // They lost their gateway; what counts is who comes after.
    drop(downloads);
    let start = Instant::now();
    lab.gateway.appliance_mut().run().expect("restart");
    while let Err(error) = session::ping(&lab.hosts[0].namespace, SERVER, 1) {
        assert!(
            start.elapsed() < RESTART_LIMIT,
            "no forwarding {:?} after the restart: {error}",
            start.elapsed()
        );
    }
    println!("forwarding {:?} after the restart", start.elapsed());
    session::fetch(&lab.hosts[1].namespace, WEB, "").expect("fetch after the restart");
}

/// A download at every inside host, which go on until they are dropped.
fn start_downloads(lab: &Lab, blob: &Blob) -> Vec<Process> {
    let url = format!("http://{WEB}/{}", blob.name);
    let start = |(index, host): (usize, &Host)| {
        let argv = ["curl", "-sS", "--limit-rate", "1M", "-o", "/dev/null", &url];
        Process::spawn(&host.namespace, lab.directory(), &format!("download-{index}"), &argv).expect("curl")
    };
    let downloads = lab.hosts.iter().enumerate().map(start).collect();
    wait_for_sessions(lab, lab.hosts.len());
    downloads
}
