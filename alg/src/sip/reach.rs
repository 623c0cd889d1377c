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

/// No endpoint is remembered for longer.
const LIFE_MAX_S: u32 = 86_400;

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
    /// None: how it is written is remembered, whoever reads it.
    Form,
}

/// By what the doors for a purpose at an endpoint are found, for the control session's peer.
pub fn key(context: &dyn Context, purpose: Purpose, transport: Transport, local: SocketAddrV4) -> u64 {
    let mut hasher = DefaultHasher::new();
    let peer = Some(*context.session().outside_global.ip()).filter(|_| purpose != Purpose::Form);
    (purpose, transport, local, peer).hash(&mut hasher);
    hasher.finish()
}

/// How the inside host writes an endpoint that it is reached at, if that is remembered.
pub fn forms(context: &mut dyn Context, transport: Transport, local: SocketAddrV4) -> Option<Forms> {
    let key = key(context, Purpose::Form, transport, local);
    match context.known_call(key) {
        Some(Call::Reach { forms, .. }) => Some(*forms),
        _ => None,
    }
}

/// Has what is remembered of an endpoint last so long at least. Returns for how long it does.
fn remember(context: &mut dyn Context, key: u64, life_s: u32, forms: Forms) -> Result<u32, Refusal> {
    let now_ms = context.now_ms();
    let (calls, left_ms) = match context.known_call(key) {
        Some(Call::Reach { calls, ends_ms, .. }) => (*calls, ends_ms.wrapping_sub(now_ms)),
        _ => (0, 0),
    };
    // What ended long ago has as much left as no life has.
    let left_s = if left_ms > i32::MAX as u32 { 0 } else { left_ms / 1000 };
    let life_s = life_s.max(left_s);
    *context.call(key, life_s)? = Call::Reach { calls, forms, ends_ms: now_ms.wrapping_add(life_s * 1000) };
    Ok(life_s)
}

/// Opens the door of an endpoint for the control session's peer, for so many seconds at least; `forms` is how it is written.
/// Returns the global endpoint; none where there is none and no door is needed: what sends over TCP from there does not listen.
pub fn open(
    context: &mut dyn Context,
    purpose: Purpose,
    (transport, local): (Transport, SocketAddrV4),
    life_s: u32,
    forms: Forms,
) -> Result<Option<SocketAddrV4>, Refusal> {
    let session = *context.session();
    let is_signalling = transport == session.transport && local == session.inside_local;
    let is_connection = is_signalling && transport == Transport::Tcp;
    // Answers over UDP come back where the request came from, and a static line lets everybody in.
    let is_open = is_connection
        || (is_signalling && purpose == Purpose::Answers)
        || context.static_global(transport, local).is_some();
    let form = key(context, Purpose::Form, transport, local);
    if purpose != Purpose::Answers && (!forms.is_empty() || context.known_call(form).is_some()) {
        remember(context, form, life_s, forms)?;
    }
    if is_open {
        return Ok(context.global(transport, local));
    }
    if local.port() < LOW_PORTS_END && !is_signalling {
        return Err(Refusal::LowPort);
    }
    let key = key(context, purpose, transport, local);
    let life_s = match purpose {
        Purpose::Answers => life_s,
        _ => remember(context, key, life_s, forms)?,
    };
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

/// The registrar grants an endpoint so many seconds.
pub fn grant(context: &mut dyn Context, transport: Transport, local: SocketAddrV4, life_s: u32) {
    let now_ms = context.now_ms();
    for purpose in [Purpose::Registration, Purpose::Form] {
        let key = key(context, purpose, transport, local);
        if let Some(Call::Reach { ends_ms, .. }) = context.known_call(key) {
            *ends_ms = now_ms.wrapping_add(life_s.min(LIFE_MAX_S) * 1000);
            context.renew(Owner::Call(key), life_s);
        }
    }
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
