//! The command socket: one request a connection, a Unix socket that only its owner can open.
//!
//! The client sends a line: `exec COMMAND`, `complete LINE` (what could stand at the end of a command line), or
//! `hostname`. The server answers with pieces, each `out LENGTH` or, for refusals, `err LENGTH` on a line and then so
//! many bytes; after the last piece comes the line `end`.
use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control::cli;
use crossbeam::channel::{Sender, bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::User;

use crate::request::{Piece, Request, pieces};

/// The longest request, in bytes.
const LINE_MAX: u64 = 4096;
/// How long a client may take to send its line.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may leave a piece of its answer unread, as while somebody looks at a page of it.
const WRITE_WITHIN: Duration = Duration::from_secs(3600);
/// Pieces of an answer that may wait for the client.
const PIECES_MAX: usize = 4;
/// Open connections. One more, and the oldest ends: whoever looks at a page and forgets it keeps nobody out.
const CONNECTIONS_MAX: usize = 128;

/// The open command socket; its file goes when it is dropped.
pub struct CommandSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl CommandSocket {
    /// Opens the command socket, for `user` to use and remove if it is to be another's than the process's. A socket file left
    /// by a program that is gone is replaced; a directory that is not there is made.
    ///
    /// # Errors
    /// When another instance answers on it, or it is another user's, or the file cannot be made.
    pub fn open(path: &Path, user: Option<&User>) -> Result<CommandSocket> {
        match UnixStream::connect(path) {
            Ok(_) => bail!(
                "another portico is running on the socket {}; stop it, or give --socket another path",
                path.display()
            ),
            // Somebody may answer on it: it is not known to be left behind.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => bail!(
                "may not use the socket {}: {error}; run as its owner, or give --socket another path",
                path.display()
            ),
            Err(_) => {}
        }
        let advice = || {
            format!(
                "cannot open the command socket {}; give --socket a path that can be written",
                path.display()
            )
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let owner = prepare(directory.unwrap_or(Path::new(".")), user).with_context(advice)?;
        if let Some(user) = user.filter(|user| user.uid.as_raw() != owner) {
            bail!(
                "user {} could not remove the socket {} at the end; give --socket a path in a directory of that user's, or \
                 in one that is not there yet",
                user.name,
                path.display()
            );
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                bail!("{} is there and is no socket; give --socket another path", path.display());
            }
            Ok(_) => fs::remove_file(path).with_context(advice)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(advice),
        }
        let listener = UnixListener::bind(path).with_context(advice)?;
        let socket = CommandSocket { listener, path: path.into() };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(advice)?;
        if let Some(user) = user {
            give(path, user).with_context(advice)?;
        }
        Ok(socket)
    }

    /// Serves it in threads of its own for as long as the process runs.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn serve(&self, requests: &Sender<Request>) -> io::Result<()> {
        let (listener, requests) = (self.listener.try_clone()?, requests.clone());
        let connections = Arc::new(Connections::default());
        std::thread::Builder::new().name("socket".into()).spawn(move || {
            for stream in listener.incoming() {
                let served = stream.and_then(|stream| {
                    let (requests, connections) = (requests.clone(), Arc::clone(&connections));
                    let number = connections.enter(stream.try_clone()?);
                    let command = std::thread::Builder::new().name("command".into());
                    let entered = Entered { connections, number };
                    command.spawn(move || {
                        if let Err(error) = answer(stream, &requests) {
                            tracing::debug!(mnemonic = "SYS-7-SOCKET", "command connection: {error}");
                        }
                        drop(entered);
                    })
                });
                if let Err(error) = served {
                    tracing::warn!(mnemonic = "SYS-4-SOCKET", "command socket: {error}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for CommandSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the directory, the user's alone, where there is none. Returns whose it is.
fn prepare(directory: &Path, user: Option<&User>) -> io::Result<u32> {
    match (fs::DirBuilder::new().mode(0o700).create(directory), user) {
        (Ok(()), Some(user)) => give(directory, user)?,
        (Err(error), _) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Ok(fs::metadata(directory)?.uid())
}

fn give(path: &Path, user: &User) -> io::Result<()> {
    lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}

/// The open connections, in the order of their beginning, each with a number.
#[derive(Default)]
struct Connections(Mutex<(u64, VecDeque<(u64, UnixStream)>)>);

impl Connections {
    fn enter(&self, stream: UnixStream) -> u64 {
        let (next, open) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CONNECTIONS_MAX
            && let Some((_, oldest)) = open.pop_front()
        {
            // Its thread, which waits for the client to read, finds it closed.
            let _ = oldest.shutdown(Shutdown::Both);
        }
        *next += 1;
        open.push_back((*next, stream));
        *next
    }
}

/// A connection's place, which it leaves however it ends.
struct Entered {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let (_, open) = &mut *self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|&(other, _)| other != self.number);
    }
}

fn answer(mut stream: UnixStream, requests: &Sender<Request>) -> io::Result<()> {
    stream.set_read_timeout(Some(READ_WITHIN))?;
    stream.set_write_timeout(Some(WRITE_WITHIN))?;
    let mut line = String::new();
    BufReader::new(stream.try_clone()?.take(LINE_MAX)).read_line(&mut line)?;
    let line = line.trim_end_matches(['\n', '\r']);
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "exec" => execute(&mut stream, rest, requests)?,
        "complete" => write_piece(&mut stream, "out", &completions(rest))?,
        "hostname" => {
            let (sender, receiver) = bounded(1);
            let _ = requests.send(Request::Hostname(sender));
            write_piece(&mut stream, "out", &receiver.recv().unwrap_or_default())?;
        }
        _ => write_piece(&mut stream, "err", "% Unknown request\n")?,
    }
    stream.write_all(b"end\n")
}

fn execute(stream: &mut UnixStream, line: &str, requests: &Sender<Request>) -> io::Result<()> {
    let (command, mut modifier) = match cli::split(line) {
        Ok(split) => split,
        Err(refusal) => return write_piece(stream, "err", &(refusal + "\n")),
    };
    let (sender, receiver) = bounded(PIECES_MAX);
    let _ = requests.send(Request::Exec(command.trim_end().into(), sender));
    for piece in pieces(&receiver) {
        // A filter may have nothing to write for long, and then nothing else tells that nobody waits any more.
        if is_gone(stream)? {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match piece {
            Piece::Text(text) => match &mut modifier {
                Some(modifier) => write_piece(stream, "out", &modifier.feed(&text))?,
                None => write_piece(stream, "out", &text)?,
            },
            Piece::Refused(refusal) => return write_piece(stream, "err", &(refusal + "\n")),
            Piece::End => break,
        }
    }
    write_piece(stream, "out", &modifier.map(|mut modifier| modifier.finish()).unwrap_or_default())
}

/// Whether the client has closed its end.
fn is_gone(stream: &UnixStream) -> io::Result<bool> {
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::ZERO)?;
    let closed = PollFlags::POLLHUP | PollFlags::POLLERR;
    Ok(polled[0].revents().is_some_and(|events| events.intersects(closed)))
}

fn write_piece(stream: &mut UnixStream, kind: &str, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    stream.write_all(format!("{kind} {}\n", text.len()).as_bytes())?;
    stream.write_all(text.as_bytes())
}

/// A line for each candidate: the word, its help, and whether the word can be written as it stands.
fn completions(line: &str) -> String {
    let candidates = cli::complete(line, line.len());
    candidates.iter().map(|c| format!("{}\t{}\t{}\n", c.word, c.help, u8::from(c.literal))).collect()
}

/// A piece of an answer, as a client has it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answered<'a> {
    /// Of the text.
    Out(&'a [u8]),
    /// Why it is refused.
    Refused(&'a [u8]),
}

/// Sends a request to a running instance, and hands each piece of the answer on until `take` wants no more.
///
/// # Errors
/// When nobody answers on the socket, or not to the end.
pub fn request(path: &Path, line: &str, mut take: impl FnMut(Answered) -> bool) -> Result<()> {
    let connected = UnixStream::connect(path);
    let is_denied = connected.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    let mut stream = connected.with_context(|| match is_denied {
        true => format!("may not use the socket {}; ask as its owner, who runs portico", path.display()),
        false => format!("no portico answers on {}; is it running, and on this --socket?", path.display()),
    })?;
    writeln!(stream, "{}", line.replace(['\n', '\r'], " "))?;
    let mut answer = BufReader::new(stream);
    loop {
        let mut header = String::new();
        answer.read_line(&mut header)?;
        let (kind, len) = match header.trim_end().split_once(' ') {
            Some((kind, len)) => {
                (kind, len.parse::<usize>().context("the appliance answers in another protocol")?)
            }
            None if header == "end\n" => return Ok(()),
            None => bail!("the appliance closed the connection before the end of its answer"),
        };
        let mut piece = vec![0; len];
        answer.read_exact(&mut piece)?;
        let goes_on = take(if kind == "out" { Answered::Out(&piece) } else { Answered::Refused(&piece) });
        if !goes_on {
            return Ok(());
        }
    }
}
