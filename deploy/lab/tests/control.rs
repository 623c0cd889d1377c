//! What happens beside forwarding: panics on the control side, signals, and what systemd is told.

use lab::address::SERVER;
use lab::{Lab, Peer, Plan, Process, Rules, session, turn};
use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// How long what has to happen may take on a machine that is busy with other work.
const LIMIT: Duration = Duration::from_secs(300);

fn build() -> Lab {
    Lab::build(&Plan { rules: Rules::routed_pool(), ..Plan::new(Peer::Portico) }).expect("the lab")
}

/// A panic in the control thread ends the command that met it, and nothing else.
#[test]
fn a_panic_on_the_control_side_ends_nothing_else() {
    let _turn = turn();
    let lab = build();
    let appliance = lab.gateway.appliance();
    session::ping(&lab.hosts[0].namespace, SERVER, 1).expect("forwarding before");
    for _ in 0..3 {
        assert!(appliance.exec("test crash").is_err(), "it is not carried out");
    }
    session::ping(&lab.hosts[0].namespace, SERVER, 1).expect("forwarding after");
    session::ping(&lab.hosts[1].namespace, SERVER, 1).expect("ARP for a host that is new");
    let log = appliance.exec("show logging").expect("show logging");
    assert_eq!(log.matches("%SYS-2-PANIC: Thread main panicked").count(), 3, "{log}");
    let metrics = appliance.metrics().expect("metrics");
    assert!(metrics.lines().any(|line| line == "portico_panics_total 3"), "{metrics}");
}

/// A second SIGTERM ends the process though the first one's stop waits for something.
#[test]
fn signals_are_obeyed_whatever_else_waits() {
    let _turn = turn();
    let mut lab = build();
    // What is asked of it before it can answer is not lost.
    let appliance = lab.gateway.appliance();
    for _ in 0..20 {
        appliance.running().expect("running").signal(Signal::SIGHUP).expect("SIGHUP");
    }
    session::ping(&lab.hosts[0].namespace, SERVER, 1).expect("forwarding");
    let stopped = lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    assert!(stopped.status.success(), "ended with {}", stopped.status);
}

/// systemd is told that the program is ready, that it lives, and that it stops.
#[test]
fn systemd_is_told() {
    let _turn = turn();
    let mut lab = build();
    lab.gateway.appliance_mut().stop(LIMIT).expect("a stop");
    let path = lab.directory().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let told = |wanted: &str| {
        let mut bytes = [0; 512];
        loop {
            let len = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no {wanted}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return;
            }
        }
    };
    let notify = format!("NOTIFY_SOCKET={}", path.display());
    let program = lab.gateway.appliance().command().expect("its command line");
    let argv: Vec<&str> = ["env", &notify].into_iter().chain(program.iter().map(String::as_str)).collect();
    let namespace = lab.gateway.namespace();
    let process = Process::spawn(namespace, lab.directory(), "notifying", &argv).expect("the program");
    ["READY=1", "WATCHDOG=1", "WATCHDOG=1"].into_iter().for_each(told);
    process.signal(Signal::SIGTERM).expect("SIGTERM");
    told("STOPPING=1");
    let stopped = process.stop(LIMIT);
    // The second SIGTERM may have come before the first one's stop was through.
    let status = stopped.expect("an end").status;
    assert!(status.success() || status.code() == Some(128 + 15), "ended with {status}");
}

/// The program can get no more rights than it has, and its socket is its owner's alone.
#[test]
fn rights_are_given_up() {
    let _turn = turn();
    let lab = build();
    let appliance = lab.gateway.appliance();
    let tasks = std::fs::read_dir(format!("/proc/{}/task", appliance.running().expect("running").id()));
    let mut count = 0;
    for task in tasks.expect("its threads") {
        let status =
            std::fs::read_to_string(task.expect("a thread").path().join("status")).expect("its status");
        assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
        count += 1;
    }
    assert!(count > 5, "{count} threads");
    let mode = std::fs::metadata(appliance.socket()).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
