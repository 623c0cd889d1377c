//! Mappings: an inside endpoint and the global endpoint it has towards everyone outside (RFC 4787 REQ-1).

use crate::policy::RuleId;
use crate::tuple::{Endpoint, Protocol, Vrf};

/// A dynamic mapping. It lives as long as sessions beneath it.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The inside endpoint as it knows itself.
    pub local: Endpoint,
    /// The inside endpoint as the outside sees it; its port is taken in the address's port table.
    pub global: Endpoint,
    /// Sessions beneath it.
    pub session_count: u32,
    /// Its subscriber.
    pub subscriber: u32,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
}

impl Mapping {
    /// What a mapping is found by from the inside, in two words.
    pub fn key(protocol: Protocol, vrf: Vrf, local: Endpoint) -> [u64; 2] {
        [local.bits(), u64::from(protocol) | u64::from(vrf) << 8]
    }
}
