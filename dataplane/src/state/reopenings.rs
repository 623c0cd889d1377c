//! SYNs on the ports of a connection that is known already. A new connection on these ports begins with the third segment
//! of its handshake. Until then the known connection stays as it is (RFC 9293 section 3.10.7.4, RFC 6191).
//!
//! Anyone can send a SYN with a forged source, and a neighbour of the responder can forge the answer. Only the third
//! segment proves that its sender has seen the answer, as it acknowledges it.

use arrayvec::ArrayVec;

use crate::flow::Direction;
use crate::state::connection::Said;
use crate::stream::Opening;

/// Places for the SYNs of a sender.
const SENDER_PLACES: usize = 32;
/// How many senders have places of their own. Senders whose addresses have the same hash share their places.
pub(super) const SENDERS: usize = 1 << 8;
/// A handshake without progress for so long is given up. The initiator retransmits its SYN sooner (RFC 6298 section 5).
const LIFE_MS: u32 = 120_000;
/// The most bytes of data in a SYN, or in its answer, that may be acknowledged together with it.
const FIRST_FLIGHT: u32 = 1 << 16;

/// The unfinished handshake of a new connection on the ports of a session.
#[derive(Clone, Copy, Debug)]
pub struct Reopening {
    pub(super) session: u32,
    /// The direction of its SYN.
    pub(super) direction: Direction,
    /// The acknowledgement number that acknowledges the SYN.
    pub(super) number: u32,
    pub(super) has_data: bool,
    /// Once the SYN was answered: the number that acknowledges the answer, and whether the answer has data.
    pub(super) answer: Option<(u32, bool)>,
    /// When its last segment was seen.
    pub(super) seen_ms: u32,
    /// The openings of the SYN and of its answer, if they were read.
    pub openings: [Option<Opening>; 2],
}

impl Reopening {
    fn is_of(&self, session: u32, direction: Direction) -> bool {
        (self.session, self.direction) == (session, direction)
    }

    /// Whether a segment acknowledges the SYN.
    fn is_answered_by(&self, said: &Said) -> bool {
        said.ack.wrapping_sub(self.number) < flight(self.has_data)
    }

    /// Whether a segment acknowledges the answer.
    fn is_proved_by(&self, said: &Said) -> bool {
        // A SYN,ACK of its side is one number behind.
        let is_next = said.seq.wrapping_sub(self.number).wrapping_add(1) <= FIRST_FLIGHT;
        self.answer
            .is_some_and(|(number, has_data)| is_next && said.ack.wrapping_sub(number) < flight(has_data))
    }
}

fn flight(has_data: bool) -> u32 {
    if has_data { FIRST_FLIGHT } else { 1 }
}

/// Unfinished handshakes on the ports of known connections, by the sender of the SYN. A sender's latest SYNs are
/// remembered. They take no places from other senders.
pub struct Reopenings {
    places: Vec<ArrayVec<Reopening, SENDER_PLACES>>,
}

impl Default for Reopenings {
    fn default() -> Reopenings {
        Reopenings { places: (0..SENDERS).map(|_| ArrayVec::new()).collect() }
    }
}

impl Reopenings {
    /// The handshakes of a sender's places that are still under way.
    fn at(&mut self, place: usize, now: u32) -> Option<&mut ArrayVec<Reopening, SENDER_PLACES>> {
        let places = self.places.get_mut(place)?;
        places.retain(|of| now.wrapping_sub(of.seen_ms) < LIFE_MS);
        Some(places)
    }

    pub(super) fn remember(&mut self, place: usize, new: Reopening) {
        let Some(places) = self.at(place, new.seen_ms) else { return };
        let is_same = |of: &&mut Reopening| of.is_of(new.session, new.direction) && of.number == new.number;
        if let Some(same) = places.iter_mut().find(is_same) {
            same.seen_ms = new.seen_ms;
            return;
        }
        if places.is_full() {
            places.remove(0);
        }
        places.push(new);
    }

    /// Notes the answer to a SYN that went in this direction. Returns whether that SYN is remembered.
    pub(super) fn answer(
        &mut self,
        place: usize,
        (session, direction): (u32, Direction),
        said: &Said,
        opening: Option<Opening>,
        now: u32,
    ) -> bool {
        let mut places = self.at(place, now).into_iter().flatten();
        let is_answered = |of: &&mut Reopening| of.is_of(session, direction) && of.is_answered_by(said);
        let Some(of) = places.find(is_answered) else { return false };
        (of.number, of.seen_ms) = (said.ack, now);
        of.answer = Some((said.seq.wrapping_add(1), said.has_data));
        of.openings[1] = opening.or(of.openings[1]);
        true
    }

    /// Removes the handshake that this segment completes, and returns it.
    pub(super) fn take(
        &mut self,
        place: usize,
        session: u32,
        direction: Direction,
        said: &Said,
        now: u32,
    ) -> Option<Reopening> {
        let places = self.at(place, now)?;
        let is_it = |of: &Reopening| of.is_of(session, direction) && of.is_proved_by(said);
        let found = places.iter().position(is_it)?;
        places.pop_at(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tcp::{ACK, SYN_ACK};

    fn syn(session: u32, number: u32) -> Reopening {
        let direction = Direction::Outbound;
        let (answer, openings) = (None, [None; 2]);
        Reopening { session, direction, number, has_data: false, answer, seen_ms: 0, openings }
    }

    fn said(flags: u8, seq: u32, ack: u32) -> Said {
        Said { flags, seq, ack, has_data: false }
    }

    #[test]
    fn the_latest_syns_of_a_sender_are_remembered_and_cost_nobody_else_a_place() {
        let mut reopenings = Reopenings::default();
        let answers = |reopenings: &mut Reopenings, place, session, number| {
            let answer = said(SYN_ACK, 1, number);
            reopenings.answer(place, (session, Direction::Outbound), &answer, None, 0)
        };
        reopenings.remember(1, syn(7, 100));
        for number in 0..1000 {
            reopenings.remember(2, syn(8, number));
            reopenings.remember(2, syn(8, number));
        }
        let left = (0..1000).filter(|&number| answers(&mut reopenings, 2, 8, number)).count();
        assert_eq!(left, SENDER_PLACES);
        assert!(answers(&mut reopenings, 1, 7, 100));
        assert!(!answers(&mut reopenings, 1, 8, 100), "another session's");
    }

    #[test]
    fn only_who_has_seen_the_answer_begins_it() {
        let mut reopenings = Reopenings::default();
        reopenings.remember(1, syn(7, 100));
        let third = |reopenings: &mut Reopenings, seq, ack| {
            reopenings.take(1, 7, Direction::Outbound, &said(ACK, seq, ack), 0).is_some()
        };
        assert!(!third(&mut reopenings, 100, 901), "not answered");
        assert!(reopenings.answer(1, (7, Direction::Outbound), &said(SYN_ACK, 900, 100), None, 0));
        for (seq, ack) in [(100, 900), (100, 902), (98, 901), (100 + FIRST_FLIGHT, 901)] {
            assert!(!third(&mut reopenings, seq, ack), "{seq} {ack}");
        }
        assert!(third(&mut reopenings, 100, 901));
        assert!(!third(&mut reopenings, 100, 901), "once");
    }

    #[test]
    fn a_handshake_that_comes_no_further_is_given_up() {
        let mut reopenings = Reopenings::default();
        reopenings.remember(1, syn(7, 100));
        let later = Reopening { seen_ms: LIFE_MS - 1, ..syn(7, 200) };
        reopenings.remember(1, later);
        let mut is_answered = |number, now| {
            reopenings.answer(1, (7, Direction::Outbound), &said(SYN_ACK, 900, number), None, now)
        };
        assert_eq!([100, 200].map(|number| is_answered(number, LIFE_MS)), [false, true]);
    }
}
