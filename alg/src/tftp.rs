//! TFTP (RFC 1350, 2347): the server answers a request from a port of its own choice.
//!
//! No payload changes. With the client inside, a well-formed request opens a door for the client's own endpoint, to
//! the server's host with any port. The endpoint has a mapping already, the request's, and the door is on its
//! global endpoint; what goes through it becomes a session of that mapping.
//!
//! With the server inside, behind a static line for port 69, its answer comes from a new inside port that no line
//! names, and is an outbound session to the client's endpoint. The client takes it from the address that it asked
//! only, and so the session is expected: it leaves by that address.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while1};
use nom::combinator::all_consuming;
use nom::multi::many0_count;
use nom::{IResult, Parser};

use crate::registry::{Attach, Port, Reads};
use crate::{
    Context, Door, Framing, Handled, Message, OutwardDoor, Owner, Ports, Refusal, Row, Side, State, Transport,
};

/// The gateway.
pub const ROW: Row = Row {
    name: "tftp",
    label: "TFTP",
    keyword: "tftp",
    attach: Attach::Ports(&[Port { transport: Transport::Udp, port: 69 }]),
    is_ietf: false,
    reads: Reads::Always,
    state: State::default,
    framing: |_, _| Framing::Foreign,
    handle,
    about: "Lets the server's answer to a read or write request come from any of its ports; an inside server's leaves by the address \
            that was asked.",
    standards: "RFC 1350",
    kinds: &[],
};

/// A server answers within this time, or the client asks again.
const DOOR_LIFE_S: u32 = 30;
/// What doors belong to.
const OWNER: Owner = Owner::Session(0);

fn handle(_: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    match message.bytes {
        [0, 1 | 2, request @ ..] if is_request(request) => {}
        // A server that stays on its port, and a client that goes on there.
        [0, 3, _, _, ..] | [0, 4, _, _] | [0, 5, _, _, ..] | [0, 6, ..] => return Ok(Handled::Continue),
        [0, 1 | 2, ..] => return Err(Refusal::Malformed),
        _ => return Err(Refusal::Foreign),
    }
    let session = *context.session();
    if message.by_client && message.from == Side::Outside {
        context.open_outward(OutwardDoor {
            transport: Transport::Udp,
            outside: session.outside_local,
            life_s: DOOR_LIFE_S,
            owner: OWNER,
            child: None,
        })?;
    }
    if message.by_client && message.from == Side::Inside {
        context.reserve(Door {
            transport: Transport::Udp,
            inside: session.inside_local,
            peer: Some(*session.outside_global.ip()),
            ports: Ports::One,
            life_s: DOOR_LIFE_S,
            uses_max: 1,
            owner: OWNER,
            child: None,
        })?;
    }
    Ok(Handled::Continue)
}

/// A file's name, a mode, and options: names, and values that may be empty (RFC 2090 has one). Some loaders pad with zeros.
fn is_request(bytes: &[u8]) -> bool {
    let mode = alt((tag_no_case("octet"), tag_no_case("netascii"), tag_no_case("mail")));
    let parsed: IResult<_, _> =
        all_consuming((word, mode, end, many0_count((word, value)), many0_count(end))).parse(bytes);
    parsed.is_ok()
}

fn word(input: &[u8]) -> IResult<&[u8], ()> {
    (take_while1(|byte| byte != 0), end).map(|_| ()).parse(input)
}

fn value(input: &[u8]) -> IResult<&[u8], ()> {
    (take_while(|byte| byte != 0), end).map(|_| ()).parse(input)
}

fn end(input: &[u8]) -> IResult<&[u8], ()> {
    tag(&b"\0"[..]).map(|_| ()).parse(input)
}
