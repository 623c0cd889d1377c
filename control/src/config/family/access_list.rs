//! Access lists, numbered and named.

use std::net::Ipv4Addr;

use super::super::args::Args;
use super::super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::super::grammar::Row;
use super::super::lint::findings::Lint;
use super::super::model::{
    AccessAction, AccessList, AccessListEntry, AccessListKind, AccessRule, AddressMatch, EntryBody,
    IcmpMatch, PortMatch, TCP_FLAGS, TcpFlagsMatch,
};
use super::super::text::blocks;
use super::edit::{command, remove, statement};
use super::row::{Family, Section, Stage};

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[
        (Mode::Global, GLOBAL),
        (Mode::StandardList, STANDARD_LIST),
        (Mode::ExtendedList, EXTENDED_LIST),
    ],
    render: &[(Section::AccessLists, |config| blocks(config.access_lists.iter().map(AccessList::lines)))],
    lint: |lint| lint.check_wildcards(),
    compile: &[(Stage::Interfaces, |compiler| compiler.acls())],
    ..Family::NONE
};

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
            "Number the entries of a list anew", resequence),
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
    let lists = &mut builder.config.access_lists;
    let name: String = statement.args.required("acl");
    let known = lists.iter().position(|list| list.name == name);
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
    let lists = &builder.config.access_lists;
    let known = lists.iter().position(|list| list.name == name);
    if let Some(list) = known.map(|index| &lists[index]).filter(|list| list.kind != kind) {
        let text = format!("access list {name:?} is of the other kind, by line {}", list.place.line);
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
    if let Some(known) = entries.iter().find(|known| is_rule && known.body == body) {
        let text = format!("this repeats line {}", known.place.line);
        builder.warn(statement.place.column as usize, text);
        return Ok(());
    }
    match entries.binary_search_by_key(&sequence, |entry| entry.sequence) {
        Ok(taken) => {
            let text = format!("the number {sequence} is taken by line {}", entries[taken].place.line);
            Err(statement.fault("sequence", text))
        }
        Err(position) => {
            entries.insert(position, AccessListEntry { place: statement.place, sequence, body });
            Ok(())
        }
    }
}

/// What an entry says; nothing if the line ends before it.
fn body(statement: &Statement) -> Result<Option<EntryBody>, Fault> {
    let args = &statement.args;
    if args.has("remark") {
        return Ok(Some(EntryBody::Remark(args.required("text"))));
    }
    let action = match (args.has("permit"), args.has("deny")) {
        (true, _) => AccessAction::Permit,
        (_, true) => AccessAction::Deny,
        _ => return Ok(None),
    };
    let source = args.within("source");
    let destination = args.within("destination");
    let rule = AccessRule {
        action,
        protocol: protocol(args),
        source: address(&source),
        source_port: port(&source)?,
        destination: address(&destination),
        destination_port: port(&destination)?,
        tcp_flags: tcp_flags(statement)?,
        icmp: icmp(args),
        dscp: args.optional("dscp"),
        fragments: args.has("fragments"),
        log: args.has("log") || args.has("log-input"),
    };
    let ports = rule.source_port.is_some() || rule.destination_port.is_some();
    if rule.fragments && (ports || rule.tcp_flags.is_some() || rule.icmp.is_some()) {
        return Err(
            statement.fault("fragments", "fragments after the first carry no ports, flags or ICMP type")
        );
    }
    Ok(Some(EntryBody::Rule(rule)))
}

fn protocol(args: &Args) -> Option<u8> {
    let keyword = [("tcp", 6), ("udp", 17), ("icmp", 1)].into_iter().find(|(keyword, _)| args.has(keyword));
    let number = keyword.map(|(_, number)| number).or_else(|| args.optional("protocol"));
    number.filter(|number| *number != 0)
}

fn address(args: &Args) -> AddressMatch {
    match args.optional::<Ipv4Addr>("address") {
        Some(address) => {
            AddressMatch::new(address, args.optional("wildcard").unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        None => AddressMatch::ANY,
    }
}

fn port(args: &Args) -> Result<Option<PortMatch>, Fault> {
    if args.has("range") {
        let (low, high): (u16, u16) = (args.required("low"), args.required("high"));
        if low > high {
            return Err(Fault::at(
                args.column("low"),
                format!("the range starts at {low}, after its end {high}"),
            ));
        }
        return Ok(Some(PortMatch::Range(low, high)));
    }
    Ok(match args.optional("port") {
        None => None,
        Some(port) if args.has("neq") => Some(PortMatch::NotEqual(port)),
        Some(port) if args.has("lt") => Some(PortMatch::Below(port)),
        Some(port) if args.has("gt") => Some(PortMatch::Above(port)),
        Some(_) => Some(PortMatch::Equal(args.all("port").collect())),
    })
}

fn tcp_flags(statement: &Statement) -> Result<Option<TcpFlagsMatch>, Fault> {
    let args = &statement.args;
    let bits = TCP_FLAGS.iter().filter(|(name, _)| args.has(name)).fold(0, |bits, (_, bit)| bits | bit);
    match (args.has("established"), bits) {
        (true, 0) => Ok(Some(TcpFlagsMatch::Established)),
        (true, _) => Err(statement.fault("established", "established already says which flags are set")),
        (false, 0) => Ok(None),
        (false, bits) => Ok(Some(TcpFlagsMatch::AnyOf(bits))),
    }
}

fn icmp(args: &Args) -> Option<IcmpMatch> {
    match args.optional::<u32>("message") {
        Some(message) => Some(IcmpMatch::from_number(message)),
        None => args.optional("type").map(|kind| IcmpMatch { kind, code: args.optional("code") }),
    }
}

impl Lint<'_> {
    /// A netmask where a wildcard belongs matches almost nothing of what was meant.
    fn check_wildcards(&mut self) {
        for entry in self.config.access_lists.iter().flat_map(|list| &list.entries) {
            let EntryBody::Rule(rule) = &entry.body else { continue };
            for wildcard in [rule.source.wildcard, rule.destination.wildcard] {
                let bits = wildcard.to_bits();
                let partial = bits != 0 && bits != u32::MAX;
                if partial && bits.leading_ones() + bits.trailing_zeros() == 32 {
                    let text =
                        format!("the wildcard {wildcard} looks like a netmask; did you mean {}?", !wildcard);
                    self.warn(entry.place, text);
                }
            }
        }
    }
}
