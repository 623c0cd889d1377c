//! `portico run`: the start, and the control thread that leads the workers.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use crossbeam::channel::{Receiver, Select, bounded};

use crate::appliance::{Answering, Appliance};
use crate::cli;
use crate::config::{Config, Diagnostic, Severity, lint, parse};
use crate::devices::{attach, check_cores, check_memory, open_devices, open_memory};
use crate::jobs::{COMMANDS_MAX, Jobs};
use crate::log::{Log, say};
use crate::metrics::Page;
use crate::request::{Orders, Piece, Request};
use crate::serve::{catch_signals, open_exporter, serve_metrics};
use crate::socket::CommandSocket;
use crate::watch::Watch;
use crate::workers::Workers;

/// How long the control thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(50);
/// How long it waits for a worker's answer at a time.
const WAITING: Duration = Duration::from_micros(200);
/// How often the devices' links are looked at, in milliseconds.
const LINKS_EVERY_MS: u64 = 200;
/// Pages of metrics under way at once.
const PAGES_MAX: usize = 8;
/// Requests begun in one turn.
const REQUESTS_PER_TURN: usize = 16;
/// Mistakes of a configuration that the log has one by one.
const MISTAKES_MAX: usize = 20;

/// Reads a configuration file: the configuration, or none when there are mistakes, and what there is to say of it.
///
/// # Errors
/// When it cannot be read.
fn read(path: &Path) -> Result<(Option<Config>, Vec<Diagnostic>)> {
    let text = std::fs::read(path).with_context(|| {
        format!(
            "cannot read the configuration {}; give --config a file that is there and readable",
            path.display()
        )
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| anyhow!("{}: the configuration is no text in UTF-8", path.display()))?;
    let (config, mut found) = match parse(&path.display().to_string(), &text) {
        Ok(config) => {
            let found = lint(&config);
            (Some(config), found)
        }
        Err(found) => (None, found),
    };
    // What a file does without is for who checks it, not for each start.
    found.retain(|diagnostic| diagnostic.severity != Severity::Note);
    let has_errors = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Ok((config.filter(|_| !has_errors), found))
}

/// Reads a configuration file, and tells the standard error what is wrong or remarkable about it.
///
/// # Errors
/// When it cannot be read, or has mistakes.
pub fn load(path: &Path) -> Result<Config> {
    let (config, found) = read(path)?;
    found.iter().for_each(say);
    config.ok_or_else(|| anyhow!("{}: not usable as it stands; nothing of it is applied", path.display()))
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it cannot start: what is missing, and what to do about it.
pub fn run(config_path: &Path, socket_path: &Path) -> Result<()> {
    let started = Instant::now();
    let orders = catch_signals()?;
    let config = load(config_path)?;
    let log = Log::start().context("no thread for the log")?;
    log.configure(&config);
    let done = start(config, config_path, socket_path, &log, orders, started);
    log.flush();
    done
}

fn start(
    config: Config,
    config_path: &Path,
    socket_path: &Path,
    log: &Log,
    orders: Orders,
    started: Instant,
) -> Result<()> {
    let worker_count = usize::from(config.platform.workers.unwrap_or(1));
    check_cores(&config, worker_count)?;
    check_memory(&config)?;
    let socket = CommandSocket::open(socket_path)?;
    let exporter = open_exporter(&config)?;
    let cores = config.platform.cores.clone();
    let memory = open_memory(&config, worker_count)?;
    let devices = open_devices(&config, &memory)?;
    let (bindings, queues) = attach(&devices, &memory)?;
    let (mut appliance, setups) =
        Appliance::new(config, bindings, queues, rand::random()).map_err(|errors| {
            errors.iter().for_each(say);
            anyhow!("{}: asks for what cannot be done; nothing of it is applied", config_path.display())
        })?;
    appliance.operation.started_at = SystemTime::now() - started.elapsed();
    appliance.operation.devices = devices;
    appliance.operation.log = Some(log.clone());

    tracing::info!(mnemonic = "SYS-5-RESTART", "Portico {} starts", env!("CARGO_PKG_VERSION"));
    let workers = Workers::start(memory.eal, setups, &cores, started)?;
    let (requests, inbox) = bounded(64);
    socket.serve(&requests)?;
    exporter.map(|exporter| serve_metrics(exporter, requests)).transpose()?;
    let port_count = appliance.operation.devices.len();
    tracing::info!(
        mnemonic = "SYS-5-READY",
        "Forwarding with {worker_count} worker(s) on {port_count} port(s)"
    );
    // Nobody may be listening.
    let _ = writeln!(std::io::stdout(), "ready");

    let (commands, pages) = (Jobs::new(COMMANDS_MAX), Jobs::new(PAGES_MAX));
    let mut leader = Leader { appliance, inbox, config_path, started, orders, commands, pages };
    let signal = leader.lead();
    tracing::info!(mnemonic = "SYS-5-STOP", "Stopped by {signal}");
    workers.stop()
}

/// Workers that run in threads of their own: waiting is enough.
struct Threads {
    started: Instant,
}

impl Answering for Threads {
    fn let_work(&mut self) -> u64 {
        std::thread::sleep(WAITING);
        elapsed_ms(self.started)
    }
}

fn elapsed_ms(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}

/// The control thread.
struct Leader<'a> {
    appliance: Appliance,
    inbox: Receiver<Request>,
    config_path: &'a Path,
    started: Instant,
    orders: Orders,
    commands: Jobs,
    pages: Jobs,
}

impl Leader<'_> {
    /// Handles what workers tell and what others ask, until it is told to stop; returns by which signal.
    fn lead(&mut self) -> &'static str {
        let mut watch = Watch::default();
        let mut links_due_ms = 0;
        let mut pause = IDLE;
        loop {
            let mut select = Select::new();
            select.recv(self.appliance.events());
            select.recv(&self.inbox);
            select.recv(&self.orders.stop);
            select.recv(&self.orders.reload);
            let _ = select.ready_timeout(pause);
            drop(select);
            if let Ok(signal) = self.orders.stop.try_recv() {
                return signal;
            }
            let now_ms = elapsed_ms(self.started);
            if now_ms >= links_due_ms {
                self.note_links();
                links_due_ms = now_ms + LINKS_EVERY_MS;
            }
            self.appliance.step(now_ms);
            watch.look(&mut self.appliance);
            if self.orders.reload.try_recv().is_ok() {
                self.reload();
            }
            for _ in 0..REQUESTS_PER_TURN {
                let Ok(request) = self.inbox.try_recv() else { break };
                self.handle(request, now_ms);
            }
            let paused = [self.commands.advance(&mut self.appliance), self.pages.advance(&mut self.appliance)];
            pause = paused.into_iter().flatten().min().unwrap_or(IDLE);
        }
    }

    fn note_links(&mut self) {
        let devices = &self.appliance.operation.devices;
        let links: Vec<bool> = devices.iter().map(|open| open.device.link_is_up()).collect();
        self.appliance.note_links(&links);
    }

    fn handle(&mut self, request: Request, now_ms: u64) {
        match request {
            Request::Exec(line, reply) => match cli::start(&mut self.appliance, &line) {
                Ok(answer) => self.commands.begin(answer, reply, now_ms),
                Err(refusal) => drop(reply.try_send(Piece::Refused(refusal))),
            },
            Request::Metrics(reply) => {
                self.pages.begin(Box::new(Page::ask(&self.appliance)), reply, now_ms);
            }
            Request::Hostname(reply) => {
                let name = self.appliance.config.hostname.clone();
                let _ = reply.try_send(name.unwrap_or_else(|| "portico".into()));
            }
        }
    }

    fn reload(&mut self) {
        let file = self.config_path.display();
        match self.try_reload() {
            Ok(()) => {
                self.appliance.operation.reloads_done += 1;
                tracing::info!(mnemonic = "SYS-5-CONFIG_I", "Configured from {file} by SIGHUP");
            }
            Err(mistakes) => {
                self.appliance.operation.reloads_refused += 1;
                for mistake in mistakes.iter().take(MISTAKES_MAX) {
                    tracing::error!(mnemonic = "PARSER-3-ERROR", "{mistake}");
                }
                tracing::error!(
                    mnemonic = "SYS-3-CONFIG_REFUSED",
                    "{file} is not applied; the configuration in force stays"
                );
            }
        }
    }

    fn try_reload(&mut self) -> Result<(), Vec<String>> {
        let (config, found) = read(self.config_path).map_err(|error| vec![format!("{error:#}")])?;
        let words = |found: &[Diagnostic]| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        let config = config.ok_or_else(|| words(&found))?;
        let needs_restart = needs_restart(&self.appliance.config, &config);
        let in_use = self.appliance.rules_in_use(&mut Threads { started: self.started });
        self.appliance.reconfigure(config).map_err(|errors| words(&errors))?;
        let rules = &self.appliance.compiled.rule_lines;
        for (line, count) in in_use.iter().filter(|(line, _)| !rules.contains_key(line)) {
            tracing::warn!(
                mnemonic = "IPNAT-4-MAPPING_IN_USE",
                "Mapping in use, {count} translations deleted with it: no {line}"
            );
        }
        for warning in found.iter().take(MISTAKES_MAX) {
            tracing::warn!(mnemonic = "PARSER-4-WARNING", "{warning}");
        }
        if needs_restart {
            tracing::warn!(
                mnemonic = "PARSER-4-RESTART",
                "Changes to 'platform dpdk', 'device' and 'prometheus exporter' take effect with the next start"
            );
        }
        if let Some(log) = &self.appliance.operation.log {
            log.configure(&self.appliance.config);
        }
        Ok(())
    }
}

/// Whether a configuration differs in what is fixed while the program runs.
fn needs_restart(old: &Config, new: &Config) -> bool {
    let devices = |config: &Config| {
        let device = |interface: &crate::config::model::Interface| {
            interface.device.clone().map(|device| (interface.name.clone(), device, interface.mac_address))
        };
        config.interfaces.iter().filter_map(device).collect::<Vec<_>>()
    };
    old.platform != new.platform
        || old.prometheus_exporter != new.prometheus_exporter
        || devices(old) != devices(new)
}
