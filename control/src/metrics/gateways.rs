//! What gateways counted.

use alg::Refusal;
use alg::registry::ROWS;
use dataplane::counters::{Count, GatewayCounters};
use prometheus::proto::MetricFamily;

use super::family::{Labels, counters, gauges};
use crate::appliance::Appliance;

type Value = fn(&GatewayCounters) -> &Count;

#[rustfmt::skip]
const COUNTERS: &[(&str, &str, Value)] = &[
    ("portico_gateway_sessions_total", "Control sessions that the gateway was attached to", |c| &c.attached),
    ("portico_gateway_unread_sessions_total", "Control sessions that had no room to be read", |c| &c.unread),
    ("portico_gateway_messages_total", "Messages that the gateway read", |c| &c.messages),
    ("portico_gateway_edited_messages_total", "Messages that the gateway changed", |c| &c.edited),
    ("portico_gateway_doors_opened_total", "Doors that the gateway opened", |c| &c.doors_opened),
    ("portico_gateway_doors_used_total", "Doors that were gone through", |c| &c.doors_used),
    ("portico_gateway_doors_expired_total", "Doors that nobody went through in time", |c| &c.doors_expired),
];

/// The reason of sessions that were let go of for want of memory, or because their stream could not be followed.
const STREAM: &str = "stream";

pub(super) fn families(appliance: &Appliance) -> Vec<MetricFamily> {
    let sum = |position: usize, of: &dyn Fn(&GatewayCounters) -> &Count| -> f64 {
        appliance.counters.iter().map(|counters| of(&counters.gateways[position]).value()).sum::<u64>() as f64
    };
    let by_gateway = |value: Value| -> Vec<(Labels, f64)> {
        let sample = |(position, row): (usize, &alg::Row)| (gateway(row), sum(position, &value));
        ROWS.iter().enumerate().map(sample).collect()
    };
    let mut families: Vec<MetricFamily> =
        COUNTERS.iter().map(|(name, help, value)| counters(name, help, by_gateway(*value))).collect();
    families.push(gauges(
        "portico_gateway_sessions",
        "Control sessions that the gateway reads now",
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
        "portico_gateway_refused_messages_total",
        "Messages that the gateway refused, which passed unchanged",
        refused,
    ));
    families.push(counters(
        "portico_gateway_detached_sessions_total",
        "Control sessions that the gateway let go of for good",
        detached,
    ));
    families
}

fn gateway(row: &alg::Row) -> Labels {
    vec![("gateway", row.name.to_string())]
}

fn with_reason(row: &alg::Row, reason: &str) -> Labels {
    [gateway(row), vec![("reason", reason.to_string())]].concat()
}
