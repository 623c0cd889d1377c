//! Room: how much of a table each gateway and each inside host may have of it.

use std::net::Ipv4Addr;

use alg::registry::ROWS;

use crate::flow::Vrf;
use crate::policy::GatewayIndex;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};

/// An inside host, by its VRF and address.
pub type Host = (Vrf, Ipv4Addr);

/// What one host may have of a gateway's places: this part of the table, but so many at least.
const HOST_PART: usize = 16;
const HOST_MIN: usize = 16;

/// The places of a table. Half of them are shared out among the gateways, and nobody takes another's; the other half is for
/// whoever comes. One host has a small part of what its gateway may have.
pub struct Room {
    capacity: usize,
    host_max: usize,
    taken: [u32; ROWS.len()],
    guests: Keyed<Guest>,
}

/// What a host has of a gateway's places.
struct Guest {
    gateway: GatewayIndex,
    host: Host,
    taken: u32,
}

fn key(gateway: GatewayIndex, (vrf, addr): Host) -> Key {
    [u64::from(addr.to_bits()), u64::from(vrf) << 8 | u64::from(gateway)]
}

impl Room {
    /// The room of a table with so many places.
    pub fn new(capacity: usize, hasher: Hasher) -> Room {
        Room {
            capacity,
            host_max: (capacity / HOST_PART).max(HOST_MIN),
            taken: [0; ROWS.len()],
            guests: Keyed::new(capacity, hasher),
        }
    }

    /// Places taken, by gateway.
    pub fn taken(&self) -> &[u32; ROWS.len()] {
        &self.taken
    }

    /// Places that a gateway may still take for a host.
    pub fn left(&self, gateway: GatewayIndex, host: Host) -> usize {
        let own = self.capacity / (2 * ROWS.len());
        let common = self.capacity - own * ROWS.len();
        let beyond = |taken: u32| (taken as usize).saturating_sub(own);
        let used: usize = self.taken.iter().map(|&taken| beyond(taken)).sum();
        let of_gateway = own.saturating_sub(self.taken[usize::from(gateway)] as usize);
        let of_host = self.guest(gateway, host).and_then(|number| self.guests.at(number));
        let of_host = of_host.map_or(0, |guest| guest.taken as usize);
        (of_gateway + common.saturating_sub(used)).min(self.host_max.saturating_sub(of_host))
    }

    /// Takes places for a host. False if there are not so many left for it.
    #[must_use]
    pub fn take(&mut self, gateway: GatewayIndex, host: Host, count: u32) -> bool {
        if self.left(gateway, host) < count as usize {
            return false;
        }
        let new = || Guest { gateway, host, taken: 0 };
        let number = self.guest(gateway, host).or_else(|| self.guests.insert(key(gateway, host), new()));
        let Some(guest) = number.and_then(|number| self.guests.at_mut(number)) else { return false };
        guest.taken += count;
        self.taken[usize::from(gateway)] += count;
        true
    }

    /// Gives back places that were taken for a host.
    pub fn give_back(&mut self, gateway: GatewayIndex, host: Host, count: u32) {
        let Some(number) = self.guest(gateway, host) else { return };
        let Some(guest) = self.guests.at_mut(number) else { return };
        guest.taken -= count;
        self.taken[usize::from(gateway)] -= count;
        if guest.taken == 0 {
            self.guests.remove(key(gateway, host), number);
        }
    }

    fn guest(&self, gateway: GatewayIndex, host: Host) -> Option<u32> {
        self.guests.find(key(gateway, host), |guest| (guest.gateway, guest.host) == (gateway, host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 1 << 14;

    fn host(number: u32) -> Host {
        (0, Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    /// However many hosts come, and whoever is first, the others have their part.
    #[test]
    fn neither_a_gateway_nor_a_host_takes_what_others_need() {
        for greedy in 0..ROWS.len() as GatewayIndex {
            let mut room = Room::new(CAPACITY, Hasher::new([1, 2]));
            let of_one = (0..CAPACITY).take_while(|_| room.take(greedy, host(0), 1)).count();
            assert_eq!(of_one, CAPACITY / HOST_PART, "what one host gets");
            assert!(room.take(greedy, host(1), 1), "another host of the same gateway's");
            let of_all = (0..CAPACITY as u32).filter(|number| room.take(greedy, host(2 + number), 1)).count();
            let total = of_one + 1 + of_all;
            let own = CAPACITY / (2 * ROWS.len());
            assert_eq!(total, CAPACITY - own * (ROWS.len() - 1), "what the gateway gets");
            for other in (0..ROWS.len() as GatewayIndex).filter(|other| *other != greedy) {
                let taken = (0..CAPACITY as u32).filter(|number| room.take(other, host(*number), 1)).count();
                assert_eq!(taken, own, "what is left for gateway {other}");
            }
            assert_eq!(room.taken.iter().sum::<u32>() as usize, CAPACITY);
            room.give_back(greedy, host(0), of_one as u32);
            assert!(room.take(greedy, host(0), 1) && !room.take(greedy, host(0), CAPACITY as u32));
        }
    }
}
