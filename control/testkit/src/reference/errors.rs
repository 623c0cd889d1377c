//! ICMP errors about translated packets: the packet they quote tells whom they concern.

use alg::Side;

use super::facts::{Endpoint, ICMP, INSIDE, TCP, UDP};
use super::half::{End, Half};
use super::relation::{Legal, Relation};
use super::view::{Edits, View};

/// An error that may only be dropped.
fn refused(reason: &'static str) -> Legal {
    Legal { forward: None, drops: vec![reason], is_own: false, source: None, first_half: None }
}

/// What a quoted packet's session says: the endpoint on the other side, and whether it is there for certain.
type Found = Option<(Endpoint, bool)>;

impl Relation {
    /// What may become of an ICMP error.
    pub(super) fn error(&self, side: Side, packet: &[u8], view: &View) -> Legal {
        let quoted = View::quoted(packet);
        // Of a quoted query the identifier belongs to our host, whichever way it went.
        let id = quoted.src.1.max(quoted.dst.1);
        let is_query = quoted.protocol == ICMP;
        let own = |end: Endpoint| if is_query { (end.0, id) } else { end };
        let peer = |end: Endpoint| if is_query { (end.0, 0) } else { end };
        match side {
            // Who is addressed by an address of the inside is reached by routing.
            Side::Outside if !self.facts.is_global(view.dst.0) => {
                let to = if INSIDE.contains(&view.dst.0) { Side::Inside } else { Side::Outside };
                let local = (view.dst.0, own(quoted.src).1);
                match self.refusal_around(to, quoted.protocol, local, peer(quoted.dst)) {
                    Some("inside-local") => return refused("inside-local"),
                    Some(_) => return refused("icmp-unmatched"),
                    None => {}
                }
                self.said(&quoted, to, Some(Edits::default()), Some((view.dst, false)))
            }
            // The quoted packet went out: its source is a global endpoint of ours.
            Side::Outside => {
                let found = self.local_of(quoted.protocol, own(quoted.src), peer(quoted.dst));
                let edits = found.map(|(local, _)| Edits {
                    dst: Some(local),
                    quoted_src: Some(local),
                    ..Edits::default()
                });
                self.said(&quoted, Side::Inside, edits, found)
            }
            Side::Inside if self.facts.is_global(view.dst.0) => self.hairpin_error(view, &quoted, own, peer),
            // The quoted packet came in: its destination is an inside endpoint.
            Side::Inside => {
                let found = self.global_for(quoted.protocol, own(quoted.dst), peer(quoted.src));
                if found.is_none() && self.is_plain(quoted.protocol, own(quoted.dst)) {
                    return self.said(&quoted, Side::Outside, Some(Edits::default()), Some((view.src, true)));
                }
                let edits = found.map(|(global, _)| Edits {
                    src: Some(global),
                    quoted_dst: Some(global),
                    ..Edits::default()
                });
                self.said(&quoted, Side::Outside, edits, found)
            }
        }
    }

    /// The quoted packet came from another inside host, by its global endpoint.
    fn hairpin_error(
        &self,
        view: &View,
        quoted: &View,
        own: impl Fn(Endpoint) -> Endpoint,
        peer: impl Fn(Endpoint) -> Endpoint,
    ) -> Legal {
        let global = self.global_for(quoted.protocol, own(quoted.dst), peer(quoted.src));
        let local = global.and_then(|(global, is_sure)| {
            let (local, is_sure_too) = self.local_of(quoted.protocol, own(quoted.src), peer(global))?;
            Some((local, is_sure && is_sure_too))
        });
        let _ = view;
        let edits = global.zip(local).map(|((global, _), (local, _))| Edits {
            src: Some(global),
            dst: Some(local),
            quoted_src: Some(local),
            quoted_dst: Some(global),
            ..Edits::default()
        });
        self.said(quoted, Side::Inside, edits, local)
    }

    fn said(&self, quoted: &View, to: Side, edits: Option<Edits>, found: Found) -> Legal {
        let is_sure = found.is_some_and(|(_, is_sure)| is_sure);
        let mut drops = if is_sure { Vec::new() } else { vec!["icmp-unmatched", "no-mapping"] };
        // Numbers of a connection that was not met at its beginning are not known for certain.
        if quoted.protocol == TCP {
            drops.push("icmp-numbers");
        }
        let forward = edits.map(|edits| (to, edits, None, None));
        Legal { forward, drops, is_own: false, source: None, first_half: None }
    }

    /// The inside endpoint of a global one that has a session with a peer, or may have.
    fn local_of(&self, protocol: u8, global: Endpoint, peer: Endpoint) -> Found {
        let fixed = self.facts.static_local(protocol, global);
        let port = self.tables.owner(protocol, global, self.now_ms);
        let whole = self.tables.owner(0, (global.0, 0), self.now_ms).map(|(local, _)| (local.0, global.1));
        let mapped = port.map(|(local, _)| (local.0, local.2)).or(whole);
        let local = fixed.or(mapped)?;
        Some((local, self.has_session(protocol, local, peer)))
    }

    /// The global endpoint of an inside one that has a session with a peer, or may have.
    fn global_for(&self, protocol: u8, local: Endpoint, peer: Endpoint) -> Found {
        let global = self.global_of(protocol, local)?;
        Some((global, self.has_session(protocol, local, peer)))
    }

    /// Whether there is a session for certain.
    fn has_session(&self, protocol: u8, local: Endpoint, peer: Endpoint) -> bool {
        let key = ((local.0, protocol, local.1), self.peer_key(protocol, peer));
        let Some(session) = self.tables.sessions.get(&key) else { return false };
        session.life.is_certain(self.now_ms)
    }

    fn is_plain(&self, protocol: u8, local: Endpoint) -> bool {
        let flow = super::half::Flow {
            protocol: protocol.max(UDP),
            flags: 0,
            own: local,
            peer: local,
            has_begun: false,
        };
        matches!(self.source(flow), Half { end: Some(End::Same), .. })
    }
}
