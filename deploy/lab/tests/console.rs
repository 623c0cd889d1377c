//! The console, at a terminal and without one.

use lab::{Lab, Peer, Plan, Rules, turn};
use nix::pty::{Winsize, openpty};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(300);

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

/// A console at a terminal of ten rows.
struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What was shown and not looked at yet.
    shown: String,
}

impl Terminal {
    fn open(lab: &Lab) -> Terminal {
        let size = Winsize { ws_row: 10, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).expect("a terminal");
        let end = || Stdio::from(pair.slave.try_clone().expect("its end"));
        let child = console(lab)
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the console");
        let keyboard = File::from(pair.master);
        let mut output = keyboard.try_clone().expect("its output");
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The end of the console is an error here.
            while let Ok(len) = output.read(&mut bytes) {
                if len == 0 || sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keyboard, screen, shown: String::new() }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the keys");
    }

    /// Waits until this is on the screen; returns what came before it.
    #[track_caller]
    fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some((before, after)) = self.shown.split_once(text) {
                let before = before.to_owned();
                self.shown = after.to_owned();
                return before;
            }
            let left = LIMIT.saturating_sub(start.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no {text:?} ({error}) in\n{}", self.shown),
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn terminal_has_completion_help_pages_and_history() {
    let _turn = turn();
    let lab = build();
    let mut terminal = Terminal::open(&lab);
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
