//! Fragments of control sessions' packets, kept until a packet is whole and can be read.
//!
//! The path's reassembly has told them their ports, the first one first. Here they stay in memory of their own, bounded in
//! number, by inside host and in time: whoever sends beginnings that never end keeps others' control datagrams in fragments
//! from being read, for three seconds at most. What there is no room for passes unread.

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
const FRAGMENTS_MAX: usize = 1024;
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
    /// It waits for others.
    Waits,
    /// It was here before.
    Repeated,
    /// So many, this one and those that it fits badly to, are dropped.
    Refused(DropReason, usize),
    /// There is no room for it: it goes on unread, behind those that came before it.
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
        let Some(at) = known.or_else(|| self.begin(key, host, head, now)) else {
            // Those behind a first one that found no room follow it.
            return Added::Unread(packet, Fragments::new());
        };
        let fragments = &mut self.partials[at].fragments;
        if fragments.iter().any(|(_, other)| span(other) == span(head)) {
            return Added::Repeated;
        }
        if fragments.iter().any(|(_, other)| overlaps(other, head)) {
            return Added::Refused(DropReason::FragmentOverlap, 1 + self.remove(at).len());
        }
        let is_full = fragments.is_full() || self.fragment_count >= FRAGMENTS_MAX;
        let copy = if is_full { None } else { self.memory.copy_of(packet.bytes(), packet.port()) };
        let Some(copy) = copy else { return Added::Unread(packet, self.remove(at)) };
        fragments.push((copy, *head));
        self.fragment_count += 1;
        if !is_whole(fragments) {
            return Added::Waits;
        }
        let mut fragments = self.remove(at);
        fragments.sort_unstable_by_key(|(_, head)| head.fragment_offset);
        Added::Whole(fragments)
    }

    /// Makes room for a datagram that begins with this fragment.
    fn begin(&mut self, key: Key, host: Host, head: &Head, now: u32) -> Option<usize> {
        let of_host = self.partials.iter().filter(|partial| partial.host == host).count();
        if head.transport == Transport::LaterFragment
            || of_host >= DATAGRAMS_PER_HOST_MAX
            || self.partials.len() >= DATAGRAMS_MAX
        {
            return None;
        }
        self.partials.push(Partial { key, host, since_ms: now, fragments: Fragments::new() });
        Some(self.partials.len() - 1)
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
