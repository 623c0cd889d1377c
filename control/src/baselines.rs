//! Counters as commands show them: since they were last cleared. Workers' counters and metrics only ever grow; what
//! `clear` does is remember their values.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use dataplane::counters::{Counters, InterfaceCounters, NatCounters};
use dataplane::drops::DropReason;
use dataplane::policy::{GatewayIndex, InterfaceIndex};

use crate::gateway_counters::GatewayTotals;

/// Values that were subtracted when something was cleared.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    interfaces: HashMap<InterfaceIndex, InterfaceTotals>,
    nat: NatTotals,
    drops: HashMap<DropReason, u64>,
    acls: HashMap<u32, u64>,
    gateways: HashMap<GatewayIndex, GatewayTotals>,
    /// When the interfaces' counters were cleared, in milliseconds since the start.
    pub interfaces_cleared_ms: Option<u64>,
}

/// An interface's packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceTotals {
    /// Packets received.
    pub in_packets: u64,
    /// Bytes received.
    pub in_bytes: u64,
    /// Packets sent.
    pub out_packets: u64,
    /// Bytes sent.
    pub out_bytes: u64,
}

/// What the NAT counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatTotals {
    /// Packets that found a session.
    pub hits: u64,
    /// Packets that found none.
    pub misses: u64,
    /// Sessions that ended by idle time.
    pub expired: u64,
}

fn sum(workers: &[Arc<Counters>], of: impl Fn(&Counters) -> u64) -> u64 {
    workers.iter().map(|counters| of(counters)).sum()
}

fn interface_totals(workers: &[Arc<Counters>], index: InterfaceIndex) -> InterfaceTotals {
    let total = |of: fn(&InterfaceCounters) -> u64| sum(workers, |counters| of(counters.interface(index)));
    InterfaceTotals {
        in_packets: total(|c| c.in_packets.value()),
        in_bytes: total(|c| c.in_bytes.value()),
        out_packets: total(|c| c.out_packets.value()),
        out_bytes: total(|c| c.out_bytes.value()),
    }
}

fn nat_totals(workers: &[Arc<Counters>]) -> NatTotals {
    let total = |of: fn(&NatCounters) -> u64| sum(workers, |counters| of(&counters.nat));
    NatTotals {
        hits: total(|nat| nat.hits.value()),
        misses: total(|nat| nat.misses.value()),
        expired: total(NatCounters::expired),
    }
}

fn since<K: Eq + Hash>(baselines: &HashMap<K, u64>, key: &K, total: u64) -> u64 {
    total - baselines.get(key).copied().unwrap_or(0)
}

impl Baselines {
    /// An interface's counters.
    pub fn interface(&self, workers: &[Arc<Counters>], index: InterfaceIndex) -> InterfaceTotals {
        let (total, base) =
            (interface_totals(workers, index), self.interfaces.get(&index).copied().unwrap_or_default());
        InterfaceTotals {
            in_packets: total.in_packets - base.in_packets,
            in_bytes: total.in_bytes - base.in_bytes,
            out_packets: total.out_packets - base.out_packets,
            out_bytes: total.out_bytes - base.out_bytes,
        }
    }

    /// The NAT's counters.
    pub fn nat(&self, workers: &[Arc<Counters>]) -> NatTotals {
        let total = nat_totals(workers);
        NatTotals {
            hits: total.hits - self.nat.hits,
            misses: total.misses - self.nat.misses,
            expired: total.expired - self.nat.expired,
        }
    }

    /// Packets dropped for one reason.
    pub fn drops(&self, workers: &[Arc<Counters>], reason: DropReason) -> u64 {
        since(&self.drops, &reason, sum(workers, |counters| counters.drops(reason).value()))
    }

    /// Packets that an access-list entry decided about, by its counter's number.
    pub fn acl(&self, workers: &[Arc<Counters>], counter: u32) -> u64 {
        since(&self.acls, &counter, sum(workers, |counters| counters.acl_match(counter).value()))
    }

    /// A gateway's counters.
    pub fn gateway(&self, workers: &[Arc<Counters>], gateway: GatewayIndex) -> GatewayTotals {
        let base = self.gateways.get(&gateway).copied().unwrap_or_default();
        GatewayTotals::of(workers, gateway).since(&base)
    }

    /// Clears a gateway's counters.
    pub fn clear_gateway(&mut self, workers: &[Arc<Counters>], gateway: GatewayIndex) {
        self.gateways.insert(gateway, GatewayTotals::of(workers, gateway));
    }

    /// Clears the counters of so many interfaces, and those of drops.
    pub fn clear_interfaces(&mut self, workers: &[Arc<Counters>], interface_count: usize, now_ms: u64) {
        self.interfaces =
            (0..interface_count as InterfaceIndex).map(|i| (i, interface_totals(workers, i))).collect();
        self.interfaces_cleared_ms = Some(now_ms);
        for &reason in DropReason::ALL {
            self.drops.insert(reason, sum(workers, |counters| counters.drops(reason).value()));
        }
    }

    /// Clears the NAT's counters and those of the drops it decides about.
    pub fn clear_nat(&mut self, workers: &[Arc<Counters>], drops: &[DropReason]) {
        self.nat = nat_totals(workers);
        for &reason in drops {
            self.drops.insert(reason, sum(workers, |counters| counters.drops(reason).value()));
        }
    }

    /// Clears access-list counters.
    pub fn clear_acls(&mut self, workers: &[Arc<Counters>], counters: impl Iterator<Item = u32>) {
        for counter in counters {
            self.acls.insert(counter, sum(workers, |worker| worker.acl_match(counter).value()));
        }
    }
}

#[cfg(test)]
mod tests {
    use alg::Refusal;

    use super::*;

    #[test]
    fn what_is_shown_counts_from_the_last_clear() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        let mut baselines = Baselines::default();
        for worker in &workers {
            worker.nat.hits.add(5);
            worker.acl_match(3).add(2);
            worker.interface(1).in_packets.add(7);
            worker.drops(DropReason::NoRoute).add(1);
        }
        assert_eq!(baselines.nat(&workers).hits, 10);
        baselines.clear_nat(&workers, &[]);
        baselines.clear_acls(&workers, [3].into_iter());
        baselines.clear_interfaces(&workers, 2, 77);
        workers[0].nat.hits.add(1);
        workers[1].acl_match(3).add(4);
        assert_eq!(baselines.nat(&workers).hits, 1);
        assert_eq!(baselines.acl(&workers, 3), 4);
        assert_eq!(baselines.interface(&workers, 1), InterfaceTotals::default());
        assert_eq!(baselines.drops(&workers, DropReason::NoRoute), 0);
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
        let shown = baselines.gateway(&workers, 0);
        assert_eq!((shown.messages, shown.errors(), shown.unchanged()), (20, 12, 6));
        baselines.clear_gateway(&workers, 0);
        assert_eq!(baselines.gateway(&workers, 0), GatewayTotals::default());
        assert_eq!(baselines.gateway(&workers, 1), shown);
        workers[1].gateways[0].doors_opened.add(1);
        assert_eq!(baselines.gateway(&workers, 0).counts.iter().sum::<u64>(), 1);
    }
}
