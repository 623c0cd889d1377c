//! `portico run`: the start.
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use control::appliance::Appliance;
use control::change::Startup;
use control::config::Config;
use control::fault::log_panics;
use control::log::{Log, say};
use control::means::available_bytes;
use control::operation::OpenDevice;
use crossbeam::channel::bounded;
use nix::unistd::User;
use sd_notify::NotifyState;

use crate::confine::confine;
use crate::devices::{attach, check_cores, open_devices, open_memory};
use crate::exporter::{open_exporter, serve_metrics};
use crate::leader::Leader;
use crate::privileges::{become_user, find_group, find_user, refuse_further_ones};
use crate::refusals::{Purpose, refusals, refused};
use crate::reload::{judge, read_text};
use crate::request::Orders;
use crate::signals::catch_signals;
use crate::socket::{CommandSocket, Groups};
use crate::startup::Writer;
use crate::watchdog::{self, Heartbeat};
use crate::workers::Workers;

/// Reads a configuration file, and tells the standard error what is wrong or remarkable about it. Returns its text too.
///
/// # Errors
/// When it cannot be read, or has mistakes.
pub fn load(path: &Path) -> Result<(Config, String)> {
    let (file, text) = read_text(path)?;
    let (config, found) = judge(&file, &text);
    found.iter().for_each(say);
    let config = config
        .ok_or_else(|| anyhow!("{}: not usable as it stands; nothing of it is applied", path.display()))?;
    Ok((config, text))
}

/// What `portico run` is told.
pub struct Start<'a> {
    /// The configuration's file.
    pub config: &'a Path,
    /// The command socket.
    pub socket: &'a Path,
    /// The user to become as soon as the devices are open.
    pub user: Option<&'a str>,
    /// The group that may use the socket beside its owner.
    pub change_group: Option<&'a str>,
    /// The group that may look.
    pub view_group: Option<&'a str>,
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it cannot start: what is missing, and what to do about it.
pub fn run(told: &Start) -> Result<()> {
    let started = Instant::now();
    refuse_further_ones()?;
    let user = told.user.map(find_user).transpose()?;
    let group = |name: Option<&str>| name.map(find_group).transpose();
    let groups = Groups { change: group(told.change_group)?, view: group(told.view_group)? };
    let orders = catch_signals()?;
    log_panics();
    let (config, text) = load(told.config)?;
    let log = Log::start().context("no thread for the log")?;
    log.configure(&config);
    let setting = Setting { told, text, user: user.as_ref(), groups: &groups };
    let done = start(config, setting, &log, orders, started);
    log.flush();
    done
}

/// What there is around a configuration at the start.
struct Setting<'a> {
    told: &'a Start<'a>,
    /// The file's text.
    text: String,
    user: Option<&'a User>,
    groups: &'a Groups,
}

fn start(
    config: Config,
    Setting { told, text, user, groups }: Setting,
    log: &Log,
    orders: Orders,
    started: Instant,
) -> Result<()> {
    let worker_count = usize::from(config.platform.workers.unwrap_or(1));
    check_cores(&config, worker_count)?;
    let found = refusals(&config, Purpose::Run, available_bytes());
    if !found.is_empty() {
        return Err(refused(&found, &config.source.file));
    }
    let socket = CommandSocket::open(told.socket, user, groups)?;
    // It is started before there are devices, so that it has none of them open.
    let writer = Writer::start(told.config, user)?.serve().context("no thread for the file")?;
    let exporter = open_exporter(&config)?;
    let cores = config.platform.cores.clone();
    let started_with = Some(Box::new(config.clone()));
    let memory = open_memory(&config, worker_count)?;
    let devices = open_devices(&config, &memory)?;
    let (bindings, queues) = attach(&devices, &memory)?;
    let (mut appliance, setups) = Appliance::new(config, bindings, queues, rand::random())
        .map_err(|errors| refused(&errors, &told.config.display().to_string()))?;
    appliance.note_start(SystemTime::now() - started.elapsed());
    let open = |(interface, device)| OpenDevice { interface, device: Box::new(device) };
    appliance.operation.devices = devices.into_iter().map(open).collect();
    appliance.operation.started_with = started_with;
    appliance.operation.log = Some(log.clone());
    appliance.operation.startup = Some(Startup { path: told.config.into(), text, writer });

    tracing::info!(mnemonic = "SYS-5-RESTART", "Portico {} starts", env!("CARGO_PKG_VERSION"));
    if let Some(user) = user {
        become_user(user, told.config)?;
    }
    confine()?;
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

    let heartbeat = Heartbeat::default();
    watchdog::start(heartbeat.clone(), appliance.counters.clone())?;
    let signal = Leader::new(appliance, inbox, orders, told.config, started).lead(&heartbeat);
    watchdog::tell(&[NotifyState::Stopping]);
    tracing::info!(mnemonic = "SYS-5-STOP", "Stopped by {signal}");
    workers.stop()
}
