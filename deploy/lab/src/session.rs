//! What a user does in the lab, with the programs a user has. Each returns what was seen, or an error saying what
//! failed; the tests assert on it and the demo shows it.

use crate::namespace::Namespace;
use crate::server::{Blob, WebServer};
use anyhow::{Context, Result, bail, ensure};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

const TRANSFER_LIMIT: Duration = Duration::from_secs(180);
const PING_LIMIT: Duration = Duration::from_secs(20);

/// Sends `count` echo requests, ten a second, and wants every reply; returns ping's summary lines.
pub fn ping(from: &Namespace, to: Ipv4Addr, count: u32) -> Result<String> {
    let argv = ["ping", "-n", "-i", "0.1", "-W", "2", "-c", &count.to_string(), &to.to_string()];
    let text = from.run_within(PING_LIMIT, &argv)?;
    ensure!(text.contains(&format!(" {count} received")), "replies are missing:\n{text}");
    ensure!(!text.contains("duplicates") && !text.contains("errors"), "not every reply is clean:\n{text}");
    let summary: Vec<&str> = text.lines().skip_while(|line| !line.contains("packets transmitted")).collect();
    Ok(summary.join(", "))
}

/// The body of `http://ADDRESS/PATH`, short text.
pub fn fetch(from: &Namespace, server: SocketAddrV4, path: &str) -> Result<String> {
    from.run(&["curl", "-sS", "--fail", "--max-time", "20", &format!("http://{server}/{path}")])
}

/// The address and port a web server sees `from` at.
pub fn seen_as(from: &Namespace, server: SocketAddrV4) -> Result<SocketAddrV4> {
    let text = fetch(from, server, "address")?;
    let (address, port) = text.trim().split_once(' ').with_context(|| format!("no address in {text:?}"))?;
    Ok(SocketAddrV4::new(address.parse()?, port.parse()?))
}

/// Downloads a blob and compares its SHA-256; returns curl's speed in bytes a second.
pub fn download(from: &Namespace, server: SocketAddrV4, blob: &Blob) -> Result<f64> {
    let script = format!(
        "set -e -o pipefail; curl -sS --fail -w '%{{stderr}}speed %{{speed_download}}' http://{server}/{} | sha256sum",
        blob.name
    );
    let outcome = from.outcome(TRANSFER_LIMIT, &["bash", "-c", &script])?;
    ensure!(outcome.code == 0, "download ended with {}: {}", outcome.code, outcome.stderr);
    let sha256: String = outcome.stdout.chars().take(64).collect();
    ensure!(sha256 == blob.sha256, "the download's SHA-256 is {sha256}, not {}", blob.sha256);
    speed(&outcome.stderr)
}

/// Uploads the document `blob` of `source` to `server`, whose files are `target`'s, and compares the SHA-256 of what
/// arrived; returns curl's speed in bytes a second.
pub fn upload(
    from: &Namespace,
    source: &WebServer,
    blob: &Blob,
    server: SocketAddrV4,
    target: &WebServer,
) -> Result<f64> {
    let name = format!("{}-uploaded", blob.name);
    let url = format!("http://{server}/{name}");
    let path = source.path(&blob.name);
    let format = "%{stderr}speed %{speed_upload}";
    let argv = ["curl", "-sS", "--fail", "-H", "Expect:", "-w", format, "-T", &path, &url];
    let outcome = from.outcome(TRANSFER_LIMIT, &argv)?;
    ensure!(outcome.code == 0, "upload ended with {}: {}", outcome.code, outcome.stderr);
    let sha256 = target.sha256(&name)?;
    ensure!(sha256 == blob.sha256, "the upload's SHA-256 is {sha256}, not {}", blob.sha256);
    speed(&outcome.stderr)
}

fn speed(text: &str) -> Result<f64> {
    let word = text.rsplit("speed ").next().unwrap_or_default();
    word.trim().parse().with_context(|| format!("no speed in {text:?}"))
}

/// Fetches `path` with `count` curl processes at once, spread over `hosts`; returns the failures' messages.
pub fn fetch_in_parallel(
    hosts: &[&Namespace],
    count: usize,
    server: SocketAddrV4,
    path: &str,
    expected: &str,
) -> Vec<String> {
    let fetch_one = |index: usize| {
        let host = hosts[index % hosts.len()];
        match fetch(host, server, path) {
            Ok(body) if body == expected => None,
            Ok(body) => Some(format!("client {index} got {} bytes, not {}", body.len(), expected.len())),
            Err(error) => Some(format!("client {index}: {error:#}")),
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..count).map(|index| scope.spawn(move || fetch_one(index))).collect();
        let ended = clients.into_iter().map(|client| client.join());
        ended.filter_map(|result| result.unwrap_or_else(|_| Some("a client panicked".to_owned()))).collect()
    })
}

/// Resolves `name` at the name server `server`; `options` are dig's, such as `+tcp`. Returns the answers, one a line.
pub fn resolve(from: &Namespace, server: Ipv4Addr, name: &str, options: &[&str]) -> Result<String> {
    let at = format!("@{server}");
    let mut argv = vec!["dig", &at, "+short", "+tries=2", "+time=3"];
    argv.extend(options);
    argv.extend(name.split_whitespace());
    let answer = from.run(&argv)?;
    if answer.trim().is_empty() {
        bail!("no answer for {name}");
    }
    Ok(answer.trim().to_owned())
}
