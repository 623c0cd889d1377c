//! What a configuration says that it probably does not mean: checks that need all of it.

mod pools;
mod rules;
mod services;
mod settings;

use std::collections::HashMap;

use super::diagnostic::{Diagnostic, Severity};
use super::interface_name::InterfaceName;
use super::model::*;

/// Judges a configuration: what its text was warned of, and what does not fit together. A configuration that came
/// from [`super::parse`] has warnings only.
pub fn lint(config: &Config) -> Vec<Diagnostic> {
    let mut lint = Lint { config, diagnostics: config.source.warnings.clone() };
    lint.check_contradictions();
    lint.check_platform();
    lint.check_vrfs();
    lint.check_references();
    lint.check_sides();
    lint.check_pools();
    lint.check_wildcards();
    lint.check_permits();
    lint.check_settings();
    lint.check_services();
    lint.diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    lint.diagnostics
}

/// Judges the lines of a file that could be read, when others could not: what seems to be missing may be there.
pub(super) fn lint_in_part(config: &Config) -> Vec<Diagnostic> {
    let mut lint = Lint { config, diagnostics: Vec::new() };
    lint.check_contradictions();
    lint.diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    lint.diagnostics.extend_from_slice(&config.source.warnings);
    lint.diagnostics
}

struct Lint<'c> {
    config: &'c Config,
    diagnostics: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn error(&mut self, place: Place, text: String) {
        self.report(Severity::Error, place, text);
    }

    fn warn(&mut self, place: Place, text: String) {
        self.report(Severity::Warning, place, text);
    }

    fn report(&mut self, severity: Severity, Place { line, column }: Place, text: String) {
        let file = self.config.source.file.clone();
        self.diagnostics.push(Diagnostic { file, line, column, severity, text });
    }

    fn check_contradictions(&mut self) {
        self.check_vlans();
        self.check_subnets();
        self.check_static_ends();
    }

    fn check_platform(&mut self) {
        let platform = &self.config.platform;
        let workers = platform.workers.unwrap_or(0) as usize;
        if !platform.cores.is_empty() && platform.cores.len() < workers {
            let text = format!("{workers} workers share {} cores", platform.cores.len());
            self.warn(platform.place, text);
        }
    }

    fn check_vlans(&mut self) {
        let mut vlans: HashMap<(InterfaceName, u16), &Interface> = HashMap::new();
        for interface in &self.config.interfaces {
            let Some(parent) = interface.name.parent() else { continue };
            self.check_defined(interface.place, &parent);
            let Some(encapsulation) = interface.encapsulation else {
                let text = format!("{} has no VLAN; add encapsulation dot1Q", interface.name);
                self.warn(interface.place, text);
                continue;
            };
            if let Some(other) = vlans.insert((parent, encapsulation.vlan), interface) {
                let text = format!(
                    "{} and {} carry the same VLAN, {}",
                    other.name, interface.name, encapsulation.vlan
                );
                self.error(interface.place, text);
            }
        }
    }

    /// Alone among names, that of a VRF must be defined: traffic would go elsewhere, not just untranslated.
    fn check_vrfs(&mut self) {
        let config = self.config;
        let interfaces = config.interfaces.iter().filter_map(|interface| interface.vrf.as_ref());
        let routes = config.routes.iter().map(|route| (route.place, route.vrf.as_deref()));
        let neighbours = config.arp_entries.iter().map(|entry| (entry.place, entry.vrf.as_deref()));
        let named = interfaces
            .map(|member| (member.place, Some(member.vrf.as_str())))
            .chain(routes)
            .chain(neighbours)
            .chain(config.nat.vrfs());
        for (place, vrf) in named.filter_map(|(place, vrf)| Some((place, vrf?))) {
            if config.vrf(vrf).is_none() {
                self.error(place, format!("VRF {vrf:?} is not defined"));
            }
        }
    }

    /// No address of one interface may be reached through another of the same table.
    fn check_subnets(&mut self) {
        let config = self.config;
        let in_service = || config.interfaces.iter().filter(|interface| !interface.shutdown);
        for (position, one) in in_service().enumerate() {
            let before = in_service().take(position).filter(|other| other.vrf_name() == one.vrf_name());
            for (other, of_one, of_other) in before.flat_map(|other| pairs(one, other)) {
                let (one_network, other_network) = (of_one.network.trunc(), of_other.network.trunc());
                if one_network.contains(&other_network) || other_network.contains(&one_network) {
                    let text = format!("{one_network} overlaps with {other_network} of {}", other.name);
                    self.error(of_one.place, text);
                }
            }
        }
    }

    /// IOS lets a statement name what is defined later, or never.
    fn check_references(&mut self) {
        let config = self.config;
        for interface in &config.interfaces {
            for group in interface.access_group_in.iter().chain(&interface.access_group_out) {
                self.check_access_list(group.place, &group.access_list);
            }
        }
        for route in &config.routes {
            if let RouteTarget::Interface(name, _) = &route.target {
                self.check_defined(route.place, name);
            }
        }
        for entry in config.route_maps.iter().flat_map(|map| &map.entries) {
            for access_list in entry.access_lists.iter().chain(&entry.next_hops) {
                self.check_access_list(entry.place, access_list);
            }
            for name in &entry.interfaces {
                self.check_defined(entry.place, name);
            }
        }
        self.check_rule_references();
        self.check_service_references();
    }

    fn check_access_list(&mut self, place: Place, name: &str) {
        if self.config.access_list(name).is_none() {
            self.warn(place, format!("access list {name:?} is not defined"));
        }
    }

    fn check_defined(&mut self, place: Place, name: &InterfaceName) {
        if self.config.interface(name).is_none() {
            self.warn(place, format!("interface {name} is not defined"));
        }
    }

    /// An interface that lends its address must have one.
    fn check_lender(&mut self, place: Place, name: &InterfaceName) {
        self.check_defined(place, name);
        if self.config.interface(name).is_some_and(|interface| interface.addresses.is_empty()) {
            self.warn(place, format!("interface {name} has no address"));
        }
    }

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

/// The addresses of two interfaces, each with each.
fn pairs<'i>(
    one: &'i Interface,
    other: &'i Interface,
) -> impl Iterator<Item = (&'i Interface, &'i InterfaceAddress, &'i InterfaceAddress)> {
    let of_one = one.addresses.iter();
    of_one.flat_map(move |of_one| other.addresses.iter().map(move |of_other| (other, of_one, of_other)))
}
