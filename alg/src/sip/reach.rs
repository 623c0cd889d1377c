//! Doors for signalling: where an inside host is reached by those whom it told.
//!
//! There is one for each endpoint and peer, however many calls rely on it: with thousands of calls over one trunk, a packet from
//! outside finds one door.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddrV4;

use super::forms::Forms;
use crate::registry::Call;
use crate::{Context, Door, Owner, Ports, Refusal, Transport};

/// A registration that was not answered yet (RFC 3261 section 17.1.2.2: 64*T1).
pub const PENDING_LIFE_S: u32 = 32;
/// An established call without a word. Longer ones are kept by their session timers (RFC 4028).
pub const CALL_LIFE_S: u32 = 4 * 3600;
/// A call that is ringing (RFC 3261 section 16.6, timer C).
pub const RINGING_LIFE_S: u32 = 180;

/// The first port that doors open to. Where the inside host sends from it may be reached, whatever port that is.
pub const LOW_PORTS_END: u16 = 1024;

/// What an inside endpoint is announced for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Requests for who is registered.
    Registration,
    /// Requests of calls and other dialogs.
    Dialogs,
    /// Answers to requests from another port.
    Answers,
}

/// By what the doors for a purpose at an endpoint are found, for the control session's peer.
pub fn key(context: &dyn Context, purpose: Purpose, transport: Transport, local: SocketAddrV4) -> u64 {
    let mut hasher = DefaultHasher::new();
    (purpose, transport, local, context.session().outside_global.ip()).hash(&mut hasher);
    hasher.finish()
}

/// How the inside host writes an endpoint that it is reached at, if that is remembered.
pub fn forms(context: &mut dyn Context, transport: Transport, local: SocketAddrV4) -> Option<Forms> {
    [Purpose::Registration, Purpose::Dialogs].into_iter().find_map(|purpose| {
        let key = key(context, purpose, transport, local);
        match context.known_call(key) {
            Some(Call::Reach { forms, .. }) => Some(*forms),
            _ => None,
        }
    })
}

/// Opens the door of an endpoint for the control session's peer; `forms` is how it is written. Returns the global endpoint; none
/// where there is none and no door is needed: what sends over TCP from there does not listen.
pub fn open(
    context: &mut dyn Context,
    purpose: Purpose,
    transport: Transport,
    local: SocketAddrV4,
    forms: Forms,
) -> Result<Option<SocketAddrV4>, Refusal> {
    let session = *context.session();
    let is_connection = transport == Transport::Tcp && local == session.inside_local;
    let is_signalling = transport == session.transport && local == session.inside_local;
    // Answers over UDP come back where the request came from, and a static line lets everybody in.
    let is_open = is_connection
        || (is_signalling && purpose == Purpose::Answers)
        || context.static_global(transport, local).is_some();
    if is_open && forms.is_empty() {
        return Ok(context.global(transport, local));
    }
    if local.port() < LOW_PORTS_END && !is_signalling && !is_open {
        return Err(Refusal::LowPort);
    }
    let key = key(context, purpose, transport, local);
    let life_s = match purpose {
        Purpose::Registration => PENDING_LIFE_S,
        Purpose::Dialogs => CALL_LIFE_S,
        Purpose::Answers => RINGING_LIFE_S,
    };
    if purpose != Purpose::Answers {
        let is_known = context.known_call(key).is_some();
        // A registration lasts as long as it was granted, whether or not it is renewed.
        let lasts =
            is_known && purpose == Purpose::Registration && context.global(transport, local).is_some();
        if !lasts {
            context.call(key, life_s)?;
        }
        if let Some(record) = context.known_call(key) {
            let calls = if let Call::Reach { calls, .. } = record { *calls } else { 0 };
            *record = Call::Reach { calls, forms };
        }
        if lasts || is_open {
            return Ok(context.global(transport, local));
        }
    }
    let door = Door {
        transport,
        inside: local,
        peer: Some(*session.outside_global.ip()),
        ports: Ports::One,
        life_s,
        uses_max: u16::MAX,
        owner: Owner::Call(key),
        child: Some("sip"),
    };
    context.reserve(door).map(Some)
}

/// A dialog relies on an endpoint from now on.
pub fn join(context: &mut dyn Context, key: u64) {
    if let Some(Call::Reach { calls, .. }) = context.known_call(key) {
        *calls += 1;
    }
}

/// A dialog that relied on an endpoint is over: with the last one its door closes.
pub fn leave(context: &mut dyn Context, key: u64) {
    if let Some(Call::Reach { calls, .. }) = context.known_call(key) {
        *calls = calls.saturating_sub(1);
        if *calls == 0 {
            context.close(Owner::Call(key));
        }
    }
}
