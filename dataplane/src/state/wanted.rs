//! Which translations an operator means, by the words of `show ip nat translations` and `clear ip nat translation`.

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::{Endpoint, Protocol, Vrf};
use crate::policy::RuleId;
use crate::state::door::Door;
use crate::state::journal::NOBODY;
use crate::state::mapping::{Binding, Mapping};
use crate::state::session::Session;

/// The columns of a translation, in the order in which IOS shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// The inside endpoint as the outside sees it.
    InsideGlobal,
    /// The inside endpoint as it knows itself.
    InsideLocal,
    /// The outside endpoint as the inside sees it.
    OutsideLocal,
    /// The outside endpoint as it knows itself.
    OutsideGlobal,
}

/// What a translation shows in one column: an endpoint, or those of a network. One that shows nothing has no address but
/// 0.0.0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last one.
    pub last: Ipv4Addr,
    /// The port, or the identifier of ICMP queries.
    pub port: u16,
}

/// What a translation shows, by [`Column`].
pub type Columns = [Span; 4];

/// What one of some columns has to show: an address of a range, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Any of these columns.
    pub columns: &'static [Column],
    /// The first address of the range.
    pub first: Ipv4Addr,
    /// The last one.
    pub last: Ipv4Addr,
    /// The port; any if none.
    pub port: Option<u16>,
}

/// Which translations an operator means: those that meet all of it. The default means every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The IP protocol. A whole address is of none.
    pub protocol: Option<Protocol>,
    /// VRF of the inside.
    pub vrf: Option<Vrf>,
    /// The rules that made it, or gave its outside host an address: one of these.
    pub rules: Option<Vec<RuleId>>,
    /// What its columns show.
    pub conditions: Vec<Condition>,
}

impl From<Endpoint> for Span {
    fn from(Endpoint { addr, port }: Endpoint) -> Span {
        Span { first: addr, last: addr, port }
    }
}

impl Condition {
    /// That one of these columns has this address.
    pub fn address(columns: &'static [Column], addr: Ipv4Addr) -> Condition {
        Condition { columns, first: addr, last: addr, port: None }
    }

    fn holds(&self, columns: &Columns) -> bool {
        let shows = |span: &Span| {
            !span.last.is_unspecified()
                && self.first <= span.last
                && span.first <= self.last
                && self.port.is_none_or(|port| port == span.port)
        };
        self.columns.iter().any(|&column| shows(&columns[column as usize]))
    }
}

impl Wanted {
    /// Whether a translation of this protocol and inside VRF is meant, as far as it can be told without its rules.
    pub fn has(&self, protocol: Protocol, vrf: Vrf, columns: &Columns) -> bool {
        self.protocol.is_none_or(|wanted| wanted == protocol)
            && self.vrf.is_none_or(|wanted| wanted == vrf)
            && self.conditions.iter().all(|condition| condition.holds(columns))
    }

    /// Whether one that this rule made is.
    pub fn has_rule(&self, rule: RuleId) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.contains(&rule))
    }

    /// Whether a session is meant, as far as it can be told without its rules.
    pub(super) fn has_session(&self, session: &Session) -> bool {
        self.has(session.protocol, session.inside_vrf(), &columns_of(session).map(Span::from))
    }

    /// Whether the mapping of a whole address is.
    pub(super) fn has_address(&self, mapping: &Mapping) -> bool {
        let binding = &mapping.binding;
        let (vrf, _) = vrfs_of(mapping);
        self.has_rule(binding.rule)
            && self.has(binding.protocol, vrf, &address_columns_of(mapping).map(Span::from))
    }

    /// Whether a door is.
    pub(super) fn has_door(&self, door: &Door) -> bool {
        let peer = Endpoint::new(door.peer.unwrap_or(Ipv4Addr::UNSPECIFIED), 0);
        let columns = [door.global, door.inside, peer, peer];
        self.has_rule(door.rule) && self.has(door.protocol, door.vrfs.0, &columns.map(Span::from))
    }

    /// Whether a call is: it has no more than an inside host.
    pub(super) fn has_call(&self, (vrf, host): (Vrf, Ipv4Addr)) -> bool {
        let columns = [NOBODY, Endpoint::new(host, 0), NOBODY, NOBODY].map(Span::from);
        let is_of_host = |condition: &Condition| condition.holds(&columns);
        let is_of_inside = |condition: &Condition| {
            condition.port.is_none() && condition.columns.contains(&Column::InsideGlobal)
                || is_of_host(condition)
        };
        self.protocol.is_none()
            && self.rules.is_none()
            && self.vrf.is_none_or(|wanted| wanted == vrf)
            && self.conditions.iter().all(is_of_inside)
            && (self.conditions.is_empty() || self.conditions.iter().any(is_of_host))
    }
}

/// The endpoints of a session, by [`Column`].
pub fn columns_of(session: &Session) -> [Endpoint; 4] {
    [session.inside_global(), session.inside_local(), session.outside_local(), session.outside_global()]
}

/// Those of a whole address's mapping, which has only those of its own host.
pub fn address_columns_of(mapping: &Mapping) -> [Endpoint; 4] {
    let binding = &mapping.binding;
    match binding.side {
        Side::Inside => [binding.seen, binding.own, NOBODY, NOBODY],
        Side::Outside => [NOBODY, NOBODY, binding.seen, binding.own],
    }
}

/// The VRFs of inside and outside of a whole address's mapping.
pub fn vrfs_of(mapping: &Mapping) -> (Vrf, Vrf) {
    let Binding { own_vrf, seen_vrf, side, .. } = mapping.binding;
    if side == Side::Inside { (own_vrf, seen_vrf) } else { (seen_vrf, own_vrf) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::TCP;

    fn columns(ends: [&str; 4]) -> Columns {
        ends.map(|end| {
            let (addr, port) = end.split_once(':').unwrap();
            Span::from(Endpoint::new(addr.parse().unwrap(), port.parse().unwrap()))
        })
    }

    #[test]
    fn an_absent_column_has_no_address_of_any_range() {
        let absent = columns(["203.0.113.1:80", "10.0.0.1:80", "0.0.0.0:0", "0.0.0.0:0"]);
        let everything = |columns| Condition {
            columns,
            first: Ipv4Addr::UNSPECIFIED,
            last: Ipv4Addr::BROADCAST,
            port: None,
        };
        for (columns, expected) in
            [(&[Column::OutsideLocal, Column::OutsideGlobal][..], false), (&[Column::InsideLocal], true)]
        {
            let wanted = Wanted { conditions: vec![everything(columns)], ..Wanted::default() };
            assert_eq!(wanted.has(TCP, 0, &absent), expected, "{columns:?}");
        }
    }

    #[test]
    fn a_network_meets_what_asks_for_one_of_its_addresses() {
        let [a, b] = [Ipv4Addr::new(203, 0, 113, 0), Ipv4Addr::new(203, 0, 113, 255)];
        let network = Span { first: a, last: b, port: 0 };
        let nothing = Span::from(NOBODY);
        for (asked, expected) in [([203, 0, 113, 7], true), ([203, 0, 114, 0], false)] {
            let condition = Condition::address(&[Column::InsideGlobal], asked.into());
            let wanted = Wanted { conditions: vec![condition], ..Wanted::default() };
            assert_eq!(wanted.has(0, 0, &[network, network, nothing, nothing]), expected, "{asked:?}");
        }
    }

    #[test]
    fn a_call_is_of_its_host() {
        let host = Ipv4Addr::new(10, 0, 0, 1);
        let of = |global: Option<u16>, local: Ipv4Addr| Wanted {
            conditions: vec![
                Condition { port: global, ..Condition::address(&[Column::InsideGlobal], host) },
                Condition::address(&[Column::InsideLocal], local),
            ],
            ..Wanted::default()
        };
        assert!(of(None, host).has_call((0, host)));
        assert!(!of(None, Ipv4Addr::new(10, 0, 0, 2)).has_call((0, host)));
        assert!(!of(Some(80), host).has_call((0, host)), "a port is a session's");
        assert!(Wanted { vrf: Some(1), ..Wanted::default() }.has_call((1, host)));
        assert!(!Wanted { vrf: Some(1), ..Wanted::default() }.has_call((0, host)));
        let outside = Condition::address(&[Column::OutsideLocal], host);
        assert!(!Wanted { conditions: vec![outside], ..Wanted::default() }.has_call((0, host)));
    }
}
