//! The command socket: one command a connection, a Unix socket that only its owner can open.
//!
//! The client sends a line. The server answers `0` or `1` (done, refused) and a line feed, then the text, and
//! closes.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crossbeam::channel::{Sender, bounded};

use crate::run::Request;

/// The longest command line, in bytes.
const LINE_MAX: u64 = 4096;
/// How long a client may take to send its line.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Opens the command socket. A socket file left by a program that is gone is replaced.
///
/// # Errors
/// When another instance answers on it, or the file cannot be made.
pub fn listen(path: &Path) -> Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another portico is running on the socket {}; stop it, or give --socket another path",
            path.display()
        );
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot replace {}", path.display()));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("cannot open the command socket {}; give --socket another path", path.display())
    })?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {}", path.display()))?;
    Ok(listener)
}

/// Serves the socket for ever: each connection's command goes to the control thread.
pub fn serve(listener: &UnixListener, requests: &Sender<Request>) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                let requests = requests.clone();
                std::thread::spawn(move || {
                    if let Err(error) = answer(stream, &requests) {
                        tracing::debug!("command connection: {error}");
                    }
                });
            }
            Err(error) => tracing::warn!("command socket: {error}"),
        }
    }
}

fn answer(mut stream: UnixStream, requests: &Sender<Request>) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_WITHIN))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?.take(LINE_MAX)).read_line(&mut line)?;
    let (sender, receiver) = bounded(1);
    let stopping = || Err("% The appliance is stopping".to_string());
    let answer = match requests.send(Request::Exec(line.trim_end().into(), sender)) {
        Ok(()) => receiver.recv().unwrap_or_else(|_| stopping()),
        Err(_) => stopping(),
    };
    let (status, text) = match answer {
        Ok(text) => ("0\n", text),
        Err(text) => ("1\n", text + "\n"),
    };
    stream.write_all(status.as_bytes())?;
    stream.write_all(text.as_bytes())
}

/// Sends a command to a running instance. The inner result is its answer.
///
/// # Errors
/// When nobody answers on the socket.
pub fn request(path: &Path, command: &str) -> Result<Result<String, String>> {
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!("no portico answers on {}; is it running, and on this --socket?", path.display())
    })?;
    writeln!(stream, "{command}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once('\n') {
        Some(("0", text)) => Ok(Ok(text.into())),
        Some((_, text)) => Ok(Err(text.into())),
        None => bail!("the appliance closed the connection without an answer"),
    }
}
