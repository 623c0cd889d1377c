//! Which sessions become control sessions, or come through a door.

use alg::Side;

use crate::flow::{Direction, Endpoint, TCP, transport_of};
use crate::head::Head;
use crate::path::tables::Tables;
use crate::policy::GatewayIndex;
use crate::state::control_session::{Channel, ControlSession};
use crate::state::door::OwnerKey;
use crate::state::reserve::Through;
use crate::state::room::Initiator;
use crate::state::shard::SessionRef;
use crate::wire::tcp;

/// A session just began with this packet, from inside or from outside: it may have come through a door, and a gateway
/// may be there for it. Returns whether one is.
pub fn attach(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) -> bool {
    if transport_of(head.tuple.protocol).is_none() {
        return false;
    }
    let through = go_through(tables, head, found, now);
    let led_to = through.and_then(|through| through.child);
    let Some(gateway) = led_to.or_else(|| gateway_of(tables, head, found)) else { return false };
    let is_tcp = head.tuple.protocol == TCP;
    // Who speaks before the handshake is seen is not listened to.
    if is_tcp && head.tcp_flags & (tcp::SYN | tcp::ACK) != tcp::SYN {
        return false;
    }
    let is_attached = if is_tcp || through.is_some() {
        remember(tables, gateway, found, is_tcp, through.map(|through| through.owner))
    } else {
        // Which gateway reads its datagrams can be told without a record.
        tables.shard.attach_without_memory(found.index);
        true
    };
    let counters = &tables.counters.gateways[usize::from(gateway)];
    if is_attached { &counters.attached } else { &counters.unread }.add(1);
    is_attached
}

/// The session of a SYN is known and no control session: something else began it, a late segment of an old connection or a
/// stranger's. Its connection is read like any other if a gateway is there for it. Returns whether one is.
#[cold]
pub fn attach_known(tables: &mut Tables, head: &Head, found: SessionRef) -> bool {
    let Some(gateway) = gateway_of(tables, head, found) else { return false };
    let is_attached = remember(tables, gateway, found, true, None);
    let counters = &tables.counters.gateways[usize::from(gateway)];
    if is_attached { &counters.attached } else { &counters.unread }.add(1);
    is_attached
}

/// Makes a session a control session with a record, whose client is who sends now. False when there is no room for one.
fn remember(
    tables: &mut Tables,
    gateway: GatewayIndex,
    found: SessionRef,
    is_tcp: bool,
    through: Option<(OwnerKey, u32)>,
) -> bool {
    let channel = if is_tcp { Channel::Opening(None) } else { Channel::Datagrams };
    let client = match found.direction {
        Direction::Outbound => Side::Inside,
        Direction::Inbound => Side::Outside,
    };
    let Some(session) = tables.shard.session(found.index) else { return false };
    let holder = Initiator::of(session);
    let state = (tables.protocols.gateways[usize::from(gateway)].state)();
    let mut control = ControlSession::new(gateway, holder, client, channel);
    control.through = through;
    tables.shard.attach(found.index, control, state)
}

/// What a session came through, if it was a door. A gateway that is off is none.
fn go_through(tables: &mut Tables, head: &Head, found: SessionRef, now: u32) -> Option<Through> {
    if tables.shard.door_count() == 0 {
        return None;
    }
    // A session that serves every peer does not know who came.
    let (peer, outside) = match found.direction {
        Direction::Outbound => (head.dst, Some(head.tuple.dst)),
        Direction::Inbound => (head.src, None),
    };
    let through = tables.shard.go_through(&tables.policy, found.index, peer, outside, now)?;
    tables.counters.gateways[usize::from(through.gateway)].doors_used.add(1);
    tables.shard.adopt(found.index, through.control);
    let child = through.child.filter(|child| !tables.policy.gateways.off.contains(child));
    Some(Through { child, ..through })
}

/// The gateway that listens to a session's server.
fn gateway_of(tables: &Tables, head: &Head, found: SessionRef) -> Option<GatewayIndex> {
    let policy = &tables.policy;
    if policy.gateways.attachments.is_empty() {
        return None;
    }
    let session = tables.shard.session(found.index)?;
    let listens = |end: Endpoint| policy.gateway_of(session.rule, session.protocol, end.port, end.addr);
    match found.direction {
        Direction::Outbound => listens(head.tuple.dst),
        // By the port that the server knows, or by the one that is known of it outside.
        Direction::Inbound => listens(session.inside_local()).or_else(|| listens(head.tuple.dst)),
    }
}
