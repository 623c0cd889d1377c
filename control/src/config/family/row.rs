//! What a family of statements is: a row of the table of families.

use super::super::builder::{Apply, Mode};
use super::super::grammar::Row;
use super::super::lint::findings::Lint;
use super::super::model::Config;
use crate::compile::compiler::Compiler;

/// Lines of the canonical text.
type Render = fn(&Config) -> Vec<String>;
/// A part of what the data plane needs.
type Compile = fn(&mut Compiler<'_>);

/// A family of statements. One that has nothing to do at some point takes it from [`Family::NONE`].
pub(crate) struct Family {
    /// The syntax lines, by the mode that they may stand in.
    pub(crate) grammars: &'static [(Mode, &'static [Row<Apply>])],
    /// Drops what says only what holds anyway, once all lines are read.
    pub(crate) finish: fn(&mut Config),
    /// The lines of what differs from the defaults, by section; a line `!` parts blocks of one section.
    pub(crate) render: &'static [(Section, Render)],
    /// Looks for what does not fit together.
    pub(crate) lint: fn(&mut Lint<'_>),
    /// Adds what the data plane needs, at one or several stages.
    pub(crate) compile: &'static [(Stage, Compile)],
}

impl Family {
    /// No statements.
    pub(crate) const NONE: Family =
        Family { grammars: &[], finish: |_| {}, render: &[], lint: |_| {}, compile: &[] };
}

/// The sections of the canonical text, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    Host,
    Platform,
    Vrfs,
    Tracks,
    ObjectGroups,
    Interfaces,
    NatSettings,
    NatServices,
    NatTranslations,
    NatRoutes,
    NatPools,
    NatInside,
    NatOutside,
    Routes,
    TimeRanges,
    AccessLists,
    PrefixLists,
    RouteMaps,
    Neighbours,
    Logging,
}

impl Section {
    /// Whether it is of `ip nat`, whose sections are one block.
    pub(crate) fn is_nat(self) -> bool {
        (Section::NatSettings..=Section::NatOutside).contains(&self)
    }
}

/// The stages of compilation, in their order: each may use what those before it have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Interfaces and access lists, which everything else names by number.
    Interfaces,
    /// The rules, with their pools.
    Rules,
    /// What holds for all rules, or for some of them by their numbers.
    Settings,
    /// Where packets go, those to the rules' addresses included.
    Routes,
}

impl Stage {
    /// All of them.
    pub(crate) const ALL: [Stage; 4] = [Stage::Interfaces, Stage::Rules, Stage::Settings, Stage::Routes];
}
