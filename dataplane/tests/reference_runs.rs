//! The reference NAT beside the appliance, over seeded random configurations and traffic.

use rand::RngExt;
use testkit::random::generator;
use testkit::reference::drive::Run;

/// Each run is another configuration; all that a run does follows from its seed and the number of workers.
fn run(name: &str, worker_count: usize, run_count: usize) {
    let mut random = generator(name, worker_count as u64);
    let mut packet_count = 0;
    for _ in 0..run_count {
        let outcome = Run::random(random.random(), worker_count, 2500).check();
        packet_count += outcome.unwrap_or_else(|text| panic!("{text}")).packet_count;
    }
    println!("{packet_count} packets with {worker_count} workers");
}

#[test]
fn one_worker_does_what_is_legal() {
    run("one_worker_does_what_is_legal", 1, 150);
}

#[test]
fn two_workers_do_what_is_legal() {
    run("two_workers_do_what_is_legal", 2, 100);
}

#[test]
fn three_workers_do_what_is_legal() {
    run("three_workers_do_what_is_legal", 3, 80);
}

#[test]
fn eight_workers_do_what_is_legal() {
    run("eight_workers_do_what_is_legal", 8, 40);
}
