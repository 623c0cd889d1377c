//! Plain state: what the tables hold, and not where it lies in them, in one versioned encoding. A planned restart keeps
//! it, and a second box is told it, whatever gateways there are.
//!
//! What is only a cache, a link or a count is left out: next hops, list links, timers, bitmaps and limits are found
//! again from the rest. Nothing is named by its place in a table: a session by the packets it sends outside ([`Tuple`]), a
//! whole address's mapping by the inside address. Times are ages and remaining lives at the moment of the export, as
//! each process has a clock of its own. Numbers of rules, pools and VRFs are the policy's that was in force.
//!
//! The encoding is [`MAGIC`], [`VERSION`], a list of records in postcard's format, and a checksum of that list. A new kind
//! of record, gateway memory or channel goes behind the others of its enum; any other change of a type below needs a new
//! version. A test holds bytes of version 3 for that.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use alg::registry::ROWS;
use alg::{Side, State};
use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::flow::{Direction, Endpoint, Protocol, Tuple, Vrf};
use crate::policy::{GatewayIndex, RuleId};
use crate::state::progress::Progress;
use crate::state::session::Flags;
use crate::state::shard::Shard;
use crate::state::subscriber::SETS_MAX;
use crate::state::table::timer::left_ms;
use crate::state::{call, control_session, door, mapping, session, subscriber};
use crate::stream::{Opening, Shifts};

/// What an encoding begins with.
pub const MAGIC: [u8; 8] = *b"portico\n";
/// The version of the encoding, in the byte behind that.
pub const VERSION: u8 = 3;

/// CRC-32C, as iSCSI and SCTP have it (RFC 9260 appendix A).
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// One record of a shard's state. A record names only what stands before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plain {
    /// What an inside host has beside its sessions.
    Subscriber(Subscriber),
    /// The mapping of a whole address.
    Address(Address),
    /// A session.
    Session(Session),
    /// A session that a gateway reads, or read.
    ControlSession(ControlSession),
    /// A session that went through a control session's door, and keeps it alive.
    Child {
        /// The session.
        session: Tuple,
        /// The control session.
        control: Tuple,
    },
    /// A call or registration.
    Call(Call),
    /// An endpoint that a gateway announced.
    Door(Door),
}

/// An inside host that is paired with a global address (RFC 4787 REQ-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// Its address.
    pub host: Ipv4Addr,
    /// Its VRF.
    pub vrf: Vrf,
    /// The pool that the global address is from.
    pub pool: u16,
    /// The global address.
    pub global: Ipv4Addr,
    /// Its port sets on that, the oldest first.
    pub sets: ArrayVec<PortSet, SETS_MAX>,
}

/// Ports that a subscriber has for itself (`ip nat settings pap bpa`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSet {
    /// The first one.
    pub first: u16,
    /// The distance between them.
    pub step: u16,
    /// How many they are.
    pub size: u16,
}

/// The mapping of a whole address, of an inside or an outside host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Whose address it is.
    pub side: Side,
    /// The address in its own realm.
    pub own: Ipv4Addr,
    /// The address it has in the other realm.
    pub seen: Ipv4Addr,
    /// VRF of its own realm.
    pub own_vrf: Vrf,
    /// VRF of the other realm.
    pub seen_vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// How long ago it was made, in milliseconds.
    pub age_ms: u32,
    /// How long ago the last session was made, in milliseconds.
    pub idle_ms: u32,
}

/// One flow between an inside and an outside endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The inside endpoint as it knows itself.
    pub inside_local: Endpoint,
    /// The inside endpoint as the outside sees it.
    pub inside_global: Endpoint,
    /// The outside endpoint as the inside sees it.
    pub outside_local: Endpoint,
    /// The outside endpoint as it knows itself.
    pub outside_global: Endpoint,
    /// VRF of the inside.
    pub inside_vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
    /// What its global endpoint is of.
    pub holds: Holds,
    /// How far it has come, and so which idle time applies.
    pub progress: Progress,
    /// Of a TCP connection, the number that the receiver of what is sent outbound waits for, and inbound.
    pub expected: [u32; 2],
    /// It serves every peer: its outside endpoints stand for nobody (CGN mode).
    pub is_any_peer: bool,
    /// Its peer is an inside host too, addressed by a global address (RFC 4787 REQ-9).
    pub is_hairpin: bool,
    /// It is counted among the peers that may send to its mapping (address-dependent filtering).
    pub is_contact: bool,
    /// The outside began it.
    pub is_from_outside: bool,
    /// A gateway reads it; it has a record of its own only where that has something to remember.
    pub is_control: bool,
    /// How long ago it was made, in milliseconds.
    pub age_ms: u32,
    /// How long ago a packet last refreshed it, in milliseconds.
    pub idle_ms: u32,
}

/// What a global endpoint is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holds {
    /// A static rule, or none at all: it costs nothing.
    Nothing,
    /// The mapping of the inside host's whole address.
    Address,
    /// A port of the address.
    Port,
}

/// A control session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlSession {
    /// Its session.
    pub session: Tuple,
    /// Its gateway, by the name of its row.
    pub gateway: Cow<'static, str>,
    /// What the gateway remembers.
    pub state: State,
    /// Who opened it.
    pub client: Side,
    /// What carries its messages.
    pub channel: Channel,
    /// The gateway said that it cannot read on.
    pub is_over: bool,
}

/// What carries a control session's messages, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// Datagrams.
    Datagrams,
    /// A connection whose handshake is under way: the first SYN, once it was seen.
    Opening(Option<Opening>),
    /// A connection that is read, and how its numbers are shifted. None while the box owes one of its sides bytes
    /// that only it has: such a connection cannot go on without them.
    Open(Option<Shifts>),
    /// A connection that is not read any more, and how its numbers are shifted for good.
    Settled(Shifts),
    /// Not read any more, and as it came.
    Untouched,
    /// A connection that is over, and how its numbers are shifted for good.
    Ended(Shifts),
}

/// An endpoint that a gateway announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// The inside endpoint, as the inside sees it.
    pub inside: Endpoint,
    /// As it was announced to the outside.
    pub global: Endpoint,
    /// The only outside host that may use it.
    pub peer: Option<Ipv4Addr>,
    /// Of a door that is gone through outwards, where to, as the inside sees it.
    pub outward: Option<Endpoint>,
    /// VRF of the inside.
    pub inside_vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
    /// The rule that translates its sessions.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
    /// What its global endpoint is of.
    pub holds: Holds,
    /// The gateway that opened it, by the name of its row.
    pub gateway: Cow<'static, str>,
    /// The gateway of the session that goes through it.
    pub child: Option<Cow<'static, str>>,
    /// What it belongs to.
    pub owner: Owner,
    /// Tells doors of one control session apart, as the gateway numbers them.
    pub tag: u32,
    /// How often it can still be gone through.
    pub uses_left: u16,
    /// How long ago it was opened, in milliseconds.
    pub age_ms: u32,
    /// When it closes, in milliseconds from now.
    pub left_ms: u32,
}

/// What doors belong to and are closed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owner {
    /// A control session.
    ControlSession(Tuple),
    /// A call or registration.
    Call(CallName),
}

/// What a call is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallName {
    /// VRF of its inside host.
    pub vrf: Vrf,
    /// Its inside host.
    pub host: Ipv4Addr,
    /// A hash of its identity, by its gateway.
    pub hash: u64,
}

/// A call or registration, which outlives its control session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What it is known by.
    pub name: CallName,
    /// Its gateway, by the name of its row.
    pub gateway: Cow<'static, str>,
    /// What its gateway remembers of it.
    pub memory: alg::Call,
    /// When it is forgotten, in milliseconds from now.
    pub left_ms: u32,
}

/// Why bytes are no state that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlainError {
    /// They begin with something else than [`MAGIC`].
    #[error("this is no state of a NAT: it does not begin with its mark")]
    Foreign,
    /// They are of another program's version.
    #[error("the state is of version {0}, but only version {VERSION} can be read")]
    Version(u8),
    /// Records or their checksum are wrong, or missing.
    #[error("the state is damaged")]
    Damaged(#[source] postcard::Error),
    /// There are so many bytes behind the end.
    #[error("the state is damaged: {0} bytes follow its end")]
    Trailing(usize),
}

/// Writes records down.
///
/// # Errors
/// The format has no words for something: none of the types here has such values.
pub fn encode(records: &[Plain]) -> Result<Vec<u8>, PlainError> {
    let records = postcard::to_stdvec_crc32(records, CRC.digest()).map_err(PlainError::Damaged)?;
    Ok([&MAGIC[..], &[VERSION], &records].concat())
}

/// Reads what [`encode`] wrote, all of it or nothing.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Vec<Plain>, PlainError> {
    let (&version, body) =
        bytes.strip_prefix(&MAGIC).and_then(|bytes| bytes.split_first()).ok_or(PlainError::Foreign)?;
    if version != VERSION {
        return Err(PlainError::Version(version));
    }
    let (records, behind) =
        postcard::take_from_bytes_crc32(body, CRC.digest()).map_err(PlainError::Damaged)?;
    if behind.is_empty() { Ok(records) } else { Err(PlainError::Trailing(behind.len())) }
}

impl Shard {
    /// All that the tables hold, at time `now`. `shifts_of` tells those of a stream, by its number, whose connection
    /// can go on without what the box keeps of it. Walks every table: not for a worker that others wait for.
    pub fn plain<'a>(
        &'a self,
        now: u32,
        shifts_of: impl Fn(u32) -> Option<Shifts> + 'a,
    ) -> impl Iterator<Item = Plain> + 'a {
        let with = |flag| self.sessions.iter_from(0).filter(move |(_, session)| session.flags.has(flag));
        let subscribers = self.subscribers.iter().filter_map(|subscriber| self.plain_subscriber(subscriber));
        let addresses = self.mappings.iter_from(0).map(move |(_, mapping)| plain_address(mapping, now));
        let sessions = self.sessions.iter_from(0);
        let sessions =
            sessions.map(move |(index, session)| plain_session(session, self.created_ms(index), now));
        let controls = with(Flags::CONTROL).filter_map(move |(index, session)| {
            let control = self.control_sessions.of(index)?;
            let state = self.control_sessions.state_of(index)?;
            Some(plain_control(control, state.clone(), session, &shifts_of))
        });
        let children = with(Flags::CHILD).filter_map(|(index, session)| {
            let control = self.name_of(self.control_sessions.parent_of(index)?)?;
            Some(Plain::Child { session: name(session), control })
        });
        let doors = self.doors_between(0, u32::MAX).filter_map(move |(_, door)| self.plain_door(door, now));
        let calls = self.calls.iter().map(move |record| plain_call(record, now));
        subscribers.chain(addresses).chain(sessions).chain(controls).chain(children).chain(calls).chain(doors)
    }

    /// None of one that has nothing but what its sessions tell.
    fn plain_subscriber(&self, subscriber: &subscriber::Subscriber) -> Option<Plain> {
        let (pool, global) = subscriber.paired?;
        let sets = self.allocator.sets_of(subscriber);
        let sets = sets.map(|set| PortSet { first: set.first, step: set.step, size: set.size });
        Some(Plain::Subscriber(Subscriber {
            host: subscriber.addr,
            vrf: subscriber.vrf,
            pool,
            global,
            sets: sets.take(SETS_MAX).collect(),
        }))
    }

    /// None of one whose owner has just gone.
    fn plain_door(&self, door: &door::Door, now: u32) -> Option<Plain> {
        let owner = match door.owner() {
            door::OwnerKey::ControlSession(index) => Owner::ControlSession(self.name_of(index)?),
            door::OwnerKey::Call(key) => Owner::Call(call_name(key)),
        };
        Some(Plain::Door(Door {
            inside: door.inside,
            global: door.global,
            peer: door.peer,
            outward: door.outward,
            inside_vrf: door.vrfs.0,
            outside_vrf: door.vrfs.1,
            rule: door.rule,
            protocol: door.protocol,
            holds: match door.holds {
                door::Holds::Nothing => Holds::Nothing,
                door::Holds::Address(_) => Holds::Address,
                door::Holds::Port => Holds::Port,
            },
            gateway: row_name(door.gateway),
            child: door.child.map(row_name),
            owner,
            tag: door.tag,
            uses_left: door.uses_left,
            age_ms: now.wrapping_sub(door.created_ms),
            left_ms: left_ms(door.closes_ms, now),
        }))
    }

    fn name_of(&self, session: u32) -> Option<Tuple> {
        self.sessions.at(session).map(name)
    }
}

/// What a session is found by.
fn name(session: &session::Session) -> Tuple {
    let key = session.key(Direction::Outbound);
    Tuple { src: key.ends.src, dst: key.ends.dst, protocol: key.protocol, vrf: key.ends.vrf }
}

fn row_name(gateway: GatewayIndex) -> Cow<'static, str> {
    ROWS[usize::from(gateway)].name.into()
}

fn plain_address(mapping: &mapping::Mapping, now: u32) -> Plain {
    Plain::Address(Address {
        side: mapping.binding.side,
        own: mapping.binding.own.addr,
        seen: mapping.binding.seen.addr,
        own_vrf: mapping.binding.own_vrf,
        seen_vrf: mapping.binding.seen_vrf,
        rule: mapping.binding.rule,
        age_ms: now.wrapping_sub(mapping.created_ms),
        idle_ms: now.wrapping_sub(mapping.used_ms),
    })
}

fn plain_session(session: &session::Session, created_ms: u32, now: u32) -> Plain {
    let flags = session.flags;
    Plain::Session(Session {
        inside_local: session.inside_local(),
        inside_global: session.inside_global(),
        outside_local: session.outside_local(),
        outside_global: session.outside_global(),
        inside_vrf: session.inside_vrf(),
        outside_vrf: session.outside_vrf(),
        rule: session.rule,
        protocol: session.protocol,
        holds: if flags.has(Flags::PORT) {
            Holds::Port
        } else if flags.has(Flags::ADDRESS) {
            Holds::Address
        } else {
            Holds::Nothing
        },
        progress: session.progress,
        expected: session.expected,
        is_any_peer: flags.has(Flags::ANY_PEER),
        is_hairpin: flags.has(Flags::HAIRPIN),
        is_contact: flags.has(Flags::CONTACT),
        is_from_outside: flags.has(Flags::FROM_OUTSIDE),
        is_control: flags.has(Flags::CONTROL),
        age_ms: now.wrapping_sub(created_ms),
        idle_ms: now.wrapping_sub(session.used_ms),
    })
}

fn call_name(key: call::CallKey) -> CallName {
    CallName { vrf: key.host.0, host: key.host.1, hash: key.hash }
}

fn plain_call(record: &call::Record, now: u32) -> Plain {
    Plain::Call(Call {
        name: call_name(record.key),
        gateway: row_name(record.gateway),
        memory: record.memory.clone(),
        left_ms: left_ms(record.ends_ms, now),
    })
}

fn plain_control(
    control: &control_session::ControlSession,
    state: State,
    session: &session::Session,
    shifts_of: impl Fn(u32) -> Option<Shifts>,
) -> Plain {
    Plain::ControlSession(ControlSession {
        session: name(session),
        gateway: row_name(control.gateway),
        state,
        client: control.client,
        channel: match control.channel {
            control_session::Channel::Datagrams => Channel::Datagrams,
            control_session::Channel::Opening(first) => Channel::Opening(first),
            control_session::Channel::Answered(first, _) => Channel::Opening(Some(first)),
            control_session::Channel::Open(stream) => Channel::Open(shifts_of(stream)),
            control_session::Channel::Settled(shifts) => Channel::Settled(shifts),
            control_session::Channel::Untouched => Channel::Untouched,
            control_session::Channel::Ended(shifts) => Channel::Ended(shifts),
        },
        is_over: control.is_over,
    })
}
