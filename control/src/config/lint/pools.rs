//! Pools that overlap with something, or are of the wrong type.

use ipnet::Ipv4Net;

use super::super::model::*;
use super::findings::Lint;

impl Lint<'_> {
    pub(crate) fn check_pools(&mut self) {
        for pool in self.config.nat.pools.iter().filter(|pool| pool.ranges.is_empty()) {
            self.warn(pool.place, format!("pool {:?} has no addresses", pool.name));
        }
        self.check_pool_overlaps();
        self.check_pools_of_statics();
        self.check_pools_of_interfaces();
        self.check_pool_types();
    }

    fn check_pool_overlaps(&mut self) {
        for (position, (pool, range)) in ranges(self.config).enumerate() {
            let overlaps = |other: &AddressRange| other.start <= range.end && range.start <= other.end;
            let before = ranges(self.config).take(position);
            for (other, _) in before.filter(|(other, range)| other.name != pool.name && overlaps(range)) {
                self.warn(range.place, format!("pools {:?} and {:?} overlap", other.name, pool.name));
            }
        }
    }

    fn check_pools_of_statics(&mut self) {
        for rule in &self.config.nat.static_rules {
            let global = match rule.mapping {
                StaticMapping::Address { global: GlobalAddress::Address(global), .. } => global.into(),
                StaticMapping::Network { global, prefix_length, .. } => {
                    Ipv4Net::new_assert(global, prefix_length)
                }
                _ => continue,
            };
            let overlaps =
                |range: &AddressRange| global.network() <= range.end && range.start <= global.broadcast();
            if let Some((pool, _)) = ranges(self.config).find(|(_, range)| overlaps(range)) {
                let global = match global.prefix_len() {
                    32 => global.addr().to_string(),
                    _ => global.to_string(),
                };
                let text = format!("{global} is in pool {:?} too, which may hand it out", pool.name);
                self.warn(rule.place, text);
            }
        }
    }

    fn check_pools_of_interfaces(&mut self) {
        for (pool, range) in ranges(self.config) {
            for interface in &self.config.interfaces {
                for own in interface.addresses.iter().map(|address| address.network.addr()) {
                    if range.contains(own) {
                        let text =
                            format!("pool {:?} contains {own}, the address of {}", pool.name, interface.name);
                        self.warn(range.place, text);
                    }
                }
            }
        }
    }

    fn check_pool_types(&mut self) {
        let nat = &self.config.nat;
        let is_rotary = |name: &str| nat.pool(name).map(|pool| pool.kind == PoolKind::Rotary);
        let inside = nat.dynamic_rules.iter().filter_map(|rule| match &rule.target {
            DynamicTarget::Pool(pool) => Some((rule.place, pool)),
            DynamicTarget::Interface(_) => None,
        });
        let outside = nat.outside_dynamic_rules.iter().map(|rule| (rule.place, &rule.pool));
        for (place, pool) in inside.chain(outside).filter(|(_, pool)| is_rotary(pool) == Some(true)) {
            let text = format!("pool {pool:?} is rotary, which is for \"ip nat inside destination\"");
            self.warn(place, text);
        }
        for rule in &nat.destination_rules {
            if is_rotary(&rule.pool) == Some(false) {
                self.warn(rule.place, format!("pool {:?} is not rotary", rule.pool));
            }
        }
    }
}

/// The ranges of all pools.
fn ranges(config: &Config) -> impl Iterator<Item = (&Pool, &AddressRange)> {
    config.nat.pools.iter().flat_map(|pool| pool.ranges.iter().map(move |range| (pool, range)))
}
