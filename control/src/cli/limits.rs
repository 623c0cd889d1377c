//! `show ip nat limits`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use dataplane::flow::Vrf;
use dataplane::message::{SubscriberRow, Usage, WorkerMessage};
use dataplane::policy::{Limit, LimitScope};

use super::answer::{Answer, Asked, Progress};
use super::command::{Command, Started, long_command};
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat limits all-host", "Inside hosts with a limit on their sessions, by VRF", hosts),
    long_command("show ip nat limits host <inside:address>", "The limit on the sessions of an inside host, by VRF", hosts),
    long_command("show ip nat limits all-vrf", "VRFs with a limit on their sessions", |appliance, _| {
        groups(appliance, "VRF", |appliance, limit| vrf_of(appliance, limit).map(str::to_string))
    }),
    long_command("show ip nat limits vrf <vrf:word>", "The limit on the sessions of a VRF", |appliance, args| {
        let wanted: String = args.required("vrf");
        groups(appliance, "VRF", move |appliance, limit| {
            vrf_of(appliance, limit).filter(|name| **name == wanted).map(str::to_string)
        })
    }),
    long_command("show ip nat limits list <list:word>", "The limit on the sessions of the hosts of an access list", |appliance, args| {
        let wanted: String = args.required("list");
        groups(appliance, "List", move |appliance, limit| {
            list_of(appliance, limit).filter(|name| **name == wanted).map(str::to_string)
        })
    }),
];

/// Rows of a piece.
const ROWS_PER_PIECE: usize = 512;

fn header(title: &str) -> String {
    format!("{title:<15} Max Entries Use Count  Miss Count\n{}\n", "-".repeat(49))
}

fn row(name: &str, max: u32, used: u32, missed: u64) -> String {
    format!("{name:<15} {max:<11} {used:<10} {missed}\n")
}

fn footer(count: usize) -> String {
    format!("\nTotal number of limit entries: {count}\n")
}

/// A row of a host: its address, the most sessions, those it has, and those refused.
type HostRow = (Ipv4Addr, u32, u32, u32);

/// The table of hosts under way: the global table's as they come, then those of each VRF under its name.
struct Hosts {
    wanted: Option<Ipv4Addr>,
    walk: Option<Walk<SubscriberRow>>,
    of_vrfs: BTreeMap<Vrf, Vec<HostRow>>,
    count: usize,
    is_begun: bool,
    is_told: bool,
}

fn hosts(appliance: &mut Appliance, args: &Args) -> Started {
    let wanted: Option<Ipv4Addr> = args.optional("inside");
    let limits = &appliance.compiled.policy.limits;
    if let Some(host) = wanted.filter(|&host| limits.of_host(host).is_none()) {
        return Err(format!("% No limit is on the sessions of {host}"));
    }
    Ok(Box::new(Hosts {
        wanted,
        walk: Some(Walk::new(())),
        of_vrfs: BTreeMap::new(),
        count: 0,
        is_begun: false,
        is_told: false,
    }))
}

impl Answer for Hosts {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if !self.is_begun {
            self.is_begun = true;
            return Progress::Piece(header("Host"));
        }
        let Some(walk) = &mut self.walk else { return self.next_of_vrfs(appliance) };
        match walk.advance(appliance) {
            Walking::Waiting => Progress::Waiting,
            Walking::Rows(rows) => {
                let text = self.add(appliance, &rows);
                if text.is_empty() { Progress::Waiting } else { Progress::Piece(text) }
            }
            Walking::Through => {
                self.walk = None;
                self.next_of_vrfs(appliance)
            }
            Walking::Refused(refusal) => Progress::Refused(refusal),
        }
    }
}

impl Hosts {
    /// Takes rows that are wanted and have a limit. Returns the text of those of the global table.
    fn add(&mut self, appliance: &Appliance, rows: &[SubscriberRow]) -> String {
        let limits = &appliance.compiled.policy.limits;
        let mut out = String::new();
        for found in rows.iter().filter(|row| self.wanted.is_none_or(|wanted| row.addr == wanted)) {
            let Some(limit) = limits.of_host(found.addr) else { continue };
            let used = found.session_count.saturating_sub(found.unsolicited_count);
            self.count += 1;
            match found.vrf {
                0 => {
                    out += &row(
                        &found.addr.to_string(),
                        limit.sessions_max,
                        used,
                        found.limit_missed_count.into(),
                    )
                }
                vrf => self.of_vrfs.entry(vrf).or_default().push((
                    found.addr,
                    limit.sessions_max,
                    used,
                    found.limit_missed_count,
                )),
            }
        }
        out
    }

    fn next_of_vrfs(&mut self, appliance: &Appliance) -> Progress {
        let Some((&vrf, rows)) = self.of_vrfs.iter_mut().next() else {
            if self.is_told {
                return Progress::Done;
            }
            self.is_told = true;
            return Progress::Piece(footer(self.count));
        };
        let mut out = format!("VRF {}\n", appliance.compiled.vrf_name(vrf));
        for (addr, max, used, missed) in rows.drain(..rows.len().min(ROWS_PER_PIECE)) {
            out += &row(&addr.to_string(), max, used, missed.into());
        }
        if rows.is_empty() {
            self.of_vrfs.remove(&vrf);
        }
        Progress::Piece(out)
    }
}

fn vrf_of<'a>(appliance: &'a Appliance, limit: &Limit) -> Option<&'a str> {
    match limit.scope {
        LimitScope::Vrf(vrf) => Some(appliance.compiled.vrf_name(vrf)),
        _ => None,
    }
}

fn list_of<'a>(appliance: &'a Appliance, limit: &Limit) -> Option<&'a str> {
    match limit.scope {
        LimitScope::List(acl) => Some(appliance.compiled.policy.acls.get(usize::from(acl))?.name.as_str()),
        _ => None,
    }
}

/// The table of those groups that `name` names.
fn groups(
    appliance: &mut Appliance,
    title: &'static str,
    name: impl Fn(&Appliance, &Limit) -> Option<String> + 'static,
) -> Started {
    Ok(Box::new(Asked::new(appliance, WorkerMessage::Usage, move |appliance, usages: Vec<Usage>| {
        let mut out = header(title);
        let mut count = 0;
        for (position, limit) in appliance.compiled.policy.limits.groups.iter().enumerate() {
            let Some(name) = name(appliance, limit) else { continue };
            let used = usages.iter().filter_map(|usage| usage.limit_groups.get(position)).sum();
            let missed = appliance.operation.baselines.limit(&appliance.counters, limit.counter);
            out += &row(&name, limit.sessions_max, used, missed);
            count += 1;
        }
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", footer(count));
        Ok(out)
    })?))
}
