//! The console as its users have it: netmiko through ssh, tmux with a paste, files; beside traffic that goes on.

use lab::address::SERVER;
use lab::ssh::{SSH_PORT, SshServer};
use lab::{Lab, Peer, Plan, Process, Rules, turn};
use nix::sys::signal::Signal;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};
use testkit::terminal::Terminal;

const LIMIT: Duration = Duration::from_secs(300);

fn build() -> Lab {
    let rules = Rules { lines: vec!["hostname edge".to_owned()], ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

/// The command line of a console, for a shell.
fn console(lab: &Lab) -> String {
    let appliance = lab.gateway.appliance();
    format!("{} console --socket {}", appliance.program().display(), appliance.socket().display())
}

fn show(lab: &Lab, command: &str) -> String {
    lab.gateway.appliance().exec(command).unwrap_or_else(|error| panic!("{command}: {error:#}"))
}

/// Runs `portico exec -f FILE`.
fn exec_file(lab: &Lab, file: &Path) -> Output {
    let appliance = lab.gateway.appliance();
    let mut command = Command::new(appliance.program());
    command.args(["exec", "--socket"]).arg(appliance.socket()).arg("-f").arg(file);
    command.output().expect("the program")
}

/// Traffic that must lose nothing: echo requests, twenty a second, and one connection.
struct Traffic {
    ping: Process,
    connection: BufReader<TcpStream>,
}

impl Traffic {
    fn start(lab: &Lab) -> Traffic {
        let host = &lab.hosts[0].namespace;
        let argv = ["ping", "-n", "-i", "0.05", &SERVER.to_string()];
        let mut ping = Process::spawn(host, lab.directory(), "ping", &argv).expect("ping");
        ping.wait_until(LIMIT, "a reply", |ping| ping.stdout().contains("icmp_seq")).expect("a reply");
        let connect = || TcpStream::connect((SERVER, 80));
        let connection = host.within(connect).expect("a thread").expect("a connection");
        connection.set_read_timeout(Some(LIMIT)).expect("a limit");
        let mut traffic = Traffic { ping, connection: BufReader::new(connection) };
        traffic.fetch();
        traffic
    }

    /// Asks for a page's head over the connection, and reads it.
    #[track_caller]
    fn fetch(&mut self) {
        let request = "HEAD /index.html HTTP/1.1\r\nHost: lab\r\n\r\n";
        self.connection.get_mut().write_all(request.as_bytes()).expect("a request");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let len = self.connection.read_line(&mut head).expect("an answer");
            assert!(len > 0, "the connection was closed after {head:?}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }

    /// Ends it. Nothing was lost.
    #[track_caller]
    fn finish(mut self, lab: &Lab) {
        self.fetch();
        self.ping.stop_by(Signal::SIGINT, LIMIT).expect("the end of ping");
        let text = fs::read_to_string(lab.directory().join("ping.out")).expect("what ping wrote");
        let numbers = text.lines().filter_map(|line| line.split("icmp_seq=").nth(1)?.split(' ').next());
        let numbers: Vec<usize> = numbers.map(|number| number.parse().expect("a number")).collect();
        let expected: Vec<usize> = (numbers[0]..numbers[0] + numbers.len()).collect();
        assert_eq!(numbers, expected, "replies are missing");
    }
}

/// Has netmiko do these steps; returns each one's result, and all that the terminal showed.
fn netmiko(lab: &Lab, steps: &[&str]) -> (Vec<String>, String) {
    let namespace = lab.gateway.namespace();
    let server = SshServer::start(namespace, lab.directory(), &console(lab)).expect("sshd");
    let script = lab.directory().join("netmiko_steps.py");
    fs::write(&script, include_str!("console_clients/netmiko_steps.py")).expect("the script");
    let log = lab.directory().join("netmiko.log");
    let log = log.to_string_lossy();
    let (script, key, port) =
        (script.to_string_lossy(), server.key().to_string_lossy(), SSH_PORT.to_string());
    let argv = [&["/usr/bin/python3", "-W", "ignore", &script, &port, &key, &log][..], steps].concat();
    let done = namespace.outcome(LIMIT, &argv).expect("netmiko");
    let shown = fs::read_to_string(&*log).unwrap_or_default();
    assert_eq!(done.code, 0, "{}\n{}\nthe terminal showed {shown:?}", done.stdout, done.stderr);
    let mut rest = done.stdout.as_str();
    let mut results = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        rest =
            rest.strip_prefix(&format!("==== {step}\n")).unwrap_or_else(|| panic!("no {step:?} in {rest}"));
        let end = steps.get(number + 1).and_then(|next| rest.find(&format!("==== {next}\n")));
        let (result, left) = rest.split_at(end.unwrap_or(rest.len()));
        results.push(result.trim_end().to_owned());
        rest = left;
    }
    (results, shown)
}

/// A tmux of the test's own, with one window.
struct Tmux {
    socket: String,
    buffer: String,
}

impl Tmux {
    fn open(lab: &Lab, command: &str) -> Tmux {
        let path = |name: &str| lab.directory().join(name).to_string_lossy().into_owned();
        let tmux = Tmux { socket: path("tmux"), buffer: path("buffer") };
        let state = format!("XDG_STATE_HOME={}", path("state"));
        let history = ["set-option", "-g", "history-limit", "5000", ";"];
        let window = ["new-session", "-d", "-x", "100", "-y", "24", "-e", &state, command];
        tmux.run(&[&["-f", "/dev/null", "start-server", ";"], &history[..], &window[..]].concat());
        tmux
    }

    fn run(&self, arguments: &[&str]) -> String {
        let done = Command::new("tmux").args(["-u", "-S", &self.socket]).args(arguments).output();
        let done = done.expect("tmux, which deploy/setup installs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(done.status.success(), "tmux {arguments:?}: {}", text(&done.stderr));
        text(&done.stdout)
    }

    fn paste(&self, text: &str) {
        fs::write(&self.buffer, text).expect("a buffer");
        self.run(&["load-buffer", &self.buffer, ";", "paste-buffer"]);
    }

    /// Waits until this was shown and the last line is the prompt; returns all that was shown.
    #[track_caller]
    fn wait_for(&self, shown: &str) -> String {
        let start = Instant::now();
        loop {
            let text = self.run(&["capture-pane", "-p", "-J", "-S", "-"]);
            let text: String = text.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
            if text.contains(shown) && text.trim_end().lines().last() == Some("edge#") {
                return text;
            }
            assert!(start.elapsed() < LIMIT, "no {shown:?} in\n{text}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn netmiko_reads_prompts_and_answers() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab);
    let steps = ["prompt", "enable", "show show ip nat translations", "show show nonsense", "prompt"];
    let (results, shown) = netmiko(&lab, &steps);
    assert_eq!((results[0].as_str(), results[4].as_str()), ("edge#", "edge#"));
    let table = &results[2];
    assert!(table.starts_with("Pro  Inside global"), "{table}");
    assert!(table.contains("icmp ") && table.contains(&format!("{SERVER}:80")), "{table}");
    assert!(!table.contains("edge#") && !table.contains("show ip nat"), "{table}");
    assert!(results[3].contains("% Invalid input detected at '^' marker"), "{}", results[3]);
    assert!(!shown.contains(['\u{1b}', '\u{8}']), "{shown:?}");
    traffic.finish(&lab);
}

#[test]
fn netmiko_configures_and_saves() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab);
    let steps = [
        "enable",
        "set ip nat translation udp-timeout 77;interface GigabitEthernet0/0/0;description customers;exit",
        "show show running-config | include udp-timeout",
        "open",
        "is-open",
        "close",
        "is-open",
        "set ip nat translation udp-timeuot 88;ip nat translation icmp-timeout 88",
        "save",
        "show show running-config interface GigabitEthernet0/0/0",
    ];
    let (results, shown) = netmiko(&lab, &steps);
    let set = &results[1];
    assert!(set.contains("edge(config)#interface GigabitEthernet0/0/0"), "{set}");
    assert!(set.contains("edge(config-if)#description customers"), "{set}");
    assert!(!set.contains('%') && set.ends_with("edge#"), "{set}");
    assert_eq!(results[2], "ip nat translation udp-timeout 77");
    assert_eq!((results[4].as_str(), results[6].as_str()), ("True", "False"));
    assert!(results[7].contains("% Invalid input detected at '^' marker"), "{}", results[7]);
    let saved = fs::read_to_string(lab.gateway.appliance().configuration()).expect("the file");
    assert!(saved.contains("ip nat translation udp-timeout 77\n"), "{saved}");
    assert!(saved.contains(" description customers\n"), "{saved}");
    assert!(!shown.contains(['\u{1b}', '\u{8}']), "{shown:?}");
    traffic.finish(&lab);
}

#[test]
fn four_hundred_lines_are_pasted_in_tmux() {
    let _turn = turn();
    let lab = build();
    let mut traffic = Traffic::start(&lab);
    let tmux = Tmux::open(&lab, &console(&lab));
    tmux.wait_for("");
    let mut text = "enable\nconfigure terminal\n".to_owned();
    for number in 1..=100 {
        let _ = write!(
            text,
            "ip access-list extended PASTED-{number}\n remark lines of {number}, why?\n permit tcp any any eq {number}\n deny ip any any\n"
        );
    }
    tmux.paste(&(text + "end\n"));
    let shown = tmux.wait_for("#end\n");
    assert!(!shown.contains('%') && !shown.contains("--More--"), "{shown}");
    let lists = show(&lab, "show running-config | section PASTED");
    let count = |what: &str| lists.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("ip access-list"), count("permit tcp any any eq"), count("why?")), (100, 100, 100));
    // The task of the guide, as typed, with what is alive there.
    traffic.fetch();
    tmux.run(&["send-keys", "terminal length 0", "Enter", "show ip nat tr", "Tab", "Enter"]);
    let shown = tmux.wait_for("edge#show ip nat translations\nPro  Inside global");
    assert!(shown.contains(&format!("{SERVER}:80")), "{shown}");
    traffic.finish(&lab);
}

#[test]
fn a_console_that_is_killed_leaves_the_old_policy() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab);
    let before = show(&lab, "show running-config");
    let mut command = Command::new("sh");
    let mut killed = Terminal::open(command.args(["-c", &format!("exec {}", console(&lab))]), 24, 80);
    killed.expect("edge#");
    killed.press("enable\rconfigure terminal\rno ip nat inside source list 10 pool LAB overload\r");
    killed.press("ip nat translation udp-timeout 77\r");
    killed.expect("udp-timeout 77\r\nedge(config)#");
    assert_eq!(show(&lab, "show running-config"), before, "before it is committed");
    killed.child.kill().expect("it runs");
    killed.child.wait().expect("its end");
    // The next one is let in, and what it commits is all that changes.
    let file = lab.directory().join("lines");
    let text = "enable\nconfigure terminal\nip nat translation icmp-timeout 88\nend\nshow running-config\n";
    fs::write(&file, text).expect("a file");
    let done = exec_file(&lab, &file);
    assert!(done.status.success(), "{done:?}");
    let after = show(&lab, "show running-config");
    assert!(String::from_utf8_lossy(&done.stdout).ends_with(&after), "{done:?}");
    let is_new =
        |line: &&str| !line.starts_with("Current configuration") && !before.lines().any(|old| old == *line);
    let changed: Vec<&str> = after.lines().filter(is_new).collect();
    assert_eq!(changed, ["ip nat translation icmp-timeout 88"]);
    assert_eq!(after.lines().count(), before.lines().count() + 1);
    traffic.finish(&lab);
}

#[test]
fn a_file_with_a_mistake_changes_nothing() {
    let _turn = turn();
    let lab = build();
    let before = show(&lab, "show running-config");
    let file = lab.directory().join("lines");
    let text = "enable\nconfigure terminal\nip nat translation udp-timeout 77\nip nat translatoin icmp-timeout 88\nend\n";
    fs::write(&file, text).expect("a file");
    let done = exec_file(&lab, &file);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("{}:4:", file.display())), "{said}");
    assert!(said.contains("% Invalid input detected at '^' marker"), "{said}");
    assert_eq!(show(&lab, "show running-config"), before);
}
