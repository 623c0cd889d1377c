//! Virtual reassembly: fragments wait until their packet's first one shows the ports, and then pass one by one.
//!
//! Nothing is put together. Memory is bounded, and what is over the bounds is refused without touching other
//! traffic (RFC 4787 REQ-14). Fragments that overlap are refused with their whole packet, since what the
//! destination makes of them cannot be known (RFC 5722 says so for IPv6).

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use arrayvec::ArrayVec;
use hashbrown::HashMap;
use mem::Packet;

use crate::counters::Tally;
use crate::drops::DropReason;
use crate::flow::{Protocol, TCP};
use crate::head::{Head, Transport};
use crate::policy::InterfaceIndex;
use crate::state::table::index::Hasher;
use crate::state::table::keyed::Keyed;
use crate::state::table::timer::is_due;
use crate::wire::fragment::KEPT_MAX;

/// Packets whose fragments are followed at once.
pub const DATAGRAMS_MAX: usize = 1024;
/// Packets that are remembered until their time is over, complete ones included.
const FOLLOWED_MAX: usize = 16 * DATAGRAMS_MAX;
/// Separate stretches of one packet that were seen.
const STRETCHES_MAX: usize = 64;
/// How long a packet's fragments are followed, in milliseconds (IOS waits three seconds).
const FOLLOWED_MS: u32 = 3000;

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
}

struct Datagram {
    since_ms: u32,
    first: Option<First>,
    /// Bytes of its payload, once the last fragment told.
    total: Option<u32>,
    is_refused: bool,
    /// First byte and the one after the last, of each fragment.
    seen: ArrayVec<(u16, u16), STRETCHES_MAX>,
    waiting: ArrayVec<(Packet, Head), KEPT_MAX>,
}

/// A packet whose fragments have all gone on.
struct Done {
    key: Key,
    first: First,
    since_ms: u32,
}

/// A fragment that may go on, with the ports of its packet in its head.
pub type Ready = ArrayVec<(Packet, Head), { KEPT_MAX + 1 }>;

/// The fragments of one worker.
pub struct Reassembly {
    datagrams: HashMap<Key, Datagram>,
    /// What is still known of packets that are complete: a fragment of theirs may be repeated.
    done: Keyed<Done>,
    order: VecDeque<(Key, u32)>,
    waiting_count: usize,
}

impl Reassembly {
    /// The fragments of a worker that has seen none.
    pub fn new(hasher: Hasher) -> Reassembly {
        Reassembly {
            // Of a table that is half full at most, places that were used are made free without growing.
            datagrams: HashMap::with_capacity(2 * DATAGRAMS_MAX),
            done: Keyed::new(FOLLOWED_MAX, hasher),
            order: VecDeque::with_capacity(FOLLOWED_MAX),
            waiting_count: 0,
        }
    }

    /// Takes a fragment and returns those that may go on: none while it waits. `new_id` is what the
    /// identification of its packet may become. Fragments refused with it are noted in the tally.
    pub fn gather(
        &mut self,
        packet: Packet,
        mut head: Head,
        new_id: u16,
        now: u32,
        tally: &mut Tally,
    ) -> Ready {
        let mut ready = Ready::new();
        let Head { src, dst, id, interface, .. } = head;
        let key = Key { src, dst, id, protocol: head.outer_protocol(), interface };
        if head.transport == Transport::LaterFragment
            && let Some(done) = self.find_done(&key).and_then(|number| self.done.at(number))
        {
            ready.push((packet, done.first.told_to(head)));
            return ready;
        }
        if !self.datagrams.contains_key(&key) {
            if self.datagrams.len() >= DATAGRAMS_MAX || self.order.len() >= FOLLOWED_MAX {
                tally.drop(DropReason::FragmentsFull, 1);
                return ready;
            }
            let (seen, waiting) = (ArrayVec::new(), ArrayVec::new());
            self.datagrams.insert(
                key,
                Datagram { since_ms: now, first: None, total: None, is_refused: false, seen, waiting },
            );
            self.order.push_back((key, now));
        }
        let Some(datagram) = self.datagrams.get_mut(&key) else { return ready };
        if datagram.is_refused || !datagram.fits(&head) {
            datagram.is_refused = true;
            self.waiting_count -= datagram.waiting.len();
            tally.drop(DropReason::FragmentOverlap, 1 + datagram.waiting.len());
            datagram.waiting.clear();
            return ready;
        }
        if head.transport != Transport::LaterFragment {
            let ports = (head.tuple.src.port, head.tuple.dst.port);
            let first = *datagram.first.get_or_insert(First { ports, new_id });
            head.new_id = Some(first.new_id);
            ready.push((packet, head));
            self.waiting_count -= datagram.waiting.len();
            ready.extend(datagram.waiting.drain(..).map(|(packet, head)| (packet, first.told_to(head))));
            self.forget_if_complete(key);
            return ready;
        }
        match datagram.first {
            Some(first) => ready.push((packet, first.told_to(head))),
            None => match datagram.waiting.try_push((packet, head)) {
                Ok(()) => self.waiting_count += 1,
                Err(_) => tally.drop(DropReason::FragmentsFull, 1),
            },
        }
        self.forget_if_complete(key);
        ready
    }

    /// Makes room as soon as every fragment of a packet has gone on.
    fn forget_if_complete(&mut self, key: Key) {
        if self.datagrams.get(&key).is_some_and(Datagram::is_complete)
            && let Some(datagram) = self.datagrams.remove(&key)
            && let Some(first) = datagram.first
        {
            let done = Done { key, first, since_ms: datagram.since_ms };
            match self.find_done(&key).and_then(|number| self.done.at_mut(number)) {
                Some(before) => *before = done,
                None => _ = self.done.insert(key.words(), done),
            }
        }
    }

    fn find_done(&self, key: &Key) -> Option<u32> {
        self.done.find(key.words(), |done| done.key == *key)
    }

    /// Forgets packets that were followed long enough. Fragments that still wait are refused.
    pub fn expire(&mut self, now: u32, tally: &mut Tally) {
        while let Some(&(key, since_ms)) = self.order.front() {
            if !is_due(now, since_ms.wrapping_add(FOLLOWED_MS)) {
                return;
            }
            self.order.pop_front();
            if let Some(number) = self.find_done(&key)
                && self.done.at(number).is_some_and(|done| done.since_ms == since_ms)
            {
                self.done.remove(key.words(), number);
            }
            // Another packet may have the key by now.
            let is_same = self.datagrams.get(&key).is_some_and(|datagram| datagram.since_ms == since_ms);
            if is_same && let Some(datagram) = self.datagrams.remove(&key) {
                self.waiting_count -= datagram.waiting.len();
                tally.drop(DropReason::FragmentTimeout, datagram.waiting.len());
            }
        }
    }

    /// Fragments that wait.
    pub fn waiting_count(&self) -> usize {
        self.waiting_count
    }
}

impl First {
    fn told_to(self, mut head: Head) -> Head {
        (head.tuple.src.port, head.tuple.dst.port) = self.ports;
        head.new_id = Some(self.new_id);
        head
    }
}

impl Datagram {
    /// Whether every fragment was seen and none waits.
    fn is_complete(&self) -> bool {
        let seen: u32 = self.seen.iter().map(|&(from, to)| u32::from(to - from)).sum();
        self.first.is_some() && self.waiting.is_empty() && self.total == Some(seen)
    }

    /// Whether a fragment fits to those before it: it repeats one exactly, or covers nothing that they do. A
    /// second fragment that would hold TCP's flags is refused (RFC 3128).
    fn fits(&mut self, head: &Head) -> bool {
        let len = head.total_len - (head.l4 - head.l3);
        let start = head.fragment_offset;
        let Some(end) = start.checked_add(len) else { return false };
        if head.tuple.protocol == TCP && start == 8 || len == 0 || (!head.is_last && !len.is_multiple_of(8)) {
            return false;
        }
        if self.seen.contains(&(start, end)) {
            return true;
        }
        if head.is_last {
            self.total = Some(u32::from(end));
        }
        let overlaps = self.seen.iter().any(|&(from, to)| start < to && from < end);
        !overlaps && self.seen.try_push((start, end)).is_ok()
    }
}
