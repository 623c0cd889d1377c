//! THE PATH: what happens to a packet, from the port it arrives on to the port it leaves by.
//!
//! A burst of packets goes through the stages together: each stage is a loop over the burst, so that the
//! memory one packet needs is on its way while the others are looked at.
//!
//! 1. **receive** takes up to 64 frames from one port.
//! 2. **read** takes what a whole UDP or TCP packet is looked up by from its headers, and asks for the index line
//!    its session would be in.
//! 3. **probe** reads those lines and asks for the sessions they point to.
//! 4. One by one, the packets take the **express** lane, which translates and frames those of established sessions
//!    that need nothing else, or
//! 5. the **full** path: `parse` finds the headers, and refuses what is malformed. **decide** goes through steering,
//!    access lists, session or rule, route; it ends in a plan, an answer of our own, or the reason why the packet is
//!    dropped. Nothing was written to it so far.
//!    A packet of a control session (FTP's commands, say) is first read by its `gateway`; what that makes of it goes
//!    on from here as if it had arrived so.
//! 6. **carry out**: `rewrite` changes the packet as planned, `fragment` cuts it where the next link is too
//!    small for it, `egress` frames it for its next hop.
//! 7. **transmit** sends the queues of all ports; then the packets are counted.
//!
//! Every packet has one fate: sent, consumed by the box itself, dropped for one reason, handed over to the
//! worker that owns it, or held until its next hop or the first of its fragments is known.

pub mod admit;
pub mod egress;
pub mod fast;
pub mod hairpin;
pub mod lookup;
mod notice;
pub mod parse;
pub mod plan;
pub mod reassembly;
pub mod reply;
pub mod rewrite;
mod sending;
pub mod stages;
pub mod steer;
pub mod translate;
pub mod unsolicited;

use arrayvec::ArrayVec;
use mem::Packet;

use self::fast::{Ingress, Plain};
use self::parse::{Frame, Head};
use self::plan::Plan;
use self::stages::Stage;
use self::translate::{Decision, Refused};
use crate::drops::DropReason;
use crate::inspect;
use crate::message::{ARP_LEN, Event};
use crate::policy::{Domain, InterfaceIndex};
use crate::port::{BURST, Burst};
use crate::state::shard::Shard;
use crate::state::table::index::Candidate;
use crate::tables::Tables;
use crate::worker::{HandedOver, Worker};

/// One value for each packet of a burst.
pub type PerPacket<T> = ArrayVec<T, BURST>;

/// Takes one burst from a port through the path. Returns how many packets there were.
pub fn burst(worker: &mut Worker, port: usize, now: u32) -> usize {
    let mut clock = worker.sampler.clock();
    let mut packets = Burst::new();
    worker.ports[port].receive(&mut packets);
    let count = packets.len();
    if count == 0 {
        return 0;
    }
    clock.end(Stage::Receive);
    worker.counters.fates.received.add(count as u64);
    let mut plains = [Plain::UNREAD; BURST];
    read(&worker.tables, port, &packets, &mut plains);
    clock.end(Stage::Read);
    probe(&worker.tables.shard, &mut plains[..count]);
    clock.end(Stage::Probe);
    let mut arrived = Arrived::default();
    for (packet, plain) in packets.drain(..).zip(&plains) {
        match fast::forward(worker, packet, plain, now) {
            Ok(fate) => {
                arrived.count(worker, plain);
                note_drop(worker, fate);
            }
            Err(packet) => full(worker, packet, plain, now),
        }
    }
    arrived.tell(worker);
    clock.end(Stage::Forward);
    worker.egress.flush(&mut worker.ports);
    clock.end(Stage::Transmit);
    worker.sampler.done(&clock, count, &worker.counters.stages);
    count
}

/// Takes packets that others handed over, and whose headers were read, through the stages after that: they are known
/// to be this worker's, and were counted where they arrived.
pub fn burst_of_others(worker: &mut Worker, packets: &mut Burst, heads: &PerPacket<Head>, now: u32) {
    let tables = &worker.tables;
    let mut plains = [Plain::UNREAD; BURST];
    for ((packet, head), plain) in packets.iter().zip(heads).zip(&mut plains) {
        let Some(ingress) = Ingress::of(&tables.policy, head.interface) else { continue };
        fast::read_ipv4(packet.bytes(), usize::from(head.l3), &ingress, tables, plain);
    }
    probe(&tables.shard, &mut plains);
    for ((packet, head), plain) in packets.drain(..).zip(heads).zip(&plains) {
        let fate = match fast::forward(worker, packet, plain, now) {
            Ok(fate) => {
                worker.counters.nat.hits.add(1);
                fate
            }
            Err(packet) => pass(worker, packet, head, plain, now),
        };
        note_drop(worker, fate);
    }
    worker.egress.flush(&mut worker.ports);
}

// The stages are functions of their own, each with the CPU's registers to itself.
#[inline(never)]
fn read(tables: &Tables, port: usize, packets: &Burst, plains: &mut [Plain; BURST]) {
    let untagged = Ingress::of_port(&tables.policy, port);
    for (packet, plain) in packets.iter().zip(plains) {
        fast::read(packet, untagged.as_ref(), tables, plain);
    }
}

#[inline(never)]
fn probe(shard: &Shard, plains: &mut [Plain]) {
    const { assert!(BURST <= u64::BITS as usize) };
    let mut elsewhere = 0u64;
    for (number, plain) in plains.iter_mut().enumerate().filter(|(_, plain)| plain.is_read) {
        match lookup::probe(shard, &mut plain.probe) {
            Candidate::Likely(_) => {}
            Candidate::None => shard.prefetch_new(&plain.probe.key),
            Candidate::Elsewhere => elsewhere |= 1 << number,
        }
    }
    // Few are there, and their lines were asked for.
    while let Some(plain) = plains.get_mut(elsewhere.trailing_zeros() as usize) {
        lookup::probe_other(shard, &mut plain.probe);
        elsewhere &= elsewhere - 1;
    }
}

/// The packets of a burst that took the express lane, until they are counted: mostly they are all of one interface.
#[derive(Default)]
struct Arrived {
    interface: InterfaceIndex,
    packets: u64,
    bytes: u64,
}

impl Arrived {
    #[inline(always)]
    fn count(&mut self, worker: &Worker, plain: &Plain) {
        if plain.interface != self.interface {
            self.tell(worker);
            *self = Arrived { interface: plain.interface, ..Arrived::default() };
        }
        self.packets += 1;
        self.bytes += plain.frame_len() as u64;
    }

    #[inline(never)]
    fn tell(&self, worker: &Worker) {
        worker.counters.nat.hits.add(self.packets);
        worker.count_arrivals(self.interface, self.packets, self.bytes);
    }
}

#[inline(always)]
fn note_drop(worker: &Worker, fate: Result<(), DropReason>) {
    if let Err(reason) = fate {
        worker.counters.dropped(reason);
    }
}

/// Takes a frame that is none for the express lane through the full path.
#[inline(never)]
fn full(worker: &mut Worker, mut packet: Packet, plain: &Plain, now: u32) {
    let mut head = Head::EMPTY;
    let fate = match parse::parse(&mut packet, &worker.tables.policy, &mut head) {
        Ok(Frame::Ipv4) => steer(worker, packet, &head, plain, now),
        Ok(Frame::Arp(interface, l3)) => consume_arp(worker, &packet, interface, usize::from(l3)),
        Err(reason) => Err(reason),
    };
    note_drop(worker, fate);
}

/// An IPv4 packet goes to the worker that owns it.
fn steer(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    plain: &Plain,
    now: u32,
) -> Result<(), DropReason> {
    worker.count_arrivals(head.interface, 1, packet.len() as u64);
    let domain = worker.tables.policy.interfaces[usize::from(head.interface)].domain;
    let owner = steer::owner(&worker.tables.policy, head, domain, worker.index, worker.count);
    if owner != worker.index {
        return worker.hand_over(HandedOver::new(packet, head), owner);
    }
    pass(worker, packet, head, plain, now)
}

/// A packet of this worker's: fragments meet first, and go on when their ports are known.
#[inline(always)]
fn pass(worker: &mut Worker, packet: Packet, head: &Head, plain: &Plain, now: u32) -> Result<(), DropReason> {
    let Tables { policy, shard, .. } = &worker.tables;
    let domain = policy.interfaces[usize::from(head.interface)].domain;
    if head.is_fragment && domain != Domain::None && head.new_id.is_none() {
        return gather(worker, packet, *head, domain, now);
    }
    let found = if plain.is_read {
        lookup::find(shard, &plain.probe)
    } else {
        lookup::direction(domain).and_then(|direction| lookup::find_now(shard, policy, head, direction))
    };
    worker.count_probe(domain != Domain::None, found.is_some());
    let decision = translate::decide(&mut worker.tables, head, found, now);
    follow(worker, packet, head, decision, now)
}

/// A fragment waits for the first one of its packet, or goes on with those that waited for it.
fn gather(
    worker: &mut Worker,
    packet: Packet,
    head: Head,
    domain: Domain,
    now: u32,
) -> Result<(), DropReason> {
    for (packet, head) in worker.gather(packet, head, now) {
        let owner =
            steer::owner_of_gathered(&worker.tables.policy, &head, domain, worker.index, worker.count);
        let fate = if owner == worker.index {
            forward_fragment(worker, packet, &head, domain, now)
        } else {
            worker.hand_over(HandedOver::new(packet, &head), owner)
        };
        if let Err(reason) = fate {
            worker.counters.dropped(reason);
        }
    }
    Ok(())
}

fn forward_fragment(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    domain: Domain,
    now: u32,
) -> Result<(), DropReason> {
    let direction = lookup::direction(domain);
    let found = direction
        .and_then(|direction| lookup::find_now(&worker.tables.shard, &worker.tables.policy, head, direction));
    worker.count_probe(true, found.is_some());
    let decision = translate::decide(&mut worker.tables, head, found, now);
    follow(worker, packet, head, decision, now)
}

/// Does what was decided about a packet.
#[inline(always)]
pub fn follow(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    decision: Result<Decision, Refused>,
    now: u32,
) -> Result<(), DropReason> {
    match decision {
        Ok(Decision::Forward(plan)) => carry_out(worker, packet, &plan, now),
        Ok(Decision::TurnAround(plan, vrf)) => hairpin::turn_around(worker, packet, &plan, vrf, now),
        Ok(Decision::Answer) => answer(worker, packet, head, now),
        Ok(Decision::Inspect(found)) => inspect::pass(worker, packet, head, found, now),
        Err(refused) => refuse(worker, &packet, head, refused, now),
    }
}

/// Changes the packet as planned and sends it on.
#[inline(always)]
pub fn carry_out(worker: &mut Worker, mut packet: Packet, plan: &Plan, now: u32) -> Result<(), DropReason> {
    rewrite::apply(&mut packet, plan);
    if plan.fragment_bytes_max != 0 {
        return worker.send_fragments(&packet, plan, now);
    }
    worker.send_to_hop(packet, plan.l3, plan.next_hop(), plan.neighbour, now)
}

/// Answers an echo request to the box: the request is consumed, and its buffer becomes the reply.
pub fn answer(worker: &mut Worker, mut packet: Packet, head: &Head, now: u32) -> Result<(), DropReason> {
    worker.counters.fates.consumed.add(1);
    reply::answer_echo(&mut packet, head);
    worker.route_own(packet, head.l3, head.tuple.vrf, head.src, now);
    Ok(())
}

/// Tells the sender why its packet is dropped, where that is due.
fn refuse(
    worker: &mut Worker,
    packet: &Packet,
    head: &Head,
    refused: Refused,
    now: u32,
) -> Result<(), DropReason> {
    let original = packet.bytes().get(usize::from(head.l3)..).unwrap_or_default();
    if refused.reason == DropReason::UnsolicitedSyn {
        worker.keep_syn(head, original, now);
    } else if reply::may_notify(head) {
        worker.notify(refused, head.interface, original, now);
    }
    Err(refused.reason)
}

/// Hands an ARP packet to the control thread, which owns the neighbours.
fn consume_arp(
    worker: &mut Worker,
    packet: &Packet,
    interface: InterfaceIndex,
    l3: usize,
) -> Result<(), DropReason> {
    let arp: &[u8; ARP_LEN] =
        packet.bytes().get(l3..).and_then(|arp| arp.first_chunk()).ok_or(DropReason::ArpMalformed)?;
    // Ethernet addresses of six bytes for IPv4 addresses of four (RFC 826).
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return Err(DropReason::ArpMalformed);
    }
    worker.count_arrivals(interface, 1, packet.len() as u64);
    worker.tell(Event::Arp(interface, *arp))?;
    worker.counters.fates.consumed.add(1);
    Ok(())
}
