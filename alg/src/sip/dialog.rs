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
use super::forms::{Contact, Forms};
use super::reach::{self, CALL_LIFE_S, PENDING_LIFE_S, RINGING_LIFE_S};
use crate::{Context, Owner, Side};

/// Media lines that doors open for.
pub const LINES_MAX: usize = 32;
/// Media lines whose outside addresses are remembered.
const PEERS_MAX: usize = 8;
/// How long a subscription lasts that does not say so (RFC 6665 leaves it to the package).
const SUBSCRIPTION_LIFE_S: u32 = 3600;

/// Offers of a dialog whose doors may be open. RFC 3264 section 4 allows one to wait for its answer; forks, and answers that got
/// lost, make it some more.
const OFFERS_MAX: usize = 4;

/// A description of the inside host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Offer {
    /// Its number, from 1 on.
    number: u16,
    /// A hash of what it has.
    hash: u64,
    /// How many lines it has doors for, at most.
    line_count: u8,
}

/// No subscription lasts longer.
const SUBSCRIPTION_MAX_S: u32 = 86_400;

/// What is remembered of a call, or of another dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// How the inside host writes its own endpoints.
    pub forms: Forms,
    /// An invitation was accepted.
    pub(super) is_established: bool,
    /// The number of the last invitation, and whether the inside sent it.
    pub(super) invitation: Option<(u32, bool)>,
    /// The number of the inside's last `BYE`.
    pub(super) goodbye: Option<u32>,
    /// The inside's offers whose doors may be open: the one that holds, then those that wait for an answer.
    offers: ArrayVec<Offer, OFFERS_MAX>,
    /// The number of the last one.
    last: u16,
    /// From where the outside host's media come, by line; none where that cannot be told.
    peers: ArrayVec<Option<Ipv4Addr>, PEERS_MAX>,
    /// Keys of the doors for signalling that it relies on.
    pub(super) reaches: ArrayVec<u64, 4>,
    /// Where the inside host is reached.
    pub contact: Option<Contact>,
    /// For how many seconds it is subscribed to.
    subscribed_s: u32,
    /// It has ended. What comes again of it is read again, for as long as that may come (RFC 3261 section 17.2.1).
    pub is_over: bool,
}

impl Dialog {
    /// The doors of a line of an offer, by number.
    pub fn part(offer: u16, line: usize) -> u32 {
        u32::from(offer) << 8 | line as u32
    }

    /// The inside host describes media: `hash` of their endpoints, in so many lines. Returns the number of the offer, which is
    /// the last one's if it says the same.
    pub fn offer(&mut self, (hash, line_count): (u64, usize), call: u64, context: &mut dyn Context) -> u16 {
        if let Some(offer) = self.offers.last().filter(|offer| offer.hash == hash) {
            return offer.number;
        }
        if self.offers.is_full() {
            // The one that waits the longest will not be answered.
            close_offer(self.offers.remove(1), call, context);
        }
        self.last = self.last.wrapping_add(1).max(1);
        let line_count = line_count.min(LINES_MAX) as u8;
        self.offers.push(Offer { number: self.last, hash, line_count });
        self.last
    }

    /// Who may send media for a line; anyone while nobody is known.
    pub fn peer(&self, line: usize) -> Option<Ipv4Addr> {
        self.peers.get(line).copied().flatten()
    }

    /// How long it may go without a word.
    pub fn life_s(&self) -> u32 {
        let of_call = if self.is_established { CALL_LIFE_S } else { RINGING_LIFE_S };
        of_call.max(self.subscribed_s)
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
            for offer in self.offers.iter().filter(|offer| line < usize::from(offer.line_count)) {
                context.admit(Owner::Part(call, Dialog::part(offer.number, line)), peer);
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
        } else if about.requests("BYE") && from_inside {
            self.goodbye = Some(about.number);
            context.renew(whole, PENDING_LIFE_S);
        } else if about.requests("CANCEL") && !self.is_established && from_inside {
            context.renew(whole, PENDING_LIFE_S);
        } else if about.requests("SUBSCRIBE") || about.requests("REFER") {
            let life_s = about.expires_s.unwrap_or(SUBSCRIPTION_LIFE_S).saturating_add(PENDING_LIFE_S);
            self.subscribed_s = life_s.min(SUBSCRIPTION_MAX_S);
            context.renew(whole, life_s.max(if self.is_established { CALL_LIFE_S } else { 0 }));
        } else if about.requests("NOTIFY") && about.is_last && from_inside && self.invitation.is_none() {
            context.renew(whole, PENDING_LIFE_S);
        } else if self.is_established && self.goodbye.is_none() {
            context.renew(whole, CALL_LIFE_S);
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
        let was_asked = from_inside || self.goodbye == Some(about.number);
        // Who must say who he is says `BYE` again.
        let is_end = |code| was_asked && code >= 200 && !matches!(code, 401 | 407);
        about.answers(&["BYE"]).is_some_and(is_end)
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
        let before = self.offers.len().saturating_sub(1);
        self.offers.drain(..before).for_each(|offer| close_offer(offer, call, context));
    }

    /// The last offer was refused: what was before it holds.
    fn take_back(&mut self, call: u64, context: &mut dyn Context) {
        if self.offers.len() > 1
            && let Some(offer) = self.offers.pop()
        {
            close_offer(offer, call, context);
        }
    }

    /// The call is over: its doors close.
    pub fn end(&mut self, call: u64, context: &mut dyn Context) {
        self.offers.drain(..).for_each(|offer| close_offer(offer, call, context));
        for key in std::mem::take(&mut self.reaches) {
            reach::leave(context, key);
        }
        *self = Dialog { forms: self.forms, is_over: true, ..Dialog::default() };
        context.renew(Owner::Call(call), PENDING_LIFE_S);
    }

    /// The same caller tries again, as who must say who he is.
    pub fn begin_again(&mut self) {
        *self = Dialog { forms: self.forms, ..Dialog::default() };
    }
}

fn close_offer(offer: Offer, call: u64, context: &mut dyn Context) {
    for line in 0..usize::from(offer.line_count) {
        context.close(Owner::Part(call, Dialog::part(offer.number, line)));
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
    /// The registrar has granted it.
    pub is_granted: bool,
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
