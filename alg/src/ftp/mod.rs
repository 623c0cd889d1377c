//! FTP (RFC 959, 1639, 2428): the endpoints of data connections, in commands and in replies.
//!
//! A message is a line. The client's first line must be a command, the server's first a reply, or this is not FTP.
//! An inside client announces an endpoint with `PORT`, `EPRT` or `LPRT`; an inside server does so with 227, 228 or 229. A
//! door is opened for the other host, and the global endpoint is announced instead. An inside host may also announce the
//! global address, as some servers are configured to, or the address 0.0.0.0: it gets a door too. A server's announcement
//! counts only if the client asked for it, and only on the first or last line of the reply. Servers may answer `EPSV` with
//! 227, and `PASV` with 229. The endpoint of an outside host changes only if its address is translated (twice NAT). An
//! inside server connects to an outside client from the global address that the client has connected to.
//!
//! The endpoint of another inside host is announced if the policy lists that host as a third party. In a reply, a static
//! rule for that host is enough. If there is no room for a door, the address is translated nevertheless, but nobody can
//! connect to it.
//!
//! After `EPSV ALL` was granted, the client's other commands open no doors. After the reply 234 the session is encrypted:
//! TLS records pass unread, until lines come again (`CCC`, RFC 4217). After anything else the gateway stops reading.

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
    kinds: &[],
};

/// The longest line that is read. No path is longer than this, and servers read shorter lines.
const LINE_LEN_MAX: usize = 8192;
/// This many bytes tell what a line begins with, unless many Telnet commands stand before it.
const BEGINNING_LEN_MAX: usize = 32;
/// How long a door stays open. A data connection comes soon, or not at all.
const DOOR_LIFE_S: u32 = 120;
/// The owner of a control session's doors: there is only one.
const OWNER: Owner = Owner::Session(0);

/// What is remembered of a control connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FtpState {
    /// The client's first line came.
    client_spoke: bool,
    /// The server's first line came.
    server_spoke: bool,
    /// The code of a reply of several lines that has not ended yet; 0 if there is none.
    code: u16,
    /// How many `PASV`, `LPSV` and `EPSV` have no answer yet.
    passive: u8,
    /// `AUTH` was sent.
    authenticates: bool,
    /// Whether the client sent `EPSV ALL`, and the server granted it.
    promise: Promise,
    /// Whether the server's bytes are encrypted, and whether the client's are.
    secrecy: [Secrecy; 2],
}

/// Whether a side's bytes are lines or TLS records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Secrecy {
    /// Lines.
    #[default]
    None,
    /// Lines so far; the next bytes should be TLS records, as was agreed.
    Agreed,
    /// TLS records, until lines come again.
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
    /// The framing of a side's next bytes, if they are not lines. The first TLS record is read as a message, to see that
    /// TLS has begun indeed.
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
            // `EPSV ALL` does not forbid these: the server that answers announces its own endpoint.
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

/// The length of the longest TLS record (RFC 8446 section 5.2).
const RECORD_LEN_MAX: usize = 5 + (1 << 14) + 2048;

/// The length of the TLS record at the start of `bytes`; none if its header is not complete, or is no TLS header.
fn record_len(bytes: &[u8]) -> Option<usize> {
    let &[0x14..=0x18, 3, _, high, low, ..] = bytes else { return None };
    Some(5 + usize::from(u16::from_be_bytes([high, low]))).filter(|&len| len <= RECORD_LEN_MAX)
}

/// Whether `bytes` may be the start of a TLS record's header.
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
            // The address is translated even without a door, so that no inside address leaks. Nobody can connect to it.
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

/// The global endpoint of another inside host's endpoint, if a static rule gives one. It needs no door.
fn by_static(endpoint: SocketAddrV4, context: &dyn Context) -> Option<SocketAddrV4> {
    if let Some(Counterpart { addr, is_static: true }) = context.policy_address(Side::Inside, *endpoint.ip())
    {
        return Some(SocketAddrV4::new(addr, endpoint.port()));
    }
    context.static_global(Transport::Tcp, endpoint)
}

/// Opens a door to an endpoint of the inside host or of a third party. The inside host may write its global address, or
/// 0.0.0.0, in place of its local one.
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

/// Opens the way for an inside server's data connection to the outside client. It does nothing for an endpoint of another
/// host, or for a port below 1024.
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
