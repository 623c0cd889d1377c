//! Calls: from the first request to the last answer.
//!
//! A call is its inside host's and its `Call-ID`'s, whatever control session its messages come by: a trunk has thousands over one.
//! Each new description that the inside host sends is an offer, with doors of its own; those before it close once it was accepted,
//! its own if it was refused (RFC 3264 section 8). What anybody outside could forge ends nothing: a call ends with the answer to
//! `BYE`, not with that.

use std::net::Ipv4Addr;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::about::About;
use super::reach::{self, CALL_LIFE_S, PENDING_LIFE_S, RINGING_LIFE_S};
use super::turn::{Contact, Forms};
use crate::{Context, Owner, Side};

/// Media lines that doors open for.
pub const LINES_MAX: usize = 32;
/// Media lines whose outside addresses are remembered.
const PEERS_MAX: usize = 8;
/// How long a subscription lasts that does not say so (RFC 6665 leaves it to the package).
const SUBSCRIPTION_LIFE_S: u32 = 3600;

/// What is remembered of a call, or of another dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// How the inside host writes its own endpoints.
    pub forms: Forms,
    /// An invitation was accepted.
    is_established: bool,
    /// The number of the last invitation, and whether the inside sent it.
    invitation: Option<(u32, bool)>,
    /// The number of the inside's offer that holds, or waits for its answer, from 1 on; of the oldest whose doors may be open;
    /// and of the last one.
    offer: u16,
    oldest: u16,
    last: u16,
    /// A hash of what it has.
    offered: u64,
    /// How many lines the longest one has.
    line_count: u8,
    /// From where the outside host's media come, by line; none where that cannot be told.
    peers: ArrayVec<Option<Ipv4Addr>, PEERS_MAX>,
    /// Keys of the doors for signalling that it relies on.
    reaches: ArrayVec<u64, 2>,
}

impl Dialog {
    /// The doors of a line of an offer, by number.
    pub fn part(offer: u16, line: usize) -> u32 {
        u32::from(offer) << 8 | line as u32
    }

    /// The inside host describes media: `hash` of their endpoints, in so many lines. Returns the number of the offer, which is
    /// the last one's if it says the same.
    pub fn offer(&mut self, hash: u64, line_count: usize) -> u16 {
        if self.offer == 0 || self.offered != hash {
            self.last = self.last.wrapping_add(1).max(1);
            (self.offer, self.offered) = (self.last, hash);
            self.oldest = self.oldest.max(1);
            self.line_count = self.line_count.max(line_count.min(LINES_MAX) as u8);
        }
        self.offer
    }

    /// Who may send media for a line; anyone while nobody is known.
    pub fn peer(&self, line: usize) -> Option<Ipv4Addr> {
        self.peers.get(line).copied().flatten()
    }

    /// How long it may go without a word.
    pub fn life_s(&self) -> u32 {
        if self.is_established { CALL_LIFE_S } else { RINGING_LIFE_S }
    }

    /// The outside host tells where its media come from.
    pub fn hear_peers(
        &mut self,
        peers: impl Iterator<Item = Option<Ipv4Addr>>,
        is_provisional: bool,
        call: u64,
        context: &mut dyn Context,
    ) {
        for (line, peer) in peers.take(PEERS_MAX).enumerate() {
            // Several may answer before one of them is taken (RFC 3261 section 13.2.2.4): all may send.
            let is_other = self.peers.get(line).is_some_and(|known| *known != peer);
            let peer = if is_provisional && is_other { None } else { peer };
            match self.peers.get_mut(line) {
                Some(known) => *known = peer,
                None => self.peers.push(peer),
            }
            for offer in self.oldest.max(1)..=self.offer {
                context.admit(Owner::Part(call, Dialog::part(offer, line)), peer);
            }
        }
    }

    /// It relies on the doors at an endpoint.
    pub fn rely_on(&mut self, key: u64, context: &mut dyn Context) {
        if !self.reaches.contains(&key) && self.reaches.try_push(key).is_ok() {
            reach::join(context, key);
        }
    }

    /// Takes note of a message whose descriptions were read. Returns whether the call is over.
    pub fn hear(&mut self, about: &About, from: Side, call: u64, context: &mut dyn Context) -> bool {
        let from_inside = from == Side::Inside;
        let whole = Owner::Call(call);
        if about.requests("INVITE") {
            self.invitation = Some((about.number, from_inside));
            context.renew(whole, self.life_s());
        } else if about.requests("ACK") {
            self.settle(call, context);
        } else if (about.requests("CANCEL") && !self.is_established || about.requests("BYE")) && from_inside {
            context.renew(whole, PENDING_LIFE_S);
        } else if about.requests("SUBSCRIBE") || about.requests("REFER") {
            let life_s = about.expires_s.unwrap_or(SUBSCRIPTION_LIFE_S).saturating_add(PENDING_LIFE_S);
            context.renew(whole, life_s.max(if self.is_established { CALL_LIFE_S } else { 0 }));
        } else if about.requests("NOTIFY") && about.is_last && from_inside && self.invitation.is_none() {
            context.renew(whole, PENDING_LIFE_S);
        }
        if let Some(code) = about.answers(&["INVITE"]) {
            return self.hear_answer(code, about.number, from, call, context);
        }
        if let Some(code) = about.answers(&["UPDATE", "PRACK"]) {
            match code {
                200..=299 => self.settle(call, context),
                300.. => self.take_back(call, context),
                _ => {}
            }
        }
        // Who must say who he is says `BYE` again.
        about.answers(&["BYE"]).is_some_and(|code| code >= 200 && !matches!(code, 401 | 407))
    }

    /// The answer to an invitation.
    fn hear_answer(
        &mut self,
        code: u32,
        number: u32,
        from: Side,
        call: u64,
        context: &mut dyn Context,
    ) -> bool {
        // An answer to an earlier one says nothing of the one under way.
        if self.invitation != Some((number, from == Side::Outside)) {
            return false;
        }
        match code {
            200..=299 => {
                self.is_established = true;
                self.settle(call, context);
                context.renew(Owner::Call(call), CALL_LIFE_S);
                false
            }
            300.. if self.is_established => {
                self.take_back(call, context);
                false
            }
            300.. => true,
            _ => {
                context.renew(Owner::Call(call), self.life_s());
                false
            }
        }
    }

    /// The last offer holds: the doors of those before it close.
    fn settle(&mut self, call: u64, context: &mut dyn Context) {
        for offer in self.oldest.max(1)..self.offer {
            self.close_offer(offer, call, context);
        }
        self.oldest = self.offer;
    }

    /// The last offer was refused: what was before it holds.
    fn take_back(&mut self, call: u64, context: &mut dyn Context) {
        if self.offer > self.oldest && self.oldest > 0 {
            self.close_offer(self.offer, call, context);
            // The same description, offered once more, is another offer.
            (self.offer, self.offered) = (self.oldest, 0);
        }
    }

    fn close_offer(&self, offer: u16, call: u64, context: &mut dyn Context) {
        for line in 0..usize::from(self.line_count) {
            context.close(Owner::Part(call, Dialog::part(offer, line)));
        }
    }

    /// The call is over: its doors close.
    pub fn end(&mut self, call: u64, context: &mut dyn Context) {
        context.close(Owner::Call(call));
        for key in std::mem::take(&mut self.reaches) {
            reach::leave(context, key);
        }
    }
}

/// What is remembered of a registration, by its `Call-ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// How the inside host writes its own endpoints.
    pub forms: Forms,
    /// The number of the last request.
    pub number: u32,
    /// The endpoints that it registered, or removes.
    pub contacts: ArrayVec<Contact, 4>,
}

impl Registration {
    /// Takes note of a request. `removes_all` is `*`, or nothing else being asked for.
    pub fn ask(&mut self, about: &About, contacts: &[Contact], removes_all: bool) {
        self.number = about.number;
        for contact in contacts {
            let is_same = |known: &Contact| (known.is_tcp, known.local) == (contact.is_tcp, contact.local);
            self.contacts.retain(|known| !is_same(known));
            if self.contacts.is_full() {
                self.contacts.remove(0);
            }
            let is_removed =
                contact.is_removed || (contact.expires_s.is_none() && about.expires_s == Some(0));
            self.contacts.push(Contact { is_removed, ..*contact });
        }
        if removes_all {
            self.contacts.iter_mut().for_each(|contact| contact.is_removed = true);
        }
    }
}
