//! What a packet costs between a port's receive and its transmit, without any device: one worker, and ports that make
//! frames in place and judge what comes back. Times are in ticks of the time stamp counter, as long as the worker was
//! on its core.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use benches::feed::{Bed, Feed, lock};
use benches::frames::Protocol;
use benches::history::{self, Origin, Record, median_by};
use benches::plot;
use benches::preemption::{Preemption, Thread};
use benches::rig::{Load, Mode};
use clap::{Parser, ValueEnum};
use dataplane::counters::Count;
use dataplane::counters::Stage;
use dataplane::drops::DropReason;
use dataplane::worker::Worker;
use mem::tsc;
use serde::{Deserialize, Serialize};

/// Measures the path without devices: set-up, and established packets in both directions.
#[derive(Parser)]
struct Arguments {
    /// Session counts to measure at.
    #[arg(long, value_delimiter = ',', default_values_t = [1024u32, 65_536, 1_048_576, 4_194_304, 16_777_216])]
    sessions: Vec<u32>,
    /// Modes to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Mode::Default, Mode::Cgn])]
    modes: Vec<Mode>,
    /// Pool sizes to measure each with; an address for 16,384 sessions otherwise, and 4 and 256 at 65,536.
    #[arg(long, value_delimiter = ',')]
    pools: Vec<u32>,
    /// Packets measured of each phase.
    #[arg(long, default_value_t = 4_000_000)]
    packets: u64,
    /// Quiet runs of each that the medians are of.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Runs of each at most.
    #[arg(long, default_value_t = 6)]
    tries: usize,
    /// The core to run on; any otherwise.
    #[arg(long)]
    core: Option<usize>,
    /// The seed of the random order; drawn and printed otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Measure one row once and tell it in JSON, for the run that started this one.
    #[arg(long, hide = true)]
    once: bool,
    /// A history to append the figures to; the plot is drawn beside it.
    #[arg(long)]
    history: Option<PathBuf>,
}

/// What is measured together.
#[derive(Clone, Copy, Debug)]
struct Row {
    mode: Mode,
    sessions: u32,
    pool: u32,
}

/// What one phase found.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Figures {
    phase: String,
    /// Ticks a packet between receive and transmit.
    path: f64,
    /// Ticks a packet of everything but the ports.
    worker: f64,
    /// Ticks a packet in the stages that are the product's own.
    stages: BTreeMap<String, f64>,
    session_bytes: Option<f64>,
    preemption: Preemption,
}

const SESSIONS_PER_ADDRESS: u32 = 16_384;
/// What is not the ports'.
const OWN_STAGES: [Stage; 3] = [Stage::Read, Stage::Probe, Stage::Forward];

/// Bytes of memory that the process occupies.
fn resident_bytes() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(kib.ok_or_else(|| anyhow!("the kernel does not tell the resident size"))? * 1024.0)
}

/// Packets of the bursts that were timed so far, and the ticks of each stage.
fn timed(worker: &Worker) -> (u64, [u64; Stage::ALL.len()]) {
    let stages = &worker.counters().stages;
    (stages.packets.value(), stages.ticks.each_ref().map(Count::value))
}

/// Runs the worker until `is_done`, and tells what that cost.
fn phase(
    name: &str,
    worker: &mut Worker,
    bed: &Mutex<Bed>,
    clock: Instant,
    is_done: impl Fn(&Bed) -> bool,
) -> Result<Figures> {
    let thread = Thread::current()?;
    let timed_before = timed(worker);
    let (before, sample, begun) = (lock(bed).tally, thread.sample()?, tsc());
    while !is_done(&lock(bed)) {
        worker.round(clock.elapsed().as_millis() as u32);
    }
    let (all, preemption, after) = (tsc() - begun, thread.since(sample)?, lock(bed).tally);
    if let Some(wrong) = lock(bed).wrong {
        bail!("a wrong packet: {wrong}");
    }
    let (packets, ticks) = timed(worker);
    let timed_packets = (packets - timed_before.0).max(1) as f64;
    let stage = |&stage: &Stage| {
        let spent = ticks[stage as usize] - timed_before.1[stage as usize];
        (stage.label().to_owned(), spent as f64 / timed_packets)
    };
    let present = 1.0 - preemption.total();
    let each = |ticks: u64| ticks as f64 * present / (after.packets - before.packets).max(1) as f64;
    Ok(Figures {
        phase: name.to_owned(),
        path: each(after.path - before.path),
        worker: each(all - (after.ports - before.ports)),
        stages: OWN_STAGES.iter().map(stage).collect(),
        session_bytes: None,
        preemption,
    })
}

/// All phases of one row, once.
fn measure(row: &Row, packets: u64, seed: u64) -> Result<Vec<Figures>> {
    let load = Load { mode: row.mode, protocol: Protocol::Udp, sessions: row.sessions, addresses: row.pool };
    let bed = Arc::new(Mutex::new(Bed::new(load.verifier(), seed)));
    let window = lock(&bed).verifier.flows.window();
    let before_bytes = resident_bytes()?;
    let clock = Instant::now();
    let (_appliance, mut workers) = load.start(vec![Feed::pair(&bed)])?;
    let mut worker = workers.pop().context("no worker")?;
    lock(&bed).new_until = window;
    let mut set_up = phase("set-up", &mut worker, &bed, clock, |bed| bed.new_left() == 0)?;
    set_up.session_bytes = Some((resident_bytes()? - before_bytes) / f64::from(window));
    let established = lock(&bed).verifier.translations.established();
    if established != window {
        let counters = worker.counters();
        let dropped = DropReason::ALL.iter().filter(|&&reason| counters.drops(reason).value() > 0);
        let reasons: Vec<&str> = dropped.map(|reason| reason.label()).collect();
        bail!(
            "{established} sessions of {window} flows: the figures would say nothing; dropped: {reasons:?}"
        );
    }
    let mut found = vec![set_up];
    for (name, data) in [("out", [true, false]), ("in", [false, true]), ("both", [true, true])] {
        lock(&bed).data = data;
        let until = lock(&bed).tally.packets + packets;
        found.push(phase(name, &mut worker, &bed, clock, |bed| bed.tally.packets >= until)?);
        lock(&bed).data = [false; 2];
    }
    let (shared, _) = lock(&bed).verifier.translations.conflicts();
    if shared > 0 {
        bail!("{shared} global endpoints are shared");
    }
    Ok(found)
}

/// Measures a row in a process of its own, where no memory of earlier rows is used again.
fn measure_apart(row: &Row, arguments: &Arguments, seed: u64) -> Result<Vec<Figures>> {
    let mut child = Command::new(std::env::current_exe()?);
    let mode = row.mode.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    child.args(["--once", "--modes", &mode]);
    for (option, value) in [
        ("--sessions", u64::from(row.sessions)),
        ("--pools", u64::from(row.pool)),
        ("--packets", arguments.packets),
        ("--seed", seed),
    ] {
        child.args([option, &value.to_string()]);
    }
    if let Some(core) = arguments.core {
        child.args(["--core", &core.to_string()]);
    }
    let output = child.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("the run ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the figures of a run")
}

/// Measures a row until enough runs were quiet; the phases' medians, and how many runs each is of.
fn medians(row: &Row, arguments: &Arguments, seed: u64) -> Result<Vec<(Figures, usize, bool)>> {
    let mut found: Vec<Vec<Figures>> = Vec::new();
    for attempt in 1..=arguments.tries {
        eprintln!("== {:?}, {} sessions, {} addresses, run {attempt}", row.mode, row.sessions, row.pool);
        for (at, figures) in measure_apart(row, arguments, seed)?.into_iter().enumerate() {
            if found.len() <= at {
                found.push(Vec::new());
            }
            found[at].push(figures);
        }
        let quiet = |of: &Vec<Figures>| of.iter().filter(|figures| figures.preemption.is_quiet()).count();
        if found.iter().all(|of| quiet(of) >= arguments.runs) {
            break;
        }
    }
    let median = |mut of: Vec<Figures>| {
        of.sort_by(|a, b| a.preemption.total().total_cmp(&b.preemption.total()));
        of.truncate(arguments.runs);
        let is_quiet = of.len() >= arguments.runs && of.iter().all(|figures| figures.preemption.is_quiet());
        let worst = of.last().map(|figures| figures.preemption).unwrap_or_default();
        let count = of.len();
        (Figures { preemption: worst, ..median_by(&mut of, |figures| figures.path).clone() }, count, is_quiet)
    };
    Ok(found.into_iter().map(median).collect())
}

fn rows(arguments: &Arguments) -> Vec<Row> {
    let mut rows = Vec::new();
    for &mode in &arguments.modes {
        for &sessions in &arguments.sessions {
            let pools = match (&arguments.pools[..], sessions) {
                ([], 65_536) => vec![4, 256],
                ([], _) => vec![sessions.div_ceil(SESSIONS_PER_ADDRESS).max(4)],
                (given, _) => given.to_vec(),
            };
            rows.extend(pools.into_iter().map(|pool| Row { mode, sessions, pool }));
        }
    }
    rows
}

fn record(origin: &Origin, row: &Row, (figures, runs, is_quiet): &(Figures, usize, bool)) -> Record {
    Record {
        run_s: origin.run_s,
        commit: origin.commit.clone(),
        cpu: origin.cpu.clone(),
        bench: "path".to_owned(),
        what: format!("{:?}", row.mode).to_lowercase(),
        phase: figures.phase.clone(),
        flows: row.sessions,
        protocol: "udp".to_owned(),
        size: "64".to_owned(),
        pool: row.pool,
        mpps: None,
        ratio: None,
        ticks: figures.path,
        ticks_beyond: Some(figures.worker),
        stages: figures.stages.clone(),
        session_bytes: figures.session_bytes,
        lost: None,
        runs: *runs,
        worker: figures.preemption,
        is_quiet: *is_quiet,
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(id) = arguments.core
        && !core_affinity::set_for_current(core_affinity::CoreId { id })
    {
        bail!("this program may not run on core {id}; choose another with --core");
    }
    let seed = arguments.seed.unwrap_or_else(rand::random);
    if arguments.once {
        let row = rows(&arguments).into_iter().next().context("no row")?;
        println!("{}", serde_json::to_string(&measure(&row, arguments.packets, seed)?)?);
        return Ok(());
    }
    eprintln!("random order with --seed {seed}");
    let origin = Origin::here();
    println!(
        "{:<9}{:>10}{:>7}  {:<8}{:>12}{:>7}{:>7}{:>9}{:>14}{:>15}{:>8}  quiet",
        "mode",
        "sessions",
        "pool",
        "phase",
        "rx-tx ticks",
        OWN_STAGES[0].label(),
        OWN_STAGES[1].label(),
        OWN_STAGES[2].label(),
        "worker ticks",
        "bytes/session",
        "kept %"
    );
    for row in rows(&arguments) {
        let found = medians(&row, &arguments, seed)?;
        let records: Vec<Record> = found.iter().map(|found| record(&origin, &row, found)).collect();
        for record in &records {
            let stage = |at: usize| record.stages.get(OWN_STAGES[at].label()).copied().unwrap_or_default();
            println!(
                "{:<9}{:>10}{:>7}  {:<8}{:>12.1}{:>7.1}{:>7.1}{:>9.1}{:>14.1}{:>15}{:>8.1}  {}",
                record.what,
                record.flows,
                record.pool,
                record.phase,
                record.ticks,
                stage(0),
                stage(1),
                stage(2),
                record.ticks_beyond.unwrap_or_default(),
                record.session_bytes.map(|bytes| format!("{bytes:.0}")).unwrap_or_default(),
                record.worker.total() * 100.0,
                if record.is_quiet { "yes" } else { "NO" },
            );
        }
        if let Some(path) = &arguments.history {
            history::append(path, &records)?;
            plot::draw(&history::read(path)?, &path.with_extension("svg"))?;
        }
    }
    Ok(())
}
