//! The console at a terminal and without one, with a server of the test's own.

mod scripted_server;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::termios::{LocalFlags, tcgetattr};
use scripted_server::{LONG, Server};
use testkit::terminal::Terminal;

const ROWS: u16 = 10;
const COLUMNS: u16 = 60;

/// A folder for the socket and for what the console leaves.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("portico-console-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a folder");
        Folder(path)
    }

    fn serve(&self) -> Server {
        let _ = fs::remove_file(self.0.join("socket"));
        Server::start(&self.0.join("socket"))
    }

    fn portico(&self, command: &str) -> Command {
        let mut portico = Command::new(env!("CARGO_BIN_EXE_portico"));
        portico.args([command, "--socket", "socket"]).current_dir(&self.0).env("XDG_STATE_HOME", &self.0);
        portico
    }

    /// A console at a terminal.
    fn terminal(&self) -> Terminal {
        let mut terminal = Terminal::open(self.portico("console").env("TERM", "xterm"), ROWS, COLUMNS);
        terminal.expect("edge#");
        terminal
    }

    /// Runs it to its end with this input.
    fn run(&self, command: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut portico = self.portico(command);
        portico.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = portico.spawn().expect("the program");
        // It may end before it has read all.
        let _ = child.stdin.take().expect("its input").write_all(input);
        child.wait_with_output().expect("its end")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lines of a configuration: indented ones, long ones, with whatever means something to an editor.
fn configuration() -> Vec<String> {
    let mut lines = Vec::new();
    for number in 0..140 {
        lines.push(format!("interface GigabitEthernet0/0/{number}"));
        lines.push(
            " description why? | because é! to $ and back, and on beyond the right margin of the terminal"
                .into(),
        );
        lines.push(format!(" ip address 10.0.{number}.1 255.255.255.0"));
    }
    lines
}

#[test]
fn pasted_lines_arrive_one_by_one_and_are_shown_without_escape_sequences() {
    let lines = configuration();
    for (begin, end_of_line, end) in
        [("", "\n", ""), ("", "\r", ""), ("", "\r\n", ""), ("\u{1b}[200~", "\r", "\u{1b}[201~")]
    {
        let folder = Folder::new();
        let server = folder.serve();
        let mut terminal = folder.terminal();
        terminal.press(&format!("{begin}configure terminal{end_of_line}"));
        let text: String = lines.iter().map(|line| format!("{line}{end_of_line}")).collect();
        let mut keyboard = terminal.keyboard.try_clone().expect("a keyboard");
        let paste = format!("{text}{end}end{end_of_line}");
        // A terminal takes a paste as fast as it is read.
        let typing = std::thread::spawn(move || keyboard.write_all(paste.as_bytes()).expect("the keys"));
        let got = server.lines_until("end");
        typing.join().expect("typed");
        assert_eq!(got[0], "configure terminal");
        assert_eq!(got[1..got.len() - 1], lines, "{end_of_line:?}");
        let shown = terminal.expect("end\r\nedge#");
        assert!(!shown.contains('\u{1b}'), "an escape sequence is shown");
        let short = "edge(config)# ip address 10.0.7.1 255.255.255.0\r\n";
        assert!(shown.contains(short), "no {short:?} in {shown:?}");
    }
}

#[test]
fn a_short_line_is_shown_as_it_is_typed() {
    let folder = Folder::new();
    let _server = folder.serve();
    let mut terminal = folder.terminal();
    terminal.press("show version\r");
    assert_eq!(terminal.expect("edge#"), "show version\r\nanswer to show version\r\n");
    terminal.press("\r");
    assert_eq!(terminal.expect("edge#"), "\r\n");
    terminal.press("exit\r");
    assert!(terminal.child.wait().expect("its end").success());
    assert_eq!(terminal.expect("\n"), "exit\r");
    let mode = tcgetattr(&terminal.keyboard).expect("the terminal's mode").local_flags;
    assert!(mode.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG), "{mode:?}");
    let history = folder.0.join("portico/history");
    assert_eq!(fs::read_to_string(&history).expect("a history"), "show version\nexit\n");
    assert_eq!(fs::metadata(&history).expect("it").permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_is_typed_ahead_comes_next() {
    let folder = Folder::new();
    let server = folder.serve();
    let mut terminal = folder.terminal();
    terminal.press("show slow\r");
    server.lines_until("show slow");
    terminal.press("show long\rshow version\rshow cl");
    server.go_on.send(()).expect("a server");
    // Lines that were there before a page was full are not its keys: there are no pages.
    assert!(!terminal.expect(&format!("row {LONG}\r\n")).contains("--More--"));
    terminal.expect("answer to show version\r\nedge#show cl");
    terminal.press("ock\r");
    assert_eq!(server.lines_until("show clock"), ["show long", "show version", "show clock"]);
}

#[test]
fn answers_come_a_page_at_a_time() {
    let folder = Folder::new();
    let server = folder.serve();
    let mut terminal = folder.terminal();
    let rows = |page: &str| page.matches("row ").count();
    terminal.press("show long\r");
    assert_eq!(rows(&terminal.expect(" --More-- ")), usize::from(ROWS) - 1);
    terminal.press(" ");
    assert_eq!(rows(&terminal.expect(" --More-- ")), usize::from(ROWS) - 1);
    terminal.press("\r");
    assert_eq!(rows(&terminal.expect(" --More-- ")), 1);
    terminal.press("q");
    assert_eq!(rows(&terminal.expect("edge#")), 0);
    // The rest of that answer is not taken for the next one. Another key is of the next line.
    terminal.press("show long\r");
    terminal.expect(" --More-- ");
    terminal.press("show version\r");
    assert!(terminal.expect("edge#show version\r\nanswer to show version\r\nedge#").ends_with('\u{8}'));
    terminal.press("terminal length 5\r");
    terminal.expect("edge#");
    terminal.press("show long\r");
    assert_eq!(rows(&terminal.expect(" --More-- ")), 4);
    terminal.press("\u{3}");
    terminal.expect("edge#");
    terminal.press("terminal length 0\rshow long\r");
    assert!(!terminal.expect(&format!("row {LONG}\r\n")).contains("--More--"));
    drop(server);
}

#[test]
fn keys_complete_help_recall_and_end() {
    let folder = Folder::new();
    let server = folder.serve();
    let mut terminal = folder.terminal();
    terminal.press("show v\t");
    terminal.expect("show version ");
    // Help does not lose the line it was asked in.
    terminal.press("\u{17}i?");
    terminal.expect("  ip  IP information\r\n\r\nedge#show i");
    terminal.press("p \t");
    terminal.expect("\r\n  nat    Translations\r\n  route  Routing table\r\n\r\nedge#show ip ");
    terminal.press("n\t\r");
    assert_eq!(server.lines_until("show ip nat "), ["show ip nat "]);
    terminal.press("\tshow\tx\t\r");
    assert_eq!(server.lines_until(" show x "), [" show x "]);
    terminal.press("show y\u{10}\u{10}\u{e}\u{e}!\r");
    assert_eq!(server.lines_until("show y!"), ["show y!"]);
    terminal.press("\u{1b}[A\u{1b}[A\u{1b}[A\r");
    assert_eq!(server.lines_until("show ip nat"), ["show ip nat"]);
    terminal.expect("answer to show y!\r\nedge#");
    terminal.expect("answer to show ip nat\r\nedge#");
    terminal.press("bad line\u{3}");
    terminal.expect("^C\r\nedge#");
    terminal.press("configure terminal\rdescription what?\u{1a}");
    assert_eq!(server.lines_until("end"), ["configure terminal", "description what?", "end"]);
    // What is refused ends nothing.
    terminal.press("configure terminal\rbad line\u{1a}");
    terminal.expect("detected at '^' marker.\r\nedge(config)#");
    terminal.press("\u{4}\u{1a}\u{4}");
    assert!(terminal.child.wait().expect("its end").success());
    assert_eq!(server.lines_until("end"), ["configure terminal", "bad line", "end"]);
}

#[test]
fn without_a_terminal_there_are_answers_alone() {
    let folder = Folder::new();
    let server = folder.serve();
    let ended =
        folder.run("console", &[], b"show v?\nshow version\r\nbad\rdescription ok?\nexit\nshow clock\n");
    let expected =
        format!("  version  Software\nanswer to show version\n{}", scripted_server::refusal("bad"));
    assert_eq!(String::from_utf8_lossy(&ended.stdout), expected);
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    assert_eq!(server.lines_until("exit"), ["show version", "bad", "description ok?", "exit"]);
    assert!(!folder.0.join("portico").exists(), "nobody's history");
}

#[test]
fn exec_carries_out_one_command_or_the_lines_of_a_file() {
    let folder = Folder::new();
    let ended = |arguments: &[&str], input: &str| {
        let server = folder.serve();
        let ended = folder.run("exec", arguments, input.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines: Vec<String> = server.requests.try_iter().collect();
        ((ended.status.code(), text(&ended.stdout), text(&ended.stderr)), lines)
    };
    let refused = scripted_server::refusal("bad");
    let (one, _) = ended(&["show version"], "");
    assert_eq!(one, (Some(0), "answer to show version\n".into(), "".into()));
    let (one, _) = ended(&["bad"], "");
    assert_eq!(one, (Some(1), "".into(), refused.clone()));

    fs::write(folder.0.join("lines"), "show version\n\nconfigure terminal\n ip nat\nend\nshow clock")
        .expect("a file");
    let (all, lines) = ended(&["-f", "lines"], "");
    assert_eq!(all, (Some(0), "answer to show version\nanswer to show clock\n".into(), "".into()));
    let sent = ["exec ", "exec show version", "exec configure terminal", "exec  ip nat", "exec end"];
    assert_eq!(lines[..5], sent);
    let (stopped, lines) = ended(&["--file", "-"], "configure terminal\r\nbad\r\nend\r\n");
    assert_eq!(stopped, (Some(1), "".into(), format!("-:2:\n{refused}")));
    assert_eq!(lines.last().map(String::as_str), Some("exec bad"));
    let (open, _) = ended(&["-f", "-"], "configure terminal\nip nat\n");
    let said = "-: ends in configuration mode; what no 'end' or 'commit' put in force is dropped\n";
    assert_eq!(open, (Some(1), "".into(), said.into()));
    let (left, _) = ended(&["-f", "-"], "exit\nbad\n");
    assert_eq!(left, (Some(0), "".into(), "".into()));
}
