//! The command socket with a control thread that the test plays: clients that read nothing or are gone.
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::vty::Role;
use crossbeam::channel::{Receiver, Sender, bounded};
use nix::unistd::{Group, getgid};
use portico::client::{Answered, Session};
use portico::request::{Piece, Request, State};
use portico::socket::{CommandSocket, Groups, view_path};

struct Rig {
    path: PathBuf,
    requests: Receiver<Request>,
    _socket: CommandSocket,
}

impl Rig {
    fn new(name: &str) -> Rig {
        let path = std::env::temp_dir().join(format!("portico-{name}-{}.sock", std::process::id()));
        let socket = CommandSocket::open(&path, None, &Groups::default()).expect("a socket");
        let (sender, requests) = bounded(64);
        socket.serve(&sender).expect("a thread");
        Rig { path, requests, _socket: socket }
    }

    /// The next line of a console that is not empty, and where its answer goes. Whatever else is asked is answered.
    fn line(&self) -> (String, Sender<Piece>) {
        loop {
            match self.requests.recv().expect("a request") {
                Request::Line(_, line, reply) if line.is_empty() => reply.send(Piece::End).expect("sent"),
                Request::Line(_, line, reply) => return (line, reply),
                Request::State(_, reply) => {
                    let state =
                        State { prompt: "edge#".into(), length: Some(0), width: None, is_over: false };
                    reply.send(state).expect("sent");
                }
                _ => {}
            }
        }
    }

    /// A client that has asked; where its answer goes.
    fn ask(&self, line: &str) -> (UnixStream, Sender<Piece>) {
        let mut stream = UnixStream::connect(&self.path).expect("connected");
        writeln!(stream, "exec {line}").expect("asked");
        (stream, self.line().1)
    }
}

/// More than a socket's buffers hold.
fn long_piece() -> Piece {
    Piece::Text("x".repeat(4 << 20))
}

#[test]
fn a_client_that_is_gone_is_noticed_though_nothing_is_written() {
    let rig = Rig::new("gone");
    let (client, reply) = rig.ask("show ip nat translations | include nothing");
    drop(client);
    // The filter lets nothing through; the thread ends all the same, and with it the answer.
    while reply.send(Piece::Text("a row\n".into())).is_ok() {}
}

#[test]
fn the_oldest_of_many_clients_gives_way() {
    let rig = Rig::new("many");
    let (mut oldest, reply) = rig.ask("show ip nat translations");
    reply.send(long_piece()).expect("sent");
    let others: Vec<_> = (0..127).map(|_| rig.ask("show ip nat translations")).collect();
    let asked = std::thread::scope(|scope| {
        let newcomer = scope.spawn(|| {
            let mut answer = Vec::new();
            let mut session = Session::connect(&rig.path).expect("a session");
            session
                .exec("show clock", |piece| {
                    let (Answered::Out(bytes) | Answered::Refused(bytes)) = piece;
                    answer.extend_from_slice(bytes);
                    true
                })
                .expect("answered");
            answer
        });
        let (line, reply) = rig.line();
        assert_eq!(line, "show clock");
        reply.send(Piece::Text("noon\n".into())).expect("sent");
        reply.send(Piece::End).expect("sent");
        // What it shows before its next line is asked for yet.
        while !newcomer.is_finished() {
            if let Ok(Request::State(_, reply)) = rig.requests.recv_timeout(Duration::from_millis(10)) {
                reply
                    .send(State { prompt: "edge#".into(), length: None, width: None, is_over: false })
                    .expect("sent");
            }
        }
        newcomer.join().expect("a client")
    });
    assert_eq!(asked, b"noon\n");
    let mut left = Vec::new();
    oldest.read_to_end(&mut left).expect("closed");
    assert!(left.len() < 4 << 20, "its answer ends in the middle");
    drop(others);
}

#[test]
fn groups_have_sockets_of_their_own() {
    let directory = std::env::temp_dir().join(format!("portico-groups-{}", std::process::id()));
    let path = directory.join("portico.sock");
    let group = Group::from_gid(getgid()).expect("groups").expect("one of ours");
    let gid = group.gid.as_raw();
    let groups = Groups { change: Some(group.clone()), view: Some(group) };
    let socket = CommandSocket::open(&path, None, &groups).expect("sockets");
    let (sender, requests) = bounded(64);
    socket.serve(&sender).expect("threads");
    let mode = |path: &Path| {
        let found = path.metadata().expect("it is there");
        (found.mode() & 0o777, found.gid())
    };
    let view = view_path(&path);
    assert_eq!(view.file_name().and_then(|name| name.to_str()), Some("portico.view.sock"));
    assert_eq!((mode(&path), mode(&view)), ((0o660, gid), (0o660, gid)));
    assert_eq!(mode(&directory).0, 0o711, "members reach them, and read nothing else");
    for (path, expected) in [(&path, Role::Change), (&view, Role::View)] {
        let _client = UnixStream::connect(path).expect("connected");
        let role = loop {
            if let Request::Open(_, user, role) = requests.recv().expect("a request") {
                assert!(!user.is_empty());
                break role;
            }
        };
        assert_eq!(role, expected);
    }
    drop(socket);
    assert!(!path.exists() && !view.exists());
    std::fs::remove_dir(&directory).expect("nothing is left in it");
}
