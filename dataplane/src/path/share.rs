//! Shares: how much of the room for fragments each side of the NAT has, and each source of packets.
//!
//! A half is for packets from inside, the other for those from outside, and of all one source has a sixteenth at most. Who
//! has all that is its own gives up its oldest packet for a new one, and nobody else's: a stranger's flood takes no
//! subscriber's room, and no other stranger's unless it comes from everywhere.

use std::net::Ipv4Addr;

use crate::flow::{Direction, InterfaceIndex};
use crate::state::table::index::Hasher;
use crate::state::table::keyed::{Key, Keyed};
use crate::state::table::queue::{Links, Queue};

/// The part of all the room that one side of the NAT may have, and one source.
const SIDE_PART: usize = 2;
const SOURCE_PART: usize = 16;

/// Who packets come from: the interface of arrival, and the source address.
pub type Sender = (InterfaceIndex, Ipv4Addr);

/// What is known of a packet that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its first fragment is missing, and others wait for it.
    Waiting,
    /// Its ports, or that it is refused: nothing of it waits.
    Known,
}

impl Stage {
    /// Both.
    pub const ALL: [Stage; 2] = [Stage::Waiting, Stage::Known];
}

/// Whose share a packet's place is of.
#[derive(Clone, Copy, Debug)]
pub struct Holder {
    side: Direction,
    source: u32,
    stage: Stage,
}

impl Holder {
    /// What is known of the packet.
    pub fn stage(self) -> Stage {
        self.stage
    }
}

/// What one side or one source has.
#[derive(Clone, Copy, Default)]
struct Share {
    /// Its packets by stage, in the order in which they reached it.
    queues: [Queue; 2],
    /// Its fragments that wait.
    fragments: u32,
}

impl Share {
    fn len(&self) -> usize {
        self.queues.iter().map(Queue::len).sum()
    }

    fn oldest(&self, stage: Stage) -> Option<u32> {
        self.queues[stage as usize].first()
    }

    /// The packet that is missed the least.
    fn least(&self) -> Option<u32> {
        self.oldest(Stage::Known).or_else(|| self.oldest(Stage::Waiting))
    }
}

struct Source {
    sender: Sender,
    share: Share,
}

/// The shares of all, in tables of so many packets and so many fragments.
pub struct Shares {
    packets_max: usize,
    fragments_max: usize,
    sides: [Share; 2],
    sources: Keyed<Source>,
    of_sides: Links,
    of_sources: Links,
}

fn key((interface, addr): Sender) -> Key {
    [u64::from(addr.to_bits()), u64::from(interface)]
}

impl Shares {
    /// Nobody has anything yet of the room for so many packets, and for so many fragments that wait.
    pub fn new(packets_max: usize, fragments_max: usize, hasher: Hasher) -> Shares {
        Shares {
            packets_max,
            fragments_max,
            sides: [Share::default(); 2],
            sources: Keyed::new(packets_max, hasher),
            of_sides: Links::new(packets_max),
            of_sources: Links::new(packets_max),
        }
    }

    fn find(&self, sender: Sender) -> Option<u32> {
        self.sources.find(key(sender), |source| source.sender == sender)
    }

    /// The packet that has to go before another one of a sender's comes: its own if it has its share, or else the side's.
    pub fn in_the_way(&self, side: Direction, sender: Sender) -> Option<u32> {
        let source = self.find(sender).and_then(|number| self.sources.at(number));
        let is_full = |share: &Share, part: usize| share.len() >= self.packets_max / part;
        match source.filter(|source| is_full(&source.share, SOURCE_PART)) {
            Some(source) => source.share.least(),
            None => {
                let side = &self.sides[side as usize];
                if is_full(side, SIDE_PART) { side.least() } else { None }
            }
        }
    }

    /// The packet whose fragments have to go before another fragment waits for this holder: its own if it has its share, or
    /// else the side's.
    pub fn waiting_in_the_way(&self, holder: Holder) -> Option<u32> {
        let side = &self.sides[holder.side as usize];
        let source = self.sources.at(holder.source).map(|source| &source.share);
        let is_full = |share: &Share, part: usize| share.fragments as usize >= self.fragments_max / part;
        let full = source.filter(|share| is_full(share, SOURCE_PART));
        full.or(Some(side).filter(|share| is_full(share, SIDE_PART)))?.oldest(Stage::Waiting)
    }

    /// Whose share a new packet's place will be of: its first fragment is missing yet.
    pub fn admit(&mut self, side: Direction, sender: Sender) -> Option<Holder> {
        let new = || Source { sender, share: Share::default() };
        let source = self.find(sender).or_else(|| self.sources.insert(key(sender), new()))?;
        Some(Holder { side, source, stage: Stage::Waiting })
    }

    /// The packet takes its place.
    pub fn enter(&mut self, number: u32, holder: Holder) {
        self.push(number, holder);
    }

    /// Its ports are known, or it is refused: from now on it is as new as any.
    pub fn know(&mut self, number: u32, holder: &mut Holder) {
        self.take(number, *holder);
        holder.stage = Stage::Known;
        self.push(number, *holder);
    }

    /// A packet gives its place back.
    pub fn leave(&mut self, number: u32, holder: Holder) {
        self.take(number, holder);
        self.dismiss(holder);
    }

    /// Forgets a source that has nothing.
    pub fn dismiss(&mut self, holder: Holder) {
        if let Some(source) = self.sources.at(holder.source).filter(|source| source.share.len() == 0) {
            self.sources.remove(key(source.sender), holder.source);
        }
    }

    /// One more of its fragments waits.
    pub fn hold(&mut self, holder: Holder) {
        self.shares_of(holder).for_each(|share| share.fragments += 1);
    }

    /// So many of its fragments wait no longer.
    pub fn let_go(&mut self, holder: Holder, count: u32) {
        self.shares_of(holder).for_each(|share| share.fragments -= count);
    }

    /// Fragments that wait.
    pub fn fragment_count(&self) -> usize {
        self.sides.iter().map(|side| side.fragments as usize).sum()
    }

    /// The packet of a side that has been at a stage for longest.
    pub fn oldest(&self, side: Direction, stage: Stage) -> Option<u32> {
        self.sides[side as usize].oldest(stage)
    }

    fn shares_of(&mut self, holder: Holder) -> impl Iterator<Item = &mut Share> {
        let source = self.sources.at_mut(holder.source).map(|source| &mut source.share);
        std::iter::once(&mut self.sides[holder.side as usize]).chain(source)
    }

    fn push(&mut self, number: u32, holder: Holder) {
        let stage = holder.stage as usize;
        self.of_sides.push(&mut self.sides[holder.side as usize].queues[stage], number);
        if let Some(source) = self.sources.at_mut(holder.source) {
            self.of_sources.push(&mut source.share.queues[stage], number);
        }
    }

    fn take(&mut self, number: u32, holder: Holder) {
        let stage = holder.stage as usize;
        self.of_sides.take(&mut self.sides[holder.side as usize].queues[stage], number);
        if let Some(source) = self.sources.at_mut(holder.source) {
            self.of_sources.take(&mut source.share.queues[stage], number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    const PACKETS: u32 = 256;

    fn sender(number: u32) -> Sender {
        (1, Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    #[test]
    fn who_has_its_share_gives_up_its_own_oldest() {
        let mut shares = Shares::new(PACKETS as usize, 64, Hasher::new([1, 2]));
        let mut holders: Vec<Holder> = Vec::new();
        let mut next = |shares: &mut Shares, side, sender| {
            let number = holders.len() as u32;
            let holder = shares.admit(side, sender).unwrap();
            shares.enter(number, holder);
            holders.push(holder);
            number
        };
        assert_eq!(next(&mut shares, Inbound, sender(1)), 0);
        for _ in 0..16 {
            assert_eq!(shares.in_the_way(Inbound, sender(0)), None);
            next(&mut shares, Inbound, sender(0));
        }
        assert_eq!(shares.in_the_way(Inbound, sender(0)), Some(1), "its own, though another one's is older");
        for other in 0..128 - 17 {
            assert_eq!(shares.in_the_way(Inbound, sender(2 + other)), None);
            next(&mut shares, Inbound, sender(2 + other));
        }
        assert_eq!(shares.in_the_way(Inbound, sender(999)), Some(0), "the side's oldest");
        assert_eq!(shares.in_the_way(Outbound, sender(999)), None, "the other side has its half");
        shares.know(20, &mut holders[20]);
        assert_eq!(shares.in_the_way(Inbound, sender(999)), Some(20), "nothing of it waits");
        for (number, holder) in holders.into_iter().enumerate() {
            shares.leave(number as u32, holder);
        }
        assert!(shares.sources.is_empty() && shares.sides.iter().all(|side| side.len() == 0));
    }

    #[test]
    fn fragments_have_shares_of_their_own() {
        let mut shares = Shares::new(PACKETS as usize, 64, Hasher::new([1, 2]));
        let enter = |shares: &mut Shares, number, side| {
            let holder = shares.admit(side, sender(number)).unwrap();
            shares.enter(number, holder);
            holder
        };
        let one = enter(&mut shares, 0, Inbound);
        for _ in 0..4 {
            assert_eq!(shares.waiting_in_the_way(one), None);
            shares.hold(one);
        }
        assert_eq!(shares.waiting_in_the_way(one), Some(0));
        for number in 1..8 {
            let other = enter(&mut shares, number, Inbound);
            (0..4).for_each(|_| shares.hold(other));
        }
        let last = enter(&mut shares, 8, Inbound);
        assert_eq!(shares.waiting_in_the_way(last), Some(0), "the side's oldest");
        let inside = enter(&mut shares, 9, Outbound);
        assert_eq!(shares.waiting_in_the_way(inside), None);
        shares.let_go(one, 4);
        assert_eq!((shares.waiting_in_the_way(last), shares.fragment_count()), (None, 28));
    }
}
