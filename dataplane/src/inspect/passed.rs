//! Passing on: what goes on in place of what was read.

use mem::Packet;

use crate::flow::{Direction, Vrf};
use crate::head::Head;
use crate::inspect::reading::Reading;
use crate::inspect::streams::Passed;
use crate::state::shard::SessionRef;

impl Reading<'_> {
    /// The VRF that packets of a session arrive in.
    pub(super) fn vrf_of(&self, found: SessionRef) -> Vrf {
        self.shard.session(found.index).map_or(0, |session| match found.direction {
            Direction::Outbound => session.inside_vrf(),
            Direction::Inbound => session.outside_vrf(),
        })
    }

    /// Has a packet go on that was made or changed: its headers are read again.
    pub(super) fn pass(
        &mut self,
        packet: Packet,
        l3: u16,
        original: &Head,
        found: SessionRef,
        is_unread: bool,
    ) {
        let vrf = self.vrf_of(found);
        match Head::of(packet.bytes(), l3, original.interface, vrf) {
            Ok(mut head) => {
                head.new_id = original.new_id;
                self.streams.passed.push(Passed { packet, head, found, is_unread });
            }
            Err(reason) => self.tally.drop(reason, 1),
        }
    }
}
