//! Finding the session of a packet.

use crate::flow::{Direction, Endpoint, Protocol, TCP, Tuple, UDP};
use crate::head::{Head, Transport};
use crate::policy::{Domain, Mode, Policy};
use crate::state::session::{ANYONE, SessionKey};
use crate::state::shard::{SessionRef, Shard};
use crate::state::table::index::{Candidate, Hash};

/// What a packet's session is looked up with.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// The session's key.
    pub key: SessionKey,
    /// The key's hash.
    pub hash: Hash,
    /// What the index's line promises; to be compared with the key.
    pub candidate: Option<SessionRef>,
}

impl Probe {
    /// What finds nothing.
    pub const NONE: Probe = Probe {
        key: SessionKey { src: ANYONE, dst: ANYONE, vrf: 0, protocol: 0, direction: Direction::Outbound },
        hash: Hash::NONE,
        candidate: None,
    };
}

/// Hashes what a packet's session is found by, and asks for the index's cache line.
#[inline(always)]
pub fn prepare(shard: &Shard, key: SessionKey) -> Probe {
    Probe { key, hash: shard.prepare(key), candidate: None }
}

/// Reads the index's line, and asks for the session's, or for the other line to be read.
#[inline(always)]
pub fn probe(shard: &Shard, probe: &mut Probe) -> Candidate<SessionRef> {
    let candidate = shard.candidate(probe.hash);
    if let Candidate::Likely(found) = candidate {
        probe.candidate = Some(found);
    }
    candidate
}

/// Reads the other line, and asks for the session's.
pub fn probe_other(shard: &Shard, probe: &mut Probe) {
    probe.candidate = shard.candidate_anywhere(probe.hash);
}

/// Which way packets from an interface of this domain cross the NAT.
#[inline]
pub fn direction(domain: Domain) -> Option<Direction> {
    match domain {
        Domain::Inside => Some(Direction::Outbound),
        Domain::Outside => Some(Direction::Inbound),
        Domain::None => None,
    }
}

/// What a packet's session is found by.
#[inline(always)]
pub fn key(policy: &Policy, tuple: &Tuple, direction: Direction) -> SessionKey {
    let &Tuple { src, dst, protocol, vrf } = tuple;
    let anyone_or = |peer: Endpoint, inside: Endpoint| {
        if serves_any_peer(policy, protocol, inside.port, peer.port) { ANYONE } else { peer }
    };
    let (src, dst) = match direction {
        Direction::Outbound => (src, anyone_or(dst, src)),
        Direction::Inbound => (anyone_or(src, dst), dst),
    };
    SessionKey { src, dst, vrf, protocol, direction }
}

/// Whether sessions of a protocol, with these ports at their inside and outside end, serve every peer of their
/// mapping. Control sessions do not: each is a conversation of its own.
#[inline(always)]
pub fn serves_any_peer(policy: &Policy, protocol: Protocol, inside: u16, outside: u16) -> bool {
    policy.behaviour.mode == Mode::Cgn
        && match protocol {
            TCP => false,
            UDP => {
                !policy.gateways.outside_ports.holds(outside) && !policy.gateways.inside_ports.holds(inside)
            }
            _ => true,
        }
}

/// The session of a packet. Nearly always the candidate; a packet before it in the burst may have begun the
/// session.
#[inline(always)]
pub fn find(shard: &Shard, probe: &Probe) -> Option<SessionRef> {
    let is_it = |found: &SessionRef| shard.has_key(*found, probe.key);
    probe.candidate.filter(is_it).or_else(|| shard.find(probe.key, probe.hash))
}

/// The session of a packet that was not prepared with its burst.
pub fn find_now(shard: &Shard, policy: &Policy, head: &Head, direction: Direction) -> Option<SessionRef> {
    if head.transport == Transport::LaterFragment && head.new_id.is_none() {
        return None;
    }
    let key = key(policy, &head.tuple, direction);
    shard.find(key, shard.prepare(key))
}
