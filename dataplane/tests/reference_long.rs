//! The long run of the reference NAT beside the appliance: ten million packets, a quarter for each number of workers.
//!
//! `cargo test --release -p dataplane --test reference_long -- --ignored --nocapture`; CONTRIBUTING.md says more.

use std::collections::BTreeMap;

use rand::RngExt;
use testkit::random::generator;
use testkit::reference::drive::Run;

/// Packets for each number of workers.
const PACKET_COUNT: usize = 2_500_000;
/// Packets and waits of one run; each run is another configuration.
const STEP_COUNT: usize = 5000;

fn run(worker_count: usize) {
    let mut random = generator(&format!("reference_long with {worker_count} workers"), worker_count as u64);
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut packet_count, mut run_count) = (0, 0);
    while packet_count < PACKET_COUNT {
        let outcome = Run::random(random.random(), worker_count, STEP_COUNT).check();
        let outcome = outcome.unwrap_or_else(|text| panic!("after {packet_count} packets: {text}"));
        packet_count += outcome.packet_count;
        run_count += 1;
        for (verdict, count) in outcome.verdicts {
            *verdicts.entry(verdict).or_default() += count;
        }
    }
    println!(
        "{worker_count} workers: {packet_count} packets in {run_count} configurations agree; {verdicts:#?}"
    );
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn one_worker() {
    run(1);
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn two_workers() {
    run(2);
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn three_workers() {
    run(3);
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn eight_workers() {
    run(8);
}
