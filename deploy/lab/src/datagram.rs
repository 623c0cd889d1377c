//! UDP exchanges between two hosts, with socat at both ends.

use crate::namespace::Namespace;
use crate::process::Process;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(10);
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// How long a client waits for an answer, in seconds.
const ANSWER_WAIT_S: &str = "1";

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

/// Sends one datagram to `to` and returns the answer, empty when none came within a second. Only what comes from `to`
/// itself counts as an answer. `local` is an endpoint of `from` to send it from.
pub fn exchange(
    from: &Namespace,
    directory: &Path,
    local: Option<SocketAddrV4>,
    to: SocketAddrV4,
    datagram: &[u8],
) -> Result<Vec<u8>> {
    let (sent, received) = (directory.join("datagram"), directory.join("answer"));
    fs::write(&sent, datagram)?;
    let bind = local.map_or(String::new(), |local| format!(",bind={local}"));
    let send_to = format!("UDP4-SENDTO:{to}{bind}");
    let script = format!(
        "socat -b 65536 -t {ANSWER_WAIT_S} - {send_to} < {} > {}",
        sent.display(),
        received.display()
    );
    let outcome = from.outcome(EXCHANGE_LIMIT, &["bash", "-c", &script])?;
    ensure!(outcome.code == 0, "`{script}` ended with {}: {}", outcome.code, outcome.stderr);
    Ok(fs::read(&received)?)
}

/// The endpoint that a responder at `to` sees `from` at; none when it does not answer.
pub fn seen_as(
    from: &Namespace,
    directory: &Path,
    local: Option<SocketAddrV4>,
    to: SocketAddrV4,
) -> Result<Option<SocketAddrV4>> {
    let answer = exchange(from, directory, local, to, b"who am I\n")?;
    let text = String::from_utf8_lossy(&answer);
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).with_context(|| format!("{text:?} is no endpoint")),
    }
}
