//! `ip prefix-list`, which route-maps select packets by.
//!
//! In IOS such a list is about routes. Of a packet it looks at the source address, as a standard access list does: an entry without
//! `ge` and `le` is met by what lies in its prefix, and to one with them the address is a prefix of 32 bits.

use dataplane::policy;
use ipnet::Ipv4Net;

use super::edit::{remove, statement};
use super::row::{Family, Section, Stage};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{AccessAction, Place};
use crate::config::text::blocks;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL)],
    render: &[(Section::PrefixLists, |config| blocks(config.prefix_lists.iter().map(PrefixList::lines)))],
    lint: |lint| lint.check_lengths(),
    compile: &[(Stage::Interfaces, |compiler| compiler.prefix_lists())],
    ..Family::NONE
};

/// `ip prefix-list NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixList {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// `description TEXT`
    pub description: Option<String>,
    /// Its entries, by ascending sequence number. There is at least one, or a description.
    pub entries: Vec<PrefixEntry>,
}

/// `[seq N] {permit|deny} P/LEN [ge N] [le N]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixEntry {
    /// Where it stands.
    pub place: Place,
    /// Its sequence number, not 0.
    pub sequence: u32,
    /// Whether what matches is permitted.
    pub action: AccessAction,
    /// The prefix, without host bits.
    pub prefix: Ipv4Net,
    /// `ge N`: the shortest length; more than the prefix's own.
    pub ge: Option<u8>,
    /// `le N`: the longest length; more than the prefix's own, and not below `ge`.
    pub le: Option<u8>,
}

impl PrefixEntry {
    /// Whether a single address can meet it.
    pub fn is_for_addresses(&self) -> bool {
        match (self.ge, self.le) {
            (None, None) | (Some(_), None) => true,
            (_, Some(le)) => le == 32,
        }
    }

    /// The entry without its list.
    pub fn line(&self) -> String {
        let option =
            |word, value: Option<u8>| value.map_or(String::new(), |value| format!(" {word} {value}"));
        let PrefixEntry { sequence, action, prefix, ge, le, .. } = self;
        format!("seq {sequence} {action} {prefix}{}{}", option("ge", *ge), option("le", *le))
    }
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("ip prefix-list <name:name> [ seq <sequence:1-4294967294> ] / { permit | deny } <prefix> [ ge <ge:1-32> ] [ le <le:1-32> ]",
              "Add to a list that looks at prefixes", entry),
    statement("ip prefix-list <name:name> description / <text>", "Describe a list that looks at prefixes", description),
];

/// The distance between entries that are not numbered.
const SEQUENCE_STEP: u32 = 5;

fn description(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let text = statement.args.optional("text").filter(|_| statement.sets());
    if text.is_some() || known(builder, statement).is_some() {
        let index = list(builder, statement);
        builder.config.prefix_lists[index].description = text;
        forget_empty(builder);
    } else {
        builder.expect_removed(false, statement);
    }
    Ok(())
}

fn entry(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let sequence: Option<u32> = args.optional("sequence");
    let new = args.optional::<Ipv4Net>("prefix").map(|prefix| PrefixEntry {
        place: statement.place,
        sequence: sequence.unwrap_or_default(),
        action: if args.has("permit") { AccessAction::Permit } else { AccessAction::Deny },
        prefix: prefix.trunc(),
        ge: args.optional("ge"),
        le: args.optional("le"),
    });
    match new {
        Some(new) if statement.sets() => {
            check(statement, &new)?;
            add(builder, statement, PrefixEntry { sequence: 0, ..new }, sequence)
        }
        new => {
            let removed = remove_entries(builder, statement, sequence, new.as_ref());
            builder.expect_removed(removed, statement);
            Ok(())
        }
    }
}

/// Lengths must grow: of the prefix, `ge`, `le`.
fn check(statement: &Statement, entry: &PrefixEntry) -> Result<(), Fault> {
    let length = entry.prefix.prefix_len();
    for (word, bound) in [("ge", entry.ge), ("le", entry.le)] {
        if let Some(bound) = bound.filter(|bound| *bound <= length) {
            let text = format!("\"{word} {bound}\" is not longer than the prefix, which has {length} bits");
            return Err(statement.fault(word, text));
        }
    }
    match (entry.ge, entry.le) {
        (Some(ge), Some(le)) if le < ge => {
            Err(statement.fault("le", format!("\"le {le}\" is shorter than \"ge {ge}\"")))
        }
        _ => Ok(()),
    }
}

fn add(
    builder: &mut Builder,
    statement: &Statement,
    new: PrefixEntry,
    sequence: Option<u32>,
) -> Result<(), Fault> {
    let index = list(builder, statement);
    let entries = &mut builder.config.prefix_lists[index].entries;
    let identity = |entry: &PrefixEntry| PrefixEntry { sequence: 0, ..entry.clone() }.line();
    let repeated = builder.known.position(List::PrefixEntries(index), entries, identity, &identity(&new));
    if let Some(position) = repeated {
        let text = format!("this repeats line {}", entries[position].place.line);
        builder.warn(statement.place.column as usize, text);
        return Ok(());
    }
    let last = entries.last().map_or(0, |last| last.sequence);
    let next = sequence.or_else(|| last.checked_add(SEQUENCE_STEP).filter(|next| *next < u32::MAX));
    let Some(sequence) = next else {
        return Err(statement.fault("name", "no number is left after the last entry"));
    };
    match entries.binary_search_by_key(&sequence, |entry| entry.sequence) {
        Ok(taken) => {
            let text = format!("the number {sequence} is taken by line {}", entries[taken].place.line);
            return Err(statement.fault("sequence", text));
        }
        Err(position) => {
            if position < entries.len() {
                builder.known.forget();
            }
            entries.insert(position, PrefixEntry { sequence, ..new });
        }
    }
    Ok(())
}

/// Removes the entry of this number, or that says this; the whole list if neither is given.
fn remove_entries(
    builder: &mut Builder,
    statement: &Statement,
    sequence: Option<u32>,
    like: Option<&PrefixEntry>,
) -> bool {
    let Some(index) = known(builder, statement) else { return false };
    if sequence.is_none() && like.is_none() {
        builder.config.prefix_lists.remove(index);
        return true;
    }
    let fits = |entry: &PrefixEntry| {
        sequence.is_none_or(|sequence| entry.sequence == sequence)
            && like.is_none_or(|like| PrefixEntry { sequence: entry.sequence, ..like.clone() } == *entry)
    };
    let removed = remove(&mut builder.config.prefix_lists[index].entries, fits);
    forget_empty(builder);
    removed
}

/// A list without a line is none.
fn forget_empty(builder: &mut Builder) {
    builder.config.prefix_lists.retain(|list| !list.entries.is_empty() || list.description.is_some());
}

fn known(builder: &mut Builder, statement: &Statement) -> Option<usize> {
    let name: String = statement.args.required("name");
    let lists = &builder.config.prefix_lists;
    builder.known.position(List::PrefixLists, lists, |list| list.name.clone(), &name)
}

/// The position of the line's list, a new one if need be.
fn list(builder: &mut Builder, statement: &Statement) -> usize {
    let known = known(builder, statement);
    let lists = &mut builder.config.prefix_lists;
    known.unwrap_or_else(|| {
        let name = statement.args.required("name");
        lists.push(PrefixList { place: statement.place, name, description: None, entries: Vec::new() });
        lists.len() - 1
    })
}

impl PrefixList {
    fn lines(&self) -> Vec<String> {
        let description = self.description.iter().map(|text| format!("description {text}"));
        let entries = self.entries.iter().map(PrefixEntry::line);
        description.chain(entries).map(|line| format!("ip prefix-list {} {line}", self.name)).collect()
    }
}

impl Lint<'_> {
    fn check_lengths(&mut self) {
        for entry in self.config.prefix_lists.iter().flat_map(|list| &list.entries) {
            if !entry.is_for_addresses() {
                let text = "this entry matches no packet, as an address has 32 bits; did you mean \"le 32\"?";
                self.warn(entry.place, text.to_string());
            }
        }
    }
}

impl Compiler<'_> {
    /// Prefix lists, behind the access lists.
    fn prefix_lists(&mut self) {
        let config = self.config;
        let most = usize::from(policy::AclIndex::MAX) + 1;
        let room = most.saturating_sub(config.access_lists.len());
        if let Some(beyond) = config.prefix_lists.get(room) {
            self.refuse_once(beyond.place, "access lists and prefix lists", most);
        }
        for list in &config.prefix_lists {
            let name = format!("prefix-list {}", list.name);
            let mut acl = policy::Acl { name: name.clone(), entries: Vec::new() };
            for entry in list.entries.iter().filter(|entry| entry.is_for_addresses()) {
                let counter = self.acl_counter(name.clone(), entry.line());
                let prefix = policy::AddressMatch::wildcard(entry.prefix.addr(), entry.prefix.hostmask());
                let permit = entry.action == AccessAction::Permit;
                acl.entries.push(policy::AclEntry { counter, ..policy::AclEntry::standard(permit, prefix) });
            }
            self.out.policy.acls.push(acl);
        }
    }

    pub(super) fn prefix_list_index(&self, name: &str) -> Option<policy::AclIndex> {
        let position = self.positions.prefix_lists.get(name)?;
        Some((self.config.access_lists.len() + position) as policy::AclIndex)
    }
}
