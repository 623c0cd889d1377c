//! Dynamic rules: which packets they select, and which addresses they give.

use super::numbers::{AclIndex, RuleId};
use crate::flow::InterfaceIndex;
use crate::flow::Vrf;

/// How a dynamic rule selects its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// Nothing: the list or route-map it names does not exist.
    #[default]
    Nothing,
    /// An access list.
    Acl(AclIndex),
    /// A route-map's clauses, tried in order.
    RouteMap(Vec<Clause>),
}

/// A clause of a route-map. Conditions of different kinds must all hold. Of several conditions of one kind, one is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clause {
    /// Permit or deny.
    pub permit: bool,
    /// `match ip address`; empty for no condition.
    pub acls: Vec<AclIndex>,
    /// `match interface`, the outgoing one; empty for no condition.
    pub interfaces: Vec<InterfaceIndex>,
    /// `match ip next-hop`; empty for no condition.
    pub next_hops: Vec<AclIndex>,
}

/// A rule of `ip nat inside source {list|route-map}`: inside hosts that get a global address from a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRule {
    /// The rule's number.
    pub id: RuleId,
    /// Which packets it applies to.
    pub selector: Selector,
    /// Index into [`super::Policy::pools`].
    pub pool: u16,
    /// Share addresses by port (PAT); otherwise one global address per inside host.
    pub overload: bool,
    /// VRF of the inside.
    pub inside_vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
    /// Only packets that leave through this interface.
    pub egress: Option<InterfaceIndex>,
    /// Only for a rule with a route-map. Any outside host may reach a mapping of this rule if the route-map selects the
    /// answer. Without it, the filtering behaviour decides who may (RFC 4787 section 5).
    pub is_reversible: bool,
    /// Its subscribers are paired strictly (`ip nat settings pap`).
    pub is_paired: bool,
}

/// A rule of `ip nat outside source {list|route-map}`: outside hosts that get a local address from a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutsideRule {
    /// The rule's number.
    pub id: RuleId,
    /// Which packets it applies to.
    pub selector: Selector,
    /// Index into [`super::Policy::pools`].
    pub pool: u16,
    /// VRF of the inside hosts that see the local address.
    pub inside_vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
}

/// A rule of `ip nat inside destination list`: a virtual server and the pool of real ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationRule {
    /// The rule's number.
    pub id: RuleId,
    /// The list that permits the virtual address.
    pub acl: Option<AclIndex>,
    /// Index into [`super::Policy::pools`]: the real servers, taken in turn.
    pub pool: u16,
}
