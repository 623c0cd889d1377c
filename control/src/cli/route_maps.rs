//! `show route-map`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::{AccessAction, RouteMap, RouteMapEntry};

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show route-map [ all | <name:word> ]", "Route-maps, with what each entry matches", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let mut out = String::new();
    let is_wanted = |map: &&RouteMap| wanted.as_ref().is_none_or(|wanted| map.name == *wanted);
    for map in appliance.config.route_maps.iter().filter(is_wanted) {
        map.entries.iter().for_each(|entry| show_entry(&mut out, &map.name, entry));
    }
    match wanted {
        Some(wanted) if out.is_empty() => Err(format!("% route-map {wanted} not found")),
        _ => Ok(out),
    }
}

fn show_entry(out: &mut String, name: &str, entry: &RouteMapEntry) {
    let action = match entry.action {
        AccessAction::Permit => "permit",
        AccessAction::Deny => "deny",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "route-map {name}, {action}, sequence {}", entry.sequence);
    let _ = writeln!(out, "  Match clauses:");
    let interfaces: Vec<String> = entry.interfaces.iter().map(ToString::to_string).collect();
    for (title, values) in [
        ("ip address (access-lists):", &entry.access_lists),
        ("ip address prefix-lists:", &entry.prefix_lists),
        ("interface", &interfaces),
        ("ip next-hop (access-lists):", &entry.next_hops),
    ] {
        if !values.is_empty() {
            let _ = writeln!(out, "    {title} {}", values.join(" "));
        }
    }
    for condition in &entry.of_routes {
        let _ = writeln!(out, "    {}", condition.text);
    }
    // A route-map selects what is translated: it sets nothing, and routes nothing.
    let _ = writeln!(out, "  Set clauses:\n  Policy routing matches: 0 packets, 0 bytes");
}
