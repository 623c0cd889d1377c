//! What a worker decides with: the control thread's view of the world and the worker's own memory.

use std::sync::Arc;

use crate::counters::Counters;
use crate::policy::Policy;
use crate::route::fib::Fib;
use crate::route::neighbour::Neighbours;
use crate::route::recent::RecentRoutes;
use crate::state::shard::Shard;

/// Policy, routes, neighbours, and the shard.
pub struct Tables {
    /// What the configuration says.
    pub policy: Arc<Policy>,
    /// Where destinations lie.
    pub fib: Arc<Fib>,
    /// Resolved next hops.
    pub neighbours: Neighbours,
    /// The next hops of destinations that were looked up lately.
    pub recent_routes: RecentRoutes,
    /// Sessions and mappings.
    pub shard: Shard,
    /// What the worker counts.
    pub counters: Arc<Counters>,
}
