//! rcmd, the family of remote commands of 4.2BSD: rexec (512), rlogin (513) and rsh (514). The server connects back for
//! what a command writes to its standard error.
//!
//! The client of rsh and rexec begins with the port that it listens on for that, in decimal and ended by a NUL; nothing, or
//! 0, is none. rlogin begins with the NUL. There is one such port in a connection, and nothing else is ever read.
//!
//! With the client inside, a door is opened for the server, and the global port announced. Servers of rsh want both ends
//! to be reserved ports, and the client's its door keeps from 512 to 1023; rexec's are any. A port below those is of a
//! service, and is not opened. With the server inside, the connection back is expected: it leaves by the address that the
//! client asked.

use std::net::SocketAddrV4;

use crate::registry::{Attach, Port, Reads};
use crate::text::{self, written};
use crate::{
    Context, Door, Framing, Handled, Message, OutwardDoor, Owner, Ports, Refusal, Row, Side, Span, State,
    Transport,
};

/// The gateway.
pub const ROW: Row = Row {
    name: "rcmd",
    label: "RCMD",
    keyword: "rcmd",
    attach: Attach::Ports(&[tcp(514), tcp(512), tcp(RLOGIN)]),
    is_ietf: false,
    reads: Reads::Always,
    state: || State::Rcmd { has_begun: false },
    framing,
    handle,
    about: "Translates the port that clients of rsh and rexec name for the standard error, and opens it for the server; an inside \
            server connects back by the address that was asked.",
    standards: "RFC 1282",
    kinds: &[],
};

/// rlogin has no second connection.
const RLOGIN: u16 = 513;
/// No port has more digits.
const DIGITS_MAX: usize = 5;
/// Servers connect as soon as they read the port.
const DOOR_LIFE_S: u32 = 60;
/// What doors belong to.
const OWNER: Owner = Owner::Session(0);

const fn tcp(port: u16) -> Port {
    Port { transport: Transport::Tcp, port }
}

fn framing(state: &State, message: &Message) -> Framing {
    match state {
        State::Rcmd { has_begun: true } => return Framing::Message(1),
        State::Rcmd { has_begun: false } if message.by_client => {}
        // A server that speaks before it was told the port will not connect.
        _ => return Framing::Foreign,
    }
    let digit_count = message.bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match message.bytes.get(digit_count) {
        _ if digit_count > DIGITS_MAX => Framing::Foreign,
        Some(0) => Framing::Message(digit_count + 1),
        Some(_) => Framing::Foreign,
        None => Framing::Incomplete,
    }
}

fn handle(state: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let State::Rcmd { has_begun } = state else { return Err(Refusal::Foreign) };
    // Behind a port that was refused is no other one.
    if std::mem::replace(has_begun, true) {
        return Ok(Handled::Detach);
    }
    let port = match message.bytes {
        b"\0" => 0,
        _ if server_port(message.from, context) == RLOGIN => return Err(Refusal::Malformed),
        said => match text::port(said) {
            Ok((b"\0", port)) => port,
            _ => return Err(Refusal::Malformed),
        },
    };
    match (port, message.from) {
        (0, _) => {}
        (..512, _) => return Err(Refusal::LowPort),
        (_, Side::Inside) => announce(port, message, context)?,
        (_, Side::Outside) => open_outward(port, context)?,
    }
    Ok(Handled::Detach)
}

/// The port of the server that a client on this side knows it by.
fn server_port(client: Side, context: &dyn Context) -> u16 {
    let session = context.session();
    match client {
        Side::Inside => session.outside_local.port(),
        Side::Outside => session.inside_global.port(),
    }
}

/// Opens a door to the inside client's port, and writes the global one.
fn announce(port: u16, message: &Message, context: &mut dyn Context) -> Result<(), Refusal> {
    let session = *context.session();
    let global = context.reserve(Door {
        transport: Transport::Tcp,
        inside: SocketAddrV4::new(*session.inside_local.ip(), port),
        peer: Some(*session.outside_global.ip()),
        ports: if port < 1024 { Ports::Reserved } else { Ports::One },
        life_s: DOOR_LIFE_S,
        uses_max: 1,
        owner: OWNER,
        child: None,
    })?;
    if global.port() != port {
        let digits = Span { start: 0, end: message.bytes.len() - 1 };
        context.replace(digits, written(format_args!("{}", global.port())).as_bytes())?;
    }
    Ok(())
}

/// The inside server will connect to the outside client's port.
fn open_outward(port: u16, context: &mut dyn Context) -> Result<(), Refusal> {
    let session = *context.session();
    context.open_outward(OutwardDoor {
        transport: Transport::Tcp,
        outside: SocketAddrV4::new(*session.outside_local.ip(), port),
        life_s: DOOR_LIFE_S,
        owner: OWNER,
        child: None,
    })
}
