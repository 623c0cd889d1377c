//! How long a worker's ports wait for it: the longest rounds while a million sessions expire at once, `show ip nat
//! translations` walks ten million, the policy changes, and Prometheus scrapes, beside traffic.
//!
//! A round is timed from its first look at a port to its last. What the thread spent ready and not running meanwhile is
//! subtracted (`/proc/thread-self/schedstat`), and rounds in which that happened, or an involuntary switch (`getrusage`),
//! are counted as disturbed. Interrupts and the hypervisor's other guests leave no such trace. But every run of a scene
//! does the same work round by round, and disturbances fall elsewhere each time: of each round the shortest of all runs
//! is what the work takes, and the longest of these is the figure.
#![forbid(unsafe_code)]
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Error, Result, anyhow, bail, ensure};
use benches::frames::{Kind, Protocol};
use benches::rig::{Load, Mode};
use benches::verify::Verifier;
use clap::Parser;
use control::appliance::Appliance;
use control::cli::{Answer as _, Progress};
use control::metrics::Page;
use control::question::Pending;
use dataplane::drops::DropReason;
use dataplane::flow::Direction;
use dataplane::message::{Clear, List, SessionRow, Slice, WorkerMessage};
use dataplane::port::memory::{Wire, memory_port};
use dataplane::port::{BURST, Port};
use dataplane::worker::Worker;
use mem::Slab;
use nix::sys::resource::{UsageWho, getrusage};

/// Measures the longest rounds of a worker while something big goes on between its bursts.
#[derive(Parser)]
struct Arguments {
    /// Sessions that expire at once, or are swept.
    #[arg(long, default_value_t = 1 << 20)]
    sessions: u32,
    /// Sessions that are walked.
    #[arg(long, default_value_t = 10_000_000)]
    walked: u32,
    /// Runs of each.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The NAT's mode.
    #[arg(long, value_enum, default_value_t = Mode::Default)]
    mode: Mode,
    /// The core to run on; any otherwise.
    #[arg(long)]
    core: Option<usize>,
    /// Only scenes that have this in their name.
    #[arg(long, default_value = "")]
    only: String,
}

/// Flows that carry traffic all along.
const LIVE: u32 = 2048;
/// Rows of a slice, as `show` asks for them.
const ROWS: usize = 512;
/// Rules and statics of a large policy.
const RULES: u32 = 1000;
const STATICS: u32 = 50_000;
/// Longer than any idle time of UDP, in milliseconds, and within a turn of the timer.
const IDLE_MS: u32 = 302_000;
/// What no round should exceed, in nanoseconds.
const ROUND_NS_MAX: u64 = 100_000;

/// What the kernel says about the calling thread.
struct Account {
    schedstat: File,
}

impl Account {
    fn of_this_thread() -> Result<Account> {
        Ok(Account { schedstat: File::open("/proc/thread-self/schedstat").context("schedstat")? })
    }

    /// Nanoseconds spent ready and not running, and involuntary switches.
    fn read(&self) -> Result<(u64, i64)> {
        let mut text = [0; 64];
        let len = self.schedstat.read_at(&mut text, 0)?;
        let text = std::str::from_utf8(&text[..len])?;
        let waited = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let switches = getrusage(UsageWho::RUSAGE_THREAD)?.involuntary_context_switches();
        Ok((waited.context("no run delay")?, switches))
    }
}

/// How long rounds took, in nanoseconds, one after the other.
#[derive(Default)]
struct Rounds {
    took_ns: Vec<u32>,
    /// Rounds in which the thread lost its core; what it waited is subtracted from them.
    disturbed: usize,
}

impl Rounds {
    /// What remains of several runs that did the same: of each round, the shortest.
    fn repeatable(runs: &[Rounds]) -> Rounds {
        let count = runs.iter().map(|run| run.took_ns.len()).min().unwrap_or_default();
        let shortest = |at: usize| runs.iter().map(|run| run.took_ns[at]).min().unwrap_or_default();
        Rounds { took_ns: (0..count).map(shortest).collect(), disturbed: 0 }
    }

    /// The rounds that took longer than any should, by their number.
    fn over(&self) -> impl Iterator<Item = usize> {
        self.took_ns.iter().enumerate().filter(|&(_, &ns)| u64::from(ns) > ROUND_NS_MAX).map(|(at, _)| at)
    }

    fn describe(&self, name: &str) {
        let mut sorted = self.took_ns.clone();
        sorted.sort_unstable();
        let us = |ns: Option<&u32>| ns.map_or(0.0, |&ns| f64::from(ns) / 1000.0);
        let at = |share: f64| us(sorted.get((sorted.len() as f64 * share) as usize));
        let over = self.over().count();
        println!(
            "{name:<28}{:>9}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{over:>7}{:>11}",
            sorted.len(),
            at(0.5),
            at(0.999),
            at(0.9999),
            us(sorted.last()),
            self.disturbed,
        );
    }
}

/// A worker with traffic, and its control side.
struct Scene {
    appliance: Appliance,
    worker: Worker,
    wires: [Wire; 2],
    verifier: Verifier,
    load: Load,
    account: Account,
    now: u32,
    next_live: u32,
    /// Pools of a million addresses that were configured.
    pools: u32,
}

impl Scene {
    fn new(mode: Mode, sessions: u32) -> Result<Scene> {
        let load = Load { mode, protocol: Protocol::Udp, sessions, addresses: 1024, limits: "" };
        let slab = Slab::new(8 * BURST, 2048);
        let ((inside, near), (outside, far)) =
            (memory_port(0, &slab, 2 * BURST), memory_port(1, &slab, 2 * BURST));
        let ports: Vec<Box<dyn Port>> = vec![Box::new(inside), Box::new(outside)];
        let (appliance, mut workers) = load.start(vec![ports])?;
        let worker = workers.pop().context("no worker")?;
        let mut scene = Scene {
            appliance,
            worker,
            wires: [near, far],
            verifier: load.verifier(),
            load,
            account: Account::of_this_thread()?,
            now: 0,
            next_live: 0,
            pools: 0,
        };
        scene.round(&mut Rounds::default())?;
        Ok(scene)
    }

    fn send(&mut self, flow: u32) -> Result<()> {
        let template = self.verifier.frames.template(0, Direction::Outbound, Kind::First);
        let mut frame = [0; 60];
        let ends = self.verifier.flows.tuple(flow);
        template.write(Protocol::Udp, &mut frame, ends, flow, Kind::First);
        ensure!(self.wires[0].send(&frame), "the wire is full");
        Ok(())
    }

    /// Sets every flow up.
    fn fill(&mut self) -> Result<()> {
        let flows = self.verifier.flows.window();
        for start in (0..flows).step_by(BURST) {
            (start..flows.min(start + BURST as u32)).try_for_each(|flow| self.send(flow))?;
            self.worker.round(self.now);
            while self.wires[1].receive().is_some() {}
        }
        let count = self.worker.shard().session_count();
        if count as u32 != flows {
            let counters = self.worker.counters();
            let dropped = DropReason::ALL.iter().filter(|&&reason| counters.drops(reason).value() > 0);
            let reasons: Vec<&str> = dropped.map(|reason| reason.label()).collect();
            bail!("{count} sessions of {flows} flows; dropped: {reasons:?}");
        }
        Ok(())
    }

    /// A round beside a burst of live flows, timed.
    fn round(&mut self, rounds: &mut Rounds) -> Result<()> {
        for _ in 0..BURST {
            self.send(self.next_live)?;
            self.next_live = (self.next_live + 1) % LIVE.min(self.verifier.flows.window());
        }
        let before = self.account.read()?;
        let begun = Instant::now();
        self.worker.round(self.now);
        let took_ns = begun.elapsed().as_nanos() as u64;
        let after = self.account.read()?;
        let net_ns = took_ns.saturating_sub(after.0 - before.0) as u32;
        rounds.took_ns.push(net_ns);
        rounds.disturbed += usize::from(after != before);
        self.appliance.step(u64::from(self.now));
        for wire in &self.wires {
            while wire.receive().is_some() {}
        }
        Ok(())
    }
}

/// Traffic and nothing else, to compare with.
fn traffic(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    (0..20_000).try_for_each(|_| scene.round(rounds))
}

fn expiry(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    scene.now += IDLE_MS;
    while scene.worker.shard().session_count() as u32 > LIVE {
        scene.round(rounds)?;
    }
    scene.fill()
}

fn walk(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let expected = scene.worker.shard().session_count();
    let (mut start, mut rows) = (Some(0), 0);
    let mut waiting: Option<Pending<Slice<SessionRow>>> = None;
    while start.is_some() || waiting.is_some() {
        if let (Some(from), None) = (start, &waiting) {
            let list =
                |reply| WorkerMessage::Sessions(Arc::default(), List { start: from, limit: ROWS, reply });
            waiting = Some(Pending::ask(&scene.appliance, 0, list).map_err(Error::msg)?);
        }
        scene.round(rounds)?;
        let answer = waiting.as_ref().map(|pending| pending.poll(u64::from(scene.now)));
        if let Some(slice) = answer.transpose().map_err(Error::msg)?.flatten() {
            rows += slice.rows.len();
            (start, waiting) = (slice.next, None);
        }
    }
    ensure!(rows == expected, "{rows} rows of {expected} sessions");
    Ok(())
}

/// The walk of a table that is nearly empty.
fn sparse_walk(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    scene.now += IDLE_MS;
    let mut unmeasured = Rounds::default();
    while scene.worker.shard().session_count() as u32 > LIVE {
        scene.round(&mut unmeasured)?;
    }
    // All live flows are there again.
    (0..LIVE).try_for_each(|_| scene.round(&mut unmeasured))?;
    walk(scene, rounds)
}

fn reload_with(scene: &mut Scene, text: &str, rounds: &mut Rounds) -> Result<()> {
    let config = control::config::parse("bench", text).map_err(|found| anyhow!("{found:?}"))?.config;
    scene.appliance.reconfigure(config).map_err(|errors| anyhow!("{errors:?}"))?;
    let positions = scene.worker.shard().position_count() + (1 << 18);
    (0..positions / 512).try_for_each(|_| scene.round(rounds))
}

/// A policy that keeps every session.
fn reload(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let text = format!("{}access-list 7 permit any\n", scene.load.configuration());
    reload_with(scene, &text, rounds)?;
    ensure!(
        scene.worker.shard().session_count() as u32 >= scene.load.sessions / 256 * 256,
        "sessions were lost"
    );
    Ok(())
}

/// A policy that keeps every session, with a pool of a million addresses that no policy before it had.
fn reload_of_addresses(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let network = 16 * scene.pools;
    scene.pools += 1;
    let text = format!(
        "{}access-list 8 permit any\nip nat pool Q 20.{network}.0.1 20.{}.255.254 prefix-length 12\n\
         ip nat inside source list 8 pool Q overload\n",
        scene.load.configuration(),
        network + 15
    );
    let before = scene.worker.shard().session_count();
    reload_with(scene, &text, rounds)?;
    ensure!(scene.worker.shard().session_count() == before, "sessions were lost");
    Ok(())
}

/// A policy that keeps every session, with many rules before theirs.
fn reload_of_rules(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let mut text = String::new();
    for n in 0..RULES {
        let (high, low) = (n >> 8, n & 255);
        write!(
            text,
            "ip nat pool R{n} 21.{high}.{low}.1 21.{high}.{low}.9 prefix-length 24\n\
             ip access-list standard L{n}\n permit 10.200.{high}.{low}\n\
             ip nat inside source list L{n} pool R{n} overload\n"
        )?;
    }
    for n in 0..STATICS {
        let (high, low) = (n >> 8, n & 255);
        writeln!(text, "ip nat inside source static tcp 10.201.{high}.{low} 80 22.0.{high}.{low} 80")?;
    }
    text += &scene.load.configuration();
    let before = scene.worker.shard().session_count();
    reload_with(scene, &text, rounds)?;
    ensure!(scene.worker.shard().session_count() == before, "sessions were lost");
    reload_with(scene, &scene.load.configuration(), &mut Rounds::default())
}

/// A policy that keeps none.
fn sweep(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let text = scene.load.configuration();
    let other = text.replace("pool P overload", "pool Q overload").replace("nat pool P", "nat pool Q");
    reload_with(scene, &other, rounds)?;
    while scene.worker.shard().session_count() as u32 > LIVE {
        scene.round(rounds)?;
    }
    reload_with(scene, &text, &mut Rounds::default())?;
    scene.fill()
}

/// Everything is cleared by command.
fn clear(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    let mut next = Some(0);
    while let Some(start) = next {
        let clear = |reply| WorkerMessage::Clear(Clear { wanted: Arc::default(), start, reply });
        let asked = Pending::ask(&scene.appliance, 0, clear).map_err(Error::msg)?;
        next = loop {
            scene.round(rounds)?;
            if let Some(cleared) = asked.poll(u64::from(scene.now)).map_err(Error::msg)? {
                break cleared.next;
            }
        };
    }
    scene.fill()
}

/// One page after the other, without a pause.
fn scrape(scene: &mut Scene, rounds: &mut Rounds) -> Result<()> {
    for _ in 0..50 {
        let mut page = Page::ask(&scene.appliance);
        loop {
            scene.round(rounds)?;
            match page.advance(&mut scene.appliance) {
                Progress::Done => break,
                Progress::Refused(why) => bail!("no page: {why}"),
                _ => {}
            }
        }
    }
    Ok(())
}

type Act = fn(&mut Scene, &mut Rounds) -> Result<()>;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(id) = arguments.core {
        ensure!(core_affinity::set_for_current(core_affinity::CoreId { id }), "may not run on core {id}");
    }
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>9}{:>9}{:>7}{:>11}",
        "microseconds a round", "rounds", "median", "99.9 %", "99.99 %", "longest", "> 100", "disturbed"
    );
    let few: [(&str, Act); 8] = [
        ("traffic", traffic),
        ("expiry", expiry),
        ("reload that keeps", reload),
        ("reload to a /12", reload_of_addresses),
        ("reload to many rules", reload_of_rules),
        ("reload that sweeps", sweep),
        ("clear", clear),
        ("scrape", scrape),
    ];
    let many: [(&str, Act); 3] =
        [("walk", walk), ("reload of many", reload), ("walk of an empty table", sparse_walk)];
    for (sessions, acts) in [(arguments.sessions, &few[..]), (arguments.walked, &many[..])] {
        let acts: Vec<_> = acts.iter().filter(|(name, _)| name.contains(&arguments.only)).collect();
        if acts.is_empty() {
            continue;
        }
        let mut scene = Scene::new(arguments.mode, sessions)?;
        scene.fill()?;
        for (name, act) in acts {
            let mut runs = Vec::new();
            for run in 1..=arguments.runs {
                let mut rounds = Rounds::default();
                act(&mut scene, &mut rounds)?;
                rounds.describe(&format!("{name}, run {run}"));
                runs.push(rounds);
            }
            let repeatable = Rounds::repeatable(&runs);
            repeatable.describe(&format!("{name}, repeatable"));
            for at in repeatable.over() {
                let took: Vec<String> =
                    runs.iter().map(|run| format!("{:.1}", f64::from(run.took_ns[at]) / 1000.0)).collect();
                println!("  round {at} took {}", took.join(", "));
            }
        }
    }
    Ok(())
}
