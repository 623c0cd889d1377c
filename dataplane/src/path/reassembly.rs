//! Virtual reassembly: fragments wait until their packet's first one shows the ports, and then pass one by one.
//!
//! Nothing is put together. A first fragment never waits and is never refused for want of room: others find its ports for
//! three seconds, or until all of them have gone on, when their packet is forgotten and its identification is as good as
//! new. Fragments that wait do so in memory of their own, so that they keep no port from receiving. Memory is bounded and
//! shared out ([`Shares`]), so that floods leave other traffic alone (RFC 4787 REQ-14). Fragments that overlap are refused
//! with their whole packet, since what the destination makes of them cannot be known (RFC 5722 says so for IPv6).

use std::net::Ipv4Addr;

use mem::{Packet, Slab};

use crate::counters::Tally;
use crate::drops::DropReason;
use crate::flow::{Direction, Protocol, TCP};
use crate::head::{Head, Transport};
use crate::path::share::{Holder, Shares, Stage};
use crate::policy::InterfaceIndex;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::Keyed;
use crate::state::table::slots::{NONE, Slots};
use crate::state::table::timer::is_due;
use crate::wire::fragment::KEPT_LEN_MAX;
use crate::wire::stretches::{Fit, Stretches};

/// Packets whose fragments are followed at once.
const FOLLOWED_MAX: usize = 16_384;
/// Fragments that wait at once.
const WAITING_MAX: usize = 2048;
/// Buffers of fragments that went on and are still under way to their port, or in another worker's ring.
const UNDER_WAY_MAX: usize = 256;
/// How long a packet's fragments are followed, in milliseconds (IOS waits three seconds).
const FOLLOWED_MS: u32 = 3000;
/// Packets whose time is over that one round forgets, of each side and stage.
const EXPIRIES_PER_ROUND: usize = 256;

/// What the fragments of a packet have in common (RFC 791 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    protocol: Protocol,
    interface: InterfaceIndex,
}

impl Key {
    fn of(head: &Head) -> Key {
        let &Head { src, dst, id, interface, .. } = head;
        Key { src, dst, id, protocol: head.outer_protocol(), interface }
    }

    fn words(&self) -> [u64; 2] {
        let addresses = u64::from(self.src.to_bits()) << 32 | u64::from(self.dst.to_bits());
        let rest = u64::from(self.id) << 32 | u64::from(self.protocol) << 24 | u64::from(self.interface);
        [addresses, rest]
    }
}

/// What the first fragment told about its packet.
#[derive(Clone, Copy, Debug)]
struct First {
    ports: (u16, u16),
    new_id: u16,
    /// ICMP type and code, 0 for other protocols.
    icmp: (u8, u8),
    /// The first eight bytes behind the IPv4 header, which tell a repetition from another packet: ports and checksum, or
    /// ports and sequence number.
    beginning: [u8; 8],
}

struct Datagram {
    key: Key,
    holder: Holder,
    since_ms: u32,
    first: Option<First>,
    refused: Option<DropReason>,
    seen: Stretches,
    /// Its fragments that wait, in their order: the first and the last one, or none.
    waiting: (u32, u32),
}

/// A fragment that waits.
struct Waiting {
    packet: Packet,
    head: Head,
    /// The next one of its packet.
    next: u32,
}

/// The fragments of one worker.
pub struct Reassembly {
    datagrams: Keyed<Datagram>,
    shares: Shares,
    waiting: Slots<Waiting>,
    memory: Slab,
    /// Fragments that may go on, with the ports of their packet in their heads, for the path to take.
    pub ready: Vec<(Packet, Head)>,
}

impl Reassembly {
    /// The fragments of a worker that has seen none.
    pub fn new(hasher: Hasher) -> Reassembly {
        Reassembly {
            datagrams: Keyed::new(FOLLOWED_MAX, hasher),
            shares: Shares::new(FOLLOWED_MAX, WAITING_MAX, hasher),
            waiting: Slots::new(WAITING_MAX),
            memory: Slab::new(WAITING_MAX + UNDER_WAY_MAX, KEPT_LEN_MAX),
            ready: Vec::with_capacity(WAITING_MAX + 1),
        }
    }

    /// Takes a fragment that crosses the NAT in a direction; those that may go on are `ready` then. `new_id` is what the
    /// identification of its packet may become. Fragments that are refused are noted in the tally.
    pub fn gather(
        &mut self,
        packet: Packet,
        head: Head,
        side: Direction,
        new_id: u16,
        now: u32,
        tally: &mut Tally,
    ) {
        let first = first_of(&packet, &head, new_id);
        let number = self.find_or_begin(&head, first, side, now, tally);
        let Some(datagram) = number.and_then(|number| self.datagrams.at_mut(number)) else {
            match first {
                Some(first) => self.ready.push((packet, first.told_to(head))),
                None => tally.drop(DropReason::FragmentsFull, 1),
            }
            return;
        };
        let number = number.unwrap_or(NONE);
        let fit = datagram.add(&head);
        if datagram.refused.is_none() && fit == Fit::Within {
            // It repeats a part of what went on, or may contradict it: the destination is better off without.
            return tally.drop(DropReason::FragmentsScattered, 1);
        }
        datagram.refused = datagram.refused.or(match fit {
            Fit::New | Fit::Repeated | Fit::Within => None,
            Fit::Overlaps => Some(DropReason::FragmentOverlap),
            Fit::Scattered => Some(DropReason::FragmentsScattered),
        });
        let was_known = datagram.first.is_some();
        datagram.first = datagram.first.or(first);
        if let Some(reason) = datagram.refused {
            self.refuse(number, reason, now, tally);
            return tally.drop(reason, 1);
        }
        match datagram.first {
            Some(first) => {
                self.ready.push((packet, first.told_to(head)));
                if !was_known {
                    self.release(number, first, now);
                }
                if self.datagrams.at(number).is_some_and(|datagram| datagram.seen.is_complete()) {
                    self.forget(number, DropReason::FragmentsFull, tally);
                }
            }
            None => self.keep(number, &packet, head, tally),
        }
    }

    /// The packet that a fragment is of. A first fragment that is not the one that was seen begins another, whose
    /// identification was used before.
    fn find_or_begin(
        &mut self,
        head: &Head,
        first: Option<First>,
        side: Direction,
        now: u32,
        tally: &mut Tally,
    ) -> Option<u32> {
        let key = Key::of(head);
        if let Some(number) = self.datagrams.find(key.words(), |datagram| datagram.key == key) {
            let known = self.datagrams.at(number).and_then(|datagram| datagram.first);
            let is_another = known.zip(first).is_some_and(|(known, first)| !known.is_same(&first));
            if !is_another {
                return Some(number);
            }
            self.forget(number, DropReason::FragmentTimeout, tally);
        }
        let sender = (key.interface, key.src);
        if let Some(oldest) = self.shares.in_the_way(side, sender) {
            self.forget(oldest, DropReason::FragmentsFull, tally);
        }
        let holder = self.shares.admit(side, sender)?;
        let number = self.datagrams.insert(key.words(), Datagram::new(key, holder, now));
        match number {
            Some(number) => self.shares.enter(number, holder),
            None => self.shares.dismiss(holder),
        }
        number
    }

    /// The ports of a packet are known: what waited for them goes on.
    fn release(&mut self, number: u32, first: First, now: u32) {
        let Some(datagram) = self.datagrams.at_mut(number) else { return };
        datagram.since_ms = now;
        self.shares.know(number, &mut datagram.holder);
        while let Some(fragment) = self.next_waiting(number) {
            self.ready.push((fragment.packet, first.told_to(fragment.head)));
        }
    }

    /// None of a packet's fragments goes on any more. Those that waited are dropped.
    fn refuse(&mut self, number: u32, reason: DropReason, now: u32, tally: &mut Tally) {
        let Some(datagram) = self.datagrams.at_mut(number) else { return };
        if datagram.holder.stage() == Stage::Waiting {
            datagram.since_ms = now;
            self.shares.know(number, &mut datagram.holder);
        }
        self.drop_waiting(number, reason, tally);
    }

    /// Has a fragment wait, in memory of its own.
    fn keep(&mut self, number: u32, packet: &Packet, head: Head, tally: &mut Tally) {
        let Some(holder) = self.datagrams.at(number).map(|datagram| datagram.holder) else { return };
        let oldest = self.shares.waiting_in_the_way(holder);
        if let Some(oldest) = oldest {
            self.forget(oldest, DropReason::FragmentsFull, tally);
        }
        let is_left = oldest != Some(number);
        let copy = self.memory.copy_of(packet.bytes(), packet.port()).filter(|_| is_left);
        let place = copy.and_then(|packet| self.waiting.insert(Waiting { packet, head, next: NONE }));
        let Some(place) = place else {
            tally.drop(DropReason::FragmentsFull, 1);
            let is_empty = |datagram: &Datagram| datagram.waiting.0 == NONE;
            if is_left && self.datagrams.at(number).is_some_and(is_empty) {
                self.forget(number, DropReason::FragmentsFull, tally);
            }
            return;
        };
        self.shares.hold(holder);
        let Some(datagram) = self.datagrams.at_mut(number) else { return };
        let last = std::mem::replace(&mut datagram.waiting.1, place);
        match self.waiting.at_mut(last) {
            Some(last) => last.next = place,
            None => datagram.waiting.0 = place,
        }
    }

    /// Takes the first fragment that waits out of its packet.
    fn next_waiting(&mut self, number: u32) -> Option<Waiting> {
        let datagram = self.datagrams.at_mut(number)?;
        let fragment = self.waiting.remove(datagram.waiting.0)?;
        datagram.waiting.0 = fragment.next;
        if fragment.next == NONE {
            datagram.waiting.1 = NONE;
        }
        self.shares.let_go(datagram.holder, 1);
        Some(fragment)
    }

    fn drop_waiting(&mut self, number: u32, reason: DropReason, tally: &mut Tally) {
        let count = std::iter::from_fn(|| self.next_waiting(number)).count();
        if count > 0 {
            tally.drop(reason, count);
        }
    }

    /// Forgets a packet. Fragments that still wait are dropped for this reason.
    fn forget(&mut self, number: u32, reason: DropReason, tally: &mut Tally) {
        self.drop_waiting(number, reason, tally);
        let Some(datagram) = self.datagrams.at(number) else { return };
        let (words, holder) = (datagram.key.words(), datagram.holder);
        self.shares.leave(number, holder);
        self.datagrams.remove(words, number);
    }

    /// Forgets packets that were followed long enough. Fragments that still wait are refused.
    pub fn expire(&mut self, now: u32, tally: &mut Tally) {
        for (side, stage) in Direction::ALL.into_iter().flat_map(|side| Stage::ALL.map(|stage| (side, stage)))
        {
            for _ in 0..EXPIRIES_PER_ROUND {
                let is_over = |datagram: &Datagram| is_due(now, datagram.since_ms.wrapping_add(FOLLOWED_MS));
                match self.shares.oldest(side, stage) {
                    Some(oldest) if self.datagrams.at(oldest).is_some_and(is_over) => {
                        self.forget(oldest, DropReason::FragmentTimeout, tally);
                    }
                    _ => break,
                }
            }
        }
    }

    /// Fragments that wait.
    pub fn waiting_count(&self) -> usize {
        self.shares.fragment_count()
    }
}

/// What a fragment tells, if it is the first of its packet.
fn first_of(packet: &Packet, head: &Head, new_id: u16) -> Option<First> {
    if head.transport == Transport::LaterFragment {
        return None;
    }
    let ports = (head.tuple.src.port, head.tuple.dst.port);
    let beginning = packet.bytes().get(usize::from(head.l4)..).and_then(|bytes| bytes.first_chunk());
    Some(First { ports, new_id, icmp: head.icmp, beginning: beginning.copied().unwrap_or_default() })
}

impl First {
    fn told_to(self, mut head: Head) -> Head {
        if head.transport == Transport::LaterFragment {
            (head.tuple.src.port, head.tuple.dst.port) = self.ports;
            head.icmp = self.icmp;
        }
        head.new_id = Some(self.new_id);
        head
    }

    fn is_same(&self, other: &First) -> bool {
        self.beginning == other.beginning
    }
}

impl Datagram {
    fn new(key: Key, holder: Holder, now: u32) -> Datagram {
        let (first, refused, seen) = (None, None, Stretches::default());
        Datagram { key, holder, since_ms: now, first, refused, seen, waiting: (NONE, NONE) }
    }

    /// Notes a fragment. A second one that would hold TCP's flags fits nothing (RFC 3128), nor does one that is empty or
    /// reaches beyond the longest packet.
    fn add(&mut self, head: &Head) -> Fit {
        let len = head.total_len - (head.l4 - head.l3);
        let start = head.fragment_offset;
        let hides_flags = head.tuple.protocol == TCP && start == 8;
        let is_odd = hides_flags || len == 0 || (!head.is_last && !len.is_multiple_of(8));
        match start.checked_add(len) {
            Some(end) if !is_odd => self.seen.add(start, end, head.is_last),
            _ => Fit::Overlaps,
        }
    }
}
