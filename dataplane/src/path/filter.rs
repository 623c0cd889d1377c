//! Access lists on the path.

use crate::counters::Counters;
use crate::policy::{AclIndex, AclKey, Policy};

/// Whether an access list permits a packet, and counts the entry that decides. No list permits everything; a
/// list that does not exist is no list.
#[inline]
pub fn permits(
    policy: &Policy,
    counters: &Counters,
    acl: Option<AclIndex>,
    key: impl FnOnce() -> AclKey,
) -> bool {
    let Some(acl) = acl.and_then(|index| policy.acls.get(usize::from(index))) else { return true };
    let Some(entry) = acl.decide(&key()) else { return false };
    counters.acl_match(entry.counter).add(1);
    entry.permit
}
