//! How a connection begins over the ports of one that is known: what each segment says about it.

use alg::Side;

use crate::flow::Direction;
use crate::policy::Policy;
use crate::state::connection::Said;
use crate::state::reopenings::{Reopening, SENDERS};
use crate::state::session::{Flags, Session};
use crate::state::shard::{SessionRef, Shard};
use crate::stream::Opening;
use crate::wire::tcp::{ACK, FIN, RST, SYN, SYN_ACK};

/// What a segment says about another connection than the one that is known.
#[derive(Debug)]
pub enum Noted {
    /// Nothing.
    Nothing,
    /// It is part of its handshake.
    Handshake,
    /// It is its third segment: the connection has begun.
    Begun(Reopening),
}

impl Shard {
    /// Notes what a segment says about another connection over its session's ports than the one that is known. `opening` is
    /// what a gateway's reader reads of it, if it is a SYN.
    pub fn note_reopening(
        &mut self,
        policy: &Policy,
        found: SessionRef,
        said: &Said,
        opening: Option<Opening>,
        now: u32,
    ) -> Noted {
        let SessionRef { index, direction } = found;
        let Some(session) = self.sessions.at(index) else { return Noted::Nothing };
        let flags = said.flags & (SYN | ACK | RST | FIN);
        if flags == SYN && session.is_other_syn(direction, said) && self.may_reopen(session, found, said) {
            let place = self.sender_place(session, direction);
            let (number, has_data) = (said.seq.wrapping_add(1), said.has_data);
            let openings = [opening, None];
            let (answer, seen_ms) = (None, now);
            let new = Reopening { session: index, direction, number, has_data, answer, seen_ms, openings };
            self.reopenings.remember(place, new);
            return Noted::Handshake;
        }
        if flags & (ACK | RST) == ACK && session.flags.has(Flags::REOPENING) {
            let place = self.sender_place(session, direction);
            if let Some(begun) = self.reopenings.take(place, index, direction, said, now) {
                self.begin_anew(policy, index, &begun, said, now);
                return Noted::Begun(begun);
            }
        }
        let Some(session) = self.sessions.at(index) else { return Noted::Nothing };
        if flags != SYN_ACK || session.is_answer(direction, said) {
            return Noted::Nothing;
        }
        let asked = direction.reverse();
        let place = self.sender_place(session, asked);
        if !self.reopenings.answer(place, (index, asked), said, opening, now) {
            return Noted::Nothing;
        }
        // Its third segment is one like any of the connection that is known.
        if let Some(session) = self.sessions.at_mut(index) {
            session.flags = session.flags.with(Flags::REOPENING, true);
        }
        Noted::Handshake
    }

    /// Where a gateway reads, only its client opens another connection; and its own SYN, sent again, does not.
    fn may_reopen(&self, session: &Session, found: SessionRef, said: &Said) -> bool {
        let control =
            session.flags.has(Flags::CONTROL).then(|| self.control_sessions.of(found.index)).flatten();
        control.is_none_or(|control| {
            let is_client = (control.client == Side::Inside) == (found.direction == Direction::Outbound);
            is_client && control.syn != Some(said.seq)
        })
    }

    /// The place of who sends a session's packets of a direction.
    fn sender_place(&self, session: &Session, direction: Direction) -> usize {
        let key = session.key(direction);
        let side = u64::from(direction == Direction::Inbound) << 16;
        let hash = self.hasher.hash([u64::from(key.ends.src.addr.to_bits()), u64::from(key.ends.vrf) | side]);
        hash.bits() as usize % SENDERS
    }
}
