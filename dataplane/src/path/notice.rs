//! What a worker tells the senders of packets it dropped.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::{Blame, DropReason, Notice};
use crate::path::hairpin;
use crate::path::parse::Head;
use crate::path::reply;
use crate::path::translate::Refused;
use crate::policy::InterfaceIndex;
use crate::route::fib::NextHop;
use crate::tables::Tables;
use crate::worker::Worker;

/// Bytes kept free before a packet of our own for its Ethernet header.
const LINK_ROOM: u16 = 18;

impl Worker {
    /// Drops packets that waited for a next hop in vain, and tells their senders.
    pub(crate) fn give_up_waiting(&mut self, unresolved: Option<NextHop>, now: u32) {
        while let Some((packet, l3, next_hop)) = self.egress.give_up(unresolved, now) {
            self.counters.dropped(DropReason::NeighbourUnresolved);
            let original = packet.bytes().get(usize::from(l3)..).unwrap_or_default();
            let refused = Refused::from(DropReason::NeighbourUnresolved);
            if let Some(notice) = self.write_notice(refused, next_hop.interface, original, now) {
                // The packet was translated already: its notice comes in like one from beyond the next hop.
                hairpin::originate(self, notice, next_hop.interface, now);
            }
        }
    }

    /// Sends the ICMP error that a refusal calls for, if one is due and the budget allows it.
    pub(crate) fn notify(&mut self, refused: Refused, ingress: InterfaceIndex, original: &[u8], now: u32) {
        let Some(source) = original.get(12..16).and_then(|src| src.first_chunk::<4>()) else { return };
        let to = Ipv4Addr::from(*source);
        if let Some(notice) = self.write_notice(refused, ingress, original, now) {
            let vrf = self.tables.policy.interfaces[usize::from(ingress)].vrf;
            self.route_own(notice, 0, vrf, to, now);
        }
    }

    /// What a sender is told. Policy may call a lack of resources a prohibition (RFC 5508 REQ-8).
    fn notice_of(&self, reason: DropReason) -> Notice {
        let is_prohibition =
            reason.blame() == Blame::Capacity && self.tables.policy.behaviour.tells_prohibited;
        match reason.notice() {
            Notice::HostUnreachable if is_prohibition => Notice::AdministrativelyProhibited,
            notice => notice,
        }
    }

    /// The ICMP error about `original`, from the address of `interface`; none when none is due.
    fn write_notice(
        &mut self,
        refused: Refused,
        interface: InterfaceIndex,
        original: &[u8],
        now: u32,
    ) -> Option<Packet> {
        let notice = self.notice_of(refused.reason);
        let interface = self.tables.policy.interfaces.get(usize::from(interface))?;
        let &(from, _) = interface.addresses.first()?;
        let port = self.ports.get_mut(usize::from(interface.port))?;
        let budget = match notice {
            Notice::FragmentationNeeded => &mut self.mtu_notices,
            _ => &mut self.notices,
        };
        if notice == Notice::Silent || !budget.take(now) {
            return None;
        }
        let mut packet = port.allocate().filter(|packet| packet.headroom() >= usize::from(LINK_ROOM))?;
        reply::write_notice(&mut packet, notice, refused.mtu, from, original).then_some(packet)
    }

    /// Sends the ICMP error about a packet that was translated already: it comes in like one from outside.
    pub(crate) fn notify_from(&mut self, refused: Refused, original: &[u8], head: &Head, now: u32) {
        if reply::may_notify(head)
            && let Some(notice) = self.write_notice(refused, head.interface, original, now)
        {
            hairpin::originate(self, notice, head.interface, now);
        }
    }

    /// Answers unsolicited SYNs whose time has come, unless a session came to be meanwhile.
    pub(crate) fn answer_syns(&mut self, now: u32) {
        while let Some(kept) = self.unsolicited.next_due(now) {
            let Tables { shard, policy, .. } = &self.tables;
            // Another worker that has taken the port since may have the session: silence is the safer answer.
            let is_elsewhere = policy.ownership.owner(kept.dst).is_some_and(|owner| owner != self.index);
            if !is_elsewhere && shard.find(kept.key, shard.prepare(kept.key)).is_none() {
                let refused = Refused::from(DropReason::NoLocalService);
                self.notify(refused, kept.interface, &kept.quote, now);
            }
        }
    }
}
