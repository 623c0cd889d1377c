//! What the reference believes to be in the appliance's tables: sessions, and the mappings they keep alive.
//!
//! A session lives for certain until one time and is gone for certain from another; in between, what the appliance
//! does is accepted and learnt from. Idle times run out within a slot of its timer, and where the standards leave
//! it open whether a packet refreshes a session, the two times lie far apart.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::facts::{Endpoint, Facts};

/// A whole address's mapping has this for its protocol and port.
pub const WHOLE: u8 = 0;
/// The peer of a session for all peers.
pub const ANYONE: Endpoint = (Ipv4Addr::UNSPECIFIED, 0);

/// An inside endpoint: address, protocol and port, in the order that keeps a host's together.
pub type Local = (Ipv4Addr, u8, u16);

/// From when on something may be gone, and from when on it is, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// It is there for certain before this time.
    pub earliest_ms: u64,
    /// It is gone for certain from this time on.
    pub latest_ms: u64,
}

impl Life {
    /// There for certain.
    pub fn is_certain(&self, now_ms: u64) -> bool {
        now_ms < self.earliest_ms
    }
}

/// What is known of a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// What acknowledges its SYN, of inside and outside, once that was seen.
    pub syn: [Option<u32>; 2],
    /// Its SYN was acknowledged, likewise.
    pub is_proved: [bool; 2],
    /// FIN seen, likewise.
    pub fin: [bool; 2],
    /// A RST was seen, or it began in the middle, or began anew, or numbers were guessed: its idle time is any.
    pub is_odd: bool,
}

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// How long it lives.
    pub life: Life,
    /// Its connection.
    pub tcp: Tcp,
    /// The inside sent to this peer.
    pub is_asked_for: bool,
    /// Limits count it for certain.
    pub is_counted: bool,
}

/// Sessions, and mappings with them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By inside endpoint and peer.
    pub sessions: BTreeMap<(Local, Endpoint), Session>,
    /// The global endpoint of dynamic mappings.
    pub mappings: BTreeMap<Local, Endpoint>,
    /// The mapping of a protocol's global endpoint.
    pub by_global: BTreeMap<(u8, Endpoint), Local>,
    /// When a mapping may have given its global endpoint back, when it has for certain, and who had it.
    pub freed: BTreeMap<(u8, Endpoint), (Life, Ipv4Addr)>,
    next_purge_ms: u64,
}

impl Tables {
    /// The sessions of an inside endpoint.
    pub fn of(&self, local: Local) -> impl Iterator<Item = (&Endpoint, &Session)> {
        let range = (local, ANYONE)..=(local, (Ipv4Addr::BROADCAST, u16::MAX));
        self.sessions.range(range).map(|((_, peer), session)| (peer, session))
    }

    /// The sessions of a host.
    pub fn of_host(&self, host: Ipv4Addr) -> impl Iterator<Item = (&(Local, Endpoint), &Session)> {
        let last = ((host, u8::MAX, u16::MAX), (Ipv4Addr::BROADCAST, u16::MAX));
        self.sessions.range(((host, 0, 0), ANYONE)..=last)
    }

    /// The mapping of an inside endpoint, and whether it is there for certain.
    pub fn mapping(&self, local: Local, now_ms: u64) -> Option<(Endpoint, bool)> {
        let global = self.mappings.get(&local)?;
        Some((*global, self.of(local).any(|(_, session)| session.life.is_certain(now_ms))))
    }

    /// The inside endpoint of a global one, and whether the mapping is there for certain.
    pub fn owner(&self, protocol: u8, global: Endpoint, now_ms: u64) -> Option<(Local, bool)> {
        let local = *self.by_global.get(&(protocol, global))?;
        self.mapping(local, now_ms).map(|(_, is_certain)| (local, is_certain))
    }

    /// Adopts a mapping. Whoever had an endpoint before cannot have it any more.
    pub fn adopt(&mut self, local: Local, global: Endpoint, now_ms: u64) {
        if self.mappings.get(&local) == Some(&global) {
            return;
        }
        self.forget(local, now_ms);
        if let Some(&other) = self.by_global.get(&(local.1, global)) {
            self.forget(other, now_ms);
        }
        self.mappings.insert(local, global);
        self.by_global.insert((local.1, global), local);
    }

    /// Forgets an inside endpoint's mapping and sessions.
    fn forget(&mut self, local: Local, now_ms: u64) {
        let peers: Vec<Endpoint> = self.of(local).map(|(peer, _)| *peer).collect();
        let lives = peers.iter().filter_map(|&peer| self.sessions.remove(&(local, peer)));
        let earliest_ms = lives.map(|session| session.life.earliest_ms).max().unwrap_or(0);
        self.free(local, Life { earliest_ms: earliest_ms.min(now_ms), latest_ms: now_ms });
    }

    fn free(&mut self, local: Local, when: Life) {
        if let Some(global) = self.mappings.remove(&local) {
            self.by_global.remove(&(local.1, global));
            self.freed.insert((local.1, global), (when, local.0));
        }
    }

    /// Removes what is gone for certain.
    pub fn purge(&mut self, now_ms: u64, facts: &Facts) {
        if now_ms < self.next_purge_ms {
            return;
        }
        let gone: Vec<(Local, Endpoint)> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.life.latest_ms <= now_ms)
            .map(|(key, _)| *key)
            .collect();
        let mut touched: BTreeMap<Local, Life> = BTreeMap::new();
        for key in gone {
            if let Some(session) = self.sessions.remove(&key) {
                let life = touched.entry(key.0).or_insert(session.life);
                life.earliest_ms = life.earliest_ms.max(session.life.earliest_ms);
                life.latest_ms = life.latest_ms.max(session.life.latest_ms);
            }
        }
        for (local, life) in touched {
            if self.of(local).next().is_none() {
                self.free(local, life);
            }
        }
        self.freed.retain(|_, (when, _)| now_ms < when.latest_ms + facts.hold_down_ms + 1000);
        let deadlines = self.sessions.values().map(|session| session.life.latest_ms);
        self.next_purge_ms = deadlines.min().unwrap_or(u64::MAX);
    }

    /// Puts a session in.
    pub fn put(&mut self, local: Local, peer: Endpoint, session: Session) {
        self.next_purge_ms = self.next_purge_ms.min(session.life.latest_ms);
        self.sessions.insert((local, peer), session);
    }
}
