//! `route-map` and its lines, which select what a rule translates.

use std::fmt::Display;

use dataplane::policy;

use super::edit::{pass_over_as, remove, statement};
use super::row::{Family, Section};
use crate::compile::compiler::Compiler;
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::interface_name::InterfaceName;
use crate::config::lint::findings::Lint;
use crate::config::model::{AccessAction, Place};
use crate::config::text::blocks;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[(Mode::Global, GLOBAL), (Mode::RouteMap, ROUTE_MAP)],
    render: &[(Section::RouteMaps, |config| blocks(config.route_maps.iter().map(RouteMap::lines)))],
    lint: |lint| lint.check_conditions(),
    ..Family::NONE
};

/// `route-map NAME ...`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMap {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; case matters.
    pub name: String,
    /// Its entries, by ascending sequence number; there is at least one.
    pub entries: Vec<RouteMapEntry>,
}

/// `route-map NAME {permit|deny} SEQ`: a packet matches when every kind of condition does, each by any of its values.
/// The first entry that matches decides; what none matches is not translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMapEntry {
    /// Where it stands.
    pub place: Place,
    /// Whether what matches is translated, or left untouched.
    pub action: AccessAction,
    /// Its sequence number.
    pub sequence: u16,
    /// `description TEXT`
    pub description: Option<String>,
    /// `match ip address ACL...`: packets that one of these lists permits; empty is any.
    pub access_lists: Vec<String>,
    /// `match ip address prefix-list P...`: packets whose source one of these lists permits, or one of the access lists; empty
    /// is any.
    pub prefix_lists: Vec<String>,
    /// `match interface IFACE...`: packets that leave through one of these; empty is any.
    pub interfaces: Vec<InterfaceName>,
    /// `match ip next-hop ACL...`: packets whose next hop one of these lists permits; empty is any.
    pub next_hops: Vec<String>,
    /// Conditions on routes, as `as-path 1`: a rule whose route-map has one is refused.
    pub of_routes: Vec<RouteCondition>,
}

/// `match as-path 1` and the like, which no packet can meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteCondition {
    /// Where it stands.
    pub place: Place,
    /// What follows `match`.
    pub text: String,
}

impl RouteMapEntry {
    /// An entry without conditions, which matches every packet.
    pub fn new(place: Place, action: AccessAction, sequence: u16) -> RouteMapEntry {
        RouteMapEntry {
            place,
            action,
            sequence,
            description: None,
            access_lists: Vec::new(),
            prefix_lists: Vec::new(),
            interfaces: Vec::new(),
            next_hops: Vec::new(),
            of_routes: Vec::new(),
        }
    }
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("route-map <name:word> [ permit | deny ] [ <sequence:0-65535> ]",
              "Select packets by lists, the interface they leave through or their next hop", route_map),
];

#[rustfmt::skip]
const ROUTE_MAP: &[Row<Apply>] = &[
    statement("description / <text>", "Describe the entry", description),
    statement("match ip address / (acl) ...", "Match packets that one of the access lists permits, or, after the word prefix-list, one of the prefix lists", match_address),
    statement("match interface / <interface> ...", "Match packets that leave through one of the interfaces",
              match_interface),
    statement("match ip next-hop / (acl) ...", "Match packets whose next hop one of the lists permits",
              match_next_hop),
    statement("match { as-path | community | extcommunity | ipv6 | length | local-preference | metric | mpls-label | route-type \
               | source-protocol | tag } <value:text>",
              "Accepted where no rule of NAT uses the route-map", match_route),
    statement("set <text>", "Accepted, without effect: a route-map only selects packets", set),
];

/// What an entry has when its line says no more than the name.
const SEQUENCE_DEFAULT: u16 = 10;

fn route_map(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let name: String = args.required("name");
    let number: Option<u16> = args.optional("sequence");
    let action = if args.has("deny") { AccessAction::Deny } else { AccessAction::Permit };
    let maps = &mut builder.config.route_maps;
    let known = maps.iter().position(|map| map.name == name);
    if !statement.sets() {
        return remove_entries(builder, statement, known);
    }
    let map = known.unwrap_or(maps.len());
    if known.is_none() {
        maps.push(RouteMap { place: statement.place, name, entries: Vec::new() });
    }
    let entries = &mut maps[map].entries;
    let sequence = number.unwrap_or(SEQUENCE_DEFAULT);
    let entry = match entries.binary_search_by_key(&sequence, |entry| entry.sequence) {
        Ok(position) => {
            entries[position].action = action;
            position
        }
        Err(position) => {
            entries.insert(position, RouteMapEntry::new(statement.place, action, sequence));
            position
        }
    };
    builder.open(Mode::RouteMap, (map, entry));
    Ok(())
}

/// Removes the entry of this number, or the whole route-map if none is given.
fn remove_entries(builder: &mut Builder, statement: &Statement, known: Option<usize>) -> Result<(), Fault> {
    let args = &statement.args;
    let maps = &mut builder.config.route_maps;
    let number =
        args.optional("sequence").or((args.has("permit") || args.has("deny")).then_some(SEQUENCE_DEFAULT));
    let removed = match (known, number) {
        (Some(map), Some(number)) => {
            let removed = remove(&mut maps[map].entries, |entry| entry.sequence == number);
            if maps[map].entries.is_empty() {
                maps.remove(map);
            }
            removed
        }
        (Some(map), None) => {
            maps.remove(map);
            true
        }
        (None, _) => false,
    };
    builder.expect_removed(removed, statement);
    Ok(())
}

fn description(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    builder.route_map_entry().description = statement.args.optional("text").filter(|_| statement.sets());
    Ok(())
}

fn match_address(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let values: Vec<String> = statement.args.all("acl").collect();
    if values.first().is_some_and(|first| first.eq_ignore_ascii_case("prefix-list")) {
        if values.len() == 1 && statement.sets() {
            return Err(statement.fault("acl", "expected the names of prefix lists after \"prefix-list\""));
        }
        return edit(builder, statement, |entry| &mut entry.prefix_lists, values[1..].to_vec());
    }
    if values.is_empty() && builder.route_map_entry().access_lists.is_empty() {
        return edit(builder, statement, |entry| &mut entry.prefix_lists, values);
    }
    if values.is_empty() {
        builder.route_map_entry().prefix_lists.clear();
    }
    edit(builder, statement, |entry| &mut entry.access_lists, values)
}

fn match_interface(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let values = statement.args.all("interface").collect();
    edit(builder, statement, |entry| &mut entry.interfaces, values)
}

fn match_next_hop(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let values = statement.args.all("acl").collect();
    edit(builder, statement, |entry| &mut entry.next_hops, values)
}

/// What packets cannot have.
#[rustfmt::skip]
const OF_ROUTES: &[&str] = &[
    "as-path", "community", "extcommunity", "ipv6", "length", "local-preference", "metric", "mpls-label", "route-type",
    "source-protocol", "tag",
];

fn match_route(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    let args = &statement.args;
    let words = OF_ROUTES.iter().find(|word| args.has(word)).copied().unwrap_or_default();
    let text = format!("{words} {}", args.required::<String>("value"));
    let new = RouteCondition { place: statement.place, text };
    let known = &mut builder.route_map_entry().of_routes;
    if !statement.sets() {
        let removed = remove(known, |condition| *condition == new);
        builder.expect_removed(removed, statement);
    } else if !known.contains(&new) {
        known.push(new);
    }
    Ok(())
}

/// Adds values to a condition, or removes them; a line without values removes all.
fn edit<T: PartialEq>(
    builder: &mut Builder,
    statement: &Statement,
    condition: fn(&mut RouteMapEntry) -> &mut Vec<T>,
    values: Vec<T>,
) -> Result<(), Fault> {
    let known = condition(builder.route_map_entry());
    if statement.sets() {
        for value in values {
            if !known.contains(&value) {
                known.push(value);
            }
        }
        return Ok(());
    }
    let removed = remove(known, |value| values.is_empty() || values.contains(value));
    builder.expect_removed(removed, statement);
    Ok(())
}

fn set(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    pass_over_as(builder, statement, "for NAT a route-map only selects packets")
}

impl Builder {
    /// The entry of a route-map whose mode this is.
    fn route_map_entry(&mut self) -> &mut RouteMapEntry {
        let (map, entry) = self.opened;
        &mut self.config.route_maps[map].entries[entry]
    }
}

impl Lint<'_> {
    /// IOS lets a statement name what is defined later, or never.
    fn check_conditions(&mut self) {
        for entry in self.config.route_maps.iter().flat_map(|map| &map.entries) {
            for access_list in entry.access_lists.iter().chain(&entry.next_hops) {
                self.check_access_list(entry.place, access_list);
            }
            for prefix_list in &entry.prefix_lists {
                self.check_prefix_list(entry.place, prefix_list);
            }
            for name in &entry.interfaces {
                self.check_defined(entry.place, name);
            }
        }
    }
}

impl RouteMap {
    /// Each entry's line with those of its conditions.
    pub fn lines(&self) -> Vec<String> {
        self.entries.iter().flat_map(|entry| entry.lines(&self.name)).collect()
    }
}

impl RouteMapEntry {
    fn lines(&self, name: &str) -> Vec<String> {
        let mut lines = vec![format!("route-map {name} {} {}", self.action, self.sequence)];
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        lines.extend(condition("ip address", &self.access_lists));
        lines.extend(condition("ip address prefix-list", &self.prefix_lists));
        lines.extend(condition("interface", &self.interfaces));
        lines.extend(condition("ip next-hop", &self.next_hops));
        lines.extend(self.of_routes.iter().map(|condition| format!(" match {}", condition.text)));
        lines
    }
}

/// A condition that has values.
fn condition(keyword: &str, values: &[impl Display]) -> Option<String> {
    let values: String = values.iter().map(|value| format!(" {value}")).collect();
    (!values.is_empty()).then(|| format!(" match {keyword}{values}"))
}

impl Compiler<'_> {
    /// A route-map's clauses. A condition on lists or interfaces none of which exists is never met.
    pub(super) fn route_map(&self, name: &str) -> policy::Selector {
        let map = self.positions.route_maps.get(name).and_then(|&at| self.config.route_maps.get(at));
        let Some(map) = map else {
            return policy::Selector::Nothing;
        };
        let clauses = map.entries.iter().filter_map(|entry| {
            let acls = entry.access_lists.iter().filter_map(|name| self.acl_index(name));
            let prefix_lists = entry.prefix_lists.iter().filter_map(|name| self.prefix_list_index(name));
            let acls: Vec<_> = acls.chain(prefix_lists).collect();
            let interfaces: Vec<_> =
                entry.interfaces.iter().filter_map(|name| self.interface_index(name)).collect();
            let next_hops: Vec<_> = entry.next_hops.iter().filter_map(|name| self.acl_index(name)).collect();
            let is_never_met = (acls.is_empty()
                && !(entry.access_lists.is_empty() && entry.prefix_lists.is_empty()))
                || (interfaces.is_empty() && !entry.interfaces.is_empty())
                || (next_hops.is_empty() && !entry.next_hops.is_empty());
            let permit = entry.action == AccessAction::Permit;
            (!is_never_met).then_some(policy::Clause { permit, acls, interfaces, next_hops })
        });
        policy::Selector::RouteMap(clauses.collect())
    }
}
