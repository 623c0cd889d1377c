//! Portico beside plain forwarding and the kernel's NAT: starts each in turn, loads it, repeats what was disturbed,
//! and appends the medians of quiet runs to the history. `benches/run` builds everything and calls this.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use benches::history::{self, Origin, Record, median_by};
use benches::measurement::Measurement;
use benches::plot;
use benches::systems::{self, POOL, POOL_COUNT, Running, Start, System};
use clap::Parser;

/// Flows of a subscriber, where there are as many.
const FLOWS_PER_SUBSCRIBER: u32 = 256;
/// The kernel's tables are not made for more.
const KERNEL_FLOWS_MAX: u32 = 65_536;

/// Measures systems side by side and appends the medians of quiet runs to a history.
#[derive(Parser)]
struct Arguments {
    /// Systems to measure. Ratios need plain.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [System::Plain, System::Default, System::Cgn, System::Kernel])]
    systems: Vec<System>,
    /// Flow counts to measure at.
    #[arg(long, value_delimiter = ',', default_values_t = [1u32, 65_536, 1_048_576])]
    flows: Vec<u32>,
    /// Quiet runs of each that the medians are of.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Runs of each at most, quiet or not.
    #[arg(long, default_value_t = 12)]
    tries: usize,
    /// Seconds measured of each phase.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Protocol: udp, tcp or icmp.
    #[arg(long, default_value = "udp")]
    protocol: String,
    /// Frame size, or imix.
    #[arg(long, default_value = "64")]
    size: String,
    /// The worker's core.
    #[arg(long, default_value_t = 1)]
    worker_core: usize,
    /// The load generator's core.
    #[arg(long, default_value_t = 0)]
    generator_core: usize,
    /// The history to append to; the plot is drawn beside it.
    #[arg(long, default_value = "benches/history.jsonl")]
    history: PathBuf,
    /// Measure nothing, only draw the plot.
    #[arg(long)]
    only_plot: bool,
}

/// With fewer, setting them up takes too short a time.
const SET_UP_FLOWS_MIN: u32 = 10_000;

/// Measurements by system and phase.
type Found = BTreeMap<(System, String), Vec<Measurement>>;

/// One run of one system; all its phases.
fn measure(arguments: &Arguments, system: System, flows: u32) -> Result<Vec<Measurement>> {
    let programs = std::env::current_exe()?;
    let programs = programs.parent().ok_or_else(|| anyhow!("no folder of programs"))?;
    let (core, other_core) = (arguments.worker_core, arguments.generator_core);
    let portico = programs.join("portico");
    let running = Running::start(&Start { system, core, other_core, flows, portico: &portico })?;
    let (mut line, more) = running.approach();
    line.push(programs.join("generate").display().to_string());
    line.extend(more);
    let subscribers = (flows / FLOWS_PER_SUBSCRIBER).max(1);
    for (option, value) in [
        ("--subscribers", subscribers.to_string()),
        ("--flows", (flows / subscribers).to_string()),
        ("--protocol", arguments.protocol.clone()),
        ("--size", arguments.size.clone()),
        ("--seconds", arguments.seconds.to_string()),
        ("--core", other_core.to_string()),
    ] {
        line.extend([option.to_owned(), value]);
    }
    if system != System::Plain {
        line.extend(["--pool".to_owned(), POOL.join("-")]);
    }
    let mut generator = Command::new(&line[0])
        .args(&line[1..])
        .stdout(Stdio::piped())
        .spawn()
        .context("the load generator")?;
    let stdout = generator.stdout.take().ok_or_else(|| anyhow!("no standard output"))?;
    let lines: Vec<String> = BufReader::new(stdout).lines().collect::<Result<_, _>>()?;
    let status = generator.wait()?;
    let found: Vec<Measurement> =
        lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    // A handful of flows are set up before anything could be measured.
    let is_kept = |measurement: &Measurement| measurement.phase != "set-up" || flows >= SET_UP_FLOWS_MIN;
    if found.iter().any(|measurement| measurement.wrong > 0) {
        bail!("{} returned wrong packets: no figure of it counts", system.name());
    }
    // The kernel's veths lose first packets for good; everything else must set every flow up.
    if !status.success() && system != System::Kernel {
        bail!("the load generator ended with {status}");
    }
    Ok(found.into_iter().filter(is_kept).collect())
}

/// Whether a measurement counts: neither the worker nor the load generator was kept from its core.
fn is_quiet(measurement: &Measurement) -> bool {
    measurement.worker.is_quiet() && measurement.own.is_quiet()
}

/// Whether a system has been measured often enough in all phases. The kernel works in the load generator's own time
/// and in threads of its own, so that none of its runs is quiet.
fn is_done(found: &Found, system: System, runs: usize) -> bool {
    let counts = |measurement: &&Measurement| system == System::Kernel || is_quiet(measurement);
    let mut phases = found.iter().filter(|((of, _), _)| *of == system).peekable();
    phases.peek().is_some()
        && phases.all(|(_, measurements)| measurements.iter().filter(counts).count() >= runs)
}

/// Measures all systems with so many flows, in turns, so that all see the same weather.
fn measure_all(arguments: &Arguments, flows: u32) -> Result<Found> {
    let mut found = Found::new();
    for attempt in 1..=arguments.tries {
        for &system in &arguments.systems {
            let is_skipped = system == System::Kernel && flows > KERNEL_FLOWS_MAX;
            if is_skipped || is_done(&found, system, arguments.runs) {
                continue;
            }
            eprintln!("== {}, {flows} flows, run {attempt} of at most {}", system.name(), arguments.tries);
            let measurements = match measure(arguments, system, flows) {
                Err(error) if system == System::Kernel => {
                    eprintln!("the kernel's NAT cannot be measured here: {error:#}");
                    continue;
                }
                measured => measured.with_context(|| system.name())?,
            };
            for measurement in measurements {
                if !is_quiet(&measurement) && system != System::Kernel {
                    eprintln!("   {} was disturbed and will be repeated", measurement.phase);
                }
                found.entry((system, measurement.phase.clone())).or_default().push(measurement);
            }
        }
        if arguments.systems.iter().all(|&system| is_done(&found, system, arguments.runs)) {
            break;
        }
    }
    Ok(found)
}

/// The median of the quiet measurements, or where too few were, of the quietest; how many those were; and whether
/// all of them were quiet.
fn summarise(mut measurements: Vec<Measurement>, runs: usize) -> (Measurement, usize, bool) {
    let disturbance = |found: &Measurement| found.worker.total().max(found.own.total());
    measurements.sort_by(|a, b| disturbance(a).total_cmp(&disturbance(b)));
    measurements.truncate(runs);
    let is_all_quiet = measurements.len() >= runs && measurements.iter().all(is_quiet);
    let count = measurements.len();
    let worst = measurements.iter().map(|found| found.worker);
    let worst = worst.max_by(|a, b| a.total().total_cmp(&b.total())).unwrap_or_default();
    let median = median_by(&mut measurements, |found| found.forwarded).clone();
    (Measurement { worker: worst, ..median }, count, is_all_quiet)
}

/// The figures of one flow count.
fn records(origin: &Origin, found: Found, arguments: &Arguments) -> Vec<Record> {
    let summary: BTreeMap<_, _> =
        found.into_iter().map(|(key, found)| (key, summarise(found, arguments.runs))).collect();
    let record =
        |((system, phase), (measured, runs, is_quiet)): (&(System, String), &(Measurement, usize, bool))| {
            let plain = summary.get(&(System::Plain, phase.clone())).map(|(plain, ..)| plain);
            let packets = measured.offered * 1e6 * measured.seconds;
            Record {
                run_s: origin.run_s,
                commit: origin.commit.clone(),
                cpu: origin.cpu.clone(),
                bench: "wire".to_owned(),
                what: system.name(),
                phase: phase.clone(),
                flows: measured.flows,
                protocol: measured.protocol.clone(),
                size: measured.size.clone(),
                pool: if *system == System::Plain { 0 } else { POOL_COUNT },
                mpps: Some(measured.forwarded),
                ratio: plain.map(|plain| measured.forwarded / plain.forwarded),
                ticks: measured.ticks,
                ticks_beyond: plain.map(|plain| measured.ticks - plain.ticks),
                stages: BTreeMap::new(),
                session_bytes: None,
                lost: Some(measured.lost as f64 / packets.max(1.0)),
                runs: *runs,
                worker: measured.worker,
                is_quiet: *is_quiet,
            }
        };
    summary.iter().map(record).collect()
}

fn print(records: &[Record]) {
    println!(
        "{:<9}{:<8}{:>10}{:>9}{:>8}{:>8}{:>9}{:>11}{:>7}  quiet",
        "system", "phase", "flows", "Mpps", "ratio", "ticks", "beyond", "lost ppm", "kept %"
    );
    for record in records {
        println!(
            "{:<9}{:<8}{:>10}{:>9.3}{:>8.2}{:>8.0}{:>9.0}{:>11.1}{:>7.1}  {}",
            record.what,
            record.phase,
            record.flows,
            record.mpps.unwrap_or_default(),
            record.ratio.unwrap_or_default(),
            record.ticks,
            record.ticks_beyond.unwrap_or_default(),
            record.lost.unwrap_or_default() * 1e6,
            record.worker.total() * 100.0,
            if record.is_quiet { "yes" } else { "NO" },
        );
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let origin = Origin::here();
    let mut all = Vec::new();
    if !arguments.only_plot {
        for &flows in &arguments.flows {
            let found = measure_all(&arguments, flows.max(1))?;
            let records = records(&origin, found, &arguments);
            history::append(&arguments.history, &records)?;
            print(&records);
            all.extend(records);
        }
        println!();
        print(&all);
        // What failed leaves its logs behind.
        let _ = std::fs::remove_dir_all(systems::directory());
    }
    plot::draw(&history::read(&arguments.history)?, &arguments.history.with_extension("svg"))
}
