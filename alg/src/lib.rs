//! Application-layer gateways: what NAT must know about protocols that carry addresses in their messages.
//!
//! This page is the whole contract. A gateway is one file, one [`Row`] of [`registry::ROWS`] with what it remembers
//! beside it, and one folder of cases. It sees the messages of one control session, whole and in order, and acts on the
//! world through its [`Context`] alone. It knows no packets, no clock and no sockets.
//!
//! A stream of TCP is cut into messages by [`Row::framing`]; a datagram is a message. [`Row::handle`] reads a
//! message to positions, replaces the spans that must change, and reserves doors for the endpoints the message
//! announces. What it asked for takes effect only if it returns `Ok`: after an `Err` the message passes as it
//! came. Refusals that show that this is not the protocol, or that somebody plays with it, detach the gateway for
//! good ([`Refusal::detaches`]): the session is still translated, its payload is never read again.
//!
//! A gateway remembers a control session in its [`State`], and what outlives that in a [`Call`]. A datagram may be read with
//! the state of a new session at any time: there is room for so many. A gateway must be safe then, if less helpful.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddrV4};

pub mod registry;

mod dns;
mod ftp;
mod message;
mod rcmd;
mod realm;
mod refusal;
mod rtsp;
mod sdp;
mod shown;
mod sip;
mod slice;
mod text;
mod tftp;

pub use refusal::Refusal;
pub use registry::{Call, Row, State};
pub use shown::{CallKind, CallState};

/// Bytes of a message, from `start` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte's position.
    pub start: usize,
    /// The position behind the last byte.
    pub end: usize,
}

/// A side of the NAT, as in `ip nat inside` and `ip nat outside`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Side {
    /// The subscribers' side.
    Inside,
    /// The other one.
    Outside,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Inside => Side::Outside,
            Side::Outside => Side::Inside,
        }
    }
}

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A byte stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One message of a control session.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// The whole of it, and nothing else.
    pub bytes: &'m [u8],
    /// Who sent it.
    pub from: Side,
    /// It was sent by who opened the control session: a request, in most protocols.
    pub by_client: bool,
}

/// The control session that messages belong to.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// What carries it.
    pub transport: Transport,
    /// The inside host's endpoint, as the inside sees it.
    pub inside_local: SocketAddrV4,
    /// The same, as the outside sees it.
    pub inside_global: SocketAddrV4,
    /// The outside host's endpoint, as the inside sees it.
    pub outside_local: SocketAddrV4,
    /// The same, as the outside sees it.
    pub outside_global: SocketAddrV4,
    /// What the door belonged to that the session came through, as whoever opened it said. A call is an owner of this
    /// session's doors too; the number of another control session says something to rows that count alike.
    pub through: Option<Owner>,
}

/// What the beginning of a stream's unread bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A message of this many bytes, one at least, some of which may still be to come.
    Message(usize),
    /// Too little to tell; one more byte may do. Only where that little is a bounded number of bytes, as each byte has
    /// all before it read again.
    Incomplete,
    /// A message that is not whole before another line feed comes, or before there are this many bytes.
    Line(usize),
    /// This many bytes, some of which may still be to come, are none of the gateway's business.
    Opaque(usize),
    /// Not this protocol.
    Foreign,
}

/// What follows from a message that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The next message is read too.
    Continue,
    /// What follows cannot be read (it is encrypted, say): the gateway detaches, and nobody is to blame.
    Detach,
    /// What was asked for takes effect, as addresses must not stay as they are; but what the message is about was refused
    /// for this, which is counted.
    Refused(Refusal),
}

/// Which global ports a door gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// One, the announced one where it is free.
    One,
    /// An even one and the odd one behind it, for the inside host's port and the next one, unless one of those has a global
    /// port already. That of the first is answered; [`Context::global`] tells that of the second.
    Pair,
    /// One from 512 to 1023, as rcmd's servers demand.
    Reserved,
}

/// What a door belongs to; it can be closed by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The control session: its doors close when it ends. The number tells doors of one session apart.
    Session(u32),
    /// A call or registration, by a hash of its identity, which may outlive its control session.
    Call(u64),
    /// A part of a call, one media line of it say, by a number of the call's from 1 on. What is done to the call's doors is
    /// done to those of its parts.
    Part(u64, u32),
}

/// An endpoint that a message announces: somebody will send there, or from there, before long.
///
/// From its announcement to the end of its call an inside endpoint has one global endpoint: the one that it had already, by
/// a static line, an earlier door or a session, where it had one. A door that its owner asks for again takes the later peer,
/// life and uses; other owners have doors of their own to the same endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// What will go through it.
    pub transport: Transport,
    /// The inside endpoint, as the inside sees it. Its host is the control session's own, unless policy allows
    /// third parties.
    pub inside: SocketAddrV4,
    /// The only outside host (as the outside sees it) that may use the door; anyone if none.
    pub peer: Option<Ipv4Addr>,
    /// Which global ports are wanted.
    pub ports: Ports,
    /// How long the door waits for its sessions, in seconds.
    pub life_s: u32,
    /// How many sessions through it (through each port of a pair) may be confirmed by both sides, until its life ends: a
    /// listening socket's are more than one. What the inside host itself begins from there costs nothing.
    pub uses_max: u16,
    /// What it belongs to.
    pub owner: Owner,
    /// The gateway of the session that goes through it, by its row's name.
    pub child: Option<&'static str>,
}

/// A session that the control session's inside host will open, to an endpoint that a message announces. It gets the
/// control session's global address, whatever else the rules would give it: its peer knows the host by that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutwardDoor {
    /// What carries it.
    pub transport: Transport,
    /// Where it goes, as the inside sees it.
    pub outside: SocketAddrV4,
    /// How long it is waited for, in seconds.
    pub life_s: u32,
    /// What it belongs to.
    pub owner: Owner,
    /// Its gateway, by its row's name.
    pub child: Option<&'static str>,
}

/// An address's counterpart in the other realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterpart {
    /// The address.
    pub addr: Ipv4Addr,
    /// It stays as long as the configuration: a static line says so.
    pub is_static: bool,
}

/// What a gateway may ask for and do. Edits and reservations take effect if [`Row::handle`] returns `Ok`.
pub trait Context {
    /// The control session.
    fn session(&self) -> &Session;

    /// Milliseconds on a clock that wraps around.
    fn now_ms(&self) -> u32;

    /// `ip nat service dns-reset-ttl` is configured.
    fn resets_ttl(&self) -> bool;

    /// The global endpoint that an inside endpoint has now, by a mapping, a static line or a door.
    fn global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4>;

    /// The global endpoint that a static line gives an inside endpoint.
    fn static_global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4>;

    /// The inside endpoint behind a global endpoint, if it has one now.
    fn local(&self, transport: Transport, global: SocketAddrV4) -> Option<SocketAddrV4>;

    /// What the configuration (and dynamic whole-address mappings) make of an address in a message on its way
    /// from `from` to the other side; none if it stays.
    fn policy_address(&self, from: Side, addr: Ipv4Addr) -> Option<Counterpart>;

    /// Whether [`Context::bind`] would have an address for an outside host, unless the pool is used up. It and `bind` answer
    /// for so many hosts of a message and no more.
    fn may_bind(&mut self, outside: Ipv4Addr) -> bool;

    /// Gives an outside host the address by which the inside will know it, where a rule for outside sources has it so; for a
    /// short time, unless a session follows. None where no rule concerns it, or the rule's pool is used up. A message that
    /// is refused gives nothing back.
    fn bind(&mut self, outside: Ipv4Addr) -> Option<Counterpart>;

    /// Whether policy lets the inside host speak for another inside host: doors may lead there.
    fn is_third_party(&self, addr: Ipv4Addr) -> bool;

    /// Reserves a door. Returns the global endpoint to announce.
    fn reserve(&mut self, door: Door) -> Result<SocketAddrV4, Refusal>;

    /// Opens a door outwards: a session from inside goes through it, once.
    fn open_outward(&mut self, expected: OutwardDoor) -> Result<(), Refusal>;

    /// What is remembered of a call of this inside host's, by a hash of its identity: nothing of a new one. It is kept for
    /// `life_s` seconds from now on, a day at most, whatever becomes of this control session. Like [`State`] it stays as
    /// the gateway leaves it, but that a call ends again that began in a message that is refused. In a session that came
    /// through a call's door, calls are that call's host's. The first call that a message asks for, here or by
    /// [`Context::known_call`], is the one it is about: its edits are told with that.
    fn call(&mut self, hash: u64, life_s: u32) -> Result<&mut Call, Refusal>;

    /// What is remembered of a call of this inside host's that began before.
    fn known_call(&mut self, hash: u64) -> Option<&mut Call>;

    /// Lets this outside host alone through the doors of an owner from now on; anyone if none.
    fn admit(&mut self, owner: Owner, peer: Option<Ipv4Addr>);

    /// Lets the doors of an owner wait for so many seconds from now on, and a call be remembered for as long.
    fn renew(&mut self, owner: Owner, life_s: u32);

    /// Closes the doors of an owner that nobody went through, and ends it if it is a call. Sessions stay.
    fn close(&mut self, owner: Owner);

    /// Counts the message as one of a kind, by the kind's place in [`Row::kinds`]. One that is refused later is counted too.
    fn count(&mut self, kind: usize);

    /// Replaces bytes of the message. Spans must not overlap; they may be given in any order.
    fn replace(&mut self, span: Span, bytes: &[u8]) -> Result<(), Refusal>;
}
