//! DPDK's side of the start: memory, devices, and each worker's queue pairs of them.
use anyhow::{Context as _, Result, anyhow, bail};
use control::compile::PortBinding;
use control::config::Config;
use control::config::InterfaceName;
use control::config::model::Place;
use control::means::MEMORY_MIB_DEFAULT;
use dataplane::port::Ports;
use dataplane::port::device::Device as _;
use dataplane_dpdk::{Device, DeviceOptions, Eal, EalOptions, LogLevel, Mempool};

/// DPDK's environment with the workers' packet buffers.
pub struct Memory {
    /// The environment.
    pub eal: Eal,
    mempools: Vec<Mempool>,
}

/// `FILE:LINE` of a statement.
pub fn place_of(config: &Config, place: Place) -> String {
    match place.line {
        0 => config.source.file.clone(),
        line => format!("{}:{line}", config.source.file),
    }
}

/// Refuses what the machine's cores cannot do, before anything is started.
///
/// # Errors
/// More workers than cores, or cores that this process may not run on.
pub fn check_cores(config: &Config, worker_count: usize) -> Result<()> {
    let place = place_of(config, config.platform.place);
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let list: Vec<String> = cores.iter().map(|core| core.id.to_string()).collect();
    let list = list.join(",");
    if worker_count > cores.len() {
        bail!(
            "{place}: {worker_count} workers, but this process may run on {} cores ({list}); lower 'workers' under \
             'platform dpdk'",
            cores.len()
        );
    }
    let wanted = config.platform.cores.iter();
    if let Some(core) = wanted.copied().find(|&wanted| !cores.iter().any(|c| c.id == usize::from(wanted))) {
        bail!(
            "{place}: this process may not run on core {core}, only on {list}; change 'cores' under 'platform dpdk'"
        );
    }
    Ok(())
}

/// Starts DPDK and reserves the workers' packet buffers.
///
/// # Errors
/// When memory is short, or the process may not do this.
pub fn open_memory(config: &Config, worker_count: usize) -> Result<Memory> {
    let options = EalOptions {
        memory_mib: config.platform.memory_mib.unwrap_or(MEMORY_MIB_DEFAULT) as usize,
        hugepages: config.platform.hugepages,
        devices: config.interfaces.iter().filter_map(|interface| interface.device.clone()).collect(),
        log_level: LogLevel::Warning,
        log: |level, text| match level {
            LogLevel::Error => tracing::error!(mnemonic = "DPDK-3-ERROR", "{text}"),
            LogLevel::Warning => tracing::warn!(mnemonic = "DPDK-4-WARNING", "{text}"),
            _ => tracing::debug!(mnemonic = "DPDK-7-MESSAGE", "{text}"),
        },
        ..EalOptions::default()
    };
    let place = || place_of(config, config.platform.place);
    let eal = Eal::start(&options).with_context(place)?;
    let count = Mempool::count_for(eal, worker_count);
    let core = |worker: usize| config.platform.cores.get(worker).map(|&core| usize::from(core));
    let mempools: Result<Vec<Mempool>, _> =
        (0..worker_count).map(|worker| Mempool::create(eal, count, core(worker))).collect();
    Ok(Memory { eal, mempools: mempools.with_context(place)? })
}

/// Opens the device of every interface that names one.
///
/// # Errors
/// The first that cannot be opened, with its line.
pub fn open_devices(config: &Config, memory: &Memory) -> Result<Vec<(InterfaceName, Device)>> {
    let mut devices = Vec::new();
    for interface in &config.interfaces {
        let Some(devargs) = &interface.device else { continue };
        let options =
            DeviceOptions { mempools: memory.mempools.clone(), mac: interface.mac_address.map(|mac| mac.0) };
        let place = || format!("{}: interface {}", place_of(config, interface.place), interface.name);
        let device = Device::open(memory.eal, devargs, &options).with_context(place)?;
        let (queues, workers) = (device.queue_count(), memory.mempools.len());
        if queues < workers {
            bail!(
                "{}: device {devargs} has {queues} queue pair(s) for {workers} workers; lower 'workers' under \
                 'platform dpdk', or give the device more, as with 'qpairs={workers}' for net_af_packet",
                place()
            );
        }
        devices.push((interface.name.clone(), device));
    }
    if devices.is_empty() {
        bail!("{}: no interface has a 'device'; there is nothing to forward between", config.source.file);
    }
    Ok(devices)
}

/// The ports of the devices in order, and each worker's queue pairs of them.
///
/// # Errors
/// When a device has no queue pair for a worker.
pub fn attach(
    devices: &[(InterfaceName, Device)],
    memory: &Memory,
) -> Result<(Vec<PortBinding>, Vec<Ports>)> {
    let binding = |(interface, device): &(InterfaceName, Device)| PortBinding {
        interface: interface.clone(),
        mac: Some(device.mac()),
        has_link: device.link_is_up(),
    };
    let mut queues = Vec::new();
    for (worker, mempool) in memory.mempools.iter().enumerate() {
        let mut ports = Ports::new();
        for (index, (interface, device)) in devices.iter().enumerate() {
            let port = device.queue(worker, mempool, index);
            let port = port.ok_or_else(|| anyhow!("{interface} has no queue for worker {worker}"))?;
            ports.push(Box::new(port));
        }
        queues.push(ports);
    }
    Ok((devices.iter().map(binding).collect(), queues))
}
