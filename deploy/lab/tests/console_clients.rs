//! The console as its users have it: netmiko through ssh, tmux with a paste, files; beside traffic that goes on.

use lab::address::SERVER;
use lab::console::{self, Netmiko, Tmux};
use lab::{Lab, Peer, Plan, Rules, Traffic, turn};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use testkit::terminal::Terminal;

fn build() -> Lab {
    let rules = Rules { lines: vec!["hostname edge".to_owned()], ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
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

#[test]
fn netmiko_reads_prompts_and_answers() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab).expect("traffic");
    let mut netmiko = Netmiko::open(&lab).expect("netmiko");
    let mut step = |step: &str| netmiko.step(step).expect("its result");
    assert_eq!(step("prompt"), "edge#");
    step("enable");
    let table = step("show show ip nat translations");
    assert!(table.starts_with("Pro  Inside global"), "{table}");
    assert!(table.contains("icmp ") && table.contains(&format!("{SERVER}:80")), "{table}");
    assert!(!table.contains("edge#") && !table.contains("show ip nat"), "{table}");
    let refusal = step("show show nonsense");
    assert!(refusal.contains("% Invalid input detected at '^' marker"), "{refusal}");
    assert_eq!(step("prompt"), "edge#");
    let shown = netmiko.close().expect("its end");
    assert!(!shown.contains(['\u{1b}', '\u{8}']), "{shown:?}");
    traffic.finish().expect("whole traffic");
}

#[test]
fn netmiko_configures_and_saves() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab).expect("traffic");
    let mut netmiko = Netmiko::open(&lab).expect("netmiko");
    let mut step = |step: &str| netmiko.step(step).expect("its result");
    step("enable");
    let set = step(
        "set ip nat translation udp-timeout 77;interface GigabitEthernet0/0/0;description customers;exit",
    );
    assert!(set.contains("edge(config)#interface GigabitEthernet0/0/0"), "{set}");
    assert!(set.contains("edge(config-if)#description customers"), "{set}");
    assert!(!set.contains('%') && set.ends_with("edge#"), "{set}");
    assert_eq!(step("show show running-config | include udp-timeout"), "ip nat translation udp-timeout 77");
    step("open");
    assert_eq!(step("is-open"), "True");
    step("close");
    assert_eq!(step("is-open"), "False");
    let refusal = step("set ip nat translation udp-timeuot 88;ip nat translation icmp-timeout 88");
    assert!(refusal.contains("% Invalid input detected at '^' marker"), "{refusal}");
    step("save");
    let shown = netmiko.close().expect("its end");
    let saved = fs::read_to_string(lab.gateway.appliance().configuration()).expect("the file");
    assert!(saved.contains("ip nat translation udp-timeout 77\n"), "{saved}");
    assert!(saved.contains(" description customers\n"), "{saved}");
    assert!(!shown.contains(['\u{1b}', '\u{8}']), "{shown:?}");
    traffic.finish().expect("whole traffic");
}

#[test]
fn four_hundred_lines_are_pasted_in_tmux() {
    let _turn = turn();
    let lab = build();
    let mut traffic = Traffic::start(&lab).expect("traffic");
    let tmux = Tmux::open(&lab).expect("tmux");
    tmux.wait_for("").expect("a prompt");
    let mut text = "enable\nconfigure terminal\n".to_owned();
    for number in 1..=100 {
        let _ = write!(
            text,
            "ip access-list extended PASTED-{number}\n remark lines of {number}, why?\n permit tcp any any eq {number}\n deny ip any any\n"
        );
    }
    tmux.paste(&(text + "end\n")).expect("a paste");
    let shown = tmux.wait_for("#end\n").expect("its end");
    assert!(!shown.contains('%') && !shown.contains("--More--"), "{shown}");
    let lists = show(&lab, "show running-config | section PASTED");
    let count = |what: &str| lists.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("ip access-list"), count("permit tcp any any eq"), count("why?")), (100, 100, 100));
    // The task of the guide, as typed, with what is alive there.
    traffic.fetch().expect("a page");
    tmux.press(&["terminal length 0", "Enter", "show ip nat tr", "Tab", "Enter"]).expect("keys");
    let shown = tmux.wait_for("edge#show ip nat translations\nPro  Inside global").expect("a table");
    assert!(shown.contains(&format!("{SERVER}:80")), "{shown}");
    traffic.finish().expect("whole traffic");
}

#[test]
fn a_console_that_is_killed_leaves_the_old_policy() {
    let _turn = turn();
    let lab = build();
    let traffic = Traffic::start(&lab).expect("traffic");
    let before = show(&lab, "show running-config");
    let mut command = Command::new("sh");
    let console = format!("exec {}", console::command(lab.gateway.appliance()));
    let mut killed = Terminal::open(command.args(["-c", &console]), 24, 80);
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
    traffic.finish().expect("whole traffic");
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
