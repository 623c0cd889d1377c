//! Scripts: what client and server say, as text. The corpora are written in it.
//!
//! The first line says who is inside: `inside client` or `inside server`; `over udp` or `over tcp` says what the
//! transport is, unless it is that of the gateway's first port. Then one line for each thing said:
//! `C| text` is a line of the client's with CRLF behind it, `C: text` the text alone, with `\r \n \t \0 \\ \xHH`,
//! and `C# hex` bytes in hex. `S` is the server. Each line is a segment or a datagram; a line of `+ hex` or
//! `+ text` is more of the same, as the line before was written. Empty lines, and lines that begin with `;`, say
//! nothing.

use std::path::{Path, PathBuf};

use alg::{Row, Side, Transport};

/// A script.
pub struct Script {
    /// Its file.
    pub path: PathBuf,
    /// The client's side.
    pub client: Side,
    /// What carries it.
    pub transport: Transport,
    /// Who says what: by the client?, the bytes.
    pub said: Vec<(bool, Vec<u8>)>,
}

/// All scripts of a gateway, in the order of their names.
pub fn corpus(row: &Row) -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(row.name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path, row.ports()[0].transport)).collect()
}

fn read(path: &Path, transport: Transport) -> Script {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut script = Script { path: path.to_path_buf(), client: Side::Inside, transport, said: Vec::new() };
    let mut form = '|';
    for (n, line) in text.lines().enumerate() {
        let wrong = |why: &str| -> ! { panic!("{}:{}: {why}: {line}", path.display(), n + 1) };
        if line.trim().is_empty() || line.starts_with(';') {
            continue;
        }
        match line {
            "inside client" => script.client = Side::Inside,
            "inside server" => script.client = Side::Outside,
            "over tcp" => script.transport = Transport::Tcp,
            "over udp" => script.transport = Transport::Udp,
            _ => {
                let (head, rest) = match line.strip_prefix('+') {
                    Some(rest) => ("+", rest),
                    None => line.split_at_checked(2).unwrap_or_else(|| wrong("too short")),
                };
                let rest = rest.strip_prefix(' ').unwrap_or(rest);
                let mut chars = head.chars();
                let who = chars.next();
                form = chars.next().unwrap_or(form);
                let bytes = match form {
                    '|' => [unescape(rest), b"\r\n".to_vec()].concat(),
                    ':' => unescape(rest),
                    '#' => unhex(rest),
                    _ => wrong("neither | nor : nor #"),
                };
                match who {
                    Some('C') => script.said.push((true, bytes)),
                    Some('S') => script.said.push((false, bytes)),
                    Some('+') => match script.said.last_mut() {
                        Some((_, before)) => before.extend(bytes),
                        None => wrong("nothing to add to"),
                    },
                    _ => wrong("neither C nor S"),
                }
            }
        }
    }
    script
}

/// Text with escapes to bytes.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'\\') => out.push(b'\\'),
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()].map(|d| d.expect("two digits behind \\x") as char);
                out.extend(unhex(&digits.iter().collect::<String>()));
            }
            other => panic!("an escape of {other:?} in {text}"),
        }
    }
    out
}

/// Hex digits, with or without spaces, to bytes.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("hex") as u8).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
