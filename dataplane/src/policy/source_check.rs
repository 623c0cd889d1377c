//! What an interface asks of the sources of packets that arrive on it.

use super::numbers::AclIndex;

/// `ip verify unicast source reachable-via` (RFC 3704 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceCheck {
    /// The route to the source must lead back out of the interface; otherwise any route will do.
    pub is_strict: bool,
    /// The default route counts as a route.
    pub allows_default: bool,
    /// A packet that fails passes all the same if this list permits it.
    pub acl: Option<AclIndex>,
}
