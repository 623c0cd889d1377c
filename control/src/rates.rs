//! Rates of interfaces, as `show interfaces` has them: averages that forget exponentially within five minutes.

use dataplane::counters::Counters;
use std::sync::Arc;

/// How often rates are taken, in milliseconds.
pub const EVERY_MS: u64 = 5000;
/// The time within which an average forgets, in milliseconds.
const WINDOW_MS: f64 = 300_000.0;

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Bits a second.
    pub bits_per_s: f64,
    /// Packets a second.
    pub packets_per_s: f64,
    /// When a packet was last seen to have passed; none before the first.
    last_ms: Option<u64>,
    packets: u64,
    bytes: u64,
}

impl Rate {
    /// When a packet was last known to have passed, in milliseconds since the start; none before the first. `packets` are those
    /// that have passed until now: others than when rates were taken came since then.
    pub fn last_ms(&self, packets: u64, now_ms: u64) -> Option<u64> {
        if packets == self.packets { self.last_ms } else { Some(now_ms) }
    }

    fn update(&mut self, packets: u64, bytes: u64, passed_ms: u64, now_ms: u64) {
        if packets != self.packets {
            self.last_ms = Some(now_ms);
        }
        let per_s = |count: u64| count as f64 * 1000.0 / passed_ms as f64;
        let weight = 1.0 - (-(passed_ms as f64) / WINDOW_MS).exp();
        self.packets_per_s += (per_s(packets - self.packets) - self.packets_per_s) * weight;
        self.bits_per_s += (per_s(8 * (bytes - self.bytes)) - self.bits_per_s) * weight;
        (self.packets, self.bytes) = (packets, bytes);
    }
}

/// The rates of every interface.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    taken_ms: u64,
    interfaces: Vec<[Rate; 2]>,
}

impl Rates {
    /// Takes the rates of so many interfaces, if it is time.
    pub fn update(&mut self, counters: &[Arc<Counters>], interface_count: usize, now_ms: u64) {
        let passed_ms = now_ms - self.taken_ms;
        if passed_ms < EVERY_MS {
            return;
        }
        self.taken_ms = now_ms;
        self.interfaces.resize(interface_count, [Rate::default(); 2]);
        for (index, [input, output]) in self.interfaces.iter_mut().enumerate() {
            let of_interface = || counters.iter().map(|counters| counters.interface(index as u16));
            let sum = |of: fn(&dataplane::counters::InterfaceCounters) -> u64| of_interface().map(of).sum();
            input.update(sum(|c| c.in_packets.value()), sum(|c| c.in_bytes.value()), passed_ms, now_ms);
            output.update(sum(|c| c.out_packets.value()), sum(|c| c.out_bytes.value()), passed_ms, now_ms);
        }
    }

    /// The rates of an interface, input and output.
    pub fn of(&self, index: usize) -> [Rate; 2] {
        self.interfaces.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_nears_a_steady_rate_and_forgets_it() {
        let mut rate = Rate::default();
        let (mut packets, mut bytes, mut now_ms) = (0, 0, 0);
        for _ in 0..240 {
            (packets, bytes) = (packets + 500, bytes + 50_000);
            now_ms += EVERY_MS;
            rate.update(packets, bytes, EVERY_MS, now_ms);
        }
        let last_ms = rate.last_ms;
        assert_eq!(last_ms, Some(now_ms));
        assert_eq!(rate.last_ms(packets, now_ms + 1), Some(now_ms));
        assert_eq!(
            rate.last_ms(packets + 1, now_ms + 1),
            Some(now_ms + 1),
            "one came since the rates were taken"
        );
        assert!((rate.packets_per_s - 100.0).abs() < 2.0, "{rate:?}");
        assert!((rate.bits_per_s - 80_000.0).abs() < 1600.0, "{rate:?}");
        for _ in 0..240 {
            now_ms += EVERY_MS;
            rate.update(packets, bytes, EVERY_MS, now_ms);
        }
        assert_eq!(rate.last_ms, last_ms, "nothing passed since");
        assert!(rate.packets_per_s < 2.0, "{rate:?}");
    }
}
