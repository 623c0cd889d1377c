//! What an outside host says in place of what it said in the capture: with the endpoints that it read, and what it sees.

use std::net::SocketAddrV4;

use super::read::{Message, Place, Role};
use super::words::{Kind, SIP_PORT, kind};
use crate::packet::{TCP, UDP};
use crate::player::align::Edit;
use crate::player::play::Player;

/// A message of an outside host.
pub struct Said {
    /// As it says it now.
    pub bytes: Vec<u8>,
    /// What of it is not as in the capture.
    pub edits: Vec<Edit>,
    /// What the inside host must hear.
    pub expected: Vec<u8>,
}

impl Player {
    /// What an outside host says now to an inside endpoint, which it sees at `global`.
    pub(in crate::player) fn sip_says(
        &self,
        captured: &[u8],
        protocol: u8,
        local: SocketAddrV4,
        global: SocketAddrV4,
    ) -> Said {
        let mut said = Said { bytes: Vec::new(), edits: Vec::new(), expected: Vec::new() };
        let mut at = 0;
        let message = Message::read(captured, protocol == TCP);
        let places = message.map(|message| message.places).unwrap_or_default();
        for (n, place) in places.iter().enumerate() {
            let own_via = places[..=n].iter().rev().find(|place| matches!(place.role, Role::Via { .. }));
            let is_of_own =
                own_via.and_then(|via| via.addr).is_some_and(|addr| self.scenario.inside.contains(&addr));
            let is_both = || {
                let behind = places[n + 1..]
                    .iter()
                    .take_while(|place| matches!(place.role, Role::Received | Role::Rport));
                let ahead =
                    places[..n].iter().rev().take_while(|place| !matches!(place.role, Role::Via { .. }));
                behind.chain(ahead).any(|place| place.role == Role::Received)
            };
            let (now, then) = match place.role {
                Role::Received if is_of_own => (global.ip().to_string(), local.ip().to_string()),
                Role::Rport if is_of_own && is_both() => {
                    (global.port().to_string(), local.port().to_string())
                }
                _ => match self.sip_global(captured, place) {
                    Some(now) => (now, String::from_utf8_lossy(&captured[place.at.clone()]).into_owned()),
                    None => continue,
                },
            };
            said.bytes.extend(&captured[at..place.at.start]);
            said.expected.extend(&captured[at..place.at.start]);
            let heard = said.bytes.len()..said.bytes.len() + now.len();
            said.edits.push(Edit { said: place.at.clone(), heard });
            said.bytes.extend(now.bytes());
            said.expected.extend(then.bytes());
            at = place.at.end;
        }
        said.bytes.extend(&captured[at..]);
        said.expected.extend(&captured[at..]);
        said
    }

    /// What an inside endpoint in a header is outside; none of what is not an inside host's.
    fn sip_global(&self, captured: &[u8], place: &Place) -> Option<String> {
        let kind = kind(place.role)?;
        let addr = place.addr.filter(|addr| self.scenario.inside.contains(addr))?;
        if let Some(read) = self.words.find(place.role, &captured[place.at.clone()]) {
            return String::from_utf8(read).ok();
        }
        let local = SocketAddrV4::new(addr, place.port.unwrap_or(SIP_PORT));
        let global = self.global_of(if place.is_tcp { TCP } else { UDP }, local);
        let is_bare = place.port.is_none() && (kind == Kind::Name || global.port() == SIP_PORT);
        Some(if is_bare { global.ip().to_string() } else { global.to_string() })
    }

    /// Notes from where an outside host has its media come.
    pub(in crate::player) fn sip_peers(&mut self, captured: &[u8], is_tcp: bool) {
        let Some(message) = Message::read(captured, is_tcp) else { return };
        for medium in &message.media {
            if let Some(addr) = medium.addr {
                self.words.peers.insert((message.call.clone(), medium.line), addr);
            }
        }
    }
}
