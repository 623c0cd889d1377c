//! Mappings: an inside endpoint and the global endpoint it has towards everyone outside (RFC 4787 REQ-1).

use crate::policy::RuleId;
use crate::tuple::{Endpoint, Protocol, Vrf};

/// "Every protocol": what an address-only mapping has in place of one.
pub const ANY_PROTOCOL: Protocol = 0;

/// A dynamic mapping. One of a port lives as long as sessions beneath it; one of a whole address has an idle
/// time of its own besides, so that a host keeps its global address between sessions.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The inside endpoint as it knows itself; port 0 for a whole address.
    pub local: Endpoint,
    /// The inside endpoint as the outside sees it, taken in the address's port table; port 0 for a whole address.
    pub global: Endpoint,
    /// Sessions beneath it.
    pub session_count: u32,
    /// Its subscriber.
    pub subscriber: u32,
    /// When it was made, in milliseconds.
    pub created_ms: u32,
    /// When the last session was made, in milliseconds.
    pub used_ms: u32,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// The IP protocol, or `ANY_PROTOCOL` for a whole address.
    pub protocol: Protocol,
}

impl Mapping {
    /// Whether it maps a whole address rather than a port.
    pub fn is_address(&self) -> bool {
        self.protocol == ANY_PROTOCOL
    }

    /// What a mapping is found by from the inside, in two words.
    pub fn local_key(protocol: Protocol, vrf: Vrf, local: Endpoint) -> [u64; 2] {
        [local.bits(), u64::from(protocol) | u64::from(vrf) << 8]
    }

    /// What a mapping is found by from the outside, in two words.
    pub fn global_key(protocol: Protocol, global: Endpoint) -> [u64; 2] {
        const OUTSIDE: u64 = 1 << 32;
        [global.bits(), u64::from(protocol) | OUTSIDE]
    }
}
