//! Kinds of messages, as they are counted. Each message is of one kind by its method or its code; what it brought about
//! is a kind beside that.

use super::about::About;
use super::dialog::Registration;
use crate::sdp;
use crate::slice::Slice;
use crate::{Context, Refusal};

/// What is of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Requests of this method.
    Request(&'static str),
    /// Requests of any method.
    AnyRequest,
    /// 200 as the answer to a request of this method.
    Ok(&'static str),
    /// Responses from this code to that one.
    Response(u32, u32),
    /// What is said of a message otherwise.
    Mark(Mark),
}

/// What is said of a message beside its method and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It keeps a mapping alive, and says nothing.
    KeepAlive,
    /// It is none of SIP's.
    NotSip,
    /// It is one of SIP's, and its head cannot be read.
    Malformed,
    /// It has no `Call-ID`.
    NoCallId,
    /// A call began with it.
    CallBegun,
    /// A call ended with it, as one side hung up.
    CallEnded,
    /// A call ended with it that nobody took.
    CallRefused,
    /// It grants a registration, or lets it last longer.
    Registered,
    /// It takes a registration away.
    Unregistered,
    /// A line of its description has port 0: nothing is to come.
    PortZero,
}

/// All kinds by their names in metrics. Of methods and codes the first row counts that has them.
#[rustfmt::skip]
const KINDS: &[(&str, Of)] = &[
    ("invite", Of::Request("INVITE")),
    ("ack", Of::Request("ACK")),
    ("bye", Of::Request("BYE")),
    ("cancel", Of::Request("CANCEL")),
    ("register", Of::Request("REGISTER")),
    ("options", Of::Request("OPTIONS")),
    ("info", Of::Request("INFO")),
    ("prack", Of::Request("PRACK")),
    ("update", Of::Request("UPDATE")),
    ("subscribe", Of::Request("SUBSCRIBE")),
    ("notify", Of::Request("NOTIFY")),
    ("publish", Of::Request("PUBLISH")),
    ("message", Of::Request("MESSAGE")),
    ("refer", Of::Request("REFER")),
    ("other-request", Of::AnyRequest),
    ("200-to-invite", Of::Ok("INVITE")),
    ("200-to-bye", Of::Ok("BYE")),
    ("200-to-register", Of::Ok("REGISTER")),
    ("200-to-prack", Of::Ok("PRACK")),
    ("200-to-update", Of::Ok("UPDATE")),
    ("200-to-subscribe", Of::Ok("SUBSCRIBE")),
    ("200-to-refer", Of::Ok("REFER")),
    ("200-to-other", Of::Response(200, 200)),
    ("100", Of::Response(100, 100)),
    ("180", Of::Response(180, 180)),
    ("183", Of::Response(183, 183)),
    ("1xx", Of::Response(100, 199)),
    ("2xx", Of::Response(200, 299)),
    ("3xx", Of::Response(300, 399)),
    ("4xx", Of::Response(400, 499)),
    ("5xx", Of::Response(500, 599)),
    ("6xx", Of::Response(600, 699)),
    ("other-response", Of::Response(0, 999)),
    ("keep-alive", Of::Mark(Mark::KeepAlive)),
    ("not-sip", Of::Mark(Mark::NotSip)),
    ("malformed", Of::Mark(Mark::Malformed)),
    ("no-call-id", Of::Mark(Mark::NoCallId)),
    ("call-begun", Of::Mark(Mark::CallBegun)),
    ("call-ended", Of::Mark(Mark::CallEnded)),
    ("call-refused", Of::Mark(Mark::CallRefused)),
    ("registered", Of::Mark(Mark::Registered)),
    ("unregistered", Of::Mark(Mark::Unregistered)),
    ("media-port-zero", Of::Mark(Mark::PortZero)),
];

/// Their names.
pub const NAMES: &[&str] = &{
    let mut names = [""; KINDS.len()];
    let mut n = 0;
    while n < names.len() {
        names[n] = KINDS[n].0;
        n += 1;
    }
    names
};

impl Of {
    fn has(self, about: &About) -> bool {
        match (self, about.code) {
            (Of::Request(method), None) => about.requests(method),
            (Of::AnyRequest, None) => true,
            (Of::Ok(method), Some(200)) => about.method == method.as_bytes(),
            (Of::Response(first, last), Some(code)) => (first..=last).contains(&code),
            _ => false,
        }
    }
}

fn count(context: &mut dyn Context, is_it: impl Fn(Of) -> bool) {
    if let Some(kind) = KINDS.iter().position(|(_, of)| is_it(*of)) {
        context.count(kind);
    }
}

/// Counts what is said of a message.
pub fn mark(context: &mut dyn Context, mark: Mark) {
    count(context, |of| of == Of::Mark(mark));
}

/// Counts a message that could be read.
pub fn known(context: &mut dyn Context, about: &About) {
    count(context, |of| of.has(about));
    if about.call.is_none() {
        mark(context, Mark::NoCallId);
    }
}

/// Counts a message that could not be read.
pub fn unknown(context: &mut dyn Context, refusal: Refusal) {
    mark(context, if refusal == Refusal::Foreign { Mark::NotSip } else { Mark::Malformed });
}

/// Counts a request that a dialog began with: calls begin with `INVITE`.
pub fn begun(context: &mut dyn Context, about: &About) {
    if about.requests("INVITE") {
        mark(context, Mark::CallBegun);
    }
}

/// Counts a response that a call ended with.
pub fn ended(context: &mut dyn Context, about: &About) {
    mark(context, if about.method == b"BYE" { Mark::CallEnded } else { Mark::CallRefused });
}

/// Counts a registrar's answer to what a host asked for.
pub fn answered(context: &mut dyn Context, asked: &Registration, about: &About) {
    let is_granted = about.code.is_some_and(|code| (200..300).contains(&code));
    if !is_granted || asked.number != about.number || asked.contacts.is_empty() {
        return;
    }
    let is_removed = asked.contacts.iter().all(|contact| contact.is_removed);
    mark(context, if is_removed { Mark::Unregistered } else { Mark::Registered });
}

/// Counts a description that has a line with port 0.
pub fn described(context: &mut dyn Context, body: Slice) {
    let mut media = sdp::sections(body).filter_map(sdp::Section::medium);
    if media.any(|medium| medium.port.is("0")) {
        mark(context, Mark::PortZero);
    }
}
