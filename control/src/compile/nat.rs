//! NAT rules: statics, dynamic rules and their pools.

use std::net::Ipv4Addr;

use dataplane::policy::{Pool, PoolKind, Selector, SourceRule, StaticRule, Statics};
use dataplane::steer::Ownership;
use dataplane::tuple::{Endpoint, TCP, UDP};
use ipnet::Ipv4Net;

use super::{Compiled, Compiler, GLOBAL};
use crate::config::model::{self, DynamicTarget, GlobalAddress};

impl Compiler<'_> {
    fn global_addr(&self, global: &GlobalAddress) -> Option<Ipv4Addr> {
        match global {
            GlobalAddress::Address(addr) => Some(*addr),
            GlobalAddress::Interface(name) => {
                self.config.interface(name)?.primary_address().map(|net| net.addr())
            }
        }
    }

    pub(super) fn statics(&mut self) {
        let config = self.config;
        let mut rules = Vec::new();
        for rule in &config.nat.static_rules {
            let id = self.rule_id(rule.to_string());
            let compiled = match &rule.mapping {
                model::StaticMapping::Address { local, global } => {
                    self.global_addr(global).map(|global| (None, *local, 0, global, 0, 32))
                }
                model::StaticMapping::Port { protocol, local, local_port, global, global_port } => {
                    let protocol = match protocol {
                        model::PortProtocol::Tcp => TCP,
                        model::PortProtocol::Udp => UDP,
                    };
                    self.global_addr(global)
                        .map(|global| (Some(protocol), *local, *local_port, global, *global_port, 32))
                }
                model::StaticMapping::Network { local, global, prefix_length } => {
                    Some((None, *local, 0, *global, 0, *prefix_length))
                }
                model::StaticMapping::Esp { .. } => {
                    self.error(rule.place, "static esp is not supported yet");
                    None
                }
            };
            // A rule whose interface has no address is lint's to warn of; it translates nothing.
            let Some((protocol, local, local_port, global, global_port, prefix_len)) = compiled else {
                continue;
            };
            if rule.no_alias {
                self.out.no_alias.push(global);
            }
            let (local, global) = (Endpoint::new(local, local_port), Endpoint::new(global, global_port));
            let (inside_vrf, outside_vrf) = (GLOBAL, GLOBAL);
            rules.push(StaticRule { id, protocol, local, global, prefix_len, inside_vrf, outside_vrf });
        }
        self.out.policy.statics = Statics::new(rules);
    }

    pub(super) fn rules(&mut self) {
        let config = self.config;
        for rule in &config.nat.dynamic_rules {
            let id = self.rule_id(rule.to_string());
            let Some(pool) = self.pool(rule) else { continue };
            let pools = &mut self.out.policy.pools;
            let index = pools.iter().position(|known| *known == pool).unwrap_or_else(|| {
                pools.push(pool);
                pools.len() - 1
            });
            let selector = match &rule.selector {
                model::Selector::List(list) => self.acl_index(list).map_or(Selector::Nothing, Selector::Acl),
                model::Selector::RouteMap(_) => {
                    self.error(rule.place, "route-maps are not supported yet");
                    continue;
                }
            };
            self.out.policy.rules.push(SourceRule {
                id,
                selector,
                pool: index as u16,
                overload: rule.overload.is_some(),
                ..SourceRule::default()
            });
        }
    }

    /// The pool of a rule; none when it is not there, which lint warns of.
    fn pool(&mut self, rule: &model::DynamicRule) -> Option<Pool> {
        match &rule.target {
            DynamicTarget::Pool(name) => {
                let pool = self.config.nat.pool(name)?;
                if pool.kind != model::PoolKind::Generic {
                    self.error(pool.place, "pools of type match-host and rotary are not supported yet");
                }
                let kind = PoolKind::Generic;
                Some(Pool { name: pool.name.clone(), kind, ranges: usable_ranges(pool) })
            }
            DynamicTarget::Interface(name) => {
                let addr = self.config.interface(name)?.primary_address()?.addr();
                Some(Pool {
                    name: name.as_str().into(),
                    kind: PoolKind::Interface,
                    ranges: vec![(addr, addr)],
                })
            }
        }
    }

    /// Who owns which global ports: what was claimed under the previous policy stays claimed.
    pub(super) fn claimable(&mut self, previous: Option<&Compiled>) {
        let policy = &self.out.policy;
        let pools = policy.rules.iter().filter_map(|rule| policy.pools.get(usize::from(rule.pool)));
        let addresses = pools.flat_map(|pool| (0..pool.address_count()).filter_map(|at| pool.address_at(at)));
        let nothing = Ownership::default();
        let before = previous.map_or(&nothing, |previous| &previous.policy.ownership);
        self.out.policy.ownership = Ownership::new(addresses, before);
    }
}

/// A pool's ranges without the network and broadcast address of its mask.
fn usable_ranges(pool: &model::Pool) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut ranges = Vec::new();
    for range in &pool.ranges {
        let (mut first, mut last) = (range.start.to_bits(), range.end.to_bits());
        if let Ok(net) = Ipv4Net::new(range.start, pool.prefix_length)
            && pool.prefix_length < 31
        {
            first += u32::from(range.start == net.network());
            last -= u32::from(range.end == net.broadcast());
        }
        if first <= last {
            ranges.push((Ipv4Addr::from_bits(first), Ipv4Addr::from_bits(last)));
        }
    }
    ranges
}
