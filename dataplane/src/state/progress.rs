//! How far a flow has come, by what each side proved: one byte of a session.
//!
//! A side of a TCP connection has proved that it is there when the other side acknowledged its SYN, since nobody who
//! does not see the connection knows the number (RFC 9293 section 3.5, RFC 5961). Both sides' proofs make a
//! connection established. A flow of another protocol is proved by a packet from inside.

use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use crate::flow::Direction;
use crate::policy::IdleClass;

/// How far one end of a TCP connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndState {
    /// Nothing was heard of it that counts.
    Unheard = 0b000,
    /// It sent a SYN, which is to be acknowledged exactly.
    Sent = 0b001,
    /// It sent a SYN with data (RFC 7413), or was met amid its connection: any of its bytes may be acknowledged.
    SentData = 0b010,
    /// It reset a connection of which nothing of its was acknowledged.
    Refused = 0b011,
    /// What it sent was acknowledged.
    Proved = 0b100,
    /// It said that it will send no more.
    Closed = 0b101,
    /// It reset the connection, and was there before.
    Reset = 0b110,
    /// It reset the connection after it had said that it will send no more.
    ClosedReset = 0b111,
}

impl EndState {
    const ALL: [EndState; 8] = [
        EndState::Unheard,
        EndState::Sent,
        EndState::SentData,
        EndState::Refused,
        EndState::Proved,
        EndState::Closed,
        EndState::Reset,
        EndState::ClosedReset,
    ];

    /// Whether the other side acknowledged something of it.
    pub(super) fn is_proved(self) -> bool {
        self as u8 & 0b100 != 0
    }

    /// Whether it reset the connection.
    pub(super) fn is_reset(self) -> bool {
        matches!(self, EndState::Refused | EndState::Reset | EndState::ClosedReset)
    }

    /// As it was before it reset the connection, as far as is remembered.
    pub(super) fn without_reset(self) -> EndState {
        match self {
            EndState::Refused => EndState::Unheard,
            EndState::Reset => EndState::Proved,
            EndState::ClosedReset => EndState::Closed,
            other => other,
        }
    }

    fn has_ended(self) -> bool {
        matches!(self, EndState::Closed | EndState::ClosedReset)
    }
}

/// How far a flow has come: of TCP, three bits for each side; of others, their kind and whether the inside has spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress(NonZeroU8);

/// Set always, so that a place without a session needs no byte of its own.
const ALWAYS: NonZeroU8 = NonZeroU8::MIN.saturating_add(0x7f);
const IS_TCP: u8 = 0x40;
/// The upper two bits of both sides, and what they are when neither has anything to prove or to take back.
const SETTLED_MASK: u8 = 0b11_0110;
const SETTLED: u8 = 0b10_0100;
/// Of other protocols: the inside has spoken, and two bits for the kind.
const INSIDE_SPOKE: u8 = 0b00_0100;
const OUTSIDE_IS_HEARD: u8 = 0b10_0000;
const KIND_LOW: u8 = 0b00_0001;
const KIND_HIGH: u8 = 0b00_1000;

impl Progress {
    /// A TCP connection that nothing was heard of.
    pub const TCP: Progress = Progress(ALWAYS.saturating_add(IS_TCP));

    /// A flow whose first packet goes in this direction. Its idle time is that of `kind`, of which TCP has its own.
    pub fn of(kind: IdleClass, first: Direction) -> Progress {
        let kind = match kind {
            IdleClass::Udp => KIND_LOW,
            IdleClass::Dns => KIND_HIGH,
            IdleClass::Icmp => KIND_LOW | KIND_HIGH,
            IdleClass::Other => 0,
            IdleClass::TcpSyn | IdleClass::TcpEstablished | IdleClass::TcpClosing => return Progress::TCP,
        };
        let spoke = if first == Direction::Outbound { INSIDE_SPOKE } else { 0 };
        Progress(ALWAYS | kind | spoke | OUTSIDE_IS_HEARD)
    }

    /// Whether a packet that begins and ends nothing proves nothing new, whichever side it is from.
    #[inline(always)]
    pub fn is_settled(self) -> bool {
        self.0.get() & SETTLED_MASK == SETTLED
    }

    /// Whether both sides have proved that they are there; of other protocols than TCP, the inside.
    pub fn is_confirmed(self) -> bool {
        const PROVED: u8 = INSIDE_SPOKE | OUTSIDE_IS_HEARD;
        self.0.get() & PROVED == PROVED
    }

    /// The same once the inside has sent a packet of a protocol other than TCP.
    pub(super) fn with_inside(self) -> Progress {
        Progress(self.0 | INSIDE_SPOKE)
    }

    /// The state of one end of a TCP connection: the one that sends in this direction.
    pub(super) fn state(self, direction: Direction) -> EndState {
        let bits = self.0.get() >> shift(direction);
        EndState::ALL[usize::from(bits & 0b111)]
    }

    /// The same with this state of that end.
    pub(super) fn with_state(self, direction: Direction, state: EndState) -> Progress {
        let others = self.0.get() & !(0b111 << shift(direction));
        Progress(ALWAYS | others | (state as u8) << shift(direction))
    }

    /// Which idle time applies, at most.
    pub fn class(self) -> IdleClass {
        let bits = self.0.get();
        if bits & IS_TCP != 0 {
            let states = [self.state(Direction::Outbound), self.state(Direction::Inbound)];
            return match () {
                () if states.iter().any(|state| state.is_reset()) => IdleClass::TcpClosing,
                () if states.iter().all(|state| state.has_ended()) => IdleClass::TcpClosing,
                () if self.is_confirmed() => IdleClass::TcpEstablished,
                () => IdleClass::TcpSyn,
            };
        }
        match bits & (KIND_LOW | KIND_HIGH) {
            0 => IdleClass::Other,
            KIND_LOW => IdleClass::Udp,
            KIND_HIGH => IdleClass::Dns,
            _ => IdleClass::Icmp,
        }
    }
}

fn shift(direction: Direction) -> u32 {
    if direction == Direction::Outbound { 0 } else { 3 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Inbound, Outbound};

    #[test]
    fn a_byte_holds_any_two_sides() {
        for outbound in EndState::ALL {
            for inbound in EndState::ALL {
                let progress = Progress::TCP.with_state(Outbound, outbound).with_state(Inbound, inbound);
                assert_eq!((progress.state(Outbound), progress.state(Inbound)), (outbound, inbound));
                let is_settled =
                    [outbound, inbound].iter().all(|state| state.is_proved() && !state.is_reset());
                assert_eq!(progress.is_settled(), is_settled, "{progress:?}");
            }
        }
    }

    #[test]
    fn other_protocols_keep_their_class_and_are_proved_from_inside() {
        for class in [IdleClass::Other, IdleClass::Udp, IdleClass::Dns, IdleClass::Icmp] {
            let asked = Progress::of(class, Outbound);
            assert_eq!((asked.class(), asked.is_settled()), (class, true));
            let unasked = Progress::of(class, Inbound);
            assert_eq!((unasked.class(), unasked.is_confirmed()), (class, false));
            assert_eq!(unasked.with_inside(), asked);
        }
    }
}
