//! Packets from outside to an address that stands for no inside host: which of them may be routed as they are.

use alg::Side;

use crate::drops::DropReason;
use crate::flow::{Endpoint, TCP, Tuple, Vrf};
use crate::head::Head;
use crate::path::route::{self, Destination};
use crate::path::select::{applies, find_rule, selects};
use crate::path::tables::Tables;
use crate::policy::{Policy, Selector, StaticRule};
use crate::route::fib::NextHop;
use crate::wire::{icmp, tcp};

/// Whether a packet may be routed by this next hop to an inside host's own address. It may not where the host's answers
/// would be translated: their receiver would not know them, and who is behind a NAT is not to be reached around it.
pub fn check(tables: &Tables, head: &Head, next_hop: NextHop) -> Result<(), DropReason> {
    let policy = &tables.policy;
    let Some(egress) = policy.interfaces.get(usize::from(next_hop.interface)) else { return Ok(()) };
    if egress.nat != Some(Side::Inside) {
        return Ok(());
    }
    let local = Endpoint::new(head.dst, head.tuple.dst.port);
    let is_refused =
        policy.behaviour.drops_inside_local || translates(tables, &answer(policy, head, local, egress.vrf));
    if is_refused { Err(DropReason::InsideLocal) } else { Ok(()) }
}

/// Whether a packet for an address that the NAT stands for would go back where it came from. Its neighbours hold the NAT for
/// the way there: it would go to and fro for as long as its TTL lasts.
pub fn turns_back(tables: &Tables, head: &Head, next_hop: NextHop) -> bool {
    let end = Endpoint::new(head.dst, head.tuple.dst.port);
    next_hop.interface == head.interface && tables.policy.covers(head.tuple.vrf, head.tuple.protocol, end)
}

/// Whether a list or route-map permits what an inside endpoint would answer to a packet from outside.
pub fn selects_answer(tables: &Tables, selector: &Selector, head: &Head, local: Endpoint, vrf: Vrf) -> bool {
    let answer = answer(&tables.policy, head, local, vrf);
    let next_hop = match route::destination(&tables.fib, vrf, answer.dst) {
        Ok(Destination::Beyond(next_hop)) => Some(next_hop),
        _ => None,
    };
    selects(tables, selector, &answer, next_hop)
}

/// The head of what an inside endpoint would answer, as it comes in from its VRF, where a static line for outside hosts may
/// give the peer another address.
fn answer(policy: &Policy, head: &Head, local: Endpoint, vrf: Vrf) -> Head {
    let Tuple { src: peer, protocol, vrf: outside, .. } = head.tuple;
    let is_ours = |rule: &StaticRule| rule.inside_vrf == vrf;
    let known = policy.outside_statics.local_of(outside, protocol, peer, is_ours);
    let (src, dst) = (local, known.map_or(peer, |(known, _)| known));
    let mut answer = Head { tuple: Tuple { src, dst, protocol, vrf }, src: src.addr, dst: dst.addr, ..*head };
    if protocol == TCP {
        answer.tcp_flags |= tcp::ACK;
    }
    if head.icmp.0 == icmp::ECHO_REQUEST {
        answer.icmp = (icmp::ECHO_REPLY, 0);
    }
    answer
}

/// Whether a packet from inside would be translated: by a static line or a rule. Doors and mappings are another worker's
/// perhaps; but for the short life of a door, there are none where no line is.
fn translates(tables: &Tables, head: &Head) -> bool {
    let Tables { policy, fib, .. } = tables;
    let &Head { tuple, dst, .. } = head;
    let next_hop = match route::destination(fib, tuple.vrf, dst) {
        Ok(Destination::Beyond(next_hop)) if policy.is_outside(next_hop.interface) => Some(next_hop),
        Ok(Destination::Nat) => None,
        // It would not go outside at all.
        _ => return false,
    };
    let applies = |rule: &StaticRule| applies(tables, rule, head, next_hop);
    policy.statics.global_of(tuple.vrf, tuple.protocol, tuple.src, applies).is_some()
        || find_rule(tables, head, next_hop).is_some()
}
