//! What a worker sends: packets to next hops, whole or in fragments, and packets of its own.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::Vrf;
use crate::message::Event;
use crate::path::egress::Sent;
use crate::path::lookup::{self, Destination};
use crate::path::plan::Plan;
use crate::policy::InterfaceIndex;
use crate::route::fib::NextHop;
use crate::state::session::CachedHop;
use crate::wire::fragment::Cutter;
use crate::worker::Worker;

impl Worker {
    /// Sends a frame that the control thread made.
    pub(crate) fn transmit(&mut self, interface: InterfaceIndex, frame: &[u8]) {
        let Some(port) = self.tables.policy.interfaces.get(usize::from(interface)).map(|i| i.port) else {
            return;
        };
        self.counters.fates.generated.add(1);
        let packet = self.ports.get_mut(usize::from(port)).and_then(|port| port.allocate());
        let filled = packet.and_then(|mut packet| {
            packet.resize(frame.len()).then(|| {
                packet.bytes_mut().copy_from_slice(frame);
                packet
            })
        });
        let sent = match filled {
            Some(packet) => self.egress.queue(&mut self.ports, port, interface, packet),
            None => Err(DropReason::BuffersExhausted),
        };
        if let Err(reason) = sent {
            self.counters.dropped(reason);
        }
    }

    /// Sends an IPv4 packet to a next hop, or holds it and has the next hop resolved.
    #[inline(always)]
    pub(crate) fn send_to_hop(
        &mut self,
        packet: Packet,
        l3: u16,
        next_hop: NextHop,
        neighbour: u16,
        now: u32,
    ) -> Result<(), DropReason> {
        let neighbour = self.tables.neighbours.at(neighbour);
        let sent = self.egress.send(&mut self.ports, packet, l3, next_hop, neighbour, now);
        // The control thread asks again by itself; should it miss this, the packet's wait runs out. Where there is
        // no room to wait the next hop is asked for all the same, or the crowd before others would keep it unknown.
        let is_crowded_out = sent == Err(DropReason::NeighbourQueueFull) && !self.egress.is_awaited(next_hop);
        if sent == Ok(Sent::HeldFirst) || is_crowded_out {
            let _ = self.tell(Event::Resolve(next_hop));
        }
        sent.map(|_| ())
    }

    /// Sends a packet in fragments: it is consumed, and the fragments are packets of our own.
    pub(crate) fn send_fragments(
        &mut self,
        packet: &Packet,
        plan: &Plan,
        now: u32,
    ) -> Result<(), DropReason> {
        let original = packet.bytes().get(usize::from(plan.l3)..).unwrap_or_default();
        let mut cutter =
            Cutter::new(original, plan.fragment_bytes_max).ok_or(DropReason::FragmentationNeeded)?;
        let port = self.tables.policy.interfaces.get(usize::from(plan.egress)).map(|i| usize::from(i.port));
        let port = port.filter(|&port| port < self.ports.len()).ok_or(DropReason::InterfaceDown)?;
        self.counters.fates.consumed.add(1);
        while !cutter.is_done() {
            self.counters.fates.generated.add(1);
            let fragment = self.ports[port].allocate().and_then(|mut fragment| {
                let is_written = cutter.write_next(&mut fragment);
                is_written.then_some(fragment)
            });
            let Some(fragment) = fragment else {
                // What is missing of it makes the rest useless: the destination never completes it.
                self.counters.dropped(DropReason::BuffersExhausted);
                break;
            };
            if let Err(reason) = self.send_to_hop(fragment, 0, plan.next_hop(), plan.neighbour, now) {
                self.counters.dropped(reason);
            }
        }
        Ok(())
    }

    /// Routes and sends a packet that starts here, from its IPv4 header at `l3`.
    pub(crate) fn route_own(&mut self, packet: Packet, l3: u16, vrf: Vrf, to: Ipv4Addr, now: u32) {
        self.counters.fates.generated.add(1);
        let sent = match lookup::destination(&self.tables.fib, vrf, to) {
            Ok(Destination::Beyond(next_hop)) => {
                let CachedHop { neighbour, .. } =
                    lookup::resolve(&self.tables.fib, &self.tables.neighbours, next_hop);
                self.send_to_hop(packet, l3, next_hop, neighbour, now)
            }
            Ok(Destination::Local(_) | Destination::Nat) => Err(DropReason::NoLocalService),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = sent {
            self.counters.dropped(reason);
        }
    }
}
