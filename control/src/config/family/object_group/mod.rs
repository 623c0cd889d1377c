//! `object-group`: networks and services under a name, which entries of access lists use.

mod contents;
mod objects;

use std::collections::HashMap;

use super::edit::{remove, statement};
use super::row::{Family, Section};
use crate::config::builder::{Apply, Builder, Fault, Mode, Statement};
use crate::config::grammar::Row;
use crate::config::known::List;
use crate::config::lint::findings::Lint;
use crate::config::model::Place;
use crate::config::text::blocks;

pub use objects::*;

/// The family.
pub(super) const FAMILY: Family = Family {
    grammars: &[
        (Mode::Global, GLOBAL),
        (Mode::NetworkGroup, NETWORK_GROUP),
        (Mode::ServiceGroup, SERVICE_GROUP),
    ],
    render: &[(Section::ObjectGroups, |config| blocks(config.object_groups.iter().map(ObjectGroup::lines)))],
    lint: |lint| lint.check_object_groups(),
    ..Family::NONE
};

/// `object-group {network|service} NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectGroup {
    /// Where its first line stands.
    pub place: Place,
    /// Its name; no two groups of either kind have the same.
    pub name: String,
    /// What is in it.
    pub kind: GroupKind,
    /// `description TEXT`
    pub description: Option<String>,
    /// What is in it, in order; nothing comes twice.
    pub members: Vec<GroupMember>,
}

/// What an object group has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Addresses.
    Network,
    /// Protocols and ports.
    Service,
}

#[rustfmt::skip]
const GLOBAL: &[Row<Apply>] = &[
    statement("object-group network <name:word>", "Name networks and hosts, for entries of access lists", network_group),
    statement("object-group service <name:word>", "Name protocols and ports, for entries of access lists", service_group),
];

fn network_group(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    group(builder, statement, GroupKind::Network)
}

fn service_group(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    group(builder, statement, GroupKind::Service)
}

fn group(builder: &mut Builder, statement: &Statement, kind: GroupKind) -> Result<(), Fault> {
    let name: String = statement.args.required("name");
    let groups = &mut builder.config.object_groups;
    if !statement.sets() {
        let removed = remove(groups, |group| group.name == name && group.kind == kind);
        builder.expect_removed(removed, statement);
        return Ok(());
    }
    let known = builder.known.position(List::ObjectGroups, groups, |group| group.name.clone(), &name);
    if let Some(other) = known.map(|index| &groups[index]).filter(|group| group.kind != kind) {
        let text = format!("object group {name:?} is of the other kind, by line {}", other.place.line);
        return Err(statement.fault("name", text));
    }
    let index = known.unwrap_or(groups.len());
    if known.is_none() {
        let place = statement.place;
        groups.push(ObjectGroup { place, name, kind, description: None, members: Vec::new() });
    }
    let mode = match kind {
        GroupKind::Network => Mode::NetworkGroup,
        GroupKind::Service => Mode::ServiceGroup,
    };
    builder.open(mode, (index, 0));
    Ok(())
}

impl ObjectGroup {
    /// Its lines.
    pub fn lines(&self) -> Vec<String> {
        let kind = match self.kind {
            GroupKind::Network => "network",
            GroupKind::Service => "service",
        };
        let mut lines = vec![format!("object-group {kind} {}", self.name)];
        lines.extend(self.description.iter().map(|text| format!(" description {text}")));
        lines.extend(self.members.iter().map(|member| format!(" {}", member.object)));
        lines
    }
}

impl Lint<'_> {
    /// A group that something names, which wants one of this kind.
    pub(super) fn check_object_group(&mut self, place: Place, name: &str, kind: GroupKind) {
        let known = self.object_group(name).map(|position| self.config.object_groups[position].kind);
        let text = match (known, kind) {
            (None, _) => {
                self.warn(place, format!("object group {name:?} is not defined: it matches nothing"));
                return;
            }
            (Some(GroupKind::Service), GroupKind::Network) => "is of services, and networks are needed here",
            (Some(GroupKind::Network), GroupKind::Service) => "is of networks, and services are needed here",
            _ => return,
        };
        self.error(place, format!("object group {name:?} {text}"));
    }

    fn check_object_groups(&mut self) {
        let config = self.config;
        for group in &config.object_groups {
            if group.members.is_empty() {
                self.warn(group.place, format!("object group {:?} is empty: it matches nothing", group.name));
            }
            for member in &group.members {
                if let GroupObject::Group(name) = &member.object {
                    self.check_object_group(member.place, name, group.kind);
                }
            }
        }
        for (place, name) in closing(&config.object_groups) {
            self.error(place, format!("object group {name:?} would contain itself by this line"));
        }
    }
}

/// The lines that close a circle of groups, and the group that each leads back to.
fn closing(groups: &[ObjectGroup]) -> Vec<(Place, &str)> {
    let positions: HashMap<&str, usize> =
        groups.iter().enumerate().map(|(position, group)| (group.name.as_str(), position)).collect();
    let mut progress = vec![Progress::Unseen; groups.len()];
    let mut found = Vec::new();
    for start in 0..groups.len() {
        if progress[start] != Progress::Unseen {
            continue;
        }
        progress[start] = Progress::Open;
        // The groups on the way from the start, each with the number of its next member.
        let mut way = vec![(start, 0)];
        while let Some((at, next)) = way.last_mut() {
            let Some(member) = groups[*at].members.get(*next) else {
                progress[*at] = Progress::Done;
                way.pop();
                continue;
            };
            *next += 1;
            let GroupObject::Group(name) = &member.object else { continue };
            let Some(&inner) = positions.get(name.as_str()) else { continue };
            match progress[inner] {
                Progress::Open => found.push((member.place, name.as_str())),
                Progress::Done => {}
                Progress::Unseen => {
                    progress[inner] = Progress::Open;
                    way.push((inner, 0));
                }
            }
        }
    }
    found
}

/// How far a search has come with a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unseen,
    /// It is on the way to where the search is.
    Open,
    Done,
}
