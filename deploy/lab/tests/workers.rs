//! Two workers over a pair of af_packet devices with two queue pairs each carry what one worker carries, and hand each
//! other what the kernel's hash brought to the wrong one.

use lab::address::SERVER;
use lab::{Lab, Peer, Plan, Rules, scenario, session, table, turn};
use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

const HANDED_OVER: &str = "portico_worker_handed_over_packets_total";
const TAKEN_OVER: &str = "portico_worker_taken_over_packets_total";

fn build(rules: Rules) -> Lab {
    let rules = Rules { worker_count: 2, ..rules };
    Lab::build(&Plan { rules, ..Plan::new(Peer::Portico) }).expect("the lab")
}

fn samples(lab: &Lab) -> BTreeMap<String, f64> {
    table::samples(&lab.gateway.appliance().metrics().expect("metrics")).expect("samples")
}

fn of_worker(samples: &BTreeMap<String, f64>, name: &str, worker: u32) -> f64 {
    samples[&format!("{name}{{worker=\"{worker}\"}}")]
}

fn sum(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    (0..2).map(|worker| of_worker(samples, name, worker)).sum()
}

/// The metrics once no packet is between the workers, so that what one hands over the other has, and every packet has its
/// fate.
fn settled(lab: &Lab) -> BTreeMap<String, f64> {
    let start = Instant::now();
    loop {
        let samples = samples(lab);
        let has_fates = |worker| {
            let fates = |names: &[&str]| -> f64 {
                let of_worker = |fate| of_worker(&samples, &format!("portico_worker_{fate}"), worker);
                names.iter().map(of_worker).sum()
            };
            fates(&["received_packets_total", "taken_over_packets_total", "generated_packets_total"])
                == fates(&[
                    "sent_packets_total",
                    "consumed_packets_total",
                    "dropped_packets_total",
                    "handed_over_packets_total",
                    "held_packets",
                ])
        };
        if sum(&samples, HANDED_OVER) == sum(&samples, TAKEN_OVER) && (0..2).all(has_fates) {
            return samples;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "packets without a fate: {samples:#?}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_workers_carry_every_scenario() {
    let _turn = turn();
    let lab = build(Rules::routed_pool());
    scenario::ALL.iter().chain(&scenario::HAIRPINS).for_each(|play| play(&lab));
    // Errors of the gateway and of routers behind it, which belong to the flow they quote.
    scenario::hops(&lab);
    let samples = settled(&lab);
    for worker in 0..2 {
        for name in [
            "portico_worker_received_packets_total",
            HANDED_OVER,
            TAKEN_OVER,
            "portico_nat_sessions_created_total",
        ] {
            assert!(
                of_worker(&samples, name, worker) > 0.0,
                "{name} of worker {worker} is zero: {samples:#?}"
            );
        }
    }
}

#[test]
fn two_workers_translate_to_every_kind_of_pool() {
    let _turn = turn();
    for rules in [Rules::connected_pool(), Rules::interface_overload()] {
        scenario::source_addresses(&build(rules));
    }
}

/// Why packets move: a subscriber has one worker, the kernel spreads flows by a hash, and each direction of a flow has
/// its own. So each direction of a ping comes to one queue, and moves as a whole or not at all; all of it is translated
/// by one worker.
#[test]
fn packets_move_to_their_subscribers_worker() {
    let _turn = turn();
    let lab = build(Rules::routed_pool());
    let count = 10;
    let mut owners = BTreeSet::new();
    for host in &lab.hosts {
        // The first one finds the neighbours and is held meanwhile.
        session::ping(&host.namespace, SERVER, 1).expect("ping");
        let before = samples(&lab);
        session::ping(&host.namespace, SERVER, count).expect("ping");
        let after = samples(&lab);
        let grown =
            |name, worker| (of_worker(&after, name, worker) - of_worker(&before, name, worker)) as u32;
        let hits = [0, 1].map(|worker| grown("portico_nat_hits_total", worker));
        let Some(owner) = hits.iter().position(|hits| *hits > 0) else { panic!("no hits") };
        let other = 1 - owner as u32;
        assert_eq!(hits[other as usize], 0, "{} is translated by both workers", host.address);
        let moved = grown(HANDED_OVER, other);
        assert_eq!(moved % count, 0, "{}: a direction of the flow moves in part", host.address);
        assert_eq!(
            grown(HANDED_OVER, owner as u32),
            0,
            "its own worker gives packets of {} away",
            host.address
        );
        println!(
            "{}: worker {owner} translates, {moved} of {} packets came to the other",
            host.address,
            2 * count
        );
        owners.insert(owner);
    }
    assert_eq!(owners.len(), 2, "the hosts are spread over the workers");
}
