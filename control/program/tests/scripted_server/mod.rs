//! The server's half of the command socket, with answers of the test's: for clients alone.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A server of one session.
pub struct Server {
    /// Each request of it, as it arrives.
    pub requests: Receiver<String>,
    /// Lets a `show slow` go on.
    pub go_on: Sender<()>,
}

/// Lines that `show long` has.
pub const LONG: usize = 100;

impl Server {
    /// Serves the first session on a socket.
    pub fn start(path: &Path) -> Server {
        let listener = UnixListener::bind(path).expect("a socket");
        let (sender, requests) = channel();
        let (go_on, wait) = channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            serve(stream, &sender, &wait);
        });
        Server { requests, go_on }
    }

    /// The lines that were to be carried out since, but for empty ones, up to the one that is `last`.
    pub fn lines_until(&self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            let request = self.requests.recv().expect("another request");
            lines.extend(request.strip_prefix("exec ").filter(|line| !line.is_empty()).map(str::to_string));
        }
        lines
    }
}

fn serve(mut stream: UnixStream, requests: &Sender<String>, wait: &Receiver<()>) {
    let mut prompt = "edge#";
    let mut length = "-".to_string();
    for request in BufReader::new(stream.try_clone().expect("a copy")).lines().map_while(Result::ok) {
        // A test may have seen enough.
        let _ = requests.send(request.clone());
        let (kind, line) = request.split_once(' ').unwrap_or((&request, ""));
        let line = if kind == "exec" { line.trim() } else { line };
        let mut answer = String::new();
        match (kind, line) {
            ("exec", "configure terminal") => prompt = "edge(config)#",
            ("exec", "end") => prompt = "edge#",
            ("exec", "exit") => {
                let _ = stream.write_all(b"bye\n");
                return;
            }
            ("exec", "show long") => answer = out(&rows("row", LONG)),
            ("exec", "show slow") => {
                let _ = wait.recv();
                answer = out("done\n");
            }
            ("exec", line) if line.starts_with("terminal length ") => {
                length = line["terminal length ".len()..].to_string();
            }
            ("exec", line) if line.starts_with("show ") => answer = out(&format!("answer to {line}\n")),
            ("exec", line) if line.starts_with("bad") => answer = piece("err", &refusal(line)),
            ("complete", line) => answer = out(&candidates(line)),
            _ => {}
        }
        let end = format!("end {length} - {prompt}\n");
        if stream.write_all((answer + &end).as_bytes()).is_err() {
            return;
        }
    }
}

/// What a refused line is answered with.
pub fn refusal(line: &str) -> String {
    format!("{line}\n^\n% Invalid input detected at '^' marker.\n")
}

fn rows(name: &str, count: usize) -> String {
    (1..=count).map(|number| format!("{name} {number}\n")).collect()
}

fn out(text: &str) -> String {
    piece("out", text)
}

fn piece(kind: &str, text: &str) -> String {
    format!("{kind} {}\n{text}", text.len())
}

/// A small grammar: `show ip nat`, `show ip route`, `show version`, and `description LINE`.
fn candidates(line: &str) -> String {
    let (before, partial) = line.trim_start().rsplit_once(' ').unwrap_or(("", line.trim_start()));
    let rows: &[&str] = match before {
        "" => &["show\tShow running system information\t1", "description\tText about it\t1"],
        "show" => &["version\tSoftware\t1", "ip\tIP information\t1"],
        "show ip" => &["route\tRouting table\t1", "nat\tTranslations\t1"],
        "description" => &["LINE\tThe text\t0"],
        _ => &[],
    };
    let fits = |row: &&&str| row.starts_with(partial) || row.starts_with("LINE");
    rows.iter().filter(fits).map(|row| format!("{row}\n")).collect()
}
