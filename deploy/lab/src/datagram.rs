//! UDP exchanges between two hosts, with socat as who answers.

use crate::namespace::Namespace;
use crate::process::Process;
use anyhow::{Context, Result};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
/// How long a client waits for an answer; mostly there is one.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Longer than any datagram.
const DATAGRAM_LEN_MAX: usize = 65_536;

/// What a [`Responder`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The datagram it received.
    Echo,
    /// The address and port it sees the sender at.
    Peer,
}

/// A UDP server that answers each datagram from the endpoint it arrived at.
pub struct Responder {
    _process: Process,
}

impl Responder {
    /// Starts socat on `local`, an endpoint of `namespace`.
    pub fn start(
        namespace: &Namespace,
        directory: &Path,
        local: SocketAddrV4,
        answer: Answer,
    ) -> Result<Responder> {
        let listen = format!("UDP4-RECVFROM:{},bind={},fork", local.port(), local.ip());
        let command = match answer {
            Answer::Echo => "SYSTEM:cat",
            // It reads before it answers: socat gives up on a command that has ended before the datagram is written.
            Answer::Peer => r#"SYSTEM:read question; echo $SOCAT_PEERADDR\:$SOCAT_PEERPORT"#,
        };
        let name = format!("responder-{}-{}", local.ip(), local.port());
        let mut process =
            Process::spawn(namespace, directory, &name, &["socat", "-b", "65536", &listen, command])?;
        process.wait_for_port(namespace, local.port(), READY_LIMIT)?;
        Ok(Responder { _process: process })
    }
}

/// Sends one datagram to `to` and returns the answer, empty when none came in time. Only what comes from `to`
/// itself counts as an answer. `local` is an endpoint of `from` to send it from.
pub fn exchange(
    from: &Namespace,
    local: Option<SocketAddrV4>,
    to: SocketAddrV4,
    datagram: &[u8],
) -> Result<Vec<u8>> {
    from.within(|| {
        let socket = UdpSocket::bind(local.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.send(datagram)?;
        let mut answer = vec![0; DATAGRAM_LEN_MAX];
        match socket.recv(&mut answer) {
            Ok(len) => answer.truncate(len),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
                answer.clear();
            }
            Err(error) => return Err(error.into()),
        }
        Ok(answer)
    })?
}

/// The endpoint that a responder at `to` sees `from` at; none when it does not answer.
pub fn seen_as(
    from: &Namespace,
    local: Option<SocketAddrV4>,
    to: SocketAddrV4,
) -> Result<Option<SocketAddrV4>> {
    let answer = exchange(from, local, to, b"who am I\n")?;
    let text = String::from_utf8_lossy(&answer);
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).with_context(|| format!("{text:?} is no endpoint")),
    }
}
