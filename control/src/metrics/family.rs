//! Families of samples, as the text encoder takes them.

use dataplane::counters::{Kind, Metric as Row};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// Labels and their values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A family whose values only grow; its name ends in `_total`.
pub(super) fn counters(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> MetricFamily {
    family(name, help, MetricType::COUNTER, samples)
}

/// A family whose values come and go.
pub(super) fn gauges(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> MetricFamily {
    family(name, help, MetricType::GAUGE, samples)
}

/// What a table of counters `C` tells: a sample for each subject, with its labels, of its counters together.
pub(super) fn table<C: 'static>(rows: &[Row<C>], subjects: &[(Labels, Vec<&C>)]) -> Vec<MetricFamily> {
    let family_of = |row: &Row<C>| {
        let kind = match row.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        };
        let samples = subjects.iter().flat_map(|(labels, counters)| {
            row.sum(counters.iter().copied()).into_iter().map(move |(value_label, value)| {
                let label = row.label().map(|name| (name, value_label.to_string()));
                (labels.iter().cloned().chain(label).collect(), value as f64)
            })
        });
        family(&format!("portico_{}", row.name), row.help, kind, samples)
    };
    rows.iter().map(family_of).collect()
}

fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    samples: impl IntoIterator<Item = (Labels, f64)>,
) -> MetricFamily {
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
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    });
    family.set_metric(metrics.collect());
    family
}
