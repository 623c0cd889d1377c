//! Room: how much of a table each gateway may have, and each of those whom it serves.

use std::net::Ipv4Addr;

use alg::registry::ROWS;

use crate::flow::Vrf;
use crate::policy::GatewayIndex;
use crate::state::session::{Flags, Session};
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};
use crate::state::table::share::Places;

/// Whose share a place is of: whoever began what needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initiator {
    /// Its VRF.
    pub vrf: Vrf,
    /// Its address.
    pub addr: Ipv4Addr,
    /// It is an outside host.
    pub is_stranger: bool,
}

impl Initiator {
    /// An inside host.
    pub fn host((vrf, addr): (Vrf, Ipv4Addr)) -> Initiator {
        Initiator { vrf, addr, is_stranger: false }
    }

    /// Who began a session.
    pub fn of(session: &Session) -> Initiator {
        if session.flags.has(Flags::FROM_OUTSIDE) {
            let (vrf, addr) = (session.outside_vrf(), session.outside_global().addr);
            return Initiator { vrf, addr, is_stranger: true };
        }
        Initiator::host((session.inside_vrf(), session.inside_local().addr))
    }
}

/// The places of a table. Half of them are shared out among the gateways, and nobody takes another's; the other half is for
/// whoever comes. Of what a gateway may have, each holder has its share; so have the strangers, all of them together.
pub struct Room {
    capacity: usize,
    taken: [u32; ROWS.len()],
    /// What strangers have of that.
    taken_by_strangers: [u32; ROWS.len()],
    guests: Keyed<Guest>,
}

/// What a holder has of a gateway's places.
struct Guest {
    gateway: GatewayIndex,
    holder: Initiator,
    taken: u32,
}

fn key(gateway: GatewayIndex, Initiator { vrf, addr, is_stranger }: Initiator) -> Key {
    [u64::from(addr.to_bits()) | u64::from(is_stranger) << 32, u64::from(vrf) << 8 | u64::from(gateway)]
}

impl Room {
    /// The room of a table with so many places.
    pub fn new(capacity: usize, hasher: Hasher) -> Room {
        Room {
            capacity,
            taken: [0; ROWS.len()],
            taken_by_strangers: [0; ROWS.len()],
            guests: Keyed::new(capacity, hasher),
        }
    }

    /// Places taken, by gateway.
    pub fn taken(&self) -> &[u32; ROWS.len()] {
        &self.taken
    }

    /// Places that a gateway may still take for a holder.
    pub fn left(&self, gateway: GatewayIndex, holder: Initiator) -> usize {
        let places = self.places(gateway);
        let left = places.left(self.taken_by(gateway, holder));
        if !holder.is_stranger {
            return left;
        }
        left.min(places.left(self.taken_by_strangers[usize::from(gateway)] as usize))
    }

    /// What a gateway may have, and has not taken yet.
    fn places(&self, gateway: GatewayIndex) -> Places {
        let own = self.capacity / (2 * ROWS.len());
        let common = self.capacity - own * ROWS.len();
        let beyond = |taken: u32| (taken as usize).saturating_sub(own);
        let used: usize = self.taken.iter().map(|&taken| beyond(taken)).sum();
        let of_gateway = own.saturating_sub(self.taken[usize::from(gateway)] as usize);
        Places { capacity: own + common, free: of_gateway + common.saturating_sub(used) }
    }

    /// Places that a holder has of a gateway's.
    fn taken_by(&self, gateway: GatewayIndex, holder: Initiator) -> usize {
        let guest = self.guest(gateway, holder).and_then(|number| self.guests.at(number));
        guest.map_or(0, |guest| guest.taken as usize)
    }

    /// Places that a holder has of all gateways'.
    pub fn taken_in_all(&self, holder: Initiator) -> usize {
        (0..ROWS.len() as GatewayIndex).map(|gateway| self.taken_by(gateway, holder)).sum()
    }

    /// Takes places for a holder. False if there are not so many left for it.
    #[must_use]
    pub fn take(&mut self, gateway: GatewayIndex, holder: Initiator, count: u32) -> bool {
        if self.left(gateway, holder) < count as usize {
            return false;
        }
        let new = || Guest { gateway, holder, taken: 0 };
        let number = self.guest(gateway, holder).or_else(|| self.guests.insert(key(gateway, holder), new()));
        let Some(guest) = number.and_then(|number| self.guests.at_mut(number)) else { return false };
        guest.taken += count;
        self.taken[usize::from(gateway)] += count;
        self.taken_by_strangers[usize::from(gateway)] += if holder.is_stranger { count } else { 0 };
        true
    }

    /// Gives back places that were taken for a holder.
    pub fn give_back(&mut self, gateway: GatewayIndex, holder: Initiator, count: u32) {
        let Some(number) = self.guest(gateway, holder) else { return };
        let Some(guest) = self.guests.at_mut(number) else { return };
        guest.taken -= count;
        self.taken[usize::from(gateway)] -= count;
        self.taken_by_strangers[usize::from(gateway)] -= if holder.is_stranger { count } else { 0 };
        if guest.taken == 0 {
            self.guests.remove(key(gateway, holder), number);
        }
    }

    /// Verifies that so many places are taken, by gateways as by holders, and that who is remembered has some. For tests.
    pub fn check(&self, taken: usize) -> Result<(), String> {
        let sum = |counts: &[u32]| counts.iter().sum::<u32>() as usize;
        let of_holders: usize = self.guests.iter().map(|guest| guest.taken as usize).sum();
        let strangers = self.guests.iter().filter(|guest| guest.holder.is_stranger);
        let of_strangers: usize = strangers.map(|guest| guest.taken as usize).sum();
        let counted = [sum(&self.taken), of_holders, sum(&self.taken_by_strangers)];
        if counted != [taken, taken, of_strangers] || self.guests.iter().any(|guest| guest.taken == 0) {
            return Err(format!(
                "{taken} places are taken, {of_strangers} by strangers: counted {counted:?}"
            ));
        }
        Ok(())
    }

    fn guest(&self, gateway: GatewayIndex, holder: Initiator) -> Option<u32> {
        self.guests.find(key(gateway, holder), |guest| (guest.gateway, guest.holder) == (gateway, holder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: usize = 1 << 14;
    /// What nobody takes of the others', what a gateway may have, and its reserve.
    const OWN: usize = CAPACITY / (2 * ROWS.len());
    const OF_ONE: usize = CAPACITY - OWN * (ROWS.len() - 1);
    const RESERVE: usize = OF_ONE / 16;

    fn host(number: u32) -> Initiator {
        Initiator::host((0, Ipv4Addr::from_bits(0x0a00_0000 + number)))
    }

    fn stranger(number: u32) -> Initiator {
        Initiator { is_stranger: true, ..host(number) }
    }

    fn fill(room: &mut Room, gateway: GatewayIndex, holder: Initiator) -> usize {
        (0..CAPACITY).take_while(|_| room.take(gateway, holder, 1)).count()
    }

    /// However many hosts come, and whoever is first, the others have their part.
    #[test]
    fn neither_a_gateway_nor_a_host_takes_what_others_need() {
        for greedy in 0..ROWS.len() as GatewayIndex {
            let mut room = Room::new(CAPACITY, Hasher::new([1, 2]));
            let of_first = fill(&mut room, greedy, host(0));
            assert_eq!(of_first, (OF_ONE - RESERVE).div_ceil(2), "as many as it leaves");
            assert!(room.take(greedy, host(1), 1), "another host of the same gateway's");
            let of_all: usize =
                (1..CAPACITY as u32).map(|number| fill(&mut room, greedy, host(number))).sum();
            assert_eq!(of_first + 1 + of_all, OF_ONE, "what the gateway gets");
            for other in (0..ROWS.len() as GatewayIndex).filter(|other| *other != greedy) {
                let taken = (0..CAPACITY as u32).filter(|number| room.take(other, host(*number), 1)).count();
                assert_eq!(taken, OWN, "what is left for gateway {other}");
            }
            assert_eq!(room.taken.iter().sum::<u32>() as usize, CAPACITY);
            room.give_back(greedy, host(0), of_first as u32);
            assert!(room.take(greedy, host(0), 1) && !room.take(greedy, host(0), CAPACITY as u32));
        }
    }

    /// However many strangers come, inside hosts have as much as all of them.
    #[test]
    fn strangers_share_one_share() {
        let mut room = Room::new(CAPACITY, Hasher::new([1, 2]));
        let of_one = fill(&mut room, 0, stranger(0));
        let of_all: usize = (1..CAPACITY as u32).map(|number| fill(&mut room, 0, stranger(number))).sum();
        assert_eq!(of_one + of_all, (OF_ONE - RESERVE).div_ceil(2));
        assert!(
            room.take(0, host(0), (OF_ONE - RESERVE) as u32 / 4),
            "and one of these half of what is left"
        );
        room.give_back(0, stranger(0), of_one as u32);
        assert_eq!(room.taken_by_strangers[0] as usize, of_all);
    }
}
