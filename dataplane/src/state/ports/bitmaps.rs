//! The ports of one global address: which are in use.

use crate::drops::DropReason;
use crate::flow::{ICMP, Protocol, TCP, UDP, Vrf};
use crate::policy::RuleId;
use crate::state::ports::ownership::{Claimant, PORTS_PER_GROUP, Standing};
use crate::state::table::share::{FEW, Places};

const WORDS: usize = 65_536 / 64;
/// Ports below this are a class of their own.
const LOW_PORTS: usize = 1024;
const EVEN: u64 = 0x5555_5555_5555_5555;
/// Ports tried at random before the rest are looked at in order.
const RANDOM_TRIES: u32 = 8;

// A group of ports that changes owner together is one word of the bitmaps.
const _: () = assert!(PORTS_PER_GROUP == 64);

/// Protocols whose ports are counted apart: TCP, UDP, and ICMP with its identifiers.
const MAPS: usize = 3;
/// Bits that say which words of a bitmap are full, in words.
const FULL_WORDS: usize = WORDS / 64;
/// A protocol's bitmap: its ports, then, for even and for odd ports, which words have none of them free, a bit each.
const MAP_WORDS: usize = WORDS + 2 * FULL_WORDS;
/// Sets of ports of one address at most: the smallest have 64 ports.
const SETS_MAX: usize = 64_512 / 64;

/// What is in use of an address: ports by protocol, and in the last place whether somebody has the whole of it.
pub type Used = [u32; MAPS + 1];
/// Nothing of an address.
pub const NOTHING_USED: Used = [0; MAPS + 1];

/// Which ports and which sets of ports (`ip nat settings pap bpa`) of an address are in use. Plain words, since a table
/// of zeros takes no memory before it is written to.
pub type Bitmaps = [u64; BITMAPS_WORDS];
/// The words of an address's bitmaps.
pub const BITMAPS_WORDS: usize = MAPS * MAP_WORDS + SETS_MAX.div_ceil(64);

/// The ports of one address.
pub struct AddressPorts<'a> {
    used: &'a mut Used,
    bitmaps: &'a mut Bitmaps,
}

/// The ports of one protocol.
struct PortMap<'a> {
    words: &'a mut [u64],
    full: &'a mut [u64],
    used: &'a mut u32,
}

/// What port is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The protocol.
    pub protocol: Protocol,
    /// The inside port.
    pub inside: u16,
    /// First and last port that may be given.
    pub range: (u16, u16),
    /// Take the inside port where it is free.
    pub preserve: bool,
    /// Keep the inside port's parity where possible.
    pub parity: bool,
    /// A random number, to start from where the port is not preserved.
    pub random: u64,
    /// An even port and the odd one behind it, both to be taken.
    pub is_pair: bool,
}

/// The ports an inside port may be given: low ports stay low and high ports high, as in IOS. Identifiers of
/// ICMP queries have no classes.
pub fn class_of(protocol: Protocol, port: u16) -> (u16, u16) {
    match (protocol, port) {
        (ICMP, _) => (0, u16::MAX),
        (_, 0..=1023) => (512, 1023),
        _ => (1024, u16::MAX),
    }
}

/// Ports of an address in use, of all protocols; the whole address counts as one.
pub fn used_total(used: &Used) -> u32 {
    used.iter().sum()
}

/// Whether somebody has the whole address.
pub fn is_whole(used: &Used) -> bool {
    used[MAPS] != 0
}

/// Takes a whole address, where nothing of it is in use.
pub fn take_whole(used: &mut Used) -> bool {
    let is_free = used_total(used) == 0;
    used[MAPS] |= u32::from(is_free);
    is_free
}

/// Gives a whole address back.
pub fn release_whole(used: &mut Used) {
    debug_assert!(is_whole(used), "an address was released twice");
    used[MAPS] = 0;
}

impl<'a> AddressPorts<'a> {
    /// The ports of an address of which so much is in use.
    pub fn new(used: &'a mut Used, bitmaps: &'a mut Bitmaps) -> AddressPorts<'a> {
        AddressPorts { used, bitmaps }
    }

    fn map(&mut self, protocol: Protocol) -> Option<PortMap<'_>> {
        let number = match protocol {
            TCP => 0,
            UDP => 1,
            ICMP => 2,
            _ => return None,
        };
        let (words, full) = self.bitmaps[number * MAP_WORDS..][..MAP_WORDS].split_at_mut(WORDS);
        Some(PortMap { words, full, used: &mut self.used[number] })
    }

    fn sets(&mut self) -> &mut [u64] {
        &mut self.bitmaps[MAPS * MAP_WORDS..]
    }

    /// Why a host that has so many mappings, of any kind, may have no other port of a wish's range: it has its share of one
    /// worker's part, or, if it `is_limited` by the configuration, there is nothing but the reserve.
    pub fn refusal(
        &mut self,
        wish: &Wish,
        (held, is_limited): (usize, bool),
        worker_count: u8,
    ) -> Option<DropReason> {
        let (low, high) = (usize::from(wish.range.0), usize::from(wish.range.1));
        let map = self.map(wish.protocol)?;
        // What a host has above the low ports is no reason to refuse it one of these; there, the few below count as well.
        let is_low = high < LOW_PORTS;
        let used = if is_low { map.used_between(low, high) } else { *map.used } as usize;
        let all = (high + 1).saturating_sub(low);
        let capacity = all / usize::from(worker_count.max(1));
        let places = Places { capacity, free: capacity.saturating_sub(used) };
        let left = places.left_within(held, (is_limited || is_low).then_some(u32::MAX));
        (held >= FEW && left == 0 && used < all).then_some(DropReason::PortShare)
    }

    /// Takes a port: the inside one, one at random, or the next free one, first of its parity, then of any, as
    /// the wish says. It is of a group that is the claimant's or becomes so. Ports that `is_allowed` refuses are passed
    /// over; it is asked about free ports only.
    pub fn take(
        &mut self,
        wish: &Wish,
        groups: Claimant<'_>,
        is_allowed: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        if is_whole(self.used) || wish.range.0 > wish.range.1 {
            return None;
        }
        let mut map = self.map(wish.protocol)?;
        let is_good = |map: &PortMap<'_>, port: u16| {
            let is_paired = || map.has_odd_beside(port, wish.range.1) && is_allowed(port + 1);
            is_allowed(port) && (!wish.is_pair || is_paired()) && groups.claim(port)
        };
        let port = map.choose(wish, groups, |port| is_good(&map, port))?;
        map.set_all(wish, port);
        Some(port)
    }

    /// Takes a port of a set: `first`, `first + step`, and so on, from a random one of `size` on.
    pub fn take_of_set(
        &mut self,
        wish: &Wish,
        set: &PortSet,
        mut may_take: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let mut map = self.map(wish.protocol)?;
        let start = (wish.random % u64::from(set.size)) as u16;
        let mut is_good = |port: &u16| {
            let is_paired = || map.has_odd_beside(*port, u16::MAX) && set.holds(port.wrapping_add(1));
            !map.is_set(*port) && (!wish.is_pair || is_paired()) && may_take(*port)
        };
        let ports = || (0..set.size).map(|k| set.port((start + k) % set.size));
        let is_alike = |port: &u16| port & 1 == wish.inside & 1;
        let alike = if wish.parity { ports().filter(is_alike).find(&mut is_good) } else { None };
        let port = alike.or_else(|| ports().find(is_good))?;
        map.set_all(wish, port);
        Some(port)
    }

    /// Takes a whole set of ports, the first free one, or none where all are taken or partly in use.
    pub fn take_set(
        &mut self,
        size: u16,
        step: u16,
        mut may_take: impl FnMut(u16) -> bool,
    ) -> Option<PortSet> {
        let count = sets_of_address(size, step);
        let sets = self.sets();
        let number = (0..count).find(|&number| {
            let set = PortSet::numbered(number, size, step);
            sets[usize::from(number) / 64] & 1 << (number % 64) == 0 && may_take(set.first)
        })?;
        sets[usize::from(number) / 64] |= 1 << (number % 64);
        Some(PortSet::numbered(number, size, step))
    }

    /// Gives a set of ports back.
    pub fn release_set(&mut self, set: &PortSet) {
        self.sets()[usize::from(set.number) / 64] &= !(1 << (set.number % 64));
    }

    /// Gives a port back. Returns whether its group of ports has no other port in use.
    pub fn release(&mut self, protocol: Protocol, port: u16) -> bool {
        let Some(mut map) = self.map(protocol) else { return false };
        debug_assert!(map.is_set(port), "port {port} released twice");
        map.clear(port);
        (0..MAPS).all(|number| self.bitmaps[number * MAP_WORDS + usize::from(port) / 64] == 0)
    }
}

/// How many sets of this size and step an address has.
pub fn sets_of_address(size: u16, step: u16) -> u16 {
    let chunk = u32::from(size) * u32::from(step);
    (64_512 / chunk.max(1) * u32::from(step)).min(SETS_MAX as u32) as u16
}

/// A set of ports that one subscriber has for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// Its number on its address.
    pub number: u16,
    /// First port.
    pub first: u16,
    /// Distance between ports.
    pub step: u16,
    /// How many ports.
    pub size: u16,
    /// Ports in use, of all protocols.
    pub used: u16,
    /// The rule it was taken for, and the VRF of the outside there.
    pub rule: RuleId,
    /// See `rule`.
    pub outside_vrf: Vrf,
    /// The journal tells of it, since a port of it found an owner.
    pub is_told: bool,
}

impl PortSet {
    /// The set with this number. Sets of one chunk interleave; chunks follow each other from port 1024 on.
    fn numbered(number: u16, size: u16, step: u16) -> PortSet {
        let (chunk, phase) = (u32::from(number / step), u32::from(number % step));
        let first = 1024 + chunk * u32::from(size) * u32::from(step) + phase;
        PortSet { number, first: first as u16, step, size, used: 0, rule: 0, outside_vrf: 0, is_told: false }
    }

    fn port(&self, k: u16) -> u16 {
        self.first + k * self.step
    }

    /// Whether a port is of this set.
    pub fn holds(&self, port: u16) -> bool {
        port.checked_sub(self.first)
            .is_some_and(|distance| distance % self.step == 0 && distance / self.step < self.size)
    }
}

impl PortMap<'_> {
    fn is_set(&self, port: u16) -> bool {
        self.words[usize::from(port) / 64] & 1 << (port % 64) != 0
    }

    /// Whether a port is even, and the odd one behind it is free and no higher than `last`.
    fn has_odd_beside(&self, port: u16, last: u16) -> bool {
        port & 1 == 0 && port < last && !self.is_set(port + 1)
    }

    fn set_all(&mut self, wish: &Wish, port: u16) {
        self.set(port);
        if wish.is_pair {
            self.set(port + 1);
        }
    }

    fn set(&mut self, port: u16) {
        let word = usize::from(port) / 64;
        self.words[word] |= 1 << (port % 64);
        *self.used += 1;
        for (full, parity) in self.full.chunks_mut(FULL_WORDS).zip([EVEN, !EVEN]) {
            let is_full = self.words[word] & parity == parity;
            full[word / 64] |= u64::from(is_full) << (word % 64);
        }
    }

    fn clear(&mut self, port: u16) {
        let word = usize::from(port) / 64;
        self.words[word] &= !(1 << (port % 64));
        *self.used -= 1;
        self.full[usize::from(port & 1) * FULL_WORDS + word / 64] &= !(1 << (word % 64));
    }

    /// Ports in use between two, by whole words.
    fn used_between(&self, low: usize, high: usize) -> u32 {
        let words = self.words.get(low / 64..=high / 64).unwrap_or_default();
        words.iter().map(|word| word.count_ones()).sum()
    }

    fn choose(&self, wish: &Wish, groups: Claimant<'_>, may_take: impl Fn(u16) -> bool) -> Option<u16> {
        let (low, high) = wish.range;
        let is_good = |port: u16| !self.is_set(port) && may_take(port);
        let may_keep =
            wish.preserve && (low..=high).contains(&wish.inside) && groups.may_keep(wish.inside, wish.range);
        if may_keep && is_good(wish.inside) {
            return Some(wish.inside);
        }
        let span = u64::from(high - low) + 1;
        let mut random = wish.random;
        let mut start = wish.inside.clamp(low, high);
        if !wish.preserve {
            for _ in 0..RANDOM_TRIES {
                start = low + ((u128::from(random) * u128::from(span)) >> 64) as u16;
                start = groups.in_share(start).clamp(low, high);
                if wish.parity {
                    start = (start & !1 | wish.inside & 1).clamp(low, high);
                }
                let is_near = groups.standing(usize::from(start) / 64) != Standing::Spare;
                if is_near && is_good(start) {
                    return Some(start);
                }
                random = random.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
            }
        }
        let parities = match (wish.parity, wish.inside & 1) {
            (false, _) => [u64::MAX, 0],
            (true, 0) => [EVEN, !EVEN],
            (true, _) => [!EVEN, EVEN],
        };
        let mut kinds = parities
            .into_iter()
            .filter(|&parity| parity != 0)
            .flat_map(|parity| groups.standings().iter().map(move |&standing| (parity, standing)));
        kinds.find_map(|(parity, standing)| {
            let is_wanted = |word| groups.standing(word) == standing;
            self.next_free(start, wish.range, parity, is_wanted, &may_take)
        })
    }

    /// The first free port of a parity from `start` upward in the range, round to just before it. Words that are not
    /// wanted are passed over as a whole, which bounds the search where other workers have the rest.
    fn next_free(
        &self,
        start: u16,
        range: (u16, u16),
        parity: u64,
        is_wanted: impl Fn(usize) -> bool,
        may_take: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let (first, last) = (usize::from(range.0) / 64, usize::from(range.1) / 64);
        let home = usize::from(start) / 64;
        let from_start = u64::MAX << (start % 64);
        // The start's word comes twice: from the start upward first, what lies below it at the end.
        for (from, to, is_upward) in [(home, last, true), (first, home, false)] {
            let mut next = from;
            while let Some(word) = self.next_word(next, to, parity) {
                next = word + 1;
                if !is_wanted(word) {
                    continue;
                }
                let part = match (word == home, is_upward) {
                    (false, _) => u64::MAX,
                    (true, true) => from_start,
                    (true, false) => !from_start,
                };
                let mut free = !self.words[word] & parity & part & range_mask(word, range);
                while free != 0 {
                    let port = (word * 64) as u16 + free.trailing_zeros() as u16;
                    if may_take(port) {
                        return Some(port);
                    }
                    free &= free - 1;
                }
            }
        }
        None
    }

    /// The first word from `from` to `to` that has a port of the parity free.
    fn next_word(&self, from: usize, to: usize, parity: u64) -> Option<usize> {
        let (even, odd) = self.full.split_at(FULL_WORDS);
        let mut wanted = u64::MAX << (from % 64);
        for block in from / 64..=to / 64 {
            let full = match parity {
                EVEN => even[block],
                u64::MAX => even[block] & odd[block],
                _ => odd[block],
            };
            let free = !full & wanted;
            if free != 0 {
                let word = block * 64 + free.trailing_zeros() as usize;
                return (word <= to).then_some(word);
            }
            wanted = u64::MAX;
        }
        None
    }
}

/// The bits of a word that lie in the range: its ends need not fall on words.
fn range_mask(word: usize, range: (u16, u16)) -> u64 {
    let first = (word * 64) as u32;
    let low = u32::from(range.0).saturating_sub(first).min(63);
    let high = (u32::from(range.1) - first).min(63);
    (u64::MAX << low) & (u64::MAX >> (63 - high))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of which nothing is in use.
    struct Address(Used, Bitmaps);

    impl Address {
        fn new() -> Address {
            Address(NOTHING_USED, [0; BITMAPS_WORDS])
        }

        fn ports(&mut self) -> AddressPorts<'_> {
            AddressPorts::new(&mut self.0, &mut self.1)
        }
    }

    fn preserving(protocol: Protocol, inside: u16) -> Wish {
        let range = class_of(protocol, inside);
        Wish { protocol, inside, range, preserve: true, parity: true, random: 0, is_pair: false }
    }

    #[test]
    fn keeps_the_port_then_its_parity_then_its_class() {
        let mut address = Address::new();
        let mut ports = address.ports();
        let mut take = |protocol, inside, low: u16| {
            ports.take(&preserving(protocol, inside), Claimant::ALONE, |port| port >= low)
        };
        assert_eq!(take(UDP, 5000, 0), Some(5000));
        assert_eq!(take(UDP, 5000, 0), Some(5002));
        assert_eq!(take(UDP, 5001, 0), Some(5001));
        assert_eq!(take(TCP, 5000, 0), Some(5000));
        assert_eq!(take(UDP, 123, 0), Some(513));
        assert_eq!(take(UDP, 80, 600), Some(600));
        assert!(!ports.release(UDP, 5000), "5001 and 5002 are of its group");
        assert_eq!(ports.take(&preserving(UDP, 5000), Claimant::ALONE, |_| true), Some(5000));
        assert_eq!((ports.used[1], ports.used[0]), (5, 1));
    }

    #[test]
    fn a_pair_is_an_even_port_and_the_one_behind_it() {
        let mut address = Address::new();
        let mut ports = address.ports();
        let pair = |inside| Wish { is_pair: true, ..preserving(UDP, inside) };
        let mut take = |wish: &Wish| ports.take(wish, Claimant::ALONE, |_| true);
        assert_eq!(take(&preserving(UDP, 5001)), Some(5001));
        assert_eq!(take(&pair(5000)), Some(5002), "5001 is in use");
        assert_eq!(take(&pair(5002)), Some(5004));
        assert_eq!(take(&preserving(UDP, 5003)), Some(5007), "5003 and 5005 belong to pairs");
        let last = Wish { range: (65_534, 65_535), ..pair(65_534) };
        assert_eq!((take(&last), take(&last)), (Some(65_534), None));
        assert!(!ports.release(UDP, 5002), "5003 is in use still");
    }

    #[test]
    fn every_port_of_a_range_is_used_before_the_first_refusal() {
        for preserve in [true, false] {
            for (inside, count) in [(700, 512), (1030, 64_512), (40_001, 64_512)] {
                let mut address = Address::new();
                let mut ports = address.ports();
                let mut random = 1u64;
                let mut taken: Vec<u16> = std::iter::from_fn(|| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let wish = Wish { preserve, random, ..preserving(TCP, inside) };
                    ports.take(&wish, Claimant::ALONE, |_| true)
                })
                .collect();
                taken.sort_unstable();
                taken.dedup();
                assert_eq!(taken.len(), count);
                let (low, high) = class_of(TCP, inside);
                assert!(taken[0] >= low && *taken.last().unwrap() <= high);
            }
        }
    }

    /// RFC 6888 REQ-15: a thousand buckets of ports are hit evenly. 64 degrees of freedom, p below 0.001 at 112.3.
    #[test]
    fn random_ports_are_evenly_spread() {
        let mut random = 0x2545_f491_4f6c_dd1du64;
        println!("seed {random:#x}");
        let mut buckets = [0u32; 64];
        for _ in 0..64_000 {
            let mut address = Address::new();
            let mut ports = address.ports();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let wish = Wish { preserve: false, parity: false, random, ..preserving(UDP, 5000) };
            let port = ports.take(&wish, Claimant::ALONE, |_| true).unwrap();
            buckets[usize::from(port - 1024) * 64 / 64_512] += 1;
        }
        let chi: f64 = buckets.iter().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 112.3, "chi square {chi}");
    }

    #[test]
    fn sets_do_not_overlap_and_end_below_the_last_port() {
        for (size, step) in [(512, 8), (64, 1), (1024, 16)] {
            let mut address = Address::new();
            let mut ports = address.ports();
            let sets: Vec<PortSet> = std::iter::from_fn(|| ports.take_set(size, step, |_| true)).collect();
            let mut all: Vec<u32> = Vec::new();
            for set in &sets {
                all.extend((0..size).map(|k| u32::from(set.first) + u32::from(k) * u32::from(step)));
                assert!(set.holds(set.port(size - 1)) && !set.holds(set.first.wrapping_sub(step)));
            }
            assert!(all.iter().all(|&port| (1024..65_536).contains(&port)));
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!((all.len(), count), (count, sets.len() * usize::from(size)));
            ports.release_set(&sets[1]);
            assert_eq!(ports.take_set(size, step, |_| true).unwrap().number, sets[1].number);
        }
    }
}
