//! Packets on their way to the worker that owns them.

use alg::Side;
use mem::Packet;

use crate::counters::{Count, HandoverCounters};
use crate::drops::DropReason;
use crate::flow::InterfaceIndex;
use crate::head::Head;
use crate::path::verdict::Course;
use crate::policy::Policy;
use crate::protocols::Protocols;

/// A packet that was handed over, with where it is to be read again.
pub struct HandedOver {
    packet: Packet,
    interface: InterfaceIndex,
    l3: u16,
    /// Of a fragment whose packet's first one was seen, what that told.
    told: Option<Told>,
    is_fragment: bool,
    course: Course,
}

/// What the first fragment of a packet told of the others.
struct Told {
    ports: (u16, u16),
    new_id: u16,
    icmp: (u8, u8),
}

impl HandedOver {
    /// A packet whose headers were read.
    pub fn new(packet: Packet, head: &Head, course: Course) -> HandedOver {
        let ports = (head.tuple.src.port, head.tuple.dst.port);
        let told = head.new_id.map(|new_id| Told { ports, new_id, icmp: head.icmp });
        let (interface, l3, is_fragment) = (head.interface, head.l3, head.is_fragment);
        HandedOver { packet, interface, l3, told, is_fragment, course }
    }

    /// Reads its headers again.
    pub fn read(self, policy: &Policy, protocols: &Protocols) -> Result<(Packet, Head, Course), DropReason> {
        let vrf = policy.interfaces.get(usize::from(self.interface)).map_or(0, |interface| interface.vrf);
        let mut head = Head::of(self.packet.bytes(), self.l3, self.interface, vrf)?;
        protocols.read_number(self.packet.bytes(), &mut head);
        if let Some(Told { ports, new_id, icmp }) = self.told {
            (head.tuple.src.port, head.tuple.dst.port) = ports;
            (head.new_id, head.icmp) = (Some(new_id), icmp);
        }
        Ok((self.packet, head, self.course))
    }

    /// The counter of why it is handed over.
    pub fn counter<'a>(&self, policy: &Policy, counters: &'a HandoverCounters) -> &'a Count {
        let side = policy.interfaces.get(usize::from(self.interface)).and_then(|interface| interface.nat);
        match (self.course, self.is_fragment, side) {
            (Course::Hairpinned | Course::Own, ..) => &counters.hairpinned,
            (Course::Arrived, true, _) => &counters.fragments,
            (Course::Arrived, false, Some(Side::Inside)) => &counters.inside,
            _ => &counters.outside,
        }
    }
}
