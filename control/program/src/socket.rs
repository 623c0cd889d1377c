//! The command socket: a session for each connection, on a Unix socket that only its owner can open, and one group if there is one
//! for it. Beside it may be another one, for a group that may only look.
//!
//! The client sends lines: `exec LINE` (an exec command, or a line of the configuration while that is being changed), or
//! `complete LINE` (what could stand at the end of a line). The server answers each with pieces, each `out LENGTH` or, for refusals,
//! `err LENGTH` on a line and then so many bytes; after the last piece comes the line `end LENGTH WIDTH PROMPT`, with what
//! `terminal length` and `terminal width` say or `-`, or the line `bye`, when the session is over.
use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use control::cli;
use control::vty::Role;
use crossbeam::channel::{Sender, bounded};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::{Gid, Group, Uid, User};

use crate::request::{Piece, Request, State, pieces};

/// The longest request, in bytes.
const LINE_MAX: u64 = 4096;
/// How long a client may leave a piece of its answer unread, as while somebody looks at a page of it.
const WRITE_WITHIN: Duration = Duration::from_secs(3600);
/// Pieces of an answer that may wait for the client.
const PIECES_MAX: usize = 4;
/// Open connections. One more, and the one that was silent for longest ends: whoever forgets a console keeps nobody out.
const CONNECTIONS_MAX: usize = 128;

/// The groups whose members may use the socket beside its owner.
#[derive(Default)]
pub struct Groups {
    /// Who may look, change and clear.
    pub change: Option<Group>,
    /// Who may look.
    pub view: Option<Group>,
}

/// The open command sockets; their files go when this is dropped.
pub struct CommandSocket {
    listeners: Vec<Listener>,
}

struct Listener {
    listener: UnixListener,
    path: PathBuf,
    role: Role,
}

impl CommandSocket {
    /// Opens the command socket, for `user` to use and remove if it is to be another's than the process's, and the one beside it
    /// for those who look, if there are any. A socket file left by a program that is gone is replaced; a directory that is not
    /// there is made.
    ///
    /// # Errors
    /// When another instance answers on it, or it is another user's, or the file cannot be made.
    pub fn open(path: &Path, user: Option<&User>, groups: &Groups) -> Result<CommandSocket> {
        let mut socket = CommandSocket { listeners: Vec::new() };
        let is_shared = groups.change.is_some() || groups.view.is_some();
        let one = |path: &Path, group: Option<&Group>, role| {
            let listener = listen(path, user, group, is_shared)?;
            anyhow::Ok(Listener { listener, path: path.into(), role })
        };
        socket.listeners.push(one(path, groups.change.as_ref(), Role::Change)?);
        if groups.view.is_some() {
            socket.listeners.push(one(&view_path(path), groups.view.as_ref(), Role::View)?);
        }
        Ok(socket)
    }

    /// Serves them in threads of their own for as long as the process runs.
    ///
    /// # Errors
    /// When there can be no other thread.
    pub fn serve(&self, requests: &Sender<Request>) -> io::Result<()> {
        let connections = Arc::new(Connections::default());
        for Listener { listener, role, .. } in &self.listeners {
            let (listener, requests) = (listener.try_clone()?, requests.clone());
            let (connections, role) = (Arc::clone(&connections), *role);
            let accept = move || accept_all(&listener, &requests, &connections, role);
            std::thread::Builder::new().name("socket".into()).spawn(accept)?;
        }
        Ok(())
    }
}

impl Drop for CommandSocket {
    fn drop(&mut self) {
        self.listeners.iter().for_each(|listener| drop(fs::remove_file(&listener.path)));
    }
}

/// The socket beside this one for those who only look: `portico.view.sock` beside `portico.sock`.
pub fn view_path(path: &Path) -> PathBuf {
    path.with_extension("view.sock")
}

fn listen(path: &Path, user: Option<&User>, group: Option<&Group>, is_shared: bool) -> Result<UnixListener> {
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
        format!("cannot open the command socket {}; give --socket a path that can be written", path.display())
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let owner = prepare(directory.unwrap_or(Path::new(".")), user, is_shared).with_context(advice)?;
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
    if user.is_some() || group.is_some() {
        let gid = group.map(|group| group.gid).or_else(|| user.map(|user| user.gid));
        lchown(path, user.map(|user| user.uid.as_raw()), gid.map(Gid::as_raw)).with_context(|| {
            format!("cannot give the socket {} to its user and group; run as root", path.display())
        })?;
    }
    // The mode comes last: until the group is the right one, it is for nobody.
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(advice)?;
    Ok(listener)
}

fn accept_all(
    listener: &UnixListener,
    requests: &Sender<Request>,
    connections: &Arc<Connections>,
    role: Role,
) {
    for stream in listener.incoming() {
        let served = stream.and_then(|stream| {
            let (requests, connections) = (requests.clone(), Arc::clone(connections));
            let id = connections.enter(stream.try_clone()?);
            let command = std::thread::Builder::new().name("command".into());
            let entered = Entered { connections, requests, id };
            command.spawn(move || {
                if let Err(error) = serve(stream, &entered, role) {
                    tracing::debug!(mnemonic = "SYS-7-SOCKET", "command connection: {error}");
                }
            })
        });
        if let Err(error) = served {
            tracing::warn!(mnemonic = "SYS-4-SOCKET", "command socket: {error}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Makes the directory, the user's alone or for all to go through, where there is none. Returns whose it is.
fn prepare(directory: &Path, user: Option<&User>, is_shared: bool) -> io::Result<u32> {
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {
            if let Some(user) = user {
                lchown(directory, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
            if is_shared {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o711))?;
            }
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {}
    }
    Ok(fs::metadata(directory)?.uid())
}

/// The open connections, in the order in which they last said something, each with a number.
#[derive(Default)]
struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    streams: VecDeque<(u64, UnixStream)>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stream: UnixStream) -> u64 {
        let mut open = self.open();
        if open.streams.len() >= CONNECTIONS_MAX
            && let Some((_, silent)) = open.streams.pop_front()
        {
            // Its thread finds it closed.
            let _ = silent.shutdown(Shutdown::Both);
        }
        open.last += 1;
        let id = open.last;
        open.streams.push_back((id, stream));
        id
    }

    fn note(&self, id: u64) {
        let mut open = self.open();
        if let Some(at) = open.streams.iter().position(|&(other, _)| other == id)
            && let Some(stream) = open.streams.remove(at)
        {
            open.streams.push_back(stream);
        }
    }
}

/// A connection's place, which it leaves however it ends.
struct Entered {
    connections: Arc<Connections>,
    requests: Sender<Request>,
    id: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.connections.open().streams.retain(|&(other, _)| other != self.id);
        let _ = self.requests.send(Request::Close(self.id));
    }
}

fn serve(mut stream: UnixStream, entered: &Entered, role: Role) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_WITHIN))?;
    let (id, requests) = (entered.id, &entered.requests);
    let _ = requests.send(Request::Open(id, user_of(&stream)?, role));
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        let len = (&mut lines).take(LINE_MAX).read_line(&mut line)?;
        if len == 0 {
            return Ok(());
        }
        let Some(line) = line.strip_suffix('\n') else {
            write_piece(&mut stream, "err", "% The line is too long\n")?;
            return stream.write_all(b"bye\n");
        };
        entered.connections.note(id);
        let line = line.trim_end_matches('\r');
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "exec" => execute(&mut stream, id, rest, requests)?,
            "complete" => write_piece(&mut stream, "out", &completions(id, rest, requests))?,
            _ => write_piece(&mut stream, "err", "% Unknown request\n")?,
        }
        let (sender, state) = bounded(1);
        let _ = requests.send(Request::State(id, sender));
        match state.recv() {
            Ok(State { prompt, length, width, is_over: false }) => {
                let number = |number: Option<u16>| number.map_or_else(|| "-".into(), |n| n.to_string());
                stream
                    .write_all(format!("end {} {} {prompt}\n", number(length), number(width)).as_bytes())?;
            }
            _ => return stream.write_all(b"bye\n"),
        }
    }
}

/// Who is at the other end.
fn user_of(stream: &UnixStream) -> io::Result<String> {
    let uid = Uid::from_raw(getsockopt(stream, PeerCredentials)?.uid());
    let user = User::from_uid(uid).ok().flatten();
    Ok(user.map_or_else(|| format!("uid{uid}"), |user| user.name))
}

fn execute(stream: &mut UnixStream, id: u64, line: &str, requests: &Sender<Request>) -> io::Result<()> {
    let (command, mut modifier) = match cli::split(line) {
        Ok(split) => split,
        Err(refusal) => return write_piece(stream, "err", &(refusal + "\n")),
    };
    let (sender, receiver) = bounded(PIECES_MAX);
    let _ = requests.send(Request::Line(id, command.trim_end().into(), sender));
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
fn completions(id: u64, line: &str, requests: &Sender<Request>) -> String {
    let (sender, candidates) = bounded(1);
    let _ = requests.send(Request::Complete(id, line.into(), sender));
    let candidates = candidates.recv().unwrap_or_default();
    candidates.iter().map(|c| format!("{}\t{}\t{}\n", c.word, c.help, u8::from(c.literal))).collect()
}
