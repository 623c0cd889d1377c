//! THE PATH: what happens to a packet, from the port it arrives on to the port it leaves by.
//!
//! A burst of packets goes through the stages together: each stage is a loop over the burst, so that the
//! memory one packet needs is on its way while the others are looked at.
//!
//! 1. **receive** takes up to 64 frames from one port.
//! 2. **read** takes what a whole UDP or TCP packet is looked up by from its headers, and asks for the index line
//!    its session would be in.
//! 3. **probe** reads those lines and asks for the sessions they point to.
//! 4. One by one, packets of established sessions that need nothing else take the **fast** path, which translates and
//!    frames them.
//! 5. All others take the **full** path: `parse` finds the headers, and refuses what is malformed; what follows is a loop
//!    over verdicts. A step looks at a packet and says what is to be done with it, `follow` does that and asks the next
//!    step, until the packet has its fate. The verdicts are in the order of the path: another worker's packets are handed
//!    over, fragments gathered; `decide` finds session or rule; `read` has a gateway read a control session's packet;
//!    `translate` makes a plan, of which `rewrite` changes the packet, and `egress` sends it.
//!    Whatever is to go again (what a gateway made, what is hairpinned, ICMP errors of our own) waits in
//!    `Engine::again` until its cause has its fate, and is taken from there before any other packet: the packets of a flow
//!    keep their order. A packet takes the path twice at most, the second time as if it came from outside.
//! 6. What took the fast path is counted, and **transmit** sends the queues of all ports.
//!
//! Every packet has one fate: sent, consumed by the box itself, dropped for one reason, handed over to the
//! worker that owns it, or held until its next hop or the first of its fragments is known. Fates are counted here and
//! in `own`, for what the box sends itself: steps that make or end packets note it in a `Tally`.

mod admit;
mod attach;
mod budget;
mod decide;
mod direct;
pub mod egress;
pub mod engine;
mod fast;
pub mod handover;
pub mod hold;
pub mod notice;
mod own;
pub mod parse;
pub mod plan;
mod read;
pub mod reassembly;
pub mod reply;
pub mod rewrite;
mod route;
mod select;
pub mod share;
pub mod stages;
pub mod steer;
pub mod tables;
mod translate;
pub mod unsolicited;
pub mod verdict;

pub use own::send_frame;

use alg::Side;
use arrayvec::ArrayVec;
use mem::Packet;

use self::engine::Engine;
use self::handover::HandedOver;
use self::parse::ParsedFrame;
use self::plan::Plan;
use self::read::{Ingress, Plain};
use self::tables::Tables;
use self::verdict::{Again, Course, Decided, Verdict};
use crate::counters::{Stage, Tally};
use crate::drops::DropReason;
use crate::flow::{Direction, InterfaceIndex, Tuple, Vrf, WorkerIndex};
use crate::head::Head;
use crate::inspect::{self, Passed, Read, Reading};
use crate::message::Event;
use crate::port::{BURST, Burst};
use crate::route::fib::NextHop;
use crate::state::shard::{SessionRef, Shard};
use crate::state::table::index::Candidate;
use crate::wire::{arp, udp};

/// One value for each packet of a burst.
pub type PerPacket<T> = ArrayVec<T, BURST>;

/// Takes one burst from a port through the path. Returns how many packets there were.
pub fn burst(engine: &mut Engine, port: usize, now: u32) -> usize {
    let mut clock = engine.sampler.clock();
    let mut packets = Burst::new();
    engine.ports[port].receive(&mut packets);
    let count = packets.len();
    if count == 0 {
        return 0;
    }
    clock.end(Stage::Receive);
    engine.counters.fates.received.add(count as u64);
    let mut plains = [Plain::UNREAD; BURST];
    read_all(&engine.tables, port, &packets, &mut plains);
    clock.end(Stage::Read);
    probe(&engine.tables.shard, &mut plains[..count]);
    clock.end(Stage::Probe);
    let mut arrived = Arrived::default();
    for (packet, plain) in packets.drain(..).zip(&plains) {
        match fast::forward(engine, packet, plain, now) {
            Ok(fate) => {
                engine.note(fate);
                arrived.count(engine, plain);
            }
            Err(packet) => full(engine, packet, plain, now),
        }
    }
    arrived.tell(engine);
    clock.end(Stage::Forward);
    engine.transmit();
    clock.end(Stage::Transmit);
    engine.sampler.done(&clock, count, &engine.counters.stages);
    count
}

// The stages are functions of their own, each with the CPU's registers to itself.
#[inline(never)]
fn read_all(tables: &Tables, port: usize, packets: &Burst, plains: &mut [Plain; BURST]) {
    let untagged = Ingress::of_port(&tables.policy, port);
    for (packet, plain) in packets.iter().zip(plains) {
        read::read(packet, untagged.as_ref(), tables, plain);
    }
}

#[inline(never)]
fn probe(shard: &Shard, plains: &mut [Plain]) {
    const { assert!(BURST <= u64::BITS as usize) };
    let mut elsewhere = 0u64;
    for (number, plain) in plains.iter_mut().enumerate().filter(|(_, plain)| plain.is_read) {
        match shard.candidate(plain.hash) {
            Candidate::Likely(found) => plain.candidate = Some(found),
            Candidate::None => shard.prefetch_new(&plain.key),
            Candidate::Elsewhere => elsewhere |= 1 << number,
        }
    }
    // Few are there, and their lines were asked for.
    while let Some(plain) = plains.get_mut(elsewhere.trailing_zeros() as usize) {
        plain.candidate = shard.candidate_anywhere(plain.hash);
        elsewhere &= elsewhere - 1;
    }
}

/// The packets of a burst that took the fast path, until they are counted: mostly they are all of one interface.
#[derive(Clone, Copy, Default)]
struct Arrived {
    interface: InterfaceIndex,
    packets: u64,
    bytes: u64,
}

impl Arrived {
    #[inline(always)]
    fn count(&mut self, engine: &Engine, plain: &Plain) {
        if plain.interface != self.interface {
            self.tell(engine);
            *self = Arrived { interface: plain.interface, ..Arrived::default() };
        }
        self.packets += 1;
        self.bytes += plain.frame_len() as u64;
    }

    #[inline(never)]
    fn tell(self, engine: &Engine) {
        engine.counters.nat.hits.add(self.packets);
        engine.count_arrivals(self.interface, self.packets, self.bytes);
    }
}

/// Takes a frame that is none for the fast path through the full one.
#[inline(never)]
fn full(engine: &mut Engine, mut packet: Packet, plain: &Plain, now: u32) {
    let mut head = Head::EMPTY;
    match parse::parse(&mut packet, &engine.tables.policy, &mut head) {
        Ok(ParsedFrame::Ipv4) => {
            engine.count_arrivals(head.interface, 1, packet.len() as u64);
            engine.tables.protocols.read_number(packet.bytes(), &mut head);
            let decided = match engine.owners().steer(&head) {
                // What the list denies takes no place among those that wait.
                Some(verdict) if head.is_fragment => decide::admits(&engine.tables, &head).map(|()| verdict),
                Some(verdict) => Ok(verdict),
                None => look_up(engine, &head, plain, now),
            };
            follow(engine, packet, &head, Course::Arrived, decided, now);
            go_again(engine, now);
        }
        Ok(ParsedFrame::Arp(interface, l3)) => {
            let fate = consume_arp(engine, &packet, interface, usize::from(l3));
            engine.note(fate);
        }
        Err(reason) => {
            count_unread(engine, &packet, reason);
            engine.note(Err(reason));
        }
    }
}

/// Counts a frame that is dropped before it is read, if an interface took it.
#[cold]
fn count_unread(engine: &Engine, packet: &Packet, reason: DropReason) {
    let Some(interface) = parse::interface_of(packet, &engine.tables.policy) else { return };
    engine.count_arrivals(interface, 1, packet.len() as u64);
    engine.count_addressee(interface, packet.bytes());
    if reason == DropReason::EtherTypeUnknown {
        engine.counters.interface(interface).in_unknown.add(1);
    }
}

/// A packet of this worker's: what its session or the rules say.
#[inline(always)]
fn look_up(engine: &mut Engine, head: &Head, plain: &Plain, now: u32) -> Decided {
    let Tables { policy, shard, .. } = &engine.tables;
    let interface = &policy.interfaces[usize::from(head.interface)];
    let found = if plain.is_read {
        shard.find_likely(plain.candidate, plain.key, plain.hash)
    } else {
        interface.direction().and_then(|direction| shard.find_now(policy, head, direction))
    };
    engine.count_probe(interface.nat.is_some(), found.is_some());
    if found.is_none()
        && let Some(owner) = owner_of_default(engine, head)
    {
        return Ok(Verdict::HandOver(owner));
    }
    decide::decide(&mut engine.tables, head, found, now)
}

/// The worker of the default server that a packet from outside is for, as this one has nobody mapped there.
fn owner_of_default(engine: &Engine, head: &Head) -> Option<WorkerIndex> {
    let Tables { policy, shard, .. } = &engine.tables;
    let Tuple { dst, protocol, vrf, .. } = head.tuple;
    if policy.interfaces[usize::from(head.interface)].nat != Some(Side::Outside) {
        return None;
    }
    let owner = engine.owners().of_default(&head.tuple).filter(|owner| *owner != engine.index)?;
    let is_mapped = || {
        shard.mapping_of_global(vrf, protocol, dst).is_some()
            || policy.statics.owner_of(vrf, protocol, dst).is_some()
            || shard.door_of_global(protocol, vrf, dst).is_some()
    };
    (!is_mapped()).then_some(owner)
}

/// Takes packets that others handed over. Their headers were read where they arrived, and they were counted there.
pub fn take_over(engine: &mut Engine, handed_over: impl Iterator<Item = HandedOver>, now: u32) -> usize {
    let (mut packets, mut heads) = (Burst::new(), PerPacket::new());
    let mut count = 0;
    for one in handed_over {
        count += 1;
        engine.counters.fates.taken_over.add(1);
        match one.read(&engine.tables.policy, &engine.tables.protocols) {
            Ok((packet, head, Course::Arrived)) => {
                packets.push(packet);
                heads.push(head);
            }
            // It was steered where it was hairpinned.
            Ok((packet, head, course)) => {
                let decided = find_here(engine, &head, course, now);
                follow(engine, packet, &head, course, decided, now);
                go_again(engine, now);
            }
            Err(reason) => engine.note(Err(reason)),
        }
    }
    burst_of_others(engine, &mut packets, &heads, now);
    count
}

fn burst_of_others(engine: &mut Engine, packets: &mut Burst, heads: &PerPacket<Head>, now: u32) {
    let tables = &engine.tables;
    let mut plains = [Plain::UNREAD; BURST];
    for ((packet, head), plain) in packets.iter().zip(heads).zip(&mut plains) {
        let Some(ingress) = Ingress::of(&tables.policy, head.interface) else { continue };
        read::read_ipv4(packet.bytes(), usize::from(head.l3), &ingress, tables, plain);
    }
    probe(&tables.shard, &mut plains);
    for ((packet, head), plain) in packets.drain(..).zip(heads).zip(&plains) {
        match fast::forward(engine, packet, plain, now) {
            Ok(fate) => {
                engine.counters.nat.hits.add(1);
                engine.note(fate);
            }
            Err(packet) => {
                let decided = match steer::gathers(&engine.tables.policy, head) {
                    true => Ok(Verdict::Gather),
                    false => look_up(engine, head, plain, now),
                };
                follow(engine, packet, head, Course::Arrived, decided, now);
                go_again(engine, now);
            }
        }
    }
    engine.transmit();
}

/// Does what is said about a packet, and asks what is next, until the packet has its fate.
#[inline(always)]
fn follow(
    engine: &mut Engine,
    mut packet: Packet,
    head: &Head,
    course: Course,
    mut decided: Decided,
    now: u32,
) {
    let fate = loop {
        decided = match decided {
            Ok(Verdict::HandOver(owner)) => break hand_over(engine, packet, head, course, owner),
            Ok(Verdict::Gather) => break gather(engine, packet, head, now),
            Ok(Verdict::Read(found)) => match have_read(engine, packet, head, course, found, now) {
                Ok((as_it_is, next)) => {
                    packet = as_it_is;
                    next
                }
                Err(fate) => break fate,
            },
            Ok(Verdict::Translate(found)) => translate::established(&mut engine.tables, head, found, now),
            Ok(Verdict::Forward(mut plan)) => {
                if course == Course::Own {
                    start_here(&engine.tables, &mut plan);
                }
                break carry_out(engine, packet, head, &plan, now);
            }
            Ok(Verdict::Hairpin(plan, vrf)) if course == Course::Arrived => {
                break hairpin(engine, packet, head, &plan, vrf);
            }
            Ok(Verdict::Hairpin(..)) => Err(DropReason::PathTwice.into()),
            Ok(Verdict::Answer) => break own::answer(engine, packet, head, now),
            Err(refused) => {
                own::tell_sender(engine, &packet, head, course, refused, now);
                break Err(refused.reason);
            }
        };
    };
    engine.note(fate);
}

/// Takes the packets that go again through the path, one after the other.
#[inline(always)]
fn go_again(engine: &mut Engine, now: u32) {
    if !engine.again.is_empty() {
        all_again(engine, now);
    }
}

fn all_again(engine: &mut Engine, now: u32) {
    while let Some(Again { packet, head, course, verdict }) = engine.again.pop_front() {
        let decided = match verdict {
            Some(verdict) => Ok(verdict),
            None => find_again(engine, &head, course, now),
        };
        follow(engine, packet, &head, course, decided, now);
    }
}

/// What is to be done with a packet whose worker and session are still to be found.
fn find_again(engine: &mut Engine, head: &Head, course: Course, now: u32) -> Decided {
    let owner = match course {
        Course::Hairpinned => engine.owners().of_global(&head.tuple),
        _ => engine.owners().of_flow(head),
    };
    match owner == engine.index {
        true => find_here(engine, head, course, now),
        false => Ok(Verdict::HandOver(owner)),
    }
}

/// What is to be done with a packet that belongs here and whose session is still to be found.
fn find_here(engine: &mut Engine, head: &Head, course: Course, now: u32) -> Decided {
    let Tables { policy, shard, .. } = &engine.tables;
    let interface = &policy.interfaces[usize::from(head.interface)];
    let direction = match course {
        Course::Hairpinned => Some(Direction::Inbound),
        _ => interface.direction(),
    };
    let found = direction.and_then(|direction| shard.find_now(policy, head, direction));
    if found.is_none()
        && let Some(owner) = owner_of_default(engine, head)
    {
        return Ok(Verdict::HandOver(owner));
    }
    if course == Course::Hairpinned {
        return decide::of_session_or_rule(&mut engine.tables, head, found, Direction::Inbound, now);
    }
    // Our own errors came in by no interface: none has a say about them.
    if course == Course::Own {
        return decide::of_side(&mut engine.tables, head, found, now);
    }
    engine.count_probe(true, found.is_some());
    decide::decide(&mut engine.tables, head, found, now)
}

/// Puts a packet into its owner's ring.
fn hand_over(
    engine: &mut Engine,
    packet: Packet,
    head: &Head,
    course: Course,
    owner: WorkerIndex,
) -> Result<(), DropReason> {
    let ring = engine.handovers.get(usize::from(owner)).ok_or(DropReason::HandoverFull)?;
    let packet = HandedOver::new(packet, head, course);
    let counter = packet.counter(&engine.tables.policy, &engine.counters.handovers);
    ring.push(packet).map_err(|_| DropReason::HandoverFull)?;
    counter.add(1);
    engine.counters.fates.handed_over.add(1);
    Ok(())
}

/// A fragment waits for the first one of its packet, or goes on with those that waited for it.
fn gather(engine: &mut Engine, packet: Packet, head: &Head, now: u32) -> Result<(), DropReason> {
    let new_id = engine.tables.shard.draw() as u16;
    let interface = &engine.tables.policy.interfaces[usize::from(head.interface)];
    let direction = interface.direction().unwrap_or(Direction::Inbound);
    let mut tally = Tally::default();
    engine.reassembly.gather(packet, *head, direction, new_id, now, &mut tally);
    engine.counters.count(&mut tally);
    let mut ready = std::mem::take(&mut engine.reassembly.ready);
    for (packet, head) in ready.drain(..) {
        engine.again(packet, head, Course::Arrived, None);
    }
    engine.reassembly.ready = ready;
    Ok(())
}

/// Has a gateway read a packet. Returns it with what is next, or its fate where others go on in its place.
fn have_read(
    engine: &mut Engine,
    packet: Packet,
    head: &Head,
    course: Course,
    found: SessionRef,
    now: u32,
) -> Result<(Packet, Decided), Result<(), DropReason>> {
    let translate = Ok(Verdict::Translate(found));
    let read = reading(engine, course, now, |reading| reading.packet(packet, head, found));
    match read {
        Read::Unchanged(packet) => Ok((packet, translate)),
        Read::Changed(packet) => forward_changed(engine, packet, head, course, found, now),
        Read::Taken => Err(Ok(())),
        Read::Refused(reason) => Err(Err(reason)),
    }
}

/// A datagram whose payload is to be another. Whether it fits to where it goes is decided by its new length, before
/// anything is written: its sender is told about the packet that it sent.
fn forward_changed(
    engine: &mut Engine,
    mut packet: Packet,
    head: &Head,
    course: Course,
    found: SessionRef,
    now: u32,
) -> Result<(Packet, Decided), Result<(), DropReason>> {
    let total_len = head.header_len() + udp::LEN + engine.streams.text.len();
    let changed = Head { total_len: u16::try_from(total_len).unwrap_or(u16::MAX), ..*head };
    let growth = changed.total_len.saturating_sub(head.total_len);
    let decided = translate::established(&mut engine.tables, &changed, found, now);
    if let Err(refused) = decided {
        return Ok((packet, Err(refused.before_growth(growth))));
    }
    if inspect::write_payload(&mut packet, head, &engine.streams.text) {
        return Ok((packet, decided));
    }
    reading(engine, course, now, |reading| reading.cut_changed(&packet, head, found));
    Err(Ok(()))
}

/// Reads, and has go again what goes on in place of what was read.
fn reading<T>(engine: &mut Engine, course: Course, now: u32, act: impl FnOnce(&mut Reading) -> T) -> T {
    let mut tally = Tally::default();
    let Tables { policy, shard, counters, protocols, .. } = &mut engine.tables;
    let (streams, ports, gateways) = (&mut engine.streams, &mut engine.ports, protocols.gateways);
    let done =
        act(&mut Reading { streams, shard, policy, gateways, counters, ports, tally: &mut tally, now });
    engine.counters.count(&mut tally);
    let mut passed = std::mem::take(&mut engine.streams.passed);
    for Passed { packet, head, found, is_unread } in passed.drain(..) {
        let verdict = if is_unread { Verdict::Read(found) } else { Verdict::Translate(found) };
        // What goes out, an acknowledgement to the other end for one, comes from inside.
        let course = if found.direction == Direction::Outbound { Course::Arrived } else { course };
        engine.again(packet, head, course, Some(verdict));
    }
    engine.streams.passed = passed;
    done
}

/// An ICMP error of our own starts here, and has an address of the interface it leaves by (RFC 1812 section 4.3.2.4).
fn start_here(tables: &Tables, plan: &mut Plan) {
    let egress = tables.policy.interfaces.get(usize::from(plan.egress));
    if let Some(&(own, _)) = egress.and_then(|egress| egress.addresses.first()) {
        plan.start_here(own);
    }
}

/// A packet from inside to a global address: translated, it goes again as one from outside.
fn hairpin(
    engine: &mut Engine,
    mut packet: Packet,
    head: &Head,
    outward: &Plan,
    vrf: Vrf,
) -> Result<(), DropReason> {
    let interface = engine.tables.policy.outside_interface(vrf).ok_or(DropReason::NoRoute)?;
    let mut hairpinned = rewrite::hairpin(&mut packet, head, outward, (interface, vrf));
    engine.tables.protocols.read_number(packet.bytes(), &mut hairpinned);
    engine.again(packet, hairpinned, Course::Hairpinned, None);
    Ok(())
}

/// Changes the packet as planned and sends it on.
#[inline(always)]
fn carry_out(
    engine: &mut Engine,
    mut packet: Packet,
    head: &Head,
    plan: &Plan,
    now: u32,
) -> Result<(), DropReason> {
    rewrite::apply(&mut packet, plan);
    let sender = (head.interface, head.src);
    if plan.fragment_bytes_max != 0 {
        return own::send_fragments(engine, &packet, plan, sender, now);
    }
    engine.send(packet, plan.l3, plan.next_hop(), plan.neighbour, sender, now)
}

/// Hands an ARP packet to the control thread, which owns the neighbours.
fn consume_arp(
    engine: &Engine,
    packet: &Packet,
    interface: InterfaceIndex,
    l3: usize,
) -> Result<(), DropReason> {
    engine.count_arrivals(interface, 1, packet.len() as u64);
    engine.count_addressee(interface, packet.bytes());
    let bytes: &[u8; arp::LEN] =
        packet.bytes().get(l3..).and_then(|arp| arp.first_chunk()).ok_or(DropReason::ArpMalformed)?;
    if !bytes.starts_with(&arp::START) {
        return Err(DropReason::ArpMalformed);
    }
    engine.tell(Event::Arp(interface, *bytes))?;
    engine.counters.fates.consumed.add(1);
    Ok(())
}

/// What is due between bursts: packets that waited too long, streams, SYNs to be answered.
pub fn look_after(engine: &mut Engine, now: u32) {
    if !engine.streams.is_idle() {
        reading(engine, Course::Arrived, now, |reading| reading.look_after());
    }
    let mut tally = Tally::default();
    engine.reassembly.expire(now, &mut tally);
    engine.counters.count(&mut tally);
    own::answer_syns(engine, now);
    give_up(engine, None, now);
    engine.transmit();
}

/// Drops packets that waited for a next hop in vain, and tells their senders.
pub fn give_up(engine: &mut Engine, unresolved: Option<NextHop>, now: u32) {
    own::give_up(engine, unresolved, now);
    go_again(engine, now);
}
