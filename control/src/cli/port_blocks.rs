//! `show ip nat portblock`

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use dataplane::flow::{Protocol, TCP, UDP, protocol_name};
use dataplane::message::{SessionRow, SubscriberRow};
use dataplane::state::wanted::Wanted;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, long_command};
use super::walk::{Walk, Walking};
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat portblock dynamic global [ detail ]",
                 "Blocks of global ports with the dynamic translations that use them; in detail by address, and sets of ports", show),
];

/// Ports of a block, from 1024 on.
const BLOCK: u16 = 4096;

/// First and last port of a block: the low ports in two, then so many each.
fn block_of(port: u16) -> (u16, u16) {
    match port {
        0..=511 => (0, 511),
        512..=1023 => (512, 1023),
        _ => {
            let first = (port - 1024) / BLOCK * BLOCK + 1024;
            (first, first.saturating_add(BLOCK - 1))
        }
    }
}

/// The table under way.
struct Blocks {
    is_detailed: bool,
    place: Place,
    used: BTreeMap<(Protocol, (u16, u16)), BTreeMap<Ipv4Addr, u32>>,
}

enum Place {
    Sessions(Walk<SessionRow>),
    Sets(Walk<SubscriberRow>),
    End,
}

fn show(appliance: &mut Appliance, args: &Args) -> Started {
    // Ports of statics are nobody's share.
    let dynamic = appliance.compiled.policy.rules.iter().map(|rule| rule.id).collect();
    let wanted = Wanted { rules: Some(dynamic), ..Wanted::default() };
    let (is_detailed, place) = (args.has("detail"), Place::Sessions(Walk::new(Arc::new(wanted))));
    Ok(Box::new(Blocks { is_detailed, place, used: BTreeMap::new() }))
}

impl Answer for Blocks {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        match &mut self.place {
            Place::Sessions(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    self.add(&rows);
                    Progress::Waiting
                }
                Walking::Through => {
                    let has_sets = self.is_detailed && appliance.compiled.policy.behaviour.blocks.is_some();
                    self.place = if has_sets { Place::Sets(Walk::new(())) } else { Place::End };
                    Progress::Piece(self.text() + if has_sets { "port sets:\n" } else { "" })
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::Sets(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    let text: String = rows.iter().map(|row| sets_of(appliance, row)).collect();
                    if text.is_empty() { Progress::Waiting } else { Progress::Piece(text) }
                }
                Walking::Through => {
                    self.place = Place::End;
                    Progress::Done
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::End => Progress::Done,
        }
    }
}

impl Blocks {
    fn add(&mut self, rows: &[SessionRow]) {
        let is_counted = |row: &&SessionRow| [TCP, UDP].contains(&row.protocol);
        for row in rows.iter().filter(is_counted) {
            let block = block_of(row.inside_global.port);
            let addresses = self.used.entry((row.protocol, block)).or_default();
            *addresses.entry(row.inside_global.addr).or_default() += 1;
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for protocol in [TCP, UDP] {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{}:", protocol_name(protocol));
            for ((_, (first, last)), addresses) in self.used.iter().filter(|((of, _), _)| *of == protocol) {
                let _ = writeln!(out, "  {first:<5} -{last:<5}  rfcnt {}", addresses.values().sum::<u32>());
                for (addr, count) in addresses.iter().filter(|_| self.is_detailed) {
                    let _ = writeln!(out, "    {addr:<15}  rfcnt {count}");
                }
            }
        }
        out
    }
}

/// The port sets of a host, a line each.
fn sets_of(appliance: &Appliance, row: &SubscriberRow) -> String {
    let vrf = appliance.compiled.vrf_name(row.vrf);
    let addr = row.paired.map_or("---".into(), |addr| addr.to_string());
    let line = |set: &dataplane::state::ports::port_set::PortSet| {
        let (first, last) = (set.first, set.port(set.size.saturating_sub(1)));
        let (step, used, size) = (set.step, set.used, set.size);
        let ports = format!("{first}-{last} step {step}");
        format!("  {addr:<15}  {ports:<20} {used} of {size} in use by {} of VRF {vrf}\n", row.addr)
    };
    row.sets.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_of_one_block() {
        let mut expected = Some(0);
        while let Some(port) = expected {
            let (first, last) = block_of(port);
            assert_eq!((first, block_of(last)), (port, (first, last)));
            expected = last.checked_add(1);
        }
    }
}
