//! The control thread: it leads the workers, and answers whoever asks.
use std::path::Path;
use std::time::{Duration, Instant};

use control::appliance::Appliance;
use control::cli;
use control::config::Config;
use control::fault::spared;
use control::metrics::Page;
use control::watch::Watch;
use crossbeam::channel::{Receiver, Select};

use crate::jobs::{COMMANDS_MAX, Jobs};
use crate::reload::{Prepared, Reload};
use crate::request::{Orders, Piece, Request};
use crate::watchdog::Heartbeat;

/// How long the control thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(50);
/// And while a reload is under way.
const RELOADING: Duration = Duration::from_millis(1);
/// How often the devices' links are looked at, in milliseconds.
const LINKS_EVERY_MS: u64 = 200;
/// Pages of metrics under way at once.
const PAGES_MAX: usize = 8;
/// Requests begun in one turn.
const REQUESTS_PER_TURN: usize = 16;
/// Mistakes of a configuration that the log has one by one.
const MISTAKES_MAX: usize = 20;

/// The control thread.
pub struct Leader<'a> {
    appliance: Appliance,
    inbox: Receiver<Request>,
    config_path: &'a Path,
    started: Instant,
    orders: Orders,
    reload: Option<Reload>,
    commands: Jobs,
    pages: Jobs,
    watch: Watch,
    links_due_ms: u64,
}

impl<'a> Leader<'a> {
    /// Of an appliance whose workers forward, for who asks through the inbox and by orders.
    pub fn new(
        appliance: Appliance,
        inbox: Receiver<Request>,
        orders: Orders,
        config_path: &'a Path,
        started: Instant,
    ) -> Leader<'a> {
        let (commands, pages) = (Jobs::new(COMMANDS_MAX), Jobs::new(PAGES_MAX));
        let (watch, links_due_ms) = (Watch::default(), 0);
        let reload = None;
        Leader {
            appliance,
            inbox,
            config_path,
            started,
            orders,
            reload,
            commands,
            pages,
            watch,
            links_due_ms,
        }
    }

    /// Handles what workers tell and what others ask, until it is told to stop; returns by which signal.
    pub fn lead(mut self, heartbeat: &Heartbeat) -> &'static str {
        let mut pause = IDLE;
        loop {
            self.wait(pause);
            if let Ok(signal) = self.orders.stop.try_recv() {
                return signal;
            }
            pause = self.turn();
            heartbeat.beat();
        }
    }

    /// Waits until there is something to do, for so long at most.
    fn wait(&self, pause: Duration) {
        let mut select = Select::new();
        select.recv(self.appliance.events());
        select.recv(&self.inbox);
        select.recv(&self.orders.stop);
        if self.reload.is_none() {
            select.recv(&self.orders.reload);
        }
        let _ = select.ready_timeout(pause);
    }

    /// A turn of everything that goes on, each part spared by the panics of the others. Returns how long to pause at most.
    fn turn(&mut self) -> Duration {
        let now_ms = self.started.elapsed().as_millis() as u64;
        if now_ms >= self.links_due_ms {
            self.links_due_ms = now_ms + LINKS_EVERY_MS;
            spared(|| self.note_links());
        }
        spared(|| self.appliance.step(now_ms));
        spared(|| self.watch.look(&mut self.appliance));
        spared(|| self.reload());
        for _ in 0..REQUESTS_PER_TURN {
            let Ok(request) = self.inbox.try_recv() else { break };
            spared(|| self.handle(request, now_ms));
        }
        let wanted = [
            self.commands.advance(&mut self.appliance),
            self.pages.advance(&mut self.appliance),
            self.reload.as_ref().map(|_| RELOADING),
        ];
        wanted.into_iter().flatten().min().unwrap_or(IDLE)
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

    /// Begins a reload that is wanted, and goes on with one under way.
    fn reload(&mut self) {
        let Some(reload) = &mut self.reload else {
            if self.orders.reload.try_recv().is_ok() {
                match Reload::begin(self.config_path, &self.appliance) {
                    Ok(reload) => self.reload = Some(reload),
                    Err(error) => self.refuse(&[format!("{error:#}")]),
                }
            }
            return;
        };
        let Some(outcome) = reload.advance(&self.appliance) else { return };
        self.reload = None;
        match outcome {
            Ok(prepared) => self.take_over(prepared),
            Err(mistakes) => self.refuse(&mistakes),
        }
    }

    fn refuse(&mut self, mistakes: &[String]) {
        self.appliance.operation.reloads_refused += 1;
        for mistake in mistakes.iter().take(MISTAKES_MAX) {
            tracing::error!(mnemonic = "PARSER-3-ERROR", "{mistake}");
        }
        tracing::error!(
            mnemonic = "SYS-3-CONFIG_REFUSED",
            "{} is not applied; the configuration in force stays",
            self.config_path.display()
        );
    }

    fn take_over(&mut self, prepared: Prepared) {
        let Prepared { config, compiled, found, usages, .. } = prepared;
        let needs_restart = needs_restart(&self.appliance.config, &config);
        let in_use = self.appliance.rules_in_use(&usages);
        self.appliance.take_over(config, compiled);
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
        self.appliance.operation.reloads_done += 1;
        let file = self.config_path.display();
        tracing::info!(mnemonic = "SYS-5-CONFIG_I", "Configured from {file} by SIGHUP");
    }
}

/// Whether a configuration differs in what is fixed while the program runs.
fn needs_restart(old: &Config, new: &Config) -> bool {
    let devices = |config: &Config| {
        let device = |interface: &control::config::model::Interface| {
            interface.device.clone().map(|device| (interface.name.clone(), device, interface.mac_address))
        };
        config.interfaces.iter().filter_map(device).collect::<Vec<_>>()
    };
    old.platform != new.platform
        || old.prometheus_exporter != new.prometheus_exporter
        || devices(old) != devices(new)
}
