//! Gateways on the path: control sessions' packets are read by the gateway of their protocol before they are
//! translated, and what it made of them goes on as if it had arrived so.

mod assembly;
mod attach;
mod context;
#[cfg(test)]
mod contract;
mod datagram;
mod fragments;
mod quote;
mod reader;
mod segment;
mod streams;

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{TCP, UDP, Vrf};
use crate::path;
use crate::path::parse::{Head, Transport, parse_ipv4};
use crate::path::translate;
use crate::state::control::Channel;
use crate::state::session::Direction;
use crate::state::shard::SessionRef;
use crate::worker::Worker;

pub use attach::attach;
pub(crate) use quote::restore as restore_quote;
pub(crate) use segment::look_after;
pub use streams::Streams;

/// A packet of a control session.
pub fn pass(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    // A control session without a record is one of datagrams.
    let channel =
        worker.tables.shard.controls.of(found.index).map_or(&Channel::Datagrams, |control| &control.channel);
    match (channel, head.transport) {
        (_, Transport::IcmpError { .. }) => quote::pass(worker, packet, head, found, now),
        (Channel::Untouched, _) => go_on(worker, packet, head, found, now),
        _ if head.is_fragment => fragments::pass(worker, packet, head, found, now),
        (Channel::Datagrams, Transport::Udp) => datagram::pass(worker, packet, head, found, now),
        (Channel::Opening(_), Transport::Tcp) => segment::open(worker, packet, head, found, now),
        (&Channel::Open(stream), Transport::Tcp) => segment::pass(worker, packet, head, stream, found, now),
        (&Channel::Settled(shifts), Transport::Tcp) => {
            segment::shift(worker, packet, head, shifts, found, now)
        }
        _ => go_on(worker, packet, head, found, now),
    }
}

/// A packet that gateways are done with is translated and leaves.
fn go_on(
    worker: &mut Worker,
    packet: Packet,
    head: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let decision = translate::translated(&mut worker.tables, head, found, now);
    path::follow(worker, packet, head, decision, now)
}

/// A packet that a gateway made or changed: its headers are read again.
fn go_on_changed(
    worker: &mut Worker,
    packet: Packet,
    l3: u16,
    original: &Head,
    found: SessionRef,
    now: u32,
) -> Result<(), DropReason> {
    let vrf = vrf_of(worker, found);
    let mut head = parse_ipv4(packet.bytes(), usize::from(l3), original.interface, vrf)?;
    head.new_id = original.new_id;
    go_on(worker, packet, &head, found, now)
}

/// The VRF that packets of a session arrive in.
fn vrf_of(worker: &Worker, found: SessionRef) -> Vrf {
    worker.tables.shard.session(found.index).map_or(0, |session| match found.direction {
        Direction::Outbound => session.inside_vrf,
        Direction::Inbound => session.outside_vrf,
    })
}

/// Whether gateways can read a protocol at all.
fn has_messages(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP)
}
