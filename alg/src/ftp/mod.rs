//! FTP (RFC 959, 1639, 2428): the endpoints of data connections, in commands and in replies.
//!
//! A message is a line. The client's first line must be a command, the server's first a reply, or this is not FTP.
//! Whoever is inside announces an endpoint of its own with `PORT`, `EPRT` and `LPRT` (a client), or with 227, 228
//! and 229 (a server): a door is opened for the other host, and the global endpoint announced. An inside host
//! that announces the global address itself, as configured servers do, or none at all (0.0.0.0), gets its door too. A
//! server's reply counts only if it was asked for, on the first or last line of a reply; text between these is never read.
//! Servers answer `EPSV` with 227 too, and `PASV` with 229. What an outside host announces changes only with its address
//! (twice NAT). An inside server connects to an outside client's endpoint by the address that the client knows it by.
//!
//! Another inside host's endpoint is announced if policy lists that host as a third party, or, in a reply, by its static
//! line. Where a door is wanting for lack of room, the address is translated all the same, and nobody answers there.
//!
//! A client that was granted `EPSV ALL` opens nothing by other commands any more. After 234 the session is encrypted:
//! records of TLS pass unread, until lines come again (`CCC`, RFC 4217). Anything else ends the reading.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use crate::registry::{Attach, Port, Reads};
use crate::text::written;
use crate::{
    Context, Counterpart, Door, Framing, Handled, Message, OutwardDoor, Owner, Ports, Refusal, Row, Side,
    State, Transport,
};

mod line;

use line::{Form, Named};

/// The gateway.
pub const ROW: Row = Row {
    name: "ftp",
    label: "FTP",
    keyword: "ftp",
    attach: Attach::Ports(&[Port { transport: Transport::Tcp, port: 21 }]),
    is_ietf: true,
    reads: Reads::Always,
    state: || State::Ftp(FtpState::default()),
    framing,
    handle,
    about: "Translates PORT, EPRT, LPRT and the replies 227, 228 and 229, and opens the data connection's port.",
    standards: "RFC 959, 1639, 2428, 4217",
};

/// No line is longer: longer than any path, and than what servers read.
const LINE_LEN_MAX: usize = 8192;
/// What a line begins with is known from this many bytes, but for what stands behind a lot of Telnet.
const BEGINNING_LEN_MAX: usize = 32;
/// A data connection comes soon, or not at all.
const DOOR_LIFE_S: u32 = 120;
/// The only doors of a control session.
const OWNER: Owner = Owner::Session(0);

/// What is remembered of a control connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FtpState {
    /// The client's first line came.
    client_spoke: bool,
    /// The server's first line came.
    server_spoke: bool,
    /// The code of the reply whose lines are coming; 0 if none.
    code: u16,
    /// `PASV`, `LPSV` and `EPSV` without answer.
    passive: u8,
    /// `AUTH` was sent.
    authenticates: bool,
    /// What became of `EPSV ALL`.
    promise: Promise,
    /// How the server speaks, and how the client.
    secrecy: [Secrecy; 2],
}

/// How a side speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Secrecy {
    /// In lines.
    #[default]
    None,
    /// It was agreed to encrypt.
    Agreed,
    /// In records of TLS, until it speaks in lines again.
    Records,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Promise {
    #[default]
    None,
    Asked,
    Granted,
}

fn framing(state: &State, message: &Message) -> Framing {
    let State::Ftp(control) = state else { return Framing::Foreign };
    if let Some(framing) = control.record_framing(message) {
        return framing;
    }
    let bytes = &message.bytes[..message.bytes.len().min(LINE_LEN_MAX)];
    if !control.may_begin(bytes, message.by_client) {
        return Framing::Foreign;
    }
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Framing::Message(end + 1),
        None if bytes.len() == LINE_LEN_MAX => Framing::Message(LINE_LEN_MAX),
        None if bytes.len() >= BEGINNING_LEN_MAX => Framing::Line(LINE_LEN_MAX),
        None => Framing::Incomplete,
    }
}

fn handle(state: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let State::Ftp(control) = state else { return Err(Refusal::Foreign) };
    let secrecy = &mut control.secrecy[usize::from(message.by_client)];
    if *secrecy == Secrecy::Agreed {
        *secrecy = Secrecy::Records;
        let is_record = record_len(message.bytes).is_some();
        return Ok(if is_record { Handled::Continue } else { Handled::Detach });
    }
    let line = match message.bytes {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        _ => return Err(Refusal::TooLong),
    };
    if !control.may_begin(message.bytes, message.by_client) {
        return Err(Refusal::Foreign);
    }
    if message.by_client {
        control.client_spoke = true;
        return control.command(line, message.from, context);
    }
    control.server_spoke = true;
    control.reply(line, message.from, context)
}

impl FtpState {
    /// What the beginning of a side's bytes is, if it does not speak in lines. The first record is a message, as it tells that
    /// they are records indeed.
    fn record_framing(&self, message: &Message) -> Option<Framing> {
        let secrecy = self.secrecy[usize::from(message.by_client)];
        match (secrecy, record_len(message.bytes)) {
            (Secrecy::None, _) => None,
            (Secrecy::Agreed, Some(len)) => Some(Framing::Message(len)),
            (Secrecy::Records, Some(len)) => Some(Framing::Opaque(len)),
            _ if may_be_record(message.bytes) => Some(Framing::Incomplete),
            (Secrecy::Agreed, None) => Some(Framing::Message(message.bytes.len().min(RECORD_LEN_MAX))),
            (Secrecy::Records, None) => None,
        }
    }

    /// Whether a line may begin with these bytes.
    fn may_begin(&self, bytes: &[u8], by_client: bool) -> bool {
        let Some(telnet_len) = line::telnet_len(bytes) else { return true };
        let beginning = &bytes[telnet_len..];
        match by_client {
            _ if beginning.is_empty() => true,
            true => line::may_be_command(beginning, !self.client_spoke),
            false => self.code != 0 || line::may_be_reply(beginning, !self.server_spoke),
        }
    }

    fn command(&mut self, line: &[u8], from: Side, context: &mut dyn Context) -> Result<Handled, Refusal> {
        let telnet_len = line::telnet_len(line).unwrap_or(line.len());
        let (verb, argument) = line::command(&line[telnet_len..]);
        let mut upper = [0; 4];
        let Some(name) = upper.get_mut(..verb.len()) else { return Ok(Handled::Continue) };
        name.copy_from_slice(verb);
        name.make_ascii_uppercase();
        let has_promised = self.promise == Promise::Granted;
        let named = match &*name {
            b"EPSV" if argument.trim_ascii().eq_ignore_ascii_case(b"ALL") => {
                self.promise = if has_promised { Promise::Granted } else { Promise::Asked };
                None
            }
            // Whatever its client has promised, a server that answers these names itself.
            b"EPSV" | b"PASV" | b"LPSV" => count(&mut self.passive),
            b"AUTH" => {
                self.authenticates = true;
                None
            }
            _ if has_promised => None,
            b"PORT" => Some(line::numbers(line, argument, Form::Six)?),
            b"LPRT" => Some(line::numbers(line, argument, Form::Long)?),
            b"EPRT" => line::extended(line, argument)?,
            _ => None,
        };
        let Some(named) = named else { return Ok(Handled::Continue) };
        if from == Side::Outside {
            open_outward(named.endpoint, context)?;
        }
        announce(named, from, false, context)
    }

    fn reply(&mut self, line: &[u8], from: Side, context: &mut dyn Context) -> Result<Handled, Refusal> {
        let telnet_len = line::telnet_len(line).unwrap_or(line.len());
        let text = &line[telnet_len..];
        let Some((code, has_more)) = line::reply(text) else { return Ok(Handled::Continue) };
        let ends = self.code != 0;
        if ends && (code != self.code || has_more || text.get(3).is_some_and(|byte| *byte != b' ')) {
            return Ok(Handled::Continue);
        }
        self.code = if has_more { code } else { 0 };
        let was_asked = match code {
            227..=229 => self.passive > 0,
            234 => self.authenticates && !has_more,
            _ => false,
        };
        if !has_more {
            self.settle(code);
        }
        if !was_asked {
            return Ok(Handled::Continue);
        }
        let named = match code {
            227 => line::numbers_within(line, text, Form::Six)?,
            228 => line::numbers_within(line, text, Form::Long)?,
            234 => {
                self.secrecy = [Secrecy::Agreed; 2];
                None
            }
            _ => {
                extended_reply(line, from, context)?;
                None
            }
        };
        named.map_or(Ok(Handled::Continue), |named| announce(named, from, true, context))
    }

    /// Counts the answer with this code.
    fn settle(&mut self, code: u16) {
        match code {
            227..=229 => self.passive = self.passive.saturating_sub(1),
            200..=299 if self.promise == Promise::Asked => self.promise = Promise::Granted,
            400.. if self.promise == Promise::Asked => self.promise = Promise::None,
            _ => {}
        }
    }
}

/// No record of TLS is longer (RFC 8446 section 5.2).
const RECORD_LEN_MAX: usize = 5 + (1 << 14) + 2048;

/// The length of a record of TLS, all of whose head is there.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let &[0x14..=0x18, 3, _, high, low, ..] = bytes else { return None };
    Some(5 + usize::from(u16::from_be_bytes([high, low]))).filter(|&len| len <= RECORD_LEN_MAX)
}

/// Whether a record of TLS may begin like this, whose head is still to come.
fn may_be_record(bytes: &[u8]) -> bool {
    bytes.len() < 5 && matches!(bytes, [] | [0x14..=0x18] | [0x14..=0x18, 3, ..])
}

fn count(questions: &mut u8) -> Option<Named> {
    *questions = questions.saturating_add(1);
    None
}

fn extended_reply(line: &[u8], from: Side, context: &mut dyn Context) -> Result<(), Refusal> {
    let Some((span, port)) = line::extended_port(line)? else { return Ok(()) };
    if from == Side::Outside {
        return Ok(());
    }
    let own = *context.session().inside_local.ip();
    let global = open(SocketAddrV4::new(own, port), context)?;
    if global.port() != port {
        context.replace(span, written(format_args!("{}", global.port())).as_bytes())?;
    }
    Ok(())
}

/// Translates the endpoint that a host announces, in a reply or in a command.
fn announce(named: Named, from: Side, is_reply: bool, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let endpoint = named.endpoint;
    let mut handled = Handled::Continue;
    let translated = match from {
        Side::Inside => match open(endpoint, context) {
            Ok(global) => global,
            // Nobody answers there, but nobody is told an inside address for want of room.
            Err(refusal @ (Refusal::NoPort | Refusal::DoorLimit)) => {
                handled = Handled::Refused(refusal);
                SocketAddrV4::new(*context.session().inside_global.ip(), endpoint.port())
            }
            Err(Refusal::ForeignAddress) if is_reply => {
                by_static(endpoint, context).ok_or(Refusal::ForeignAddress)?
            }
            Err(refusal) => return Err(refusal),
        },
        Side::Outside => SocketAddrV4::new(seen_inside(*endpoint.ip(), context), endpoint.port()),
    };
    if translated != endpoint {
        context.replace(named.span, named.form.write(translated).as_bytes())?;
    }
    Ok(handled)
}

/// The global endpoint that a static line gives another inside host's, which no door is needed for.
fn by_static(endpoint: SocketAddrV4, context: &dyn Context) -> Option<SocketAddrV4> {
    if let Some(Counterpart { addr, is_static: true }) = context.policy_address(Side::Inside, *endpoint.ip())
    {
        return Some(SocketAddrV4::new(addr, endpoint.port()));
    }
    context.static_global(Transport::Tcp, endpoint)
}

/// Opens a door to an endpoint of the inside host, which may know its global address or say that it is the one that speaks,
/// or of a third party.
fn open(endpoint: SocketAddrV4, context: &mut dyn Context) -> Result<SocketAddrV4, Refusal> {
    if endpoint.port() < 1024 {
        return Err(Refusal::LowPort);
    }
    let session = *context.session();
    let is_own = endpoint.ip().is_unspecified() || endpoint.ip() == session.inside_global.ip();
    let host = if is_own { *session.inside_local.ip() } else { *endpoint.ip() };
    context.reserve(Door {
        transport: Transport::Tcp,
        inside: SocketAddrV4::new(host, endpoint.port()),
        peer: Some(*session.outside_global.ip()),
        ports: Ports::One,
        life_s: DOOR_LIFE_S,
        uses_max: 1,
        owner: OWNER,
        child: None,
    })
}

/// The inside server will connect to the outside client there. Another host's endpoint, or that of a service, is not for
/// us to help with.
fn open_outward(endpoint: SocketAddrV4, context: &mut dyn Context) -> Result<(), Refusal> {
    let session = *context.session();
    if endpoint.ip() != session.outside_global.ip() || endpoint.port() < 1024 {
        return Ok(());
    }
    context.open_outward(OutwardDoor {
        transport: Transport::Tcp,
        outside: SocketAddrV4::new(*session.outside_local.ip(), endpoint.port()),
        life_s: DOOR_LIFE_S,
        owner: OWNER,
        child: None,
    })
}

/// An outside host's address as the inside sees it.
fn seen_inside(addr: Ipv4Addr, context: &dyn Context) -> Ipv4Addr {
    let session = context.session();
    if addr == *session.outside_global.ip() {
        return *session.outside_local.ip();
    }
    context.policy_address(Side::Outside, addr).map_or(addr, |counterpart| counterpart.addr)
}
