//! The demonstration: a lab around the appliance, every kind of session once, then the appliance's own view of it.
//! Ends with 0 only if every session worked.
#![forbid(unsafe_code)]

mod steps;

use anyhow::{Result, bail};
use lab::address::SERVER;
use lab::{Lab, Peer, Plan, Rules, sweep_own};
use nix::sys::signal::{SigSet, Signal};
use std::io::{IsTerminal, Write, stdout};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;
use steps::{STEPS, Step};

const USAGE: &str = "usage: demo [--keep] [--kernel]
  --keep    leave the lab running afterwards, until Ctrl-C
  --kernel  the same sessions through the kernel's NAT in the appliance's place";
/// Rows of the table of translations that are shown.
const ROWS_SHOWN: usize = 20;

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
    let rules = Rules { has_helpers: true, ..Rules::default() };
    let lab = Lab::build(&Plan { rules, ..Plan::new(options.peer) })?;
    println!("  {} built and forwarding after {:.1} s\n", mark(true), start.elapsed().as_secs_f64());

    println!("Sessions");
    let steps = || STEPS.iter().filter(|step| options.peer == Peer::Portico || !step.is_ours_alone);
    let failure_count = steps().filter(|step| !show(step, &lab)).count();
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
        _ => println!("{failure_count} of {} sessions failed.", steps().count()),
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
            Ok(answer) => println!("portico# {command}\n{}\n", shortened(answer.trim_end())),
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

/// A listing's first rows, and its last line, which tells how many there are.
fn shortened(listing: &str) -> String {
    let lines: Vec<&str> = listing.lines().collect();
    let is_long = listing.starts_with("Pro ") && lines.len() > ROWS_SHOWN + 4;
    let Some((last, rows)) = lines.split_last().filter(|_| is_long) else { return listing.to_owned() };
    let left_out = rows.iter().skip(1 + ROWS_SHOWN).filter(|row| !row.is_empty()).count();
    format!("{}\n({left_out} more rows)\n\n{last}", rows[..=ROWS_SHOWN].join("\n"))
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
