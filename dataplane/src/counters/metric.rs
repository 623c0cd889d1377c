//! What counters are made of, and how a row of their tables tells one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with one writer. Relaxed loads and stores: no read-modify-write instruction is needed.
#[derive(Default, Debug)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts `n` more. Only the worker that owns the counter calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Sets a value that is measured rather than counted.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Clone for Count {
    fn clone(&self) -> Count {
        Count(AtomicU64::new(self.value()))
    }
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; the metric's name ends in `_total`.
    Counter,
    /// It comes and goes.
    Gauge,
}

/// How the values of a row are read from counters `C`.
pub enum Values<C: 'static> {
    /// One value.
    One(fn(&C) -> u64),
    /// One for each value of this label, which stands before it; always the same ones in the same order.
    By(&'static str, fn(&C) -> Vec<(&'static str, u64)>),
}

/// A row of a table of counters `C`.
pub struct Metric<C: 'static> {
    /// The metric's name, without the prefix of all.
    pub name: &'static str,
    /// What it counts, for the metric's HELP.
    pub help: &'static str,
    /// Its line's title in the page of `show` that lists all rows of the table; empty where there is no such page.
    pub title: &'static str,
    /// What becomes of its values.
    pub kind: Kind,
    /// Its values.
    pub values: Values<C>,
}

impl<C> Metric<C> {
    /// The label that tells its values apart, if there are several.
    pub fn label(&self) -> Option<&'static str> {
        match self.values {
            Values::One(_) => None,
            Values::By(label, _) => Some(label),
        }
    }

    /// Its values of all these counters together, each with the value of the label; empty text if it has none.
    pub fn sum<'c>(&self, of: impl IntoIterator<Item = &'c C>) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for counters in of {
            let values = match self.values {
                Values::One(value) => vec![("", value(counters))],
                Values::By(_, values) => values(counters),
            };
            match sums.is_empty() {
                true => sums = values,
                false => sums.iter_mut().zip(values).for_each(|(sum, (_, value))| sum.1 += value),
            }
        }
        sums
    }
}

/// A row of one value that only grows.
pub(super) const fn counter<C>(name: &'static str, help: &'static str, value: fn(&C) -> u64) -> Metric<C> {
    Metric { name, help, title: "", kind: Kind::Counter, values: Values::One(value) }
}

/// A row of one value that comes and goes.
pub(super) const fn gauge<C>(name: &'static str, help: &'static str, value: fn(&C) -> u64) -> Metric<C> {
    Metric { name, help, title: "", kind: Kind::Gauge, values: Values::One(value) }
}

/// A row of values that come and go, told apart by a label.
pub(super) const fn gauges<C>(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: fn(&C) -> Vec<(&'static str, u64)>,
) -> Metric<C> {
    Metric { name, help, title: "", kind: Kind::Gauge, values: Values::By(label, values) }
}

/// A row of values that only grow, told apart by a label.
pub(super) const fn by<C>(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: fn(&C) -> Vec<(&'static str, u64)>,
) -> Metric<C> {
    Metric { name, help, title: "", kind: Kind::Counter, values: Values::By(label, values) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_several_workers_are_added_label_by_label() {
        let pair =
            by("pair_total", "", "side", |c: &[Count; 2]| vec![("a", c[0].value()), ("b", c[1].value())]);
        let workers: [[Count; 2]; 2] = Default::default();
        for (add, worker) in workers.iter().enumerate() {
            worker[0].add(1);
            worker[1].add(10 + add as u64);
        }
        assert_eq!((pair.label(), pair.sum(&workers)), (Some("side"), vec![("a", 2), ("b", 21)]));
        let one = counter("one_total", "", |c: &[Count; 2]| c[1].value());
        assert_eq!((one.label(), one.sum(&workers)), (None, vec![("", 21)]));
    }
}
