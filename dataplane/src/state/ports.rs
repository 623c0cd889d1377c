//! The ports of one global address: which are in use.

use crate::tuple::{ICMP, Protocol, TCP, UDP};

const WORDS: usize = 65_536 / 64;
const EVEN: u64 = 0x5555_5555_5555_5555;

/// The use of one address: bitmaps of its ports, for TCP, UDP, and ICMP identifiers, or the whole of it.
pub struct AddressPorts {
    maps: [PortMap; 3],
    is_whole: bool,
}

struct PortMap {
    words: Box<[u64; WORDS]>,
    used: u32,
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

impl Default for AddressPorts {
    fn default() -> AddressPorts {
        let maps = std::array::from_fn(|_| PortMap { words: Box::new([0; WORDS]), used: 0 });
        AddressPorts { maps, is_whole: false }
    }
}

impl AddressPorts {
    fn map_of(protocol: Protocol) -> Option<usize> {
        match protocol {
            TCP => Some(0),
            UDP => Some(1),
            ICMP => Some(2),
            _ => None,
        }
    }

    /// Ports in use, of one protocol.
    pub fn used(&self, protocol: Protocol) -> u32 {
        Self::map_of(protocol).map_or(0, |map| self.maps[map].used)
    }

    /// Ports in use, of all protocols; the whole address counts as one.
    pub fn used_total(&self) -> u32 {
        self.maps.iter().map(|map| map.used).sum::<u32>() + u32::from(self.is_whole)
    }

    /// Takes the whole address, where nothing of it is in use.
    pub fn take_whole(&mut self) -> bool {
        let is_free = self.used_total() == 0;
        self.is_whole |= is_free;
        is_free
    }

    /// Gives the whole address back.
    pub fn release_whole(&mut self) {
        debug_assert!(self.is_whole, "an address was released twice");
        self.is_whole = false;
    }

    /// Takes a port for an inside port: the same one where it is free, else the next free one of its class and
    /// parity, else the next of its class. Ports for which `is_reserved` holds are passed over.
    pub fn take(
        &mut self,
        protocol: Protocol,
        wanted: u16,
        is_reserved: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        if self.is_whole {
            return None;
        }
        let map = &mut self.maps[Self::map_of(protocol)?];
        let class = class_of(protocol, wanted);
        let start = wanted.clamp(class.0, class.1);
        let parity = if wanted & 1 == 0 { EVEN } else { !EVEN };
        let port = map
            .next_free(start, class, parity, &is_reserved)
            .or_else(|| map.next_free(start, class, !parity, &is_reserved))?;
        map.words[usize::from(port) / 64] |= 1 << (port % 64);
        map.used += 1;
        Some(port)
    }

    /// Gives a port back.
    pub fn release(&mut self, protocol: Protocol, port: u16) {
        let Some(map) = Self::map_of(protocol) else { return };
        let map = &mut self.maps[map];
        let bit = 1 << (port % 64);
        debug_assert!(map.words[usize::from(port) / 64] & bit != 0, "port {port} released twice");
        map.words[usize::from(port) / 64] &= !bit;
        map.used -= 1;
    }
}

impl PortMap {
    /// The first free port of a parity from `start` upward in the class, round to just before it.
    fn next_free(
        &self,
        start: u16,
        class: (u16, u16),
        parity: u64,
        is_reserved: &impl Fn(u16) -> bool,
    ) -> Option<u16> {
        let (first_word, last_word) = (usize::from(class.0) / 64, usize::from(class.1) / 64);
        let count = last_word - first_word + 1;
        let offset = usize::from(start) / 64 - first_word;
        // The start's word comes twice: from the start upward first, what lies below it at the end.
        for step in 0..=count {
            let word = first_word + (offset + step) % count;
            let mut free = !self.words[word] & parity & class_mask(word, class);
            let from_start = u64::MAX << (start % 64);
            match step {
                0 => free &= from_start,
                _ if step == count => free &= !from_start,
                _ => {}
            }
            while free != 0 {
                let port = (word * 64) as u16 + free.trailing_zeros() as u16;
                if !is_reserved(port) {
                    return Some(port);
                }
                free &= free - 1;
            }
        }
        None
    }
}

/// The bits of a word that lie in the class: its ends need not fall on words.
fn class_mask(word: usize, class: (u16, u16)) -> u64 {
    let first = (word * 64) as u32;
    let low = u32::from(class.0).saturating_sub(first).min(63);
    let high = (u32::from(class.1) - first).min(63);
    (u64::MAX << low) & (u64::MAX >> (63 - high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_port_then_its_parity_then_its_class() {
        let mut ports = AddressPorts::default();
        assert_eq!(ports.take(UDP, 5000, |_| false), Some(5000));
        assert_eq!(ports.take(UDP, 5000, |_| false), Some(5002));
        assert_eq!(ports.take(UDP, 5001, |_| false), Some(5001));
        assert_eq!(ports.take(TCP, 5000, |_| false), Some(5000));
        assert_eq!(ports.take(UDP, 123, |_| false), Some(513));
        assert_eq!(ports.take(UDP, 80, |port| port < 600), Some(600));
        ports.release(UDP, 5000);
        assert_eq!(ports.take(UDP, 5000, |_| false), Some(5000));
        assert_eq!((ports.used(UDP), ports.used(TCP)), (5, 1));
    }

    #[test]
    fn every_port_of_a_class_is_used_before_the_first_refusal() {
        for (wanted, count) in [(700, 512), (40_001, 64_512)] {
            let mut ports = AddressPorts::default();
            let mut taken: Vec<u16> = std::iter::from_fn(|| ports.take(TCP, wanted, |_| false)).collect();
            taken.sort_unstable();
            taken.dedup();
            assert_eq!(taken.len(), count);
            let (low, high) = class_of(TCP, wanted);
            assert!(taken[0] >= low && *taken.last().unwrap() <= high);
        }
    }
}
