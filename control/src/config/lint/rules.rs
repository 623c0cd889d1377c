//! Rules that contradict each other, name what is not there, or translate too much.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use super::super::model::*;
use super::findings::Lint;

/// One end of a static rule: where the rule stands, the table the end is in, and the end in words.
type End<'c> = (Place, Option<&'c str>, String);

impl Lint<'_> {
    pub(crate) fn check_rule_references(&mut self) {
        let nat = &self.config.nat;
        for rule in &nat.dynamic_rules {
            self.check_selector(rule.place, &rule.selector);
            match &rule.target {
                DynamicTarget::Pool(pool) => self.check_pool(rule.place, pool),
                DynamicTarget::Interface(name) => self.check_lender(rule.place, name),
            }
            if let Some(name) = &rule.egress_interface {
                self.check_defined(rule.place, name);
            }
        }
        for rule in &nat.static_rules {
            match &rule.mapping {
                StaticMapping::Address { global: GlobalAddress::Interface(name), .. }
                | StaticMapping::Port { global: GlobalAddress::Interface(name), .. }
                | StaticMapping::Esp { interface: name, .. } => self.check_lender(rule.place, name),
                _ => {}
            }
            if let Some(map) = &rule.route_map {
                self.check_route_map(rule.place, &map.name);
            }
            if let Some(name) = &rule.egress_interface {
                self.check_defined(rule.place, name);
            }
        }
        for rule in &nat.destination_rules {
            self.check_access_list(rule.place, &rule.access_list);
            self.check_pool(rule.place, &rule.pool);
        }
        for (place, vrf) in nat.inside_vrfs() {
            self.check_vrf(place, vrf.as_ref().map(|vrf| vrf.name.as_str()));
        }
    }

    pub(crate) fn check_outside_references(&mut self) {
        let nat = &self.config.nat;
        for rule in &nat.outside_dynamic_rules {
            self.check_selector(rule.place, &rule.selector);
            self.check_pool(rule.place, &rule.pool);
        }
        for (place, vrf) in nat.outside_vrfs() {
            self.check_vrf(place, vrf.as_ref().map(|vrf| vrf.name.as_str()));
        }
    }

    fn check_selector(&mut self, place: Place, selector: &Selector) {
        match selector {
            Selector::List(access_list) => self.check_access_list(place, access_list),
            Selector::RouteMap(map) => self.check_route_map(place, map),
        }
    }

    pub(crate) fn check_sides(&mut self) {
        let nat = &self.config.nat;
        let inside = nat.dynamic_rules.iter().map(|rule| rule.place);
        let inside = inside.chain(nat.static_rules.iter().map(|rule| rule.place));
        let outside = nat.outside_dynamic_rules.iter().map(|rule| rule.place);
        let outside = outside.chain(nat.outside_static_rules.iter().map(|rule| rule.place));
        let destination = nat.destination_rules.iter().map(|rule| rule.place);
        let Some(place) = inside.chain(destination).chain(outside).next() else { return };
        for (side, word) in [(NatSide::Inside, "inside"), (NatSide::Outside, "outside")] {
            if !self.config.interfaces.iter().any(|interface| interface.nat == Some(side)) {
                self.warn(place, format!("nothing is translated: no interface has \"ip nat {word}\""));
            }
        }
    }

    /// No two rules may translate to the same, nor one end to two, unless the rules agree to it.
    pub(crate) fn check_static_ends(&mut self) {
        let globals = self.config.nat.static_rules.iter().map(|rule| {
            let vrf = rule.vrf.as_ref().filter(|vrf| vrf.match_in_vrf);
            (rule.place, vrf.map(|vrf| vrf.name.as_str()), global_end(&rule.mapping))
        });
        self.refuse_duplicates(globals.collect());
        self.check_static_locals();
    }

    /// The same of rules for the outside.
    pub(crate) fn check_outside_ends(&mut self) {
        let locals = self.config.nat.outside_static_rules.iter().map(|rule| {
            (rule.place, rule.vrf.as_ref().map(|vrf| vrf.name.as_str()), local_end(&rule.mapping))
        });
        self.refuse_duplicates(locals.collect());
        self.check_outside_globals();
    }

    fn refuse_duplicates(&mut self, ends: Vec<End<'_>>) {
        let mut owners: HashMap<(Option<&str>, String), Place> = HashMap::new();
        for (place, table, end) in ends {
            if let Some(owner) = owners.insert((table, end.clone()), place) {
                self.error(place, format!("{end} is mapped by line {} already", owner.line));
            }
        }
    }

    /// One local address has several global ones only if every rule agrees, or route-maps tell them apart.
    fn check_static_locals(&mut self) {
        let mut owners: HashMap<(Option<&str>, Ipv4Addr), &StaticRule> = HashMap::new();
        for rule in &self.config.nat.static_rules {
            let StaticMapping::Address { local, .. } = rule.mapping else { continue };
            let table = rule.vrf.as_ref().map(|vrf| vrf.name.as_str());
            let Some(owner) = owners.insert((table, local), rule) else { continue };
            let maps_differ = owner.route_map.is_some() && rule.route_map.is_some();
            if !(maps_differ || owner.extendable && rule.extendable) {
                self.ask_for_extendable(rule.place, local, owner.place);
            }
        }
    }

    fn check_outside_globals(&mut self) {
        let mut owners: HashMap<(Option<&str>, Ipv4Addr), &OutsideStaticRule> = HashMap::new();
        for rule in &self.config.nat.outside_static_rules {
            let OutsideMapping::Address { global, .. } = rule.mapping else { continue };
            let table = rule.vrf.as_ref().map(|vrf| vrf.name.as_str());
            let Some(owner) = owners.insert((table, global), rule) else { continue };
            if !(owner.extendable && rule.extendable) {
                self.ask_for_extendable(rule.place, global, owner.place);
            }
        }
    }

    fn ask_for_extendable(&mut self, place: Place, address: Ipv4Addr, owner: Place) {
        let line = owner.line;
        let text = format!("{address} is mapped by line {line} already; both lines need \"extendable\"");
        self.error(place, text);
    }

    /// A list or route-map that permits everything also translates what was meant to stay as it is.
    pub(crate) fn check_permits(&mut self) {
        let config = self.config;
        let (access_lists, route_maps) = selectors(config);
        for map in config.route_maps.iter().filter(|map| route_maps.contains(map.name.as_str())) {
            for entry in map.entries.iter().filter(|entry| matches_all(entry)) {
                let text = format!("NAT uses route-map {:?}, and this entry matches every packet", map.name);
                self.warn(entry.place, text);
            }
        }
        for list in config.access_lists.iter().filter(|list| access_lists.contains(list.name.as_str())) {
            for entry in list.entries.iter().filter(|entry| permits_all(entry)) {
                let text =
                    format!("NAT uses access list {:?}, and this entry permits every packet", list.name);
                self.warn(entry.place, text);
            }
        }
    }
}

/// The names of the access lists and route-maps that rules go by.
fn selectors(config: &Config) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let nat = &config.nat;
    let (mut access_lists, mut route_maps) = (BTreeSet::new(), BTreeSet::new());
    let dynamic = nat.dynamic_rules.iter().map(|rule| &rule.selector);
    for selector in dynamic.chain(nat.outside_dynamic_rules.iter().map(|rule| &rule.selector)) {
        match selector {
            Selector::List(access_list) => access_lists.insert(access_list.as_str()),
            Selector::RouteMap(map) => route_maps.insert(map.as_str()),
        };
    }
    access_lists.extend(nat.destination_rules.iter().map(|rule| rule.access_list.as_str()));
    let of_statics = nat.static_rules.iter().filter_map(|rule| rule.route_map.as_ref());
    route_maps.extend(of_statics.map(|map| map.name.as_str()));
    let used = config.route_maps.iter().filter(|map| route_maps.contains(map.name.as_str()));
    access_lists
        .extend(used.flat_map(|map| &map.entries).flat_map(|entry| &entry.access_lists).map(String::as_str));
    (access_lists, route_maps)
}

fn permits_all(entry: &AccessListEntry) -> bool {
    let all = AccessRule::any(AccessAction::Permit);
    matches!(&entry.body, EntryBody::Rule(rule) if *rule == AccessRule { log: rule.log, ..all })
}

/// Whether an entry of a route-map has no condition.
fn matches_all(entry: &RouteMapEntry) -> bool {
    entry.action == AccessAction::Permit
        && entry.access_lists.is_empty()
        && entry.interfaces.is_empty()
        && entry.next_hops.is_empty()
}

/// The global end of a rule for the inside, in words.
fn global_end(mapping: &StaticMapping) -> String {
    match mapping {
        StaticMapping::Address { global, .. } => global.to_string(),
        StaticMapping::Port { protocol, global, global_port, .. } => {
            format!("{global} {protocol} port {global_port}")
        }
        StaticMapping::Esp { interface, .. } => format!("interface {interface} esp"),
        StaticMapping::Network { global, .. } => global.to_string(),
    }
}

/// The local end of a rule for the outside, in words.
fn local_end(mapping: &OutsideMapping) -> String {
    match mapping {
        OutsideMapping::Address { local, .. } | OutsideMapping::Network { local, .. } => local.to_string(),
        OutsideMapping::Port { protocol, local, local_port, .. } => {
            format!("{local} {protocol} port {local_port}")
        }
    }
}
