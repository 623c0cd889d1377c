//! Steering: which worker a packet belongs to. All state of a subscriber is in one worker's shard.
//!
//! From inside it is a function of the inside address. From outside it is a table: what worker claimed the group of 64
//! ports of a global address ([`Ownership`](crate::state::ports::ownership::Ownership)). What a static rule maps belongs
//! to the owner of its inside host.

use std::net::Ipv4Addr;

use crate::flow::{Direction, Tuple, WorkerIndex};
use crate::head::Head;
use crate::path::verdict::Verdict;
use crate::policy::{Domain, Policy};
use crate::state::session::SessionKey;

/// What is to be done with a packet that arrived before it is looked up: another worker owns it, or it is a fragment that
/// meets the others of its packet first.
#[inline]
pub fn steer(policy: &Policy, head: &Head, receiver: WorkerIndex, worker_count: u8) -> Option<Verdict> {
    let domain = policy.interfaces[usize::from(head.interface)].domain;
    let gathers = gathers(policy, head);
    let owner = match worker_count {
        0..=1 => receiver,
        _ if gathers => fragment_owner(head, worker_count),
        _ => owner_of_gathered(policy, head, domain, receiver, worker_count),
    };
    match owner == receiver {
        false => Some(Verdict::HandOver(owner)),
        true => gathers.then_some(Verdict::Gather),
    }
}

/// Whether a packet is a fragment, between inside and outside, whose packet's ports are not known yet.
#[inline]
pub fn gathers(policy: &Policy, head: &Head) -> bool {
    head.is_fragment
        && head.new_id.is_none()
        && policy.interfaces[usize::from(head.interface)].domain != Domain::None
}

/// The worker that owns a packet whose ports are known, a fragment or not.
#[inline]
pub fn owner_of_gathered(
    policy: &Policy,
    head: &Head,
    domain: Domain,
    receiver: WorkerIndex,
    worker_count: u8,
) -> WorkerIndex {
    if worker_count <= 1 {
        return 0;
    }
    match domain {
        // An ICMP error belongs to the flow it quotes.
        Domain::Inside => inside_owner(policy, head.tuple.src.addr, worker_count),
        Domain::Outside => outside_owner(policy, &head.tuple, receiver, worker_count),
        Domain::None => receiver,
    }
}

/// The worker that owns the packets of a session with this key.
pub fn owner_of_key(
    policy: &Policy,
    key: &SessionKey,
    receiver: WorkerIndex,
    worker_count: u8,
) -> WorkerIndex {
    let &SessionKey { src, dst, vrf, protocol, direction } = key;
    match direction {
        Direction::Outbound => inside_owner(policy, src.addr, worker_count),
        Direction::Inbound => {
            outside_owner(policy, &Tuple { src, dst, protocol, vrf }, receiver, worker_count)
        }
    }
}

/// The worker that owns an inside address. Hosts that must be seen together are pinned to the first one.
#[inline]
pub fn inside_owner(policy: &Policy, addr: Ipv4Addr, worker_count: u8) -> WorkerIndex {
    if policy.is_pinned(addr) { 0 } else { spread(addr.to_bits(), worker_count) }
}

fn spread(bits: u32, worker_count: u8) -> WorkerIndex {
    let mixed = bits.wrapping_mul(0x9e37_79b1) >> 16;
    (mixed % u32::from(worker_count.max(1))) as u8
}

/// Fragments of a packet meet at one worker, whichever ports the packet has.
fn fragment_owner(head: &Head, worker_count: u8) -> WorkerIndex {
    spread(head.src.to_bits() ^ head.dst.to_bits().rotate_left(16) ^ u32::from(head.id), worker_count)
}

/// The worker that owns what a global endpoint stands for. What nobody owns is decided where it arrives, but for
/// virtual servers, whose real ones are all the first worker's.
pub fn outside_owner(policy: &Policy, tuple: &Tuple, receiver: WorkerIndex, worker_count: u8) -> WorkerIndex {
    if let Some((local, _)) = policy.statics.local_of(tuple.vrf, tuple.protocol, tuple.dst, |_| true) {
        return inside_owner(policy, local.addr, worker_count);
    }
    if let Some(host) = policy.computed_host(tuple.dst) {
        return inside_owner(policy, host, worker_count);
    }
    let unowned = if policy.destination_rules.is_empty() { receiver } else { 0 };
    policy.ownership.owner(tuple.dst).unwrap_or(unowned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_addresses_spread_over_the_workers() {
        let mut counts = [0u32; 3];
        (0..3000u32).for_each(|n| counts[usize::from(spread(0x6440_0000 + n, 3))] += 1);
        assert!(counts.iter().all(|&count| count > 800), "{counts:?}");
    }
}
