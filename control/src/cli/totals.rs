//! `show ip nat totals`

use std::fmt::Write;

use dataplane::counters::{LifeCounters, NatCounters};
use dataplane::lives::EndReason;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip nat totals", "Sessions, bindings and port sets created and ended since the start, by reason", show),
];

const KINDS: [fn(&NatCounters) -> &LifeCounters; 3] =
    [|nat| &nat.session_lives, |nat| &nat.binding_lives, |nat| &nat.port_set_lives];

fn show(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let sums = |of: &dyn Fn(&LifeCounters) -> u64| {
        KINDS.map(|kind| appliance.counters.iter().map(|counters| of(kind(&counters.nat))).sum::<u64>())
    };
    let mut out = line("", ["Sessions", "Bindings", "Port sets"]);
    let created = sums(&|lives| lives.begun.value());
    out += &line("Created", created);
    for reason in EndReason::ALL {
        let ended = sums(&|lives| lives.ended[reason as usize].value());
        out += &line(&format!("Ended, {}", reason.label()), ended);
    }
    let ended = sums(&|lives| lives.ended());
    // A worker may count an end while its beginnings have been read already.
    let active = std::array::from_fn(|kind| created[kind].saturating_sub(ended[kind]));
    out += &line("Active", active);
    Ok(out)
}

fn line<T: std::fmt::Display>(title: &str, columns: [T; 3]) -> String {
    let mut out = format!("{title:<20}");
    // Writing to a string cannot fail.
    let _ = columns.iter().try_for_each(|column| write!(out, " {column:>14}"));
    out.push('\n');
    out
}
