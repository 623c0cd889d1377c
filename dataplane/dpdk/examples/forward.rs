//! Cross-connects two devices: what plain forwarding costs, without a packet path in between.
//!
//! `forward DEVARGS DEVARGS [SECONDS]`, for instance
//! `forward net_af_packet0,iface=left net_af_packet1,iface=right`. Runs until it is killed or the time is up,
//! then tells what each device counted. `FORWARD_HUGEPAGES_MIB` gives it huge pages.

use std::time::{Duration, Instant};
use std::{env, process, thread};

use dataplane::port::device::Device as _;
use dataplane::port::{Burst, Port};
use dataplane_dpdk::{Device, DeviceOptions, DpdkError, DpdkPort, Eal, EalOptions, Mempool};

/// Rounds without a frame after which the CPU is left to others for a moment.
const IDLE_ROUNDS_MAX: u32 = 10_000;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (left, right, seconds) = match &arguments[..] {
        [left, right] => (left, right, None),
        [left, right, seconds] => (left, right, seconds.parse().ok()),
        _ => {
            eprintln!("usage: forward DEVARGS DEVARGS [SECONDS]");
            process::exit(2);
        }
    };
    if let Err(error) = forward(left, right, seconds.map(Duration::from_secs_f64)) {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn forward(left: &str, right: &str, duration: Option<Duration>) -> Result<(), DpdkError> {
    let huge_mib = env::var("FORWARD_HUGEPAGES_MIB").ok().and_then(|text| text.parse().ok());
    let memory_mib = huge_mib.unwrap_or(128);
    let devices = vec![left.to_owned(), right.to_owned()];
    let eal = Eal::start(&EalOptions {
        memory_mib,
        hugepages: huge_mib.is_some(),
        devices,
        ..EalOptions::default()
    })?;
    let mempool = Mempool::create(eal, Mempool::count_for(eal, 1).min(32768), None)?;
    let options = DeviceOptions { mempools: vec![mempool.clone()], mac: None };
    let devices = [Device::open(eal, left, &options)?, Device::open(eal, right, &options)?];
    let mut ports: Vec<DpdkPort> = devices
        .iter()
        .enumerate()
        .map(|(index, device)| device.queue(0, &mempool, index).expect("no port has been made yet"))
        .collect();
    let _registered = eal.register_worker_thread()?;
    println!("ready");

    let [left, right] = &mut ports[..] else { unreachable!("two devices") };
    let (mut idle_rounds, mut dropped) = (0, 0);
    let began = Instant::now();
    while duration.is_none_or(|duration| began.elapsed() < duration) {
        for _ in 0..1000 {
            let (moved_right, lost_right) = pass(left, right);
            let (moved_left, lost_left) = pass(right, left);
            dropped += lost_right + lost_left;
            idle_rounds = if moved_right + moved_left == 0 { idle_rounds + 1 } else { 0 };
        }
        if idle_rounds > IDLE_ROUNDS_MAX {
            idle_rounds = 0;
            thread::sleep(Duration::from_micros(100));
        }
    }
    for device in &devices {
        println!("{:?}", device.statistics());
    }
    println!("dropped {dropped} frames in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Moves one burst; returns how many frames were received and how many of them could not be sent.
fn pass(from: &mut DpdkPort, to: &mut DpdkPort) -> (usize, usize) {
    let mut burst = Burst::new();
    from.receive(&mut burst);
    let received = burst.len();
    if received > 0 {
        to.transmit(&mut burst);
    }
    (received, burst.len())
}
