//! The filter of system calls. It is one for the whole process, and for good: this file is one test.
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{execv, setuid};
use portico::confine::confine;

/// What a system call that is not left is answered with.
const NONE: Errno = Errno::ENOSYS;

#[track_caller]
fn refused<T>(result: Result<T, Error>) {
    assert_eq!(result.map(drop).map_err(|error| error.raw_os_error()), Err(Some(NONE as i32)));
}

#[test]
fn what_is_not_needed_is_refused_and_what_is_needed_is_left() {
    let directory = std::env::temp_dir().join(format!("portico-confine-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let (file, path) = (directory.join("file"), directory.join("socket"));
    std::fs::write(&file, "text").expect("a file");
    let commands = UnixListener::bind(&path).expect("a socket");
    let metrics = TcpListener::bind("127.0.0.1:0").expect("a port");
    let metrics_at = metrics.local_addr().expect("its address");
    let client = TcpStream::connect(metrics_at).expect("a connection");
    // Threads that are there already are not spared.
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let elder = std::thread::spawn(move || {
        asked.recv().expect("a question");
        unshare(CloneFlags::CLONE_NEWNS)
    });
    confine().expect("a filter");

    // No program, no process, no namespace, no other user.
    refused(Command::new("/bin/true").spawn());
    assert_eq!(execv::<&std::ffi::CStr>(c"/bin/true", &[]), Err(NONE));
    for space in [CloneFlags::CLONE_NEWUSER, CloneFlags::CLONE_NEWNET, CloneFlags::CLONE_NEWNS] {
        assert_eq!(unshare(space), Err(NONE), "{space:?}");
    }
    ask.send(()).expect("the elder");
    assert_eq!(elder.join().expect("the elder"), Err(NONE));
    assert_eq!(setuid(nix::unistd::getuid()), Err(NONE));
    // No file that is not there, or to be written to; no signals for others.
    refused(std::fs::write(&file, "other"));
    refused(std::fs::write(directory.join("new"), ""));
    refused(std::fs::create_dir(directory.join("folder")));
    refused(std::fs::rename(&file, directory.join("other")));
    assert_eq!(nix::sys::signal::kill(nix::unistd::getppid(), None), Err(NONE));
    // No packets but those of UDP, and no server of its own.
    for family in [AddressFamily::Packet, AddressFamily::Netlink, AddressFamily::Inet6] {
        let opened = socket(family, SockType::Raw, SockFlag::empty(), None);
        assert_eq!(opened.map(drop), Err(NONE), "{family:?}");
    }
    for kind in [SockType::Raw, SockType::Stream] {
        let opened = socket(AddressFamily::Inet, kind, SockFlag::empty(), None);
        assert_eq!(opened.map(drop), Err(NONE), "{kind:?}");
    }
    refused(TcpListener::bind("127.0.0.1:0"));

    // Reloads, in threads of their own.
    let reader = std::thread::Builder::new().name("reload".into()).spawn({
        let file = file.clone();
        move || std::fs::read_to_string(file)
    });
    assert_eq!(reader.expect("a thread").join().expect("the thread").expect("the file"), "text");
    // Clients.
    let mut command = UnixStream::connect(&path).expect("the command socket");
    let (mut served, _) = commands.accept().expect("a client");
    command.write_all(b"line").expect("asked");
    let mut line = [0; 4];
    served.read_exact(&mut line).expect("asked");
    assert_eq!(&line, b"line");
    drop(metrics.accept().expect("a client"));
    assert_eq!((&client).read(&mut line).expect("the end"), 0);
    // Syslog and systemd.
    let syslog = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    syslog.set_nonblocking(true).expect("non-blocking");
    syslog.send_to(b"message", metrics_at).expect("sent");
    let notify = UnixDatagram::unbound().expect("a socket");
    assert_eq!(
        notify.send_to(b"READY=1", directory.join("nowhere")).map_err(|error| error.kind()),
        Err(ErrorKind::NotFound)
    );
    // The end, of a worker that panics too.
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGCONT).expect("a signal of its own");
    std::fs::remove_file(&path).expect("the socket is removed");
    std::fs::remove_file(&file).expect("the file is removed");
}
