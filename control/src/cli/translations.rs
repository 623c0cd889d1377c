//! `show ip nat translations`

use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, ICMP, Protocol, TCP, UDP, protocol_name};
use dataplane::message::SessionRow;
use dataplane::policy::StaticRule;
use dataplane::state::mapping::ANY_PROTOCOL;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, duration, long_command};
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;
use crate::operation::Operation;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command(
        "show ip nat translations [ icmp | tcp | udp ] [ inside <inside:address> ] [ outside <outside:address> ] [ verbose | total ]",
        "Active translations",
        show,
    ),
];

const NONE: &str = "---";

/// Which rows are asked for.
struct Filter {
    protocol: Option<Protocol>,
    inside: Option<Ipv4Addr>,
    outside: Option<Ipv4Addr>,
}

impl Filter {
    /// Whether a row has the protocol, the inside global and the outside local address that were asked for.
    fn accepts(
        &self,
        protocol: Option<Protocol>,
        inside: Option<Ipv4Addr>,
        outside: Option<Ipv4Addr>,
    ) -> bool {
        self.protocol.is_none_or(|wanted| protocol == Some(wanted))
            && self.inside.is_none_or(|wanted| inside == Some(wanted))
            && self.outside.is_none_or(|wanted| outside == Some(wanted))
    }
}

/// The table under way.
struct Table {
    filter: Filter,
    is_verbose: bool,
    is_total: bool,
    count: u64,
    place: Place,
}

/// How far the table is.
enum Place {
    /// At the header and the statics.
    Start,
    /// At the workers' sessions.
    Sessions(Walk<SessionRow>),
    /// Through.
    End,
}

fn show(_: &mut Appliance, args: &Args) -> Started {
    let keywords = [("icmp", ICMP), ("tcp", TCP), ("udp", UDP)];
    let filter = Filter {
        protocol: keywords.iter().find(|(word, _)| args.has(word)).map(|&(_, protocol)| protocol),
        inside: args.optional("inside"),
        outside: args.optional("outside"),
    };
    let (is_verbose, is_total) = (args.has("verbose"), args.has("total"));
    Ok(Box::new(Table { filter, is_verbose, is_total, count: 0, place: Place::Start }))
}

impl Answer for Table {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        let walking = match &mut self.place {
            Place::Start => {
                self.place = Place::Sessions(Walk::new());
                return self.piece(|table, out| table.add_statics(appliance, out));
            }
            Place::Sessions(walk) => walk.advance(appliance),
            Place::End => return Progress::Done,
        };
        match walking {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                let operation = &appliance.operation;
                self.piece(|table, out| {
                    rows.iter().for_each(|row| table.add_session(operation, row, out));
                })
            }
            Walking::Through => {
                self.place = Place::End;
                let gap = if self.is_total { "" } else { "\n" };
                Progress::Piece(format!("{gap}Total number of translations: {}\n", self.count))
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl Table {
    /// What `add` writes, unless only the total is asked for.
    fn piece(&mut self, add: impl FnOnce(&mut Table, &mut String)) -> Progress {
        let mut out = String::new();
        add(self, &mut out);
        Progress::Piece(if self.is_total { String::new() } else { out })
    }

    fn add_statics(&mut self, appliance: &Appliance, out: &mut String) {
        out.push_str(
            "Pro  Inside global         Inside local          Outside local         Outside global\n",
        );
        let policy = &appliance.compiled.policy;
        for rule in policy.statics.rules() {
            if self.filter.accepts(rule.protocol, Some(rule.global.addr), None) {
                let [global, local] = [rule.global, rule.local].map(|end| static_end(rule, end));
                self.add_static(&appliance.operation, rule, [&global, &local, NONE, NONE], out);
            }
        }
        for rule in policy.outside_statics.rules() {
            if self.filter.accepts(rule.protocol, None, Some(rule.local.addr)) {
                let [local, global] = [rule.local, rule.global].map(|end| static_end(rule, end));
                self.add_static(&appliance.operation, rule, [NONE, NONE, &local, &global], out);
            }
        }
    }

    fn add(&mut self, protocol: &str, columns: [&str; 4], out: &mut String) {
        let [inside_global, inside_local, outside_local, outside_global] = columns;
        let first = format!("{protocol:<4} {inside_global}");
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{first:<26} {inside_local:<21} {outside_local:<21} {outside_global}");
        self.count += 1;
    }

    fn add_static(&mut self, operation: &Operation, rule: &StaticRule, columns: [&str; 4], out: &mut String) {
        let protocol = rule.protocol.map_or(NONE.into(), protocol_name);
        self.add(&protocol, columns, out);
        if self.is_verbose {
            // It has no times of its own: it is as old as the program, and never ends.
            let times = [operation.now_ms, 0].map(|ago_ms| date_and_time(operation, ago_ms));
            add_details(out, times, "00:00:00", rule.id, "static");
        }
    }

    fn add_session(&mut self, operation: &Operation, row: &SessionRow, out: &mut String) {
        let (inside, outside) = (row.inside_global.addr, row.outside_local.addr);
        if !self.filter.accepts(Some(row.protocol), Some(inside), Some(outside)) {
            return;
        }
        let end = |end: Endpoint| match row.protocol {
            TCP | UDP | ICMP => end.to_string(),
            _ if end.addr.is_unspecified() => NONE.into(),
            _ => end.addr.to_string(),
        };
        let columns = [row.inside_global, row.inside_local, row.outside_local, row.outside_global].map(end);
        let protocol = if row.protocol == ANY_PROTOCOL { NONE.into() } else { protocol_name(row.protocol) };
        self.add(&protocol, columns.each_ref().map(String::as_str), out);
        if self.is_verbose {
            let times = [row.age_ms, row.idle_ms].map(|ago_ms| date_and_time(operation, u64::from(ago_ms)));
            let left = row.left_ms.map_or("never".into(), |left| duration(u64::from(left)));
            let flags = if row.is_static { "static" } else { "unknown" };
            add_details(out, times, &left, row.rule, flags);
        }
    }
}

/// An end of a static: with its port, or with the length of its network.
fn static_end(rule: &StaticRule, end: Endpoint) -> String {
    match (rule.protocol, rule.prefix_len) {
        (Some(_), _) => end.to_string(),
        (None, 32) => end.addr.to_string(),
        (None, len) => format!("{}/{len}", end.addr),
    }
}

/// `MM/DD/YY hh:mm:ss` of so many milliseconds ago, in UTC.
fn date_and_time(operation: &Operation, ago_ms: u64) -> String {
    let text = humantime::format_rfc3339_seconds(operation.time_of_day(ago_ms)).to_string();
    let part = |range| text.get(range).unwrap_or_default();
    format!("{}/{}/{} {}", part(5..7), part(8..10), part(2..4), part(11..19))
}

/// The lines beneath a translation. What is told of it is what there is to tell.
fn add_details(out: &mut String, [create, used]: [String; 2], timeout: &str, rule: u16, flags: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  create: {create}, use: {used}, timeout: {timeout}");
    let _ = writeln!(out, "  RuleID : {rule}\n  Flags: {flags}\n  ALG Application Type: NA\n");
}
