//! One row, measured once, by the process that calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use benches::feed::{Bed, Feed, lock};
use benches::frames::Protocol;
use benches::preemption::{Preemption, Thread};
use benches::rig::{Load, Mode};
use dataplane::counters::Count;
use dataplane::counters::Stage;
use dataplane::drops::DropReason;
use dataplane::worker::Worker;
use mem::tsc;
use serde::{Deserialize, Serialize};

/// What is measured together.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The NAT's mode.
    pub mode: Mode,
    /// What the packets are.
    pub protocol: Protocol,
    /// Flows, and sessions there is room for.
    pub sessions: u32,
    /// Global addresses.
    pub pool: u32,
}

/// What one phase found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// `set-up`, `out`, `in`, or `both`.
    pub phase: String,
    /// Ticks a packet between receive and transmit.
    pub path: f64,
    /// Ticks a packet of everything but the ports.
    pub worker: f64,
    /// Ticks a packet in the stages that are the product's own.
    pub stages: BTreeMap<String, f64>,
    /// Bytes of resident memory that a session took, in `set-up`.
    pub session_bytes: Option<f64>,
    /// What kept the worker from its core.
    pub preemption: Preemption,
}

/// What is not the ports'.
pub const OWN_STAGES: [Stage; 3] = [Stage::Read, Stage::Probe, Stage::Forward];

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

/// Why packets were dropped.
fn dropped_by(worker: &Worker) -> Vec<&'static str> {
    let counters = worker.counters();
    let dropped = DropReason::ALL.iter().filter(|&&reason| counters.drops(reason).value() > 0);
    dropped.map(|reason| reason.label()).collect()
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
        bail!("a wrong packet: {wrong}; dropped: {:?}", dropped_by(worker));
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
pub fn measure(row: &Row, packets: u64, seed: u64) -> Result<Vec<Figures>> {
    let load = Load {
        mode: row.mode,
        protocol: row.protocol,
        sessions: row.sessions,
        addresses: row.pool,
        limits: "",
    };
    let bed = Arc::new(Mutex::new(Bed::new(load.verifier(), seed)));
    let window = lock(&bed).verifier.flows.window();
    let before_bytes = resident_bytes()?;
    let clock = Instant::now();
    let (_appliance, mut workers) = load.start(vec![Feed::pair(&bed)])?;
    let mut worker = workers.pop().context("no worker")?;
    lock(&bed).new_until = window;
    let mut set_up = phase("set-up", &mut worker, &bed, clock, Bed::is_set_up)?;
    set_up.session_bytes = Some((resident_bytes()? - before_bytes) / f64::from(load.room()));
    let established = lock(&bed).verifier.translations.established();
    if established != window {
        let reasons = dropped_by(&worker);
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
