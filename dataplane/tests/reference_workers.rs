//! While no pool, quota or table is full, verdicts are the same for every number of workers.

use rand::RngExt;
use testkit::random::generator;
use testkit::reference::drive::Run;
use testkit::reference::facts::Dynamic;

/// Every packet is compared with what the reference says byte for byte, whatever port was chosen; so that the same verdicts
/// are the same packets but for those ports.
#[test]
fn verdicts_are_the_same_for_every_number_of_workers() {
    let mut random = generator("verdicts_are_the_same_for_every_number_of_workers", 3);
    let mut packet_count = 0;
    for _ in 0..25 {
        let mut run = Run::random(random.random(), 1, 1500);
        if matches!(run.facts.dynamic, Dynamic::Whole(_)) {
            continue;
        }
        run.is_comparable = true;
        let facts = &mut run.facts;
        (facts.per_host_max, facts.all_max, facts.paired_max) = (None, None, None);
        (facts.room, facts.hold_down_ms, facts.interface_range) = (16_384, 0, None);
        let mut logs = [1, 2, 3, 8].map(|worker_count| {
            run.facts.worker_count = worker_count;
            let outcome = run.check().unwrap_or_else(|text| panic!("{text}"));
            packet_count += outcome.packet_count;
            (worker_count, outcome.log)
        });
        let (_, one) = std::mem::take(&mut logs[0]);
        for (worker_count, log) in &logs[1..] {
            let differing = one.iter().zip(log).find(|(one, other)| one != other);
            let Some((one, other)) = differing else {
                assert_eq!(one.len(), log.len(), "seed {}: with 1 and {worker_count} workers", run.seed);
                continue;
            };
            let stories = [1, *worker_count].map(|worker_count| {
                run.facts.worker_count = worker_count;
                run.story(one.0)
            });
            panic!(
                "seed {}: {one:?} with one worker, {other:?} with {worker_count}\n{}\n{}\n---\n{}",
                run.seed,
                run.facts.config(),
                stories[0],
                stories[1]
            );
        }
    }
    println!("{packet_count} packets");
}
