//! The control thread: it leads the workers, and answers whoever asks.
use std::path::Path;
use std::time::{Duration, Instant};

use control::appliance::Appliance;
use control::change::{Change, Revert, Wanted};
use control::cli;
use control::config::needs_restart;
use control::fault::spared;
use control::metrics::Page;
use control::vty::Vty;
use control::watch::Watch;
use crossbeam::channel::{Receiver, Select};
use dataplane::policy::Recomputed;

use crate::jobs::{COMMANDS_MAX, Jobs};
use crate::reload::{Prepared, Reload};
use crate::request::{Orders, Piece, Request, State};
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
/// Lines of a change that the log has.
const CHANGES_MAX: usize = 100;
/// Who has the file read again.
const SIGHUP: &str = "SIGHUP";
const RESTART: &str =
    "Changes to 'platform dpdk', 'device' and 'prometheus exporter' take effect with the next start";

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
        let appliance = &mut self.appliance;
        match request {
            Request::Open(vty, user, role) => appliance.vtys.open(vty, user, role, now_ms),
            Request::Line(vty, line, reply) => match cli::start_at(appliance, vty, &line) {
                Ok(answer) => self.commands.begin(answer, reply, now_ms),
                Err(refusal) => drop(reply.try_send(Piece::Refused(refusal))),
            },
            Request::Complete(vty, line, reply) => {
                drop(reply.try_send(cli::complete_at(appliance, vty, &line)));
            }
            Request::State(id, reply) => {
                if let Some(vty) = appliance.vtys.get(id) {
                    let prompt = vty.prompt(&appliance.config);
                    let Vty { length, width, is_over, .. } = *vty;
                    let _ = reply.try_send(State { prompt, length, width, is_over });
                }
            }
            Request::Close(vty) => appliance.vtys.close(vty),
            Request::Metrics(reply) => self.pages.begin(Box::new(Page::ask(appliance)), reply, now_ms),
            Request::Alive(reply) => drop(reply.try_send(())),
        }
    }

    /// Begins a change of the configuration that is wanted, and goes on with one under way.
    fn reload(&mut self) {
        let Some(reload) = &mut self.reload else {
            if let Some(change) = self.next_change() {
                match Reload::begin(change, self.config_path, &self.appliance) {
                    Ok(reload) => self.reload = Some(reload),
                    Err(change) => self.refuse(change, vec!["no thread for the change".into()]),
                }
            }
            return;
        };
        let Some(outcome) = reload.advance(&self.appliance) else { return };
        let Some(change) = self.reload.take().map(Reload::into_change) else { return };
        match outcome {
            Ok(prepared) => match self.ends(&prepared).filter(|_| !change.is_forced) {
                Some(why) => self.refuse(change, vec![why]),
                None => self.take_over(change, prepared),
            },
            Err(mistakes) => self.refuse(change, mistakes),
        }
    }

    /// What is to be taken over next: what a signal asks for, what was not confirmed in time, or what waits.
    fn next_change(&mut self) -> Option<Change> {
        let operation = &mut self.appliance.operation;
        let forced = |wanted, by: &str| Change {
            wanted,
            by: by.into(),
            is_forced: true,
            revert_after_ms: None,
            reply: None,
        };
        if self.orders.reload.try_recv().is_ok() {
            // Whoever reloads the file means what is in it.
            operation.revert = None;
            return Some(forced(Wanted::File(self.config_path.into()), SIGHUP));
        }
        let now_ms = operation.now_ms;
        if let Some(revert) = operation.revert.take_if(|revert| now_ms >= revert.due_ms) {
            tracing::warn!(
                mnemonic = "SYS-4-CONFIG_REVERT",
                "Changes were not confirmed in time; the configuration before them comes back"
            );
            return Some(forced(Wanted::Config(revert.config), "timer"));
        }
        operation.changes.pop_front()
    }

    /// Why a change needs to be forced, if it does: translations end by it.
    fn ends(&self, prepared: &Prepared) -> Option<String> {
        let rules = &prepared.compiled.rule_lines;
        let in_use = self.appliance.rules_in_use(&prepared.usages);
        let gone: Vec<u32> =
            in_use.iter().filter(|(line, _)| !rules.contains_key(line)).map(|(_, count)| *count).collect();
        let is_other =
            Recomputed::between(&self.appliance.compiled.policy, &prepared.compiled.policy).is_any();
        let count: u32 = in_use.iter().map(|(_, count)| count).sum();
        let forced = "'commit forced' does it all the same, 'abort' gives the changes up";
        if is_other && count > 0 {
            return Some(format!(
                "Up to {count} translation(s) do not match the new mode, port sets or deterministic NAT, and would be \
                 deleted; {forced}"
            ));
        }
        let rules = gone.len();
        let gone: u32 = gone.iter().sum();
        (gone > 0).then(|| {
            format!("Mapping in use: {gone} translation(s) of {rules} rule(s) would be deleted; {forced}")
        })
    }

    fn refuse(&mut self, change: Change, mistakes: Vec<String>) {
        self.appliance.operation.reloads_refused += 1;
        if change.reply.is_none() {
            for mistake in mistakes.iter().take(MISTAKES_MAX) {
                tracing::error!(mnemonic = "PARSER-3-ERROR", "{mistake}");
            }
        }
        tracing::error!(
            mnemonic = "SYS-3-CONFIG_REFUSED",
            "{} is not applied; the configuration in force stays",
            self.origin(&change)
        );
        if let Some(reply) = change.reply {
            let _ = reply.try_send(Err(mistakes.into_iter().map(|mistake| format!("% {mistake}")).collect()));
        }
    }

    /// Where a configuration comes from, for the log.
    fn origin(&self, change: &Change) -> String {
        match (&change.wanted, change.by.as_str()) {
            (Wanted::File(_), SIGHUP) => format!("{} by {SIGHUP}", self.config_path.display()),
            (_, by) => by.to_string(),
        }
    }

    fn take_over(&mut self, change: Change, prepared: Prepared) {
        let Prepared { config, text, compiled, found, changes, usages, .. } = prepared;
        let mut told: Vec<String> = found.iter().take(MISTAKES_MAX).map(ToString::to_string).collect();
        let needs_restart = needs_restart(&self.appliance.config, &config);
        let in_use = self.appliance.rules_in_use(&usages);
        let former = std::mem::take(&mut self.appliance.config);
        self.appliance.take_over(config, compiled);
        let operation = &mut self.appliance.operation;
        let rules = &self.appliance.compiled.rule_lines;
        for (line, count) in in_use.iter().filter(|(line, _)| !rules.contains_key(line)) {
            tracing::warn!(
                mnemonic = "IPNAT-4-MAPPING_IN_USE",
                "Mapping in use, {count} translations deleted with it: no {line}"
            );
        }
        for warning in &told {
            tracing::warn!(mnemonic = "PARSER-4-WARNING", "{warning}");
        }
        if needs_restart {
            tracing::warn!(mnemonic = "PARSER-4-RESTART", "{RESTART}");
            told.push(RESTART.into());
        }
        if let Some(log) = &operation.log {
            log.configure(&self.appliance.config);
        }
        if let Some(after_ms) = change.revert_after_ms {
            // Changes one after the other go back to what was there before the first.
            let config = operation.revert.take().map_or(Box::new(former), |revert| revert.config);
            operation.revert = Some(Revert { config, due_ms: operation.now_ms + after_ms });
            told.push(format!("'configure confirm' within {} minutes keeps the changes", after_ms / 60_000));
        }
        if let (Some(startup), Some(text)) = (&mut operation.startup, text) {
            startup.text = text;
        }
        operation.reloads_done += 1;
        let origin = self.origin(&change);
        for line in changes.iter().take(CHANGES_MAX) {
            tracing::info!(mnemonic = "PARSER-5-CFGLOG_CHANGE", "{line}");
        }
        if changes.len() > CHANGES_MAX {
            tracing::info!(
                mnemonic = "PARSER-5-CFGLOG_CHANGE",
                "and {} lines more",
                changes.len() - CHANGES_MAX
            );
        }
        tracing::info!(mnemonic = "SYS-5-CONFIG_I", "Configured from {origin}");
        if let Some(reply) = change.reply {
            let _ = reply.try_send(Ok(told.into_iter().map(|line| format!("% {line}")).collect()));
        }
    }
}
