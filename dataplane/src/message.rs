//! What the control thread and a worker tell each other, between bursts.

use std::sync::Arc;

use alg::{CallKind, CallState};
use crossbeam::channel::Sender;

use crate::flow::{Endpoint, Protocol, Vrf, WorkerIndex};
use crate::inspect::Edit;
use crate::policy::{GatewayIndex, IdleClass, InterfaceIndex, Policy, RuleId};
use crate::route::fib::{Fib, NextHop};
use crate::route::neighbour::Neighbour;
use crate::state::call::CallKey;
use crate::state::ports::address_use::AddressUse;
use crate::state::ports::ownership::Ownership;
use crate::state::ports::port_set::PortSet;
use crate::state::shard::RuleUse;
use crate::state::supply::Supply;
use crate::state::wanted::Wanted;
use crate::wire::arp;

/// From the control thread to a worker.
pub enum WorkerMessage {
    /// A new policy, who owns which of its global ports, and what was made for it. The control side keeps what workers still
    /// hold, and frees it.
    Policy(Arc<Policy>, Arc<Ownership>, Box<Supply>),
    /// New forwarding tables, kept likewise.
    Fib(Arc<Fib>),
    /// Neighbour number so-and-so is this, or gone.
    Neighbour(u16, Option<Neighbour>),
    /// A next hop does not answer: packets that wait for it are dropped.
    Unresolved(NextHop),
    /// Sends a frame of the control thread's own through an interface's port.
    Transmit(InterfaceIndex, Vec<u8>),
    /// Asks for the sessions that an operator means.
    Sessions(Arc<Wanted>, List<SessionRow>),
    /// Asks how many they are.
    SessionCount(Arc<Wanted>, List<SessionCount>),
    /// Asks for doors.
    Doors(List<DoorRow>),
    /// Asks for calls.
    Calls(List<CallRow>),
    /// Asks for the last edits of gateways, the oldest first.
    Edits(List<EditRow>),
    /// Asks for subscribers.
    Subscribers(List<SubscriberRow>),
    /// Asks for global addresses in use.
    Addresses(List<AddressUse>),
    /// Asks how much rules and addresses are in use.
    Usage(Sender<Usage>),
    /// Asks who has a global endpoint now.
    Holders(Endpoint, Sender<Vec<Holder>>),
    /// Ends the sessions that an operator means, and what else there is of them.
    Clear(Clear),
}

impl WorkerMessage {
    /// Whether a worker leaves the messages behind this one for its next round.
    pub fn takes_long(&self) -> bool {
        matches!(
            self,
            WorkerMessage::Sessions(..)
                | WorkerMessage::SessionCount(..)
                | WorkerMessage::Doors(_)
                | WorkerMessage::Calls(_)
                | WorkerMessage::Edits(_)
                | WorkerMessage::Subscribers(_)
                | WorkerMessage::Addresses(_)
                | WorkerMessage::Usage(_)
        )
    }
}

/// From a worker to the control thread.
#[derive(Debug)]
pub enum Event {
    /// An ARP packet arrived: its 28 bytes from the hardware type on.
    Arp(InterfaceIndex, [u8; arp::LEN]),
    /// A packet waits for this next hop.
    Resolve(NextHop),
    /// So many sessions ended, as the policy computes modes or ports otherwise than the one before; none perhaps.
    Recomputed(u64),
}

/// What a worker is asked for of a table: a slice of it, so that neither its packets wait for millions of rows nor these fill
/// the memory.
pub struct List<R> {
    /// First position to look at.
    pub start: u32,
    /// The most rows to return.
    pub limit: usize,
    /// Where the answer goes.
    pub reply: Sender<Slice<R>>,
}

/// A slice of a table.
#[derive(Debug)]
pub struct Slice<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Where to go on; none at the table's end.
    pub next: Option<u32>,
}

/// What a table is listed as.
pub trait TableRow: Sized {
    /// Which rows are wanted.
    type Wanted: Clone;
    /// The message that asks for rows of it.
    const ASK: fn(Self::Wanted, List<Self>) -> WorkerMessage;
}

impl TableRow for SessionRow {
    type Wanted = Arc<Wanted>;
    const ASK: fn(Arc<Wanted>, List<SessionRow>) -> WorkerMessage = WorkerMessage::Sessions;
}

impl TableRow for SessionCount {
    type Wanted = Arc<Wanted>;
    const ASK: fn(Arc<Wanted>, List<SessionCount>) -> WorkerMessage = WorkerMessage::SessionCount;
}

impl TableRow for DoorRow {
    type Wanted = ();
    const ASK: fn((), List<DoorRow>) -> WorkerMessage = |(), list| WorkerMessage::Doors(list);
}

impl TableRow for CallRow {
    type Wanted = ();
    const ASK: fn((), List<CallRow>) -> WorkerMessage = |(), list| WorkerMessage::Calls(list);
}

impl TableRow for EditRow {
    type Wanted = ();
    const ASK: fn((), List<EditRow>) -> WorkerMessage = |(), list| WorkerMessage::Edits(list);
}

impl TableRow for SubscriberRow {
    type Wanted = ();
    const ASK: fn((), List<SubscriberRow>) -> WorkerMessage = |(), list| WorkerMessage::Subscribers(list);
}

impl TableRow for AddressUse {
    type Wanted = ();
    const ASK: fn((), List<AddressUse>) -> WorkerMessage = |(), list| WorkerMessage::Addresses(list);
}

/// A clear of translations, or as much of it as is done in a second: who asked goes on from where the answer says.
pub struct Clear {
    /// Which ones.
    pub wanted: Arc<Wanted>,
    /// The first position of the tables to look at.
    pub start: u32,
    /// Where the answer goes.
    pub reply: Sender<Cleared>,
}

/// What came of a clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// Sessions and whole addresses that were ended.
    pub count: u64,
    /// Where to go on; none when all tables were looked at.
    pub next: Option<u32>,
}

/// How many sessions and mappings of whole addresses a slice has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCount(pub u64);

/// A session as `show ip nat translations` needs it, or the mapping of a whole address: that one has `ANY_PROTOCOL`, and
/// the endpoints of its own host alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The IP protocol.
    pub protocol: Protocol,
    /// Inside local endpoint.
    pub inside_local: Endpoint,
    /// Inside global endpoint.
    pub inside_global: Endpoint,
    /// Outside local endpoint.
    pub outside_local: Endpoint,
    /// Outside global endpoint.
    pub outside_global: Endpoint,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// VRF of the outside.
    pub outside_vrf: Vrf,
    /// The rule that made it.
    pub rule: RuleId,
    /// Its idle class.
    pub class: IdleClass,
    /// Both sides have proved that they are there.
    pub is_confirmed: bool,
    /// The outside began it.
    pub is_from_outside: bool,
    /// The gateway that reads it, or that opened the door it came through.
    pub gateway: Option<GatewayIndex>,
    /// The worker, and the place in its tables: it has no other while it lives.
    pub entry: (WorkerIndex, u32),
    /// Of a whole address, the sessions beneath it; 1 of a session.
    pub use_count: u32,
    /// Milliseconds since it was made.
    pub age_ms: u32,
    /// Milliseconds since a packet refreshed it.
    pub idle_ms: u32,
    /// Milliseconds until it ends; none for never.
    pub left_ms: Option<u32>,
}

/// An inside endpoint that has a global one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The IP protocol.
    pub protocol: Protocol,
    /// The inside endpoint.
    pub inside_local: Endpoint,
    /// Its VRF.
    pub vrf: Vrf,
}

/// A door as `show ip nat doors` and `show ip nat calls` need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorRow {
    /// The IP protocol.
    pub protocol: Protocol,
    /// The inside endpoint that was announced, as the inside sees it.
    pub inside_local: Endpoint,
    /// As it was announced to the outside.
    pub inside_global: Endpoint,
    /// The only outside host that may use it; anyone if none.
    pub peer: Option<std::net::Ipv4Addr>,
    /// VRF of the inside.
    pub vrf: Vrf,
    /// The gateway that opened it.
    pub gateway: GatewayIndex,
    /// The gateway of the session that goes through it.
    pub child: Option<GatewayIndex>,
    /// How often it can still be gone through.
    pub uses_left: u16,
    /// Milliseconds until it closes.
    pub left_ms: u32,
    /// The call that it belongs to.
    pub call: Option<CallKey>,
    /// Its number among the doors of its owner, by its gateway.
    pub number: u32,
    /// Sessions of its endpoint, [`DOOR_SESSIONS_MAX`] at most; none where its global endpoint is no port of its own.
    pub session_count: Option<u32>,
}

/// Sessions of a door's endpoint that are counted at most.
pub const DOOR_SESSIONS_MAX: u32 = 16;

/// A call as `show ip nat calls` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// What it is found by, its inside host too.
    pub key: CallKey,
    /// The gateway that remembers it.
    pub gateway: GatewayIndex,
    /// What it is.
    pub kind: CallKind,
    /// How far it has come.
    pub state: CallState,
    /// Milliseconds until it is forgotten.
    pub left_ms: u32,
}

/// An edit as `show ip nat alg edits` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditRow {
    /// The edit.
    pub edit: Edit,
    /// Milliseconds since it was made.
    pub age_ms: u32,
}

/// An inside host with live sessions or mappings, as `show ip nat subscriber` needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberRow {
    /// Its address.
    pub addr: std::net::Ipv4Addr,
    /// Its VRF.
    pub vrf: Vrf,
    /// Its live sessions.
    pub session_count: u32,
    /// Those among them that strangers began and it has not answered.
    pub unsolicited_count: u32,
    /// Ports of global addresses that it has, and whole addresses.
    pub port_count: u32,
    /// The global address that its mappings share.
    pub paired: Option<std::net::Ipv4Addr>,
    /// Its port sets, on that address.
    pub sets: Vec<PortSet>,
    /// Its packets that should have begun a session and did not, since it has anything.
    pub refused_count: u32,
    /// Those among them that the limit on its sessions refused.
    pub limit_missed_count: u32,
}

/// How much a worker's NAT is in use.
#[derive(Debug, Default)]
pub struct Usage {
    /// By rule.
    pub rules: Vec<(RuleId, RuleUse)>,
    /// Ports in use by global address.
    pub ports: Vec<(std::net::Ipv4Addr, u32)>,
    /// Subscribers with mappings.
    pub subscriber_count: usize,
    /// Sessions under each group limit of the policy.
    pub limit_groups: Vec<u32>,
    /// Sessions of each host that has a limit of its own, in that VRF of its interfaces where it has most.
    pub limit_hosts: Vec<u32>,
}
