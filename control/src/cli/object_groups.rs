//! `show object-group`

use std::fmt::Write;

use super::command::{Command, command};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::config::model::GroupKind;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("show object-group [ <name:word> ]", "Networks and services under their names", show),
];

fn show(appliance: &mut Appliance, args: &Args) -> Result<String, String> {
    let wanted: Option<String> = args.optional("name");
    let groups = appliance.config.object_groups.iter();
    let mut out = String::new();
    for group in groups.filter(|group| wanted.as_ref().is_none_or(|wanted| group.name == *wanted)) {
        let kind = match group.kind {
            GroupKind::Network => "Network",
            GroupKind::Service => "Service",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{kind} object group {}", group.name);
        if let Some(text) = &group.description {
            let _ = writeln!(out, " Description {text}");
        }
        for member in &group.members {
            let _ = writeln!(out, " {}", member.object);
        }
    }
    Ok(out)
}
