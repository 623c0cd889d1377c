//! Packets of the box's own: answers, fragments, ICMP errors, frames of the control thread.

use std::net::Ipv4Addr;

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{InterfaceIndex, Vrf};
use crate::head::{Head, Transport};
use crate::message::Event;
use crate::path::engine::Engine;
use crate::path::hold::Held;
use crate::path::plan::Plan;
use crate::path::reply;
use crate::path::route::{self, Destination};
use crate::path::share::Sender;
use crate::path::tables::Tables;
use crate::path::verdict::{Course, Refused};
use crate::route::fib::NextHop;
use crate::wire::fragment::Cutter;
use crate::wire::ipv4;

/// Answers an echo request to the box: the request is consumed, and its buffer becomes the reply.
pub fn answer(engine: &mut Engine, mut packet: Packet, head: &Head, now: u32) -> Result<(), DropReason> {
    engine.counters.fates.consumed.add(1);
    reply::answer_echo(&mut packet, head);
    send_own(engine, packet, head.l3, head.tuple.vrf, head.src, now);
    Ok(())
}

/// Sends a packet in fragments: it is consumed, and the fragments are packets of our own.
pub fn send_fragments(
    engine: &mut Engine,
    packet: &Packet,
    plan: &Plan,
    sender: Sender,
    now: u32,
) -> Result<(), DropReason> {
    let original = packet.bytes().get(usize::from(plan.l3)..).unwrap_or_default();
    let mut cutter = Cutter::new(original, plan.fragment_bytes_max).ok_or(DropReason::FragmentationNeeded)?;
    let port = engine.tables.policy.interfaces.get(usize::from(plan.egress)).map(|i| usize::from(i.port));
    let port = port.filter(|&port| port < engine.ports.len()).ok_or(DropReason::InterfaceDown)?;
    engine.counters.fates.consumed.add(1);
    while !cutter.is_done() {
        engine.counters.fates.generated.add(1);
        let fragment = engine.ports[port]
            .allocate()
            .and_then(|mut fragment| cutter.write_next(&mut fragment).then_some(fragment));
        let Some(fragment) = fragment else {
            // What is missing of it makes the rest useless: the destination never completes it.
            engine.note(Err(DropReason::BuffersExhausted));
            break;
        };
        let sent = engine.send(fragment, 0, plan.next_hop(), plan.neighbour, sender, now);
        engine.note(sent);
    }
    Ok(())
}

/// Routes and sends a packet that starts here and is not translated, from its IPv4 header at `l3`. Its receiver has it sent.
fn send_own(engine: &mut Engine, packet: Packet, l3: u16, vrf: Vrf, to: Ipv4Addr, now: u32) {
    engine.counters.fates.generated.add(1);
    let Tables { fib, generation, neighbours, .. } = &engine.tables;
    let sent = match route::destination(fib, vrf, to) {
        Ok(Destination::Beyond(next_hop)) => {
            let hop = route::resolve(*generation, neighbours, next_hop);
            engine.send(packet, l3, next_hop, hop.neighbour, (next_hop.interface, to), now)
        }
        Ok(Destination::Local(_) | Destination::Nat) => Err(DropReason::NoLocalService),
        Err(reason) => Err(reason),
    };
    engine.note(sent);
}

/// Tells the sender why its packet is dropped, where that is due.
pub fn tell_sender(
    engine: &mut Engine,
    packet: &Packet,
    head: &Head,
    course: Course,
    refused: Refused,
    now: u32,
) {
    let original = packet.bytes().get(usize::from(head.l3)..).unwrap_or_default();
    match course {
        Course::Own => {}
        Course::Arrived if refused.reason == DropReason::UnsolicitedSyn => {
            engine.notices.unsolicited.keep(head, original, now);
        }
        Course::Arrived if refused.reason == DropReason::HostUnresolved => {
            // The answer makes it a neighbour; what asks too often is not heard for a while.
            if engine.notices.may_ask(head.src, now) {
                let _ = engine.tell(Event::Resolve(NextHop { interface: head.interface, addr: head.src }));
            }
        }
        // No errors about errors, or about packets whose beginning is elsewhere (RFC 1812 section 4.3.2.7).
        _ if matches!(head.transport, Transport::IcmpError { .. } | Transport::LaterFragment) => {}
        Course::Arrived => notify(engine, refused, head.interface, original, now),
        Course::Hairpinned => notify_translated(engine, refused, head.interface, original, now),
    }
}

/// Sends the ICMP error that a refusal calls for, if one is due, to the sender on this interface.
fn notify(engine: &mut Engine, refused: Refused, interface: InterfaceIndex, original: &[u8], now: u32) {
    let Engine { notices, tables, ports, .. } = engine;
    if let Some(packet) = notices.write(tables, ports, refused, interface, original, now) {
        let vrf = tables.policy.interfaces[usize::from(interface)].vrf;
        send_own(engine, packet, 0, vrf, ipv4::addr(original, ipv4::SRC), now);
    }
}

/// The same about a packet that was translated already: the error goes again as one that comes in by an interface, so that it
/// is translated like the packet it is about.
fn notify_translated(
    engine: &mut Engine,
    refused: Refused,
    interface: InterfaceIndex,
    original: &[u8],
    now: u32,
) {
    let Engine { notices, tables, ports, .. } = engine;
    let Some(packet) = notices.write(tables, ports, refused, interface, original, now) else { return };
    let vrf = tables.policy.interfaces[usize::from(interface)].vrf;
    engine.counters.fates.generated.add(1);
    match Head::of(packet.bytes(), 0, interface, vrf) {
        Ok(head) => engine.again(packet, head, Course::Own, None),
        Err(reason) => engine.note(Err(reason)),
    }
}

/// Drops packets that waited for a next hop in vain, and tells their senders.
pub fn give_up(engine: &mut Engine, unresolved: Option<NextHop>, now: u32) {
    let refused = Refused::from(DropReason::NeighbourUnresolved);
    while let Some(Held { packet, l3, next_hop, .. }) = engine.egress.held.give_up(unresolved, now) {
        engine.note(Err(refused.reason));
        let original = packet.bytes().get(usize::from(l3)..).unwrap_or_default();
        notify_translated(engine, refused, next_hop.interface, original, now);
    }
}

/// Sends a frame that the control thread made.
pub fn send_frame(engine: &mut Engine, interface: InterfaceIndex, frame: &[u8]) {
    let Some(port) = engine.tables.policy.interfaces.get(usize::from(interface)).map(|i| i.port) else {
        return;
    };
    engine.counters.fates.generated.add(1);
    let packet = engine.ports.get_mut(usize::from(port)).and_then(|port| port.allocate());
    let filled = packet.and_then(|mut packet| packet.fill(frame).then_some(packet));
    let sent = match filled {
        Some(packet) => engine.egress.queue(&mut engine.ports, port, interface, packet),
        None => Err(DropReason::BuffersExhausted),
    };
    engine.note(sent);
}

/// Answers SYNs that nobody asked for, whose time has come.
pub fn answer_syns(engine: &mut Engine, now: u32) {
    while let Some(kept) = engine.notices.next_unanswered(&engine.tables, engine.index, now) {
        notify(engine, DropReason::NoLocalService.into(), kept.interface, &kept.quote, now);
    }
}
