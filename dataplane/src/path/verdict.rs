//! Verdicts: what a step says is to be done with a packet. The path alone acts on them.

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
    /// It is a fragment, and meets the others of its packet.
    Gather,
    /// It is of a control session, whose gateway reads it first.
    Read(SessionRef),
    /// It is of a session, and a plan is to be made.
    Translate(SessionRef),
    /// It is changed and sent as planned.
    Forward(Plan),
    /// It is from inside to a global address, a hairpin: translated like an outbound packet, it goes again as one from outside
    /// (RFC 4787 section 6), in this VRF.
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
    /// What a sender is told whose packets grow on their way: an MTU that helps it (RFC 1191).
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

/// Where a packet comes from, each time that it takes the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From a port.
    Arrived,
    /// From inside, hairpinned: it goes again as if it came from outside.
    Hairpinned,
    /// From the box itself: an ICMP error about a packet that was translated.
    Own,
}

/// A packet that goes again, from where its verdict says.
pub struct Again {
    /// The packet.
    pub packet: Packet,
    /// Its headers.
    pub head: Head,
    /// Where it comes from now.
    pub course: Course,
    /// Where it goes on; none if its worker, its session or its rule are still to be found.
    pub verdict: Option<Verdict>,
}
