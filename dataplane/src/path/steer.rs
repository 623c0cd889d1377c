//! Steering: which worker a packet belongs to. All state of a subscriber is in one worker's shard.
//!
//! From inside it is a function of the inside address. From outside it is a table: what worker claimed the group of 64
//! ports of a global address ([`Ownership`]). What a static rule maps belongs to the owner of its inside host.

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::{Direction, ICMP, Tuple, WorkerIndex};
use crate::head::Head;
use crate::path::verdict::Verdict;
use crate::policy::{Interface, Policy};
use crate::state::ports::ownership::Ownership;
use crate::state::session::{Ends, SessionKey};

/// Who owns what: the one place that is asked, by a worker with a packet in hand.
#[derive(Clone, Copy)]
pub struct Owners<'a> {
    /// What the configuration says.
    pub policy: &'a Policy,
    /// Which worker claimed which global ports.
    pub ownership: &'a Ownership,
    /// The worker that asks.
    pub receiver: WorkerIndex,
    /// How many workers there are.
    pub worker_count: u8,
}

impl Owners<'_> {
    /// What is to be done with a packet that arrived before it is looked up: another worker owns it, or it is a fragment
    /// that meets the others of its packet first.
    #[inline]
    pub fn steer(self, head: &Head) -> Option<Verdict> {
        let gathers = gathers(self.policy, head) && may_be_translated(self.policy, head);
        let owner = match self.worker_count {
            0..=1 => self.receiver,
            _ if gathers => self.of_fragments(head),
            _ => self.of_flow(head),
        };
        match owner == self.receiver {
            false => Some(Verdict::HandOver(owner)),
            true => gathers.then_some(Verdict::Gather),
        }
    }

    /// The owner of a packet whose ports are known, a fragment or not. An ICMP error belongs to the flow it quotes.
    #[inline]
    pub fn of_flow(self, head: &Head) -> WorkerIndex {
        match self.policy.interfaces[usize::from(head.interface)].nat {
            _ if self.worker_count <= 1 => self.receiver,
            Some(Side::Inside) => self.of_host(head.tuple.src.addr),
            Some(Side::Outside) => self.of_global(&head.tuple),
            None => self.receiver,
        }
    }

    /// The owner of the packets of a session with this key.
    pub fn of_key(self, key: &SessionKey) -> WorkerIndex {
        let &SessionKey { ends: Ends { src, dst, vrf }, protocol, direction } = key;
        match direction {
            Direction::Outbound => self.of_host(src.addr),
            Direction::Inbound => self.of_global(&Tuple { src, dst, protocol, vrf }),
        }
    }

    /// The owner of an inside host. Those that must be seen together have one, a worker for each list of them.
    #[inline]
    pub fn of_host(self, addr: Ipv4Addr) -> WorkerIndex {
        match self.policy.pin_of(addr) {
            Some(list) => (list % usize::from(self.worker_count.max(1))) as WorkerIndex,
            None => spread(addr.to_bits(), self.worker_count),
        }
    }

    /// The owner of what a packet's global destination stands for. What nobody owns is decided where it arrives, but for
    /// virtual servers: those belong to the owner of their real ones.
    pub fn of_global(self, tuple: &Tuple) -> WorkerIndex {
        let Owners { policy, ownership, .. } = self;
        if let Some(local) = policy.statics.owner_of(tuple.vrf, tuple.protocol, tuple.dst) {
            return self.of_host(local.addr);
        }
        if let Some(host) = policy.deterministic_host(tuple.dst) {
            return self.of_host(host);
        }
        let of_virtual = || {
            let rule = policy.destination_rule_of(tuple.dst.addr)?;
            let server = policy.pools.get(usize::from(rule.pool))?.address_at(0)?;
            Some(self.of_host(server))
        };
        let owner = ownership.owner(tuple.dst).or_else(of_virtual);
        owner.unwrap_or_else(|| self.of_default(tuple).unwrap_or(self.receiver))
    }

    /// The owner of the default server of a packet's global destination.
    pub fn of_default(self, tuple: &Tuple) -> Option<WorkerIndex> {
        let (local, _) = self.policy.statics.default_of(tuple.vrf, tuple.protocol, tuple.dst)?;
        Some(self.of_host(local.addr))
    }

    /// Fragments of a packet meet at one worker, whichever ports the packet has.
    fn of_fragments(self, head: &Head) -> WorkerIndex {
        let bits = head.src.to_bits() ^ head.dst.to_bits().rotate_left(16) ^ u32::from(head.id);
        spread(bits, self.worker_count)
    }
}

/// Whether a packet is a fragment, between inside and outside or of a ping to the box, whose packet's ports are not known
/// yet.
#[inline]
pub fn gathers(policy: &Policy, head: &Head) -> bool {
    head.is_fragment
        && head.new_id.is_none()
        && (policy.interfaces[usize::from(head.interface)].nat.is_some() || may_be_ping(policy, head))
}

/// Whether a packet is an ICMP message to an address of the box's own.
fn may_be_ping(policy: &Policy, head: &Head) -> bool {
    let is_own =
        |it: &Interface| it.vrf == head.tuple.vrf && it.addresses.iter().any(|&(own, _)| own == head.dst);
    head.outer_protocol() == ICMP && policy.interfaces.iter().any(is_own)
}

/// Whether anything could translate a packet, as far as its addresses go: from outside, what is to no global address of ours
/// needs no ports.
fn may_be_translated(policy: &Policy, head: &Head) -> bool {
    policy.interfaces[usize::from(head.interface)].nat == Some(Side::Inside)
        || policy.is_global(head.tuple.vrf, head.dst)
        || policy.statics.is_identity(head.tuple.vrf, head.dst)
        || policy.destination_rule_of(head.dst).is_some()
        || may_be_ping(policy, head)
        // These translate the source, whatever the destination is.
        || !policy.outside_rules.is_empty()
        || !policy.outside_statics.rules().is_empty()
}

fn spread(bits: u32, worker_count: u8) -> WorkerIndex {
    let mixed = bits.wrapping_mul(0x9e37_79b1) >> 16;
    (mixed % u32::from(worker_count.max(1))) as u8
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
