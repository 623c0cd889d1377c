//! `show platform hardware qfp active feature alg statistics`

use std::fmt::Write;

use alg::Refusal;
use alg::registry::ROWS as GATEWAYS;
use dataplane::policy::GatewayIndex;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::gateway_counters::{GATEWAY_COUNTERS, GatewayTotals};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show platform hardware qfp active feature alg statistics [ <alg> ] [ clear ]",
            "What ALGs read, changed and refused: all in a line each, or one in detail; with 'clear' they count anew", show),
    command("show platform hardware qfp standby feature alg statistics [ <alg> ] [ clear ]",
            "Refused: there is no standby", refuse_standby),
];

fn refuse_standby(_: &mut Appliance, _: &Args) -> Result<String, String> {
    Err("% There is no standby; ask the active one".to_string())
}

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted = args.optional("alg").map(|position: u32| position as usize);
    let mut out = match wanted {
        None => summary(appliance),
        Some(position) => detail(appliance, position),
    };
    if args.has("clear") {
        let label = wanted.map_or(String::new(), |position| format!("{} ", GATEWAYS[position].label));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "\n{label}ALG counters cleared after display.");
        for position in wanted.map_or(0..GATEWAYS.len(), |position| position..position + 1) {
            appliance.operation.baselines.clear_gateway(&appliance.counters, position as GatewayIndex);
        }
    }
    Ok(out)
}

fn totals(appliance: &Appliance, position: usize) -> GatewayTotals {
    appliance.operation.baselines.gateway(&appliance.counters, position as GatewayIndex)
}

fn summary(appliance: &Appliance) -> String {
    let mut out = "ALG counters:\n".to_string();
    let mut add = |label: &str, columns: [&str; 3]| {
        let [messages, errors, unchanged] = columns;
        let _ = writeln!(out, "    {label:<12}{messages:<17}{errors:<17}{unchanged}");
    };
    add("ALG", ["Cntrl-Pkt", "Parser-Err&Drop", "Parser-No-Act"]);
    for (position, row) in GATEWAYS.iter().enumerate() {
        let totals = totals(appliance, position);
        let columns = [totals.messages, totals.errors(), totals.unchanged()].map(|count| count.to_string());
        add(row.label, columns.each_ref().map(String::as_str));
    }
    out
}

fn detail(appliance: &Appliance, position: usize) -> String {
    let row = &GATEWAYS[position];
    let totals = totals(appliance, position);
    let reading: u64 =
        appliance.counters.iter().map(|counters| counters.gateways[position].reading.value()).sum();
    let mut out = format!("{} ALG counters:\n", row.label);
    let rows = GATEWAY_COUNTERS.iter().zip(totals.counts).map(|(row, count)| (row.title, count));
    let found =
        [("Control sessions read now", reading), ("Messages without need of change", totals.unchanged())];
    for (title, count) in rows.chain(found) {
        let _ = writeln!(out, "  {title:<42}{count:>12}");
    }
    add_reasons(&mut out, "Messages refused, which passed unchanged", &totals.refused, None);
    let of_stream =
        ("stream", totals.detached_stream, "The stream could not be followed, or memory was short.");
    add_reasons(&mut out, "Control sessions let go of, for good", &totals.detached, Some(of_stream));
    out
}

/// The reasons that occurred.
fn add_reasons(out: &mut String, title: &str, counts: &[u64], last: Option<(&str, u64, &str)>) {
    let reasons = Refusal::ALL.iter().zip(counts);
    let reasons = reasons.map(|(refusal, &count)| (refusal.label(), count, refusal.sentence()));
    let occurred: Vec<_> = reasons.chain(last).filter(|(_, count, _)| *count > 0).collect();
    let sum: u64 = occurred.iter().map(|(_, count, _)| count).sum();
    let _ = writeln!(out, "  {title:<42}{sum:>12}");
    for (label, count, sentence) in occurred {
        let _ = writeln!(out, "    {label:<40}{count:>12}  {sentence}");
    }
}
