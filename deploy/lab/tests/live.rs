//! Live configuration, by sessions on the command socket: what is typed comes into force together, or not at all; who else is
//! refused; the way back; the file.

use lab::address::SERVER;
use lab::{Lab, Peer, Plan, Rules, session, turn};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);

fn build() -> Lab {
    let lines = ["hostname edge", "! kept for the auditors", "ntp server 192.0.2.77"].map(str::to_owned);
    let rules = Rules { lines: lines.to_vec(), ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

fn exec(lab: &Lab, command: &str) -> String {
    lab.gateway.appliance().exec(command).unwrap_or_else(|error| panic!("{command}: {error:#}"))
}

fn running(lab: &Lab) -> String {
    exec(lab, "show running-config")
}

/// A session on the command socket.
struct Session {
    stream: BufReader<UnixStream>,
    /// What it showed last before the next line.
    prompt: String,
}

impl Session {
    fn open(path: &Path) -> Session {
        let stream = UnixStream::connect(path).expect("a session");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        Session { stream: BufReader::new(stream), prompt: String::new() }
    }

    fn of(lab: &Lab) -> Session {
        Session::open(lab.gateway.appliance().socket())
    }

    /// Has a line carried out: its answer, refusals included.
    fn say(&mut self, line: &str) -> String {
        writeln!(self.stream.get_mut(), "exec {line}").expect("a request");
        let mut said = String::new();
        loop {
            let mut header = String::new();
            self.stream.read_line(&mut header).expect("an answer");
            let (kind, rest) = header.trim_end().split_once(' ').unwrap_or((header.trim_end(), ""));
            match kind {
                "out" | "err" => {
                    let mut piece = vec![0; rest.parse().expect("a length")];
                    self.stream.read_exact(&mut piece).expect("a piece");
                    said += &String::from_utf8_lossy(&piece);
                }
                "end" => {
                    self.prompt = rest.split(' ').nth(2).expect("a prompt").to_owned();
                    return said;
                }
                _ => return said,
            }
        }
    }

    /// Has lines carried out that answer nothing.
    #[track_caller]
    fn type_in(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.say(line), "", "{line}");
        }
    }

    #[track_caller]
    fn configure(&mut self, command: &str) {
        self.configure_as("edge", command);
    }

    /// Likewise, where the box has this name.
    #[track_caller]
    fn configure_as(&mut self, name: &str, command: &str) {
        let said = self.say(command);
        assert_eq!(said, "Enter configuration commands, one per line.  End with CNTL/Z.\n");
        assert_eq!(self.prompt, format!("{name}(config)#"));
    }
}

#[test]
fn lines_come_into_force_together_or_not_at_all() {
    let _turn = turn();
    let lab = build();
    let before = running(&lab);
    let mut one = Session::of(&lab);
    one.configure("configure terminal");
    one.type_in(&["interface GigabitEthernet0/0/1", "description uplink | ISP"]);
    assert_eq!(one.prompt, "edge(config-if)#");
    one.type_in(&["access-list 77 permit 10.7.0.0 0.0.255.255"]);
    assert_eq!(running(&lab), before, "nothing is in force yet");
    // A second one is told who is at it.
    let mut two = Session::of(&lab);
    let refusal = two.say("configure terminal");
    assert!(refusal.starts_with("% Configuration mode is locked by root on vty "), "{refusal}");
    // A wrong line changes nothing, and is told of again at the end.
    let refusal = one.say("ip nat pol X");
    assert!(refusal.contains("% Invalid input detected at '^' marker."), "{refusal}");
    let diff = one.say("do show configuration diff");
    assert_eq!(
        diff,
        " interface GigabitEthernet0/0/1\n+ description uplink | ISP\n+access-list 77 permit 10.7.0.0 0.0.255.255\n"
    );
    let said = one.say("end");
    assert!(said.contains("% 1 line(s) were refused"), "{said}");
    assert_eq!(one.prompt, "edge#");
    let after = running(&lab);
    assert!(after.contains("description uplink | ISP\n") && after.contains("access-list 77 "), "{after}");
    // What does not fit together is refused as a whole, and can be given up.
    two.configure("configure terminal");
    two.type_in(&["interface GigabitEthernet0/0/1"]);
    let warning = two.say("vrf forwarding NONE");
    assert!(warning.starts_with("% the interface loses its addresses"), "{warning}");
    let refusal = two.say("commit");
    assert!(refusal.contains("NONE") && refusal.contains("% Nothing has changed"), "{refusal}");
    two.type_in(&["abort"]);
    assert_eq!((two.prompt.as_str(), running(&lab)), ("edge#", after.clone()));
    // Who goes in the middle leaves what is in force.
    two.configure("configure terminal");
    two.type_in(&["hostname core", "no access-list 77"]);
    drop(two);
    let start = Instant::now();
    while !one.say("configure terminal").starts_with("Enter ") {
        assert!(start.elapsed() < LIMIT, "the lock stays");
        sleep(Duration::from_millis(10));
    }
    assert_eq!(running(&lab), after);
    exec(&lab, "clear ip nat statistics");
    let log = exec(&lab, "show logging");
    for part in [
        "%PARSER-5-CFGLOG_LOGGEDCMD: User:root  logged command:clear ip nat statistics",
        "%SYS-5-CONFIG_I: Configured from console by root on vty ",
        "%PARSER-5-CFGLOG_CHANGE: + description uplink",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
}

#[test]
fn translations_end_only_where_it_is_forced() {
    let _turn = turn();
    let lab = build();
    let host = &lab.hosts[0].namespace;
    session::ping(host, SERVER, 2).ok();
    session::ping(host, SERVER, 2).expect("ping");
    let text = running(&lab);
    let rule = text.lines().find(|line| line.starts_with("ip nat inside source list")).expect("a rule");
    let mut session = Session::of(&lab);
    session.configure("configure terminal");
    session.type_in(&[&format!("no {rule}")]);
    let refusal = session.say("end");
    assert!(
        refusal.contains("Mapping in use: ") && refusal.contains("translation(s) of 1 rule(s)"),
        "{refusal}"
    );
    assert_eq!(session.prompt, "edge(config)#");
    assert!(running(&lab).contains(rule));
    session.type_in(&["end forced"]);
    assert!(!running(&lab).contains(rule));
    // Somebody who has cut himself off gets it back.
    session.configure("configure terminal revert timer 120");
    session.type_in(&[rule, "interface GigabitEthernet0/0/0"]);
    let said = session.say("end");
    assert!(said.contains("'configure confirm' within 120 minutes"), "{said}");
    assert!(running(&lab).contains(rule));
    session.type_in(&["configure revert now"]);
    assert!(!running(&lab).contains(rule));
    session.configure("configure terminal revert timer 1");
    session.type_in(&[rule]);
    session.say("end");
    session.type_in(&["configure confirm"]);
    assert_eq!(session.say("configure confirm"), "% No change waits to be confirmed\n");
    session.configure("configure terminal revert timer 1");
    session.type_in(&["hostname core"]);
    session.say("end");
    drop(session);
    // Nobody confirms it: it goes after a minute.
    assert!(running(&lab).contains("hostname core\n"));
    let start = Instant::now();
    while !running(&lab).contains("hostname edge\n") {
        assert!(start.elapsed() < LIMIT, "it stays");
        sleep(Duration::from_millis(100));
    }
    assert!(running(&lab).contains(rule), "what was confirmed stays");
}

#[test]
fn the_file_is_written_with_its_comments_and_never_over_another_change() {
    let _turn = turn();
    let lab = build();
    let path = lab.gateway.appliance().configuration();
    let read = || fs::read_to_string(path).expect("the file");
    let before = read();
    let mut session = Session::of(&lab);
    session.configure("configure terminal");
    session.type_in(&["interface GigabitEthernet0/0/1", "description uplink"]);
    session.type_in(&["end"]);
    assert_eq!(
        session.say("show configuration diff"),
        " interface GigabitEthernet0/0/1\n+ description uplink\n"
    );
    assert_eq!(session.say("write memory"), "Building configuration...\n[OK]\n");
    assert_eq!(session.say("show configuration diff"), "");
    let after = read();
    assert!(
        after.contains(" description uplink\n") && after.contains("! kept for the auditors\nntp server"),
        "{after}"
    );
    assert_eq!(after.lines().count(), before.lines().count() + 1, "{after}");
    let old = path.with_extension(format!("{}.old", path.extension().expect("one").to_string_lossy()));
    assert_eq!(fs::read_to_string(old).expect("the former one"), before);
    // It loads as it stands.
    lab.gateway.appliance().reload().expect("reload");
    let start = Instant::now();
    while !exec(&lab, "show logging").contains("portico.conf by SIGHUP") {
        assert!(start.elapsed() < LIMIT, "it is not read again");
        sleep(Duration::from_millis(20));
    }
    // An empty file is one that somebody is writing: it takes nothing away.
    let whole = read();
    fs::write(path, "").expect("written");
    let refusal = session.say("configure replace portico.conf");
    assert!(refusal.contains("the file is empty"), "{refusal}");
    fs::write(path, whole).expect("written");
    assert_eq!(session.say("show configuration diff"), "");
    // Somebody else has changed it.
    fs::write(path, after.clone() + "hostname other\n").expect("written");
    session.configure("configure terminal");
    session.type_in(&["hostname mine", "end"]);
    let refusal = session.say("copy running-config startup-config");
    assert!(refusal.contains("has changed since it was read"), "{refusal}");
    assert!(read().ends_with("hostname other\n"));
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let said = session.say(&format!("configure replace {name}"));
    assert!(said.contains("\"ntp server 192.0.2.77\" is passed over"), "{said}");
    assert_eq!(session.prompt, "other#");
    // It is known now, and may be written.
    session.configure_as("other", "configure terminal");
    session.type_in(&["ip nat translation udp-timeout 77", "end"]);
    assert_eq!(session.say("write memory"), "Building configuration...\n[OK]\n");
    assert!(read().contains("ip nat translation udp-timeout 77\n"));
    // What is fixed while it runs is marked.
    session.configure_as("other", "configure terminal");
    session.type_in(&["platform dpdk", "max-sessions 4096"]);
    let said = session.say("end");
    assert!(said.contains("take effect with the next start"), "{said}");
    let shown = session.say("show running-config | section platform");
    assert!(shown.contains(" ! with the next start:\n max-sessions 4096\n"), "{shown}");
    // A file with a mistake replaces nothing.
    fs::write(path, "hostname third\nip nat pol\n").expect("written");
    let refusal = session.say(&format!("configure replace {name}"));
    assert!(refusal.contains(":2:"), "{refusal}");
    assert_eq!(session.say("show running-config | include hostname"), "hostname other\n");
}
