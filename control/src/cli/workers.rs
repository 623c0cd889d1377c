//! `show workers`

use std::fmt::Write;

use dataplane::path::stages::Stage;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show workers", "How busy each worker is, and whether it ever stalled", show),
];

fn show(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let mut out = format!(
        "{:<7} {:<5} {:<8} {:>7} {:>7} {:>12} {:>11} {:>12} {:>7}\n",
        "Worker", "Core", "State", "5 sec", "1 min", "Packets/sec", "Pkts/round", "Rounds/sec", "Stalls"
    );
    for (worker, load) in appliance.operation.loads.iter().enumerate() {
        let core = appliance.config.platform.cores.get(worker).map_or("-".to_string(), u16::to_string);
        let state = if load.is_stalled() { "stalled" } else { "polling" };
        let (last, minute) = (load.over(5), load.over(60));
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{worker:<7} {core:<5} {state:<8} {:>6.1}% {:>6.1}% {:>12.0} {:>11.1} {:>12.0} {:>7}",
            100.0 * last.busy_ratio,
            100.0 * minute.busy_ratio,
            last.packets_per_s,
            last.packets_per_round,
            last.rounds_per_s,
            load.stall_count,
        );
    }
    let _ = writeln!(out, "\nTicks a packet by stage of the path, of the bursts that were timed in 1 min");
    let _ = write!(out, "{:<7}", "Worker");
    let _ = Stage::ALL.iter().try_for_each(|stage| write!(out, " {:>8}", stage.label()));
    let _ = writeln!(out, " {:>8}", "together");
    for (worker, load) in appliance.operation.loads.iter().enumerate() {
        let ticks = load.over(60).stage_ticks;
        let _ = write!(out, "{worker:<7}");
        let _ = ticks.iter().try_for_each(|ticks| write!(out, " {ticks:>8.1}"));
        let _ = writeln!(out, " {:>8.1}", ticks.iter().sum::<f64>());
    }
    Ok(out)
}
