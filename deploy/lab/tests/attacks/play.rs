//! One attack from beginning to end.

use crate::judge::{Length, Outcome};
use crate::servers::Servers;
use crate::stage::{AttackedLab, ECHO, HONEST, PHASES, Row};
use crate::tally::Tally;
use crate::visits;
use crate::witness::Witness;
use anyhow::{Context, Result, bail};
use lab::table;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// Plays a row. Whatever goes wrong is part of its outcome.
pub fn play(row: &'static Row, length: Length) -> Outcome {
    println!("{}", row.name);
    let tally = Tally::default();
    let mut outcome =
        Outcome { row, rate: 0.0, got: Default::default(), notes: Vec::new(), grown: Vec::new(), missed: 0 };
    let stage = AttackedLab::build(row, length.patience);
    let played = stage.and_then(|stage| {
        let played = on_stage(&stage, length, &tally, &mut outcome);
        if played.is_err() {
            println!("{}", stage.lab.gateway.last_words());
        }
        played
    });
    if let Err(error) = played {
        tally.note(format!("the attack: {error:#}"));
    }
    (outcome.got, outcome.notes) = tally.read();
    println!("{}", outcome.line());
    println!("    grown: {:?}", outcome.grown);
    outcome
}

fn on_stage(stage: &AttackedLab, length: Length, tally: &Tally, outcome: &mut Outcome) -> Result<()> {
    let servers = Servers::open(stage)?;
    thread::scope(|scope| {
        // Whoever fails sends everybody home, or nobody would come to an end.
        let home = Home(stage);
        servers.serve(scope, stage);
        let witness = stage.inside(HONEST).within(|| {
            let mut witness = Witness::begin(stage.patience).context("the witness")?;
            witness.turn(stage, &Tally::default());
            Ok::<_, anyhow::Error>(witness)
        })?;
        let mut witness = witness?;
        let connections = endpoints(stage, &witness.connections()?)?;
        let _ = stage.connections.set(connections);
        visits::begin(scope, stage, tally);
        let before = counters(stage)?;
        turns(stage, &mut witness, tally, 0, length.before);
        stage.enter_phase(1);
        let start = Instant::now();
        let attack = scope.spawn(|| (stage.row.attack)(stage));
        turns(stage, &mut witness, tally, 1, length.during);
        outcome.rate = stage.sent() as f64 / start.elapsed().as_secs_f64();
        stage.enter_phase(2);
        let attacked = attack.join().unwrap_or_else(|_| bail!("the attacker panicked"));
        turns(stage, &mut witness, tally, 2, length.after);
        witness.finish(tally);
        let after = counters(stage)?;
        outcome.grown = grown(&before, &after);
        let is_missed = |series: &&String| series.starts_with("portico_device_missed_frames_total");
        outcome.missed =
            after.keys().filter(is_missed).map(|series| (after[series] - before[series]) as u64).sum();
        drop(home);
        attacked.context("what the attacker saw")
    })
}

/// Sends everybody home when dropped.
struct Home<'s>(&'s AttackedLab);

impl Drop for Home<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A phase lasts so many turns of the witness, and until each kind of visit was made once.
fn turns(stage: &AttackedLab, witness: &mut Witness, tally: &Tally, phase: usize, count: usize) {
    let start = Instant::now();
    let is_visited = || {
        let kinds = visits::KINDS.iter().map(|kind| kind.name).chain([visits::PAGE]);
        kinds.into_iter().all(|kind| tally.visit_count(phase, kind) > 0)
    };
    let first = witness.turns;
    while witness.turns < first + count || !is_visited() && start.elapsed() < Duration::from_secs(300) {
        witness.turn(stage, tally);
    }
    println!("    {}: {:.1} s", PHASES[phase], start.elapsed().as_secs_f64());
}

fn counters(stage: &AttackedLab) -> Result<BTreeMap<String, f64>> {
    table::samples(&stage.lab.gateway.appliance().metrics()?)
}

/// Reasons of drops, and tables, whose numbers grew.
fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> Vec<(String, u64)> {
    let is_meant = |name: &str| {
        [
            "portico_drops_total",
            "portico_worker_table_entries",
            "portico_worker_icmp_errors_withheld",
            "portico_alg_unread",
        ]
        .iter()
        .any(|start| name.starts_with(start))
    };
    let growth = |(series, value): (&String, &f64)| {
        let more = *value - before.get(series).copied().unwrap_or(0.0);
        (is_meant(series) && more > 0.0).then(|| (short(series), more as u64))
    };
    after.iter().filter_map(growth).collect()
}

/// What a series' labels say.
fn short(series: &str) -> String {
    let labels = series.split('"').skip(1).step_by(2).filter(|label| !label.is_empty() && *label != "0");
    let words: Vec<&str> = labels.collect();
    match series.starts_with("portico_drops_total") {
        true => words[0].to_owned(),
        false => format!(
            "{} {}",
            series.split('{').next().unwrap_or_default().trim_start_matches("portico_"),
            words.join(" ")
        ),
    }
}

/// The global endpoints of connections to the echo.
fn endpoints(stage: &AttackedLab, locals: &[SocketAddrV4]) -> Result<Vec<(SocketAddrV4, SocketAddrV4)>> {
    let start = Instant::now();
    loop {
        let text = stage.lab.gateway.translations()?;
        let rows = table::translations(&text)?;
        let found: BTreeMap<String, String> = rows
            .into_iter()
            .filter(|row| row.protocol == "tcp" && row.outside_global == ECHO.to_string())
            .map(|row| (row.inside_local, row.inside_global))
            .collect();
        let known =
            locals.iter().filter_map(|local| Some((*local, found.get(&local.to_string())?.parse().ok()?)));
        let known: Vec<_> = known.collect();
        if known.len() == locals.len() {
            return Ok(known);
        }
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(60),
            "{} of {} connections",
            known.len(),
            locals.len()
        );
        sleep(Duration::from_millis(100));
    }
}
