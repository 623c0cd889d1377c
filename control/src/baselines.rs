//! Counters as commands show them: since they were last cleared. Workers' counters and metrics only ever grow; what
//! `clear` does is remember their values.

use std::sync::Arc;

use dataplane::counters::{Counters, Kind, Metric};
use dataplane::drops::DropReason;
use dataplane::policy::{GatewayIndex, InterfaceIndex};

/// Values that were subtracted when something was cleared.
#[derive(Debug, Default)]
pub struct Baselines {
    /// Of each worker, its counters as they stood when they were cleared; none before anything is.
    cleared: Vec<Counters>,
    /// When the interfaces' counters were cleared, in milliseconds since the start.
    pub interfaces_cleared_ms: Option<u64>,
}

impl Baselines {
    /// What all workers counted since it was cleared.
    pub fn since(&self, workers: &[Arc<Counters>], of: impl Fn(&Counters) -> u64) -> u64 {
        let total: u64 = workers.iter().map(|counters| of(counters)).sum();
        // What is derived from several counters may fall a little, as they are read while workers count.
        total.saturating_sub(self.cleared.iter().map(of).sum())
    }

    /// The values of a row of counters that are a part of each worker's: counted since they were cleared, and levels as
    /// they are. With the value of the row's label.
    pub fn values<'a, C: 'static>(
        &'a self,
        workers: &'a [Arc<Counters>],
        metric: &Metric<C>,
        part: impl Fn(&'a Counters) -> &'a C,
    ) -> Vec<(&'static str, u64)> {
        let mut values = metric.sum(workers.iter().map(|counters| part(counters)));
        if metric.kind == Kind::Counter {
            let cleared = metric.sum(self.cleared.iter().map(part));
            values.iter_mut().zip(cleared).for_each(|(value, (_, base))| value.1 -= base);
        }
        values
    }

    /// Packets dropped for one reason.
    pub fn drops(&self, workers: &[Arc<Counters>], reason: DropReason) -> u64 {
        self.since(workers, |counters| counters.drops(reason).value())
    }

    /// Packets that an access-list entry decided about, by its counter's number.
    pub fn acl(&self, workers: &[Arc<Counters>], counter: u32) -> u64 {
        self.since(workers, |counters| counters.acl_match(counter).value())
    }

    /// Sessions that a limit refused, by its counter's number.
    pub fn limit(&self, workers: &[Arc<Counters>], counter: u32) -> u64 {
        self.since(workers, |counters| counters.limit_missed(counter).value())
    }

    /// Takes over from each worker's counters what `copy` does.
    fn clear(&mut self, workers: &[Arc<Counters>], copy: impl Fn(&mut Counters, &Counters)) {
        self.cleared.resize_with(workers.len(), Counters::default);
        for (cleared, worker) in self.cleared.iter_mut().zip(workers) {
            copy(cleared, worker);
        }
    }

    /// Clears a gateway's counters.
    pub fn clear_gateway(&mut self, workers: &[Arc<Counters>], gateway: GatewayIndex) {
        let gateway = usize::from(gateway);
        self.clear(workers, |cleared, worker| {
            cleared.gateways[gateway] = worker.gateways[gateway].clone();
        });
    }

    /// Clears the counters of so many interfaces, and those of drops.
    pub fn clear_interfaces(&mut self, workers: &[Arc<Counters>], interface_count: usize, now_ms: u64) {
        self.interfaces_cleared_ms = Some(now_ms);
        self.clear(workers, |cleared, worker| {
            for index in 0..interface_count as InterfaceIndex {
                *cleared.interface_mut(index) = worker.interface(index).clone();
            }
            copy_drops(cleared, worker, DropReason::ALL);
        });
    }

    /// Clears the NAT's counters and those of the drops it decides about.
    pub fn clear_nat(&mut self, workers: &[Arc<Counters>], drops: &[DropReason]) {
        self.clear(workers, |cleared, worker| {
            cleared.nat = worker.nat.clone();
            for (cleared, worker) in cleared.limit_misses().iter().zip(worker.limit_misses()) {
                cleared.set(worker.value());
            }
            copy_drops(cleared, worker, drops);
        });
    }

    /// Clears access-list counters.
    pub fn clear_acls(&mut self, workers: &[Arc<Counters>], counters: impl Iterator<Item = u32> + Clone) {
        self.clear(workers, |cleared, worker| {
            for counter in counters.clone() {
                cleared.acl_match(counter).set(worker.acl_match(counter).value());
            }
        });
    }
}

fn copy_drops(cleared: &Counters, worker: &Counters, reasons: &[DropReason]) {
    for &reason in reasons {
        cleared.drops(reason).set(worker.drops(reason).value());
    }
}

#[cfg(test)]
mod tests {
    use alg::Refusal;
    use dataplane::counters::{GATEWAY_METRICS, GatewayCounters, INTERFACE_METRICS, WORKER_METRICS};

    use super::*;

    fn hits(baselines: &Baselines, workers: &[Arc<Counters>]) -> u64 {
        baselines.since(workers, |counters| counters.nat.hits.value())
    }

    #[test]
    fn what_is_shown_counts_from_the_last_clear() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        let mut baselines = Baselines::default();
        for worker in &workers {
            worker.nat.hits.add(5);
            worker.nat.sessions.set(3);
            worker.acl_match(3).add(2);
            worker.interface(1).in_packets.add(7);
            worker.drops(DropReason::NoRoute).add(1);
        }
        assert_eq!(hits(&baselines, &workers), 10);
        baselines.clear_nat(&workers, &[]);
        baselines.clear_acls(&workers, [3].into_iter());
        baselines.clear_interfaces(&workers, 2, 77);
        workers[0].nat.hits.add(1);
        workers[1].acl_match(3).add(4);
        assert_eq!(hits(&baselines, &workers), 1);
        assert_eq!(baselines.acl(&workers, 3), 4);
        for metric in INTERFACE_METRICS {
            let values = baselines.values(&workers, metric, |counters| counters.interface(1));
            assert!(values.iter().all(|(_, value)| *value == 0), "{values:?}");
        }
        assert_eq!(baselines.drops(&workers, DropReason::NoRoute), 0);
        let sessions = WORKER_METRICS.iter().find(|metric| metric.name == "nat_sessions").expect("a row");
        assert_eq!(baselines.values(&workers, sessions, |counters| counters), [("", 6)], "a level stays");
    }

    #[test]
    fn a_gateways_counters_are_cleared_alone() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        for counters in workers.iter().flat_map(|worker| &worker.gateways) {
            counters.messages.add(10);
            counters.edited.add(4);
            counters.refused[Refusal::LowPort as usize].add(2);
            counters.refused[Refusal::Malformed as usize].add(1);
            counters.detached[Refusal::Malformed as usize].add(1);
            counters.detached[Refusal::Foreign as usize].add(3);
        }
        let mut baselines = Baselines::default();
        let shown = |baselines: &Baselines, gateway: usize| {
            let since = |of: fn(&GatewayCounters) -> u64| {
                baselines.since(&workers, |counters| of(&counters.gateways[gateway]))
            };
            let errors = (since(GatewayCounters::errors), since(GatewayCounters::unchanged));
            let rows = GATEWAY_METRICS.iter();
            let counts = rows.flat_map(|row| baselines.values(&workers, row, |c| &c.gateways[gateway]));
            (errors, counts.map(|(_, count)| count).sum::<u64>())
        };
        assert_eq!(shown(&baselines, 0), ((12, 6), 42));
        baselines.clear_gateway(&workers, 0);
        assert_eq!(shown(&baselines, 0), ((0, 0), 0));
        assert_eq!(shown(&baselines, 1), ((12, 6), 42));
        workers[1].gateways[0].doors_opened.add(1);
        assert_eq!(shown(&baselines, 0), ((0, 0), 1));
    }
}
