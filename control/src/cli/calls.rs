//! `show ip nat calls`

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use alg::{Call, CallKind};
use dataplane::flow::{Vrf, protocol_name};
use dataplane::message::{CallRow, DOOR_SESSIONS_MAX, DoorRow, EditRow};
use dataplane::state::call::CallKey;

use super::answer::{Answer, Progress};
use super::command::{Command, Started, duration, long_command};
use super::doors::name;
use super::edits::edit_text;
use super::walk::{Walk, Walking};
use super::wanted::vrf;
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    long_command("show ip nat calls [ inside <inside:address> | vrf <vrf:word> | verbose ]*",
                 "Calls, registrations and the like that ALGs remember, of all VRFs; verbose with their doors, and the last edits of their messages", show),
];

/// Which hosts are meant.
#[derive(Clone, Copy)]
struct Hosts {
    vrf: Option<Vrf>,
    addr: Option<Ipv4Addr>,
}

impl Hosts {
    fn have(self, (vrf, addr): (Vrf, Ipv4Addr)) -> bool {
        self.vrf.is_none_or(|wanted| wanted == vrf) && self.addr.is_none_or(|wanted| wanted == addr)
    }
}

/// The doors of each call.
type Doors = HashMap<CallKey, Vec<DoorRow>>;

/// The table under way.
struct Table {
    hosts: Hosts,
    is_verbose: bool,
    doors: Doors,
    /// The last edits of each call's messages, the oldest first.
    edits: HashMap<CallKey, Vec<EditRow>>,
    counts: [u64; CallKind::ALL.len()],
    place: Place,
}

/// How far the table is.
enum Place {
    /// At the workers' doors, which are told of with their calls.
    Doors(Walk<DoorRow>),
    /// At what their gateways changed last.
    Edits(Walk<EditRow>),
    /// At their calls.
    Calls(Walk<CallRow>),
    /// Through.
    End,
}

fn show(appliance: &mut Appliance, args: &Args) -> Started {
    let is_of_all = args.optional::<String>("vrf").is_none_or(|name| name == "*");
    let vrf = if is_of_all { None } else { vrf(appliance, args)? };
    Ok(Box::new(Table {
        hosts: Hosts { vrf, addr: args.optional("inside") },
        is_verbose: args.has("verbose"),
        doors: HashMap::new(),
        edits: HashMap::new(),
        counts: Default::default(),
        place: Place::Doors(Walk::new(())),
    }))
}

impl Answer for Table {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        match &mut self.place {
            Place::Doors(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    self.add_doors(rows);
                    Progress::Waiting
                }
                Walking::Through => {
                    self.place = if self.is_verbose {
                        Place::Edits(Walk::new(()))
                    } else {
                        Place::Calls(Walk::new(()))
                    };
                    let titles = ["Inside local", "VRF", "ALG", "Kind", "State", "Left", "Doors", "Sessions"];
                    Progress::Piece(line(titles))
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::Edits(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => {
                    self.add_edits(rows);
                    Progress::Waiting
                }
                Walking::Through => {
                    self.place = Place::Calls(Walk::new(()));
                    Progress::Waiting
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::Calls(walk) => match walk.advance(appliance) {
                Walking::Waiting => Progress::Waiting,
                Walking::Rows(rows) => Progress::Piece(self.texts(appliance, &rows)),
                Walking::Through => {
                    self.place = Place::End;
                    Progress::Piece(self.total())
                }
                Walking::Refused(refusal) => Progress::Refused(refusal),
            },
            Place::End => Progress::Done,
        }
    }
}

impl Table {
    fn add_doors(&mut self, rows: Vec<DoorRow>) {
        for row in rows {
            if let Some(call) = row.call.filter(|call| self.hosts.have(call.host)) {
                self.doors.entry(call).or_default().push(row);
            }
        }
    }

    fn add_edits(&mut self, rows: Vec<EditRow>) {
        for row in rows {
            let of = row.edit.of;
            if let Some(hash) = of.call.filter(|_| self.hosts.have(of.host)) {
                self.edits.entry(CallKey { host: of.host, hash }).or_default().push(row);
            }
        }
    }

    fn texts(&mut self, appliance: &Appliance, rows: &[CallRow]) -> String {
        let mut out = String::new();
        for row in rows.iter().filter(|row| self.hosts.have(row.key.host)) {
            let doors = self.doors.get(&row.key).map_or(&[][..], Vec::as_slice);
            self.counts[row.kind as usize] += 1;
            out += &text(row, appliance.compiled.vrf_name(row.key.host.0), doors);
            if self.is_verbose {
                doors.iter().for_each(|door| out += &door_text(row.kind, door));
                let edits = self.edits.get(&row.key).map_or(&[][..], Vec::as_slice);
                edits.iter().for_each(|edit| out += &edit_text(edit));
            }
        }
        out
    }

    fn total(&self) -> String {
        let kinds = CallKind::ALL.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        let parts: Vec<String> = kinds.map(|(kind, count)| format!("{} {count}", kind.label())).collect();
        let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("\nTotal number of calls: {}{parts}\n", self.counts.iter().sum::<u64>())
    }
}

fn text(row: &CallRow, vrf: &str, doors: &[DoorRow]) -> String {
    let (host, state) = (row.key.host.1.to_string(), row.state.to_string());
    let (left, door_count) = (duration(u64::from(row.left_ms)), doors.len().to_string());
    line([&host, vrf, name(row.gateway), row.kind.label(), &state, &left, &door_count, &sessions(doors)])
}

fn line([host, vrf, gateway, kind, state, left, doors, sessions]: [&str; 8]) -> String {
    format!("{host:<15} {vrf:<15} {gateway:<5} {kind:<12} {state:<11} {left:<9} {doors:>5} {sessions:>8}\n")
}

/// Sessions of the doors' endpoints, of which several doors may have one.
fn sessions(doors: &[DoorRow]) -> String {
    let mut endpoints = HashSet::new();
    let of_endpoints = doors.iter().filter(|door| endpoints.insert((door.protocol, door.inside_global)));
    let counts: Vec<u32> = of_endpoints.filter_map(|door| door.session_count).collect();
    let is_known = doors.is_empty() || !counts.is_empty();
    let is_exact = counts.iter().all(|&count| count < DOOR_SESSIONS_MAX);
    match is_known {
        true => format!("{}{}", counts.iter().sum::<u32>(), if is_exact { "" } else { "+" }),
        false => "-".into(),
    }
}

fn door_text(kind: CallKind, door: &DoorRow) -> String {
    let (protocol, global, local) = (protocol_name(door.protocol), door.inside_global, door.inside_local);
    let peer = door.peer.map_or("any".to_string(), |peer| peer.to_string());
    let mut out =
        format!("    door: {protocol}, inside global {global}, inside local {local}, outside {peer}");
    // Writing to a string cannot fail.
    if let Some((description, media)) = Call::media_line(kind, door.number) {
        let _ = write!(out, ", media line {media} of description {description}");
    }
    let sessions = sessions(std::slice::from_ref(door));
    let left = duration(u64::from(door.left_ms));
    let _ = writeln!(out, ", left {left}, sessions {sessions}");
    out
}
