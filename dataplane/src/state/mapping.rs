//! Mappings: an inside endpoint and the global endpoint it has towards everyone outside (RFC 4787 REQ-1).

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::{Endpoint, Protocol, Vrf};
use crate::policy::RuleId;
use crate::state::table::slots::NONE;
use crate::state::table::timer::is_due;

/// Flows that wait beneath an outside host's address for somebody inside to answer one of them.
pub(super) const UNCONFIRMED_FLOWS_MAX: usize = 8;
/// None of them.
pub(super) const NO_FLOWS: [u32; UNCONFIRMED_FLOWS_MAX] = [NONE; UNCONFIRMED_FLOWS_MAX];

/// "Every protocol": what an address-only mapping has in place of one.
pub const ANY_PROTOCOL: Protocol = 0;

/// Which endpoint has which one in the other realm: a port of a shared address, or a whole address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The endpoint in its own realm, and the one it has in the other: inside local and inside global, or for
    /// an outside host outside global and outside local. Port 0 for a whole address.
    pub own: Endpoint,
    /// The endpoint it has in the other realm; taken in the address's port table.
    pub seen: Endpoint,
    /// VRF of its own realm.
    pub own_vrf: Vrf,
    /// VRF of the other realm.
    pub seen_vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// The IP protocol, or `ANY_PROTOCOL` for a whole address.
    pub protocol: Protocol,
    /// Whose endpoint it is: an inside host's, by `ip nat inside source`, or an outside one's, by `ip nat outside source`.
    pub side: Side,
}

/// The mapping of a whole address. It has an idle time of its own, so that a host keeps its address between sessions. The
/// mapping of a port has no record: it is no more than the ring of sessions beneath it (see
/// [`Above`](super::session::Above)).
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Which address has which.
    pub binding: Binding,
    /// Sessions beneath it.
    pub session_count: u32,
    /// Its subscriber; `NONE` for an outside host.
    pub subscriber: u32,
    /// When it was made, in milliseconds.
    pub created_ms: u32,
    /// When the inside last used it, in milliseconds; of one that it never has, when it was made.
    pub used_ms: u32,
    /// A packet from outside began it, and the inside has not used it yet, as far as ended sessions tell: it ends with the
    /// last one beneath it.
    pub is_unsolicited: bool,
    /// The flows that strangers began beneath it and nobody inside confirmed, as long as there is nothing else beneath it; some of
    /// them may have ended since.
    pub(super) unconfirmed_flows: Option<[u32; UNCONFIRMED_FLOWS_MAX]>,
}

/// What a mapping is found by, in two words.
pub type MappingKey = [u64; 2];

impl Binding {
    /// Whether it is of a whole address rather than a port.
    pub fn is_address(&self) -> bool {
        self.protocol == ANY_PROTOCOL
    }

    /// Its keys, by the endpoint in its own realm and by the one in the other.
    pub fn keys(&self) -> [MappingKey; 2] {
        [
            match self.side {
                Side::Inside => Mapping::own_key(self.side, self.protocol, self.own_vrf, self.own),
                Side::Outside => Mapping::outside_key((self.seen_vrf, self.own_vrf), self.own.addr),
            },
            Mapping::seen_key(self.side, self.protocol, self.seen_vrf, self.seen),
        ]
    }
}

impl Mapping {
    /// The inside used it at this time, which may lie before another use.
    pub fn note_use(&mut self, used_ms: u32) {
        if self.is_unsolicited || is_due(used_ms, self.used_ms) {
            self.used_ms = used_ms;
        }
        self.is_unsolicited = false;
    }

    /// The key by the endpoint in its own realm.
    pub fn own_key(side: Side, protocol: Protocol, vrf: Vrf, own: Endpoint) -> MappingKey {
        let side = u64::from(side == Side::Outside);
        [own.bits(), u64::from(protocol) | u64::from(vrf) << 8 | side << 32]
    }

    /// The key by the endpoint it has in the other realm.
    pub fn seen_key(side: Side, protocol: Protocol, vrf: Vrf, seen: Endpoint) -> MappingKey {
        let [end, rest] = Mapping::own_key(side, protocol, vrf, seen);
        [end, rest | 1 << 33]
    }

    /// The key of an outside host, as the inside of a VRF knows it, between VRFs of inside and outside.
    pub fn outside_key((inside, outside): (Vrf, Vrf), global: Ipv4Addr) -> MappingKey {
        let [end, rest] = Mapping::own_key(Side::Outside, ANY_PROTOCOL, outside, Endpoint::new(global, 0));
        [end, rest | u64::from(inside) << 40]
    }
}
