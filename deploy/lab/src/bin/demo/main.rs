//! The demonstration: a lab around the appliance, every kind of session once, then the appliance's own view of it.
//! Ends with 0 only if every session worked.
#![forbid(unsafe_code)]

use anyhow::{Result, bail, ensure};
use lab::address::{SERVER, STATIC_HOST};
use lab::{Lab, Peer, Plan, session, sweep_own};
use nix::sys::signal::{SigSet, Signal};
use std::io::{IsTerminal, Write, stdout};
use std::net::SocketAddrV4;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

const USAGE: &str = "usage: demo [--keep] [--kernel]
  --keep    leave the lab running afterwards, until Ctrl-C
  --kernel  the same sessions through the kernel's NAT in the appliance's place";
const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);
const TRANSFER_MIB: u32 = 100;

/// One session of the demonstration; returns the remark shown beside its tick.
struct Step {
    name: &'static str,
    route: &'static str,
    run: fn(&Lab) -> Result<String>,
}

const STEPS: [Step; 10] = [
    Step { name: "ping", route: "inside host to server", run: ping_out },
    Step { name: "ping", route: "outside client to static host", run: ping_in },
    Step { name: "curl", route: "inside host to web server", run: fetch },
    Step { name: "curl", route: "download of 100 MiB", run: download },
    Step { name: "curl", route: "upload of 100 MiB", run: upload },
    Step { name: "curl", route: "50 clients at once, 5 hosts", run: fetch_in_parallel },
    Step { name: "curl", route: "outside client to static port", run: static_port },
    Step { name: "dig", route: "over UDP", run: resolve_udp },
    Step { name: "dig", route: "over TCP", run: resolve_tcp },
    Step { name: "dig", route: "an answer too long for UDP", run: resolve_long },
];

fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let interrupted = watch_signals();
    match demonstrate(&options, &interrupted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("  {} {error:#}", mark(false));
            ExitCode::FAILURE
        }
    }
}

struct Options {
    keep: bool,
    peer: Peer,
}

impl Options {
    fn from_arguments() -> Result<Options> {
        let mut options = Options { keep: false, peer: Peer::Portico };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--keep" => options.keep = true,
                "--kernel" => options.peer = Peer::Nftables,
                _ => bail!("{USAGE}"),
            }
        }
        Ok(options)
    }
}

/// Whether every session worked and the appliance answered every question.
fn demonstrate(options: &Options, interrupted: &Receiver<()>) -> Result<bool> {
    println!("The lab: 5 inside hosts, the gateway, a web and name server, an outside client.");
    println!(
        "  inside 10.0.0.0/24 | gateway 10.0.0.1, 198.51.100.1, pool 203.0.113.1-4 | outside 198.51.100.0/24"
    );
    let start = Instant::now();
    let lab = Lab::build(&Plan::new(options.peer))?;
    println!("  {} built and forwarding after {:.1} s\n", mark(true), start.elapsed().as_secs_f64());

    println!("Sessions");
    let failure_count = STEPS.iter().filter(|step| !show(step, &lab)).count();
    println!();
    let is_answered = match options.peer {
        Peer::Portico => show_appliance(&lab),
        Peer::Nftables => {
            println!("{}", lab.gateway.translations()?);
            true
        }
    };
    match failure_count {
        0 => println!("Every session worked."),
        _ => println!("{failure_count} of {} sessions failed.", STEPS.len()),
    }
    if options.keep {
        keep(&lab, options.peer, interrupted);
    }
    Ok(failure_count == 0 && is_answered)
}

fn show(step: &Step, lab: &Lab) -> bool {
    // On a terminal the tick takes the place of the dot that stands while the session runs.
    if stdout().is_terminal() {
        print!("  · {:<5} {}\r", step.name, step.route);
        let _ = stdout().flush();
    }
    let result = (step.run)(lab);
    let is_ok = result.is_ok();
    let remark = result.unwrap_or_else(|error| format!("{error:#}").trim().replace('\n', "\n          "));
    println!("  {} {:<5} {:<32} {remark}", mark(is_ok), step.name, step.route);
    is_ok
}

fn mark(is_ok: bool) -> &'static str {
    match (is_ok, stdout().is_terminal()) {
        (true, true) => "\x1b[32m✔\x1b[0m",
        (true, false) => "✔",
        (false, true) => "\x1b[31m✘\x1b[0m",
        (false, false) => "✘",
    }
}

/// Prints the appliance's tables and counters; whether it answered every time.
fn show_appliance(lab: &Lab) -> bool {
    let appliance = lab.gateway.appliance();
    let mut is_answered = true;
    for command in ["show ip nat translations", "show ip nat statistics", "show drops"] {
        match appliance.exec(command) {
            Ok(answer) => println!("portico# {command}\n{}\n", answer.trim_end()),
            Err(error) => {
                is_answered = false;
                println!("portico# {command}\n  {} {error:#}\n", mark(false));
            }
        }
    }
    match appliance.metrics() {
        Ok(page) => println!("curl http://127.0.0.1:9464/metrics\n{}\n", moved_samples(&page)),
        Err(error) => {
            is_answered = false;
            println!("curl http://127.0.0.1:9464/metrics\n  {} {error:#}\n", mark(false));
        }
    }
    is_answered
}

/// The samples that are not zero; the page in full would hide them.
fn moved_samples(page: &str) -> String {
    let samples = || page.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let is_zero = |line: &&str| line.rsplit(' ').next().and_then(|value| value.parse().ok()) == Some(0.0);
    let moved: Vec<&str> = samples().filter(|line| !is_zero(line)).collect();
    let zero_count = samples().count() - moved.len();
    format!("{}\n({zero_count} samples at zero left out)", moved.join("\n"))
}

/// Tells how to talk to the running lab, and waits for Ctrl-C.
fn keep(lab: &Lab, peer: Peer, interrupted: &Receiver<()>) {
    let enter = |name: &str, command: &str| println!("  ip netns exec {name} {command}");
    println!("\nThe lab stays. Talk to it from another terminal, as root:");
    enter(lab.hosts[0].namespace.name(), &format!("curl http://{SERVER}/address"));
    enter(lab.client.namespace.name(), "bash");
    enter(lab.server.namespace.name(), "tcpdump -ni eth0");
    if peer == Peer::Portico {
        let appliance = lab.gateway.appliance();
        enter(lab.gateway.namespace().name(), "curl -s http://127.0.0.1:9464/metrics");
        println!("  {} console --socket {}", appliance.program().display(), appliance.socket().display());
    }
    println!("Files and logs: {}", lab.directory().display());
    println!("Ctrl-C ends it, as does: kill {}", std::process::id());
    IS_KEEPING.store(true, Ordering::Relaxed);
    // The watcher lives as long as the process, so the channel cannot close first.
    let _ = interrupted.recv();
    println!("\nRemoving the lab.");
}

static IS_KEEPING: AtomicBool = AtomicBool::new(false);

/// Ctrl-C and SIGTERM: in mid-demonstration they remove the lab and end the process, while the lab is kept they only
/// report through the channel.
fn watch_signals() -> Receiver<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    let (sender, receiver) = channel();
    // Blocked before any thread starts, so that they all inherit it and the watcher alone receives them; programs the
    // lab starts get an empty mask from the standard library.
    if signals.thread_block().is_err() {
        return receiver;
    }
    thread::spawn(move || {
        let _ = signals.wait();
        if IS_KEEPING.load(Ordering::Relaxed) {
            let _ = sender.send(());
            let _ = signals.wait();
        }
        sweep_own();
        exit(130);
    });
    receiver
}

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
