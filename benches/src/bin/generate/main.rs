//! The load generator: offers flows to an appliance between two ports, verifies what comes back, and tells how much
//! came back. A JSON line for each phase on the standard output, and a sentence on the standard error.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use benches::drive::{Generator, Outcome, Parts, SetUp};
use benches::frames::{Frames, Link};
use benches::load_port::LoadPort;
use benches::measurement::Measurement;
use benches::preemption::Thread;
use benches::translations::Translations;
use benches::verify::Verifier;
use clap::Parser as _;
use dataplane::port::device::Device as _;
use dataplane_dpdk::{Device, DeviceOptions, Eal, EalOptions, Mempool};

mod arguments;

use arguments::{Arguments, Order, Size};

/// Frame sizes of an Internet mix: 7 small, 4 middling and 1 large of 12.
const IMIX: [usize; 3] = [64, 594, 1500];
const IMIX_PATTERN: [usize; 12] = [0, 0, 1, 0, 1, 0, 2, 0, 1, 0, 1, 0];
/// Our address inside, and the appliance's.
const INSIDE_LINK: Link = ([2, 0, 0, 0, 0, 0x0a], [2, 0, 0, 0, 0, 0x01]);
/// Our address outside, and the appliance's.
const OUTSIDE_LINK: Link = ([2, 0, 0, 0, 0, 0x0b], [2, 0, 0, 0, 0, 0x02]);
/// Packet buffers: those in both ports' rings, and a few. More would only spoil the cache.
const BUFFER_COUNT: usize = 16_384;
/// How long devices may take to connect, and how often that is tried.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
const CONNECT_ATTEMPTS: u32 = 5;
/// How long the appliance may take to notice its links.
const SETTLE: Duration = Duration::from_millis(500);

/// Opens the devices and waits for their links.
fn connect(eal: Eal, devices: &[String; 2], options: &DeviceOptions) -> Result<[Device; 2]> {
    // A memif server sometimes refuses a client's memory (its mmap fails) and takes it the next time.
    for _ in 0..CONNECT_ATTEMPTS {
        let opened = [Device::open(eal, &devices[0], options)?, Device::open(eal, &devices[1], options)?];
        let begun = Instant::now();
        while begun.elapsed() < CONNECT_WITHIN {
            if opened.iter().all(|device| device.link_is_up()) {
                // The appliance looks at its links now and then only, and has no routes before.
                std::thread::sleep(SETTLE);
                return Ok(opened);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    bail!("{} and {} do not both connect", devices[0], devices[1])
}

/// The ports, connected.
fn open(arguments: &Arguments) -> Result<(Eal, [LoadPort; 2])> {
    let devices = arguments.devices();
    let memory_mib = if arguments.no_huge { 256 } else { 96 };
    let eal = Eal::start(&EalOptions {
        memory_mib,
        hugepages: !arguments.no_huge,
        devices: devices.to_vec(),
        ..EalOptions::default()
    })?;
    let mempool = Mempool::create(eal, BUFFER_COUNT, Some(arguments.core))?;
    let options = DeviceOptions { mempools: vec![mempool.clone()], mac: None };
    let opened = connect(eal, &devices, &options)?;
    let port = |at: usize| {
        let port = opened[at].queue(0, &mempool, at).context("a device without queues")?;
        anyhow::Ok(LoadPort::new(port))
    };
    Ok((eal, [port(0)?, port(1)?]))
}

fn generator(arguments: &Arguments) -> Result<(Generator, Eal)> {
    let flows = arguments.flows()?;
    let (eal, ports) = open(arguments)?;
    // The devices are connected by other threads, which have been started by now and stay free to run anywhere.
    if !core_affinity::set_for_current(core_affinity::CoreId { id: arguments.core }) {
        bail!("this program may not run on core {}; choose another with --core", arguments.core);
    }
    let (sizes, pattern): (Vec<usize>, Vec<usize>) = match arguments.size {
        Size::Bytes(bytes) => (vec![bytes], vec![0]),
        Size::Imix => (IMIX.to_vec(), IMIX_PATTERN.to_vec()),
    };
    let frames = Frames::new(arguments.protocol, &sizes, [INSIDE_LINK, OUTSIDE_LINK]);
    let translations = Translations::new(&flows);
    let seed = (arguments.order == Order::Random).then(|| arguments.seed.unwrap_or_else(rand::random));
    if let Some(seed) = seed {
        eprintln!("random order with --seed {seed}");
    }
    let watched = arguments.watch.as_ref().map(|(pid, name)| Thread::find(*pid, name)).transpose()?;
    let parts = Parts {
        ports,
        verifier: Verifier { flows, frames, pool: arguments.pool.clone(), translations },
        pattern,
        seed,
        sample_every: arguments.sample,
        tsc_hz: eal.tsc_hz(),
        watched,
    };
    Ok((Generator::new(parts)?, eal))
}

/// Tells what a phase found.
fn tell(measurement: &Measurement) -> Result<()> {
    eprintln!("{}", measurement.describe());
    println!("{}", serde_json::to_string(measurement)?);
    Ok(())
}

/// What is the same for all phases, and nothing else.
fn blank(arguments: &Arguments, generator: &Generator, phase: &str) -> Measurement {
    Measurement {
        phase: phase.to_owned(),
        flows: generator.verifier().flows.window(),
        protocol: format!("{:?}", arguments.protocol).to_lowercase(),
        size: match arguments.size {
            Size::Bytes(bytes) => bytes.to_string(),
            Size::Imix => "imix".to_owned(),
        },
        seconds: 0.0,
        offered: 0.0,
        forwarded: 0.0,
        lost: 0,
        wrong: generator.wrong(),
        foreign: generator.foreign(),
        ticks: 0.0,
        pushed_back: 0.0,
        churned: 0.0,
        worker: Default::default(),
        own: Default::default(),
    }
}

fn of_set_up(blank: Measurement, found: &SetUp, tsc_hz: f64) -> Measurement {
    let SetUp { seconds, established_at_once, established: _, repeated, worker, own } = *found;
    let per_second = f64::from(established_at_once) / seconds;
    Measurement {
        seconds,
        offered: f64::from(blank.flows) / seconds / 1e6,
        forwarded: per_second / 1e6,
        lost: repeated,
        ticks: tsc_hz * (1.0 - worker.total()) / per_second,
        worker,
        own,
        ..blank
    }
}

fn of_load(blank: Measurement, found: &Outcome, tsc_hz: f64) -> Measurement {
    let Outcome { seconds, offered, forwarded, lost, pushed_back, churned, worker, own } = *found;
    Measurement {
        seconds,
        offered: offered as f64 / seconds / 1e6,
        forwarded: forwarded as f64 / seconds / 1e6,
        lost,
        ticks: tsc_hz * (1.0 - worker.total()) * seconds / (forwarded as f64).max(1.0),
        pushed_back,
        churned: churned as f64 / seconds,
        worker,
        own,
        ..blank
    }
}

/// Runs all phases; returns whether everything was as it should be.
fn run(arguments: &Arguments) -> Result<bool> {
    let (mut generator, eal) = generator(arguments)?;
    let tsc_hz = eal.tsc_hz() as f64;
    let found = generator.set_up(arguments.setup_rate)?;
    tell(&of_set_up(blank(arguments, &generator, "set-up"), &found, tsc_hz))?;
    let window = generator.verifier().flows.window();
    if found.established < window {
        eprintln!("{} of {window} flows could not be established", window - found.established);
    }
    for &phase in &arguments.phases {
        let found = generator.offer(&arguments.load(phase), arguments.warm_up, arguments.seconds)?;
        let name = format!("{phase:?}").to_lowercase();
        tell(&of_load(blank(arguments, &generator, &name), &found, tsc_hz))?;
    }
    let (shared, unstable) = generator.verifier().translations.conflicts();
    if shared + unstable > 0 {
        eprintln!(
            "{shared} global endpoints are shared, and {unstable} flows have another one than their inside endpoint had"
        );
    }
    Ok(generator.wrong() == 0 && shared + unstable == 0 && found.established == window)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("generate: {error:#}");
            ExitCode::from(2)
        }
    }
}
