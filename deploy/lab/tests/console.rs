//! The console, at a terminal and without one.

use lab::{Lab, Peer, Plan, Rules, turn};
use std::fs::{self, File};
use std::process::Command;
use testkit::terminal::Terminal;

fn build() -> Lab {
    let rules = Rules { lines: vec!["hostname edge".to_owned()], ..Rules::routed_pool() };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

fn console(lab: &Lab) -> Command {
    let appliance = lab.gateway.appliance();
    let mut command = Command::new(appliance.program());
    command.args(["console", "--socket", appliance.socket().to_str().expect("UTF-8")]);
    command
}

/// Opens a console at a terminal of ten rows.
fn terminal(lab: &Lab) -> Terminal {
    let mut command = console(lab);
    let state = lab.directory().join("state");
    Terminal::open(command.env("TERM", "xterm").env("XDG_STATE_HOME", state), 10, 160)
}

#[test]
fn terminal_has_completion_help_pages_and_history() {
    let _turn = turn();
    let lab = build();
    let mut terminal = terminal(&lab);
    terminal.expect("edge#");
    terminal.press("show ip nat st\t");
    terminal.expect("show ip nat statistics ");
    terminal.press("| include Hits\r");
    terminal.expect("Hits: ");
    terminal.expect("edge#");
    // Help does not lose the line it was asked in.
    terminal.press("show ver?");
    terminal.expect("  version  ");
    terminal.expect("show ver");
    terminal.press("sion\r");
    terminal.expect("edge uptime is ");
    terminal.expect(" --More-- ");
    terminal.press(" ");
    terminal.expect("edge#");
    // Ten rows are nine of text and a question.
    terminal.press("show drops all\r");
    terminal.expect("show drops all");
    let page = terminal.expect(" --More-- ");
    let rows = |page: &str| page.lines().filter(|line| line.len() > 12).count();
    assert_eq!(rows(&page), 9, "{page:?}");
    terminal.press(" ");
    let page = terminal.expect(" --More-- ");
    assert_eq!(rows(&page), 9, "{page:?}");
    terminal.press("q");
    let rest = terminal.expect("edge#");
    assert!(!rest.contains("Total packets dropped"), "{rest}");
    terminal.press("\u{1b}[A\u{1b}[A\r");
    terminal.expect("edge uptime is ");
    terminal.expect(" --More-- ");
    terminal.press(" ");
    terminal.expect("edge#");
    terminal.press("exit\r");
    assert!(terminal.child.wait().expect("its end").success());
}

#[test]
fn script_is_answered_line_by_line() {
    let _turn = turn();
    let lab = build();
    let script =
        "show ip ?\nshow run | section interface GigabitEthernet0/0/1\nshow nonsense\nexit\nshow version\n";
    let file = lab.directory().join("script");
    fs::write(&file, script).expect("a script");
    let ended = console(&lab).stdin(File::open(&file).expect("the script")).output().expect("the console");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{ended:?}");
    for part in [
        "  access-lists  ",
        "interface GigabitEthernet0/0/1\n device net_af_packet1,iface=outside\n",
        "% Invalid input detected at '^' marker",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("GigabitEthernet0/0/0\n") && !text.contains("uptime"), "{text}");
    let program = lab.gateway.appliance().program();
    let nobody = Command::new(program).args(["console", "--socket", "/nowhere.sock"]).output().expect("it");
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(said.contains("no portico answers on /nowhere.sock"), "{said}");
}
