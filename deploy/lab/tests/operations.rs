//! Operating the appliance: what it logs, how it watches itself, long answers and counters.

use lab::address::{INSIDE_GATEWAY, OUTSIDE_GATEWAY, SERVER, inside_host};
use lab::{Appliance, Lab, Namespace, Peer, Plan, Rules, Source, session, table, turn};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::net::{SocketAddrV4, UdpSocket};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);
const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);

fn build(lines: &[&str]) -> Lab {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let rules = Rules { lines, ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

fn exec(lab: &Lab, command: &str) -> String {
    lab.gateway.appliance().exec(command).unwrap_or_else(|error| panic!("{command}: {error:#}"))
}

/// Waits until a command's answer fits; returns it.
#[track_caller]
fn wait_for(lab: &Lab, command: &str, fits: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let text = exec(lab, command);
        if fits(&text) {
            return text;
        }
        assert!(start.elapsed() < LIMIT, "{command} still says\n{text}");
        sleep(Duration::from_millis(50));
    }
}

fn samples(lab: &Lab) -> std::collections::BTreeMap<String, f64> {
    table::samples(&lab.gateway.appliance().metrics().expect("metrics")).expect("samples")
}

/// Lets the neighbours be resolved, so that nothing of it counts later.
fn warm_up(lab: &Lab) {
    session::ping(&lab.hosts[0].namespace, SERVER, 1).ok();
    session::ping(&lab.hosts[0].namespace, SERVER, 2).expect("ping");
}

#[test]
fn syslog_servers_get_what_is_logged() {
    let _turn = turn();
    let mut lab = build(&["hostname edge", "logging host 127.0.0.1", "logging host 192.0.2.77"]);
    let server = lab.gateway.namespace().within(|| UdpSocket::bind("127.0.0.1:514")).expect("a thread");
    let server = server.expect("the syslog port");
    server.set_read_timeout(Some(LIMIT)).expect("a limit");
    lab.gateway.appliance().reload().expect("reload");
    let mut datagram = [0; 2048];
    // What was logged at the start may still be on its way.
    let text = loop {
        let len = server.recv(&mut datagram).expect("a message");
        let text = String::from_utf8_lossy(&datagram[..len]).into_owned();
        if text.contains("CONFIG_I") {
            break text;
        }
    };
    // Facility local7, severity 5 (RFC 5424 section 6).
    assert!(text.starts_with("<189>1 2"), "{text}");
    let fields: Vec<&str> = text.split(' ').collect();
    let pid = lab.gateway.appliance().running().expect("it runs").id().to_string();
    assert_eq!(fields[2..7], ["edge", "portico", &pid, "SYS-5-CONFIG_I", "-"], "{text}");
    assert!(text.contains(" %SYS-5-CONFIG_I: Configured from "), "{text}");
    let shown = exec(&lab, "show logging");
    for part in [
        "Logging to 127.0.0.1  (udp port 514, ",
        "Logging to 192.0.2.77",
        "%SYS-5-READY: ",
        "%SYS-5-RESTART: ",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // A broken configuration is told line by line, and a stop is the last word.
    let lines =
        vec!["hostname edge".to_owned(), "logging host 127.0.0.1".to_owned(), "ip nonsense".to_owned()];
    lab.gateway.appliance().configure(&Rules { lines, ..Rules::routed_pool() }).expect("configure");
    lab.gateway.appliance().reload().expect("reload");
    wait_for(&lab, "show logging", |log| log.contains("%SYS-3-CONFIG_REFUSED: "));
    lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    server.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    let mut rest = String::new();
    while let Ok(len) = server.recv(&mut datagram) {
        rest += &String::from_utf8_lossy(&datagram[..len]);
        rest.push('\n');
    }
    for part in
        ["%PARSER-3-ERROR: ", "portico.conf:", "%SYS-3-CONFIG_REFUSED: ", "%SYS-5-STOP: Stopped by SIGTERM"]
    {
        assert!(rest.contains(part), "no {part:?} in\n{rest}");
    }
}

#[test]
fn another_station_with_our_address_is_told() {
    let _turn = turn();
    let lab = build(&[]);
    let host = &lab.hosts[3].namespace;
    host.ip(&format!("addr add {INSIDE_GATEWAY}/24 dev eth0")).expect("the gateway's address");
    // The question who has the other host's address goes out with the gateway's as its sender.
    let to = inside_host(4).to_string();
    let from = INSIDE_GATEWAY.to_string();
    host.outcome(LIMIT, &["ping", "-c", "3", "-i", "0.2", "-W", "1", "-I", &from, &to]).expect("ping");
    let mac = host.run(&["cat", "/sys/class/net/eth0/address"]).expect("its address").replace(':', "");
    let mac = mac.trim();
    let mac = format!("{}.{}.{}", &mac[..4], &mac[4..8], &mac[8..]);
    let said = format!(
        "%IP-4-DUPADDR: Duplicate address {INSIDE_GATEWAY} on GigabitEthernet0/0/0, sourced by {mac}\n"
    );
    let log = wait_for(&lab, "show logging", |log| log.contains(&said));
    assert_eq!(log.matches("DUPADDR").count(), 1, "it is told once: {log}");
}

#[test]
fn interfaces_go_down_and_come_up() {
    let _turn = turn();
    let lab = build(&[]);
    let appliance = lab.gateway.appliance();
    let name = "GigabitEthernet0/0/1";
    let row = |status: &str, protocol: &str| {
        format!("{name:<22} {OUTSIDE_GATEWAY:<15} YES manual {status:<21} {protocol}\n")
    };
    assert!(exec(&lab, "show ip interface brief").contains(&row("up", "up")));
    let up = format!("portico_interface_up{{interface=\"{name}\"}}");
    assert_eq!(samples(&lab)[&up], 1.0);
    let shut = vec![format!("interface {name}"), " shutdown".to_owned()];
    appliance.configure(&Rules { lines: shut, ..Rules::routed_pool() }).expect("configure");
    appliance.reload().expect("reload");
    wait_for(&lab, "show logging", |log| {
        log.contains(&format!("%LINK-5-CHANGED: Interface {name}, changed state to administratively down"))
    });
    let brief = exec(&lab, "show ip interface brief");
    assert!(brief.contains(&row("administratively down", "down")), "{brief}");
    assert_eq!(samples(&lab)[&up], 0.0);
    appliance.configure(&Rules::routed_pool()).expect("configure");
    appliance.reload().expect("reload");
    let changed = format!("%LINK-3-UPDOWN: Interface {name}, changed state to up");
    let log = wait_for(&lab, "show logging", |log| log.matches(&changed).count() == 2);
    assert_eq!(log.matches("%SYS-5-CONFIG_I: ").count(), 2, "{log}");
    warm_up(&lab);
}

/// Stops the thread of worker 0, and lets it go on when dropped.
struct HeldWorker(Pid);

impl HeldWorker {
    /// The program ends without the worker, which never goes on.
    fn outlive(self) {
        let thread = self.0;
        std::mem::forget(self);
        // A thread that is traced is buried by its tracer.
        std::thread::spawn(move || waitpid(thread, Some(WaitPidFlag::__WALL)));
    }

    fn hold(appliance: &Appliance) -> HeldWorker {
        let process = appliance.running().expect("it runs").id();
        let threads = fs::read_dir(format!("/proc/{process}/task")).expect("its threads").flatten();
        let is_worker = |path: &std::path::PathBuf| {
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "worker-0")
        };
        let worker = threads.map(|entry| entry.path()).find(is_worker).expect("worker 0");
        let id = worker.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let thread = Pid::from_raw(id.expect("a thread's number"));
        ptrace::attach(thread).expect("ptrace");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("the thread stops");
        HeldWorker(thread)
    }
}

impl Drop for HeldWorker {
    fn drop(&mut self) {
        ptrace::detach(self.0, None).expect("the thread goes on");
    }
}

/// A worker that stands still is told of, and neither commands nor the metrics page wait for it for ever.
#[test]
fn stalled_worker_is_told() {
    let _turn = turn();
    let mut lab = build(&[]);
    let stalls = "portico_worker_stalls_total{worker=\"0\"}";
    wait_for(&lab, "show workers", |text| text.contains("polling"));
    assert_eq!(samples(&lab)[stalls], 0.0);
    let held = HeldWorker::hold(lab.gateway.appliance());
    wait_for(&lab, "show logging", |log| log.contains("%SYS-3-WORKERSTALL: Worker 0 has not polled"));
    let workers = exec(&lab, "show workers");
    assert!(workers.contains("stalled"), "{workers}");
    let refused = lab.gateway.appliance().exec("show ip nat translations");
    assert!(refused.is_err_and(|error| error.to_string().contains("% Worker 0 does not answer")));
    let page = samples(&lab);
    assert_eq!(page[stalls], 1.0);
    assert!(!page.keys().any(|series| series.starts_with("portico_nat_pool")), "the worker was not asked");
    drop(held);
    wait_for(&lab, "show logging", |log| log.contains("%SYS-4-WORKERRESUME: Worker 0 polls again after "));
    session::ping(&lab.hosts[0].namespace, SERVER, 3).expect("it forwards again");
    assert!(exec(&lab, "show workers").contains("polling"));
    assert_eq!(samples(&lab)[stalls], 1.0, "one stall is one stall");
    // A worker that does not stop is no reason to hang.
    HeldWorker::hold(lab.gateway.appliance()).outlive();
    let socket = lab.gateway.appliance().socket().to_owned();
    let stopped = lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    assert_eq!(stopped.status.code(), Some(1));
    assert!(!socket.exists(), "the socket is left behind");
}

/// Sends a datagram from one socket inside to each of these ports of the server.
fn send_to_ports(from: &Namespace, sources: usize, ports: std::ops::RangeInclusive<u16>) {
    let send = || {
        for _ in 0..sources {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            for (count, port) in ports.clone().enumerate() {
                // A full queue is no failure: who counts sends again.
                let _ = socket.send_to(&[0], (SERVER, port));
                if count.is_multiple_of(200) {
                    sleep(Duration::from_millis(1));
                }
            }
        }
    };
    from.within(send).expect("a thread inside");
}

/// Has the server drop what is sent to it, so that no ICMP errors come back.
fn silence(lab: &Lab) {
    let chain = "type filter hook input priority 0\nudp dport != 53 drop\n";
    let rules = format!("table ip quiet {{\nchain input {{\n{chain}}}\n}}\n");
    let file = lab.directory().join("quiet.nft");
    fs::write(&file, rules).expect("rules");
    lab.server.namespace.run(&["nft", "-f", file.to_str().expect("UTF-8")]).expect("nft");
}

#[test]
fn exhausted_pool_is_told_once() {
    let _turn = turn();
    // One address and a tiny table of ports: an interface-sized pool without overload.
    let rules = Rules {
        source: Source::Interface,
        statics: Vec::new(),
        lines: [
            "no ip nat inside source list 10 interface GigabitEthernet0/0/1 overload",
            "ip nat pool TINY 203.0.113.1 203.0.113.1 prefix-length 24",
            "ip nat inside source list 10 pool TINY",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Rules::routed_pool()
    };
    let lab = Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab");
    warm_up(&lab);
    for _ in 0..3 {
        // The only address is the first host's.
        session::ping(&lab.hosts[1].namespace, SERVER, 1).expect_err("no address is left");
    }
    let said = "%IPNAT-4-ADDR_ALLOC_FAILURE: Address allocation failed, pool TINY might be exhausted [";
    let log = wait_for(&lab, "show logging", |log| log.contains(said));
    assert_eq!(log.matches("ADDR_ALLOC_FAILURE").count(), 1, "at most once a minute: {log}");
    let page = samples(&lab);
    assert_eq!(page["portico_nat_pool_addresses{pool=\"TINY\"}"], 1.0);
    assert_eq!(page["portico_nat_pool_addresses_in_use{pool=\"TINY\"}"], 1.0);
    assert_eq!(page["portico_nat_pool_utilisation_ratio{pool=\"TINY\"}"], 1.0);
    assert!(page["portico_nat_pool_misses_total{pool=\"TINY\"}"] >= 3.0);
}

#[test]
fn access_lists_count_and_clear() {
    let _turn = turn();
    let lab = build(&[
        "ip access-list extended OUTBOUND",
        " remark nobody reads the daytime",
        " deny tcp any host 198.51.100.10 eq daytime",
        " permit ip any any",
        "access-list 20 deny 192.0.2.0 0.0.0.255",
        "access-list 20 permit any",
        "interface GigabitEthernet0/0/0",
        " ip access-group OUTBOUND in",
    ]);
    warm_up(&lab);
    exec(&lab, "clear access-list counters OUTBOUND");
    session::ping(&lab.hosts[0].namespace, SERVER, 4).expect("ping");
    session::fetch(&lab.hosts[0].namespace, SocketAddrV4::new(SERVER, 13), "").expect_err("denied");
    let text = exec(&lab, "show ip access-lists OUTBOUND");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Extended IP access list OUTBOUND");
    assert!(lines[1].starts_with("    20 deny   tcp any host 198.51.100.10 eq daytime (1 match"), "{text}");
    assert_eq!(lines[2], "    30 permit ip any any (4 matches)", "{text}");
    let all = exec(&lab, "show access-lists");
    for part in [
        "Standard IP access list 10\n    10 permit 10.0.0.0, wildcard bits 0.0.0.255",
        "Standard IP access list 20\n    10 deny   192.0.2.0, wildcard bits 0.0.0.255\n    20 permit any\n",
    ] {
        assert!(all.contains(part), "no {part:?} in\n{all}");
    }
    exec(&lab, "clear ip access-list counters");
    let text = exec(&lab, "show ip access-lists OUTBOUND");
    assert!(!text.contains("match"), "{text}");
    assert!(lab.gateway.appliance().exec("clear access-list counters NONE").is_err());
}

#[test]
fn counters_are_cleared_for_who_looks_and_not_for_prometheus() {
    let _turn = turn();
    let lab = build(&[]);
    warm_up(&lab);
    session::ping(&lab.hosts[0].namespace, SERVER, 10).expect("ping");
    let hits = "portico_nat_hits_total{worker=\"0\"}";
    let packets = "portico_interface_packets_total{interface=\"GigabitEthernet0/0/0\",direction=\"in\"}";
    let before = samples(&lab);
    let shown = exec(&lab, "show interfaces GigabitEthernet0/0/0");
    assert!(shown.contains("Last clearing of \"show interface\" counters never"), "{shown}");
    exec(&lab, "clear counters");
    exec(&lab, "clear ip nat statistics");
    session::ping(&lab.hosts[0].namespace, SERVER, 3).expect("ping");
    let statistics = exec(&lab, "show ip nat statistics");
    let shown_hits: u32 = statistics
        .lines()
        .find_map(|line| line.strip_prefix("Hits: ")?.split(' ').next()?.parse().ok())
        .expect("a line of hits");
    assert!((5..=8).contains(&shown_hits), "three echoes and their replies, less the first: {statistics}");
    let shown = exec(&lab, "show interfaces GigabitEthernet0/0/0");
    assert!(shown.contains("counters 00:00:0"), "{shown}");
    assert!(!shown.contains("     0 packets input"), "{shown}");
    let after = samples(&lab);
    assert!(after[hits] >= before[hits] + 5.0 && after[packets] >= before[packets] + 3.0);
    // Who was learnt is forgotten, and found again when needed.
    assert!(exec(&lab, "show ip arp").contains(&SERVER.to_string()));
    exec(&lab, "clear arp-cache");
    assert!(!exec(&lab, "show ip arp").contains(&SERVER.to_string()));
    session::ping(&lab.hosts[0].namespace, SERVER, 2).expect("ping after the cache was cleared");
    assert!(exec(&lab, "show arp").contains(&SERVER.to_string()));
}

#[test]
fn metrics_tell_of_everything() {
    let _turn = turn();
    let lab = build(&["arp 198.51.100.99 0200.0000.0063 arpa"]);
    warm_up(&lab);
    session::fetch(&lab.hosts[0].namespace, WEB, "").expect("fetch");
    // Loads are sampled every second.
    let start = Instant::now();
    let page = loop {
        let page = samples(&lab);
        if page["portico_uptime_seconds"] >= 2.0
            && page["portico_worker_busy_seconds_total{worker=\"0\"}"] > 0.0
        {
            break page;
        }
        assert!(start.elapsed() < LIMIT, "no loads in {page:#?}");
        sleep(Duration::from_millis(100));
    };
    for series in [
        "portico_build_info{version=\"0.1.0\"}",
        "portico_interface_up{interface=\"GigabitEthernet0/0/0\"}",
        "portico_neighbours{state=\"static\"}",
        "portico_nat_pool_addresses_in_use{pool=\"LAB\"}",
        "portico_nat_subscribers",
    ] {
        assert_eq!(page.get(series), Some(&1.0), "{series}");
    }
    assert_eq!(page["portico_nat_pool_addresses{pool=\"LAB\"}"], 4.0);
    assert!(page["portico_nat_pool_ports_in_use{pool=\"LAB\"}"] >= 2.0);
    assert!(page["portico_neighbours{state=\"reachable\"}"] >= 2.0);
    assert_eq!(page["portico_routes{kind=\"connected\"}"], 2.0);
    assert!(page["portico_routes{kind=\"static\"}"] >= 1.0);
    assert!(page["portico_uptime_seconds"] >= 2.0);
    assert!(page["portico_worker_busy_rounds_total{worker=\"0\"}"] >= 3.0);
    assert!(page["portico_worker_rounds_total{worker=\"0\"}"] > 1000.0);
    assert!(page["portico_worker_busy_seconds_total{worker=\"0\"}"] > 0.0);
    for window in ["5s", "1m"] {
        let ratio = page[&format!("portico_worker_busy_ratio{{worker=\"0\",window=\"{window}\"}}")];
        assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    }
    for name in ["received_frames_total", "missed_frames_total", "no_buffer_total", "transmit_errors_total"] {
        let series = format!("portico_device_{name}{{interface=\"GigabitEthernet0/0/1\"}}");
        assert!(page.contains_key(&series), "{series}");
    }
    let reloads = |page: &std::collections::BTreeMap<String, f64>| {
        ["success", "failure"]
            .map(|result| page[&format!("portico_config_reloads_total{{result=\"{result}\"}}")])
    };
    assert_eq!(reloads(&page), [0.0, 0.0]);
    lab.gateway.appliance().reload().expect("reload");
    wait_for(&lab, "show logging", |log| log.contains("SYS-5-CONFIG_I"));
    assert_eq!(reloads(&samples(&lab)), [1.0, 0.0]);
}

/// Half the size of the table that a giant string would take.
const GROWTH_MAX_KIB: u64 = 48 << 10;

fn resident_kib(appliance: &Appliance) -> u64 {
    let id = appliance.running().expect("it runs").id();
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The table of a million sessions is read slowly: meanwhile neighbours are resolved, a reload is applied, other
/// commands answer, and the table is not kept as text.
#[test]
fn a_million_sessions_are_shown_while_the_rest_goes_on() {
    let _turn = turn();
    let lab = build(&[
        "platform dpdk",
        " max-sessions 1200000",
        "ip nat translation udp-timeout 3600",
        // Its share alone would be half of the table.
        "ip nat translation max-entries all-host 1200000",
    ]);
    warm_up(&lab);
    silence(&lab);
    let sessions = "portico_nat_sessions{worker=\"0\"}";
    let start = Instant::now();
    while samples(&lab)[sessions] < 1_000_000.0 {
        assert!(start.elapsed() < Duration::from_secs(600), "only {} sessions", samples(&lab)[sessions]);
        send_to_ports(&lab.hosts[0].namespace, 4, 1024..=65_000);
    }
    let appliance = lab.gateway.appliance();
    let before_kib = resident_kib(appliance);
    let script = format!(
        "{} exec --socket {} 'show ip nat translations' | (sleep 3; wc -l)",
        appliance.program().display(),
        appliance.socket().display()
    );
    let reader = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().expect("a shell");
    sleep(Duration::from_millis(300));
    let host = &lab.hosts[1].namespace;
    host.ip("neigh flush dev eth0").expect("flush");
    session::ping(host, INSIDE_GATEWAY, 2).expect("the gateway answers ARP");
    let lines = vec!["hostname reloaded".to_owned()];
    appliance.configure(&Rules { lines, ..Rules::routed_pool() }).expect("configure");
    appliance.reload().expect("reload");
    wait_for(&lab, "show version", |text| text.contains("reloaded uptime is"));
    let growth_kib = resident_kib(appliance).saturating_sub(before_kib);
    assert!(growth_kib < GROWTH_MAX_KIB, "{growth_kib} KiB more while the table is shown");
    let output = reader.wait_with_output().expect("the reader's end");
    let lines: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a count");
    assert!(lines > 1_000_000, "{lines} lines");
    let counted = exec(&lab, "show ip nat translations udp | count 198.51.100.10");
    let count: u64 = counted.trim().rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a count");
    assert!(count >= 1_000_000, "{counted}");
}
