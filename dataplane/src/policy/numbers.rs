//! What parts of the policy are known by.

/// An access list by its index in [`Policy::acls`](super::Policy::acls).
pub type AclIndex = u16;
/// A rule by its number, kept over reloads while its line stays.
pub type RuleId = u16;
/// A gateway by its position in [`ROWS`](alg::registry::ROWS).
pub type GatewayIndex = u8;
