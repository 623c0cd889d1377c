//! Verdicts: each step of the path decides what is to be done with a packet. Only the path itself acts on it.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{Vrf, WorkerIndex};
use crate::head::Head;
use crate::path::plan::Plan;
use crate::state::shard::SessionRef;

/// What is to be done with a packet next.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Another worker owns it.
    HandOver(WorkerIndex),
    /// It is a fragment, and goes to the fragment table.
    Gather,
    /// It is of a control session, whose gateway reads it first.
    Read(SessionRef),
    /// It is of a session, and a plan is to be made.
    Translate(SessionRef),
    /// It is changed and sent as planned.
    Forward(Plan),
    /// It is a hairpin: a packet from inside to a global address. It is translated like an outbound packet, and then takes
    /// the path again in this VRF like a packet from outside (RFC 4787 section 6).
    Hairpin(Plan, Vrf),
    /// It is an echo request to the box itself, and answered.
    Answer,
}

/// A verdict, or why the packet is dropped.
pub type Decided = Result<Verdict, Refused>;

/// Why a packet is not forwarded, with what its sender may need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: DropReason,
    /// The next link's MTU in bytes, where the packet was too long for it.
    pub mtu: u16,
}

/// The smallest MTU of a link (RFC 791).
const MTU_MIN: u16 = 68;

impl Refused {
    /// Lowers the MTU that the sender is told (RFC 1191) by the bytes that translation added to its packet.
    pub fn before_growth(self, growth: u16) -> Refused {
        match self.reason {
            DropReason::FragmentationNeeded => {
                Refused { mtu: self.mtu.saturating_sub(growth).max(MTU_MIN), ..self }
            }
            _ => self,
        }
    }
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Refused {
        Refused { reason, mtu: 0 }
    }
}

/// Where a packet comes from. A packet that takes the path again has another course then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From a port.
    Arrived,
    /// From inside, as a hairpin: it takes the path again as if it came from outside.
    Hairpinned,
    /// From the box itself: an ICMP error about a packet that was translated.
    Own,
}

/// A packet that takes the path again.
pub struct Again {
    /// The packet.
    pub packet: Packet,
    /// Its headers.
    pub head: Head,
    /// Where it comes from now.
    pub course: Course,
    /// The verdict with which it goes on; none if its worker, its session or its rule are still to be found.
    pub verdict: Option<Verdict>,
}
