//! `show ip nat alg edits`, and edits as `show ip nat calls verbose` tells them.

use std::fmt::Write;
use std::net::Ipv4Addr;

use alg::Side;
use dataplane::inspect::{EDITS_KEPT, Excerpt};
use dataplane::message::EditRow;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, duration, long_command};
use super::doors::name;
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat alg edits [ inside <inside:address> ]",
                 "What ALGs changed last in messages: of all hosts, or in those from and to an inside host", show),
];

/// The list under way.
struct List {
    host: Option<Ipv4Addr>,
    walk: Option<Walk<EditRow>>,
    rows: Vec<EditRow>,
}

fn show(_: &mut Appliance, args: &Args) -> Started {
    Ok(Box::new(List { host: args.optional("inside"), walk: Some(Walk::new(())), rows: Vec::new() }))
}

impl Answer for List {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        let Some(walk) = &mut self.walk else { return Progress::Done };
        match walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                let host = self.host;
                let is_of_host = |row: &EditRow| host.is_none_or(|host| row.edit.of.host.1 == host);
                self.rows.extend(rows.into_iter().filter(is_of_host));
                Progress::Waiting
            }
            Walking::Through => {
                self.walk = None;
                // Each worker's are in order, and so stay those of one moment.
                self.rows.sort_by_key(|row| std::cmp::Reverse(row.age_ms));
                Progress::Piece(self.text(appliance))
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl List {
    fn text(&self, appliance: &Appliance) -> String {
        let mut out = line(["Ago", "ALG", "Inside local", "VRF", "From"], "Edit");
        for row in &self.rows {
            let (vrf, host) = row.edit.of.host;
            let (age, host) = (duration(u64::from(row.age_ms)), host.to_string());
            let vrf = appliance.compiled.vrf_name(vrf);
            out += &line([&age, name(row.edit.of.gateway), &host, vrf, side(row)], &change(row));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "\nTotal number of edits: {}; each worker keeps its last {EDITS_KEPT}",
            self.rows.len()
        );
        out
    }
}

fn line([age, gateway, host, vrf, from]: [&str; 5], edit: &str) -> String {
    format!("{age:<9} {gateway:<5} {host:<15} {vrf:<15} {from:<7} {edit}\n")
}

/// An edit beneath its call.
pub(super) fn edit_text(row: &EditRow) -> String {
    let (age, side, change) = (duration(u64::from(row.age_ms)), side(row), change(row));
    format!("    edit: {age} ago, from {side}, {change}\n")
}

fn side(row: &EditRow) -> &'static str {
    match row.edit.of.from {
        Side::Inside => "inside",
        Side::Outside => "outside",
    }
}

/// What there was and what there is, in its line.
fn change(row: &EditRow) -> String {
    let line = row.edit.line.bytes().escape_ascii();
    let gap = if row.edit.line.bytes().is_empty() { "" } else { ": " };
    format!("{line}{gap}{} -> {}", quoted(&row.edit.before), quoted(&row.edit.after))
}

fn quoted<const N: usize>(text: &Excerpt<N>) -> String {
    format!("\"{}\"{}", text.bytes().escape_ascii(), if text.is_cut { "..." } else { "" })
}
