//! `show ip prefix-list`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show ip prefix-list [ <name:word> ]", "Prefix lists", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let lists = appliance.config.prefix_lists.iter();
    let mut out = String::new();
    for list in lists.filter(|list| wanted.as_ref().is_none_or(|wanted| list.name == *wanted)) {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "ip prefix-list {}: {} entries", list.name, list.entries.len());
        if let Some(text) = &list.description {
            let _ = writeln!(out, "   Description: {text}");
        }
        for entry in &list.entries {
            let _ = writeln!(out, "   {}", entry.line());
        }
    }
    Ok(out)
}
