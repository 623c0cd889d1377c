//! `show time-range`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{AccessListEntry, EntryBody};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show time-range [ <name:word> ]", "Time ranges, and whether they are active", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let entries = || appliance.config.access_lists.iter().flat_map(|list| &list.entries);
    let uses = |entry: &&AccessListEntry, name: &str| match &entry.body {
        EntryBody::Rule(rule) => rule.time_range.as_deref() == Some(name),
        EntryBody::Remark(_) => false,
    };
    let ranges = appliance.config.time_ranges.iter();
    let mut out = String::new();
    for range in ranges.filter(|range| wanted.as_ref().is_none_or(|wanted| range.name == *wanted)) {
        let is_active = appliance.compiled.time_ranges.get(&range.name) == Some(&true);
        let state = if is_active { "active" } else { "inactive" };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "time-range entry: {} ({state})", range.name);
        for times in range.times() {
            let _ = writeln!(out, "   {times}");
        }
        for _ in entries().filter(|entry| uses(entry, &range.name)) {
            out += "   used in: IP ACL entry\n";
        }
    }
    Ok(out)
}
