//! What ALGs counted.

use alg::Refusal;
use alg::registry::ROWS;
use dataplane::counters::{Count, GatewayCounters};
use prometheus::proto::MetricFamily;

use super::family::{Labels, counters, gauges};
use crate::appliance::Appliance;
use crate::gateway_counters::{GATEWAY_COUNTERS, GatewayCounter};

/// The reason of sessions that were let go of for want of memory, or because their stream could not be followed.
const STREAM: &str = "stream";

pub(super) fn families(appliance: &Appliance) -> Vec<MetricFamily> {
    let sum = |position: usize, of: &dyn Fn(&GatewayCounters) -> &Count| -> f64 {
        appliance.counters.iter().map(|counters| of(&counters.gateways[position]).value()).sum::<u64>() as f64
    };
    let by_gateway = |count: fn(&GatewayCounters) -> &Count| -> Vec<(Labels, f64)> {
        let sample = |(position, row): (usize, &alg::Row)| (labels(row), sum(position, &count));
        ROWS.iter().enumerate().map(sample).collect()
    };
    let of_row = |row: &GatewayCounter| counters(row.metric, row.help, by_gateway(row.count));
    let mut families: Vec<MetricFamily> = GATEWAY_COUNTERS.iter().map(of_row).collect();
    families.push(gauges(
        "portico_alg_sessions",
        "Control sessions that the ALG reads now",
        by_gateway(|c| &c.reading),
    ));
    let (mut refused, mut detached) = (Vec::new(), Vec::new());
    for (position, row) in ROWS.iter().enumerate() {
        for reason in Refusal::ALL {
            let at = reason as usize;
            refused.push((with_reason(row, reason.label()), sum(position, &|c| &c.refused[at])));
            if reason.detaches() {
                detached.push((with_reason(row, reason.label()), sum(position, &|c| &c.detached[at])));
            }
        }
        detached.push((with_reason(row, STREAM), sum(position, &|c| &c.detached_stream)));
    }
    families.push(counters(
        "portico_alg_refused_messages_total",
        "Messages that the ALG refused, which passed unchanged",
        refused,
    ));
    families.push(counters(
        "portico_alg_detached_sessions_total",
        "Control sessions that the ALG let go of for good",
        detached,
    ));
    families
}

fn labels(row: &alg::Row) -> Labels {
    vec![("alg", row.name.to_string())]
}

fn with_reason(row: &alg::Row, reason: &str) -> Labels {
    [labels(row), vec![("reason", reason.to_string())]].concat()
}
