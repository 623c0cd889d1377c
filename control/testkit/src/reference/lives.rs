//! How long sessions live after a packet has passed.

use super::facts::{Dynamic, Endpoint, ICMP, TCP, UDP};
use super::half::Half;
use super::relation::Relation;
use super::tables::{ANYONE, Life, Local, Session, Tcp, WHOLE};
use super::view::View;
use crate::packet::{ACK, FIN, RST, SYN};

/// A slot of the appliance's timer, in milliseconds.
const SLOT_MS: u64 = 100;
/// How many expiries the appliance handles at once, and how often the bench lets it do so, in milliseconds.
const EXPIRIES: usize = 64;
const TICK_MS: u64 = 50;
/// Sessions that one side began and the other has not confirmed may take one part in so many of a worker's table.
const UNCONFIRMED_PART: usize = 8;

/// Idle times between the shortest and the longest that are legal, in milliseconds.
type Idle = (u64, u64);

impl Relation {
    /// Begins or refreshes the sessions of a packet that passed.
    pub(super) fn touch_all(&mut self, view: &View, source: Option<&Half>, target: Option<&Half>) {
        let mut is_hairpin = false;
        if let Some(Half { session: Some((local, peer)), is_dynamic, .. }) = source {
            is_hairpin = target.is_some();
            self.touch(*local, *peer, view, (true, is_hairpin), *is_dynamic);
        }
        if let Some(Half { session: Some((local, peer)), is_dynamic, .. }) = target {
            let mut peer = *peer;
            if is_hairpin && peer != ANYONE {
                // By now the sender's global endpoint is known.
                let own = (view.src.0, view.src.1.max(if view.is_reply() { view.dst.1 } else { 0 }));
                let seen = self.global_of(view.protocol, own).unwrap_or(peer);
                peer = if view.protocol == ICMP { (seen.0, 0) } else { seen };
            }
            self.touch(*local, peer, view, (false, is_hairpin), *is_dynamic && !is_hairpin);
        }
    }

    /// A hairpin was refused by its receiver's half. No standard says whether the sender's half begins a session
    /// nevertheless: either is legal.
    pub(super) fn may_have_begun(&mut self, source: &Half) {
        let Some((local, peer)) = source.session else { return };
        self.hairpins.insert(local.0, self.now_ms);
        if self.global_of(local.1, (local.0, local.2)).is_none() {
            return;
        }
        let life = Life { earliest_ms: 0, latest_ms: self.now_ms + self.idle_max() };
        let new = Session { life, tcp: Tcp::default(), is_asked_for: true, is_counted: false };
        let mut session = self.tables.sessions.get(&(local, peer)).copied().unwrap_or(new);
        session.life.latest_ms = session.life.latest_ms.max(life.latest_ms);
        session.tcp.is_odd = true;
        self.tables.put(local, peer, session);
    }

    /// A packet was not forwarded. No standard says whether it refreshes sessions and mappings of whole addresses: either
    /// is legal.
    pub(super) fn may_be_refreshed<'a>(&mut self, halves: impl Iterator<Item = &'a Half>) {
        for (local, peer) in halves.filter_map(|half| half.session) {
            if let Some(session) = self.tables.sessions.get(&(local, peer)) {
                let latest_ms = session.life.latest_ms.max(self.now_ms + self.idle_max());
                let life = Life { latest_ms, ..session.life };
                self.tables.put(local, peer, Session { life, ..*session });
            }
            self.touch_whole(local, false, self.now_ms + self.idle_max());
        }
    }

    pub(super) fn idle_max(&self) -> u64 {
        let idle = self.facts.idle;
        idle.tcp_ms.max(idle.udp_ms).max(idle.icmp_ms) + 5000
    }

    fn touch(
        &mut self,
        local: Local,
        peer: Endpoint,
        view: &View,
        (is_outbound, is_hairpin): (bool, bool),
        is_counted: bool,
    ) {
        let known = self.tables.sessions.get(&(local, peer)).copied();
        let is_known = known.is_some_and(|session| session.life.is_certain(self.now_ms));
        let mut session = known.unwrap_or(Session {
            life: Life { earliest_ms: 0, latest_ms: 0 },
            tcp: Tcp::default(),
            is_asked_for: false,
            // A session that began outside does not have to count towards the host's limits.
            is_counted: is_counted && is_outbound,
        });
        let ((low, high), refreshes) = match local.1 {
            TCP => {
                session.tcp.is_odd |= known.is_some() && !is_known;
                self.tcp(&mut session.tcp, view, !is_outbound, known.is_some())
            }
            _ => (self.datagram_idle(&mut session.tcp, local, peer, view, is_outbound), true),
        };
        // A session that the inside has not answered may end as early as an unfinished handshake.
        let is_answered = local.1 == TCP || is_outbound || session.is_asked_for && is_known;
        let low = if is_answered { low } else { low.min(self.facts.idle.syn_ms) };
        let tolerance_ms = SLOT_MS + TICK_MS * (1 + self.tables.sessions.len() / EXPIRIES) as u64;
        let earliest_ms = (self.now_ms + low).saturating_sub(SLOT_MS);
        if is_hairpin {
            self.hairpins.insert(local.0, self.now_ms);
        }
        session.life.earliest_ms = match (refreshes, is_known) {
            (true, _) | (_, false) => earliest_ms,
            (false, true) => session.life.earliest_ms.min(earliest_ms),
        };
        let latest_ms = self.now_ms + high + tolerance_ms;
        session.life.latest_ms =
            if session.tcp.is_odd { session.life.latest_ms.max(latest_ms) } else { latest_ms };
        session.is_asked_for = is_outbound || session.is_asked_for && is_known;
        session.is_counted &= is_counted && is_outbound || is_known;
        // An inside host's answer to a SYN from outside does not count as a use of its address yet.
        let is_proved = session.tcp.is_proved == [true; 2] && !session.tcp.is_odd;
        let is_use = is_outbound && (local.1 != TCP || known.is_none() || is_proved);
        self.tables.put(local, peer, session);
        self.touch_whole(local, is_use, latest_ms);
        self.may_give_way();
    }

    fn may_give_way(&mut self) {
        let part = self.facts.room as usize / self.facts.worker_count / UNCONFIRMED_PART;
        if self.tables.sessions.len() >= part {
            self.doubt_unconfirmed();
        }
    }

    /// Sessions that began outside and that no inside host has confirmed may be ended for new ones, if there are many.
    fn doubt_unconfirmed(&mut self) {
        let is_confirmed = |local: &Local, session: &Session| match local.1 {
            TCP => session.tcp.is_proved == [true; 2] && !session.tcp.is_odd,
            _ => session.is_asked_for,
        };
        // A session that counts for certain began inside.
        let may_give_way =
            |local: &Local, session: &Session| !session.is_counted && !is_confirmed(local, session);
        let sessions = self.tables.sessions.iter_mut();
        let unconfirmed = sessions.filter(|((local, _), session)| may_give_way(local, session));
        unconfirmed.for_each(|(_, session)| session.life.earliest_ms = 0);
    }

    /// The mapping of a whole address has its own idle time, and lives at least as long as its sessions.
    fn touch_whole(&mut self, local: Local, refreshes: bool, latest_ms: u64) {
        let whole = (local.0, WHOLE, 0);
        let is_dynamic = matches!(self.facts.dynamic, Dynamic::Whole(_));
        if !is_dynamic || !self.tables.mappings.contains_key(&whole) {
            return;
        }
        let earliest_ms = (self.now_ms + self.facts.idle.simple_ms).saturating_sub(SLOT_MS);
        let none = Life { earliest_ms: 0, latest_ms: 0 };
        let old = self.tables.sessions.get(&(whole, ANYONE)).map_or(none, |session| session.life);
        let earliest_ms = if refreshes { earliest_ms } else { old.earliest_ms };
        let latest_ms = old.latest_ms.max(latest_ms + self.facts.idle.simple_ms);
        let life = Life { earliest_ms, latest_ms };
        let session = Session { life, tcp: Tcp::default(), is_asked_for: true, is_counted: false };
        self.tables.put(whole, ANYONE, session);
    }

    fn datagram_idle(
        &self,
        state: &mut Tcp,
        local: Local,
        peer: Endpoint,
        view: &View,
        is_outbound: bool,
    ) -> Idle {
        let idle = self.facts.idle;
        let peer_port = if is_outbound { view.dst.1 } else { view.src.1 };
        match local.1 {
            ICMP => (idle.icmp_ms, idle.icmp_ms),
            UDP if peer == ANYONE || local.2 == 53 || (!is_outbound && peer_port == 53) || state.is_odd => {
                // A mapping with sessions to port 53 and to other ports may have either idle time. So may a session that
                // began at port 53.
                state.is_odd |= peer_port == 53 || local.2 == 53;
                let low = if state.is_odd { idle.dns_ms.min(idle.udp_ms) } else { idle.udp_ms };
                (low, idle.udp_ms.max(idle.dns_ms))
            }
            UDP if peer_port == 53 => (idle.dns_ms, idle.dns_ms),
            UDP => (idle.udp_ms, idle.udp_ms),
            // No standard says which idle time a protocol without ports has.
            _ => (idle.udp_ms.min(idle.simple_ms), idle.udp_ms.max(idle.simple_ms)),
        }
    }

    /// Notes a packet of a TCP connection. Returns the idle time from now on, and whether this packet restarts it. A SYN is
    /// proved once the other side has acknowledged it. After a number that does not fit, any idle time is legal.
    fn tcp(&self, tcp: &mut Tcp, view: &View, is_inbound: bool, is_known: bool) -> (Idle, bool) {
        let (idle, flags) = (self.facts.idle, view.flags);
        let (from, to) = (usize::from(is_inbound), usize::from(!is_inbound));
        let was_closing = tcp.fin == [true; 2];
        let is_shaking = tcp.is_proved != [true; 2];
        tcp.is_odd |= flags & RST != 0;
        tcp.is_odd |= !is_known && flags & (SYN | ACK) != SYN;
        tcp.is_odd |= flags & SYN != 0 && (tcp.is_proved[from] || !is_shaking);
        tcp.is_odd |= flags & FIN != 0 && is_shaking;
        let is_proof = flags & ACK != 0 && tcp.syn[to] == Some(view.ack);
        tcp.is_proved[to] |= is_proof;
        tcp.is_odd |= !is_shaking && (tcp.syn[to] != Some(view.ack) || tcp.syn[from] != Some(view.seq));
        match flags & (SYN | ACK) {
            SYN => tcp.syn[from] = Some(view.seq.wrapping_add(1)),
            both if both == SYN | ACK && is_proof => tcp.syn[from] = Some(view.seq.wrapping_add(1)),
            both if both == SYN | ACK => tcp.is_odd = true,
            _ => {}
        }
        tcp.fin[from] |= flags & FIN != 0;
        let any = [idle.syn_ms, idle.tcp_ms, idle.finrst_ms];
        match () {
            () if tcp.is_odd => ((*any.iter().min().unwrap_or(&0), *any.iter().max().unwrap_or(&0)), false),
            () if tcp.fin == [true; 2] => ((idle.finrst_ms, idle.finrst_ms), !was_closing),
            () if tcp.is_proved == [true; 2] => ((idle.tcp_ms, idle.tcp_ms), true),
            () => ((idle.syn_ms, idle.syn_ms), false),
        }
    }
}
