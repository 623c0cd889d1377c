//! Phones talk SIP over UDP and TCP through a whole appliance: whatever comes back to them is what they wrote, media arrives
//! where it was announced, and nothing is left over, whatever the network does.

use rand::RngExt;
use testkit::random::generator;
use testkit::simulator::sip::parcel::Transport;
use testkit::simulator::sip::{LongCall, Options, Outcome, long_call, run};

/// Sessions of a crowd.
const CROWD_LEN: usize = 60;
/// Crowds after which a long run tells how far it has come.
const PROGRESS: usize = 50;

/// Plays crowds; each one's seed is printed with its failure. `PORTICO_SESSION` plays that one alone.
fn play(test: &str, default_seed: u64, count: usize, has_appliance: bool) -> Outcome {
    let only = std::env::var("PORTICO_SESSION").ok().and_then(|seed| seed.parse().ok());
    let mut generator = generator(test, default_seed);
    let mut sum = Outcome::default();
    let mut failed_crowds = 0;
    let crowd_count = if only.is_some() { 1 } else { count.div_ceil(CROWD_LEN) };
    for number in 1..=crowd_count {
        let seed = only.unwrap_or_else(|| generator.random());
        match run(seed, Options { count: CROWD_LEN, has_appliance, has_log: only.is_some() }) {
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
        if number.is_multiple_of(PROGRESS) {
            println!("{number} of {crowd_count} crowds: {} sessions", sum.sessions());
        }
    }
    println!("{sum}");
    assert!(failed_crowds == 0 && sum.failures.is_empty(), "{failed_crowds} crowds, {}", sum.failures.len());
    let counts = [sum.calls, sum.phones].as_flattened().iter().all(|count| *count > 0);
    let happened = sum.streams > 0 && sum.counts.changes > 0 && sum.counts.repeated > 0;
    assert!(only.is_some() || counts && happened && sum.counts.restarts > 0, "something did not happen");
    assert!(sum.cut * 5 < sum.sessions(), "too many calls were cut");
    sum
}

/// The agents' own test: nobody is between them, and all they judge is so.
#[test]
fn agents_agree_with_each_other() {
    let sum = play("sip_sessions_alone", 3, 300, false);
    assert_eq!(sum.packets, [0; 3]);
}

#[test]
fn phones_read_what_they_wrote_and_hear_each_other() {
    let sum = play("sip_sessions", 1, 300, true);
    assert!(sum.packets[2] > 0 && sum.doors > 0 && sum.looked_at > 0, "the gateway did nothing");
}

/// Nothing keeps the way open but the call itself, under the timeouts that are in force by default.
#[test]
fn a_call_of_two_hours_without_keep_alive_is_ended_by_the_outside() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for bits in 0..4 {
            let (is_direct, is_cgn) = (bits & 1 == 1, bits & 2 == 2);
            let call = LongCall { transport, is_direct, is_cgn, has_change: is_direct != is_cgn };
            let outcome = long_call(call).unwrap_or_else(|failure| panic!("{call:?}: {failure}"));
            assert!(outcome.failures.is_empty(), "{call:?}: {}", outcome.failures.join("\n"));
            assert_eq!(outcome.calls.iter().sum::<usize>(), 1);
        }
    }
}

/// The same as above, for a while: `cargo test --release -p dataplane --test sip_sessions -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_sessions() {
    let sum = play("sip_sessions_long", 2, 100_000, true);
    assert!(
        sum.sessions() >= 100_000 && sum.cgn >= 40_000,
        "{} sessions, {} in CGN mode",
        sum.sessions(),
        sum.cgn
    );
    assert!(sum.calls.iter().all(|count| *count >= 35_000), "{:?} calls", sum.calls);
}
