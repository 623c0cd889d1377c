//! What a user does in the lab, with the programs a user has. Each returns what was seen, or an error saying what
//! failed; the tests assert on it and the demo shows it.

use crate::namespace::Namespace;
use crate::server::{Blob, WebServer};
use anyhow::{Context, Result, bail, ensure};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;
use std::time::Duration;

const TRANSFER_LIMIT: Duration = Duration::from_secs(600);
const PING_LIMIT: Duration = Duration::from_secs(60);

/// Sends `count` echo requests, ten a second, and wants every reply; returns ping's summary lines.
pub fn ping(from: &Namespace, to: Ipv4Addr, count: u32) -> Result<String> {
    ping_with(from, to, count, 56)
}

/// As [`ping`], with a payload of this size; what the link cannot take leaves in fragments.
pub fn ping_with(from: &Namespace, to: Ipv4Addr, count: u32, payload_bytes: u32) -> Result<String> {
    let (count_text, size, to) = (count.to_string(), payload_bytes.to_string(), to.to_string());
    let argv = ["ping", "-n", "-i", "0.1", "-W", "10", "-M", "dont", "-s", &size, "-c", &count_text, &to];
    let text = from.run_within(PING_LIMIT, &argv)?;
    ensure!(text.contains(&format!(" {count} received")), "replies are missing:\n{text}");
    ensure!(!text.contains("duplicates") && !text.contains("errors"), "not every reply is clean:\n{text}");
    let summary: Vec<&str> = text.lines().skip_while(|line| !line.contains("packets transmitted")).collect();
    Ok(summary.join(", "))
}

/// The body of `http://ADDRESS/PATH`, short text.
pub fn fetch(from: &Namespace, server: SocketAddrV4, path: &str) -> Result<String> {
    from.run(&["curl", "-sS", "--fail", "--max-time", "300", &format!("http://{server}/{path}")])
}

/// The address and port a web server sees `from` at.
pub fn seen_as(from: &Namespace, server: SocketAddrV4) -> Result<SocketAddrV4> {
    let text = fetch(from, server, "address")?;
    let (address, port) = text.trim().split_once(' ').with_context(|| format!("no address in {text:?}"))?;
    Ok(SocketAddrV4::new(address.parse()?, port.parse()?))
}

/// Downloads a blob and compares its SHA-256; returns curl's speed in bytes a second.
pub fn download(from: &Namespace, server: SocketAddrV4, blob: &Blob) -> Result<f64> {
    download_with(from, server, blob, "")
}

/// As [`download`], slowed down to take about `duration_s`, for traffic that lasts while something happens.
pub fn download_slowly(from: &Namespace, server: SocketAddrV4, blob: &Blob, duration_s: u32) -> Result<f64> {
    download_with(from, server, blob, &format!("--limit-rate {}", (blob.size_mib << 20) / duration_s))
}

fn download_with(from: &Namespace, server: SocketAddrV4, blob: &Blob, options: &str) -> Result<f64> {
    let url = format!("http://{server}/{}", blob.name);
    let curl = format!("curl -sS --fail {options} -w '%{{stderr}}speed %{{speed_download}}' {url}");
    let script = format!("set -e -o pipefail; {curl} | sha256sum");
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
    in_parallel(hosts, count, |host| {
        let body = fetch(host, server, path)?;
        ensure!(body == expected, "got {} bytes, not {}", body.len(), expected.len());
        Ok(())
    })
}

/// Runs `client` `count` times at once, spread over `hosts`; returns the failures' messages.
pub fn in_parallel(
    hosts: &[&Namespace],
    count: usize,
    client: impl Fn(&Namespace) -> Result<()> + Sync,
) -> Vec<String> {
    let run = |index: usize| {
        let result = client(hosts[index % hosts.len()]);
        result.err().map(|error| format!("client {index}: {error:#}"))
    };
    thread::scope(|scope| {
        let run = &run;
        let clients: Vec<_> = (0..count).map(|index| scope.spawn(move || run(index))).collect();
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

/// How traceroute sends its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// UDP datagrams to high ports.
    Udp,
    /// ICMP echo requests.
    Icmp,
    /// TCP SYN to port 80.
    Tcp,
}

/// The hops traceroute finds, the destination last; `*` for a hop that is silent.
pub fn traceroute(from: &Namespace, to: Ipv4Addr, probe: Probe) -> Result<Vec<String>> {
    let option = match probe {
        Probe::Udp => "-U",
        Probe::Icmp => "-I",
        Probe::Tcp => "-T",
    };
    let port: &[&str] = if probe == Probe::Tcp { &["-p", "80"] } else { &[] };
    let to = to.to_string();
    let argv =
        [&["traceroute", "-n", "-q", "1", "-w", "30,0,0", "-m", "8", option][..], port, &[&to]].concat();
    let text = from.run(&argv)?;
    let hops = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
    Ok(hops.map(str::to_owned).collect())
}

/// The hops mtr reports without loss, the destination last.
pub fn mtr(from: &Namespace, to: Ipv4Addr) -> Result<Vec<String>> {
    let text = from.run(&["mtr", "-n", "-r", "-c", "5", "-i", "0.2", &to.to_string()])?;
    // "  1.|-- 10.0.0.1   0.0%   5   0.1 ..." after two lines of heading.
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.contains("|--"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    for row in &rows {
        ensure!(row.get(2) == Some(&"0.0%"), "mtr lost probes:\n{text}");
    }
    Ok(rows.iter().filter_map(|row| row.get(1)).map(|hop| (*hop).to_owned()).collect())
}

/// The path MTU tracepath finds, in bytes.
pub fn path_mtu(from: &Namespace, to: Ipv4Addr) -> Result<u32> {
    let text = from.run(&["tracepath", "-n", "-m", "8", &to.to_string()])?;
    let resume = text.lines().find_map(|line| line.trim().strip_prefix("Resume: pmtu "));
    let mtu = resume.and_then(|rest| rest.split_whitespace().next());
    mtu.with_context(|| format!("no path MTU in\n{text}"))?.parse().context("the path MTU is no number")
}
