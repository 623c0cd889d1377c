//! How many notices may be sent, and how many of them to one receiver (RFC 5508 REQ-9).

use std::net::Ipv4Addr;

use crate::state::table::share::Places;

/// Notices in a row: a hundred of them are one receiver's share.
const NOTICES_MAX: u32 = 213;
/// After this time there may be another one.
const NOTICE_EVERY_MS: u32 = 5;
/// Receivers are told apart by this many places; those that meet in one share a share.
const RECEIVERS: usize = 256;

/// A token bucket for notices. Who was told much lately has as many more as others have left.
#[derive(Debug)]
pub struct NoticeBudget {
    tokens: u32,
    refilled_ms: u32,
    receivers: Box<[Receiver; RECEIVERS]>,
}

/// What one receiver was told, and forgot again as tokens come back.
#[derive(Clone, Copy, Debug, Default)]
struct Receiver {
    told: u32,
    since_ms: u32,
}

impl NoticeBudget {
    /// A full bucket at `now`.
    pub fn new(now: u32) -> NoticeBudget {
        let receivers = Box::new([Receiver { told: 0, since_ms: now }; RECEIVERS]);
        NoticeBudget { tokens: NOTICES_MAX, refilled_ms: now, receivers }
    }

    /// Takes a token for a receiver if there is one for it. Strangers outside, who are as many as they like, leave half of the
    /// bucket to the inside.
    pub fn take(&mut self, receiver: Ipv4Addr, is_outside: bool, now: u32) -> bool {
        let gained = gained(&mut self.refilled_ms, now);
        self.tokens = self.tokens.saturating_add(gained).min(NOTICES_MAX);
        // Fibonacci hashing: neighbours are told apart.
        let place = receiver.to_bits().wrapping_mul(0x9e37_79b9) as usize >> (32 - RECEIVERS.ilog2());
        let Some(told) = self.receivers.get_mut(place) else { return false };
        let forgotten = self::gained(&mut told.since_ms, now);
        told.told = told.told.saturating_sub(forgotten);
        let places = Places { capacity: NOTICES_MAX as usize, free: self.tokens as usize };
        let is_for_others = is_outside && self.tokens <= NOTICES_MAX / 2;
        let is_left = !is_for_others && places.left(told.told as usize) > 0;
        self.tokens -= u32::from(is_left);
        told.told += u32::from(is_left);
        is_left
    }
}

/// The tokens that came since a time, which moves on by as many.
fn gained(since_ms: &mut u32, now: u32) -> u32 {
    let gained = now.wrapping_sub(*since_ms) / NOTICE_EVERY_MS;
    *since_ms = since_ms.wrapping_add(gained * NOTICE_EVERY_MS);
    gained
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

    #[test]
    fn who_is_told_all_the_time_leaves_others_theirs() {
        let mut budget = NoticeBudget::new(7);
        let told = |budget: &mut NoticeBudget, whom, now| {
            (0..1000).filter(|_| budget.take(whom, false, now)).count()
        };
        assert_eq!(told(&mut budget, GREEDY, 7), 100);
        for step in 1..400 {
            let now = 7 + step * 50;
            assert!(told(&mut budget, GREEDY, now) <= 10, "ten came back");
            if step % 100 == 0 {
                assert!(told(&mut budget, OTHER, now) >= 16, "step {step}");
            }
        }
    }

    #[test]
    fn strangers_without_end_leave_the_inside_its_half() {
        let mut budget = NoticeBudget::new(7);
        for step in 0..400 {
            let now = 7 + step * 50;
            let strangers = (0..1000).map(|number| Ipv4Addr::from_bits(0x0800_0000 + step * 1000 + number));
            let told = strangers.filter(|&stranger| budget.take(stranger, true, now)).count();
            assert!(told >= 9, "ten came back, and one of them is another's: {told} at step {step}");
            assert!(budget.take(OTHER, false, now), "step {step}");
        }
    }
}
