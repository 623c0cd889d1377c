//! Prometheus metrics: the counters as they stand, in the text exposition format.

use dataplane::counters::Counters;
use dataplane::drops::DropReason;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::appliance::Appliance;

/// A metric with its labels.
type Sample = (Vec<(&'static str, String)>, u64);

fn family(name: &str, help: &str, kind: MetricType, samples: Vec<Sample>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    let metrics = samples.into_iter().map(|(labels, value)| {
        let pair = |(name, value): (&str, String)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.into());
            pair.set_value(value);
            pair
        };
        let mut metric = Metric::default();
        metric.set_label(labels.into_iter().map(pair).collect());
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value as f64);
            metric.set_gauge(gauge);
        }
        metric
    });
    family.set_metric(metrics.collect());
    family
}

/// A number of a worker, and how it is called.
struct Row {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Counters) -> u64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Counters) -> u64) -> Row {
    Row { name, help, kind: MetricType::COUNTER, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&Counters) -> u64) -> Row {
    Row { name, help, kind: MetricType::GAUGE, value }
}

/// The numbers of each worker.
#[rustfmt::skip]
const WORKER_ROWS: &[Row] = &[
    counter("portico_worker_received_packets_total", "Frames taken from ports", |c| c.fates.received.value()),
    counter("portico_worker_taken_over_packets_total", "Packets other workers handed over", |c| c.fates.taken_over.value()),
    counter("portico_worker_generated_packets_total", "Packets that Portico made itself", |c| c.fates.generated.value()),
    counter("portico_worker_sent_packets_total", "Packets that devices took", |c| c.fates.sent.value()),
    counter("portico_worker_consumed_packets_total", "Packets for the box itself", |c| c.fates.consumed.value()),
    counter("portico_worker_dropped_packets_total", "Packets dropped", |c| c.fates.dropped.value()),
    counter("portico_worker_handed_over_packets_total", "Packets handed to other workers", |c| c.fates.handed_over.value()),
    gauge("portico_worker_held_packets", "Packets that wait for a next hop", |c| c.fates.held.value()),
    counter("portico_nat_hits_total", "Packets that found a session", |c| c.nat.hits.value()),
    counter("portico_nat_misses_total", "Packets on NAT interfaces that found no session", |c| c.nat.misses.value()),
    counter("portico_nat_sessions_expired_total", "Sessions that ended by idle time", |c| c.nat.expired.value()),
    gauge("portico_nat_sessions", "Sessions now", |c| c.nat.sessions.value()),
    gauge("portico_nat_sessions_peak", "The most sessions at once", |c| c.nat.sessions_peak.value()),
    gauge("portico_nat_mappings", "Mappings now", |c| c.nat.mappings.value()),
];

/// Everything Prometheus scrapes.
pub fn render(appliance: &Appliance) -> String {
    let mut families: Vec<MetricFamily> = WORKER_ROWS
        .iter()
        .map(|row| family(row.name, row.help, row.kind, by_worker(appliance, row.value)))
        .collect();
    families.extend(interfaces(appliance));
    families.push(drops(appliance));
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("# {error}\n"),
    }
}

fn by_worker(appliance: &Appliance, value: fn(&Counters) -> u64) -> Vec<Sample> {
    let sample = |(index, counters): (usize, &std::sync::Arc<Counters>)| {
        (vec![("worker", index.to_string())], value(counters))
    };
    appliance.counters.iter().enumerate().map(sample).collect()
}

fn interfaces(appliance: &Appliance) -> [MetricFamily; 2] {
    let (mut packets, mut bytes) = (Vec::new(), Vec::new());
    for (index, interface) in appliance.compiled.policy.interfaces.iter().enumerate() {
        for direction in ["in", "out"] {
            let labels = vec![("interface", interface.name.clone()), ("direction", direction.to_string())];
            let mut sums = (0, 0);
            for counters in appliance.counters.iter().map(|counters| counters.interface(index as u16)) {
                let (p, b) = match direction {
                    "in" => (&counters.in_packets, &counters.in_bytes),
                    _ => (&counters.out_packets, &counters.out_bytes),
                };
                sums = (sums.0 + p.value(), sums.1 + b.value());
            }
            packets.push((labels.clone(), sums.0));
            bytes.push((labels, sums.1));
        }
    }
    [
        family("portico_interface_packets_total", "Packets by interface", MetricType::COUNTER, packets),
        family("portico_interface_bytes_total", "Bytes by interface", MetricType::COUNTER, bytes),
    ]
}

fn drops(appliance: &Appliance) -> MetricFamily {
    let sample = |&reason: &DropReason| {
        let cause = format!("{:?}", reason.blame()).to_lowercase();
        let count = appliance.counters.iter().map(|counters| counters.drops(reason).value()).sum();
        (vec![("reason", reason.label().to_string()), ("cause", cause)], count)
    };
    let samples = DropReason::ALL.iter().map(sample).collect();
    family("portico_drops_total", "Packets dropped by reason", MetricType::COUNTER, samples)
}
