//! What a segment proves about its connection: only numbers that its sender must have seen change anything
//! (RFC 9293, RFC 5961, RFC 7857 section 2).
//!
//! The session keeps one number of each direction: which of its bytes the other side waits for, by that side's last
//! acknowledgement; before that, the number that acknowledges its SYN. Numbers of a direction are those that its
//! receiver sees, where a gateway shifts them.

use crate::flow::Direction;
use crate::head::Head;
use crate::state::progress::EndState;
use crate::state::session::{Flags, Session};
use crate::wire::tcp::{ACK, FIN, RST, SYN, SYN_ACK};

/// A reset counts if its number is one of so many from the first that the other side waits for: what is on its way when an
/// answer is begun, or a short one is all sent (RFC 6928 section 2). Whoever guesses hits them once in 262,144 times.
pub const RESET_WINDOW: u32 = 1 << 14;
/// Numbers that an ICMP error may quote, before and behind what was acknowledged last. What is sent again after more was lost
/// is quoted again.
const QUOTE_WINDOW: u32 = 1 << 16;
/// Bytes that may be on their way to a receiver, of which a FIN may be the last, and the most that one acknowledgement
/// covers: the windows that systems use by themselves end here.
pub const FLIGHT_MAX: u32 = 1 << 24;
/// Bytes that the first acknowledgement may cover of a side that sent more than a SYN.
const FIRST_FLIGHT: u32 = 1 << 16;

/// What a segment says about its connection.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Its flags.
    pub flags: u8,
    /// Its sequence number.
    pub seq: u32,
    /// What it acknowledges, if it has the flag.
    pub ack: u32,
    /// It has data.
    pub has_data: bool,
}

impl Said {
    /// What the segment with this head says.
    pub fn of(head: &Head) -> Said {
        Said { flags: head.tcp_flags, seq: head.seq, ack: head.ack, has_data: head.payload_len != 0 }
    }
}

impl Session {
    /// Notes what a segment acknowledges, on its way in. Whether that is the first proof of the other side's SYN.
    pub fn note_acknowledged(&mut self, direction: Direction, said: &Said) -> bool {
        if said.flags & (ACK | RST) != ACK {
            return false;
        }
        let other = direction.reverse();
        let (own_state, other_state) = (self.progress.state(direction), self.progress.state(other));
        let ahead = said.ack.wrapping_sub(self.expected_of(other));
        match other_state {
            EndState::Sent if ahead == 0 => self.prove(other, said.ack),
            EndState::SentData if ahead < FIRST_FLIGHT => self.prove(other, said.ack),
            // Met amid the connection: the inside is believed what it says about the outside, not the other way round.
            EndState::Unheard if direction == Direction::Outbound && said.flags & SYN == 0 => {
                if matches!(own_state, EndState::Unheard) {
                    self.set_state(direction, EndState::SentData, said.seq);
                    self.prove(other, said.ack);
                }
                false
            }
            _ => {
                if other_state.is_proved() {
                    self.note_numbers(direction, said.seq, said.ack);
                }
                false
            }
        }
    }

    /// Notes the numbers of a segment of a connection that is established: acknowledgements only advance, by no more than
    /// may be on its way, and only those of segments that may come from their side.
    #[inline(always)]
    pub fn note_numbers(&mut self, direction: Direction, seq: u32, ack: u32) {
        let [outbound, inbound] = &mut self.expected;
        let (own, other) = match direction {
            Direction::Outbound => (*outbound, inbound),
            Direction::Inbound => (*inbound, outbound),
        };
        let is_near = seq.wrapping_sub(own).wrapping_add(FLIGHT_MAX) < 2 * FLIGHT_MAX;
        if ack.wrapping_sub(*other) <= FLIGHT_MAX && is_near {
            *other = ack;
        }
    }

    /// Whether a SYN is of another connection than the one that is known.
    pub fn is_other_syn(&self, direction: Direction, said: &Said) -> bool {
        match self.progress.state(direction) {
            EndState::Unheard | EndState::Refused => false,
            EndState::Sent | EndState::SentData => said.seq.wrapping_add(1) != self.expected_of(direction),
            _ => true,
        }
    }

    /// Whether a segment acknowledges the SYN of the connection that is known, and so is of no other.
    pub fn is_answer(&self, direction: Direction, said: &Said) -> bool {
        let other = direction.reverse();
        self.progress.state(other) == EndState::Sent && said.ack == self.expected_of(other)
    }

    /// Notes how a segment begins or ends a connection; `is_proof` is what [`Session::note_acknowledged`] said about it.
    pub fn note_said(&mut self, direction: Direction, said: &Said, is_proof: bool) {
        let state = self.progress.state(direction);
        let number = said.seq.wrapping_add(1);
        let sent = if said.has_data { EndState::SentData } else { EndState::Sent };
        // What follows it may have overtaken it.
        let other = direction.reverse();
        let is_late = state == EndState::Unheard
            && self.progress.state(other).is_proved()
            && said.ack == self.expected_of(other);
        match said.flags & (SYN | ACK | RST | FIN) {
            SYN if self.is_other_syn(direction, said) => return,
            SYN => self.set_state(direction, sent, number),
            SYN_ACK if is_late || is_proof && !state.is_proved() => self.set_state(direction, sent, number),
            SYN_ACK => {}
            flags if flags & RST != 0 => return self.note_reset(direction, said),
            flags => {
                // A FIN may lie anywhere in what is on its way, but whoever sends it knows what he has received.
                let is_end = flags & FIN != 0 && state == EndState::Proved && self.is_recent(other, said.ack);
                if is_end && said.seq.wrapping_sub(self.expected_of(direction)) < FLIGHT_MAX {
                    self.progress = self.progress.with_state(direction, EndState::Closed);
                }
            }
        }
        // Whoever goes on was not reset, or not by its peer (RFC 7857 section 2.2).
        let without = self.progress.state(other).without_reset();
        self.progress = self.progress.with_state(other, without);
    }

    /// Another connection begins over the ports of the one before, with the third segment of its handshake: each side has
    /// acknowledged the other's SYN. `number` is what was acknowledged of the side that sends it.
    pub fn begin_anew(&mut self, direction: Direction, number: u32, said: &Said) {
        self.set_state(direction, EndState::Proved, number);
        self.set_state(direction.reverse(), EndState::Proved, said.ack);
        self.flags = self.flags.without(Flags::REOPENING);
    }

    /// Whether an ICMP error quotes a segment that may be on its way in this direction (RFC 5927 section 4).
    pub fn may_have_sent(&self, direction: Direction, seq: u32) -> bool {
        self.progress.state(direction) != EndState::Unheard && self.is_recent(direction, seq)
    }

    /// Whether a number of a direction's is near the last that was acknowledged.
    fn is_recent(&self, direction: Direction, number: u32) -> bool {
        let distance = number.wrapping_sub(self.expected_of(direction)).wrapping_add(QUOTE_WINDOW);
        distance < 2 * QUOTE_WINDOW
    }

    fn note_reset(&mut self, direction: Direction, said: &Said) {
        let (state, other) = (self.progress.state(direction), direction.reverse());
        let ahead = said.seq.wrapping_sub(self.expected_of(direction));
        let is_refusal = said.flags & ACK != 0
            && self.progress.state(other) != EndState::Unheard
            && said.ack == self.expected_of(other);
        let after = match state {
            // A SYN is refused by its acknowledgement (RFC 9293 section 3.10.7.3).
            EndState::Unheard if is_refusal => EndState::Refused,
            EndState::Sent | EndState::SentData if ahead < RESET_WINDOW => EndState::Refused,
            EndState::Proved if ahead < RESET_WINDOW => EndState::Reset,
            EndState::Closed if ahead < RESET_WINDOW => EndState::ClosedReset,
            as_before => as_before,
        };
        self.progress = self.progress.with_state(direction, after);
    }

    /// A side's SYN, or more, was acknowledged.
    fn prove(&mut self, direction: Direction, number: u32) -> bool {
        self.set_state(direction, EndState::Proved, number);
        true
    }

    fn set_state(&mut self, direction: Direction, state: EndState, number: u32) {
        self.progress = self.progress.with_state(direction, state);
        self.expected[direction as usize] = number;
    }

    #[inline(always)]
    fn expected_of(&self, direction: Direction) -> u32 {
        self.expected[direction as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Endpoint, TCP};
    use crate::policy::IdleClass;
    use crate::state::session::{Above, NewSession};
    use Direction::{Inbound, Outbound};
    use IdleClass::{TcpClosing, TcpEstablished, TcpSyn};

    fn session(first: Direction) -> Session {
        let end = Endpoint::from_bits(0x0a00_0002_9c40);
        let new = NewSession {
            inside_local: end,
            inside_global: end,
            outside_local: end,
            outside_global: end,
            inside_vrf: 0,
            outside_vrf: 0,
            rule: 1,
            protocol: TCP,
            class: TcpSyn,
            first,
            flags: Flags::default(),
            above: Above::Fixed,
        };
        Session::new(&new, 0)
    }

    /// A segment without data.
    type Bare = (Direction, u8, u32, u32);

    fn say(session: &mut Session, (direction, flags, seq, ack): Bare) {
        let said = Said { flags, seq, ack, has_data: false };
        let is_proof = session.note_acknowledged(direction, &said);
        session.note_said(direction, &said, is_proof);
    }

    fn class_after(segments: &[Bare]) -> IdleClass {
        let mut session = session(segments[0].0);
        for &segment in segments {
            say(&mut session, segment);
        }
        session.progress.class()
    }

    const SHAKEN: [Bare; 3] =
        [(Outbound, SYN, 100, 0), (Inbound, SYN_ACK, 900, 101), (Outbound, ACK, 101, 901)];

    fn after_handshake(more: &[Bare]) -> IdleClass {
        class_after(&[SHAKEN.as_slice(), more].concat())
    }

    #[test]
    fn established_is_what_each_side_has_acknowledged() {
        assert_eq!(class_after(&SHAKEN[..2]), TcpSyn);
        assert_eq!(class_after(&SHAKEN), TcpEstablished);
        let syn = (Outbound, SYN, 100, 0);
        for wrong in [0, 100, 102, 901] {
            assert_eq!(class_after(&[syn, (Inbound, SYN_ACK, 900, wrong), SHAKEN[2]]), TcpSyn, "{wrong}");
        }
        let published = [(Inbound, SYN, 7, 0), (Outbound, SYN_ACK, 50, 8)];
        assert_eq!(class_after(&published), TcpSyn);
        let answered = |ack| class_after(&[published.as_slice(), &[(Inbound, ACK, 8, ack)]].concat());
        assert_eq!([50, 51, 52].map(answered), [TcpSyn, TcpEstablished, TcpSyn]);
    }

    #[test]
    fn data_may_overtake_the_answer_to_a_syn() {
        let (syn, data) = ((Inbound, SYN, 7, 0), (Outbound, ACK, 51, 8));
        let after = |ack| class_after(&[syn, data, (Outbound, SYN_ACK, 50, ack), (Inbound, ACK, 8, 51)]);
        assert_eq!([8, 7].map(after), [TcpEstablished, TcpSyn]);
    }

    #[test]
    fn both_may_open_at_once() {
        let opens = [(Outbound, SYN, 100, 0), (Inbound, SYN, 900, 0)];
        let answers = [(Outbound, SYN_ACK, 100, 901), (Inbound, SYN_ACK, 900, 101)];
        assert_eq!(class_after(&[opens, answers].concat()), TcpEstablished);
        let bare = [(Inbound, ACK, 901, 101), (Outbound, ACK, 101, 901)];
        assert_eq!(class_after(&[opens, bare].concat()), TcpEstablished);
    }

    #[test]
    fn a_syn_with_data_may_be_acknowledged_with_it_or_without() {
        for ack in [101, 111] {
            let mut session = session(Outbound);
            let syn = Said { flags: SYN, seq: 100, ack: 0, has_data: true };
            session.note_said(Outbound, &syn, false);
            say(&mut session, (Inbound, SYN_ACK, 900, ack));
            say(&mut session, (Outbound, ACK, ack, 901));
            assert_eq!(session.progress.class(), TcpEstablished);
        }
    }

    #[test]
    fn amid_a_connection_the_outside_must_know_what_the_inside_sent() {
        let met = (Outbound, ACK, 5000, 900);
        assert_eq!(class_after(&[met, (Inbound, ACK, 900, 5010)]), TcpEstablished);
        for ack in [4999, 0, 5000 + FIRST_FLIGHT] {
            assert_eq!(class_after(&[met, (Inbound, ACK, 900, ack)]), TcpSyn);
        }
    }

    #[test]
    fn a_reset_counts_within_its_window_and_until_the_other_side_goes_on() {
        let reset = |seq| after_handshake(&[(Inbound, RST, seq, 0)]);
        assert_eq!([901, 900 + RESET_WINDOW].map(reset), [TcpClosing; 2]);
        assert_eq!([900, 901 + RESET_WINDOW, 0].map(reset), [TcpEstablished; 3]);
        let on = |direction| after_handshake(&[(Inbound, RST, 901, 0), (direction, ACK, 101, 901)]);
        assert_eq!([Outbound, Inbound].map(on), [TcpEstablished, TcpClosing]);
        let refused = |ack| class_after(&[SHAKEN[0], (Inbound, RST | ACK, 0, ack)]);
        assert_eq!([101, 100].map(refused), [TcpClosing, TcpSyn]);
        let behind_data = [(Inbound, ACK, 901, 101), (Inbound, RST, 2301, 0)];
        assert_eq!(after_handshake(&behind_data), TcpClosing);
    }

    #[test]
    fn the_end_of_both_sides_closes() {
        let ends = [(Outbound, FIN | ACK, 101, 901), (Inbound, FIN | ACK, 901, 102)];
        assert_eq!(after_handshake(&ends[..1]), TcpEstablished);
        assert_eq!(after_handshake(&ends), TcpClosing);
        for (seq, ack) in
            [(901 + FLIGHT_MAX, 102), (901, 101 + 2 * FLIGHT_MAX), (902, 102u32.wrapping_sub(1 << 17))]
        {
            assert_eq!(after_handshake(&[ends[0], (Inbound, FIN | ACK, seq, ack)]), TcpEstablished);
        }
        for (ahead, ack) in [(1000, 102), (FLIGHT_MAX - 1, 50_000)] {
            assert_eq!(after_handshake(&[ends[0], (Inbound, FIN | ACK, 901 + ahead, ack)]), TcpClosing);
        }
    }

    #[test]
    fn acknowledgements_only_advance_and_only_near_their_own_number() {
        let mut session = session(Outbound);
        SHAKEN.iter().for_each(|&segment| say(&mut session, segment));
        let rows = [
            ((Inbound, ACK, 901, 5000), 5000),
            ((Inbound, ACK, 901, 4000), 5000),
            ((Inbound, ACK, 901, 5001 + FLIGHT_MAX), 5000),
            ((Inbound, ACK, 901 + FLIGHT_MAX, 6000), 5000),
            ((Inbound, ACK, 901, 5000 + FLIGHT_MAX), 5000 + FLIGHT_MAX),
        ];
        for (segment, expected) in rows {
            say(&mut session, segment);
            assert_eq!(session.expected[Outbound as usize], expected, "{segment:?}");
        }
    }

    #[test]
    fn a_syn_over_a_connection_that_is_known_changes_nothing() {
        let mut session = session(Outbound);
        say(&mut session, SHAKEN[0]);
        let is_other = |session: &Session, seq| {
            session.is_other_syn(Outbound, &Said { flags: SYN, seq, ack: 0, has_data: false })
        };
        assert_eq!([100, 70_000].map(|seq| is_other(&session, seq)), [false, true]);
        say(&mut session, (Outbound, SYN, 70_000, 0));
        SHAKEN[1..].iter().for_each(|&segment| say(&mut session, segment));
        assert_eq!(session.progress.class(), TcpEstablished, "the first one is answered");
        assert!(is_other(&session, 70_000));
        let third = Said { flags: ACK, seq: 70_001, ack: 80_001, has_data: false };
        session.begin_anew(Outbound, 70_001, &third);
        assert_eq!((session.progress.class(), session.expected), (TcpEstablished, [70_001, 80_001]));
    }
}
