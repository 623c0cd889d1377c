//! `portico run`: devices, worker threads, and the control thread that leads them.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use crossbeam::channel::{Receiver, Select, Sender, bounded};
use dataplane::port::Ports;
use dataplane::worker::{Worker, WorkerSetup};
use dataplane_dpdk::{Device, DeviceOptions, Eal, EalOptions, LogLevel, Mempool};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::appliance::{Appliance, Threads};
use crate::cli;
use crate::compile::PortBinding;
use crate::config::{Config, Severity, lint, parse};
use crate::{metrics, socket};

/// Memory for packets unless `memory` says otherwise, in MiB.
const MEMORY_MIB_DEFAULT: u32 = 512;
/// How long the control thread sleeps when nothing happens.
const IDLE: Duration = Duration::from_millis(50);
/// How often the devices' links are looked at, in milliseconds.
const LINKS_EVERY_MS: u64 = 200;
/// Rounds without a packet after which a worker that shares its core rests, and for how long.
const IDLE_ROUNDS: u32 = 2000;
const REST: Duration = Duration::from_micros(50);

/// What other threads ask of the control thread.
pub enum Request {
    /// An exec command.
    Exec(String, Sender<Result<String, String>>),
    /// The metrics page.
    Metrics(Sender<String>),
    /// Read the configuration file again.
    Reload,
    /// Stop.
    Stop,
}

/// Reads a configuration file, and reports what is wrong or remarkable about it.
///
/// # Errors
/// When it cannot be read, or has mistakes: each is told on the standard error.
pub fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))?;
    let name = path.display().to_string();
    let (config, found) = match parse(&name, &text) {
        Ok(config) => {
            let found = lint(&config);
            (Some(config), found)
        }
        Err(found) => (None, found),
    };
    found.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
    let has_errors = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    config
        .filter(|_| !has_errors)
        .ok_or_else(|| anyhow!("{name}: not usable as it stands; nothing of it is applied"))
}

/// Runs the appliance until it is told to stop.
///
/// # Errors
/// When it cannot start: what is missing, and what to do about it.
pub fn run(config_path: &Path, socket_path: &Path) -> Result<()> {
    let started = Instant::now();
    let config = load(config_path)?;
    let listener = socket::listen(socket_path)?;
    let _removal = RemoveOnDrop(socket_path.into());
    let exporter = config.prometheus_exporter.map(|exporter| open_exporter(exporter.socket)).transpose()?;

    let worker_count = usize::from(config.platform.workers.unwrap_or(1));
    let cores = config.platform.cores.clone();
    let memory = open_memory(&config, worker_count)?;
    let devices = open_devices(&config, &memory)?;
    let (bindings, queues) = attach(&devices, &memory, worker_count)?;
    let (mut appliance, setups) = Appliance::new(config, bindings, queues, rand::random())
        .map_err(|errors| told(&errors, config_path))?;

    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = Vec::new();
    for setup in setups {
        let core = cores.get(usize::from(setup.index)).map(|&core| usize::from(core));
        workers.push(start_worker(memory.eal, setup, core, started, Arc::clone(&stop))?);
    }
    let (requests, inbox) = bounded(64);
    start_servers(listener, exporter, &requests)?;
    println!("ready");
    tracing::info!("forwarding with {worker_count} worker(s) on {} port(s)", devices.len());
    lead(&mut appliance, &devices, &inbox, config_path, started);

    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker had panicked"))?;
    }
    tracing::info!("stopped");
    Ok(())
}

fn told(errors: &[crate::config::Diagnostic], path: &Path) -> anyhow::Error {
    errors.iter().for_each(|error| eprintln!("{error}"));
    anyhow!("{}: asks for what cannot be done; nothing of it is applied", path.display())
}

/// Removes the socket file at the end.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// DPDK's environment with the workers' packet buffers.
struct Memory {
    eal: Eal,
    mempools: Vec<Mempool>,
}

fn open_memory(config: &Config, worker_count: usize) -> Result<Memory> {
    let options = EalOptions {
        memory_mib: config.platform.memory_mib.unwrap_or(MEMORY_MIB_DEFAULT) as usize,
        hugepages: config.platform.hugepages,
        devices: config.interfaces.iter().filter_map(|interface| interface.device.clone()).collect(),
        log_level: LogLevel::Warning,
        log: |level, text| match level {
            LogLevel::Error => tracing::error!("dpdk: {text}"),
            LogLevel::Warning => tracing::warn!("dpdk: {text}"),
            _ => tracing::debug!("dpdk: {text}"),
        },
        ..EalOptions::default()
    };
    let eal = Eal::start(&options)?;
    let count = Mempool::count_for(eal, worker_count);
    let core = |worker: usize| config.platform.cores.get(worker).map(|&core| usize::from(core));
    let mempools: Result<Vec<Mempool>, _> =
        (0..worker_count).map(|worker| Mempool::create(eal, count, core(worker))).collect();
    Ok(Memory { eal, mempools: mempools? })
}

/// A device with the interface it belongs to.
struct OpenDevice {
    interface: crate::config::InterfaceName,
    device: Device,
}

fn open_devices(config: &Config, memory: &Memory) -> Result<Vec<OpenDevice>> {
    let mut devices = Vec::new();
    for interface in &config.interfaces {
        let Some(devargs) = &interface.device else { continue };
        let options =
            DeviceOptions { mempools: memory.mempools.clone(), mac: interface.mac_address.map(|mac| mac.0) };
        let device = Device::open(memory.eal, devargs, &options).with_context(|| {
            format!("{}:{}: interface {}", config.source.file, interface.place.line, interface.name)
        })?;
        devices.push(OpenDevice { interface: interface.name.clone(), device });
    }
    if devices.is_empty() {
        bail!("{}: no interface has a 'device'; there is nothing to forward between", config.source.file);
    }
    Ok(devices)
}

/// The ports of the devices in order, and each worker's queue pairs of them.
fn attach(
    devices: &[OpenDevice],
    memory: &Memory,
    worker_count: usize,
) -> Result<(Vec<PortBinding>, Vec<Ports>)> {
    let bindings = devices
        .iter()
        .map(|open| PortBinding {
            interface: open.interface.clone(),
            mac: Some(open.device.mac()),
            has_link: open.device.link_is_up(),
        })
        .collect();
    let mut queues = Vec::new();
    for worker in 0..worker_count {
        let mut ports = Ports::new();
        for (index, open) in devices.iter().enumerate() {
            let port = open
                .device
                .queue(worker, &memory.mempools[worker], index)
                .ok_or_else(|| anyhow!("{} has fewer queues than there are workers", open.interface))?;
            ports.push(Box::new(port));
        }
        queues.push(ports);
    }
    Ok((bindings, queues))
}

fn start_worker(
    eal: Eal,
    setup: WorkerSetup,
    core: Option<usize>,
    started: Instant,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    let name = format!("worker-{}", setup.index);
    let (ready, is_ready) = bounded::<Result<(), String>>(1);
    let body = move || {
        if core.is_some_and(|id| !core_affinity::set_for_current(core_affinity::CoreId { id })) {
            let _ =
                ready.send(Err(format!("cannot run on core {core:?}; check 'cores' under 'platform dpdk'")));
            return;
        }
        let _registration = match eal.register_worker_thread() {
            Ok(registration) => registration,
            Err(error) => {
                let _ = ready.send(Err(error.to_string()));
                return;
            }
        };
        let mut worker = Worker::new(setup, clock_ms(started));
        worker.round(clock_ms(started));
        let _ = ready.send(Ok(()));
        poll(&mut worker, core.is_some(), started, &stop);
    };
    let handle = std::thread::Builder::new().name(name).spawn(body)?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(handle),
        Ok(Err(error)) => bail!("a worker cannot start: {error}"),
        Err(_) => bail!("a worker ended while it started"),
    }
}

/// The worker's clock: it wraps around after 49 days, which the worker expects.
fn clock_ms(started: Instant) -> u32 {
    started.elapsed().as_millis() as u32
}

/// Polls until told to stop. A worker with a core of its own never rests.
fn poll(worker: &mut Worker, has_core: bool, started: Instant, stop: &AtomicBool) {
    let mut idle_rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        if worker.round(clock_ms(started)) > 0 {
            idle_rounds = 0;
            continue;
        }
        idle_rounds += 1;
        if idle_rounds > IDLE_ROUNDS && !has_core {
            std::thread::sleep(REST);
        } else {
            std::hint::spin_loop();
        }
    }
}

fn open_exporter(address: SocketAddrV4) -> Result<tiny_http::Server> {
    tiny_http::Server::http(address).map_err(|error| {
        anyhow!("cannot serve metrics on {address}: {error}; change 'prometheus exporter', or stop who uses the port")
    })
}

fn start_servers(
    listener: std::os::unix::net::UnixListener,
    exporter: Option<tiny_http::Server>,
    requests: &Sender<Request>,
) -> Result<()> {
    let to_socket = requests.clone();
    std::thread::Builder::new().name("socket".into()).spawn(move || socket::serve(&listener, &to_socket))?;
    if let Some(exporter) = exporter {
        let to_metrics = requests.clone();
        std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || serve_metrics(&exporter, &to_metrics))?;
    }
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let to_signals = requests.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let request = if signal == SIGHUP { Request::Reload } else { Request::Stop };
            if to_signals.send(request).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn serve_metrics(server: &tiny_http::Server, requests: &Sender<Request>) {
    for request in server.incoming_requests() {
        let answered = if request.url() == "/metrics" {
            let (sender, receiver) = bounded(1);
            let text = requests.send(Request::Metrics(sender)).ok().and_then(|()| receiver.recv().ok());
            request.respond(tiny_http::Response::from_string(text.unwrap_or_default()))
        } else {
            request
                .respond(tiny_http::Response::from_string("metrics are at /metrics\n").with_status_code(404))
        };
        if let Err(error) = answered {
            tracing::debug!("metrics connection: {error}");
        }
    }
}

/// The control thread: handles what workers tell and what others ask, until it is told to stop.
fn lead(
    appliance: &mut Appliance,
    devices: &[OpenDevice],
    inbox: &Receiver<Request>,
    config_path: &Path,
    started: Instant,
) {
    let mut links_due_ms = 0;
    loop {
        let mut select = Select::new();
        select.recv(appliance.events());
        select.recv(inbox);
        let _ = select.ready_timeout(IDLE);
        drop(select);
        let now_ms = started.elapsed().as_millis() as u64;
        if now_ms >= links_due_ms {
            let links: Vec<bool> = devices.iter().map(|open| open.device.link_is_up()).collect();
            appliance.note_links(&links);
            links_due_ms = now_ms + LINKS_EVERY_MS;
        }
        appliance.step(now_ms);
        while let Ok(request) = inbox.try_recv() {
            match request {
                Request::Exec(line, reply) => {
                    let mut context = cli::Context { appliance, answering: &mut Threads, now_ms };
                    let _ = reply.send(cli::execute(&mut context, &line));
                }
                Request::Metrics(reply) => drop(reply.send(metrics::render(appliance))),
                Request::Reload => reload(appliance, config_path),
                Request::Stop => return,
            }
        }
    }
}

fn reload(appliance: &mut Appliance, config_path: &Path) {
    let reloaded = load(config_path)
        .and_then(|config| appliance.reconfigure(config).map_err(|errors| told(&errors, config_path)));
    match reloaded {
        Ok(()) => tracing::info!("configuration reloaded from {}", config_path.display()),
        Err(error) => tracing::error!("configuration not reloaded, the old one stays in force: {error:#}"),
    }
}
