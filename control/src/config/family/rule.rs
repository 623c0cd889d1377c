//! What rules for the inside and for the outside share.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, Protocol, Vrf};
use dataplane::policy;

use super::edit::{Ignored, put, remove, warn_ignored};
use crate::compile::compiler::{Compiler, GLOBAL};
use crate::config::args::Args;
use crate::config::builder::{Builder, Fault, Statement};
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::{Nat, Place};
use crate::config::text::write_if;

/// What selects the packets of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// `list ACL`: what this access list permits.
    List(String),
    /// `route-map RM`: what this route-map permits.
    RouteMap(String),
}

/// `vrf V [match-in-vrf]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVrf {
    /// The VRF of the inside.
    pub name: String,
    /// `match-in-vrf`: the outside is in the same VRF, rather than in the global table.
    pub match_in_vrf: bool,
}

/// One end of a static rule: where the rule stands, the table the end is in, and the end in words.
pub(super) type End<'c> = (Place, Option<&'c str>, String);

/// What a static rule maps: protocol, local and global endpoint, prefix length.
pub(super) type Ends = (Option<Protocol>, Endpoint, Endpoint, u8);

/// Rules of one kind: where the configuration has them, and what tells them apart.
pub(super) struct Rules<R: 'static> {
    pub(super) list: List,
    pub(super) of: fn(&mut Nat) -> &mut Vec<R>,
    /// Of two rules with the same identity the later one replaces the earlier one.
    pub(super) identity: fn(&R) -> String,
    /// Whether `no` before the line of one rule removes another one of the same identity.
    pub(super) is_removed: fn(&R, by: &R) -> bool,
    /// The warning when a rule takes the place of this one.
    pub(super) replaced: fn(&R) -> String,
    /// Options that are accepted and mean nothing here.
    pub(super) ignored: &'static [Ignored],
}

impl<R> Rules<R> {
    /// Puts the rule of a line among the others, or removes it.
    pub(super) fn carry_out(&self, builder: &mut Builder, statement: &Statement, new: R) {
        let rules = (self.of)(&mut builder.config.nat);
        if !statement.sets() {
            let identity = (self.identity)(&new);
            let is_removed = |rule: &R| (self.is_removed)(rule, &new) && (self.identity)(rule) == identity;
            let removed = remove(rules, is_removed);
            builder.expect_removed(removed, statement);
            return;
        }
        if let Some(old) = put(&mut builder.known, self.list, rules, new, self.identity) {
            builder.warn(statement.place.column as usize, (self.replaced)(&old));
        }
        warn_ignored(builder, statement, self.ignored);
    }
}

/// What selects the packets of a rule.
pub(super) fn selector(args: &Args) -> Selector {
    match args.optional("acl") {
        Some(access_list) => Selector::List(access_list),
        None => Selector::RouteMap(args.required("route-map")),
    }
}

/// The VRF of a rule.
pub(super) fn rule_vrf(args: &Args) -> Option<RuleVrf> {
    args.optional("vrf").map(|name| RuleVrf { name, match_in_vrf: args.has("match-in-vrf") })
}

/// The VRF's name, by which rules are told apart.
pub(super) fn vrf_name(vrf: &Option<RuleVrf>) -> Option<&str> {
    vrf.as_ref().map(|vrf| vrf.name.as_str())
}

/// The length of the mask of two networks.
pub(super) fn prefix_length(statement: &Statement) -> Result<u8, Fault> {
    match statement.args.required("mask") {
        0 => Err(statement.fault("mask", "a mask of length 0 covers every address: no two networks differ")),
        length => Ok(length),
    }
}

/// `forced` overrides that a rule is in use, which only matters to its removal.
pub(super) fn refuse_forced(statement: &Statement) -> Result<(), Fault> {
    match statement.sets() && statement.args.has("forced") {
        true => Err(statement.fault("forced", "\"forced\" is only for the removal of a rule")),
        false => Ok(()),
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::List(access_list) => write!(f, "list {access_list}"),
            Selector::RouteMap(map) => write!(f, "route-map {map}"),
        }
    }
}

/// The VRF of a rule as its line has it.
pub(super) fn write_vrf(f: &mut fmt::Formatter<'_>, vrf: &Option<RuleVrf>) -> fmt::Result {
    let Some(RuleVrf { name, match_in_vrf }) = vrf else { return Ok(()) };
    write!(f, " vrf {name}")?;
    write_if(f, *match_in_vrf, " match-in-vrf")
}

impl Lint<'_> {
    pub(super) fn check_selector(&mut self, place: Place, selector: &Selector) {
        match selector {
            Selector::List(access_list) => self.check_access_list(place, access_list),
            Selector::RouteMap(map) => self.check_route_map(place, map),
        }
    }

    pub(super) fn refuse_duplicates(&mut self, ends: Vec<End<'_>>) {
        let mut owners: HashMap<(Option<&str>, String), Place> = HashMap::new();
        for (place, table, end) in ends {
            if let Some(owner) = owners.insert((table, end.clone()), place) {
                self.error(place, format!("{end} is mapped by {owner} already"));
            }
        }
    }

    pub(super) fn ask_for_extendable(&mut self, place: Place, address: Ipv4Addr, owner: Place) {
        let line = owner.line;
        let text = format!("{address} is mapped by line {line} already; both lines need \"extendable\"");
        self.error(place, text);
    }
}

impl Compiler<'_> {
    /// The VRFs of a rule's inside and outside.
    pub(super) fn rule_vrfs(&mut self, vrf: Option<&RuleVrf>) -> (Vrf, Vrf) {
        let inside = self.vrf(vrf.map(|vrf| vrf.name.as_str()));
        (inside, if vrf.is_some_and(|vrf| vrf.match_in_vrf) { inside } else { GLOBAL })
    }

    pub(super) fn selector(&self, selector: &Selector) -> policy::Selector {
        match selector {
            Selector::List(name) => {
                self.acl_index(name).map_or(policy::Selector::Nothing, policy::Selector::Acl)
            }
            Selector::RouteMap(name) => self.route_map(name),
        }
    }
}
