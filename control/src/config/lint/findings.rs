//! What lint found, and checks of the names that statements of several families use.

use std::collections::{HashMap, HashSet};

use super::super::diagnostic::{Diagnostic, Severity};
use super::super::interface_name::InterfaceName;
use super::super::model::{Config, Place};

/// A configuration being judged.
pub(crate) struct Lint<'c> {
    pub(crate) config: &'c Config,
    /// Whether lines are missing that could not be read: only contradictions are told then.
    is_partial: bool,
    findings: Vec<Diagnostic>,
    names: Names<'c>,
}

/// The names that are defined.
struct Names<'c> {
    access_lists: HashSet<&'c str>,
    prefix_lists: HashSet<&'c str>,
    time_ranges: HashSet<&'c str>,
    route_maps: HashSet<&'c str>,
    /// And where they are among all.
    tracks: HashMap<u16, usize>,
    /// And where they are among all.
    object_groups: HashMap<&'c str, usize>,
    pools: HashSet<&'c str>,
    vrfs: HashSet<&'c str>,
    /// And whether they have an address.
    interfaces: HashMap<&'c str, bool>,
}

impl<'c> Names<'c> {
    fn of(config: &'c Config) -> Names<'c> {
        Names {
            access_lists: config.access_lists.iter().map(|list| list.name.as_str()).collect(),
            route_maps: config.route_maps.iter().map(|map| map.name.as_str()).collect(),
            prefix_lists: config.prefix_lists.iter().map(|list| list.name.as_str()).collect(),
            time_ranges: config.time_ranges.iter().map(|range| range.name.as_str()).collect(),
            tracks: config.tracks.iter().map(|track| track.number).zip(0..).collect(),
            object_groups: config.object_groups.iter().map(|group| group.name.as_str()).zip(0..).collect(),
            pools: config.nat.pools.iter().map(|pool| pool.name.as_str()).collect(),
            vrfs: config.vrfs.iter().map(|vrf| vrf.name.as_str()).collect(),
            interfaces: config
                .interfaces
                .iter()
                .map(|it| (it.name.as_str(), !it.addresses.is_empty()))
                .collect(),
        }
    }
}

impl<'c> Lint<'c> {
    /// Of a whole configuration.
    pub(crate) fn new(config: &'c Config) -> Lint<'c> {
        Lint { config, is_partial: false, findings: Vec::new(), names: Names::of(config) }
    }

    /// Of those lines of a file that could be read.
    pub(crate) fn in_part(config: &'c Config) -> Lint<'c> {
        Lint { is_partial: true, ..Lint::new(config) }
    }

    /// What was found.
    pub(crate) fn into_findings(self) -> Vec<Diagnostic> {
        self.findings
    }

    /// Refuses a line that contradicts another.
    pub(crate) fn error(&mut self, place: Place, text: String) {
        self.report(Severity::Error, place, text);
    }

    /// Warns of a line that has no effect, or another than was meant.
    pub(crate) fn warn(&mut self, place: Place, text: String) {
        if !self.is_partial {
            self.report(Severity::Warning, place, text);
        }
    }

    /// Remarks on what a configuration does without.
    pub(crate) fn note(&mut self, place: Place, text: String) {
        if !self.is_partial {
            self.report(Severity::Note, place, text);
        }
    }

    fn report(&mut self, severity: Severity, Place { line, column }: Place, text: String) {
        let file = self.config.source.file.clone();
        self.findings.push(Diagnostic { file, line, column, severity, text });
    }

    /// Alone among names, that of a VRF must be defined: traffic would go elsewhere, not just untranslated.
    pub(crate) fn check_vrf(&mut self, place: Place, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !self.is_partial && !self.names.vrfs.contains(name)) {
            self.error(place, format!("VRF {name:?} is not defined"));
        }
    }

    pub(crate) fn check_access_list(&mut self, place: Place, name: &str) {
        if !self.names.access_lists.contains(name) {
            self.warn(place, format!("access list {name:?} is not defined"));
        }
    }

    pub(crate) fn check_prefix_list(&mut self, place: Place, name: &str) {
        if !self.names.prefix_lists.contains(name) {
            self.warn(place, format!("prefix list {name:?} is not defined"));
        }
    }

    pub(crate) fn check_time_range(&mut self, place: Place, name: &str) {
        if !self.names.time_ranges.contains(name) {
            self.warn(place, format!("time range {name:?} is not defined: what names it is never in force"));
        }
    }

    /// Where the object group of a name is among all.
    pub(crate) fn object_group(&self, name: &str) -> Option<usize> {
        self.names.object_groups.get(name).copied()
    }

    /// Where the tracked object of a number is among all.
    pub(crate) fn track(&self, number: u16) -> Option<usize> {
        self.names.tracks.get(&number).copied()
    }

    pub(crate) fn check_route_map(&mut self, place: Place, name: &str) {
        if !self.names.route_maps.contains(name) {
            self.warn(place, format!("route-map {name:?} is not defined"));
        }
    }

    pub(crate) fn check_pool(&mut self, place: Place, name: &str) {
        if !self.names.pools.contains(name) {
            self.warn(place, format!("pool {name:?} is not defined"));
        }
    }

    pub(crate) fn check_defined(&mut self, place: Place, name: &InterfaceName) {
        if !self.names.interfaces.contains_key(name.as_str()) {
            self.warn(place, format!("interface {name} is not defined"));
        }
    }

    /// An interface that lends its address must have one.
    pub(crate) fn check_lender(&mut self, place: Place, name: &InterfaceName) {
        self.check_defined(place, name);
        if self.names.interfaces.get(name.as_str()) == Some(&false) {
            self.warn(place, format!("interface {name} has no address"));
        }
    }
}
