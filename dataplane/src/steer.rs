//! Steering: which worker a packet belongs to. All state of a subscriber is in one worker's shard.

use std::net::Ipv4Addr;

use crate::parse::Head;
use crate::policy::Domain;

/// A worker's number.
pub type WorkerIndex = u8;

/// The worker that owns a packet arriving on an interface of this domain.
///
/// From inside it is a function of the inside address. Everything else belongs to the first worker, which is
/// also the only one that claims global ports as long as there is one.
#[inline]
pub fn owner(head: &Head, domain: Domain, worker_count: u8) -> WorkerIndex {
    match domain {
        Domain::Inside => inside_owner(head.src, worker_count),
        Domain::Outside | Domain::None => 0,
    }
}

/// The worker that owns an inside address.
#[inline]
pub fn inside_owner(addr: Ipv4Addr, worker_count: u8) -> WorkerIndex {
    let mixed = (addr.to_bits().wrapping_mul(0x9e37_79b1)) >> 16;
    (mixed % u32::from(worker_count.max(1))) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_addresses_spread_over_the_workers() {
        let mut counts = [0u32; 3];
        (0..3000u32)
            .for_each(|n| counts[usize::from(inside_owner(Ipv4Addr::from_bits(0x6440_0000 + n), 3))] += 1);
        assert!(counts.iter().all(|&count| count > 800), "{counts:?}");
    }
}
