//! Captures of real traffic, whole and again and again: varied by a seed, with datagrams that come twice, cut segments and longer
//! pauses, and judged as in `capture_player.rs`; or damaged, and judged by what holds of any traffic: nothing but endpoints
//! changes in a message, no door leads to another host, no table breaks, and nothing is left.
//!
//! The captures are no part of the project: see `capture_player.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use testkit::player::index::{self, Entry};
use testkit::player::replays::{damaged, varied};
use testkit::player::scenario::casts;
use testkit::player::{Mode, Scenario, capture, play};

/// Replays of a capture in a long run.
const COUNT: u64 = 200;
/// Captures that are damaged as they are, or have less than the index says: they are never judged as sound ones.
const DAMAGED: &[&str] = &["sip/fuzzed_udp_2594.pcap", "sip/compact_headers.pcap"];

/// Plays a capture anew. Returns how many packets were played, and what is wrong.
fn replay(entry: &Entry, folder: &Path, seed: u64) -> (usize, Vec<String>) {
    let taken = capture::read(&folder.join(&entry.path)).unwrap_or_else(|why| panic!("{why}"));
    let mode = if (seed / 2).is_multiple_of(2) { Mode::Default } else { Mode::Cgn };
    let mut hasher = DefaultHasher::new();
    (&entry.path, seed).hash(&mut hasher);
    let (mut count, mut wrong) = (0, Vec::new());
    for cast in casts(entry, &taken) {
        let mut scenario = Scenario::new(entry, cast, mode, &taken);
        if !scenario.is_judged() {
            continue;
        }
        scenario.is_damaged = seed % 2 == 1 || DAMAGED.contains(&&*entry.path);
        let frames = match seed % 2 {
            0 => varied(&scenario, &taken, hasher.finish()),
            _ => damaged(&scenario, &taken, hasher.finish()),
        };
        count += frames.len();
        let complaints = match play(&scenario, &frames) {
            Ok(report) => report.complaints,
            Err(why) => vec![why],
        };
        let of = |why: String| format!("{} with seed {seed} in {mode:?} mode: {why}", entry.path);
        wrong.extend(complaints.into_iter().map(of));
    }
    (count, wrong)
}

fn replay_all(is_meant: impl Fn(&Entry) -> bool, seeds: std::ops::Range<u64>) {
    let Some(folder) = capture_file::folder() else { return };
    let only = std::env::var("PORTICO_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = only.map_or(seeds, |seed| seed..seed + 1);
    let mut wrong = Vec::new();
    for entry in
        index::read(&folder).unwrap_or_else(|why| panic!("{why}")).iter().filter(|entry| is_meant(entry))
    {
        let (mut packets, before) = (0, wrong.len());
        for seed in seeds.clone() {
            let (count, complaints) = replay(entry, &folder, seed);
            packets += count;
            wrong.extend(complaints);
        }
        println!(
            "{}: {} replays, {packets} packets, {} complaints",
            entry.path,
            seeds.end - seeds.start,
            wrong.len() - before
        );
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong[..wrong.len().min(200)].join("\n"));
}

/// A few replays of every capture of SIP.
#[test]
fn captures_of_sip_are_replayed() {
    replay_all(|entry| entry.protocol() == "sip", 0..4);
}

/// All of them: `cargo test --release -p dataplane --test capture_replays -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn captures_of_sip_are_replayed_often() {
    replay_all(|entry| entry.protocol() == "sip", 0..COUNT);
}
