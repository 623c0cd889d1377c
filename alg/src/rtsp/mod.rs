//! RTSP 1.0 and 2.0 (RFC 2326, 7826): the ports of media, in the `Transport` headers of set-ups.
//!
//! A message is a request or a response with its body; frames of media between messages pass unread. The first line of
//! either side must be one of a request or a response, or this is not RTSP.
//!
//! Whoever asks is the client, whoever opened the connection. With the client inside, its `SETUP` opens doors for its ports
//! and announces their global ones; what the response repeats of them is turned back. The media may come from another host if
//! the response says so. With the server inside, its response to a `SETUP` does the same for its own ports. Addresses of the
//! two hosts, and those that policy maps, change in `Transport`, in descriptions, and in the URLs of headers; the URLs of
//! requests stay, since digests cover them. What real peers write is read as they mean it: ports that do not follow each
//! other, URLs without a scheme, descriptions without a length, answers without a number.
//!
//! Doors belong to the RTSP session that a response named, and close with its `TEARDOWN`, or with the set-up that
//! failed.

use std::hash::{DefaultHasher, Hasher};

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::message::{self, Grammar, Parsed, Start};
use crate::registry::{Attach, Port, Reads};
use crate::slice::Slice;
use crate::text::decimal;
use crate::{Context, Door, Framing, Handled, Message, Owner, Ports, Refusal, Row, Side, State, Transport};
use crate::{realm, sdp};

mod media;
mod transport;

use media::Parties;

/// The gateway.
pub const ROW: Row = Row {
    name: "rtsp",
    label: "RTSP",
    keyword: "rtsp {}",
    attach: Attach::Ports(&[
        Port { transport: Transport::Tcp, port: 554 },
        Port { transport: Transport::Tcp, port: 8554 },
        Port { transport: Transport::Udp, port: 554 },
        Port { transport: Transport::Udp, port: 8554 },
    ]),
    is_ietf: false,
    reads: Reads::Always,
    state: || State::Rtsp(RtspState::default()),
    framing,
    handle,
    about: "Translates the ports and addresses of media in SETUP, descriptions and URLs, and opens the ports.",
    standards: "RFC 2326, 7826, 4566",
    kinds: &[],
};

/// Its messages.
const GRAMMAR: Grammar = Grammar {
    version: b"RTSP/9.9",
    is_of_method: |byte| byte.is_ascii_uppercase() || byte == b'_',
    length: &["content-length"],
    has_rest: false,
};

/// Media may begin long after their set-up, and go on after a long pause. Every request lets doors wait for so long again:
/// who pauses keeps the session alive, and doors last no longer than it and its control connection.
const DOOR_LIFE_S: u32 = 3600;
/// Media and their reports may come from several ports, and from others after a pause.
const DOOR_USES_MAX: u16 = u16::MAX;
/// Set-ups without response, and sessions, that one control connection may have.
const COUNT_MAX: usize = 8;
/// Headers whose values have URLs that a host gives of itself.
const URL_HEADERS: &[&str] = &["content-base", "content-location", "location", "rtp-info"];

/// What is remembered of a control connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtspState {
    /// The server's first message came, the client's.
    spoke: [bool; 2],
    /// The owner of the next session's doors.
    owner_next: u32,
    /// Set-ups without response, the oldest first.
    setups: ArrayVec<Setup, COUNT_MAX>,
    /// Sessions: hashes of their names, and their owners, the oldest first.
    sessions: ArrayVec<(u32, u32), COUNT_MAX>,
    /// The server's last message, the client's, ended with a description of unknown length.
    describes: [bool; 2],
}

/// A set-up without response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Setup {
    /// Its number.
    number: u32,
    /// The owner of its doors.
    owner: u32,
    /// The side that asked.
    from: Side,
}

fn framing(state: &State, message: &Message) -> Framing {
    let State::Rtsp(control) = state else { return Framing::Foreign };
    // Frames of a session before may come ahead of the first answer.
    if control.spoke.contains(&true) {
        match *message.bytes {
            [b'\r' | b'\n', ..] => return Framing::Opaque(1),
            [b'$', _, high, low, ..] => {
                return Framing::Opaque(4 + usize::from(u16::from_be_bytes([high, low])));
            }
            [b'$', ..] => return Framing::Incomplete,
            _ => {}
        }
    }
    if control.describes[usize::from(message.by_client)]
        && let Some(framing) = sdp::framing(message.bytes)
    {
        return framing;
    }
    message::framing(&GRAMMAR, message.bytes)
}

fn handle(state: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let State::Rtsp(control) = state else { return Err(Refusal::Foreign) };
    let describes = &mut control.describes[usize::from(message.by_client)];
    if *describes && sdp::is_line(message.bytes) {
        sdp::translate(context, message.from, Slice::whole(message.bytes))?;
        return Ok(Handled::Continue);
    }
    let parsed = Parsed::read(&GRAMMAR, Slice::whole(message.bytes))?;
    *describes = is_sdp(&parsed) && parsed.named("content-length").next().is_none();
    control.spoke[usize::from(message.by_client)] = true;
    // Whoever asks is the client, whoever opened the connection: a camera may have called its server.
    let (owner, client) = match parsed.start {
        Start::Request(method) => (control.request(&parsed, method, message.from, context), message.from),
        Start::Response(code) => {
            (control.response(&parsed, code, message.from, context), message.from.other())
        }
    };
    let door = owner.map(|owner| door(owner, context));
    let mut handled = Handled::Continue;
    for value in parsed.named("transport") {
        if let Some(refusal) = media::translate(value, Parties { from: message.from, client, door }, context)?
        {
            handled = Handled::Refused(refusal);
        }
    }
    translate_addresses(&parsed, message.from, context)?;
    Ok(handled)
}

impl RtspState {
    /// Takes note of a client's request. Returns the owner of the doors that it needs.
    fn request(
        &mut self,
        parsed: &Parsed,
        method: &[u8],
        from: Side,
        context: &mut dyn Context,
    ) -> Option<u32> {
        let owners = self.sessions.iter().map(|&(_, owner)| owner);
        owners.for_each(|owner| context.renew(Owner::Session(owner), DOOR_LIFE_S));
        let session = parsed.named("session").next().map(hash);
        let known = self.sessions.iter().position(|(known, _)| Some(*known) == session);
        match method {
            b"SETUP" => {
                let owner = known.map_or(self.owner_next, |n| self.sessions[n].1);
                self.owner_next = self.owner_next.wrapping_add(u32::from(known.is_none()));
                push(&mut self.setups, Setup { number: number(parsed), owner, from });
                Some(owner)
            }
            b"TEARDOWN" => {
                // Of several where set-ups did not wait for each other (RFC 7826 section 18.33).
                self.sessions.retain(|(known, owner)| {
                    let is_other = Some(*known) != session;
                    if !is_other {
                        context.close(Owner::Session(*owner));
                    }
                    is_other
                });
                None
            }
            _ => None,
        }
    }

    /// Takes note of a server's response. Returns the owner of the doors that it needs.
    fn response(&mut self, parsed: &Parsed, code: u32, from: Side, context: &mut dyn Context) -> Option<u32> {
        let number = number(parsed);
        let is_asked = |setup: &Setup| setup.from != from;
        let numbered = self.setups.iter().position(|setup| is_asked(setup) && setup.number == number);
        // Some servers do not count; but who names a transport answers a set-up.
        let has_transport = parsed.named("transport").next().is_some();
        let is_uncounted = number == 0 && has_transport;
        let oldest = || self.setups.iter().position(|setup| is_uncounted && is_asked(setup));
        let setup = numbered.or_else(oldest)?;
        if code < 200 {
            return None;
        }
        let Setup { owner, .. } = self.setups.remove(setup);
        let is_known = self.sessions.iter().any(|(_, known)| *known == owner);
        match parsed.named("session").next() {
            _ if code >= 300 => {
                if !is_known {
                    context.close(Owner::Session(owner));
                }
                return None;
            }
            Some(name) if !is_known => push(&mut self.sessions, (hash(name), owner)),
            _ => {}
        }
        Some(owner)
    }
}

/// Adds an item, for which the oldest makes room.
fn push<T>(items: &mut ArrayVec<T, COUNT_MAX>, item: T) {
    if items.is_full() {
        items.remove(0);
    }
    items.push(item);
}

/// The number of a request, which its response repeats; 0 if it has none.
fn number(parsed: &Parsed) -> u32 {
    let value = parsed.named("cseq").next();
    value.and_then(|value| decimal(u32::MAX)(value.bytes).ok()).map_or(0, |(_, number)| number)
}

/// Whether the body is a description that can be read.
fn is_sdp(parsed: &Parsed) -> bool {
    parsed.named("content-type").any(|value| value.cut(b';').0.trim().is("application/sdp"))
        && parsed.named("content-encoding").next().is_none()
}

/// A hash of a session's name, which parameters may follow.
fn hash(value: Slice) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value.cut(b';').0.trim().bytes);
    hasher.finish() as u32
}

/// What a door of this session is like, but for its port.
fn door(owner: u32, context: &dyn Context) -> Door {
    let session = context.session();
    Door {
        transport: Transport::Udp,
        inside: session.inside_local,
        peer: Some(*session.outside_global.ip()),
        ports: Ports::One,
        life_s: DOOR_LIFE_S,
        uses_max: DOOR_USES_MAX,
        owner: Owner::Session(owner),
        child: None,
    }
}

/// Translates addresses in URLs and in a description, and the length of that.
fn translate_addresses(parsed: &Parsed, from: Side, context: &mut dyn Context) -> Result<(), Refusal> {
    for header in parsed.headers() {
        if URL_HEADERS.iter().any(|name| header.name.is(name)) {
            realm::translate_urls(context, from, header.value)?;
        }
    }
    if !is_sdp(parsed) {
        return Ok(());
    }
    let growth = sdp::translate(context, from, parsed.body)?;
    if growth != 0 {
        let len = parsed.body.bytes.len().saturating_add_signed(growth);
        for value in parsed.named("content-length") {
            realm::replace(context, value, format_args!("{len}"))?;
        }
    }
    Ok(())
}
