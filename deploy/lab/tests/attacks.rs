//! Attacks on a running appliance, and what honest hosts get before, during and after each: a thousand sessions that were there, hosts
//! that are new, users of gateways, operators. `attacks/rows.rs` has the table of attacks; the long run plays all of them and
//! writes docs/attacks.md with UPDATE_DOCS=1.

#[path = "attacks/controls.rs"]
mod controls;
#[path = "bad_links/device.rs"]
mod device;
#[path = "attacks/floods.rs"]
mod floods;
#[path = "attacks/judge.rs"]
mod judge;
#[path = "attacks/management.rs"]
mod management;
#[path = "attacks/neighbours.rs"]
mod neighbours;
#[path = "attacks/play.rs"]
mod play;
#[path = "attacks/rows.rs"]
mod rows;
#[path = "attacks/servers.rs"]
mod servers;
#[path = "attacks/stage.rs"]
mod stage;
#[path = "attacks/tally.rs"]
mod tally;
#[path = "attacks/visits.rs"]
mod visits;
#[path = "attacks/wire.rs"]
mod wire;
#[path = "attacks/witness.rs"]
mod witness;

use judge::{Length, Outcome};
use lab::turn;
use rows::ROWS;

/// Rows that are played each time: one of each kind that a fault would show in soonest.
const SHORT: [&str; 3] = [
    "SYNs in made-up names to a published server",
    "listings that nobody reads",
    "lone fragments from outside",
];

/// What holds however busy the machine is: nothing is lost, and everybody is served at last.
#[test]
fn honest_hosts_lose_nothing() {
    let _turn = turn();
    let rows: Vec<_> = ROWS.iter().filter(|row| SHORT.contains(&row.name)).collect();
    assert_eq!(rows.len(), SHORT.len());
    let outcomes: Vec<Outcome> = rows.into_iter().map(|row| play::play(row, Length::SHORT)).collect();
    let broken: Vec<String> = outcomes.iter().flat_map(Outcome::losses).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// All of them, with the times. `PORTICO_ATTACK=WORDS` plays those whose names have these words.
#[test]
#[ignore = "takes a quarter of an hour, and judges times"]
fn honest_hosts_are_served_in_time() {
    let _turn = turn();
    let wanted = std::env::var("PORTICO_ATTACK").unwrap_or_default();
    let rows = ROWS.iter().filter(|row| row.name.contains(&wanted));
    let outcomes: Vec<Outcome> = rows.map(|row| play::play(row, Length::LONG)).collect();
    println!("{}", judge::table(&outcomes));
    if wanted.is_empty() {
        judge::write_page(&outcomes).expect("docs/attacks.md");
    }
    let broken: Vec<String> = outcomes.iter().flat_map(Outcome::broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}
