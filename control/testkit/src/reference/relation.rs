//! Decides whether what the appliance did with a packet is legal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv4Addr;

use alg::Side;
use dataplane::message::SessionRow;

use super::facts::{Dynamic, Endpoint, Facts, Filtering, ICMP, INSIDE, INSIDE_ADDRESS, OUTSIDE_ADDRESS};
use super::half::{End, Flow, Half};
use super::notices;
use super::tables::{Local, Session, Tables};
use super::view::{Edits, Kind, View, forwarded};
use crate::compare::differences;
use crate::stations::frame;

/// What the appliance did with a packet, or while time passed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// IPv4 packets it sent, with their side.
    pub sent: Vec<(Side, Vec<u8>)>,
    /// Drops it counted, by reason.
    pub drops: Vec<(&'static str, u64)>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It left on this side.
    Forwarded(Side),
    /// It was dropped for this reason.
    Dropped(&'static str),
    /// It waits: a fragment without its first one.
    Held,
    /// It was for the appliance itself.
    Consumed,
}

/// What may become of a packet.
#[derive(Clone, Debug)]
pub(super) struct Legal {
    /// How it may be forwarded: to which side, with which edits, and the halves for its sender and its receiver.
    pub forward: Option<(Side, Edits, Option<Half>, Option<Half>)>,
    /// Why it may be dropped.
    pub drops: Vec<&'static str>,
    /// It may be for the appliance itself.
    pub is_own: bool,
    /// The inside sender's half.
    pub source: Option<Half>,
    /// The inside sender's half of a hairpin. It may begin a session even if the receiver's half is refused.
    pub first_half: Option<Half>,
}

/// A fragmented datagram's side, source, destination and identification.
type DatagramKey = (Side, Ipv4Addr, Ipv4Addr, u16);

/// What is known of a fragmented datagram.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub seen_ms: u64,
    /// What became of the first fragment: `None` until it comes, `Some(None)` if it was not forwarded, else the side it
    /// left on and its edits.
    pub way: Option<Option<(Side, Edits)>>,
    /// Fragments that wait for the first one.
    pub waiting: Vec<Vec<u8>>,
    /// The halves of the first fragment, with its sessions.
    pub halves: Vec<Half>,
}

/// The reference: the facts, and what the appliance must have in its tables after what it did so far.
#[derive(Clone, Debug)]
pub struct Relation {
    pub(super) facts: Facts,
    pub(super) tables: Tables,
    pub(super) now_ms: u64,
    pub(super) datagrams: BTreeMap<DatagramKey, Datagram>,
    /// When a flow that needed a new mapping was last refused.
    pub(super) refused_ms: u64,
    /// When a host last took part in a hairpin.
    pub(super) hairpins: BTreeMap<Ipv4Addr, u64>,
}

/// How long a fragment waits for the first one at least, in milliseconds.
const WAIT_MS: u64 = 1000;

impl Relation {
    /// A reference for these facts.
    pub fn new(facts: Facts) -> Relation {
        Relation {
            facts,
            tables: Tables::default(),
            now_ms: 0,
            datagrams: BTreeMap::new(),
            refused_ms: 0,
            hairpins: BTreeMap::new(),
        }
    }

    /// The facts.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The global endpoint of an inside endpoint, if it is known.
    pub fn global_of(&self, protocol: u8, local: Endpoint) -> Option<Endpoint> {
        let fixed = self.facts.static_global(protocol, local);
        let mapped = || self.tables.mappings.get(&(local.0, protocol, local.1)).copied();
        let whole = || self.tables.mappings.get(&(local.0, 0, 0)).map(|whole| (whole.0, local.1));
        fixed.or_else(mapped).or_else(whole)
    }

    /// The global endpoint of an inside endpoint, if its mapping exists for certain.
    pub fn certain_global_of(&self, protocol: u8, local: Endpoint) -> Option<Endpoint> {
        let is_certain =
            |local: Local| self.tables.mapping(local, self.now_ms).is_some_and(|(_, certain)| certain);
        let is_fixed = self.facts.static_global(protocol, local).is_some();
        let has_mapping = || is_certain((local.0, protocol, local.1)) || is_certain((local.0, 0, 0));
        self.global_of(protocol, local).filter(|_| is_fixed || has_mapping())
    }

    /// The sessions and mappings of a packet's endpoints, one line for each session.
    pub fn known(&self, packet: &[u8]) -> String {
        let view = View::of(packet);
        let ends = [view.src, view.dst];
        let owners =
            ends.map(|end| self.tables.owner(view.protocol, end, self.now_ms).map(|(local, _)| local));
        let own = ends.map(|end| Some((end.0, view.protocol, end.1)));
        let mut text = String::new();
        for local in owners.into_iter().chain(own).flatten() {
            let mapping = self.tables.mappings.get(&local);
            for (peer, session) in self.tables.of(local) {
                let _ = writeln!(text, "  {local:?} as {mapping:?} with {peer:?}: {session:?}");
            }
        }
        text
    }

    /// How many sessions there may be, and how many mappings.
    pub fn counts(&self) -> (usize, usize) {
        (self.tables.sessions.len(), self.tables.mappings.len())
    }

    /// Checks the sessions that the appliance lists: every session that it must have, and none that it cannot have.
    ///
    /// # Errors
    /// The first session that is missing, or that cannot be.
    pub fn verify_sessions(&self, rows: &[SessionRow]) -> Result<(), String> {
        let mut listed = BTreeSet::new();
        for row in rows {
            let (local, peer) = (row.inside_local, row.outside_global);
            let local = (local.addr, row.protocol, local.port);
            let peer_port = if row.protocol == ICMP { 0 } else { peer.port };
            // A whole address's mapping is listed with the sessions, and has no peer.
            let key = (local, (peer.addr, peer_port));
            if !self.tables.sessions.contains_key(&key) {
                return Err(format!("a session that cannot be: {local:?} with {:?}", key.1));
            }
            listed.insert(key);
        }
        let is_missing = |(key, session): &(&(Local, Endpoint), &Session)| {
            session.is_counted && session.life.is_certain(self.now_ms) && !listed.contains(*key)
        };
        match self.tables.sessions.iter().find(is_missing) {
            Some((key, session)) => Err(format!("a session is missing: {key:?}, {session:?}")),
            None => Ok(()),
        }
    }

    /// Time passes. `seen` is what the appliance did meanwhile.
    ///
    /// # Errors
    /// What it should not have done.
    pub fn pass(&mut self, now_ms: u64, seen: &Seen) -> Result<(), String> {
        self.now_ms = now_ms;
        self.tables.purge(now_ms, &self.facts);
        let waiting: usize = self.datagrams.values().map(|datagram| datagram.waiting.len()).sum();
        for &(reason, count) in &seen.drops {
            if reason != "fragment-timeout" || count > waiting as u64 {
                return Err(format!("{count} packets were dropped as {reason} while nothing came in"));
            }
        }
        if let Some((side, packet)) = seen.sent.first() {
            return Err(format!("sent without a cause: {}, {side:?}", crate::describe::packet(packet)));
        }
        self.datagrams.retain(|_, datagram| now_ms < datagram.seen_ms + 120_000);
        Ok(())
    }

    /// Checks that what was seen is legal for a packet that came in on `side`, and adopts it.
    ///
    /// # Errors
    /// What is not legal.
    pub fn judge(&mut self, side: Side, packet: &[u8], seen: &Seen) -> Result<Verdict, String> {
        let view = View::of(packet);
        if view.kind == Kind::LaterFragment {
            return self.judge_later_fragment(side, packet, &view, seen);
        }
        let mut legal = match view.kind {
            Kind::Error => self.error(side, packet, &view),
            _ => self.flow(side, &view),
        };
        let last_hop = legal.forward.clone().filter(|_| view.ttl <= 1);
        if let Some((_, _, source, target)) = last_hop {
            self.may_be_refreshed(source.iter().chain(&target));
            legal.forward = None;
        }
        if view.ttl <= 1 {
            legal.drops.push("ttl-exceeded");
        }
        let key = (side, view.src.0, view.dst.0, view.id);
        let known = if view.has_more { self.datagrams.remove(&key) } else { None };
        // Fragments that waited for long may have been dropped meanwhile.
        let is_old = known.as_ref().is_some_and(|known| self.now_ms > known.seen_ms + WAIT_MS);
        let waiting = (known.map_or(Vec::new(), |known| known.waiting), is_old);
        let verdict = self.compare(side, packet, &legal, &waiting, seen)?;
        let way = match (verdict, &legal.forward) {
            (Verdict::Forwarded(to), Some((_, edits, source, target))) => {
                let edits = Edits { is_address_only: true, ..self.adopted(edits, source.as_ref(), &view) };
                self.touch_all(&view, source.as_ref(), target.as_ref());
                let first = seen.sent.iter().find(|(side, _)| *side == to);
                Some((to, Edits { id: first.map(|(_, came)| View::of(came).id), ..edits }))
            }
            _ => None,
        };
        if let (Verdict::Dropped(_), Some(source)) = (verdict, &legal.first_half) {
            self.may_have_begun(source);
        }
        if matches!(verdict, Verdict::Dropped(_)) {
            self.may_be_refreshed(legal.source.iter());
        }
        let is_fresh = |half: &Half| matches!(half.end, None | Some(End::Fresh(_)));
        if matches!(verdict, Verdict::Dropped(_)) && legal.source.as_ref().is_some_and(is_fresh) {
            self.refused_ms = self.now_ms;
        }
        if view.has_more {
            self.verify_id(&key, &way)?;
            let target = legal.forward.and_then(|(.., target)| target);
            let halves = legal.source.into_iter().chain(target).collect();
            let (seen_ms, way) = (self.now_ms, Some(way));
            let datagram = Datagram { seen_ms, way, waiting: Vec::new(), halves };
            self.datagrams.insert(key, datagram);
        }
        Ok(verdict)
    }

    /// Checks that no other fragmented datagram, with fragments still on their way, left with the same addresses and
    /// identification.
    fn verify_id(&self, key: &DatagramKey, way: &Option<(Side, Edits)>) -> Result<(), String> {
        let shown = |key: &DatagramKey, (to, edits): &(Side, Edits)| {
            let addr = |end: Option<Endpoint>, own| end.map_or(own, |(addr, _)| addr);
            (*to, addr(edits.src, key.1), addr(edits.dst, key.2), edits.id)
        };
        let Some(own) = way.as_ref().map(|way| shown(key, way)) else { return Ok(()) };
        let is_same = |(other, datagram): (&DatagramKey, &Datagram)| {
            other != key
                && self.now_ms < datagram.seen_ms + WAIT_MS
                && datagram.way.flatten().is_some_and(|way| shown(other, &way) == own)
        };
        match self.datagrams.iter().any(is_same) {
            true => Err(format!(
                "two fragmented datagrams at once with side, addresses and identification {own:?}"
            )),
            false => Ok(()),
        }
    }

    /// Whether all effects of a packet can be seen. A hairpin that is refused may leave a mapping that nothing shows.
    pub fn is_predictable(&self, side: Side, packet: &[u8]) -> bool {
        let view = View::of(packet);
        let is_hairpin = side == Side::Inside && self.facts.is_global(view.dst.0);
        if !is_hairpin || view.kind != Kind::Flow {
            return true;
        }
        let legal = self.flow(side, &view);
        let (own, peer) = (view.src, view.dst);
        let flow = Flow { protocol: view.protocol, flags: view.flags, own, peer, has_begun: false };
        let source = self.source(flow);
        let is_fresh = matches!(source.end, Some(End::Fresh(_)));
        !is_fresh || (legal.forward.is_some() && legal.drops.is_empty() && view.ttl > 1)
    }

    /// What may become of a packet that is no ICMP error.
    fn flow(&self, side: Side, view: &View) -> Legal {
        let flow =
            |own, peer| Flow { protocol: view.protocol, flags: view.flags, own, peer, has_begun: false };
        let is_to_nat = self.facts.is_global(view.dst.0);
        let is_own = [INSIDE_ADDRESS, OUTSIDE_ADDRESS].contains(&view.dst.0);
        if is_own && !is_to_nat {
            return Legal {
                forward: None,
                drops: vec!["no-local-service"],
                is_own: true,
                source: None,
                first_half: None,
            };
        }
        // The identifier of an ICMP query stands for the port of the translated host, whether that asks or answers. The
        // peer has no port.
        let id = view.src.1.max(view.dst.1);
        let is_query = view.is_request() || view.is_reply();
        let own = |end: Endpoint| if is_query { (end.0, id) } else { end };
        let peer = |end: Endpoint| if is_query { (end.0, 0) } else { end };
        let source = (side == Side::Inside).then(|| self.source(flow(own(view.src), peer(view.dst))));
        if source.as_ref().is_some_and(|source| source.end.is_none()) || !is_to_nat {
            let mut drops = source.as_ref().map_or(Vec::new(), |source| source.drops.clone());
            if is_to_nat {
                // The sender's half refuses this hairpin. The receiver's half may refuse it too: either's reason is legal.
                drops.extend(["no-mapping", "no-local-service"]);
            }
            let to = if INSIDE.contains(&view.dst.0) { Side::Inside } else { Side::Outside };
            if side == Side::Outside
                && let Some(reason) = self.refusal_around(to, view.protocol, view.dst, view.src)
            {
                return Legal { forward: None, drops: vec![reason], is_own: false, source, first_half: None };
            }
            let edits = Edits { src: known(&source), ..Edits::default() };
            let may_pass = source.as_ref().is_none_or(|source| source.end.is_some());
            let half = source.clone();
            let forward = may_pass.then_some((to, edits, source, None));
            return Legal { forward, drops, is_own: false, source: half, first_half: None };
        }
        // The receiver of a hairpin sees the sender's global endpoint, which may not be chosen yet.
        let (seen, is_fresh) = match source.as_ref().and_then(|source| source.end) {
            Some(End::Known(global)) => (global, false),
            Some(End::Fresh(old)) => (old.unwrap_or(view.src), true),
            _ => (view.src, false),
        };
        let to = Flow { has_begun: source.is_some(), ..flow(own(view.dst), peer(seen)) };
        let mut target = self.target(to, view.is_request());
        if is_fresh {
            self.loosen(&mut target, view.protocol, own(view.dst));
            if self.facts.filtering != Filtering::EndpointIndependent {
                target.drops.extend(["no-mapping", "no-local-service"]);
            }
        }
        let mut drops = source.as_ref().map_or(Vec::new(), |source| source.drops.clone());
        drops.extend(&target.drops);
        // No standard says whether a host that is not translated reaches other hosts by their global addresses.
        if source.as_ref().is_some_and(|source| source.end == Some(End::Same)) {
            drops.push("no-mapping");
        }
        let edits = Edits { src: known(&source), dst: known(&Some(target.clone())), ..Edits::default() };
        let first_half = source.clone();
        let forward = target.end.map(|_| (Side::Inside, edits, source, Some(target)));
        Legal { forward, drops, is_own, source: first_half.clone(), first_half }
    }

    /// Why a packet from outside to an endpoint that is not global is dropped instead of routed; none if it is routed.
    /// Answers of an inside host to such a packet would be translated. A packet to an unused address of the pool's
    /// network would be sent back by the router outside.
    pub(super) fn refusal_around(
        &self,
        to: Side,
        protocol: u8,
        local: Endpoint,
        peer: Endpoint,
    ) -> Option<&'static str> {
        match to {
            Side::Inside if self.facts.translates(protocol, local) && !INSIDE.contains(&peer.0) => {
                Some("inside-local")
            }
            Side::Outside if self.facts.is_of_pool_network(local.0) => Some("no-mapping"),
            _ => None,
        }
    }

    /// Widens the receiver's half of a hairpin whose sender has no global endpoint yet. The sender may get an endpoint to
    /// which the receiver has sent before, and then the filter lets the packet pass.
    fn loosen(&self, target: &mut Half, protocol: u8, global: Endpoint) {
        let Some((local, _)) = self.tables.owner(protocol, global, self.now_ms) else { return };
        let mut peers = self.tables.of(local).map(|(peer, _)| *peer);
        if let Some(peer) = peers.find(|peer| target.end.is_none() && self.facts.is_global(peer.0)) {
            target.end = Some(End::Known((local.0, local.2)));
            target.session = Some((local, peer));
            target.is_dynamic = true;
        }
    }

    /// Compares what was seen with what is legal. A fresh global endpoint is read from the packet sent, and verified.
    fn compare(
        &mut self,
        side: Side,
        packet: &[u8],
        legal: &Legal,
        (waiting, is_old): &(Vec<Vec<u8>>, bool),
        seen: &Seen,
    ) -> Result<Verdict, String> {
        let (notices, sent): (Vec<_>, Vec<_>) =
            seen.sent.iter().partition(|(to, sent)| *to == side && notices::is_own(sent, packet));
        if !seen.drops.is_empty() {
            // Fragments that waited are dropped with the first one, for a reason of their own.
            let reason =
                seen.drops.iter().map(|(reason, _)| *reason).find(|reason| legal.drops.contains(reason));
            let count: u64 = seen.drops.iter().map(|(_, count)| count).sum();
            let all = 1 + waiting.len() as u64;
            let is_right = count == all || (*is_old && count < all);
            let is_right = is_right && sent.is_empty();
            let Some(reason) = reason.filter(|_| is_right) else {
                return Err(format!("dropped as {:?}; legal: {}", seen.drops, self.told(legal)));
            };
            notices::verify(reason, side, packet, &notices)?;
            return Ok(Verdict::Dropped(reason));
        }
        if legal.is_own && sent.is_empty() {
            return Ok(Verdict::Consumed);
        }
        let Some((to, edits, source, _)) = &legal.forward else {
            return Err(format!("{} packets sent, none dropped; legal: {}", sent.len(), self.told(legal)));
        };
        let Some((_, first)) = sent.first() else {
            return Err(format!("neither sent nor dropped; legal: {}", self.told(legal)));
        };
        let mut edits = *edits;
        if let Some(Half { end: Some(End::Fresh(old)), session: Some((local, _)), .. }) = source {
            let view = View::of(first);
            let global = if view.is_reply() { (view.src.0, view.dst.1) } else { view.src };
            if Some(global) != *old {
                self.may_choose(*local, global)?;
            }
            self.adopt(*local, global);
            edits.src = Some(global);
        }
        if View::of(packet).has_more {
            edits.id = Some(View::of(first).id);
        }
        let later = Edits { is_address_only: true, ..edits };
        let mut expected = vec![forwarded(packet, &edits)];
        expected.extend(waiting.iter().map(|fragment| forwarded(fragment, &later)));
        // Waiting fragments leave in any order. Some may have timed out, if they waited for long.
        let too_few = expected.len() > sent.len();
        for (index, (came_to, came)) in sent.iter().enumerate() {
            if came_to != to {
                return Err(format!("sent {came_to:?}; legal: {}", self.told(legal)));
            }
            let wanted =
                if index == 0 { Some(&expected[0]) } else { expected[1..].iter().find(|e| *e == came) };
            verify(*to, wanted.unwrap_or(&expected[0]), came)?;
        }
        if (too_few && !is_old) || sent.len() > expected.len() {
            return Err(format!("{} packets sent, {} expected", sent.len(), expected.len()));
        }
        Ok(Verdict::Forwarded(*to))
    }

    /// The edits with the endpoint that was adopted, if one was.
    fn adopted(&self, edits: &Edits, source: Option<&Half>, view: &View) -> Edits {
        let is_fresh = source.is_some_and(|source| matches!(source.end, Some(End::Fresh(_))));
        let src = if is_fresh { self.global_of(view.protocol, view.src) } else { edits.src };
        Edits { src, ..*edits }
    }

    fn told(&self, legal: &Legal) -> String {
        let forward = legal.forward.as_ref().map(|(to, edits, source, _)| {
            let end = source.as_ref().and_then(|source| source.end);
            format!("to {to:?} as {edits:?}, source {end:?}")
        });
        format!("{} or dropped as {:?}", forward.unwrap_or("not forwarded".into()), legal.drops)
    }

    /// A fragment that is not the first.
    fn judge_later_fragment(
        &mut self,
        side: Side,
        packet: &[u8],
        view: &View,
        seen: &Seen,
    ) -> Result<Verdict, String> {
        let reasons =
            ["fragment-untranslatable", "fragment-timeout", "fragments-full", "no-mapping", "inside-local"];
        let now_ms = self.now_ms;
        let key = (side, view.src.0, view.dst.0, view.id);
        let new = Datagram { seen_ms: now_ms, way: None, waiting: Vec::new(), halves: Vec::new() };
        let halves = self.datagrams.get(&key).map_or(Vec::new(), |known| known.halves.clone());
        self.may_be_refreshed(halves.iter());
        // A session of the first fragment may be gone since.
        let is_live = |key| {
            self.tables.sessions.get(&key).is_some_and(|session: &Session| session.life.is_certain(now_ms))
        };
        let has_gone = halves.iter().filter_map(|half| half.session).any(|key| !is_live(key));
        let datagram = self.datagrams.entry(key).or_insert(new);
        let is_old = now_ms > datagram.seen_ms + WAIT_MS;
        match (seen.sent.as_slice(), seen.drops.as_slice(), datagram.way) {
            ([(to, came)], [], Some(Some((way, edits)))) if *to == way => {
                verify(way, &forwarded(packet, &edits), came)?;
                Ok(Verdict::Forwarded(way))
            }
            ([], [], way) if way.is_none() || is_old || way == Some(None) => {
                datagram.waiting.push(packet.to_vec());
                Ok(Verdict::Held)
            }
            ([], [(reason, 1)], way)
                if reasons.contains(reason) && (is_old || has_gone || way == Some(None)) =>
            {
                Ok(Verdict::Dropped(reason))
            }
            // The first fragment was refused, but its flow may have begun since.
            ([(to, came)], [], Some(None)) => {
                let seen = View::of(came);
                let (src, dst) = (Some(seen.src), Some(seen.dst));
                let edits = Edits { src, dst, id: Some(seen.id), is_address_only: true, ..Edits::default() };
                verify(*to, &forwarded(packet, &edits), came)?;
                Ok(Verdict::Forwarded(*to))
            }
            // A fragment that is not translated does not have to wait for the first one.
            ([(to, came)], [], None) => {
                let edits = Edits { is_address_only: true, ..Edits::default() };
                verify(*to, &forwarded(packet, &edits), came)?;
                Ok(Verdict::Forwarded(*to))
            }
            (sent, drops, way) => {
                Err(format!("{} sent, {drops:?} dropped; the first fragment's way is {way:?}", sent.len()))
            }
        }
    }

    /// Adopts a global endpoint.
    fn adopt(&mut self, local: Local, global: Endpoint) {
        let is_whole = matches!(self.facts.dynamic, Dynamic::Whole(_));
        match is_whole {
            true => self.tables.adopt((local.0, 0, 0), (global.0, 0), self.now_ms),
            false => self.tables.adopt(local, global, self.now_ms),
        }
    }
}

/// What an endpoint becomes, if that is known before the packet is sent.
fn known(half: &Option<Half>) -> Option<Endpoint> {
    match half.as_ref()?.end? {
        End::Known(end) => Some(end),
        End::Same | End::Fresh(_) => None,
    }
}

/// Compares a packet that came out with the one expected, byte for byte.
fn verify(to: Side, wanted: &[u8], came: &[u8]) -> Result<(), String> {
    if wanted == came {
        return Ok(());
    }
    let framed = |packet: &[u8]| frame([0; 6], [0; 6], None, 0x0800, packet);
    let lines = differences(&framed(wanted), &framed(came)).join("; ");
    Err(format!("sent {to:?} {}: {lines}", crate::describe::packet(came)))
}
