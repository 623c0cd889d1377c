//! A day of all attacks together, in memory: each hour some of them at once, chosen and as fast as a seed says. All day a
//! thousand sessions witness that nobody loses anything, and every minute a new host is let through within a second. When
//! the attacks have stopped and what they began has ended, every table is as full as before.
//!
//! The whole day: `cargo test --release -p dataplane --test attacks_day -- --ignored --nocapture`.

mod attacks;
mod honest;
mod network;
mod packets;

use std::collections::HashMap;

use rand::RngExt;
use rand::seq::SliceRandom;

use attacks::{ATTACKS, Attack, Field};

const MODES: [&str; 2] = ["", "ip nat settings mode cgn\n"];
const MINUTE_MS: u64 = 60_000;
/// Steps of a minute while attacks go on, and while they do not.
const STEPS: u32 = 240;
const QUIET_STEPS: u32 = 60;
/// After how many steps a new host tries again that was not let through: less than a second.
const RETRY_STEPS: u32 = 3;
/// Longer than the longest idle time, which is TCP's, and as a session notes times of its own only now and then, some more.
const QUIET_MINUTES: u32 = 140;

/// Why attacks are refused at any rate.
const REFUSALS: [&str; 7] = [
    "fragment-overlap",
    "fragment-timeout",
    "neighbour-unresolved",
    "icmp-numbers",
    "ttl-exceeded",
    "fragmentation-needed",
    "null-route",
];

/// How long a test is.
struct Length {
    hours: u32,
    /// So short are its hours.
    minutes: u32,
    /// Packets that attacks send in a minute, all together.
    minute_packets: u64,
    /// Attacks at once: at least and at most.
    at_once: (usize, usize),
}

const DAY: Length = Length { hours: 24, minutes: 60, minute_packets: 6000, at_once: (3, 7) };
/// Each attack once, or twice.
const SHORT: Length = Length { hours: 8, minutes: 4, minute_packets: 2000, at_once: (5, 6) };

/// An attack that goes on, this fast.
struct Going {
    attack: &'static Attack,
    rate: u32,
}

/// Attacks with packets a second.
fn names(going: &[Going]) -> String {
    let all: Vec<_> = going.iter().map(|one| format!("{}@{}", one.attack.name, one.rate)).collect();
    all.join(" ")
}

/// Levels that are told each hour.
const TOLD_LEVELS: [&str; 10] = [
    "sessions",
    "strangers-flows",
    "inside-hosts",
    "whole-addresses",
    "doors",
    "control-sessions",
    "streams",
    "held-segments",
    "held-packets",
    "ports",
];

struct Day {
    field: Field,
    /// Attacks that were not drawn yet, so that each comes as often as the others.
    deck: Vec<&'static Attack>,
    minute: u32,
    newcomers: u32,
    /// Newcomers that had to try again.
    retries: u32,
    peaks: HashMap<String, u64>,
}

impl Day {
    fn new(mode: &str, worker_count: usize) -> Day {
        let field = Field::new(network::network(mode, worker_count));
        Day { field, deck: Vec::new(), minute: 0, newcomers: 0, retries: 0, peaks: HashMap::new() }
    }

    fn draw(&mut self, length: &Length) -> Vec<Going> {
        let count = self.field.network.random.random_range(length.at_once.0..=length.at_once.1);
        let mut all: Vec<Going> = Vec::new();
        while all.len() < count {
            if self.deck.is_empty() {
                self.deck.extend(ATTACKS);
                self.deck.shuffle(&mut self.field.network.random);
            }
            let Some(attack) = self.deck.pop() else { break };
            // As likely slow as fast: by powers of two.
            let power = self.field.network.random.random_range(0.0..14.0f64);
            all.push(Going { attack, rate: (power.exp2() as u32).clamp(1, attack.rate_max) });
        }
        all
    }

    /// A minute of these attacks, in which a host comes new.
    fn minute(&mut self, going: &[Going], packets: u64) {
        self.minute += 1;
        let number = self.newcomers;
        self.newcomers += 1;
        let mut comes_at = Some(self.field.below(STEPS - RETRY_STEPS));
        let mut is_again = false;
        let part = packets / going.len().max(1) as u64;
        let mut sent = vec![0; going.len()];
        for step in 0..STEPS {
            let Field { network, witnesses, .. } = &mut self.field;
            witnesses.talk(network, self.minute, (step, STEPS));
            if step == STEPS / 2 {
                witnesses.control(network);
                witnesses.fragments(network, self.minute as u16 | 1);
            }
            for (one, sent) in going.iter().zip(&mut sent) {
                let due = (u64::from(one.rate) * u64::from(step + 1) / u64::from(STEPS / 60)).min(part);
                while *sent < due {
                    let before = self.field.network.sent;
                    (one.attack.next)(&mut self.field);
                    // What was refused at once counts too.
                    *sent += (self.field.network.sent - before).max(1);
                }
            }
            if comes_at == Some(step) {
                let came = honest::newcomer(&mut self.field.network, number);
                comes_at = None;
                if came.is_none() {
                    assert!(!is_again, "new host {number} is not let through: {}", self.told(going));
                    (comes_at, is_again) = (Some(step + RETRY_STEPS), true);
                    self.retries += 1;
                }
            }
            self.field.network.pass_ms(MINUTE_MS / u64::from(STEPS));
            self.note_peaks();
        }
    }

    /// A minute of the witnesses alone.
    fn quiet_minute(&mut self) {
        self.minute += 1;
        let Field { network, witnesses, .. } = &mut self.field;
        for step in 0..QUIET_STEPS {
            witnesses.talk(network, self.minute, (step, QUIET_STEPS));
            if step == QUIET_STEPS / 2 {
                witnesses.control(network);
            }
            network.pass_ms(MINUTE_MS / u64::from(QUIET_STEPS));
        }
    }

    fn note_peaks(&mut self) {
        for (name, level) in self.field.network.bench.levels() {
            let peak = self.peaks.entry(name).or_default();
            *peak = level.max(*peak);
        }
    }

    fn told(&self, going: &[Going]) -> String {
        let levels = self.field.network.bench.levels();
        format!("{}; levels {levels:?}; drops {:?}", names(going), self.field.network.drops())
    }

    /// An hour, and what is to be told of it.
    fn hour(&mut self, hour: u32, length: &Length) {
        let going = self.draw(length);
        let (before, drops) = (self.field.network.sent, self.field.network.drops());
        self.peaks.clear();
        for minute in 0..length.minutes {
            self.minute(&going, length.minute_packets);
            if minute == length.minutes / 2 {
                let Field { network, witnesses, .. } = &mut self.field;
                witnesses.use_doors(network);
            }
        }
        self.field.network.bench.check_tables().expect("tables that agree");
        let packets = self.field.network.sent - before;
        println!(
            "hour {hour}: {packets} packets; {}; at most {}; drops {}",
            names(&going),
            self.told_peaks(),
            self.told_drops(&drops)
        );
    }

    /// How full tables were at most.
    fn told_peaks(&self) -> String {
        let of = |name: &&str| format!("{name} {}", self.peaks.get(*name).unwrap_or(&0));
        TOLD_LEVELS.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    /// What was dropped since there were so many drops, of the most frequent reasons.
    fn told_drops(&self, before: &[(&str, u64)]) -> String {
        let count_before = |reason: &str| {
            let known = before.iter().find(|(known, _)| *known == reason);
            known.map_or(0, |(_, count)| *count)
        };
        let now = self.field.network.drops().into_iter();
        let mut since: Vec<_> = now.map(|(reason, count)| (count - count_before(reason), reason)).collect();
        since.sort_unstable_by(|one, other| other.cmp(one));
        let most = since.iter().filter(|(count, _)| *count > 0).take(6);
        most.map(|(count, reason)| format!("{reason} {count}")).collect::<Vec<_>>().join(", ")
    }

    /// How full everything is, and how many neighbours are known.
    fn levels(&mut self) -> Vec<(String, u64)> {
        let bench = &mut self.field.network.bench;
        let mut levels = bench.levels();
        let neighbours = bench.exec("show ip arp").expect("an answer").lines().count();
        levels.push(("neighbours".into(), neighbours as u64));
        levels
    }
}

fn play(mode: &str, worker_count: usize, length: &Length) {
    let mut day = Day::new(mode, worker_count);
    for _ in 0..QUIET_MINUTES / 10 {
        day.quiet_minute();
    }
    let before = day.levels();
    for hour in 0..length.hours {
        day.hour(hour, length);
    }
    for _ in 0..QUIET_MINUTES {
        day.quiet_minute();
    }
    let drops = day.field.network.drops();
    let is_missing = |reason: &&&str| drops.iter().all(|(known, _)| known != *reason);
    let missing: Vec<_> = REFUSALS.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "nothing was refused for {missing:?}: {drops:?}");
    assert_eq!(day.levels(), before, "{mode:?}, {worker_count} workers: levels a while after the day");
    println!(
        "{mode:?}, {worker_count} workers: {} packets, {} new hosts, {} of them at the second try; levels {before:?} again",
        day.field.network.sent, day.newcomers, day.retries
    );
    day.field.network.bench.finish().expect("every buffer back");
}

/// Both modes, with one worker and with two.
fn each_setup(length: &Length) {
    MODES.into_iter().for_each(|mode| (1..=2).for_each(|worker_count| play(mode, worker_count, length)));
}

#[test]
fn everything_is_as_before_some_attacks() {
    each_setup(&SHORT);
}

#[test]
#[ignore = "takes minutes: see CONTRIBUTING.md"]
fn everything_is_as_before_a_day_of_attacks() {
    each_setup(&DAY);
}
