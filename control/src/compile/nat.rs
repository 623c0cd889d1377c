//! NAT rules: statics, dynamic rules and their pools.

use std::net::Ipv4Addr;

use dataplane::flow::{Endpoint, Protocol, TCP, UDP, Vrf};
use dataplane::policy::{
    AclIndex, AddressMatch, Clause, DestinationRule, OutsideRule, Pool, PoolKind, Selector, SourceRule,
    StaticRule, Statics,
};
use ipnet::Ipv4Net;

use super::compiler::{Compiler, GLOBAL};
use crate::config::model::{self, AccessAction, DynamicTarget, GlobalAddress, OutsideMapping, StaticMapping};

/// IP protocol number of ESP.
const ESP: Protocol = 50;

/// What a static rule maps: protocol, local and global endpoint, prefix length.
type Ends = (Option<Protocol>, Endpoint, Endpoint, u8);

impl Compiler<'_> {
    fn global_addr(&self, global: &GlobalAddress) -> Option<Ipv4Addr> {
        match global {
            GlobalAddress::Address(addr) => Some(*addr),
            GlobalAddress::Interface(name) => self.lent_by(name),
        }
    }

    /// The VRFs of a rule's inside and outside.
    fn rule_vrfs(&mut self, vrf: Option<&model::RuleVrf>) -> (Vrf, Vrf) {
        let inside = self.vrf(vrf.map(|vrf| vrf.name.as_str()));
        (inside, if vrf.is_some_and(|vrf| vrf.match_in_vrf) { inside } else { GLOBAL })
    }

    /// Rules whose interface has no address are lint's to warn of; they translate nothing.
    pub(crate) fn statics(&mut self) {
        let config = self.config;
        let mut rules = Vec::new();
        for rule in &config.nat.static_rules {
            let id = self.rule_id(rule.to_string());
            let Some((protocol, local, global, prefix_len)) = self.static_ends(&rule.mapping) else {
                continue;
            };
            if rule.no_alias {
                self.out.no_alias.push(global.addr);
            }
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            let selector = rule.route_map.as_ref().map(|map| self.route_map(&map.name));
            let egress = rule.egress_interface.as_ref().and_then(|name| self.interface_index(name));
            let is_reversible = rule.route_map.as_ref().is_none_or(|map| map.reversible);
            rules.push(StaticRule {
                id,
                protocol,
                local,
                global,
                prefix_len,
                inside_vrf,
                outside_vrf,
                selector,
                egress,
                is_reversible,
            });
        }
        self.out.policy.statics = Statics::new(rules);
    }

    fn static_ends(&self, mapping: &StaticMapping) -> Option<Ends> {
        let end = Endpoint::new;
        Some(match mapping {
            StaticMapping::Address { local, global } => {
                (None, end(*local, 0), end(self.global_addr(global)?, 0), 32)
            }
            StaticMapping::Port { protocol, local, local_port, global, global_port } => {
                let global = end(self.global_addr(global)?, *global_port);
                (Some(number_of(*protocol)), end(*local, *local_port), global, 32)
            }
            StaticMapping::Esp { local, interface } => {
                (Some(ESP), end(*local, 0), end(self.lent_by(interface)?, 0), 32)
            }
            StaticMapping::Network { local, global, prefix_length } => {
                (None, end(*local, 0), end(*global, 0), *prefix_length)
            }
        })
    }

    pub(crate) fn rules(&mut self) {
        let config = self.config;
        for rule in &config.nat.dynamic_rules {
            let id = self.rule_id(rule.to_string());
            let pool = match &rule.target {
                DynamicTarget::Pool(name) => self.pool(name),
                DynamicTarget::Interface(name) => self.lent_by(name).map(|addr| Pool {
                    name: name.as_str().into(),
                    kind: PoolKind::Interface,
                    ranges: vec![(addr, addr)],
                }),
            };
            let Some(pool) = pool.map(|pool| self.pool_index(pool)) else { continue };
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            if rule.overload == Some(model::Overload::Extended) {
                self.error(rule.place, "'overload extended' is not supported: a global port has one owner");
            }
            let compiled = SourceRule {
                id,
                selector: self.selector(&rule.selector),
                pool,
                overload: rule.overload.is_some(),
                inside_vrf,
                outside_vrf,
                egress: rule.egress_interface.as_ref().and_then(|name| self.interface_index(name)),
                is_reversible: rule.reversible,
                is_paired: config.nat.settings.pairing.is_some_and(|pairing| {
                    !pairing.marked_only || rule.overload == Some(model::Overload::Paired)
                }),
            };
            self.out.policy.rules.push(compiled);
        }
        self.out.policy.rules_see_destinations = self
            .out
            .policy
            .rules
            .iter()
            .any(|rule| rule.egress.is_some() || self.sees_destination(&rule.selector));
        self.destination_rules();
    }

    /// Whether a selector looks at where packets go.
    fn sees_destination(&self, selector: &Selector) -> bool {
        let acl_sees = |acl: &AclIndex| {
            let entries = self.out.policy.acls.get(usize::from(*acl)).map(|acl| acl.entries.as_slice());
            entries
                .unwrap_or_default()
                .iter()
                .any(|entry| entry.dst != AddressMatch::ANY || !entry.dst_ports.is_empty())
        };
        match selector {
            Selector::Nothing => false,
            Selector::Acl(acl) => acl_sees(acl),
            Selector::RouteMap(clauses) => clauses.iter().any(|clause| {
                !clause.interfaces.is_empty()
                    || !clause.next_hops.is_empty()
                    || clause.acls.iter().any(acl_sees)
            }),
        }
    }

    pub(crate) fn outside_rules(&mut self) {
        let config = self.config;
        if !config.nat.settings.maps_outside() {
            return;
        }
        let mut statics = Vec::new();
        for rule in &config.nat.outside_static_rules {
            let id = self.rule_id(rule.to_string());
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            let (protocol, local, global, prefix_len) = outside_ends(&rule.mapping);
            statics.push(StaticRule {
                id,
                protocol,
                local,
                global,
                prefix_len,
                inside_vrf,
                outside_vrf,
                selector: None,
                egress: None,
                is_reversible: true,
            });
            if rule.add_route
                && let Ok(net) = Ipv4Net::new(local.addr, prefix_len)
            {
                self.added_routes.push((inside_vrf, outside_vrf, net, global.addr));
            }
        }
        self.out.policy.outside_statics = Statics::new(statics);
        for rule in &config.nat.outside_dynamic_rules {
            let id = self.rule_id(rule.to_string());
            let Some(pool) = self.pool(&rule.pool) else { continue };
            let (inside_vrf, outside_vrf) = self.rule_vrfs(rule.vrf.as_ref());
            if rule.add_route {
                for &(first, last) in &pool.ranges {
                    // Where the hosts are cannot be known: they are reached the way the pool's first one is.
                    let nets = ipnet::Ipv4Subnets::new(first, last, 0);
                    self.added_routes
                        .extend(nets.map(|net| (inside_vrf, outside_vrf, net, Ipv4Addr::UNSPECIFIED)));
                }
            }
            let pool = self.pool_index(pool);
            let selector = self.selector(&rule.selector);
            self.out.policy.outside_rules.push(OutsideRule { id, selector, pool, inside_vrf, outside_vrf });
        }
    }

    /// The real servers of one virtual server are seen together.
    fn destination_rules(&mut self) {
        let config = self.config;
        for rule in &config.nat.destination_rules {
            let id = self
                .rule_id(format!("ip nat inside destination list {} pool {}", rule.access_list, rule.pool));
            let Some(pool) = self.pool(&rule.pool) else { continue };
            self.pin(&pool.ranges);
            let pool = self.pool_index(pool);
            let acl = self.acl_index(&rule.access_list);
            self.out.policy.destination_rules.push(DestinationRule { id, acl, pool });
        }
    }

    fn selector(&self, selector: &model::Selector) -> Selector {
        match selector {
            model::Selector::List(name) => self.acl_index(name).map_or(Selector::Nothing, Selector::Acl),
            model::Selector::RouteMap(name) => self.route_map(name),
        }
    }

    /// A route-map's clauses. A condition on lists or interfaces none of which exists is never met.
    fn route_map(&self, name: &str) -> Selector {
        let Some(map) = self.config.route_maps.iter().find(|map| map.name == name) else {
            return Selector::Nothing;
        };
        let clauses = map.entries.iter().filter_map(|entry| {
            let acls: Vec<_> = entry.access_lists.iter().filter_map(|name| self.acl_index(name)).collect();
            let interfaces: Vec<_> =
                entry.interfaces.iter().filter_map(|name| self.interface_index(name)).collect();
            let next_hops: Vec<_> = entry.next_hops.iter().filter_map(|name| self.acl_index(name)).collect();
            let is_never_met = (acls.is_empty() && !entry.access_lists.is_empty())
                || (interfaces.is_empty() && !entry.interfaces.is_empty())
                || (next_hops.is_empty() && !entry.next_hops.is_empty());
            let permit = entry.action == AccessAction::Permit;
            (!is_never_met).then_some(Clause { permit, acls, interfaces, next_hops })
        });
        Selector::RouteMap(clauses.collect())
    }
}

pub(crate) fn number_of(protocol: model::PortProtocol) -> Protocol {
    match protocol {
        model::PortProtocol::Tcp => TCP,
        model::PortProtocol::Udp => UDP,
    }
}

fn outside_ends(mapping: &OutsideMapping) -> Ends {
    let end = Endpoint::new;
    match mapping {
        OutsideMapping::Address { global, local } => (None, end(*local, 0), end(*global, 0), 32),
        OutsideMapping::Port { protocol, global, global_port, local, local_port } => {
            (Some(number_of(*protocol)), end(*local, *local_port), end(*global, *global_port), 32)
        }
        OutsideMapping::Network { global, local, prefix_length } => {
            (None, end(*local, 0), end(*global, 0), *prefix_length)
        }
    }
}
