//! Packets that enter the path a second time: from inside to a global address (RFC 4787 REQ-9), and ICMP errors
//! of our own about packets that were translated already.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{ICMP, Vrf};
use crate::inspect;
use crate::path::lookup;
use crate::path::parse::{Head, parse_ipv4};
use crate::path::plan::Plan;
use crate::path::rewrite;
use crate::path::steer;
use crate::path::translate::{self, Decision};
use crate::path::{answer, carry_out};
use crate::policy::InterfaceIndex;
use crate::worker::{HandedOver, SecondPass, Worker};

/// A packet from inside to a global address: translated, it is one from outside, at the worker that owns that
/// address.
pub fn turn_around(
    worker: &mut Worker,
    mut packet: Packet,
    plan: &Plan,
    vrf: Vrf,
    now: u32,
) -> Result<(), DropReason> {
    rewrite::apply(&mut packet, plan);
    let interface = worker.tables.policy.outside_interface(vrf).ok_or(DropReason::NoRoute)?;
    let mut head = parse_ipv4(packet.bytes(), usize::from(plan.l3), interface, vrf)?;
    if head.is_fragment {
        // A later fragment does not show the ports of its packet: they are those of the plan.
        head.new_id = plan.new_id;
        head.tuple.src.port = plan.src.port;
        head.tuple.dst.port = if head.tuple.protocol == ICMP { plan.src.port } else { plan.dst.port };
    }
    let owner = steer::outside_owner(&worker.tables.policy, &head.tuple, worker.index, worker.count);
    if owner != worker.index {
        return worker.hand_over(HandedOver::again(packet, &head, SecondPass::TurnedAround), owner);
    }
    arrive_from_outside(worker, packet, &head, now)
}

/// Treats a packet as one from outside, whatever port it came through.
pub fn arrive_from_outside(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    now: u32,
) -> Result<(), DropReason> {
    match translate::decide_inbound(&mut worker.tables, head, now) {
        Ok(Decision::Forward(plan)) => carry_out(worker, packet, &plan, now),
        Ok(Decision::Answer) => answer(worker, packet, head, now),
        Ok(Decision::TurnAround(..)) => Err(DropReason::NoMapping),
        Ok(Decision::Inspect(found)) => inspect::pass(worker, packet, head, found, now),
        Err(refused) => {
            worker.notify_from(
                refused,
                packet.bytes().get(usize::from(head.l3)..).unwrap_or_default(),
                head,
                now,
            );
            Err(refused.reason)
        }
    }
}

/// Takes an ICMP error of our own, from its IPv4 header on, through the path as if it came from outside, so
/// that it is translated like the packet it is about.
pub fn originate(worker: &mut Worker, packet: Packet, interface: InterfaceIndex, now: u32) {
    worker.counters.fates.generated.add(1);
    let ingress = &worker.tables.policy.interfaces[usize::from(interface)];
    let (vrf, domain) = (ingress.vrf, ingress.domain);
    let fate = parse_ipv4(packet.bytes(), 0, interface, vrf).and_then(|head| {
        let owner = steer::owner(&worker.tables.policy, &head, domain, worker.index, worker.count);
        if owner != worker.index {
            return worker.hand_over(HandedOver::again(packet, &head, SecondPass::OwnError), owner);
        }
        send_own_error(worker, packet, &head, now)
    });
    if let Err(reason) = fate {
        worker.counters.dropped(reason);
    }
}

/// What another worker handed over to be taken through the path a second time.
pub fn pass_again(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    why: SecondPass,
    now: u32,
) -> Result<(), DropReason> {
    match why {
        SecondPass::TurnedAround => arrive_from_outside(worker, packet, head, now),
        SecondPass::OwnError => send_own_error(worker, packet, head, now),
    }
}

fn send_own_error(worker: &mut Worker, mut packet: Packet, head: &Head, now: u32) -> Result<(), DropReason> {
    let policy = &worker.tables.policy;
    let domain = policy.interfaces[usize::from(head.interface)].domain;
    let found = lookup::direction(domain)
        .and_then(|direction| lookup::find_now(&worker.tables.shard, policy, head, direction));
    let mut decision = translate::decide(&mut worker.tables, head, found, now);
    if let Ok(Decision::Inspect(found)) = decision {
        inspect::restore_quote(worker, &mut packet, head, found);
        decision = translate::translated(&mut worker.tables, head, found, now);
    }
    match decision {
        Ok(Decision::Forward(mut plan)) => {
            // It starts here, and has an address of the interface it leaves by (RFC 1812 section 4.3.2.4).
            let egress = worker.tables.policy.interfaces.get(usize::from(plan.egress));
            if let Some(&(own, _)) = egress.and_then(|egress| egress.addresses.first()) {
                plan.start_here(own);
            }
            carry_out(worker, packet, &plan, now)
        }
        Ok(_) => Err(DropReason::NoLocalService),
        Err(refused) => Err(refused.reason),
    }
}
