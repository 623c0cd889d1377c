//! `show drops`

use std::fmt::Write;

use dataplane::drops::DropReason;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show drops [ all ]", "Packets dropped, by reason; with 'all' also reasons that never occurred", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let mut out = format!("{:<26}{:>12}  {:<10}Meaning\n", "Reason", "Packets", "Cause");
    let mut total = 0;
    for &reason in DropReason::ALL {
        let count = appliance.operation.baselines.drops(&appliance.counters, reason);
        total += count;
        if count > 0 || args.has("all") {
            let cause = reason.blame().label();
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:<26}{count:>12}  {cause:<10}{}", reason.label(), reason.sentence());
        }
    }
    let _ = writeln!(out, "\nTotal packets dropped: {total}");
    Ok(out)
}
