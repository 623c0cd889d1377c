//! `show platform hardware qfp active feature alg statistics`

use std::fmt::Write;

use alg::Refusal;
use alg::registry::ROWS as GATEWAYS;
use dataplane::counters::{GATEWAY_METRICS, GatewayCounters, Metric};
use dataplane::policy::GatewayIndex;

use super::command::{Command, command};
use super::gateway_kinds;
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show platform hardware qfp active feature alg statistics [ <alg> [ l7data ] ] [ clear ]",
            "What ALGs read, changed and refused: all in a line each, or one in detail; with 'l7data', SIP's messages by kind; with 'clear' they count anew", show),
    command("show platform hardware qfp standby feature alg statistics [ <alg> [ l7data ] ] [ clear ]",
            "Refused: there is no standby", refuse_standby),
];

/// The tables that gateways share, under IOS's titles: what they are called there, and by `TABLES`.
const POOLS: [(&str, &[(&str, &str)]); 2] = [
    (
        "ALG chunk pool",
        &[("Control session pool", "control-sessions"), ("Call pool", "calls"), ("Door pool", "doors")],
    ),
    ("Common ALG chunk pool", &[("Stream pool", "streams"), ("Held segment pool", "held-segments")]),
];

/// What the reason means that is no refusal's.
const OF_STREAM: &str = "The stream could not be followed, or memory was short.";

fn refuse_standby(_: &mut Appliance, _: &Args) -> Result<String, String> {
    Err("% There is no standby; ask the active one".to_string())
}

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted = args.optional("alg").map(|position: u32| position as usize);
    let mut out = match wanted {
        None => summary(appliance),
        Some(position) if args.has("l7data") => gateway_kinds::page(appliance, position)
            .ok_or_else(|| format!("% {} has no l7data; SIP has", GATEWAYS[position].label))?,
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

/// What all workers counted of a gateway since it was cleared.
fn since(appliance: &Appliance, position: usize, of: fn(&GatewayCounters) -> u64) -> u64 {
    appliance.operation.baselines.since(&appliance.counters, |counters| of(&counters.gateways[position]))
}

fn summary(appliance: &Appliance) -> String {
    let mut out = "ALG counters:\n".to_string();
    let mut add = |label: &str, columns: [&str; 3]| {
        let [messages, errors, unchanged] = columns;
        let _ = writeln!(out, "    {label:<12}{messages:<17}{errors:<17}{unchanged}");
    };
    add("ALG", ["Cntrl-Pkt", "Parser-Err&Drop", "Parser-No-Act"]);
    for (position, row) in GATEWAYS.iter().enumerate() {
        let columns: [fn(&GatewayCounters) -> u64; 3] =
            [|c| c.messages.value(), GatewayCounters::errors, GatewayCounters::unchanged];
        let columns = columns.map(|of| since(appliance, position, of).to_string());
        add(row.label, columns.each_ref().map(String::as_str));
    }
    add_pools(&mut out, appliance);
    out
}

/// The places of the shared tables that are taken, and those that are left.
fn add_pools(out: &mut String, appliance: &Appliance) {
    for (title, pools) in POOLS {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "\n{title}:\n    {:<27}{:<17}Free-Entries", "Pool-Name", "Used-Entries");
        for (name, wanted) in pools {
            let levels = appliance.counters.iter().flat_map(|counters| counters.levels.iter());
            let of_table = levels.filter(|(table, ..)| table == wanted);
            let (taken, all) = of_table.fold((0, 0), |sum, (_, taken, all)| (sum.0 + taken, sum.1 + all));
            let _ = writeln!(out, "    {name:<27}{taken:<17}{}", all.saturating_sub(taken));
        }
    }
}

fn detail(appliance: &Appliance, position: usize) -> String {
    let mut out = format!("{} ALG counters:\n", GATEWAYS[position].label);
    let mut add = |title: &str, count: u64| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {title:<42}{count:>12}");
    };
    let of_label = |label| GATEWAY_METRICS.iter().filter(move |row| row.label() == label);
    let values = |row: &Metric<GatewayCounters>| {
        appliance
            .operation
            .baselines
            .values(&appliance.counters, row, |counters| &counters.gateways[position])
    };
    for row in of_label(None) {
        add(row.title, sum(&values(row)));
    }
    add("Messages without need of change", since(appliance, position, GatewayCounters::unchanged));
    for row in of_label(Some("reason")) {
        add_reasons(&mut out, row.title, &values(row));
    }
    if let Some(page) = gateway_kinds::page(appliance, position) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n{page}");
    }
    out
}

fn sum(values: &[(&str, u64)]) -> u64 {
    values.iter().map(|(_, count)| count).sum()
}

/// The reasons that occurred.
fn add_reasons(out: &mut String, title: &str, counts: &[(&str, u64)]) {
    let _ = writeln!(out, "  {title:<42}{:>12}", sum(counts));
    for (label, count) in counts.iter().filter(|(_, count)| *count > 0) {
        let refusal = Refusal::ALL.iter().find(|refusal| refusal.label() == *label);
        let sentence = refusal.map_or(OF_STREAM, |refusal| refusal.sentence());
        let _ = writeln!(out, "    {label:<40}{count:>12}  {sentence}");
    }
}
