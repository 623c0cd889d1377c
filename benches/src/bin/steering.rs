//! How evenly subscribers spread over workers: the product's own steering, for subscribers of which a few cause much of the
//! traffic. A worker that has more than its share is the limit of the box.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;

use clap::Parser;
use dataplane::path::steer::Owners;
use dataplane::policy::Policy;
use dataplane::state::ports::ownership::Ownership;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng};

/// Simulates the balance of workers; shares are the busiest worker's traffic, in multiples of the average.
#[derive(Parser)]
struct Arguments {
    /// Subscribers, from 100.64.0.0 on.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000u32, 100_000, 1_000_000])]
    subscribers: Vec<u32>,
    /// Workers.
    #[arg(long, value_delimiter = ',', default_values_t = [2u8, 4, 8, 16, 32, 64])]
    workers: Vec<u8>,
    /// Draws of who causes how much.
    #[arg(long, default_value_t = 20)]
    draws: u64,
    /// The first draw's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How much traffic the subscriber of a rank causes.
type Weigh = fn(u32, &mut SmallRng) -> f64;

/// How traffic is spread over subscribers.
const SPREADS: [(&str, Weigh); 4] = [
    ("equal", |_, _| 1.0),
    // Of 100,000, the first tenth has about four fifths.
    ("Zipf, s 1", |rank, _| 1.0 / f64::from(rank + 1)),
    ("Pareto, alpha 1.2", |_, random| (1.0 - random.random::<f64>()).powf(-1.0 / 1.2)),
    ("Pareto, alpha 2", |_, random| (1.0 - random.random::<f64>()).powf(-0.5)),
];

/// The busiest worker's traffic in multiples of the average, and the busiest subscriber's part of all.
fn imbalance(subscribers: u32, workers: u8, weigh: Weigh, seed: u64) -> (f64, f64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut weights: Vec<f64> = (0..subscribers).map(|rank| weigh(rank, &mut random)).collect();
    weights.shuffle(&mut random);
    let (policy, ownership) = (Policy::default(), Ownership::default());
    let owners = Owners { policy: &policy, ownership: &ownership, receiver: 0, worker_count: workers };
    let first = Ipv4Addr::new(100, 64, 0, 0).to_bits();
    let mut loads = vec![0.0; usize::from(workers)];
    for (host, weight) in (first..).zip(&weights) {
        loads[usize::from(owners.of_host(Ipv4Addr::from_bits(host)))] += weight;
    }
    let all: f64 = weights.iter().sum();
    let busiest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    (busiest(&loads) / all * f64::from(workers), busiest(&weights) / all)
}

fn main() {
    let arguments = Arguments::parse();
    println!(
        "busiest worker over average: median of {} draws (worst); seeds from {}",
        arguments.draws, arguments.seed
    );
    for &subscribers in &arguments.subscribers {
        println!("{subscribers} subscribers");
        for (name, weigh) in SPREADS {
            print!("  {name:<18}");
            let mut top = 0.0;
            for &workers in &arguments.workers {
                let draws = arguments.seed..arguments.seed + arguments.draws;
                let mut found: Vec<(f64, f64)> =
                    draws.map(|seed| imbalance(subscribers, workers, weigh, seed)).collect();
                found.sort_by(|a, b| a.0.total_cmp(&b.0));
                top = found.iter().map(|draw| draw.1).sum::<f64>() / found.len() as f64;
                let worst = found.last().map_or(0.0, |draw| draw.0);
                print!("  {workers:>2}: {:.2} ({worst:.2})", found[found.len() / 2].0);
            }
            println!("   busiest subscriber {:.2} %", top * 100.0);
        }
    }
}
