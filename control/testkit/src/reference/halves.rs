//! The two halves of a translation: what an inside endpoint becomes, and whom a global one leads to.
//!
//! Each says what is legal, by the facts and by what was seen so far; a hairpin is both in one packet.

use std::net::Ipv4Addr;

use super::facts::{Dynamic, Endpoint, Filtering, ICMP, Mode, OUTSIDE_ADDRESS, PERMITTED, TCP, UDP};
use super::half::{End, Flow, Half};
use super::relation::Relation;
use super::tables::{ANYONE, Local, Session, WHOLE};
use crate::packet::{ACK, RST, SYN};

impl Relation {
    /// The peer that a session is kept by.
    pub(super) fn peer_key(&self, protocol: u8, peer: Endpoint) -> Endpoint {
        let is_for_all = self.facts.mode == Mode::Cgn && protocol != TCP;
        if is_for_all { ANYONE } else { peer }
    }

    fn has_wholes(&self) -> bool {
        matches!(self.facts.dynamic, Dynamic::Whole(_))
    }

    /// What an inside endpoint becomes on its way out, or on its way to a global address.
    pub(super) fn source(&self, flow: Flow) -> Half {
        let Flow { protocol, own, peer, .. } = flow;
        let local = (own.0, protocol, own.1);
        if let Some(global) = self.facts.static_global(protocol, own) {
            let session = Some((local, self.peer_key(protocol, peer)));
            let mut half = Half { end: Some(End::Known(global)), session, ..Half::untouched() };
            self.admit(&mut half, flow);
            return half;
        }
        if !PERMITTED.contains(&own.0) || self.facts.dynamic == Dynamic::Nothing {
            return Half::untouched();
        }
        let is_portless = !matches!(protocol, UDP | TCP | ICMP);
        if is_portless && !self.has_wholes() {
            return Half::refused(&["protocol-untranslatable"]);
        }
        let mapped = if self.has_wholes() { (own.0, WHOLE, 0) } else { local };
        let global = |found: Endpoint| if self.has_wholes() { (found.0, own.1) } else { found };
        let mut drops = Vec::new();
        let end = match self.tables.mapping(mapped, self.now_ms) {
            Some((found, true)) => End::Known(global(found)),
            found => {
                if self.may_be_exhausted(local) {
                    drops.push("pool-exhausted");
                }
                if self.may_have_its_share(local) {
                    drops.extend(["port-share", "destination-share"]);
                }
                End::Fresh(found.map(|(found, _)| global(found)))
            }
        };
        let key = self.peer_key(protocol, peer);
        let mut half = Half { end: Some(end), drops, session: Some((local, key)), is_dynamic: true };
        self.admit(&mut half, flow);
        half
    }

    /// Whom a global endpoint leads to, for a packet of this peer.
    pub(super) fn target(&self, flow: Flow, is_request: bool) -> Half {
        let Flow { protocol, own, peer, .. } = flow;
        if let Some(local) = self.facts.static_local(protocol, own) {
            let session = Some(((local.0, protocol, local.1), self.peer_key(protocol, peer)));
            let mut half = Half { end: Some(End::Known(local)), session, ..Half::untouched() };
            self.admit(&mut half, flow);
            self.forbid_the_middle(&mut half, flow);
            return half;
        }
        let unknown: &[&'static str] = match own.0 == OUTSIDE_ADDRESS {
            true => &["no-mapping", "no-local-service"],
            false => &["no-mapping"],
        };
        let found = match self.has_wholes() {
            true => self.tables.owner(WHOLE, (own.0, 0), self.now_ms),
            false => self.tables.owner(protocol, own, self.now_ms),
        };
        let Some((mapped, is_mapped)) = found else { return Half::refused(unknown) };
        let local = if self.has_wholes() { (mapped.0, protocol, own.1) } else { mapped };
        let key = self.peer_key(protocol, peer);
        let session = self.tables.sessions.get(&(local, key));
        let has_session = session.is_some_and(|session| session.life.is_certain(self.now_ms));
        let (is_admitted, may_be_admitted) = match self.facts.filtering {
            // A whole address is open to everybody while it is a host's.
            _ if self.has_wholes() => {
                (is_mapped && self.facts.filtering != Filtering::AddressDependent, true)
            }
            Filtering::EndpointIndependent => (is_mapped, true),
            Filtering::AddressDependent => self.knows_address(local, peer.0),
            Filtering::AddressAndPortDependent => (has_session, session.is_some()),
        };
        if !may_be_admitted {
            return Half::refused(unknown);
        }
        let mut half = Half {
            end: Some(End::Known((local.0, local.2))),
            drops: if is_admitted { Vec::new() } else { unknown.to_vec() },
            session: Some((local, key)),
            is_dynamic: true,
        };
        self.admit(&mut half, flow);
        // Whether others' queries reach the identifier of a host's own is nowhere said.
        if is_request {
            half.drops.extend(unknown);
        }
        self.forbid_the_middle(&mut half, flow);
        half
    }

    /// No connection begins from outside but by a SYN.
    fn forbid_the_middle(&self, half: &mut Half, flow: Flow) {
        let Some(key) = half.session else { return };
        let session = self.tables.sessions.get(&key);
        let is_live = session.is_some_and(|session| session.life.is_certain(self.now_ms));
        // A host that sends to its own global endpoint is at both ends of the session that this packet has begun.
        let is_with_itself = flow.has_begun && flow.peer == flow.own;
        if flow.protocol == TCP && flow.flags & (SYN | ACK) != SYN && !is_live && !is_with_itself {
            half.drops.push("tcp-no-session");
            if session.is_none() {
                half.end = None;
            }
        }
    }

    /// Whether an inside endpoint sent to an address, for certain and perhaps.
    fn knows_address(&self, local: Local, addr: Ipv4Addr) -> (bool, bool) {
        let known: Vec<_> = self.tables.of(local).filter(|(peer, _)| peer.0 == addr).collect();
        let is_sure =
            known.iter().any(|(_, session)| session.is_asked_for && session.life.is_certain(self.now_ms));
        (is_sure, !known.is_empty())
    }

    /// Adds why a session that this flow may need to begin may be refused; forbids it where it must be.
    fn admit(&self, half: &mut Half, flow: Flow) {
        let Some((local, peer)) = half.session else { return };
        let session = self.tables.sessions.get(&(local, peer));
        if session.is_some_and(|session| session.life.is_certain(self.now_ms)) {
            return;
        }
        let is_answer = flow.flags & (SYN | ACK) == SYN | ACK;
        if local.1 == TCP && (flow.flags & RST != 0 || is_answer) {
            half.drops.extend(["tcp-no-session", "no-mapping"]);
        }
        let host = self.count(self.tables.of_host(local.0));
        // Counting all is dear, and of no use while even a worker's share of the least limit is far away.
        let least = self.facts.all_max.unwrap_or(u32::MAX).min(self.facts.room) as usize;
        let shared = 2 * self.tables.sessions.len() + self.facts.worker_count + least / RESERVE_PART;
        let is_near = shared >= least / self.facts.worker_count;
        let all = if is_near { self.count(&self.tables.sessions) } else { (0, 0) };
        let room = u64::from(self.facts.room);
        // What all share is dealt out to workers, so that one may have used its part up.
        let workers = self.facts.worker_count as u64;
        for (reason, max, (certain, possible), possible_max) in [
            ("limit-host", self.facts.per_host_max.map(u64::from), host, None),
            (
                "limit-group",
                self.facts.all_max.map(u64::from),
                all,
                self.facts.all_max.map(|max| (u64::from(max) / workers).saturating_sub(workers - 1)),
            ),
            ("sessions-full", Some(room), all, Some(room / workers)),
        ] {
            let Some(max) = max else { continue };
            if possible + u64::from(flow.has_begun) >= possible_max.unwrap_or(max) {
                half.drops.push(reason);
            }
            if certain >= max && session.is_none() {
                half.end = None;
            }
        }
        let places = (room / workers) as usize;
        let held = host.1 + u64::from(flow.has_begun);
        if is_share(held, all.1, places) {
            half.drops.push("session-share");
        }
        // A table that is nearly full is for hosts that answer ARP, and who knows who has.
        if 4 * (all.1 + 1) >= 3 * places as u64 {
            half.drops.push("host-unresolved");
        }
        // The last of what a host may have is for destinations to which it has few flows.
        let is_reserved = |max: u32| held + 1 + u64::from(max) / RESERVE_PART as u64 >= max.into();
        let is_at_its_own = self.facts.per_host_max.is_some_and(is_reserved);
        if held >= FEW && (is_at_its_own || is_reserved_share(held, all.1, places)) {
            half.drops.push("destination-share");
        }
    }

    /// How many sessions there are for certain, and perhaps.
    fn count<'a>(
        &self,
        sessions: impl IntoIterator<Item = (&'a (Local, Endpoint), &'a Session)>,
    ) -> (u64, u64) {
        let mut counts = (0, 0);
        for ((local, _), session) in sessions {
            let is_certain = session.is_counted && session.life.is_certain(self.now_ms);
            // A whole address's mapping may count as well.
            counts.0 += u64::from(is_certain && local.1 != WHOLE);
            counts.1 += 1;
        }
        counts
    }
}

/// Of what all share, a reserve is for those with few: one place in so many, and less than so many.
const RESERVE_PART: usize = 16;
const FEW: u64 = 16;

/// Whether a host that has so many places may be refused more of them for one destination, where so many are taken.
pub(super) fn is_reserved_share(held: u64, taken: u64, places: usize) -> bool {
    // What it may still have is half of what is not reserved, and a sixteenth of its own at most.
    is_share(held, taken + 2 * (places / RESERVE_PART) as u64, places)
}

/// Whether a host that has so many places may be refused more, where so many are taken.
pub(super) fn is_share(held: u64, taken: u64, places: usize) -> bool {
    held >= FEW && held + taken + (places / RESERVE_PART) as u64 + 1 >= places as u64
}
