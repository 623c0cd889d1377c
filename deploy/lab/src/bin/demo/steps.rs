//! The sessions of the demonstration.

use anyhow::{Context, Result, bail, ensure};
use lab::address::{POOL_FIRST, SERVER, STATIC_HOST};
use lab::ftp::{Client, DataMode, FtpServer, Program};
use lab::{Appliance, Lab, Rules, session};
use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
const FTP: SocketAddrV4 = SocketAddrV4::new(SERVER, 21);
const TRANSFER_MIB: u32 = 100;
/// A line that a reload adds.
const NEW_LINE: &str = "ip nat translation udp-timeout 120";
/// Within this time a reload is in force, or a refused packet counted, on a machine that is busy with other work.
const LIMIT: Duration = Duration::from_secs(60);

/// One session of the demonstration; returns the remark shown beside its tick.
pub struct Step {
    /// The program.
    pub name: &'static str,
    /// What it does.
    pub route: &'static str,
    /// Only the appliance is asked for it, not the kernel in its place.
    pub is_ours_alone: bool,
    /// Plays it.
    pub run: fn(&Lab) -> Result<String>,
}

const fn step(name: &'static str, route: &'static str, run: fn(&Lab) -> Result<String>) -> Step {
    Step { name, route, is_ours_alone: false, run }
}

/// All of them, in their order.
pub const STEPS: [Step; 13] = [
    step("ping", "inside host to server", ping_out),
    step("ping", "outside client to static host", ping_in),
    step("curl", "inside host to web server", fetch),
    step("curl", "download of 100 MiB", download),
    step("curl", "upload of 100 MiB", upload),
    step("curl", "50 clients at once, 5 hosts", fetch_in_parallel),
    step("curl", "outside client to static port", static_port),
    step("dig", "over UDP", resolve_udp),
    step("dig", "over TCP", resolve_tcp),
    step("dig", "an answer too long for UDP", resolve_long),
    step("lftp", "there and back, with PORT", files),
    Step { is_ours_alone: true, ..step("kill", "-HUP beneath a download", reload) },
    Step { is_ours_alone: true, ..step("curl", "outside client to nobody", refused) },
];

fn ping_out(lab: &Lab) -> Result<String> {
    session::ping(&lab.hosts[0].namespace, SERVER, 10).map(|summary| round_trip(&summary))
}

fn ping_in(lab: &Lab) -> Result<String> {
    let Some(global) = lab.rules.static_global() else { bail!("the rules hold no one-to-one static") };
    session::ping(&lab.client.namespace, global, 10)
        .map(|summary| format!("{}, to {global}", round_trip(&summary)))
}

/// The mean round-trip time of ping's "rtt min/avg/max/mdev = A/B/C/D ms".
fn round_trip(summary: &str) -> String {
    let mean_ms = summary.split(" = ").nth(1).and_then(|times| times.split('/').nth(1)).unwrap_or("?");
    format!("10 of 10 replies, {mean_ms} ms")
}

fn fetch(lab: &Lab) -> Result<String> {
    let host = &lab.hosts[0];
    let seen = session::seen_as(&host.namespace, WEB)?;
    ensure!(lab.rules.is_source(*seen.ip()), "the server sees {seen}, which is not of the pool");
    Ok(format!("{} is seen as {seen}", host.address))
}

fn download(lab: &Lab) -> Result<String> {
    let blob = lab.web.add_blob("down", TRANSFER_MIB)?;
    session::download(&lab.hosts[0].namespace, WEB, &blob).map(transferred)
}

fn upload(lab: &Lab) -> Result<String> {
    let blob = lab.inside_web.add_blob("up", TRANSFER_MIB)?;
    session::upload(&lab.hosts[0].namespace, &lab.inside_web, &blob, WEB, &lab.web).map(transferred)
}

fn transferred(speed_bytes_s: f64) -> String {
    format!("SHA-256 equal, {:.2} Gbit/s", speed_bytes_s * 8.0 / 1e9)
}

fn fetch_in_parallel(lab: &Lab) -> Result<String> {
    let hosts: Vec<_> = lab.hosts.iter().map(|host| &host.namespace).collect();
    let failures = session::fetch_in_parallel(&hosts, 50, WEB, "", "hello from web\n");
    ensure!(failures.is_empty(), "{} of 50 failed, the first: {}", failures.len(), failures[0]);
    Ok("50 of 50".to_owned())
}

fn static_port(lab: &Lab) -> Result<String> {
    let Some(global) = lab.rules.web_global() else { bail!("the rules hold no static port") };
    let body = session::fetch(&lab.client.namespace, global, "")?;
    Ok(format!("{global} says \"{}\"", body.trim()))
}

fn resolve_udp(lab: &Lab) -> Result<String> {
    resolve(lab, "www.lab.example A", "+notcp")
}

fn resolve_tcp(lab: &Lab) -> Result<String> {
    resolve(lab, "www.lab.example A", "+tcp")
}

fn resolve(lab: &Lab, name: &str, option: &str) -> Result<String> {
    let answer = session::resolve(&lab.hosts[STATIC_HOST].namespace, SERVER, name, &[option])?;
    ensure!(answer == SERVER.to_string(), "the answer is {answer}, not {SERVER}");
    Ok(format!("{name} {answer}"))
}

fn resolve_long(lab: &Lab) -> Result<String> {
    let answer = session::resolve(&lab.hosts[2].namespace, SERVER, "long.lab.example TXT", &[])?;
    ensure!(answer.len() > 4000, "only {} bytes came", answer.len());
    Ok(format!("{} bytes of TXT", answer.len()))
}

fn files(lab: &Lab) -> Result<String> {
    let server = FtpServer::start(&lab.server.namespace, lab.directory(), "ftp", FTP.port())?;
    let blob = server.add_blob("file", 10)?;
    let from = &lab.hosts[1];
    let client = Client {
        from: &from.namespace,
        directory: lab.directory(),
        program: Program::Lftp,
        mode: DataMode::Port,
        has_tls: false,
    };
    client.there_and_back(FTP, &server, &blob)?;
    Ok(format!("{} MiB each way, SHA-256 equal: the server came through a door", blob.size_mib))
}

/// A line is added while a download goes on, which goes on.
fn reload(lab: &Lab) -> Result<String> {
    let blob = lab.web.add_blob("slow", 10)?;
    let appliance = lab.gateway.appliance();
    thread::scope(|scope| {
        let download = scope.spawn(|| session::download_slowly(&lab.hosts[2].namespace, WEB, &blob, 3));
        let count = "show ip nat translations tcp outside 198.51.100.10 total";
        wait_for(appliance, count, |text| !text.contains("translations: 0"))?;
        appliance.configure(&Rules { lines: vec![NEW_LINE.to_owned()], ..lab.rules.clone() })?;
        appliance.reload()?;
        wait_for(appliance, "show running-config", |text| text.contains(NEW_LINE))?;
        download.join().ok().context("the download's thread")??;
        Ok(format!("\"{NEW_LINE}\" is in force, SHA-256 equal"))
    })
}

/// Nobody inside asked for what this client sends: it gets no answer, and a counter says why.
fn refused(lab: &Lab) -> Result<String> {
    const REASON: &str = "no-mapping";
    let outcome = lab
        .client
        .namespace
        .outcome(LIMIT, &["curl", "-sS", "--max-time", "2", &format!("http://{POOL_FIRST}:4444/")])?;
    ensure!(outcome.code != 0, "somebody answered at {POOL_FIRST}");
    wait_for(lab.gateway.appliance(), "show drops", |text| text.contains(REASON))?;
    Ok(format!("no answer from {POOL_FIRST}:4444; {REASON} in show drops"))
}

/// Waits until the answer to a command is as expected.
fn wait_for(appliance: &Appliance, command: &str, is_expected: impl Fn(&str) -> bool) -> Result<()> {
    let start = Instant::now();
    while !is_expected(&appliance.exec(command)?) {
        ensure!(start.elapsed() < LIMIT, "{command} has not said so for a minute");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
