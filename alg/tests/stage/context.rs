//! A context without packets. It gives predictable ports, and judges requests as the product does; low ports alone
//! are left to the gateways, so that their tests see whether they are.

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::registry::KIND_COUNT_MAX;
use alg::{
    Call, Context, Counterpart, Door, OutwardDoor, Owner, Ports, Refusal, Session, Side, Span, Transport,
};

/// The doors that may be open at once.
pub const DOOR_COUNT_MAX: usize = 16;
/// The calls that may be remembered at once.
pub const CALL_COUNT_MAX: usize = 8;
/// The edits that a message may have.
pub const EDIT_COUNT_MAX: usize = 64;
/// The bytes by which a message may grow.
pub const GROWTH_MAX: usize = 4096;
/// The longest that a door waits, in seconds, whoever says what.
pub const LIFE_MAX_S: u32 = 86_400;

/// What the gateway acts on.
pub struct FakeContext {
    /// The control session.
    pub session: Session,
    /// `ip nat service dns-reset-ttl`.
    pub resets_ttl: bool,
    /// The clock.
    pub now_ms: u32,
    /// Addresses that configuration maps: whose message, before, after.
    pub policy: Vec<(Side, Ipv4Addr, Counterpart)>,
    /// Outside hosts that may be bound, and what they are bound to. Those that are bound are in `policy`.
    pub pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// Mappings beside the doors: inside local and inside global.
    pub mappings: Vec<(Transport, SocketAddrV4, SocketAddrV4)>,
    /// Other inside hosts that may be named.
    pub third_parties: Vec<Ipv4Addr>,
    /// Static lines for ports: inside local and inside global.
    pub statics: Vec<(Transport, SocketAddrV4, SocketAddrV4)>,
    /// What is added to an inside port to get the global one.
    pub port_shift: u16,
    /// Doors that are open, and their global endpoints.
    pub doors: Vec<(Door, SocketAddrV4)>,
    /// All doors that were ever asked for, in order.
    pub asks: Vec<Door>,
    /// Sessions from inside that are expected.
    pub expected: Vec<OutwardDoor>,
    /// Calls that are remembered, by their hashes, and for how many seconds.
    pub calls: Vec<(u64, Call, u32)>,
    /// Calls before this message.
    calls_before: usize,
    /// Owners whose doors were renewed, in order, and for how many seconds.
    pub renewed: Vec<(Owner, u32)>,
    /// Owners whose doors were closed, in order.
    pub closed: Vec<Owner>,
    /// How many messages of each kind were counted.
    pub counted: [usize; KIND_COUNT_MAX],
    /// The length of the message that is being read.
    pub message_len: usize,
    asked: Vec<(Door, SocketAddrV4)>,
    expecting: Vec<OutwardDoor>,
    admitting: Vec<(Owner, Option<Ipv4Addr>)>,
    closing: Vec<Owner>,
    renewing: Vec<(Owner, u32)>,
    edits: Vec<(Span, Vec<u8>)>,
}

impl FakeContext {
    /// A stage for one control session, whose doors have the ports that were asked for.
    pub fn new(session: Session) -> FakeContext {
        FakeContext {
            session,
            resets_ttl: false,
            now_ms: 1_000_000,
            policy: Vec::new(),
            pool: Vec::new(),
            mappings: Vec::new(),
            third_parties: Vec::new(),
            statics: Vec::new(),
            port_shift: 0,
            doors: Vec::new(),
            asks: Vec::new(),
            expected: Vec::new(),
            calls: Vec::new(),
            calls_before: 0,
            renewed: Vec::new(),
            renewing: Vec::new(),
            closed: Vec::new(),
            counted: [0; KIND_COUNT_MAX],
            message_len: 0,
            asked: Vec::new(),
            expecting: Vec::new(),
            admitting: Vec::new(),
            closing: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// Lets what was asked for take effect. Returns the message after it.
    pub fn commit(&mut self, message: &[u8]) -> Vec<u8> {
        for (door, global) in self.asked.drain(..) {
            match self.doors.iter_mut().find(|(known, _)| is_same(known, &door)) {
                Some(known) => *known = (door, global),
                None => self.doors.push((door, global)),
            }
        }
        self.expected.append(&mut self.expecting);
        for (owner, peer) in self.admitting.drain(..) {
            let admitted = self.doors.iter_mut().filter(|(door, _)| is_of(door.owner, owner));
            admitted.for_each(|(door, _)| door.peer = peer);
        }
        for (owner, life_s) in self.renewing.drain(..) {
            let life_s = life_s.min(LIFE_MAX_S);
            let renewed = self.doors.iter_mut().filter(|(door, _)| is_of(door.owner, owner));
            renewed.for_each(|(door, _)| door.life_s = life_s);
            let calls = self.calls.iter_mut().filter(|(hash, ..)| owner == Owner::Call(*hash));
            calls.for_each(|(.., life)| *life = life_s);
            // What waits no longer is closed.
            self.doors.retain(|(door, _)| door.life_s > 0);
            self.renewed.push((owner, life_s));
        }
        for owner in self.closing.drain(..) {
            self.expected.retain(|expected| !is_of(expected.owner, owner));
            self.doors.retain(|(door, _)| !is_of(door.owner, owner));
            self.calls.retain(|(hash, ..)| owner != Owner::Call(*hash));
            self.closed.push(owner);
        }
        self.calls_before = self.calls.len();
        let mut edits = std::mem::take(&mut self.edits);
        edits.sort_by_key(|(span, _)| span.start);
        let (mut out, mut done) = (Vec::new(), 0);
        for (span, bytes) in edits {
            assert!(done <= span.start, "edits overlap at {}", span.start);
            out.extend_from_slice(&message[done..span.start]);
            out.extend_from_slice(&bytes);
            done = span.end;
        }
        out.extend_from_slice(&message[done..]);
        out
    }

    /// Forgets what was asked for.
    pub fn roll_back(&mut self) {
        self.asked.clear();
        self.expecting.clear();
        self.admitting.clear();
        self.renewing.clear();
        self.calls.truncate(self.calls_before);
        self.closing.clear();
        self.edits.clear();
    }

    /// What the gateway asked for in this message, so far.
    pub fn asked(&self) -> &[(Door, SocketAddrV4)] {
        &self.asked
    }

    fn bound(&self) -> impl Iterator<Item = (Transport, SocketAddrV4, SocketAddrV4)> + '_ {
        let doors = self.doors.iter().chain(&self.asked).flat_map(|(door, global)| {
            let count = if door.ports == Ports::Pair { 2 } else { 1 };
            (0..count).map(|n| (door.transport, behind(door.inside, n), behind(*global, n)))
        });
        self.mappings.iter().copied().chain(doors)
    }
}

/// Whether what is done to an owner's doors is done to those of another one.
fn is_of(door: Owner, owner: Owner) -> bool {
    door == owner || matches!((door, owner), (Owner::Part(of, _), Owner::Call(call)) if of == call)
}

/// A door that is asked for again.
fn is_same(known: &Door, door: &Door) -> bool {
    (known.transport, known.inside, known.ports) == (door.transport, door.inside, door.ports)
}

fn behind(endpoint: SocketAddrV4, n: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*endpoint.ip(), endpoint.port() + n)
}

impl Context for FakeContext {
    fn session(&self) -> &Session {
        &self.session
    }

    fn now_ms(&self) -> u32 {
        self.now_ms
    }

    fn resets_ttl(&self) -> bool {
        self.resets_ttl
    }

    fn global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4> {
        if transport == self.session.transport && local == self.session.inside_local {
            return Some(self.session.inside_global);
        }
        self.bound().find(|(t, l, _)| *t == transport && *l == local).map(|(_, _, global)| global)
    }

    fn static_global(&self, transport: Transport, local: SocketAddrV4) -> Option<SocketAddrV4> {
        self.statics.iter().find(|(t, l, _)| *t == transport && *l == local).map(|(_, _, global)| *global)
    }

    fn local(&self, transport: Transport, global: SocketAddrV4) -> Option<SocketAddrV4> {
        if transport == self.session.transport && global == self.session.inside_global {
            return Some(self.session.inside_local);
        }
        self.bound().find(|(t, _, g)| *t == transport && *g == global).map(|(_, local, _)| local)
    }

    fn policy_address(&self, from: Side, addr: Ipv4Addr) -> Option<Counterpart> {
        self.policy.iter().find(|(f, before, _)| *f == from && *before == addr).map(|(_, _, c)| *c)
    }

    fn is_third_party(&self, addr: Ipv4Addr) -> bool {
        self.third_parties.contains(&addr)
    }

    fn may_bind(&mut self, outside: Ipv4Addr) -> bool {
        self.pool.iter().any(|(known, _)| *known == outside)
    }

    fn bind(&mut self, outside: Ipv4Addr) -> Option<Counterpart> {
        let given = self.pool.iter().find(|(known, _)| *known == outside);
        let counterpart = Counterpart { addr: given?.1, is_static: false };
        if self.policy_address(Side::Outside, outside).is_none() {
            self.policy.push((Side::Outside, outside, counterpart));
        }
        Some(counterpart)
    }

    fn reserve(&mut self, door: Door) -> Result<SocketAddrV4, Refusal> {
        self.asks.push(door);
        if door.inside.ip() != self.session.inside_local.ip()
            && !self.third_parties.contains(door.inside.ip())
        {
            return Err(Refusal::ForeignAddress);
        }
        let before = self.asked.iter().chain(&self.doors).find(|(known, _)| is_same(known, &door));
        if let Some((_, global)) = before {
            let global = *global;
            self.asked.retain(|(known, _)| !is_same(known, &door));
            self.asked.push((door, global));
            return Ok(global);
        }
        if self.doors.len() + self.asked.len() >= DOOR_COUNT_MAX {
            return Err(Refusal::DoorLimit);
        }
        let shifted = door.inside.port().checked_add(self.port_shift);
        let port = match self.global(door.transport, door.inside) {
            Some(global) => global.port(),
            None if door.ports == Ports::Pair => shifted.ok_or(Refusal::NoPort)? & !1,
            None => shifted.ok_or(Refusal::NoPort)?,
        };
        let global = SocketAddrV4::new(*self.session.inside_global.ip(), port);
        self.asked.push((door, global));
        Ok(global)
    }

    fn open_outward(&mut self, expected: OutwardDoor) -> Result<(), Refusal> {
        if self.expected.len() + self.expecting.len() >= DOOR_COUNT_MAX {
            return Err(Refusal::DoorLimit);
        }
        self.expecting.push(expected);
        Ok(())
    }

    fn call(&mut self, hash: u64, life_s: u32) -> Result<&mut Call, Refusal> {
        let known = self.calls.iter().position(|(of, ..)| *of == hash);
        if known.is_none() && self.calls.len() >= CALL_COUNT_MAX {
            return Err(Refusal::CallLimit);
        }
        let index = known.unwrap_or_else(|| {
            self.calls.push((hash, Call::None, life_s));
            self.calls.len() - 1
        });
        self.calls[index].2 = life_s;
        Ok(&mut self.calls[index].1)
    }

    fn known_call(&mut self, hash: u64) -> Option<&mut Call> {
        self.calls.iter_mut().find(|(of, ..)| *of == hash).map(|(_, call, _)| call)
    }

    fn admit(&mut self, owner: Owner, peer: Option<Ipv4Addr>) {
        self.admitting.push((owner, peer));
    }

    fn renew(&mut self, owner: Owner, life_s: u32) {
        self.renewing.push((owner, life_s));
    }

    fn close(&mut self, owner: Owner) {
        self.closing.push(owner);
    }

    fn count(&mut self, kind: usize) {
        self.counted[kind] += 1;
    }

    fn replace(&mut self, span: Span, bytes: &[u8]) -> Result<(), Refusal> {
        assert!(span.start <= span.end && span.end <= self.message_len, "{span:?} of {}", self.message_len);
        let grown: usize =
            self.edits.iter().map(|(s, b)| b.len().saturating_sub(s.end - s.start)).sum::<usize>()
                + bytes.len().saturating_sub(span.end - span.start);
        if self.edits.len() >= EDIT_COUNT_MAX || grown > GROWTH_MAX {
            return Err(Refusal::EditLimit);
        }
        self.edits.push((span, bytes.to_vec()));
        Ok(())
    }
}
