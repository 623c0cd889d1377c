//! What a global port or address is asked for.

use std::net::Ipv4Addr;

use alg::Ports;

use crate::drops::DropReason;
use crate::flow::{Endpoint, ICMP, Protocol, Vrf};
use crate::policy::{Deterministic, Policy, PoolKind, SourceRule};
use crate::state::destinations::{Counter, Destinations};
use crate::state::journal::Journal;
use crate::state::mapping::ANY_PROTOCOL;

/// An endpoint to be mapped.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The IP protocol.
    pub protocol: Protocol,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// The inside endpoint.
    pub local: Endpoint,
    /// Where it sends, as the inside sees it; none where it only waits for others.
    pub to: Option<Ipv4Addr>,
    /// Which ports are wanted.
    pub ports: Ports,
}

/// What a port is chosen for.
pub struct Request<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The rule that applies.
    pub rule: &'a SourceRule,
    /// What is to be mapped.
    pub source: Source,
    /// A port that it is to have rather than another one.
    pub wish: Option<u16>,
    /// What hosts have begun, by where it goes.
    pub destinations: &'a Destinations,
    /// That of its host to where it sends, if it does.
    pub counter: Option<Counter>,
    /// Hears of port sets that are returned for it.
    pub journal: &'a mut Journal,
    /// The time in milliseconds.
    pub now: u32,
}

impl Request<'_> {
    /// Whether the host's reserve of ports is for this one too: it has few flows to the same destination.
    pub(super) fn may_have_reserved(&self) -> bool {
        self.counter.is_none_or(|counter| self.destinations.are_few(counter))
    }

    /// Why there is nothing for it of what its host has for itself.
    pub(super) fn refusal(&self) -> DropReason {
        if self.may_have_reserved() { DropReason::PoolExhausted } else { DropReason::DestinationShare }
    }
}

/// The computation that a source falls under.
pub(super) fn deterministic_of<'a>(
    policy: &'a Policy,
    rule: &SourceRule,
    source: Source,
) -> Option<&'a Deterministic> {
    policy.behaviour.deterministic.iter().find(|deterministic| {
        deterministic.pool == rule.pool
            && source.protocol != ANY_PROTOCOL
            && deterministic.forward(source.local.addr).is_some()
    })
}

/// Whether a source's ports come from its subscriber's sets, where there are any.
pub(super) fn takes_of_sets(policy: &Policy, rule: &SourceRule, source: Source) -> bool {
    (source.local.port >= 1024 || source.protocol == ICMP) && !is_interface(policy, rule)
}

/// Whether a rule overloads an interface's own address.
pub(super) fn is_interface(policy: &Policy, rule: &SourceRule) -> bool {
    policy.pools.get(usize::from(rule.pool)).is_some_and(|pool| pool.kind == PoolKind::Interface)
}
