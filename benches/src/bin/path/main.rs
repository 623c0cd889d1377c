//! What a packet costs between a port's receive and its transmit, without any device: one worker, and ports that make
//! frames in place and judge what comes back. Times are in ticks of the time stamp counter, as long as the worker was
//! on its core.
#![forbid(unsafe_code)]

mod measure;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use benches::frames::Protocol;
use benches::history::{self, Origin, Record, median_by};
use benches::plot;
use benches::rig::Mode;
use clap::{Parser, ValueEnum};

use measure::{Figures, OWN_STAGES, Row, measure};

/// Measures the path without devices: set-up, and established packets in both directions.
#[derive(Parser)]
struct Arguments {
    /// Session counts to measure at.
    #[arg(long, value_delimiter = ',', default_values_t = [1024u32, 65_536, 1_048_576, 4_194_304, 16_777_216])]
    sessions: Vec<u32>,
    /// Modes to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Mode::Default, Mode::Cgn])]
    modes: Vec<Mode>,
    /// Protocols to measure with. Those of TCP have their handshakes first.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Protocol::Udp, Protocol::Tcp])]
    protocols: Vec<Protocol>,
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
    /// Another build of this program, a reference: each measurement is made with both in turn, and its figures and the
    /// ratio stand beside. A build that does not know `--protocols` serves for `--protocols udp` only.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Measure one row once and tell it in JSON, for the run that started this one.
    #[arg(long, hide = true)]
    once: bool,
    /// A history to append the figures to; the plot is drawn beside it.
    #[arg(long)]
    history: Option<PathBuf>,
}

const SESSIONS_PER_ADDRESS: u32 = 16_384;

/// A value as it is given on the command line.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Measures a row in a process of its own, where no memory of earlier rows is used again.
fn measure_apart(
    program: &Path,
    row: &Row,
    packets: u64,
    core: Option<usize>,
    seed: u64,
) -> Result<Vec<Figures>> {
    let mut child = Command::new(program);
    child.args(["--once", "--modes", &word(&row.mode)]);
    // UDP is what is measured without saying so, also by builds from before there was another.
    if row.protocol != Protocol::Udp {
        child.args(["--protocols", &word(&row.protocol)]);
    }
    for (option, value) in [
        ("--sessions", u64::from(row.sessions)),
        ("--pools", u64::from(row.pool)),
        ("--packets", packets),
        ("--seed", seed),
    ] {
        child.args([option, &value.to_string()]);
    }
    if let Some(core) = core {
        child.args(["--core", &core.to_string()]);
    }
    let output = child.stderr(Stdio::inherit()).output().with_context(|| program.display().to_string())?;
    if !output.status.success() {
        bail!("the run of {} ended with {}", program.display(), output.status);
    }
    serde_json::from_slice(&output.stdout).context("the figures of a run")
}

/// The runs of one row by one program, by phase.
#[derive(Default)]
struct Runs(Vec<Vec<Figures>>);

/// A phase's median.
struct Median {
    figures: Figures,
    /// How many runs it is of.
    runs: usize,
    is_quiet: bool,
}

impl Runs {
    fn add(&mut self, run: Vec<Figures>) {
        self.0.resize_with(self.0.len().max(run.len()), Vec::new);
        self.0.iter_mut().zip(run).for_each(|(phase, figures)| phase.push(figures));
    }

    /// Whether so many runs were quiet.
    fn has_enough(&self, runs: usize) -> bool {
        let quiet =
            |phase: &Vec<Figures>| phase.iter().filter(|figures| figures.preemption.is_quiet()).count();
        self.0.iter().all(|phase| quiet(phase) >= runs)
    }

    /// The medians of the quietest runs.
    fn medians(self, runs: usize) -> Vec<Median> {
        let median = |mut of: Vec<Figures>| {
            of.sort_by(|a, b| a.preemption.total().total_cmp(&b.preemption.total()));
            of.truncate(runs);
            let is_quiet = of.len() >= runs && of.iter().all(|figures| figures.preemption.is_quiet());
            let preemption = of.last().map(|figures| figures.preemption).unwrap_or_default();
            let runs = of.len();
            let figures = median_by(&mut of, |figures| figures.path).clone();
            Median { figures: Figures { preemption, ..figures }, runs, is_quiet }
        };
        self.0.into_iter().map(median).collect()
    }
}

/// Measures a row with each program in turn, until enough runs of each were quiet.
fn medians(programs: &[PathBuf], row: &Row, arguments: &Arguments, seed: u64) -> Result<Vec<Vec<Median>>> {
    let mut found: Vec<Runs> = programs.iter().map(|_| Runs::default()).collect();
    for attempt in 1..=arguments.tries {
        let Row { mode, protocol, sessions, pool } = row;
        eprintln!("== {mode:?}, {protocol:?}, {sessions} sessions, {pool} addresses, run {attempt}");
        for (program, runs) in programs.iter().zip(&mut found) {
            runs.add(measure_apart(program, row, arguments.packets, arguments.core, seed)?);
        }
        if found.iter().all(|runs| runs.has_enough(arguments.runs)) {
            break;
        }
    }
    Ok(found.into_iter().map(|runs| runs.medians(arguments.runs)).collect())
}

fn rows(arguments: &Arguments) -> Vec<Row> {
    let mut rows = Vec::new();
    for &mode in &arguments.modes {
        for &protocol in &arguments.protocols {
            for &sessions in &arguments.sessions {
                let pools = match (&arguments.pools[..], sessions) {
                    ([], 65_536) => vec![4, 256],
                    ([], _) => vec![sessions.div_ceil(SESSIONS_PER_ADDRESS).max(4)],
                    (given, _) => given.to_vec(),
                };
                rows.extend(pools.into_iter().map(|pool| Row { mode, protocol, sessions, pool }));
            }
        }
    }
    rows
}

fn record(origin: &Origin, row: &Row, median: &Median) -> Record {
    let figures = &median.figures;
    Record {
        run_s: origin.run_s,
        commit: origin.commit.clone(),
        cpu: origin.cpu.clone(),
        bench: "path".to_owned(),
        what: word(&row.mode),
        phase: figures.phase.clone(),
        flows: row.sessions,
        protocol: word(&row.protocol),
        size: "64".to_owned(),
        pool: row.pool,
        mpps: None,
        ratio: None,
        ticks: figures.path,
        ticks_beyond: Some(figures.worker),
        stages: figures.stages.clone(),
        session_bytes: figures.session_bytes,
        lost: None,
        runs: median.runs,
        worker: figures.preemption,
        is_quiet: median.is_quiet,
    }
}

/// A column of the table: its heading, its width, and whether it is only there beside a reference.
type Column = (&'static str, usize, bool);

const COLUMNS: [Column; 16] = [
    ("mode", 7, false),
    ("protocol", 9, false),
    ("sessions", 10, false),
    ("pool", 6, false),
    ("phase", 8, false),
    ("rx-tx ticks", 13, false),
    ("beside", 9, true),
    ("ratio", 7, true),
    ("read", 7, false),
    ("probe", 7, false),
    ("forward", 9, false),
    ("worker ticks", 14, false),
    ("beside", 9, true),
    ("ratio", 7, true),
    ("bytes/session", 15, false),
    ("kept %", 8, false),
];

/// Prints a line of the table, which ends with whether its figures are quiet.
fn print_line(cells: &[String; COLUMNS.len()], quiet: &str, has_reference: bool) {
    let shown = COLUMNS.iter().zip(cells).filter(|((.., is_beside), _)| !is_beside || has_reference);
    let line: String = shown.map(|(&(_, width, _), cell)| format!("{cell:>width$}")).collect();
    println!("{line}  {quiet}");
}

fn print_row(row: &Row, own: &Median, reference: Option<&Median>) {
    let (figures, other) = (&own.figures, reference.map(|median| &median.figures));
    let stage = |at: usize| {
        let ticks = figures.stages.get(OWN_STAGES[at].label()).copied();
        format!("{:.1}", ticks.unwrap_or_default())
    };
    let beside = |ticks: fn(&Figures) -> f64| {
        let other = other.map(ticks);
        let ratio = other.map(|other| format!("{:.3}", ticks(figures) / other));
        [other.map(|other| format!("{other:.1}")).unwrap_or_default(), ratio.unwrap_or_default()]
    };
    let [path_beside, path_ratio] = beside(|figures| figures.path);
    let [worker_beside, worker_ratio] = beside(|figures| figures.worker);
    let kept = other.map_or(0.0, |other| other.preemption.total()).max(figures.preemption.total());
    let is_quiet = own.is_quiet && reference.is_none_or(|median| median.is_quiet);
    let cells = [
        word(&row.mode),
        word(&row.protocol),
        row.sessions.to_string(),
        row.pool.to_string(),
        figures.phase.clone(),
        format!("{:.1}", figures.path),
        path_beside,
        path_ratio,
        stage(0),
        stage(1),
        stage(2),
        format!("{:.1}", figures.worker),
        worker_beside,
        worker_ratio,
        figures.session_bytes.map(|bytes| format!("{bytes:.0}")).unwrap_or_default(),
        format!("{:.1}", kept * 100.0),
    ];
    print_line(&cells, if is_quiet { "yes" } else { "NO" }, reference.is_some());
}

/// This program, and the one it is measured beside.
fn programs(arguments: &Arguments, seed: u64) -> Result<Vec<PathBuf>> {
    let mut programs = vec![std::env::current_exe()?];
    let Some(reference) = &arguments.beside else { return Ok(programs) };
    // Better now than after all the rows that it does know.
    if let Some(row) = rows(arguments).into_iter().find(|row| row.protocol != Protocol::Udp) {
        let smallest = Row { sessions: 1, pool: 1, ..row };
        measure_apart(reference, &smallest, 1, arguments.core, seed)
            .context("the build to measure beside does not know --protocols: give --protocols udp")?;
    }
    programs.push(reference.clone());
    Ok(programs)
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
    let programs = programs(&arguments, seed)?;
    let origin = Origin::here();
    print_line(&COLUMNS.map(|(heading, ..)| heading.to_owned()), "quiet", programs.len() > 1);
    for row in rows(&arguments) {
        let found = medians(&programs, &row, &arguments, seed)?;
        let Some((own, reference)) = found.split_first() else { continue };
        for (at, median) in own.iter().enumerate() {
            print_row(&row, median, reference.first().and_then(|medians| medians.get(at)));
        }
        if let Some(path) = &arguments.history {
            let records: Vec<Record> = own.iter().map(|median| record(&origin, &row, median)).collect();
            history::append(path, &records)?;
            plot::draw(&history::read(path)?, &path.with_extension("svg"))?;
        }
    }
    Ok(())
}
