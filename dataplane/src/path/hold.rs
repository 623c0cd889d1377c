//! The hold queue: packets that wait until the Ethernet address of their next hop is known.
//!
//! Each side of the NAT has half of its places. There everybody may have as many as he leaves to others, and gives up his own
//! oldest packet for one more. So does whoever sends to a next hop that has enough packets waiting. A sender who has none gets
//! the place of the oldest packet of all.

use std::collections::VecDeque;

use mem::Packet;

use crate::flow::Direction;
use crate::path::share::Sender;
use crate::route::fib::NextHop;
use crate::state::table::share::Places;
use crate::state::table::timer::is_due;

/// The most packets that wait for one next hop: the latest ones (RFC 1122 2.3.2.2).
pub const HELD_PER_HOP_MAX: usize = 8;
/// The most packets that wait for any next hop, half of them from each side.
pub const HELD_MAX: usize = 256;
/// How long a packet waits for its next hop, in milliseconds.
const HOLD_MS: u32 = 3000;

/// A packet that waits.
pub struct Held {
    /// The packet.
    pub packet: Packet,
    /// Offset of its IPv4 header.
    pub l3: u16,
    /// What it waits for.
    pub next_hop: NextHop,
    /// Who sent it.
    pub sender: Sender,
    /// Which way it crosses the NAT.
    pub side: Direction,
    /// Since when it waits.
    pub since_ms: u32,
}

/// The packets that wait, oldest first.
pub struct HoldQueue(VecDeque<Held>);

/// Some of the packets that wait: how many, and where the oldest is; of all senders, and of one.
#[derive(Default)]
struct Part {
    count: usize,
    oldest: Option<usize>,
    own_count: usize,
    own_oldest: Option<usize>,
}

impl Default for HoldQueue {
    fn default() -> HoldQueue {
        HoldQueue(VecDeque::with_capacity(HELD_MAX))
    }
}

impl HoldQueue {
    /// Packets that wait.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether any packet waits for a next hop.
    pub fn waits_for(&self, next_hop: NextHop) -> bool {
        self.0.iter().any(|held| held.next_hop == next_hop)
    }

    /// Has a packet wait. Returns the one that goes for it, if one has to.
    pub fn push(&mut self, mut held: Held) -> Option<Held> {
        let gone = self.in_the_way_of(&held).and_then(|position| self.0.remove(position));
        // The wait is not prolonged by whoever crowds the queue: when it is over, the next hop is asked for again.
        if let Some(gone) = gone.as_ref().filter(|gone| gone.next_hop == held.next_hop) {
            held.since_ms = gone.since_ms;
        }
        self.0.push_back(held);
        gone
    }

    fn in_the_way_of(&self, new: &Held) -> Option<usize> {
        let of_hop = self.part(new.sender, |held| held.next_hop == new.next_hop);
        let of_side = self.part(new.sender, |held| held.side == new.side);
        let full =
            [(of_hop, HELD_PER_HOP_MAX), (of_side, HELD_MAX / 2)].into_iter().find(|(part, capacity)| {
                let free = capacity.saturating_sub(part.count);
                Places { capacity: *capacity, free }.left(part.own_count) == 0
            });
        full.and_then(|(part, _)| part.own_oldest.or(part.oldest))
    }

    fn part(&self, sender: Sender, is_of_it: impl Fn(&Held) -> bool) -> Part {
        let mut part = Part::default();
        for (position, held) in self.0.iter().enumerate().filter(|(_, held)| is_of_it(held)) {
            part.count += 1;
            part.oldest = part.oldest.or(Some(position));
            if held.sender == sender {
                part.own_count += 1;
                part.own_oldest = part.own_oldest.or(Some(position));
            }
        }
        part
    }

    /// Takes out the oldest packet that waits for a next hop.
    pub fn take(&mut self, next_hop: NextHop) -> Option<Held> {
        self.remove_first(|held| held.next_hop == next_hop)
    }

    /// Takes out a packet whose wait is over: its next hop was given up, or it waited too long.
    pub fn give_up(&mut self, unresolved: Option<NextHop>, now: u32) -> Option<Held> {
        let is_over = |held: &Held| is_due(now, held.since_ms.wrapping_add(HOLD_MS));
        self.remove_first(|held| Some(held.next_hop) == unresolved || is_over(held))
    }

    fn remove_first(&mut self, is_wanted: impl Fn(&Held) -> bool) -> Option<Held> {
        let position = self.0.iter().position(is_wanted)?;
        self.0.remove(position)
    }
}
