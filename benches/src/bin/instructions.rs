//! How many instructions the path takes for a packet, counted by valgrind: the same on every machine, however busy.
//! The counts are in `benches/instructions.txt`; this program tells whether they still hold.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use benches::frames::{Kind, Protocol};
use benches::rig::{FLOWS_PER_HOST, Load, Mode};
use benches::verify::Verifier;
use clap::{Parser, ValueEnum};
use dataplane::flow::Direction;
use dataplane::port::memory::{Wire, memory_port};
use dataplane::port::{BURST, Port};
use dataplane::worker::Worker;
use mem::Slab;

/// Counts instructions of the path for each packet, and compares with `benches/instructions.txt`.
#[derive(Parser)]
struct Arguments {
    /// Write the counts to the file in place of comparing.
    #[arg(long)]
    write: bool,
    /// Also tell the counts of each function, with what was inlined into it, and what a simulated cache misses.
    #[arg(long)]
    by_function: bool,
    /// Only what has this in its name.
    #[arg(long)]
    only: Option<String>,
    /// Run packets of one kind, for the run that started this one under valgrind.
    #[arg(long, hide = true)]
    serve: Option<Case>,
    #[arg(long, hide = true)]
    mode: Option<Mode>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    UdpOut,
    UdpIn,
    TcpOut,
    TcpIn,
    UdpSetUp,
    TcpSetUp,
    /// First packets of hosts that begin flows faster than `max-rate` lets them.
    UdpRefused,
}

/// Flows, which all have a packet before one has its second.
const FLOWS: u32 = 8192;
/// Packets counted.
const PACKETS: u32 = FLOWS;
/// With the clock standing still, what a host may begin with its flows, and nothing more.
const RATE_OF_ALL_FLOWS: &str = "ip nat translation max-rate all-host 256\n";
const _: () = assert!(FLOWS_PER_HOST == 256, "see RATE_OF_ALL_FLOWS");
/// How far a count may be off: with the compiler it was counted with, and with another.
const TOLERANCES: [f64; 2] = [0.03, 0.10];
/// The name that valgrind knows the counted function by.
const COUNTED: &str = "*counted_round*";

impl Case {
    fn protocol(self) -> Protocol {
        match self {
            Case::UdpOut | Case::UdpIn | Case::UdpSetUp | Case::UdpRefused => Protocol::Udp,
            Case::TcpOut | Case::TcpIn | Case::TcpSetUp => Protocol::Tcp,
        }
    }

    fn is_set_up(self) -> bool {
        matches!(self, Case::UdpSetUp | Case::TcpSetUp)
    }

    fn direction(self) -> Direction {
        if matches!(self, Case::UdpIn | Case::TcpIn) { Direction::Inbound } else { Direction::Outbound }
    }
}

fn name(case: Case, mode: Mode) -> String {
    let word = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    format!("{}-{}", word(mode.to_possible_value()), word(case.to_possible_value()))
}

/// A round of the worker: what valgrind counts.
#[inline(never)]
fn counted_round(worker: &mut Worker) -> usize {
    worker.round(0)
}

/// One worker and the frames it is fed with.
struct Bed {
    verifier: Verifier,
    wires: [Wire; 2],
    worker: Worker,
}

impl Bed {
    /// Takes a burst of flows through the worker, and looks at every packet that comes out.
    fn pass(
        &mut self,
        flows: std::ops::Range<u32>,
        direction: Direction,
        kind: Kind,
        round: fn(&mut Worker) -> usize,
    ) -> Result<()> {
        let (from, to) = if direction == Direction::Outbound { (0, 1) } else { (1, 0) };
        let template = self.verifier.frames.template(0, direction, kind);
        let mut frame = vec![0; template.len()];
        for flow in flows.clone() {
            let (inside, peer) = self.verifier.flows.tuple(flow);
            let ends = match direction {
                Direction::Outbound => (inside, peer),
                Direction::Inbound => {
                    (peer, self.verifier.translations.seen(flow).context("no translation")?)
                }
            };
            template.write(self.verifier.frames.protocol, &mut frame, ends, flow, kind);
            if !self.wires[from].send(&frame) {
                bail!("the wire is full");
            }
        }
        round(&mut self.worker);
        for flow in flows {
            let packet = self.wires[to].receive().ok_or_else(|| anyhow!("flow {flow} was dropped"))?;
            let judged = self.verifier.judge(packet.bytes(), direction, flow, kind);
            judged.map_err(|wrong| anyhow!("flow {flow}: {wrong}"))?;
        }
        Ok(())
    }

    /// Takes bursts of flows through the worker, none of which comes out.
    fn refuse_all(&mut self, flows: std::ops::Range<u32>) -> Result<()> {
        let template = self.verifier.frames.template(0, Direction::Outbound, Kind::First);
        let mut frame = vec![0; template.len()];
        for start in flows.step_by(BURST) {
            for flow in start..start + BURST as u32 {
                let ends = self.verifier.flows.tuple(flow);
                template.write(self.verifier.frames.protocol, &mut frame, ends, flow, Kind::First);
                if !self.wires[0].send(&frame) {
                    bail!("the wire is full");
                }
            }
            counted_round(&mut self.worker);
            if self.wires[1].receive().is_some() {
                bail!("a flow after {start} was not refused");
            }
            // What senders are told.
            while self.wires[0].receive().is_some() {}
        }
        Ok(())
    }

    /// Takes each burst of all flows through these steps.
    fn pass_all(&mut self, steps: &[Step]) -> Result<()> {
        for start in (0..FLOWS).step_by(BURST) {
            for &(direction, kind, round) in steps {
                self.pass(start..start + BURST as u32, direction, kind, round)?;
            }
        }
        Ok(())
    }
}

/// Packets of one direction and kind, and what takes them through the worker.
type Step = (Direction, Kind, fn(&mut Worker) -> usize);

/// Runs the packets of one kind; those that are counted go through [`counted_round`].
fn serve(case: Case, mode: Mode) -> Result<()> {
    let limits = if case == Case::UdpRefused { RATE_OF_ALL_FLOWS } else { "" };
    let load = Load { mode, protocol: case.protocol(), sessions: FLOWS, addresses: 4, limits };
    let slab = Slab::new(8 * BURST, 2048);
    let ((inside, near), (outside, far)) =
        (memory_port(0, &slab, 2 * BURST), memory_port(1, &slab, 2 * BURST));
    let ports: Vec<Box<dyn Port>> = vec![Box::new(inside), Box::new(outside)];
    let (_appliance, mut workers) = load.start(vec![ports])?;
    let worker = workers.pop().context("no worker")?;
    let mut bed = Bed { verifier: load.verifier(), wires: [near, far], worker };
    // The appliance announces its addresses.
    bed.worker.round(0);
    bed.wires.iter().for_each(|wire| while wire.receive().is_some() {});

    let uncounted: fn(&mut Worker) -> usize = |worker| worker.round(0);
    // Half-open connections would give way to one another.
    let first = (Direction::Outbound, Kind::First, if case.is_set_up() { counted_round } else { uncounted });
    match case.protocol() {
        Protocol::Tcp => bed.pass_all(&[
            first,
            (Direction::Inbound, Kind::SynAck, uncounted),
            (Direction::Outbound, Kind::Ack, uncounted),
        ])?,
        _ => bed.pass_all(&[first])?,
    }
    if case.is_set_up() {
        return Ok(());
    }
    if case == Case::UdpRefused {
        return bed.refuse_all(FLOWS..2 * FLOWS);
    }
    // The first packet of a direction looks its next hop up.
    bed.pass_all(&[(case.direction(), Kind::Data, uncounted)])?;
    bed.pass_all(&[(case.direction(), Kind::Data, counted_round)])
}

/// What valgrind counted in one run: its report.
fn count(case: Case, mode: Mode, simulates_cache: bool) -> Result<String> {
    let report = std::env::temp_dir().join(format!("instructions.{}", std::process::id()));
    let value = |value: Option<clap::builder::PossibleValue>| {
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--cache-sim={}", if simulates_cache { "yes" } else { "no" }))
        .arg(format!("--callgrind-out-file={}", report.display()))
        .arg(std::env::current_exe()?)
        .args(["--serve", &value(case.to_possible_value()), "--mode", &value(mode.to_possible_value())])
        .stdout(Stdio::null())
        .output()
        .context("valgrind, which deploy/setup installs")?;
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    let _ = std::fs::remove_file(&report);
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            name(case, mode),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}

/// The events of a report, and how often each happened in all.
fn totals(report: &str) -> Result<Vec<(String, f64)>> {
    let words = |prefix: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(prefix));
        line.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let (events, counts) = words("events:").zip(words("totals:")).context("a report without totals")?;
    let counts: Result<Vec<f64>, _> = counts.iter().map(|count| count.parse::<f64>()).collect();
    Ok(events.into_iter().zip(counts?).collect())
}

/// Instructions a packet of each function, the most first. The stages of a burst are functions.
fn by_function(report: &str) -> Vec<(String, f64)> {
    let mut names = std::collections::HashMap::new();
    let mut counts: std::collections::HashMap<String, f64> = std::collections::HashMap::new();
    let (mut function, mut is_call) = (String::new(), false);
    for line in report.lines() {
        let (own, called) = (line.strip_prefix("fn="), line.strip_prefix("cfn="));
        if let Some(place) = own.or(called) {
            let (number, name) = place.split_once(' ').unwrap_or((place, ""));
            if !name.is_empty() {
                names.insert(number.to_owned(), name.to_owned());
            }
            if own.is_some() {
                function = names.get(number).cloned().unwrap_or_default();
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let own = line.split_whitespace().nth(1).and_then(|count| count.parse::<f64>().ok());
            if !std::mem::take(&mut is_call) {
                *counts.entry(function.clone()).or_default() += own.unwrap_or_default() / f64::from(PACKETS);
            }
        }
    }
    let mut sorted: Vec<(String, f64)> = counts.into_iter().collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    sorted
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}

/// The counts of the file by name, and the compiler they were made with.
fn expected() -> Result<(String, Vec<(String, f64)>)> {
    let path = file();
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let compiler = text.lines().find_map(|line| line.strip_prefix("# counted with "));
    let row = |line: &str| {
        let (name, count) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    Ok((
        compiler.unwrap_or_default().to_owned(),
        text.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect(),
    ))
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if let (Some(case), Some(mode)) = (arguments.serve, arguments.mode) {
        serve(case, mode)?;
        return Ok(ExitCode::SUCCESS);
    }
    let compiler = compiler()?;
    let (counted_with, rows) = if arguments.write { Default::default() } else { expected()? };
    let tolerance = TOLERANCES[usize::from(counted_with != compiler)];
    if !arguments.write && counted_with != compiler {
        println!(
            "counted with {counted_with}, and this is {compiler}: {:.0} % are allowed",
            tolerance * 100.0
        );
    }
    let mut page = format!(
        "# Instructions of the path for a packet, memory ports included, bursts of {BURST}; see docs/benchmarks.md.\n\
         # Written by: cargo run --release -p benches --bin instructions -- --write\n\
         # counted with {compiler}\n"
    );
    let mut is_good = true;
    for &mode in Mode::value_variants() {
        for &case in Case::value_variants() {
            let name = name(case, mode);
            if arguments.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                continue;
            }
            let report = count(case, mode, arguments.by_function)?;
            let totals = totals(&report)?;
            let each = totals.first().map_or(0.0, |(_, count)| count / f64::from(PACKETS));
            let _ = writeln!(page, "{name:<20}{each:>8.1}");
            let before = rows.iter().find(|(known, _)| *known == name).map(|&(_, before)| before);
            let change = before.map(|before| (each - before) / before);
            let is_off = !arguments.write && change.is_none_or(|change| change.abs() > tolerance);
            is_good &= !is_off;
            let change = change.map(|change| format!("{:+.1} %", change * 100.0)).unwrap_or_default();
            println!("{name:<20}{each:>8.1}  {change:>9}{}", if is_off { "  TOO FAR OFF" } else { "" });
            if arguments.by_function {
                let rest =
                    totals.iter().map(|(event, count)| format!("{event} {:.2}", count / f64::from(PACKETS)));
                println!("  a packet: {}", rest.collect::<Vec<_>>().join(", "));
                for (function, count) in by_function(&report).iter().filter(|(_, count)| *count >= 1.0) {
                    println!("  {count:>8.1}  {function}");
                }
            }
        }
    }
    if arguments.write {
        std::fs::write(file(), page)?;
    } else if !is_good {
        println!("if that is meant, write the counts anew with --write, and say why in the commit");
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
