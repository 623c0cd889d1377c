//! How many sessions anyone may have.

use std::net::Ipv4Addr;

use super::numbers::AclIndex;
use crate::flow::Vrf;

/// Whom a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// All sessions of the box.
    All,
    /// Those of the inside hosts that a list permits, together.
    List(AclIndex),
    /// Those of one VRF's inside.
    Vrf(Vrf),
}

/// At most so many sessions of a group at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Whom it counts.
    pub scope: LimitScope,
    /// The most sessions. Each worker has an equal share, as its subscribers have.
    pub sessions_max: u32,
    /// The number of the counter of sessions that it refused.
    pub counter: u32,
}

/// At most so many sessions of an inside host at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLimit {
    /// The most sessions.
    pub sessions_max: u32,
    /// The number of the counter of sessions that it refused.
    pub counter: u32,
}

/// All limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limits of groups; a session counts towards each it falls under.
    pub groups: Vec<Limit>,
    /// The most sessions of any one inside host, unless `hosts` says otherwise.
    pub per_host: Option<HostLimit>,
    /// The most sessions of certain inside hosts.
    pub hosts: Vec<(Ipv4Addr, HostLimit)>,
    /// The most new sessions a second of any one inside host, unless `host_rates` says otherwise.
    pub rate_per_host: Option<u32>,
    /// The most new sessions a second of certain inside hosts.
    pub host_rates: Vec<(Ipv4Addr, u32)>,
}

impl Limits {
    /// The limit on the sessions of an inside host.
    pub fn of_host(&self, host: Ipv4Addr) -> Option<HostLimit> {
        own_or(&self.hosts, host, self.per_host)
    }

    /// The most new sessions a second of an inside host.
    pub fn rate_of_host(&self, host: Ipv4Addr) -> Option<u32> {
        own_or(&self.host_rates, host, self.rate_per_host)
    }
}

fn own_or<T: Copy>(of_hosts: &[(Ipv4Addr, T)], host: Ipv4Addr, of_any: Option<T>) -> Option<T> {
    let own = of_hosts.iter().find(|(addr, _)| *addr == host);
    own.map(|&(_, limit)| limit).or(of_any)
}
