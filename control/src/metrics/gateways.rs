//! What ALGs counted.

use alg::registry::ROWS;
use dataplane::counters::GATEWAY_METRICS;
use prometheus::proto::MetricFamily;

use super::family::table;
use crate::appliance::Appliance;

pub(super) fn families(appliance: &Appliance) -> Vec<MetricFamily> {
    let subjects: Vec<_> = ROWS
        .iter()
        .enumerate()
        .map(|(position, row)| {
            let counters = appliance.counters.iter().map(|counters| &counters.gateways[position]);
            (vec![("alg", row.name.to_string())], counters.collect())
        })
        .collect();
    table(GATEWAY_METRICS, &subjects)
}
