//! Damaged conversations in random pieces, over all rows: a few in every run, and as many as there is time for on demand.
//!
//! Conversation number N of a row is drawn from a seed of its own, which is printed if it fails:
//! `PORTICO_SEED=SEED PORTICO_FUZZ_S=0 cargo test -p alg --test fuzz -- --ignored` plays it again. A failure that is found
//! belongs into the corpus (`alg/corpus`), which every test plays.

mod stage;

use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use alg::{Counterpart, Row, Side, Transport, registry};
use stage::context::GROWTH_MAX;
use stage::damage::check_doors;
use stage::dice::Dice;
use stage::script::{Script, corpus};
use stage::{Conversation, FakeContext, session};

/// A row, its scripts, and all that is said in them and in those of the others.
struct Material {
    row: &'static Row,
    scripts: Vec<Script>,
    said: Vec<u8>,
}

fn material() -> Vec<Material> {
    let said_in = |scripts: &[Script]| -> Vec<u8> {
        scripts.iter().flat_map(|script| &script.said).flat_map(|(_, bytes)| bytes.clone()).collect()
    };
    let all: Vec<u8> = registry::ROWS.iter().flat_map(|row| said_in(&corpus(row))).collect();
    let of_row = |row: &'static Row| {
        let scripts = corpus(row);
        // Its own words twice as often as those of the others.
        let said = [said_in(&scripts), said_in(&scripts), all.clone()].concat();
        Material { row, scripts, said }
    };
    registry::ROWS.iter().map(of_row).collect()
}

/// A stage with some of everything: ports that change, addresses that configuration maps.
fn stage(row: &Row, script: &Script, dice: &mut Dice) -> FakeContext {
    let mut stage = FakeContext::new(session(script.transport, script.client, row.ports()[0].port));
    stage.port_shift = [0, 1, 1000, 60_000][dice.below(4)];
    stage.resets_ttl = dice.below(2) == 0;
    let (inside, outside) = (Ipv4Addr::new(10, 0, 0, 80), Ipv4Addr::new(203, 0, 113, 80));
    for (side, from, addr) in [(Side::Inside, inside, outside), (Side::Outside, outside, inside)] {
        stage.policy.push((side, from, Counterpart { addr, is_static: dice.below(2) == 0 }));
    }
    stage
}

/// Plays one damaged conversation, and checks what its gateway owes.
fn play(Material { row, scripts, said: others }: &Material, dice: &mut Dice) {
    let script = &scripts[dice.below(scripts.len())];
    let stage = stage(row, script, dice);
    let name = script.path.display().to_string();
    let mut conversation = Conversation::new(row, stage, script.client);
    for (by_client, bytes) in &script.said {
        let mut said = bytes.clone();
        while dice.below(6) == 0 && said.len() < 1 << 17 {
            said = dice.damage(&said, others);
        }
        if dice.below(12) == 0 {
            continue;
        }
        let by_client = by_client ^ (dice.below(50) == 0);
        let (mut rest, mut heard_len) = (&said[..], 0);
        let held_len = conversation.held(by_client).len();
        while !rest.is_empty() {
            let is_datagram = script.transport == Transport::Udp;
            let len = if is_datagram { rest.len() } else { dice.below(rest.len()) + 1 };
            heard_len += conversation.send(by_client, &rest[..len]).len();
            rest = &rest[len..];
        }
        let limit = held_len + said.len() + GROWTH_MAX * (1 + said.len() / 16);
        assert!(heard_len <= limit, "{name}: {heard_len} of {}", said.len());
        check_doors(&conversation.stage, || name.clone());
    }
}

#[test]
fn damaged_conversations_in_random_pieces() {
    const SEED: u64 = 0x5eed_0f11;
    println!("seed {SEED:#x}");
    for material in &material() {
        (0..2000).for_each(|n| play(material, &mut Dice::new(SEED + n)));
    }
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    Some(number.unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

#[test]
#[ignore = "runs for PORTICO_FUZZ_S seconds, ten minutes unless it is set"]
fn damaged_conversations_as_long_as_there_is_time() {
    let first = number_from("PORTICO_SEED").unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed().expect("a clock that is set");
        since.as_nanos() as u64
    });
    let end = Instant::now() + Duration::from_secs(number_from("PORTICO_FUZZ_S").unwrap_or(600));
    println!("seed {first:#x}");
    let materials = material();
    let mut count = 0u64;
    loop {
        let seed = first.wrapping_add(count);
        for material in &materials {
            let played = catch_unwind(AssertUnwindSafe(|| play(material, &mut Dice::new(seed))));
            assert!(
                played.is_ok(),
                "{}: PORTICO_SEED={seed:#x} PORTICO_FUZZ_S=0 repeats it",
                material.row.name
            );
        }
        count += 1;
        if Instant::now() >= end {
            break;
        }
    }
    println!("{count} conversations of each of {} rows, from seed {first:#x}", materials.len());
}
