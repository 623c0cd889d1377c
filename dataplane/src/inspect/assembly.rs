//! Fragments of control sessions' packets, kept until a packet is whole and can be read.
//!
//! The path's reassembly has told them their ports, the first one first. Here they stay in memory of their own, bounded in
//! number, by inside host and in time. Who has its share, or finds no place left, takes the oldest one's: what is whole soon is
//! read, however many beginnings never end. What comes in more pieces than are kept passes unread.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;
use mem::{Packet, Slab};

use crate::drops::DropReason;
use crate::flow::{Direction, Vrf};
use crate::head::{Head, Transport};
use crate::state::shard::SessionRef;
use crate::state::table::timer::is_due;
use crate::wire::fragment::{KEPT_LEN_MAX, KEPT_MAX};

/// Datagrams that are put together at once.
const DATAGRAMS_MAX: usize = 64;
/// Those of one inside host.
const DATAGRAMS_PER_HOST_MAX: usize = 8;
/// Fragments that wait at most.
const FRAGMENTS_MAX: usize = DATAGRAMS_MAX * KEPT_MAX;
/// How long a datagram may take, in milliseconds: as long as its fragments are followed.
const WAIT_MS: u32 = 3000;

/// The fragments of one datagram, in their order when it is whole.
pub type Fragments = ArrayVec<(Packet, Head), KEPT_MAX>;

/// An inside host.
pub type Host = (Vrf, Ipv4Addr);

struct Partial {
    key: Key,
    host: Host,
    since_ms: u32,
    fragments: Fragments,
}

/// What the fragments of a datagram have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    session: u32,
    direction: Direction,
    src: Ipv4Addr,
    dst: Ipv4Addr,
    id: u16,
    /// What tells it from another with the same identification.
    new_id: Option<u16>,
}

/// What became of a fragment.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once for a datagram, and boxes are no use on the path"
)]
pub enum Added {
    /// It waits for others; as many of another packet's as this went for it.
    Waits(usize),
    /// It was here before.
    Repeated,
    /// So many, this one and those that it fits badly to, are dropped.
    Refused(DropReason, usize),
    /// Its packet comes in too many pieces: it goes on unread, behind those that came before it.
    Unread(Packet, Fragments),
    /// It was the last that was missing.
    Whole(Fragments),
}

/// The datagrams of a worker's control sessions that are not whole yet.
pub struct Assembly {
    partials: Vec<Partial>,
    fragment_count: usize,
    memory: Slab,
}

impl Default for Assembly {
    fn default() -> Assembly {
        let memory = Slab::new(FRAGMENTS_MAX, KEPT_LEN_MAX);
        Assembly { partials: Vec::with_capacity(DATAGRAMS_MAX), fragment_count: 0, memory }
    }
}

impl Assembly {
    /// Adds a fragment of a control session's, whose inside host is `host`.
    pub fn add(&mut self, packet: Packet, head: &Head, found: SessionRef, host: Host, now: u32) -> Added {
        let SessionRef { index: session, direction } = found;
        let key = Key { session, direction, src: head.src, dst: head.dst, id: head.id, new_id: head.new_id };
        let known = self.partials.iter().position(|partial| partial.key == key);
        let mut gone = 0;
        let at = match known {
            Some(at) => at,
            // Those before it are gone.
            None if head.transport == Transport::LaterFragment => {
                return Added::Refused(DropReason::FragmentUntranslatable, 1);
            }
            None => {
                gone = self.make_room(host, now);
                self.partials.push(Partial { key, host, since_ms: now, fragments: Fragments::new() });
                self.partials.len() - 1
            }
        };
        let fragments = &mut self.partials[at].fragments;
        if fragments.iter().any(|(_, other)| span(other) == span(head)) {
            return Added::Repeated;
        }
        if fragments.iter().any(|(_, other)| overlaps(other, head)) {
            return Added::Refused(DropReason::FragmentOverlap, 1 + self.remove(at).len());
        }
        let copy =
            if fragments.is_full() { None } else { self.memory.copy_of(packet.bytes(), packet.port()) };
        let Some(copy) = copy else { return Added::Unread(packet, self.remove(at)) };
        fragments.push((copy, *head));
        self.fragment_count += 1;
        if !is_whole(fragments) {
            return Added::Waits(gone);
        }
        let mut fragments = self.remove(at);
        fragments.sort_unstable_by_key(|(_, head)| head.fragment_offset);
        Added::Whole(fragments)
    }

    /// Makes room for a datagram of a host's. Returns how many fragments of another one went for it.
    fn make_room(&mut self, host: Host, now: u32) -> usize {
        let of_host = self.partials.iter().filter(|partial| partial.host == host).count();
        let is_over = of_host >= DATAGRAMS_PER_HOST_MAX;
        if !is_over && self.partials.len() < DATAGRAMS_MAX {
            return 0;
        }
        let candidates =
            self.partials.iter().enumerate().filter(|(_, partial)| !is_over || partial.host == host);
        let oldest = candidates.rev().max_by_key(|(_, partial)| now.wrapping_sub(partial.since_ms));
        oldest.map(|(at, _)| at).map_or(0, |at| self.remove(at).len())
    }

    fn remove(&mut self, at: usize) -> Fragments {
        let fragments = self.partials.swap_remove(at).fragments;
        self.fragment_count -= fragments.len();
        fragments
    }

    /// Gives up a datagram that took too long. Returns how many fragments of it came.
    pub fn expire(&mut self, now: u32) -> Option<usize> {
        let is_over = |partial: &Partial| is_due(now, partial.since_ms.wrapping_add(WAIT_MS));
        let at = self.partials.iter().position(is_over)?;
        Some(self.remove(at).len())
    }

    /// Fragments that wait.
    pub fn waiting_count(&self) -> usize {
        self.fragment_count
    }
}

/// The first byte of a fragment in its datagram, and the one behind the last.
fn span(head: &Head) -> (usize, usize) {
    let start = usize::from(head.fragment_offset);
    (start, start + usize::from(head.total_len - (head.l4 - head.l3)))
}

fn overlaps(one: &Head, other: &Head) -> bool {
    let ((from, to), (start, end)) = (span(one), span(other));
    start < to && from < end
}

/// Whether fragments that do not overlap are all that there are.
fn is_whole(fragments: &Fragments) -> bool {
    let total = fragments.iter().find(|(_, head)| head.is_last).map(|(_, head)| span(head).1);
    let seen = fragments.iter().map(|(_, head)| span(head)).map(|(start, end)| end - start).sum();
    // One that lies behind the last is not counted for one that is missing.
    let end = fragments.iter().map(|(_, head)| span(head).1).max();
    total == Some(seen) && total == end
}
