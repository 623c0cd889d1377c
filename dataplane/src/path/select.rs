//! Selecting: which dynamic rule concerns a packet, by its list or route-map.

use alg::Side;

use crate::flow::InterfaceIndex;
use crate::head::Head;
use crate::path::tables::Tables;
use crate::policy::{AclKey, Clause, Selector, StaticRule};
use crate::route::fib::NextHop;
use crate::state::session::Session;

/// Whether a packet of a session that serves every peer is not to be translated after all, for where it goes:
/// to the inside, or where the rules make an exception (RFC 6888 REQ-6).
pub fn is_exempt(tables: &Tables, head: &Head, session: &Session, next_hop: NextHop) -> bool {
    let egress = tables.policy.interfaces.get(usize::from(next_hop.interface));
    if egress.is_some_and(|egress| egress.nat != Some(Side::Outside)) {
        return true;
    }
    session.is_dynamic()
        && tables.policy.rules_see_destinations
        && find_rule(tables, head, Some(next_hop)).is_none()
}

/// Whether a static line concerns a packet from inside, by its interface and its route-map.
pub fn applies(tables: &Tables, rule: &StaticRule, head: &Head, next_hop: Option<NextHop>) -> bool {
    leaves_by(rule.egress, next_hop)
        && rule.selector.as_ref().is_none_or(|selector| selects(tables, selector, head, next_hop))
}

/// Whether a packet leaves by the only interface that a rule is for.
fn leaves_by(egress: Option<InterfaceIndex>, next_hop: Option<NextHop>) -> bool {
    egress.is_none_or(|egress| next_hop.is_some_and(|hop| hop.interface == egress))
}

/// The position of the first dynamic rule whose conditions a packet from inside meets.
pub fn find_rule(tables: &Tables, head: &Head, next_hop: Option<NextHop>) -> Option<usize> {
    tables.policy.rules.iter().position(|rule| {
        rule.inside_vrf == head.tuple.vrf
            && leaves_by(rule.egress, next_hop)
            && selects(tables, &rule.selector, head, next_hop)
    })
}

/// Whether a rule's list or route-map permits a packet.
pub fn selects(tables: &Tables, selector: &Selector, head: &Head, next_hop: Option<NextHop>) -> bool {
    match selector {
        Selector::Nothing => false,
        Selector::Acl(acl) => tables.permits(Some(*acl), || AclKey::of(head)),
        Selector::RouteMap(clauses) => {
            let matching = clauses.iter().find(|clause| matches(tables, clause, head, next_hop));
            matching.is_some_and(|clause| clause.permit)
        }
    }
}

fn matches(tables: &Tables, clause: &Clause, head: &Head, next_hop: Option<NextHop>) -> bool {
    let lists = |acl: &u16| tables.permits(Some(*acl), || AclKey::of(head));
    let is_by = |acl: &u16| next_hop.is_some_and(|hop| tables.policy.permits_host(*acl, hop.addr));
    (clause.acls.is_empty() || clause.acls.iter().any(lists))
        && (clause.interfaces.is_empty()
            || next_hop.is_some_and(|hop| clause.interfaces.contains(&hop.interface)))
        && (clause.next_hops.is_empty() || clause.next_hops.iter().any(is_by))
}
