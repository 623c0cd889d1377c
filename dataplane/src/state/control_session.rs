//! Control sessions: those whose messages a gateway reads.

use hashbrown::HashMap;

use alg::{Side, State};

use crate::policy::GatewayIndex;
use crate::state::door::OwnerKey;
use crate::state::room::{Initiator, Room};
use crate::state::table::index::Hasher;
use crate::state::table::slots::Slots;
use crate::stream::{Opening, Shifts};

/// The most control sessions that a shard's gateways read at once.
pub const CONTROL_SESSIONS_MAX: usize = 1 << 14;

/// A control session, but for what its gateway remembers.
pub struct ControlSession {
    /// Its gateway.
    pub gateway: GatewayIndex,
    /// Who opened it.
    pub client: Side,
    /// What carries its messages.
    pub channel: Channel,
    /// Sessions that went through its doors and are alive.
    pub children: u32,
    /// The gateway said that it cannot read on.
    pub is_over: bool,
    /// What the door belonged to that it came through, and the door's number there.
    pub through: Option<(OwnerKey, u32)>,
    /// The sequence number of its connection's SYN.
    pub syn: Option<u32>,
    /// Whose place in the table it has.
    holder: Initiator,
    /// Tells it from those that had its session's index before.
    serial: u32,
}

impl ControlSession {
    /// A control session that nothing was read of.
    pub fn new(gateway: GatewayIndex, holder: Initiator, client: Side, channel: Channel) -> ControlSession {
        ControlSession {
            gateway,
            client,
            channel,
            children: 0,
            is_over: false,
            through: None,
            syn: None,
            holder,
            serial: 0,
        }
    }

    /// Whose place in the table it has.
    pub fn holder(&self) -> Initiator {
        self.holder
    }

    /// Whether the next datagram would be read the same if the record was a new one.
    fn is_as_new(&self) -> bool {
        matches!(self.channel, Channel::Datagrams)
            && self.children == 0
            && !self.is_over
            && self.through.is_none()
    }
}

/// What carries a control session's messages, and how far it is.
#[derive(Clone, Copy, Debug)]
pub enum Channel {
    /// Datagrams.
    Datagrams,
    /// A connection whose handshake is under way: the first SYN, once it was seen.
    Opening(Option<Opening>),
    /// Its second part: the SYN, and what acknowledged it. The client has still to acknowledge that.
    Answered(Opening, Opening),
    /// A connection, by the number of its stream.
    Open(u32),
    /// A connection that is not read any more, and whose numbers are shifted for good.
    Settled(Shifts),
    /// Not read any more, and as it came.
    Untouched,
    /// A connection that is over: what is still said over it goes nowhere, but for resets and acknowledgements.
    Ended(Shifts),
}

/// The control sessions of a shard whose gateways have something to remember. Of datagrams, that is not all: a session of
/// theirs has a record only while its gateway's memory is not a new one's.
pub struct ControlSessions {
    records: Slots<ControlSession>,
    /// What their gateways remember, in the same places. Apart from them, so that a gateway has its own in hand while it
    /// reaches into the other tables, and nothing is copied.
    pub(super) states: Vec<State>,
    room: Room,
    by_session: HashMap<u32, u32>,
    /// By child, the control session that led to it, with its serial number.
    parents: HashMap<u32, (u32, u32)>,
    next_serial: u32,
    /// Streams whose control sessions ended.
    ended: Vec<u32>,
}

impl ControlSessions {
    /// Room for `capacity` control sessions.
    pub fn new(capacity: usize, hasher: Hasher) -> ControlSessions {
        ControlSessions {
            records: Slots::new(capacity),
            states: vec![State::None; capacity],
            room: Room::new(capacity, hasher),
            by_session: HashMap::with_capacity(capacity),
            parents: HashMap::with_capacity(capacity),
            next_serial: 0,
            ended: Vec::with_capacity(capacity),
        }
    }

    /// Puts a control session, by its session's index, into the table. False when there is no room for another of its
    /// gateway's or its holder's.
    pub fn insert(&mut self, session: u32, control: ControlSession, state: State) -> bool {
        let (gateway, holder) = (control.gateway, control.holder);
        if !self.room.take(gateway, holder, 1) {
            return false;
        }
        self.next_serial = self.next_serial.wrapping_add(1);
        let index = self.records.insert(ControlSession { serial: self.next_serial, ..control });
        let Some((index, place)) =
            index.and_then(|index| Some((index, self.states.get_mut(index as usize)?)))
        else {
            self.room.give_back(gateway, holder, 1);
            return false;
        };
        *place = state;
        self.by_session.insert(session, index);
        true
    }

    /// A control session by its session's index.
    pub fn of(&self, session: u32) -> Option<&ControlSession> {
        self.records.at(*self.by_session.get(&session)?)
    }

    /// Where a control session is in the table, by its session's index.
    pub(super) fn place_of(&self, session: u32) -> Option<usize> {
        self.by_session.get(&session).map(|&place| place as usize)
    }

    /// What the gateway of a control session remembers, by its session's index.
    pub fn state_of(&self, session: u32) -> Option<&State> {
        self.states.get(self.place_of(session)?)
    }

    /// Forgets a control session whose gateway remembers what a new one's would: `fresh`.
    pub fn forget_if_new(&mut self, session: u32, fresh: &State) {
        let Some(&index) = self.by_session.get(&session) else { return };
        let is_as_new = self.records.at(index).is_some_and(ControlSession::is_as_new);
        if is_as_new && self.states.get(index as usize) == Some(fresh) {
            self.remove(session);
        }
    }

    /// A control session by its session's index.
    pub fn of_mut(&mut self, session: u32) -> Option<&mut ControlSession> {
        self.records.at_mut(*self.by_session.get(&session)?)
    }

    /// Has a control session begin anew, over another channel, with what a new one's gateway remembers. Returns the stream
    /// that carried it before.
    pub fn begin_anew(&mut self, session: u32, channel: Channel, state: State) -> Option<u32> {
        let place = self.place_of(session)?;
        let control = self.records.at_mut(place as u32)?;
        *self.states.get_mut(place)? = state;
        control.is_over = false;
        match std::mem::replace(&mut control.channel, channel) {
            Channel::Open(stream) => Some(stream),
            _ => None,
        }
    }

    /// The control session, by its session's index, whose door a session went through; none if that has ended.
    pub fn parent_of(&self, child: u32) -> Option<u32> {
        let &(control, serial) = self.parents.get(&child)?;
        (self.of(control)?.serial == serial).then_some(control)
    }

    /// Whether the numbers of a control session's connection, by its session's index, are not those that its sides write.
    pub fn maps_numbers(&self, session: u32) -> bool {
        let channel = self.of(session).map(|control| &control.channel);
        channel.is_some_and(|channel| {
            matches!(channel, Channel::Open(_) | Channel::Settled(_) | Channel::Ended(_))
        })
    }

    /// Whether sessions that a control session led to are alive.
    pub fn has_children(&self, session: u32) -> bool {
        self.of(session).is_some_and(|control| control.children > 0)
    }

    /// Notes that a session went through a control session's door. False if that has ended.
    pub fn adopt(&mut self, child: u32, control: u32) -> bool {
        let Some(parent) = self.of_mut(control) else { return false };
        parent.children += 1;
        let serial = parent.serial;
        self.parents.insert(child, (control, serial));
        true
    }

    /// Takes out a stream whose control session ended, to be closed.
    pub fn next_ended(&mut self) -> Option<u32> {
        self.ended.pop()
    }

    pub(super) fn remove(&mut self, session: u32) {
        let removed = self.by_session.remove(&session).and_then(|index| self.records.remove(index));
        let Some(control) = removed else { return };
        self.room.give_back(control.gateway, control.holder, 1);
        if let Channel::Open(stream) = control.channel {
            self.ended.push(stream);
        }
    }

    pub(super) fn orphan(&mut self, child: u32) {
        if let Some((control, serial)) = self.parents.remove(&child)
            && let Some(parent) = self.of_mut(control)
            && parent.serial == serial
        {
            parent.children -= 1;
        }
    }

    /// Verifies that each is found by its session and has its place, and that children are of sessions that `is_live`. For
    /// tests.
    pub(super) fn check(&self, is_live: impl Fn(u32) -> bool) -> Result<(), String> {
        self.room.check(self.records.len()).map_err(|text| format!("control sessions: {text}"))?;
        if self.by_session.len() != self.records.len() {
            return Err(format!("{} control sessions, {} found", self.records.len(), self.by_session.len()));
        }
        let mut live = self.by_session.keys().chain(self.parents.keys()).copied();
        match live.find(|&session| !is_live(session)) {
            Some(session) => Err(format!("session {session} has ended, and is one of a gateway's still")),
            None => Ok(()),
        }
    }

    /// Control sessions in the table.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Control sessions there is room for.
    pub fn capacity(&self) -> usize {
        self.records.capacity()
    }
}
