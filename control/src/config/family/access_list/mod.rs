//! Access lists, numbered and named.

mod compiled;
mod rule;
pub(super) mod transport;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::edit::{command, remove, statement, warn_ignored};
use super::row::{Family, Section, Stage};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{GroupKind, Place};
use crate::config::text::blocks;

pub use rule::*;
pub use transport::{IcmpMatch, PortMatch};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[
        (Mode::Global, GLOBAL),
        (Mode::StandardList, STANDARD_LIST),
        (Mode::ExtendedList, EXTENDED_LIST),
    ],
    render: &[(Section::AccessLists, |config| blocks(config.access_lists.iter().map(AccessList::lines)))],
    lint: |lint| {
        lint.check_wildcards();
        lint.check_references();
    },
    compile: &[(Stage::Interfaces, |compiler| compiler.acls())],
    ..Family::NONE
};

/// An access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    /// Where its first line stands.
    pub place: Place,
    /// Its name, or its number in digits.
    pub name: String,
    /// What its entries look at.
    pub kind: AccessListKind,
    /// Its entries, by ascending sequence number.
    pub entries: Vec<AccessListEntry>,
}

impl AccessList {
    /// The prefixes that the list permits, in order, if it does nothing else: no denial, no other condition, and only
    /// wildcards that leave a prefix.
    pub fn prefixes(&self) -> Option<Vec<Ipv4Net>> {
        let rules = self.entries.iter().filter_map(|entry| match &entry.body {
            EntryBody::Rule(rule) => Some(rule),
            EntryBody::Remark(_) => None,
        });
        rules.map(AccessRule::prefix).collect()
    }
}

/// One numbered line of an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessListEntry {
    /// Where it stands.
    pub place: Place,
    /// Its sequence number, not 0.
    pub sequence: u32,
    /// What it says.
    pub body: EntryBody,
}

/// What a line of an access list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// `remark TEXT`
    Remark(String),
    /// `permit ...` or `deny ...`
    Rule(AccessRule),
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("access-list <acl:1-99,1300-1999> / { (standard-rule) | remark <text> }",
              "Add to a numbered list that looks at the source address", numbered_standard),
    statement("access-list <acl:100-199,2000-2699> / { (extended-rule) | remark <text> }",
              "Add to a numbered list that looks at protocol, addresses and ports", numbered_extended),
    statement("ip access-list standard { <acl:1-99,1300-1999> | <acl:name> }",
              "Edit a list that looks at the source address", named_standard),
    statement("ip access-list extended { <acl:100-199,2000-2699> | <acl:name> }",
              "Edit a list that looks at protocol, addresses and ports", named_extended),
    command("ip access-list resequence (acl) <start:1-2147483647> <step:1-2147483647>",
            "Renumber the entries of a list", resequence),
];

#[rustfmt::skip]
const STANDARD_LIST: &[Row<Apply>] = &[
    statement("[ <sequence:1-2147483647> / ] { (standard-rule) | remark <text> }", "Add an entry to the list", entry),
];

#[rustfmt::skip]
const EXTENDED_LIST: &[Row<Apply>] = &[
    statement("[ <sequence:1-2147483647> / ] { (extended-rule) | remark <text> }", "Add an entry to the list", entry),
];

/// The highest sequence number.
const SEQUENCE_MAX: u32 = 2147483647;

/// The distance between entries that are not numbered.
const SEQUENCE_STEP: u32 = 10;

fn numbered_standard(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    numbered(builder, statement, AccessListKind::Standard)
}

fn numbered_extended(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    numbered(builder, statement, AccessListKind::Extended)
}

fn numbered(builder: &mut Builder, statement: &Statement, kind: AccessListKind) -> Result<(), Fault> {
    let Some(body) = body(statement)? else {
        return remove_list(builder, statement);
    };
    let name: String = statement.args.required("acl");
    let known = list_named(builder, &name);
    let lists = &mut builder.config.access_lists;
    if statement.sets() {
        let index = known.unwrap_or_else(|| add_list(builder, statement, name, kind));
        add_entry(builder, index, statement, body)
    } else {
        let removed =
            known.is_some_and(|index| remove(&mut lists[index].entries, |entry| entry.body == body));
        builder.expect_removed(removed, statement);
        Ok(())
    }
}

fn named_standard(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    named(builder, statement, AccessListKind::Standard)
}

fn named_extended(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    named(builder, statement, AccessListKind::Extended)
}

fn named(builder: &mut Builder, statement: &Statement, kind: AccessListKind) -> Result<(), Fault> {
    if !statement.sets() {
        return remove_list(builder, statement);
    }
    let name: String = statement.args.required("acl");
    let known = list_named(builder, &name);
    let lists = &builder.config.access_lists;
    if let Some(list) = known.map(|index| &lists[index]).filter(|list| list.kind != kind) {
        let text = format!("access list {name:?} is of the other kind, by {}", list.place);
        return Err(statement.fault("acl", text));
    }
    let index = known.unwrap_or_else(|| add_list(builder, statement, name, kind));
    let mode = match kind {
        AccessListKind::Standard => Mode::StandardList,
        AccessListKind::Extended => Mode::ExtendedList,
    };
    builder.open(mode, (index, 0));
    Ok(())
}

/// The position of an access list.
fn list_named(builder: &mut Builder, name: &str) -> Option<usize> {
    let lists = &builder.config.access_lists;
    builder.known.position(List::AccessLists, lists, |list| list.name.clone(), name)
}

fn resequence(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let (start, step): (u32, u32) = (statement.args.required("start"), statement.args.required("step"));
    let name: String = statement.args.required("acl");
    let Some(list) = builder.config.access_lists.iter_mut().find(|list| list.name == name) else {
        return Err(statement.fault("acl", format!("access list {name:?} is not defined yet")));
    };
    let last = start as u64 + step as u64 * list.entries.len().saturating_sub(1) as u64;
    if last > SEQUENCE_MAX as u64 {
        return Err(statement.fault("step", format!("the last entry would have the number {last}")));
    }
    for (entry, position) in list.entries.iter_mut().zip(0..) {
        entry.sequence = start + step * position;
    }
    Ok(())
}

fn remove_list(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let name: String = statement.args.required("acl");
    let removed = remove(&mut builder.config.access_lists, |list| list.name == name);
    builder.expect_removed(removed, statement);
    Ok(())
}

fn add_list(builder: &mut Builder, statement: &Statement, name: String, kind: AccessListKind) -> usize {
    let lists = &mut builder.config.access_lists;
    lists.push(AccessList { place: statement.place, name, kind, entries: Vec::new() });
    lists.len() - 1
}

fn entry(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let index = builder.opened.0;
    match body(statement)? {
        Some(body) if statement.sets() => add_entry(builder, index, statement, body),
        body => {
            let sequence: Option<u32> = statement.args.optional("sequence");
            let fits = |entry: &AccessListEntry| {
                sequence.is_none_or(|sequence| entry.sequence == sequence)
                    && body.as_ref().is_none_or(|body| entry.body == *body)
            };
            let removed = remove(&mut builder.config.access_lists[index].entries, fits);
            builder.expect_removed(removed, statement);
            Ok(())
        }
    }
}

/// Adds an entry where its sequence number puts it, or else after the last.
fn add_entry(
    builder: &mut Builder,
    index: usize,
    statement: &Statement,
    body: EntryBody,
) -> Result<(), Fault> {
    let entries = &mut builder.config.access_lists[index].entries;
    let next = entries.last().map_or(0, |last| last.sequence) + SEQUENCE_STEP;
    let sequence = statement.args.optional("sequence").unwrap_or(next);
    if sequence > SEQUENCE_MAX {
        return Err(statement.fault("acl", "no number is left after the last entry; resequence the list"));
    }
    let is_rule = matches!(body, EntryBody::Rule(_));
    let identity = |entry: &AccessListEntry| format!("{:?}", entry.body);
    let repeated = builder.known.position(List::Entries(index), entries, identity, &format!("{body:?}"));
    if let Some(position) = repeated.filter(|_| is_rule) {
        let text = format!("this repeats {}", entries[position].place);
        builder.warn(statement.place.column as usize, text);
        return Ok(());
    }
    match entries.binary_search_by_key(&sequence, |entry| entry.sequence) {
        Ok(taken) => {
            let text = format!("the number {sequence} is taken by {}", entries[taken].place);
            return Err(statement.fault("sequence", text));
        }
        Err(position) => {
            if position < entries.len() {
                builder.known.forget();
            }
            entries.insert(position, AccessListEntry { place: statement.place, sequence, body });
        }
    }
    warn_ignored(builder, statement, &[("log", UNLOGGED), ("log-input", UNLOGGED)]);
    warn_bare_network(builder, statement);
    Ok(())
}

/// Why `log` has no effect.
const UNLOGGED: &str = "matches are counted and not logged yet";

/// An address that ends like a network's, without a wildcard and without `host`, was hardly meant to be one host.
fn warn_bare_network(builder: &mut Builder, statement: &Statement) {
    let source = statement.args.within("source");
    let address: Option<Ipv4Addr> = source.optional("address");
    let is_bare = !source.has("host") && !source.has("wildcard");
    let Some(address) = address.filter(|_| is_bare) else { return };
    let meant = match address.to_bits().trailing_zeros() / 8 {
        0 => return,
        4 => "\"any\"".to_string(),
        octets => format!("\"{address} {}\"", Ipv4Addr::from_bits((1 << (8 * octets)) - 1)),
    };
    let text = format!("{address} without a wildcard is one host; did you mean {meant}?");
    builder.warn(source.column("address"), text);
}

impl Lint<'_> {
    /// A netmask where a wildcard belongs matches almost nothing of what was meant.
    fn check_wildcards(&mut self) {
        for entry in self.config.access_lists.iter().flat_map(|list| &list.entries) {
            let EntryBody::Rule(rule) = &entry.body else { continue };
            for addresses in [&rule.source, &rule.destination] {
                let Addresses::Match(AddressMatch { wildcard, .. }) = addresses else { continue };
                let bits = wildcard.to_bits();
                let partial = bits != 0 && bits != u32::MAX;
                if partial && bits.leading_ones() + bits.trailing_zeros() == 32 {
                    let text =
                        format!("the wildcard {wildcard} looks like a netmask; did you mean {}?", !*wildcard);
                    self.warn(entry.place, text);
                }
            }
            if let Addresses::Match(AddressMatch { address, wildcard }) = rule.source {
                self.check_for_network(entry.place, address, wildcard);
            }
        }
    }

    /// The groups and times that entries name.
    fn check_references(&mut self) {
        for entry in self.config.access_lists.iter().flat_map(|list| &list.entries) {
            let EntryBody::Rule(rule) = &entry.body else { continue };
            if let Some(name) = &rule.time_range {
                self.check_time_range(entry.place, name);
            }
            if let Some(name) = &rule.services {
                self.check_object_group(entry.place, name, GroupKind::Service);
            }
            for addresses in [&rule.source, &rule.destination] {
                if let Addresses::Group(name) = addresses {
                    self.check_object_group(entry.place, name, GroupKind::Network);
                }
            }
        }
    }

    /// The network of an interface is no host: a wildcard is missing. Of those that end in 0 the line was told already.
    fn check_for_network(&mut self, place: Place, address: Ipv4Addr, wildcard: Ipv4Addr) {
        let is_host = wildcard.is_unspecified() && address.to_bits().trailing_zeros() < 8;
        let addresses = self.config.interfaces.iter().flat_map(|interface| &interface.addresses);
        let mut networks = addresses.map(|own| own.network.trunc()).filter(|own| own.prefix_len() < 31);
        if let Some(network) = networks.find(|network| is_host && network.addr() == address) {
            let text = format!(
                "{address} without a wildcard is one host, but also the network {network}; did you mean \"{address} {}\"?",
                network.hostmask()
            );
            self.warn(place, text);
        }
    }
}

/// What an entry says; nothing if the line ends before it.
fn body(statement: &Statement) -> Result<Option<EntryBody>, Fault> {
    if statement.args.has("remark") {
        return Ok(Some(EntryBody::Remark(statement.args.required("text"))));
    }
    Ok(rule(statement)?.map(EntryBody::Rule))
}

impl AccessListEntry {
    /// A rule of this entry as a line with its number: its counter is told by it.
    pub fn line(&self, rule: &AccessRule, kind: AccessListKind) -> String {
        format!("{} {}", self.sequence, rule.line(kind))
    }
}

impl AccessList {
    /// The list's lines: `access-list N ...` for a number whose entries are numbered as new ones would be, and
    /// otherwise `ip access-list ...` with a numbered line for each entry.
    fn lines(&self) -> Vec<String> {
        let plain = self.entries.iter().zip(1..).all(|(entry, position)| entry.sequence == 10 * position);
        let numbered = self.name.starts_with(|c: char| c.is_ascii_digit());
        let body = |entry: &AccessListEntry| match &entry.body {
            EntryBody::Remark(text) => format!("remark {text}"),
            EntryBody::Rule(rule) => rule.line(self.kind),
        };
        if numbered && plain && !self.entries.is_empty() {
            return self
                .entries
                .iter()
                .map(|entry| format!("access-list {} {}", self.name, body(entry)))
                .collect();
        }
        let kind = match self.kind {
            AccessListKind::Standard => "standard",
            AccessListKind::Extended => "extended",
        };
        let mut lines = vec![format!("ip access-list {kind} {}", self.name)];
        lines.extend(self.entries.iter().map(|entry| format!(" {} {}", entry.sequence, body(entry))));
        lines
    }
}
