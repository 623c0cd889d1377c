//! FTP, DNS and RTSP between TCP hosts through a whole appliance: both sides read what an ideal rewriter makes of what
//! the other said, announced endpoints are reached, and nothing is left over, whatever the network does.

use rand::RngExt;
use testkit::leak::Row;
use testkit::random::generator;
use testkit::simulator::crowd::{Outcome, run};

/// Sessions that talk at the same time.
const CROWD_LEN: usize = 50;

/// Plays crowds; each one's seed is printed with its failure. `PORTICO_SESSION` plays that one alone.
fn play(test: &str, default_seed: u64, count: usize) -> Outcome {
    let only = std::env::var("PORTICO_SESSION").ok().and_then(|seed| seed.parse().ok());
    let mut generator = generator(test, default_seed);
    let mut sum = Outcome::default();
    let mut failed_crowds = 0;
    for _ in 0..if only.is_some() { 1 } else { count / CROWD_LEN } {
        let seed = only.unwrap_or_else(|| generator.random());
        match run(seed, CROWD_LEN) {
            Ok(outcome) => {
                for failure in &outcome.failures {
                    println!("PORTICO_SESSION={seed}: {failure}");
                }
                sum.add(outcome);
            }
            Err(failure) => {
                println!("PORTICO_SESSION={seed}: {failure}");
                failed_crowds += 1;
            }
        }
        assert!(failed_crowds + sum.failures.len() < 20, "too many sessions fail");
    }
    println!("{sum}");
    assert!(
        failed_crowds == 0 && sum.failures.is_empty(),
        "{failed_crowds} crowds, {} sessions",
        sum.failures.len()
    );
    let count: usize = sum.sessions.iter().sum();
    assert!(sum.forgotten * 10 < count, "too few sessions came to their end");
    assert!(sum.edited > 0 && sum.refused > 0 && sum.doors > 0 && sum.tried > 0, "something was not tried");
    let is_shared = [sum.again, sum.shared].as_flattened().iter().all(|count| *count > 0);
    assert!(only.is_some() || is_shared, "no endpoint was announced twice");
    let is_reused = sum.reused.iter().all(|count| *count > 0);
    assert!(only.is_some() || is_reused && sum.forged > 0, "nothing hostile or unlucky happened");
    // Whatever left was looked at, and each thing that may leave with an inside address in it did.
    assert!(sum.looked_at > 0, "nothing left by the outside");
    let may_pass = |row: &Row| *row != Row::SwitchedOff;
    let absent: Vec<_> =
        Row::ALL.into_iter().filter(may_pass).filter(|row| !sum.passed.contains_key(row)).collect();
    assert!(only.is_some() || absent.is_empty(), "{absent:?} passed nothing");
    sum
}

#[test]
fn sessions_read_what_an_ideal_rewriter_writes() {
    let _ = play("gateway_sessions", 1, 3000);
}

/// The same, for a while: `cargo test --release -p dataplane --test gateway_sessions -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn thirty_thousand_sessions_of_each_protocol_in_each_mode() {
    let sum = play("gateway_sessions_long", 2, 350_000);
    let rows = [sum.again, sum.shared];
    assert!(rows.as_flattened().iter().all(|count| *count >= 30_000), "announced again {rows:?}");
    for (all, cgn) in sum.sessions.into_iter().zip(sum.cgn_sessions) {
        assert!(cgn >= 30_000 && all - cgn >= 30_000, "{all} sessions, {cgn} in CGN mode");
    }
}
