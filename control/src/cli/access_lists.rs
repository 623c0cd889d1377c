//! `show access-lists`, `show ip access-lists`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{AccessList, AccessListKind, AccessRule, EntryBody};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show access-lists [ <name:word> ]", "Access lists, with the number of packets that matched each entry", show),
    command("show ip access-lists [ <name:word> ]", "Access lists, with the number of packets that matched each entry", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let mut out = String::new();
    for list in &appliance.config.access_lists {
        if wanted.as_ref().is_none_or(|wanted| *wanted == list.name) {
            show_list(&mut out, appliance, list);
        }
    }
    Ok(out)
}

fn show_list(out: &mut String, appliance: &Appliance, list: &AccessList) {
    let kind = match list.kind {
        AccessListKind::Standard => "Standard",
        AccessListKind::Extended => "Extended",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{kind} IP access list {}", list.name);
    for entry in &list.entries {
        let EntryBody::Rule(rule) = &entry.body else { continue };
        let counter = appliance.compiled.acl_counters.get(&(list.name.clone(), entry.line(rule, list.kind)));
        let count =
            counter.map_or(0, |&counter| appliance.operation.baselines.acl(&appliance.counters, counter));
        let matches = match count {
            0 => String::new(),
            1 => " (1 match)".to_string(),
            count => format!(" ({count} matches)"),
        };
        let state = match rule.time_range.as_ref().map(|name| appliance.compiled.time_ranges.get(name)) {
            None => "",
            Some(Some(true)) => " (active)",
            Some(_) => " (inactive)",
        };
        let _ = writeln!(out, "    {} {}{state}{matches}", entry.sequence, text(rule, list.kind));
    }
}

/// The rule as IOS shows it: actions of one width, and the wildcard of a standard list in words.
fn text(rule: &AccessRule, kind: AccessListKind) -> String {
    let line = rule.line(kind);
    let (action, rest) = line.split_once(' ').unwrap_or((&line, ""));
    let rest = match kind {
        AccessListKind::Standard => {
            let mut words = rest.split(' ');
            match (words.next(), words.next()) {
                (Some(address), Some(wildcard)) if wildcard != "log" => rest.replacen(
                    &format!("{address} {wildcard}"),
                    &format!("{address}, wildcard bits {wildcard}"),
                    1,
                ),
                _ => rest.to_string(),
            }
        }
        AccessListKind::Extended => rest.to_string(),
    };
    format!("{action:<6} {rest}")
}
