//! How much of the NAT's pools is in use.

use std::collections::HashSet;

use dataplane::message::Usage;
use prometheus::proto::MetricFamily;

use super::family::{Labels, counters, gauges};
use crate::appliance::Appliance;

/// Ports that one address has for dynamic mappings of one protocol: 512 to 65535.
const PORTS_OF_ADDRESS: f64 = 65_024.0;

pub(super) fn families(appliance: &Appliance, usages: &[Usage]) -> Vec<MetricFamily> {
    let policy = &appliance.compiled.policy;
    let (mut addresses, mut addresses_in_use, mut ports_in_use) = (Vec::new(), Vec::new(), Vec::new());
    let (mut utilisations, mut misses) = (Vec::new(), Vec::new());
    for (index, pool) in policy.pools.iter().enumerate() {
        let labels: Labels = vec![("pool", pool.name.clone())];
        let of_pool = usages.iter().flat_map(|usage| &usage.ports).filter(|(addr, _)| pool.contains(*addr));
        let in_use: HashSet<_> = of_pool.clone().map(|(addr, _)| addr).collect();
        // Sums are of whole numbers: that of no floating ones is -0.
        let ports: u64 = of_pool.map(|&(_, ports)| u64::from(ports)).sum();
        let ports = ports as f64;
        let (all, used) = (f64::from(pool.address_count()), in_use.len() as f64);
        let of_pool = || policy.rules.iter().filter(|rule| usize::from(rule.pool) == index);
        let ids: HashSet<_> = of_pool().map(|rule| rule.id).collect();
        let missed = usages.iter().flat_map(|usage| &usage.rules).filter(|(id, _)| ids.contains(id));
        let missed: u64 = missed.map(|(_, rule)| rule.misses).sum();
        let utilisation = match of_pool().any(|rule| rule.overload) {
            true => ports / (all * PORTS_OF_ADDRESS),
            false => used / all,
        };
        addresses.push((labels.clone(), all));
        addresses_in_use.push((labels.clone(), used));
        ports_in_use.push((labels.clone(), ports));
        utilisations.push((labels.clone(), if all == 0.0 { 0.0 } else { utilisation }));
        misses.push((labels, missed as f64));
    }
    let subscribers: usize = usages.iter().map(|usage| usage.subscriber_count).sum();
    vec![
        gauges("portico_nat_pool_addresses", "Addresses that the pool hands out", addresses),
        gauges("portico_nat_pool_addresses_in_use", "Addresses of the pool with mappings", addresses_in_use),
        gauges(
            "portico_nat_pool_ports_in_use",
            "Ports of the pool with mappings, of all protocols",
            ports_in_use,
        ),
        gauges(
            "portico_nat_pool_utilisation_ratio",
            "Share of the pool in use: of its ports, counted as if of one protocol, or of its addresses without \
             overload",
            utilisations,
        ),
        counters("portico_nat_pool_misses_total", "Packets for which the pool had nothing free", misses),
        gauges(
            "portico_nat_subscribers",
            "Inside hosts with mappings",
            [(Labels::new(), subscribers as f64)],
        ),
    ]
}
