//! What a worker's tables need for a policy, made before the policy is told: a worker only takes it, so that its packets
//! wait for no policy, however large.

use crate::policy::{Filtering, Policy};
use crate::state::contacts::Contacts;
use crate::state::door::DOORS_MAX;
use crate::state::ports::allocate::HELD_DOWN_MAX;
use crate::state::ports::bitmaps::{PORT_WORDS, SHEETS_PER_ADDRESS};
use crate::state::ports::ownership::{Ownership, bytes_per_address};
use crate::state::ports::sets::{SET_WORDS, sets_at_once};
use crate::state::ports::sheets::pieces;
use crate::state::shard::ADDRESSES_MAX;
use crate::state::table::index::Hasher;

/// Leases at once, and what is on its way from one owner to the next.
const LEASES_MAX: usize = 16;

/// What is made for one worker for a policy, beside what it was made for those before.
#[derive(Default)]
pub struct Supply {
    /// Room for the sheets' numbers of addresses, from that number of an address on.
    pub(super) homes: Vec<(u32, Box<[u32]>)>,
    /// Room for sheets of addresses and ports.
    pub(super) ports: Vec<Box<[u64]>>,
    /// Room for port sets.
    pub(super) sets: Vec<Box<[u64]>>,
    /// For address-dependent filtering.
    pub(super) contacts: Option<Contacts>,
    /// For limits of groups.
    pub(super) counted: Option<Vec<[u16; 2]>>,
    /// Numbers of rules that the policy uses.
    pub(super) rule_count: usize,
}

impl Supply {
    /// Takes in what was made for the next policy, where nobody took this before.
    pub fn append(&mut self, next: Supply) {
        self.homes.extend(next.homes);
        self.ports.extend(next.ports);
        self.sets.extend(next.sets);
        self.contacts = next.contacts.or(self.contacts.take());
        self.counted = next.counted.or(self.counted.take());
        self.rule_count = self.rule_count.max(next.rule_count);
    }
}

/// Makes what one worker needs, and knows what was made for it.
pub struct Supplier {
    session_count_max: usize,
    hasher: Hasher,
    homes: u32,
    ports: usize,
    sets: usize,
    has_contacts: bool,
    has_counted: bool,
}

impl Supplier {
    /// Nothing was made yet for a worker with room for so many sessions and this secret.
    pub fn new(session_count_max: usize, secret: [u64; 2]) -> Supplier {
        let hasher = Hasher::new(secret);
        Supplier {
            session_count_max,
            hasher,
            homes: 0,
            ports: 0,
            sets: 0,
            has_contacts: false,
            has_counted: false,
        }
    }

    /// Makes what a policy needs beside what there is. Where the system grants no more memory, there is less room: then
    /// addresses are as good as used up.
    pub fn supply(&mut self, policy: &Policy, ownership: &Ownership) -> Supply {
        let mut supply = Supply::default();
        let count = ownership.layout().count();
        if count > self.homes {
            let homes = mem::zeroed((count - self.homes) as usize);
            supply.homes.extend(homes.map(|homes| (self.homes, homes)));
            self.homes = count;
        }
        supply.ports.extend(pieces::<PORT_WORDS>(self.ports, sheets_at_once(count, self.session_count_max)));
        self.ports += supply.ports.len();
        supply.sets.extend(pieces::<SET_WORDS>(self.sets, sets_at_once(policy, self.session_count_max)));
        self.sets += supply.sets.len();
        if policy.behaviour.filtering == Filtering::AddressDependent && !self.has_contacts {
            supply.contacts = Some(Contacts::new(self.session_count_max, self.hasher));
            self.has_contacts = true;
        }
        if !policy.limits.groups.is_empty() && !self.has_counted {
            supply.counted = Some(vec![[0; 2]; self.session_count_max]);
            self.has_counted = true;
        }
        supply.rule_count = policy.rule_ids().max().map_or(0, usize::from) + 1;
        supply
    }
}

/// The most sheets that so many addresses need at once: one for each that is in use, and one for each port in use or for all
/// ports. A port in use is a session's or a door's, is held down or lent.
fn sheets_at_once(addresses: u32, session_count_max: usize) -> usize {
    let ports = session_count_max + session_count_max.min(DOORS_MAX) + HELD_DOWN_MAX + LEASES_MAX;
    let wholes = session_count_max.min(ADDRESSES_MAX);
    let addresses = addresses as usize;
    addresses.min(ports + wholes) + (addresses * (SHEETS_PER_ADDRESS - 1)).min(ports)
}

/// What so many workers may write at most for so many addresses and the port sets of a policy, in bytes, each with room for so
/// many sessions.
pub fn bytes_needed(policy: &Policy, addresses: u32, session_count_max: usize, worker_count: u8) -> u64 {
    let words = sheets_at_once(addresses, session_count_max) * PORT_WORDS
        + sets_at_once(policy, session_count_max) * SET_WORDS;
    let of_each = (words * size_of::<u64>()) as u64 + u64::from(addresses) * size_of::<u32>() as u64;
    u64::from(worker_count) * of_each + u64::from(addresses) * bytes_per_address(worker_count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::ports::layout::Layout;

    #[test]
    fn memory_is_bounded_by_addresses_and_by_sessions() {
        let bytes =
            |addresses, sessions, workers| bytes_needed(&Policy::default(), addresses, sessions, workers);
        let sheet = (PORT_WORDS * 8) as u64;
        assert_eq!(bytes(14, 1 << 18, 1), 14 * (49 * sheet + 9));
        let few = bytes(1 << 12, 1 << 18, 1);
        let (many, all) = (bytes(1 << 20, 1 << 18, 1), bytes(1 << 24, 1 << 18, 1));
        assert!(few < many && many < all);
        assert_eq!(all - many, ((1 << 24) - (1 << 20)) * 9, "no more ports are in use for more addresses");
        assert_eq!(bytes(14, 1 << 18, 2), 2 * 14 * (49 * sheet + 4) + 14 * (1024 + 5));
    }

    #[test]
    fn nothing_is_made_twice() {
        let policy = Policy::default();
        let ownership =
            |last| Ownership::new(Layout::default().with([(1, last)]), &Ownership::default(), 1).unwrap();
        let mut supplier = Supplier::new(64, [1, 2]);
        let mut supply = supplier.supply(&policy, &ownership(200));
        assert_eq!((supply.homes.len(), supply.ports.len()), (1, 3));
        let again = supplier.supply(&policy, &ownership(200));
        assert_eq!((again.homes.len(), again.ports.len()), (0, 0));
        supply.append(supplier.supply(&policy, &ownership(400)));
        assert_eq!((supply.homes.len(), supply.homes[1].0, supply.homes[1].1.len()), (2, 200, 200));
    }
}
