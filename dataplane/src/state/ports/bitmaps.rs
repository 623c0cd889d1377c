//! The ports of one global address: which are in use.
//!
//! An address has a sheet while something of it is in use, and there a sheet for each 4096 ports of a protocol of which
//! some are. No more memory is ever touched than the ports that were in use at once can need, however many addresses
//! there are.

use std::net::Ipv4Addr;
use std::ops::Range;

use crate::flow::{ICMP, Protocol, TCP, UDP};
use crate::state::ports::ownership::{Claimant, PORTS_PER_GROUP, Standing};
use crate::state::ports::port_set::{PortSet, SETS_MAX, sets_of_address};
use crate::state::ports::sheets::{NO_SHEET, Sheets};

/// Ports below this are a class of their own.
pub(super) const LOW_PORTS: usize = 1024;
const EVEN: u64 = 0x5555_5555_5555_5555;
/// Ports tried at random before the rest are looked at in order.
const RANDOM_TRIES: u32 = 8;

// A group of ports that changes owner together is one word of the bitmaps.
const _: () = assert!(PORTS_PER_GROUP == 64);

/// Protocols whose ports are counted apart: TCP, UDP, and ICMP with its identifiers.
const MAPS: usize = 3;
/// Words of a protocol's bitmap on one sheet.
const WORDS_PER_SHEET: usize = 64;
/// Sheets of a protocol's bitmap.
pub(super) const SHEETS_PER_MAP: usize = 65_536 / 64 / WORDS_PER_SHEET;
/// The most sheets that an address needs: its own, and those of all its ports.
pub const SHEETS_PER_ADDRESS: usize = 1 + MAPS * SHEETS_PER_MAP;

/// Words of a sheet, of either kind.
pub const PORT_WORDS: usize = 72;
/// Sheets of addresses and of ports.
type PortSheets = Sheets<PORT_WORDS>;
type Sheet = [u64; PORT_WORDS];

// A sheet of ports has a word for each group of them; then which words have no even port free, and no odd one, a bit each;
// then how many are in use.
const FULL: usize = WORDS_PER_SHEET;
const COUNT: usize = FULL + 2;

// A sheet of an address has the numbers of its sheets of ports, by protocol; which sets of ports (`ip nat settings pap bpa`)
// are taken, a bit each, and how many; how much is in use; the sheets of the addresses after and before it, of those in use;
// and the address.
const SETS: usize = MAPS * SHEETS_PER_MAP;
/// The first word of an address's sheet with how much is in use, by protocol.
pub(super) const USED: usize = SETS + SETS_MAX.div_ceil(64);
const SET_COUNT: usize = USED + MAPS + 1;
/// The word of an address's sheet with the sheet of the next address in use.
pub const NEXT: usize = SET_COUNT + 1;
const PREVIOUS: usize = NEXT + 1;
/// The word of an address's sheet with the address.
pub const ADDR: usize = PREVIOUS + 1;
const _: () = assert!(ADDR < PORT_WORDS && COUNT < PORT_WORDS);

/// What is in use of an address: ports by protocol, and in the last place whether somebody has the whole of it.
pub type Used = [u32; MAPS + 1];

/// The ports of one address.
pub struct AddressPorts<'a> {
    sheets: &'a mut PortSheets,
    /// The number of the address's sheet.
    home: &'a mut u32,
    /// That of the address that was last to be in use.
    first: &'a mut u32,
    addr: Ipv4Addr,
}

/// The ports of one protocol.
struct PortMap<'a> {
    sheets: &'a PortSheets,
    /// The numbers of its sheets.
    numbers: [u64; SHEETS_PER_MAP],
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

/// How much of an address is in use, by its sheet.
pub fn used_of(sheet: &[u64; PORT_WORDS]) -> Used {
    std::array::from_fn(|place| sheet[USED + place] as u32)
}

/// Ports of an address in use, of all protocols; the whole address counts as one.
pub fn used_total(used: &Used) -> u32 {
    used.iter().sum()
}

/// Whether somebody has the whole address.
pub fn is_whole(used: &Used) -> bool {
    used[MAPS] != 0
}

/// The place of a protocol's map among those of an address.
pub(super) fn map_number(protocol: Protocol) -> Option<usize> {
    match protocol {
        TCP => Some(0),
        UDP => Some(1),
        ICMP => Some(2),
        _ => None,
    }
}

impl<'a> AddressPorts<'a> {
    /// The ports of an address whose sheet has the number `home`, if it is in use; those that are, begin with the sheet
    /// `first`.
    pub fn new(
        sheets: &'a mut Sheets<PORT_WORDS>,
        home: &'a mut u32,
        first: &'a mut u32,
        addr: Ipv4Addr,
    ) -> AddressPorts<'a> {
        AddressPorts { sheets, home, first, addr }
    }

    /// How much is in use.
    pub fn used(&self) -> Used {
        self.sheets.at(*self.home).map(used_of).unwrap_or_default()
    }

    fn map(&self, protocol: Protocol) -> Option<PortMap<'_>> {
        let from = map_number(protocol)? * SHEETS_PER_MAP;
        let numbers = self.sheets.at(*self.home).and_then(|sheet| sheet[from..].first_chunk().copied());
        Some(PortMap { sheets: self.sheets, numbers: numbers.unwrap_or_default() })
    }

    /// The address's sheet, which is in use from now on. None when there is no room.
    fn enter(&mut self) -> Option<&mut Sheet> {
        if *self.home == NO_SHEET {
            let (number, next) = (self.sheets.take()?, *self.first);
            let sheet = self.sheets.at_mut(number)?;
            (sheet[NEXT], sheet[ADDR]) = (u64::from(next), u64::from(self.addr.to_bits()));
            if let Some(next) = self.sheets.at_mut(next) {
                next[PREVIOUS] = u64::from(number);
            }
            (*self.home, *self.first) = (number, number);
        }
        self.sheets.at_mut(*self.home)
    }

    /// Gives the address's sheet back where nothing is in use.
    fn leave(&mut self) {
        let number = *self.home;
        let Some(sheet) = self.sheets.at_mut(number) else { return };
        if used_total(&used_of(sheet)) > 0 || sheet[SET_COUNT] > 0 {
            return;
        }
        let (next, previous) = (std::mem::take(&mut sheet[NEXT]), std::mem::take(&mut sheet[PREVIOUS]));
        sheet[ADDR] = 0;
        if let Some(next) = self.sheets.at_mut(next as u32) {
            next[PREVIOUS] = previous;
        }
        match self.sheets.at_mut(previous as u32) {
            Some(previous) => previous[NEXT] = next,
            None => *self.first = next as u32,
        }
        self.sheets.give_back(number);
        *self.home = NO_SHEET;
    }

    /// Takes the whole address, where nothing of it is in use.
    pub fn take_whole(&mut self) -> bool {
        let is_free = used_total(&self.used()) == 0;
        let sheet = if is_free { self.enter() } else { None };
        sheet.map(|sheet| sheet[USED + MAPS] = 1).is_some()
    }

    /// Gives the whole address back.
    pub fn release_whole(&mut self) {
        debug_assert!(is_whole(&self.used()), "an address was released twice");
        if let Some(sheet) = self.sheets.at_mut(*self.home) {
            sheet[USED + MAPS] = 0;
            self.leave();
        }
    }

    /// Notes a free port as in use, and the one behind it if the wish is for a pair. Returns whether there was room.
    fn set_all(&mut self, wish: &Wish, port: u16) -> bool {
        let is_done = self.set(wish, port).is_some();
        if !is_done {
            self.leave();
        }
        is_done
    }

    fn set(&mut self, wish: &Wish, port: u16) -> Option<()> {
        let (map, word) = (map_number(wish.protocol)?, usize::from(port) / 64);
        let place = map * SHEETS_PER_MAP + word / WORDS_PER_SHEET;
        let number = match self.enter()?[place] as u32 {
            NO_SHEET => self.sheets.take()?,
            number => number,
        };
        let (bits, count) = if wish.is_pair { (0b11, 2) } else { (0b1, 1) };
        let (sheet, word) = (self.sheets.at_mut(number)?, word % WORDS_PER_SHEET);
        sheet[word] |= bits << (port % 64);
        sheet[COUNT] += count;
        for (full, parity) in [EVEN, !EVEN].into_iter().enumerate() {
            let is_full = sheet[word] & parity == parity;
            sheet[FULL + full] |= u64::from(is_full) << word;
        }
        let home = self.enter()?;
        home[place] = u64::from(number);
        home[USED + map] += count;
        Some(())
    }

    /// Ports of a protocol in use between two; where that is all of a class, the few below count as well.
    pub(super) fn used_between(&self, protocol: Protocol, low: u16, high: u16) -> u32 {
        let Some(number) = map_number(protocol) else { return 0 };
        if usize::from(high) >= LOW_PORTS {
            return self.sheets.at(*self.home).map_or(0, |sheet| sheet[USED + number] as u32);
        }
        let words = usize::from(low) / 64..=usize::from(high) / 64;
        self.map(protocol).map_or(0, |map| words.map(|word| map.word(word).count_ones()).sum())
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
        if is_whole(&self.used()) || wish.range.0 > wish.range.1 {
            return None;
        }
        let map = self.map(wish.protocol)?;
        let is_good = |map: &PortMap<'_>, port: u16| {
            let is_paired = || map.has_odd_beside(port, wish.range.1) && is_allowed(port + 1);
            is_allowed(port) && (!wish.is_pair || is_paired()) && groups.claim(port)
        };
        let port = map.choose(wish, groups, |port| is_good(&map, port))?;
        self.set_all(wish, port).then_some(port)
    }

    /// Takes a port of a set, one with a number of this part, from a random one on.
    pub fn take_of_set(
        &mut self,
        wish: &Wish,
        set: &PortSet,
        part: Range<u16>,
        mut may_take: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let map = self.map(wish.protocol)?;
        let len = part.len() as u16;
        let start = wish.random.checked_rem(u64::from(len))? as u16;
        let mut is_good = |port: &u16| {
            let is_paired = || map.has_odd_beside(*port, u16::MAX) && set.holds(port.wrapping_add(1));
            !map.is_set(*port) && (!wish.is_pair || is_paired()) && may_take(*port)
        };
        let ports = || (0..len).map(|k| set.port(part.start + (start + k) % len));
        let is_alike = |port: &u16| port & 1 == wish.inside & 1;
        let alike = if wish.parity { ports().filter(is_alike).find(&mut is_good) } else { None };
        let port = alike.or_else(|| ports().find(is_good))?;
        self.set_all(wish, port).then_some(port)
    }

    /// Takes a whole set of ports, the first free one, or none where all are taken or partly in use.
    pub fn take_set(
        &mut self,
        size: u16,
        step: u16,
        mut may_take: impl FnMut(u16) -> bool,
    ) -> Option<PortSet> {
        let count = sets_of_address(size, step);
        let taken = self.sheets.at(*self.home);
        let is_taken = |number: u16| {
            taken.is_some_and(|sheet| sheet[SETS + usize::from(number) / 64] & 1 << (number % 64) != 0)
        };
        let number = (0..count)
            .find(|&number| !is_taken(number) && may_take(PortSet::numbered(number, size, step).first))?;
        let sheet = self.enter()?;
        sheet[SETS + usize::from(number) / 64] |= 1 << (number % 64);
        sheet[SET_COUNT] += 1;
        Some(PortSet::numbered(number, size, step))
    }

    /// Gives a set of ports back.
    pub fn release_set(&mut self, set: &PortSet) {
        let Some(sheet) = self.sheets.at_mut(*self.home) else { return };
        sheet[SETS + usize::from(set.number) / 64] &= !(1 << (set.number % 64));
        sheet[SET_COUNT] -= 1;
        self.leave();
    }

    /// Gives a port back. Returns whether its group of ports has no other port in use.
    pub fn release(&mut self, protocol: Protocol, port: u16) -> bool {
        let Some(map) = map_number(protocol) else { return false };
        let word = usize::from(port) / 64;
        let place = map * SHEETS_PER_MAP + word / WORDS_PER_SHEET;
        let Some(home) = self.sheets.at(*self.home) else { return false };
        let number = home[place] as u32;
        let Some(sheet) = self.sheets.at_mut(number) else { return false };
        let at = word % WORDS_PER_SHEET;
        debug_assert!(sheet[at] & 1 << (port % 64) != 0, "port {port} released twice");
        sheet[at] &= !(1 << (port % 64));
        sheet[FULL + usize::from(port & 1)] &= !(1 << at);
        sheet[COUNT] -= 1;
        let is_last = sheet[COUNT] == 0;
        if is_last {
            self.sheets.give_back(number);
        }
        if let Some(home) = self.sheets.at_mut(*self.home) {
            home[USED + map] -= 1;
            if is_last {
                home[place] = 0;
            }
        }
        let is_free = |protocol| self.map(protocol).is_none_or(|map| map.word(word) == 0);
        let is_group_free = [TCP, UDP, ICMP].into_iter().all(is_free);
        self.leave();
        is_group_free
    }
}

impl PortMap<'_> {
    /// A word of the bitmap.
    fn word(&self, word: usize) -> u64 {
        let sheet = self.sheets.at(self.numbers[word / WORDS_PER_SHEET] as u32);
        sheet.map_or(0, |sheet| sheet[word % WORDS_PER_SHEET])
    }

    fn is_set(&self, port: u16) -> bool {
        self.word(usize::from(port) / 64) & 1 << (port % 64) != 0
    }

    /// Whether a port is even, and the odd one behind it is free and no higher than `last`.
    fn has_odd_beside(&self, port: u16, last: u16) -> bool {
        port & 1 == 0 && port < last && !self.is_set(port + 1)
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
                let mut free = !self.word(word) & parity & part & range_mask(word, range);
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
        let mut wanted = u64::MAX << (from % 64);
        for block in from / 64..=to / 64 {
            let sheet = self.sheets.at(self.numbers[block] as u32);
            let (even, odd) = sheet.map_or((0, 0), |sheet| (sheet[FULL], sheet[FULL + 1]));
            let full = match parity {
                EVEN => even,
                u64::MAX => even & odd,
                _ => odd,
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
    use crate::state::ports::sheets::pieces;

    /// An address of which nothing is in use.
    struct Address(PortSheets, u32, u32);

    impl Address {
        fn new() -> Address {
            let mut sheets = Sheets::new();
            sheets.extend(pieces::<PORT_WORDS>(0, SHEETS_PER_ADDRESS).collect());
            Address(sheets, NO_SHEET, NO_SHEET)
        }

        fn ports(&mut self) -> AddressPorts<'_> {
            let Address(sheets, home, first) = self;
            AddressPorts::new(sheets, home, first, Ipv4Addr::LOCALHOST)
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
        assert_eq!(ports.used(), [1, 5, 0, 0]);
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
