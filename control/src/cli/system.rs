//! `show running-config`, `show version`, `show clock`, `test crash`

use std::collections::BTreeMap;
use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::calendar::Calendar;
use crate::config::grammar::Row;
use crate::config::{Args, marked};
use crate::means::MEMORY_MIB_DEFAULT;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show running-config", "The configuration in force", running_config),
    command("show version", "Version, uptime and size", version),
    command("show clock", "The time of day, in UTC", clock),
    command("test crash", "Panic in the control thread, to show that commands and forwarding go on", crash),
];

fn crash(_: &mut Appliance, _: &Args) -> Result<String, String> {
    panic!("'test crash' asks for it");
}

/// With the lines that IOS has before it: a file of all that loads, as they are passed over.
fn running_config(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let config = match &appliance.operation.started_with {
        Some(started) => marked(&appliance.config, started),
        None => appliance.config.to_string(),
    };
    let text = format!("!\n{config}end\n");
    Ok(format!("Building configuration...\n\nCurrent configuration : {} bytes\n{text}", text.len()))
}

fn clock(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    Ok(Calendar::from(appliance.operation.time_of_day(0)).clock() + "\n")
}

/// As parsers of IOS read it, and no more than is true.
fn version(appliance: &mut Appliance, _: &Args) -> Result<String, String> {
    let (config, operation) = (&appliance.config, &appliance.operation);
    let number = env!("CARGO_PKG_VERSION");
    let name = config.hostname.as_deref().unwrap_or("portico");
    let mut out = format!(
        "PORTICO (DPDK) {} Software (portico), Version {number}, RELEASE SOFTWARE ({number})\n\
         Copyright (c) 2026-2026 by its authors, under the Apache License 2.0\n\n",
        std::env::consts::ARCH
    );
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name} uptime is {}", uptime(operation.now_ms));
    let started = Calendar::from(operation.time_of_day(operation.now_ms)).clock_in_seconds();
    let _ = writeln!(out, "System restarted at {started}");
    if let Ok(program) = std::env::current_exe() {
        let _ = writeln!(out, "System image file is \"file:{}\"", program.display());
    }
    let _ = writeln!(out, "Last reload reason: program start\n");
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for interface in config.interfaces.iter().filter(|interface| interface.name.parent().is_none()) {
        let kind = interface.name.as_str().trim_end_matches(|c: char| !c.is_alphabetic());
        *kinds.entry(kind).or_default() += 1;
    }
    let (workers, sessions) = (appliance.worker_count(), config.platform.sessions());
    let _ = writeln!(out, "{workers} worker(s), room for {sessions} sessions");
    for (kind, count) in kinds {
        let _ = writeln!(out, "{count} {kind} interface{}", if count == 1 { "" } else { "s" });
    }
    let memory_mib = config.platform.memory_mib.unwrap_or(MEMORY_MIB_DEFAULT);
    let _ = writeln!(out, "{}K bytes of packet memory.", u64::from(memory_mib) * 1024);
    Ok(out)
}

/// `1 week, 2 days, 3 hours, 4 minutes`, from the largest unit that there is one of.
fn uptime(ms: u64) -> String {
    const DAY: u64 = 24 * 60;
    let mut left = ms / 60_000;
    let units = [(365 * DAY, "year"), (7 * DAY, "week"), (DAY, "day"), (60, "hour"), (1, "minute")];
    let parts = units.map(|(minutes, unit)| {
        let count = left / minutes;
        left %= minutes;
        (count, unit)
    });
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let part = |&(count, unit): &(u64, &str)| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    parts[first..].iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_is_told_in_words() {
        const MINUTE: u64 = 60_000;
        for (minutes, text) in [
            (0, "0 minutes"),
            (61, "1 hour, 1 minute"),
            (24 * 60, "1 day, 0 hours, 0 minutes"),
            (10 * 24 * 60 + 2, "1 week, 3 days, 0 hours, 2 minutes"),
            (365 * 24 * 60, "1 year, 0 weeks, 0 days, 0 hours, 0 minutes"),
        ] {
            assert_eq!(uptime(minutes * MINUTE + 59_999), text);
        }
    }
}
