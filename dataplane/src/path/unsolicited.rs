//! Unsolicited inbound SYNs (RFC 5382 REQ-4): no answer for six seconds, so that a simultaneous open may cross
//! them; then "port unreachable", unless a session came to be meanwhile.

use std::collections::VecDeque;

use arrayvec::ArrayVec;

use crate::flow::{Direction, Endpoint};
use crate::head::Head;
use crate::state::session::SessionKey;
use crate::state::table::timer::is_due;

/// How long a SYN is kept, in milliseconds.
const KEPT_MS: u32 = 6000;
/// SYNs kept at once; those beyond are dropped without an answer.
const KEPT_MAX: usize = 1024;
/// Bytes of a SYN that are kept to be quoted: its IPv4 header and eight bytes more, or somewhat more.
const QUOTE_LEN_MAX: usize = 68;

/// A SYN that nobody asked for.
pub struct Kept {
    /// What its session would be found by.
    pub key: SessionKey,
    /// Where it wanted to go.
    pub dst: Endpoint,
    /// The interface it arrived on.
    pub interface: u16,
    /// Its first bytes, from the IPv4 header on.
    pub quote: ArrayVec<u8, QUOTE_LEN_MAX>,
    since_ms: u32,
}

/// The SYNs of one worker that may be answered later.
pub struct Unsolicited {
    kept: VecDeque<Kept>,
}

impl Default for Unsolicited {
    fn default() -> Unsolicited {
        Unsolicited { kept: VecDeque::with_capacity(KEPT_MAX) }
    }
}

impl Unsolicited {
    /// Keeps a SYN, of which `original` starts with the IPv4 header.
    pub fn keep(&mut self, head: &Head, original: &[u8], now: u32) {
        if self.kept.len() >= KEPT_MAX {
            return;
        }
        let tuple = &head.tuple;
        let key = SessionKey::new(tuple, Direction::Inbound);
        let quote = original.iter().copied().take(QUOTE_LEN_MAX).collect();
        let (dst, interface) = (tuple.dst, head.interface);
        self.kept.push_back(Kept { key, dst, interface, quote, since_ms: now });
    }

    /// The next SYN whose time has come.
    pub fn next_due(&mut self, now: u32) -> Option<Kept> {
        let is_over = |kept: &Kept| is_due(now, kept.since_ms.wrapping_add(KEPT_MS));
        if self.kept.front().is_some_and(is_over) { self.kept.pop_front() } else { None }
    }
}
