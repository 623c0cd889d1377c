//! Sessions between TCP hosts through a stream: both sides read what an ideal rewriter makes of what the other wrote,
//! whatever the network does.

use rand::RngExt;
use testkit::random::generator;
use testkit::simulator;

/// Plays sessions; each seed is printed with its failure. `PORTICO_SESSION` plays that one alone.
fn play(test: &str, default_seed: u64, count: usize) {
    if let Some(seed) = std::env::var("PORTICO_SESSION").ok().and_then(|seed| seed.parse().ok()) {
        println!("{:?}", simulator::run(seed).unwrap_or_else(|failure| panic!("session {seed}: {failure}")));
        return;
    }
    let mut generator = generator(test, default_seed);
    let (mut time_ms_max, mut packets, mut passed, mut edited, mut acknowledged, mut resent, mut detached) =
        (0, 0, 0, 0, 0, 0, 0);
    let (mut chunks_max, mut forgotten, mut failures) = (0, 0, 0);
    for number in 0..count {
        let seed = generator.random();
        match simulator::run(seed) {
            Ok(outcome) => {
                time_ms_max = outcome.time_ms.max(time_ms_max);
                (packets, passed) = (packets + outcome.packets, passed + outcome.passed);
                edited += outcome.counters.edited;
                acknowledged += outcome.counters.acknowledged;
                resent += outcome.counters.resent;
                forgotten += usize::from(outcome.has_forgotten);
                detached += usize::from(outcome.detached.is_some());
                chunks_max = outcome.chunks_max.max(chunks_max);
            }
            Err(failure) => {
                println!("session {number}, PORTICO_SESSION={seed}: {failure}");
                failures += 1;
            }
        }
        assert!(failures < 20, "too many sessions fail");
    }
    println!(
        "{count} sessions, the longest {time_ms_max} ms; {packets} packets, {passed} went on in place; \
         {edited} messages edited, {acknowledged} acknowledgements made, {resent} segments sent again; \
         {detached} detached, {forgotten} forgotten by a host; {chunks_max} chunks at most"
    );
    assert_eq!(failures, 0, "of {count} sessions");
    // Without any stream between them, smoltcp's sockets leave as many unfinished.
    assert!(forgotten * 10 < count, "too few sessions came to their end");
    assert!(
        count < 100 || edited > 0 && acknowledged > 0 && resent > 0 && detached > 0,
        "something was not tried"
    );
}

#[test]
fn sessions_end_as_an_ideal_rewriter_would_have_it() {
    play("stream_sessions", 1, 3000);
}

/// The same, for a while: `cargo test --release -p dataplane --test stream_sessions -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_sessions() {
    play("stream_sessions_long", 2, 100_000);
}
