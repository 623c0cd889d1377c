//! What a worker decides with: the control thread's view of the world and the worker's own memory.

use std::sync::Arc;

use crate::counters::Counters;
use crate::policy::{AclIndex, AclKey, Policy};
use crate::protocols::Protocols;
use crate::route::fib::Fib;
use crate::route::neighbour::Neighbours;
use crate::route::recent::RecentRoutes;
use crate::state::shard::Shard;

/// Policy, routes, neighbours, and the shard.
pub struct Tables {
    /// What gateways there are, and other protocols.
    pub protocols: Protocols,
    /// What the configuration says.
    pub policy: Arc<Policy>,
    /// Where destinations lie.
    pub fib: Arc<Fib>,
    /// Counts them up; a cached next hop is valid while its generation is this. Never 0.
    pub generation: u16,
    /// Resolved next hops.
    pub neighbours: Neighbours,
    /// The next hops of destinations that were looked up lately.
    pub recent_routes: RecentRoutes,
    /// Sessions and mappings.
    pub shard: Shard,
    /// What the worker counts.
    pub counters: Arc<Counters>,
}

impl Tables {
    /// Whether an access list permits a packet, and counts the entry that decides. No list permits everything; a
    /// list that does not exist is no list.
    #[inline]
    pub fn permits(&self, acl: Option<AclIndex>, key: impl FnOnce() -> AclKey) -> bool {
        let Some(acl) = acl.and_then(|index| self.policy.acls.get(usize::from(index))) else { return true };
        let Some(entry) = acl.decide(&key()) else { return false };
        self.counters.acl_match(entry.counter).add(1);
        entry.permit
    }
}
