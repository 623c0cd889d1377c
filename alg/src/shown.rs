//! Calls as people are told of them: what a [`Call`] is, and how far it has come.

use std::fmt;

use crate::registry::Call;

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// Somebody is invited to it.
    Call,
    /// Notifications are asked for, or reports of what another one does.
    Subscription,
    /// A request and its answer, which belong to nothing else.
    Request,
    /// A host is registered, or asks to be.
    Registration,
    /// An endpoint at which calls or registrations have their host reached.
    Endpoint,
    /// Whatever a gateway remembers beside these.
    Other,
}

impl CallKind {
    /// All of them.
    pub const ALL: [CallKind; 6] = [
        CallKind::Call,
        CallKind::Subscription,
        CallKind::Request,
        CallKind::Registration,
        CallKind::Endpoint,
        CallKind::Other,
    ];

    /// Its word.
    pub fn label(self) -> &'static str {
        match self {
            CallKind::Call => "call",
            CallKind::Subscription => "subscription",
            CallKind::Request => "request",
            CallKind::Registration => "registration",
            CallKind::Endpoint => "endpoint",
            CallKind::Other => "other",
        }
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// There is nothing to tell.
    None,
    /// An invitation was not answered for good yet.
    Ringing,
    /// An invitation was accepted.
    Established,
    /// The inside host has hung up, and was not answered yet.
    Ending,
    /// It is over, and remembered for what comes again of it.
    Ended,
    /// A registration that the registrar has not granted yet.
    Asked,
    /// A registration that the registrar has granted.
    Registered,
    /// So many calls rely on an endpoint.
    ReliedOn(u32),
}

impl fmt::Display for CallState {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            CallState::None | CallState::ReliedOn(0) => "-",
            CallState::Ringing => "ringing",
            CallState::Established => "established",
            CallState::Ending => "ending",
            CallState::Ended => "ended",
            CallState::Asked => "asked",
            CallState::Registered => "registered",
            CallState::ReliedOn(1) => "1 call",
            CallState::ReliedOn(count) => return write!(f, "{count} calls"),
        })
    }
}

impl Call {
    /// What it is, and how far it has come.
    pub fn describe(&self) -> (CallKind, CallState) {
        match self {
            Call::Dialog(dialog) => dialog.describe(),
            Call::Registration(registration) => (CallKind::Registration, registration.state()),
            Call::Reach { calls, .. } => (CallKind::Endpoint, CallState::ReliedOn(*calls)),
            Call::None | Call::Announced(_) => (CallKind::Other, CallState::None),
        }
    }

    /// Of a door's number among those of a call: the description and its media line, both from 1 on, that it is for. None of
    /// a door for anything else.
    pub fn media_line(kind: CallKind, number: u32) -> Option<(u32, u32)> {
        let is_of_media = kind == CallKind::Call && number != 0;
        is_of_media.then_some((number >> 8, (number & 0xff) + 1))
    }
}
