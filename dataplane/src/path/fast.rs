//! The fast path: whole UDP and TCP packets of sessions that need nothing but new addresses, ports and a lower TTL.
//! Most packets are of this kind.
//!
//! It makes no plan, and it never judges: whatever is unusual about a
//! packet, its session or its way out leaves the packet to the full path, which knows all cases. So it may take
//! less than it could, but must do to what it takes exactly what `parse`, `translate` and `rewrite` would.

use mem::Packet;

use crate::drops::DropReason;
use crate::flow::{Direction, UDP, WorkerIndex};
use crate::path::engine::Engine;
use crate::path::read::Plain;
use crate::path::rewrite;
use crate::path::route;
use crate::path::tables::Tables;
use crate::route::neighbour::Neighbour;
use crate::state::session::{Flags, Session};

/// Sends a packet on, or gives it back where it is none for the fast path. Its frame loses its padding in any case.
#[inline(always)]
pub fn forward(
    engine: &mut Engine,
    mut packet: Packet,
    plain: &Plain,
    now: u32,
) -> Result<Result<(), DropReason>, Packet> {
    if engine.count > 1 && owner(engine, plain) != engine.index {
        return Err(packet);
    }
    let Some((session, neighbour)) = way(&mut engine.tables, plain, now) else {
        return Err(packet);
    };
    if packet.len() != plain.frame_len() && !packet.resize(plain.frame_len()) {
        return Err(packet);
    }
    rewrite::translate_plain(&mut packet, plain.l3, session, plain.key.direction);
    Ok(engine.egress.send_framed(&mut engine.ports, packet, plain.l3, neighbour))
}

/// The worker that owns a packet.
fn owner(engine: &Engine, plain: &Plain) -> WorkerIndex {
    engine.owners().of_key(&plain.key)
}

/// The session of a packet, and where it goes, if it is one for the fast path; the session is refreshed then.
#[inline(always)]
fn way<'a>(tables: &'a mut Tables, plain: &Plain, now: u32) -> Option<(&'a Session, &'a Neighbour)> {
    let Tables { policy, generation, neighbours, recent_routes, shard, .. } = tables;
    if !plain.is_ordinary {
        return None;
    }
    let found = plain.candidate?;
    let direction = plain.key.direction;
    let session = shard.session_mut(found.index)?;
    if session.flags.has(Flags::FULL_PATH) || session.key(direction) != plain.key {
        return None;
    }
    // What the outside sends to a host that has not answered yet is mostly media, and proves nothing.
    if !session.progress.is_settled() && (plain.key.protocol, direction) != (UDP, Direction::Inbound) {
        return None;
    }
    let dst = plain.peer.addr;
    let noted = route::noted_way(policy, *generation, neighbours, recent_routes, session, direction, dst);
    let neighbour = noted.1?;
    let egress = policy.interfaces.get(usize::from(neighbour.next_hop.interface))?;
    if !egress.is_up || plain.total_len > egress.mtu || egress.acl_out.is_some() {
        return None;
    }
    session.used_ms = now;
    if plain.key.protocol != UDP {
        session.note_numbers(direction, (plain.numbers >> 32) as u32, plain.numbers as u32);
    }
    Some((session, neighbour))
}
