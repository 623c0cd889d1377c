//! `show ip nat translations`

use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::message::{Message, SessionRow};
use dataplane::policy::StaticRule;
use dataplane::state::mapping::ANY_PROTOCOL;
use dataplane::tuple::{Endpoint, ICMP, Protocol, TCP, UDP, protocol_name};

use super::{Command, Context, command, duration, unanswered};
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command(
        "show ip nat translations [ icmp | tcp | udp ] [ inside <inside:address> ] [ outside <outside:address> ] [ verbose | total ]",
        "Active translations",
        show,
    ),
];

/// Sessions a worker reports at a time.
const SLICE: usize = 512;
const NONE: &str = "---";

/// Which rows are asked for.
struct Filter {
    protocol: Option<Protocol>,
    inside: Option<Ipv4Addr>,
    outside: Option<Ipv4Addr>,
}

impl Filter {
    fn accepts(&self, protocol: Option<Protocol>, global: Ipv4Addr, outside: Option<Ipv4Addr>) -> bool {
        self.protocol.is_none_or(|wanted| protocol == Some(wanted))
            && self.inside.is_none_or(|wanted| global == wanted)
            && self.outside.is_none_or(|wanted| outside == Some(wanted))
    }
}

fn show(context: &mut Context, args: &Args) -> Result<String, String> {
    let keywords = [("icmp", ICMP), ("tcp", TCP), ("udp", UDP)];
    let filter = Filter {
        protocol: keywords.iter().find(|(word, _)| args.has(word)).map(|&(_, protocol)| protocol),
        inside: args.optional("inside"),
        outside: args.optional("outside"),
    };
    let (is_verbose, is_total) = (args.has("verbose"), args.has("total"));
    let mut table = Table::default();
    for rule in context.appliance.compiled.policy.statics.rules() {
        if filter.accepts(rule.protocol, rule.global.addr, None) {
            table.add_static(rule, is_verbose);
        }
    }
    for worker in 0..context.appliance.worker_count() {
        let mut start = Some(0);
        while let Some(from) = start {
            let walked = context
                .appliance
                .ask_one(worker, context.answering, |reply| Message::Walk {
                    start: from,
                    limit: SLICE,
                    reply,
                })
                .ok_or_else(|| unanswered(worker))?;
            for row in &walked.rows {
                if filter.accepts(Some(row.protocol), row.inside_global.addr, Some(row.outside_local.addr)) {
                    table.add_session(row, is_verbose);
                }
            }
            start = walked.next;
            // A long table must not keep the neighbours waiting.
            context.appliance.step(context.now_ms);
        }
    }
    Ok(table.finish(is_total))
}

#[derive(Default)]
struct Table {
    text: String,
    count: u64,
}

impl Table {
    fn add(&mut self, protocol: &str, columns: [&str; 4]) {
        let [inside_global, inside_local, outside_local, outside_global] = columns;
        let first = format!("{protocol:<4} {inside_global}");
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{first:<27}{inside_local:<22}{outside_local:<22}{outside_global}");
        self.count += 1;
    }

    fn add_static(&mut self, rule: &StaticRule, is_verbose: bool) {
        let end = |end: Endpoint| match (rule.protocol, rule.prefix_len) {
            (Some(_), _) => end.to_string(),
            (None, 32) => end.addr.to_string(),
            (None, len) => format!("{}/{len}", end.addr),
        };
        let protocol = rule.protocol.map_or(NONE.into(), protocol_name);
        self.add(&protocol, [&end(rule.global), &end(rule.local), NONE, NONE]);
        if is_verbose {
            let _ = writeln!(self.text, "  RuleID: {}, Flags: static\n", rule.id);
        }
    }

    fn add_session(&mut self, row: &SessionRow, is_verbose: bool) {
        let end = |end: Endpoint| match row.protocol {
            TCP | UDP | ICMP => end.to_string(),
            _ if end.addr.is_unspecified() => NONE.into(),
            _ => end.addr.to_string(),
        };
        let columns = [row.inside_global, row.inside_local, row.outside_local, row.outside_global].map(end);
        let protocol = if row.protocol == ANY_PROTOCOL { NONE.into() } else { protocol_name(row.protocol) };
        self.add(&protocol, columns.each_ref().map(String::as_str));
        if is_verbose {
            let left = row.left_ms.map_or("never".into(), |left| duration(u64::from(left)));
            let _ = writeln!(
                self.text,
                "  create: {} ago, use: {} ago, left: {left}\n  RuleID: {}, Flags: {}, Class: {:?}\n",
                duration(u64::from(row.age_ms)),
                duration(u64::from(row.idle_ms)),
                row.rule,
                if row.is_static { "static" } else { "unknown" },
                row.class,
            );
        }
    }

    fn finish(self, is_total: bool) -> String {
        let total = format!("Total number of translations: {}\n", self.count);
        if is_total {
            return total;
        }
        let header = "Pro  Inside global         Inside local          Outside local         Outside global";
        format!("{header}\n{}\n{total}", self.text)
    }
}
