//! What it costs that a packet arrives at a worker that does not own it: two workers in two threads, and all packets
//! through the first one's port, which belong to it or to the other. Times are in ticks of the time stamp counter.
#![forbid(unsafe_code)]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use benches::frames::{Kind, Protocol};
use benches::rig::{Load, Mode};
use benches::verify::Verifier;
use clap::Parser;
use control::appliance::Appliance;
use control::compile::Compiled;
use dataplane::flow::Direction;
use dataplane::path::steer::Owners;
use dataplane::port::memory::{Wire, memory_port};
use dataplane::port::{BURST, Port};
use dataplane::worker::Worker;
use mem::Slab;
use mem::tsc;

/// Measures what a hand-over costs both workers.
#[derive(Parser)]
struct Arguments {
    /// The workers' cores.
    #[arg(long, value_delimiter = ',', default_values_t = [0usize, 1])]
    cores: Vec<usize>,
    /// Bursts of each kind.
    #[arg(long, default_value_t = 100_000)]
    bursts: usize,
}

const FLOWS: u32 = 16_384;

/// Ticks a packet of each round that had packets.
#[derive(Default)]
struct Costs(Vec<f32>);

impl Costs {
    fn round(&mut self, worker: &mut Worker) {
        let begun = tsc();
        let count = worker.round(0);
        if count > 0 {
            self.0.push((tsc() - begun) as f32 / count as f32);
        }
    }

    /// The median, which a round that lost its core does not move.
    fn median(&mut self) -> f32 {
        self.0.sort_by(f32::total_cmp);
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }
}

fn drain(wires: &[Wire]) {
    wires.iter().for_each(|wire| while wire.receive().is_some() {});
}

/// Polls and drains until told to stop: the worker that packets are handed to.
fn take_over(mut worker: Worker, wires: &[Wire], stop: &AtomicBool) -> (Worker, Costs) {
    let mut costs = Costs::default();
    while !stop.load(Ordering::Relaxed) {
        costs.round(&mut worker);
        drain(wires);
    }
    (worker, costs)
}

fn send(verifier: &Verifier, wire: &Wire, flows: &[u32]) {
    let template = verifier.frames.template(0, Direction::Outbound, Kind::Data);
    let mut frame = [0; 60];
    for &flow in flows {
        template.write(Protocol::Udp, &mut frame, verifier.flows.tuple(flow), flow, Kind::Data);
        // A full wire loses it; what is counted are packets that arrived.
        let _ = wire.send(&frame);
    }
}

/// Packets handed over and not taken yet.
fn under_way(appliance: &Appliance) -> u64 {
    let of = |worker: usize| &appliance.counters[worker].fates;
    of(0).handed_over.value() - of(1).taken_over.value()
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.cores.len() == 2, "two cores are needed");
    let load =
        Load { mode: Mode::Default, protocol: Protocol::Udp, sessions: FLOWS, addresses: 4, limits: "" };
    let slab = Slab::new(8192, 2048);
    let (mut queues, mut wires) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (own, others): (Vec<_>, Vec<_>) = (0..2).map(|index| memory_port(index, &slab, 1024)).unzip();
        queues.push(own.into_iter().map(|port| Box::new(port) as Box<dyn Port>).collect());
        wires.push(others);
    }
    let (appliance, mut workers) = Load { sessions: 4 * FLOWS, ..load }.start(queues)?;
    let (mut second, mut first) = (workers.pop().context("no worker")?, workers.pop().context("no worker")?);
    let verifier = load.verifier();
    let Compiled { policy, ownership, .. } = &*appliance.compiled;
    let owners = Owners { policy, ownership, receiver: 0, worker_count: 2 };
    let is_of = |worker: u8| {
        let owner = |flow: &u32| owners.of_host(verifier.flows.tuple(*flow).0.address.into()) == worker;
        (0..FLOWS).filter(owner).collect::<Vec<u32>>()
    };
    let (second_wires, first_wires) = (wires.pop().context("no wires")?, wires.pop().context("no wires")?);
    println!("{:<28}{:>16}{:>16}", "ticks a packet", "at the first", "at the owner");
    for (name, flows) in [("its own", is_of(0)), ("the other's", is_of(1))] {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, wires, core) = (Arc::clone(&stop), second_wires.clone(), arguments.cores[1]);
        let other = thread::spawn(move || {
            core_affinity::set_for_current(core_affinity::CoreId { id: core });
            take_over(second, &wires, &stopped)
        });
        core_affinity::set_for_current(core_affinity::CoreId { id: arguments.cores[0] });
        let mut costs = Costs::default();
        for burst in 0..arguments.bursts {
            let start = burst * BURST % (flows.len() / BURST * BURST);
            send(&verifier, &first_wires[0], &flows[start..start + BURST]);
            costs.round(&mut first);
            drain(&first_wires);
            while under_way(&appliance) > BURST as u64 {
                std::hint::spin_loop();
            }
        }
        stop.store(true, Ordering::Relaxed);
        let (worker, mut taken) = other.join().map_err(|_| anyhow::anyhow!("the other worker failed"))?;
        second = worker;
        println!("{name:<28}{:>16.0}{:>16.0}", costs.median(), taken.median());
    }
    let handed: u64 = appliance.counters.iter().map(|counters| counters.fates.handed_over.value()).sum();
    let lost: u64 = appliance.counters.iter().map(|counters| counters.fates.dropped.value()).sum();
    println!("{handed} handed over, {lost} dropped");
    Ok(())
}
