//! `show ip nat subscriber`, `show ip nat top`

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use dataplane::flow::{Protocol, Vrf, protocol_name};
use dataplane::message::{SessionRow, SubscriberRow};
use dataplane::policy::{LimitScope, Policy};
use dataplane::state::mapping::ANY_PROTOCOL;
use dataplane::state::wanted::{Column, Condition, Wanted};

use super::answer::{Answer, Progress};
use super::command::{Command, Started, long_command};
use super::nat::computed;
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::compile::Compiled;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat subscriber <inside:address>",
                 "What an inside host has in each VRF: sessions, ports, port sets, limits, and packets refused", subscriber),
    long_command("show ip nat top [ sessions | ports ] [ <count:1-1000> ]",
                 "The inside hosts with most sessions, or with most ports", top),
];

/// Hosts that `show ip nat top` lists unless told.
const TOP_DEFAULT: u16 = 10;

/// An inside host under way.
struct Subscriber {
    host: Ipv4Addr,
    records: Walk<SubscriberRow>,
    /// Once all records were found.
    sessions: Option<Walk<SessionRow>>,
    found: BTreeMap<Vrf, Found>,
    is_told: bool,
}

/// What was found of a host in one VRF.
#[derive(Default)]
struct Found {
    record: Option<SubscriberRow>,
    sessions: BTreeMap<Protocol, u32>,
    /// Sessions by the global address that they have.
    addresses: BTreeMap<Ipv4Addr, u32>,
}

fn subscriber(_: &mut Appliance, args: &Args) -> Started {
    Ok(Box::new(Subscriber {
        host: args.required("inside"),
        records: Walk::new(()),
        sessions: None,
        found: BTreeMap::new(),
        is_told: false,
    }))
}

impl Answer for Subscriber {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if self.is_told {
            return Progress::Done;
        }
        let Some(sessions) = &mut self.sessions else {
            return match self.records.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    for row in rows.into_iter().filter(|row| row.addr == self.host) {
                        let found = self.found.entry(row.vrf).or_default();
                        found.record = Some(row);
                    }
                    Progress::Waiting
                }
                Walking::Through => {
                    let of_host = Condition::address(&[Column::InsideLocal], self.host);
                    let wanted = Wanted { conditions: vec![of_host], ..Wanted::default() };
                    self.sessions = Some(Walk::new(Arc::new(wanted)));
                    Progress::Waiting
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            };
        };
        match sessions.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                rows.iter().for_each(|row| {
                    let found = self.found.entry(row.vrf).or_default();
                    *found.addresses.entry(row.inside_global.addr).or_default() += 1;
                    if row.protocol != ANY_PROTOCOL {
                        *found.sessions.entry(row.protocol).or_default() += 1;
                    }
                });
                Progress::Waiting
            }
            Walking::Through => {
                self.is_told = true;
                self.text(&appliance.compiled)
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl Subscriber {
    fn text(&self, compiled: &Compiled) -> Progress {
        if self.found.is_empty() {
            return Progress::Refused(format!("% {} has no sessions and no ports", self.host));
        }
        let texts = self.found.iter().map(|(&vrf, found)| self.text_of_vrf(compiled, vrf, found));
        Progress::Piece(texts.collect::<Vec<_>>().join("\n"))
    }

    fn text_of_vrf(&self, compiled: &Compiled, vrf: Vrf, found: &Found) -> String {
        let (host, policy) = (self.host, &compiled.policy);
        let mut out = format!("Inside local {host}, VRF {}\n", compiled.vrf_name(vrf));
        let mut line = |title: &str, text: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {title:<16} {text}");
        };
        let by_protocol =
            |(&protocol, count): (&Protocol, &u32)| format!("{count} {}", protocol_name(protocol));
        let protocols: Vec<String> = found.sessions.iter().map(by_protocol).collect();
        let all = match protocols.is_empty() {
            true => "0".to_string(),
            false => format!("{} ({})", found.sessions.values().sum::<u32>(), protocols.join(", ")),
        };
        line("Sessions", all);
        let addresses: Vec<String> = found.addresses.keys().map(ToString::to_string).collect();
        if !addresses.is_empty() {
            line("Inside global", addresses.join(", "));
        }
        if let Some(record) = &found.record {
            line("Unanswered", format!("{} sessions that the outside began", record.unsolicited_count));
            let paired = record.paired.map_or(String::new(), |addr| format!(", paired with {addr}"));
            line("Ports in use", format!("{}{paired}", record.port_count));
            for set in &record.sets {
                let last = set.port(set.size.saturating_sub(1));
                let (first, step, used, size) = (set.first, set.step, set.used, set.size);
                line("Port set", format!("{first}-{last} step {step}, {used} of {size} in use"));
            }
        }
        if let Some((_, range, addr)) = computed(policy, host) {
            line("Computed ports", format!("{addr}, {}-{}", range.first_port, range.last_port));
        }
        for limit in limits(compiled, vrf, host) {
            line("Limit", limit);
        }
        if let Some(record) = &found.record {
            let (all, limit) = (record.refused_count, record.limit_missed_count);
            line("Packets refused", format!("{all}, {limit} of them by the limit of the host"));
        }
        out
    }
}

/// What limits the sessions of a host.
fn limits(compiled: &Compiled, vrf: Vrf, host: Ipv4Addr) -> Vec<String> {
    let Policy { limits, acls, .. } = &compiled.policy;
    let own = limits.of_host(host).map(|limit| format!("{} sessions", limit.sessions_max));
    let rate = limits.rate_of_host(host).map(|rate| format!("{rate} new sessions a second"));
    let groups = compiled.policy.limit_groups_of(vrf, host);
    let groups = limits.groups.iter().enumerate().filter(|(number, _)| groups >> number & 1 == 1);
    let groups = groups.map(|(_, limit)| {
        let with = match limit.scope {
            LimitScope::All => "all others".to_string(),
            LimitScope::List(acl) => {
                format!("list {}", acls.get(usize::from(acl)).map_or("", |acl| acl.name.as_str()))
            }
            LimitScope::Vrf(vrf) => format!("VRF {}", compiled.vrf_name(vrf)),
        };
        format!("{} sessions, together with {with}", limit.sessions_max)
    });
    own.into_iter().chain(rate).chain(groups).collect()
}

/// The hosts with most under way.
struct Top {
    by_ports: bool,
    count: usize,
    walk: Walk<SubscriberRow>,
    /// Those found so far, the first ones first.
    rows: Vec<SubscriberRow>,
    is_told: bool,
}

fn top(_: &mut Appliance, args: &Args) -> Started {
    Ok(Box::new(Top {
        by_ports: args.has("ports"),
        count: args.optional("count").unwrap_or(TOP_DEFAULT).into(),
        walk: Walk::new(()),
        rows: Vec::new(),
        is_told: false,
    }))
}

impl Answer for Top {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if self.is_told {
            return Progress::Done;
        }
        match self.walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                self.add(rows);
                Progress::Waiting
            }
            Walking::Through => {
                self.is_told = true;
                Progress::Piece(self.text(&appliance.compiled))
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl Top {
    fn add(&mut self, rows: Vec<SubscriberRow>) {
        self.rows.extend(rows);
        let most = |row: &SubscriberRow| if self.by_ports { row.port_count } else { row.session_count };
        self.rows.sort_by_key(|row| (Reverse(most(row)), row.vrf, row.addr));
        self.rows.truncate(self.count);
    }

    fn text(&self, compiled: &Compiled) -> String {
        let mut out = format!(
            "{:<15}  {:<20} {:>10} {:>10} {:>10}  {}\n",
            "Inside local", "VRF", "Sessions", "Ports", "Refused", "Inside global"
        );
        for row in &self.rows {
            let (vrf, paired) = (compiled.vrf_name(row.vrf), row.paired);
            let paired = paired.map_or("---".into(), |addr| addr.to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{:<15}  {vrf:<20} {:>10} {:>10} {:>10}  {paired}",
                row.addr, row.session_count, row.port_count, row.refused_count
            );
        }
        out
    }
}
