//! Which global endpoints a mapping may be given.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::facts::{Dynamic, Endpoint, ICMP, Static, TCP, UDP};
use super::halves::is_reserved_share;
use super::relation::Relation;
use super::tables::{Local, WHOLE};

/// Ports are claimed by workers in groups of this many.
const GROUP_LEN: u16 = 64;

/// How much a global endpoint is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Free,
    Perhaps,
    Certain,
}

impl Relation {
    /// Whether a static rule has this endpoint.
    fn is_reserved(&self, protocol: u8, global: Endpoint) -> bool {
        self.facts.static_local(protocol, global).is_some()
    }

    fn use_of(&self, protocol: u8, global: Endpoint, by: Local) -> Use {
        match self.tables.owner(protocol, global, self.now_ms) {
            // Its own, if it is given back, may be held down.
            Some((owner, _)) if owner == by && self.facts.hold_down_ms > 0 => Use::Perhaps,
            Some((owner, _)) if owner == by => Use::Free,
            Some((_, true)) => Use::Certain,
            Some((_, false)) => Use::Perhaps,
            None if self.is_reserved(protocol, global) => Use::Certain,
            None => self.held_down(protocol, global, by),
        }
    }

    fn held_down(&self, protocol: u8, global: Endpoint, by: Local) -> Use {
        let hold_ms = self.facts.hold_down_ms;
        match self.tables.freed.get(&(protocol, global)) {
            Some((when, host)) if hold_ms > 0 => {
                // Connections whose end was seen need no hold-down (RFC 6888 REQ-8); nor does the host itself.
                if self.now_ms < when.earliest_ms + hold_ms && protocol != TCP && *host != by.0 {
                    Use::Certain
                } else if self.now_ms < when.latest_ms + hold_ms {
                    Use::Perhaps
                } else {
                    Use::Free
                }
            }
            _ => Use::Free,
        }
    }

    /// Whether the appliance may say that no endpoint is left for this one.
    pub(super) fn may_be_exhausted(&self, local: Local) -> bool {
        let paired = self.facts.paired_max.and_then(|_| self.paired_address(local.0));
        let pool = self.facts.pool().iter().copied();
        pool.filter(|addr| paired.is_none_or(|paired| paired == *addr))
            .all(|addr| self.may_be_full(local, addr))
    }

    /// Whether the host of an inside endpoint may have as many ports as it may, while others are left.
    pub(super) fn may_have_its_share(&self, local: Local) -> bool {
        let (low, high) = self.facts.port_range(local.1, local.2);
        let held = self.tables.of_host(local.0).count() as u64;
        let places = (usize::from(high - low) + 1) / self.facts.worker_count;
        let is_shared = |addr: Ipv4Addr| {
            let ends = (local.1, (addr, low))..=(local.1, (addr, high));
            let freed = self.tables.freed.range(ends.clone()).count();
            let taken = self.tables.by_global.range(ends).count() + freed;
            is_reserved_share(held, taken as u64, places)
        };
        self.facts.pool().iter().any(|&addr| is_shared(addr))
    }

    /// Whether an address may have nothing left for this inside endpoint.
    fn may_be_full(&self, local: Local, addr: Ipv4Addr) -> bool {
        if matches!(self.facts.dynamic, Dynamic::Whole(_)) {
            return self.use_of(WHOLE, (addr, 0), (local.0, WHOLE, 0)) > Use::Free;
        }
        if self.facts.paired_max.is_some_and(|max| self.subscribers(addr, local.0, false) >= max as usize) {
            return true;
        }
        let (low, high) = self.facts.port_range(local.1, local.2);
        if self.facts.worker_count > 1 {
            // Of a few groups, other workers may have all. Each may keep a group that has become empty.
            if high - low < 1024 {
                return true;
            }
            let groups = (low..=high).step_by(GROUP_LEN.into());
            let idle = groups.filter(|&group| !self.is_claimed((addr, group)));
            return idle.take(self.facts.worker_count).count() < self.facts.worker_count;
        }
        // Few mappings cannot fill a large range, and counting them is cheap.
        let is_small = high - low < 1024;
        let used = self.tables.by_global.range((local.1, (addr, low))..=(local.1, (addr, high))).count();
        let is_used = |&port: &u16| self.use_of(local.1, (addr, port), local) > Use::Free;
        (is_small || used + 1024 > usize::from(high - low)) && (low..=high).all(|port| is_used(&port))
    }

    /// Whether a worker keeps a port of a group that is of another's share: each may borrow so many that half of the share
    /// is left, and no worker has borrowed more groups than there are in use.
    fn may_borrow(&self, addr: Ipv4Addr, (low, high): (u16, u16)) -> bool {
        let count = self.facts.worker_count;
        if count == 1 {
            return true;
        }
        let groups = (low / GROUP_LEN)..=(high / GROUP_LEN);
        let borrowed_max = groups.clone().count() / count / (2 * (count - 1));
        let claimed = groups.filter(|&group| self.is_claimed((addr, group * GROUP_LEN)));
        claimed.take(borrowed_max).count() < borrowed_max
    }

    /// Whether a worker may have the group of ports that this one is in.
    fn is_claimed(&self, (addr, port): Endpoint) -> bool {
        let low = port - port % GROUP_LEN;
        let group = (addr, low)..=(addr, low + (GROUP_LEN - 1));
        let (first, last) = (*group.start(), *group.end());
        [ICMP, TCP, UDP].iter().any(|&protocol| {
            self.tables.by_global.range((protocol, first)..=(protocol, last)).next().is_some()
                || self.tables.freed.range((protocol, first)..=(protocol, last)).next().is_some()
        }) || self
            .facts
            .statics
            .iter()
            .any(|rule| matches!(rule, Static::Port(_, _, end) if group.contains(end)))
    }

    /// The address that a host is paired with for certain: that of its live mappings.
    fn paired_address(&self, host: Ipv4Addr) -> Option<Ipv4Addr> {
        let mappings = self.tables.mappings.range((host, 0, 0)..=(host, u8::MAX, u16::MAX));
        // With several workers the lower class is soon dealt out, and another address helps out there.
        let is_telling = |local: &Local| self.facts.worker_count == 1 || local.1 == ICMP || local.2 >= 1024;
        let mut certain = mappings.filter(|(local, _)| {
            is_telling(local)
                && self.tables.mapping(**local, self.now_ms).is_some_and(|(_, is_certain)| is_certain)
        });
        certain.next().map(|(_, global)| global.0)
    }

    /// How many other hosts have mappings on an address.
    fn subscribers(&self, addr: Ipv4Addr, but: Ipv4Addr, certain_only: bool) -> usize {
        let mappings =
            self.tables.mappings.iter().filter(|(local, global)| global.0 == addr && local.0 != but);
        let counted = mappings.filter(|(local, _)| {
            !certain_only
                || self.tables.mapping(**local, self.now_ms).is_some_and(|(_, is_certain)| is_certain)
        });
        counted.map(|(local, _)| local.0).collect::<BTreeSet<_>>().len()
    }

    /// Whether the appliance may give an inside endpoint this global one.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn may_choose(&self, local: Local, global: Endpoint) -> Result<(), String> {
        let (protocol, port) = (local.1, local.2);
        if !self.facts.pool().contains(&global.0) {
            return Err(format!("{global:?} is not in the pool"));
        }
        if let Some(paired) = self.paired_address(local.0).filter(|paired| *paired != global.0) {
            if matches!(self.facts.dynamic, Dynamic::Whole(_)) {
                return Err(format!("the host has {paired}"));
            }
            let is_strict = self.facts.paired_max.is_some();
            if is_strict || !self.may_be_full(local, paired) {
                return Err(format!("the host is paired with {paired}, which has ports"));
            }
        }
        if let Some(max) = self.facts.paired_max
            && self.subscribers(global.0, local.0, true) >= max as usize
        {
            return Err(format!("{} has its {max} subscribers", global.0));
        }
        if matches!(self.facts.dynamic, Dynamic::Whole(_)) {
            let whole = (local.0, WHOLE, 0);
            return match self.use_of(WHOLE, (global.0, 0), whole) {
                Use::Certain => Err(format!("{} is another host's", global.0)),
                _ if global.1 != port => Err("a whole address keeps every port".into()),
                _ => Ok(()),
            };
        }
        if self.use_of(protocol, global, local) == Use::Certain {
            return Err(format!("{global:?} is in use, reserved or held down"));
        }
        let (low, high) = self.facts.port_range(protocol, port);
        if !(low..=high).contains(&global.1) {
            return Err(format!("{} is not of the class {low} to {high}", global.1));
        }
        self.may_differ(local, global, (low, high))
    }

    /// Whether a port that is not the inside one's is legal, by the rules to keep it and its parity.
    fn may_differ(&self, local: Local, global: Endpoint, (low, high): (u16, u16)) -> Result<(), String> {
        let (protocol, port) = (local.1, local.2);
        let is_free = |port: u16| {
            self.use_of(protocol, (global.0, port), local) == Use::Free
                && (self.facts.worker_count == 1 || !self.is_claimed((global.0, port)))
        };
        if self.facts.preserve
            && port != global.1
            && (low..=high).contains(&port)
            && is_free(port)
            && self.may_borrow(global.0, (low, high))
        {
            return Err(format!("{port} is free on {} and yet not kept", global.0));
        }
        let has_parity = |port: &u16| *port % 2 == local.2 % 2;
        if self.facts.parity
            && protocol != ICMP
            && !has_parity(&global.1)
            && (low..=high).filter(has_parity).any(is_free)
        {
            return Err(format!("{} has not the parity of {port}, and such are free", global.1));
        }
        Ok(())
    }
}
