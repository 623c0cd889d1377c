//! What a start needs and does not find: each gives a message that says what is wrong, where, and what to do, exit
//! code 1, and leaves nothing behind. Logs that nobody takes stop nothing, and a link that goes is told.

use lab::{End, Namespace, Outcome, Process, Scope, connect, program, turn};
use nix::sys::signal::Signal;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A failing start takes no longer, a good one is ready by then.
const LIMIT: Duration = Duration::from_secs(300);
const NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// A namespace with the devices `inside` and `outside`, a configuration, and a place for the socket.
struct Bench {
    // Dropped in order: the namespaces before the directory.
    namespace: Namespace,
    _peer: Namespace,
    scope: Scope,
    program: String,
}

const PLATFORM: &str = "platform dpdk\n workers 1\n memory 128\n no hugepages\n!\n";
const INSIDE: &str = "interface GigabitEthernet0/0/0\n device net_af_packet0,iface=inside\n mac-address 0200.0000.0001\n \
                      ip address 10.0.0.1 255.255.255.0\n ip nat inside\n!\n";
const OUTSIDE: &str = "interface GigabitEthernet0/0/1\n device net_af_packet1,iface=outside\n mac-address \
                       0200.0000.0002\n ip address 198.51.100.1 255.255.255.0\n ip nat outside\n!\n";

impl Bench {
    fn new() -> Bench {
        let scope = Scope::new().expect("a scope");
        let namespace = scope.namespace("portico").expect("a namespace");
        let peer = scope.namespace("peer").expect("a namespace");
        for device in ["inside", "outside"] {
            connect(End { namespace: &namespace, device }, End { namespace: &peer, device })
                .expect("a cable");
        }
        // The unprivileged user is to fail for what the test is about, not at the directory.
        fs::set_permissions(scope.directory(), fs::Permissions::from_mode(0o777)).expect("permissions");
        let program = program().expect("the program").to_str().expect("UTF-8").to_owned();
        Bench { namespace, _peer: peer, scope, program }
    }

    fn path(&self, name: &str) -> String {
        self.scope.directory().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes the configuration.
    fn configure(&self, parts: &[&str]) {
        fs::write(self.path("portico.conf"), parts.concat()).expect("a configuration");
    }

    /// The program's command line, after what runs it.
    fn argv<'a>(&'a self, prefix: &[&'a str], config: &'a str, socket: &'a str) -> Vec<&'a str> {
        [prefix, &[&self.program, "run", "--config", config, "--socket", socket]].concat()
    }

    /// Starts the program, which is to end by itself.
    fn outcome(&self, prefix: &[&str], config: &str, socket: &str) -> Outcome {
        self.namespace.outcome(LIMIT, &self.argv(prefix, config, socket)).expect("the program runs")
    }

    /// A start that fails with every one of these words in its last line, and leaves no socket.
    #[track_caller]
    fn refuses(&self, prefix: &[&str], words: &[&str]) {
        let (config, socket) = (self.path("portico.conf"), self.path("portico.sock"));
        let outcome = self.outcome(prefix, &config, &socket);
        expect_refusal(&outcome, words);
        assert!(!PathBuf::from(&socket).exists(), "the socket is left behind");
    }

    /// A running instance.
    fn start(&self, name: &str, socket: &str) -> Process {
        let config = self.path("portico.conf");
        let argv = self.argv(&[], &config, socket);
        let mut process =
            Process::spawn(&self.namespace, self.scope.directory(), name, &argv).expect("the program");
        process.wait_for_line("ready", LIMIT).expect("a start");
        process
    }

    fn exec(&self, socket: &str, command: &str) -> String {
        let argv = [self.program.as_str(), "exec", "--socket", socket, command];
        self.namespace.run(&argv).expect("an answer")
    }

    /// Waits until the instance on this socket answers.
    fn wait_for_answer(&self, socket: &str) {
        let start = Instant::now();
        let argv = [self.program.as_str(), "exec", "--socket", socket, "show version"];
        while self.namespace.run(&argv).is_err() {
            assert!(start.elapsed() < LIMIT, "nobody answers");
            sleep(Duration::from_millis(50));
        }
    }
}

#[track_caller]
fn expect_refusal(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert_eq!(outcome.stdout, "", "it is not ready");
    let message = outcome.stderr.lines().last().unwrap_or_default();
    assert!(message.starts_with("portico: "), "{}", outcome.stderr);
    for word in words {
        assert!(message.contains(word), "no {word:?} in\n{}", outcome.stderr);
    }
}

#[test]
fn huge_pages_are_short() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&["hostname edge\nplatform dpdk\n memory 1048576\n", INSIDE]);
    bench.refuses(
        &[],
        &["portico.conf:2: ", "1048576 MiB of huge pages", "/proc/sys/vm/nr_hugepages", "no hugepages"],
    );
}

#[test]
fn memory_is_short() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&["platform dpdk\n no hugepages\n max-sessions 4000000000\n", INSIDE]);
    bench.refuses(
        &[],
        &[
            "portico.conf:1:1: error: 4000000000 sessions need about",
            "MiB are available",
            "lower 'max-sessions'",
        ],
    );
    bench.configure(&["hostname edge\nplatform dpdk\n no hugepages\n memory 1048576\n", INSIDE]);
    bench.refuses(&[], &["portico.conf:2:1: error: ", "packets 1048576 MiB", "or 'memory'"]);
}

#[test]
fn device_is_missing() {
    let _turn = turn();
    let bench = Bench::new();
    let interface = |device: &str| format!("interface GigabitEthernet0/0/7\n device {device}\n");
    // Platform's five lines, then the interface.
    let place = "portico.conf:6: interface GigabitEthernet0/0/7: ";
    bench.configure(&[PLATFORM, &interface("net_af_packet0,iface=nowhere")]);
    bench.refuses(&[], &[place, "interface nowhere does not exist in this network namespace", "`ip link`"]);
    bench.configure(&[PLATFORM, &interface("net_af_paket0,iface=inside")]);
    bench.refuses(&[], &[place, "no DPDK driver has this name", "net_af_packet"]);
    bench.configure(&[PLATFORM, &interface("ffff:1f:1f.7")]);
    bench.refuses(&[], &[place, "no such PCI device", "dpdk-devbind.py"]);
    bench.configure(&[PLATFORM, "interface GigabitEthernet0/0/7\n"]);
    bench.refuses(&[], &["portico.conf: ", "no interface has a 'device'"]);
}

#[test]
fn permission_is_missing() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE]);
    bench.refuses(NOBODY, &["portico.conf:6: ", "permission denied; run as root or with CAP_NET_RAW"]);
    let config = bench.path("portico.conf");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("permissions");
    bench.refuses(NOBODY, &["cannot read the configuration", "portico.conf", "Permission denied"]);
}

#[test]
fn configuration_is_missing() {
    let _turn = turn();
    let bench = Bench::new();
    bench.refuses(&[], &["cannot read the configuration", "portico.conf", "No such file", "give a file"]);
    fs::create_dir(bench.path("portico.conf")).expect("a directory");
    bench.refuses(&[], &["cannot read the configuration", "Is a directory"]);
}

#[test]
fn socket_cannot_be_opened() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE]);
    let config = bench.path("portico.conf");
    let nowhere = bench.path("nowhere/at/all/portico.sock");
    expect_refusal(
        &bench.outcome(&[], &config, &nowhere),
        &["cannot open the command socket", "nowhere/at/all/portico.sock", "--socket", "No such file"],
    );
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).expect("permissions");
    let socket = bench.path("portico.sock");
    expect_refusal(
        &bench.outcome(NOBODY, &config, &socket),
        &["cannot open the command socket", "--socket", "Permission denied"],
    );
    let file = bench.path("precious");
    fs::write(&file, "data").expect("a file");
    expect_refusal(&bench.outcome(&[], &config, &file), &["precious is there and is no socket", "--socket"]);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "data", "what is no socket stays");
}

#[test]
fn user_cannot_be_become() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE]);
    let (config, socket) = (bench.path("portico.conf"), bench.path("portico.sock"));
    let refuses = |prefix: &[&str], user: &str, words: &[&str]| {
        let argv = [&bench.argv(prefix, &config, &socket)[..], &["--user", user]].concat();
        expect_refusal(&bench.namespace.outcome(LIMIT, &argv).expect("the program runs"), words);
        assert!(!PathBuf::from(&socket).exists(), "the socket is left behind");
    };
    refuses(&[], "nowhere-man", &["there is no user nowhere-man", "useradd --system nowhere-man"]);
    refuses(NOBODY, "nobody", &["only root can become user nobody", "without --user"]);
    let directory = "give --socket a path in a directory of that user's";
    refuses(&[], "nobody", &["user nobody could not remove the socket", "portico.sock", directory]);
}

#[test]
fn another_instance_is_in_the_way() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE, OUTSIDE, "prometheus exporter 127.0.0.1 9464\n"]);
    let socket = bench.path("first.sock");
    let first = bench.start("first", &socket);
    let config = bench.path("portico.conf");
    expect_refusal(
        &bench.outcome(&[], &config, &socket),
        &["another portico is running on the socket", "first.sock", "--socket"],
    );
    // Platform's five lines and six of each interface come before the exporter's.
    bench.refuses(
        &[],
        &[
            "portico.conf:18: ",
            "127.0.0.1:9464",
            "Address already in use",
            "'prometheus exporter'",
            "ss -ltnp",
        ],
    );
    assert!(bench.exec(&socket, "show version").contains("uptime"), "the first one is not disturbed");
    assert!(first.stop(LIMIT).expect("a stop").status.success());
    assert!(!PathBuf::from(&socket).exists(), "the socket is left behind");
}

#[test]
fn socket_of_a_dead_instance_is_replaced() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE]);
    let socket = bench.path("portico.sock");
    drop(bench.start("killed", &socket));
    assert!(PathBuf::from(&socket).exists(), "a killed program cannot clean up");
    let second = bench.start("second", &socket);
    assert!(second.stop(LIMIT).expect("a stop").status.success());
}

#[test]
fn workers_are_too_many() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&["platform dpdk\n workers 250\n no hugepages\n", INSIDE]);
    bench.refuses(&[], &["portico.conf:1: 250 workers", "may run on", "lower 'workers'"]);
    bench.configure(&["platform dpdk\n cores 1000\n no hugepages\n", INSIDE]);
    bench.refuses(&[], &["portico.conf:1: ", "may not run on core 1000", "'cores'"]);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        bench.configure(&["platform dpdk\n workers 2\n memory 128\n no hugepages\n", INSIDE]);
        bench.refuses(&[], &["portico.conf:5: interface GigabitEthernet0/0/0", "1 queue pair", "qpairs=2"]);
    }
}

/// The disk of the log is full, or the standard error is closed, or nobody reads it any more: the program starts,
/// answers, reloads, and stops on request.
#[test]
fn logs_that_nobody_takes_stop_nothing() {
    let _turn = turn();
    let bench = Bench::new();
    // The last line is warned of, so that something is said before the log's thread is there.
    bench.configure(&[PLATFORM, INSIDE, OUTSIDE, "logging console debugging\nservice timestamps log\n"]);
    let socket = bench.path("portico.sock");
    let config = bench.path("portico.conf");
    let command = bench.argv(&[], &config, &socket).join(" ");
    for (name, redirection) in [("full", "2>/dev/full"), ("closed", "2>&-"), ("silent", ">&- 2>&-")] {
        let script = format!("exec {command} {redirection}");
        let argv = ["sh", "-c", &script];
        let process =
            Process::spawn(&bench.namespace, bench.scope.directory(), name, &argv).expect("a shell");
        bench.wait_for_answer(&socket);
        live(&bench, &socket, process, name);
    }
}

/// A reload is logged, and a stop is prompt.
fn live(bench: &Bench, socket: &str, process: Process, name: &str) {
    process.signal(Signal::SIGHUP).expect("a signal");
    let start = Instant::now();
    let log = loop {
        let log = bench.exec(socket, "show logging");
        if log.contains("%SYS-5-CONFIG_I: Configured from ") {
            break log;
        }
        assert!(start.elapsed() < LIMIT, "{name}: no reload in\n{log}");
        sleep(Duration::from_millis(50));
    };
    if name == "full" {
        let failed = log.lines().find_map(|line| line.trim().strip_suffix(" messages failed"));
        let failed: u64 = failed.and_then(|count| count.parse().ok()).unwrap_or_default();
        assert!(failed > 0, "failures are counted: {log}");
    }
    let stopped = process.stop(LIMIT).expect("a stop");
    assert!(stopped.status.success(), "{name}: ended with {}", stopped.status);
}

/// A standard error that blocks holds up the thread that writes to it, and nothing else.
#[test]
fn blocked_standard_error_stops_nothing() {
    let _turn = turn();
    let bench = Bench::new();
    bench.configure(&[PLATFORM, INSIDE, OUTSIDE]);
    let (mut ours, _theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("non-blocking");
    let filled = loop {
        if let Err(error) = ours.write(&[b'x'; 4096]) {
            break error.kind();
        }
    };
    assert_eq!(filled, ErrorKind::WouldBlock, "the pipe is full");
    ours.set_nonblocking(false).expect("blocking");
    let (config, socket) = (bench.path("portico.conf"), bench.path("portico.sock"));
    let mut child = Command::new("ip")
        .args(["netns", "exec", bench.namespace.name()])
        .args(bench.argv(&[], &config, &socket))
        .stdout(Stdio::null())
        .stderr(Stdio::from(OwnedFd::from(ours)))
        .spawn()
        .expect("the program");
    bench.wait_for_answer(&socket);
    assert!(bench.exec(&socket, "show interfaces").contains("GigabitEthernet0/0/1 is up"));
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, Signal::SIGTERM).expect("a signal");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("its status") {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("it does not stop");
        }
        sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "ended with {status}");
}

/// A tap device tells its link as network cards do; the packet sockets of the lab's cables tell none.
#[test]
fn link_that_goes_and_comes_is_told() {
    let _turn = turn();
    let bench = Bench::new();
    let tap =
        "interface GigabitEthernet0/0/2\n device net_tap0,iface=ptap0\n ip address 10.9.0.1 255.255.255.0\n";
    bench.configure(&[PLATFORM, tap]);
    let socket = bench.path("portico.sock");
    let process = bench.start("tap", &socket);
    let wait_for = |command: &str, text: &str| {
        let start = Instant::now();
        loop {
            let answer = bench.exec(&socket, command);
            if answer.contains(text) {
                return;
            }
            assert!(start.elapsed() < LIMIT, "no {text:?} in\n{answer}");
            sleep(Duration::from_millis(50));
        }
    };
    let said =
        |state: &str| format!("%LINK-3-UPDOWN: Interface GigabitEthernet0/0/2, changed state to {state}\n");
    let log = "show logging | begin Log Buffer";
    wait_for(log, &said("up"));
    wait_for("show ip route", "10.9.0.0/24 is directly connected");
    bench.namespace.ip("link set ptap0 down").expect("down");
    wait_for(log, &said("down"));
    wait_for("show interfaces", "GigabitEthernet0/0/2 is down, line protocol is down\n");
    assert!(!bench.exec(&socket, "show ip route").contains("10.9.0.0/24"), "its route goes with it");
    bench.namespace.ip("link set ptap0 up").expect("up");
    wait_for("show log | count changed state to up", "= 2\n");
    wait_for("show ip route", "10.9.0.0/24 is directly connected");
    assert!(process.stop(LIMIT).expect("a stop").status.success());
}
