//! What the program may do once it forwards, as `/proc` tells of each of its threads, and that it still does all it has to.

use lab::address::SERVER;
use lab::{Appliance, Lab, Peer, Plan, Rules, session, turn};
use std::fs;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long what has to happen may take on a machine that is busy with other work.
const LIMIT: Duration = Duration::from_secs(300);
/// A user of every Debian.
const USER: &str = "nobody";
const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
const LOGGING: &str = "logging host 127.0.0.1";
const TYPED: &str = "ip nat translation udp-timeout 99";
const RELOADED: &str = "ip nat translation tcp-timeout 7200";

/// A field of each thread's status, without repetitions.
fn of_threads(appliance: &Appliance, field: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", appliance.running().expect("running").id()));
    let mut values = Vec::new();
    let mut count = 0;
    for task in tasks.expect("its threads") {
        let status = fs::read_to_string(task.expect("a thread").path().join("status")).expect("its status");
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        values.push(value.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned());
        count += 1;
    }
    assert!(count > 5, "{count} threads");
    values.sort_unstable();
    values.dedup();
    values
}

/// Waits until the answer to a command is as it should be.
fn wait_for(appliance: &Appliance, command: &str, is_there: impl Fn(&str) -> bool) {
    let start = Instant::now();
    loop {
        let answer = appliance.exec(command).expect("an answer");
        if is_there(&answer) {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{command} says\n{answer}");
        sleep(Duration::from_millis(50));
    }
}

fn configure(appliance: &Appliance, lines: &[&str]) {
    let lines = lines.iter().map(|&line| line.to_owned()).collect();
    appliance.configure(&Rules { lines, ..Rules::routed_pool() }).expect("configure");
}

fn build() -> Lab {
    let rules = Rules { lines: vec![LOGGING.to_owned()], ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

/// What is typed comes into force, and goes to the file where the user may write beside it.
fn expect_written(lab: &Lab) {
    let appliance = lab.gateway.appliance();
    let lines = lab.directory().join("lines");
    fs::write(&lines, format!("configure terminal\n{TYPED}\nend\nwrite memory\n")).expect("lines");
    let exec = || {
        let mut command = Command::new(appliance.program());
        command.args(["exec", "--socket"]).arg(appliance.socket()).arg("-f").arg(&lines);
        let ended = command.output().expect("the program");
        (ended.status.success(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
    };
    let (is_done, said) = exec();
    assert!(!is_done && said.contains("to its directory"), "{said}");
    assert!(appliance.exec("show running-config").expect("an answer").contains(TYPED));
    let nobody = nix::unistd::User::from_name(USER).expect("users").expect("the user");
    chown(lab.directory(), Some(nobody.uid.as_raw()), None).expect("a directory of his");
    let (is_done, said) = exec();
    assert!(is_done && said.contains("[OK]"), "{said}");
    let text = fs::read_to_string(appliance.configuration()).expect("the file");
    assert!(text.contains(TYPED), "{text}");
    chown(appliance.configuration(), Some(0), Some(0)).expect("root's again");
}

/// With a user of its own, no thread of it has a right of root's left.
#[test]
fn nothing_of_root_is_left() {
    let _turn = turn();
    let mut lab = build();
    let appliance = lab.gateway.appliance_mut();
    let root = "0\t0\t0\t0";
    let uids = of_threads(appliance, "Uid");
    assert_eq!(uids, [root], "started as root, it is root's unless told otherwise");
    assert_eq!(of_threads(appliance, "Seccomp"), ["2"], "a filter");
    appliance.stop(LIMIT).expect("a stop");
    appliance.run_as(USER);
    appliance.run().expect("a start");

    let nobody = nix::unistd::User::from_name(USER).expect("users").expect("the user");
    let four = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    assert_eq!(of_threads(appliance, "Uid"), [four(nobody.uid.as_raw())]);
    assert_eq!(of_threads(appliance, "Gid"), [four(nobody.gid.as_raw())]);
    assert_eq!(of_threads(appliance, "Groups"), [""]);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(of_threads(appliance, set), ["0000000000000000"], "{set}");
    }
    assert_eq!(of_threads(appliance, "NoNewPrivs"), ["1"]);
    assert_eq!(of_threads(appliance, "Seccomp"), ["2"], "a filter");
    for path in [appliance.socket(), appliance.socket().parent().expect("a directory")] {
        let found = fs::metadata(path).expect("it is there");
        assert_eq!((found.uid(), found.mode() & 0o077), (nobody.uid.as_raw(), 0), "{}", path.display());
    }
}

/// It forwards, answers, reloads, logs and stops as it does as root.
#[test]
fn all_that_it_does_needs_no_root() {
    let _turn = turn();
    let mut lab = build();
    lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    let server = lab.gateway.namespace().within(|| UdpSocket::bind("127.0.0.1:514")).expect("a thread");
    let server = server.expect("the syslog port");
    server.set_read_timeout(Some(LIMIT)).expect("a limit");
    let appliance = lab.gateway.appliance_mut();
    // The server is configured by the reload, so that its socket is a new one.
    configure(appliance, &[]);
    appliance.run_as(USER);
    appliance.run().expect("a start");

    session::ping(&lab.hosts[0].namespace, SERVER, 1).expect("forwarding");
    session::fetch(&lab.hosts[1].namespace, WEB, "").expect("a download");
    let appliance = lab.gateway.appliance();
    assert!(appliance.exec("show version").expect("show version").contains("uptime"));
    assert!(
        appliance.exec("show interfaces").expect("show interfaces").contains("GigabitEthernet0/0/1 is up")
    );
    expect_written(&lab);
    let appliance = lab.gateway.appliance();
    let metrics = appliance.metrics().expect("metrics");
    assert!(metrics.lines().any(|line| line == "portico_panics_total 0"), "{metrics}");

    configure(appliance, &[LOGGING, RELOADED]);
    appliance.reload().expect("reload");
    wait_for(appliance, "show running-config", |text| text.contains(RELOADED));
    let mut datagram = [0; 2048];
    let len = server.recv(&mut datagram).expect("a message");
    let text = String::from_utf8_lossy(&datagram[..len]);
    assert!(text.contains(" portico ") && text.contains(" %"), "{text}");
    session::ping(&lab.hosts[2].namespace, SERVER, 1).expect("ARP for a host that is new");

    // A file that is root's alone is refused with the reason.
    fs::set_permissions(appliance.configuration(), fs::Permissions::from_mode(0o600)).expect("permissions");
    appliance.reload().expect("reload");
    wait_for(appliance, "show logging", |log| log.contains("%SYS-3-CONFIG_REFUSED: "));
    let log = appliance.exec("show logging").expect("show logging");
    assert!(log.contains("Permission denied") && log.contains("; let uid 65534 read it"), "{log}");
    assert!(!log.contains("%DPDK-3-ERROR: "), "{log}");

    let socket = appliance.socket().to_owned();
    let stopped = lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    assert!(stopped.status.success(), "ended with {}", stopped.status);
    assert!(!socket.exists(), "the socket is left behind");
}
