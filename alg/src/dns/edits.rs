//! What becomes of addresses, and where edits go.

use std::net::Ipv4Addr;

use super::message::CLASS_IN;
use super::name;
use super::rename::Change;
use crate::{Context, Counterpart, Refusal, Side, Span, Transport};

/// The length in front of a message in a stream.
pub(super) const PREFIX_LEN: usize = 2;

/// The context, as one message needs it.
pub(super) struct Edits<'c> {
    context: &'c mut dyn Context,
    from: Side,
    /// Edits are counted only.
    pub is_rehearsal: bool,
    /// The message answers what a subscriber asked: outside hosts that it names get the addresses by which the inside will
    /// know them. In no other messages, which could use up a pool.
    pub may_bind: bool,
    /// The message belongs to a zone transfer: what it says is kept for long, so that only static counterparts
    /// have a place in it (RFC 2694).
    pub is_transfer: bool,
}

impl<'c> Edits<'c> {
    pub(super) fn new(context: &'c mut dyn Context, from: Side) -> Self {
        Edits { context, from, is_rehearsal: false, may_bind: false, is_transfer: false }
    }

    pub(super) fn is_stream(&self) -> bool {
        self.context.session().transport == Transport::Tcp
    }

    pub(super) fn resets_ttl(&self) -> bool {
        self.context.resets_ttl()
    }

    /// What an address becomes; none if it stays.
    pub(super) fn counterpart(&self, addr: Ipv4Addr) -> Option<Counterpart> {
        let found = self.context.policy_address(self.from, addr)?;
        let has_place = found.is_static || !self.is_transfer;
        (has_place && found.addr != addr).then_some(found)
    }

    /// Whether an address of a record changes.
    pub(super) fn changes(&mut self, addr: Ipv4Addr) -> bool {
        match self.context.policy_address(self.from, addr) {
            Some(_) => self.counterpart(addr).is_some(),
            None => self.may_bind && !self.is_transfer && self.context.may_bind(addr),
        }
    }

    /// What an address of a record becomes, for longer than until now if that is for a while only; none if it stays.
    pub(super) fn bound(&mut self, addr: Ipv4Addr) -> Option<Counterpart> {
        let known = self.context.policy_address(self.from, addr);
        let may_bind = self.may_bind && !self.is_transfer && known.is_none_or(|known| !known.is_static);
        let bound = if may_bind { self.context.bind(addr) } else { None };
        bound.filter(|bound| bound.addr != addr).or_else(|| self.counterpart(addr))
    }

    /// What a name that spells an address backwards becomes, and whether that stays; none if the name stays.
    pub(super) fn change(&self, bytes: &[u8], class: u16, span: Span) -> Option<(Change, bool)> {
        if class != CLASS_IN {
            return None;
        }
        let old = name::reverse_address(bytes, span.start)?;
        let found = self.counterpart(old)?;
        Some((Change { old, new: found.addr }, found.is_static))
    }

    /// Replaces bytes of the message; its positions do not count the length in front of it.
    pub(super) fn replace(&mut self, span: Span, bytes: &[u8]) -> Result<(), Refusal> {
        if self.is_rehearsal {
            return Ok(());
        }
        let base = if self.is_stream() { PREFIX_LEN } else { 0 };
        self.context.replace(Span { start: span.start + base, end: span.end + base }, bytes)
    }

    /// Replaces the length in front of the message.
    pub(super) fn replace_prefix(&mut self, len: u16) -> Result<(), Refusal> {
        self.context.replace(Span { start: 0, end: PREFIX_LEN }, &len.to_be_bytes())
    }
}
