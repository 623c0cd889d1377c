//! Sessions: one flow between one inside and one outside endpoint.

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::{Direction, Endpoint, ICMP, Protocol, TCP, Tuple, UDP, Vrf};
use crate::policy::{IdleClass, Policy, RuleId};
use crate::route::neighbour::CachedHop;
use crate::state::mapping::{Binding, Mapping, MappingKey};
use crate::state::ports::lease::Lease;
use crate::state::progress::Progress;
use crate::state::table::slots::{NONE, Slot};
use crate::wire::checksum::Delta;

/// What a session is beneath.
#[derive(Debug)]
pub enum Above {
    /// A static rule, or none at all.
    Fixed,
    /// The mapping of a whole address, by its number.
    Address(u32),
    /// The mapping of a port, by one of the sessions beneath it.
    Port(u32),
    /// The port of a door that has no session yet.
    Door,
    /// A port or a whole address that was taken for it.
    New(Lease),
}

/// The parts of a session that are known when it begins.
#[derive(Debug)]
pub struct NewSession {
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
    /// The rule that makes it.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
    /// Which idle time applies, once both sides are there.
    pub class: IdleClass,
    /// The way its first packet goes.
    pub first: Direction,
    /// What is special about it.
    pub flags: Flags,
    /// What it is beneath.
    pub above: Above,
}

/// One flow. An established packet needs nothing but this cache line and the index's. All of its 64 bytes are used.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Session {
    /// What its packets of each direction come with.
    pub(super) ends: [Ends; 2],
    /// When a packet last refreshed it, in milliseconds.
    pub used_ms: u32,
    /// Of a TCP connection, the number of each direction that its receiver waits for; see [`crate::state::connection`].
    pub(super) expected: [u32; 2],
    /// Beneath a port's mapping, the next session beneath it, which may be this one; beneath a whole address's, the
    /// number of that.
    pub next: u32,
    /// Beneath a port's mapping, the session before.
    pub previous: u32,
    /// The neighbours of outbound and of inbound packets, and the table they were found under.
    neighbours: [u16; 2],
    generation: u16,
    /// What translation outbound adds to the IPv4 header checksum; inbound takes it back.
    pub ip_delta: Delta,
    /// What translation outbound adds to the transport checksum.
    pub l4_delta: Delta,
    /// The rule that made it.
    pub rule: RuleId,
    /// The IP protocol.
    pub protocol: Protocol,
    /// How far it has come, and so which idle time applies.
    pub progress: Progress,
    /// What is special about it.
    pub flags: Flags,
}

/// What is special about a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    /// It serves every peer: its outside endpoints stand for nobody (CGN mode).
    pub const ANY_PEER: Flags = Flags(1);
    /// Its peer is an inside host too, addressed by a global address (RFC 4787 REQ-9).
    pub const HAIRPIN: Flags = Flags(2);
    /// It is counted among the peers that may send to its mapping (address-dependent filtering).
    pub const CONTACT: Flags = Flags(4);
    /// It is beneath a port's mapping.
    pub const PORT: Flags = Flags(8);
    /// It is beneath the mapping of a whole address.
    pub const ADDRESS: Flags = Flags(16);
    /// It stands for its port's mapping in the index.
    pub const HEAD: Flags = Flags(32);
    /// A gateway reads it.
    pub const CONTROL: Flags = Flags(64);
    /// It went through a door that a control session opened.
    pub const CHILD: Flags = Flags(4096);
    /// Its packets show a number of their direction and no ports; see [`Ends`].
    pub const NUMBERED: Flags = Flags(256);
    /// The outside began it.
    pub const FROM_OUTSIDE: Flags = Flags(512);
    /// Its peer has an outside local address of a pool, whose mapping it is beneath too.
    pub const OUTSIDE_ADDRESS: Flags = Flags(1024);
    /// It went through a door, of which it takes a use when it is confirmed.
    pub const DOOR: Flags = Flags(2048);
    /// The third segment of another connection's handshake is awaited.
    pub const REOPENING: Flags = Flags(128);
    /// Whose packets are not the fast path's; in one byte, so that one is tested.
    pub const FULL_PATH: Flags = Flags(Flags::CONTROL.0 | Flags::REOPENING.0);

    /// Whether a flag is set, or one of several.
    #[inline]
    pub fn has(self, flag: Flags) -> bool {
        self.0 & flag.0 != 0
    }

    /// Clears a flag.
    #[must_use]
    pub const fn without(self, flag: Flags) -> Flags {
        Flags(self.0 & !flag.0)
    }

    /// Sets a flag where a condition holds.
    #[must_use]
    pub const fn with(self, flag: Flags, condition: bool) -> Flags {
        if condition { Flags(self.0 | flag.0) } else { self }
    }
}

/// The endpoint that stands for every peer.
pub const ANYONE: Endpoint = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);

const _: () = assert!(size_of::<Slot<Session>>() == 64, "a session is one cache line, in use or not");

impl Session {
    /// A session that begins now.
    #[inline]
    pub fn new(new: &NewSession, now: u32) -> Session {
        let (flag, next) = match new.above {
            Above::Fixed => (Flags::default(), NONE),
            Above::Address(mapping) => (Flags::ADDRESS, mapping),
            Above::New(ref lease) if lease.is_address() => (Flags::ADDRESS, NONE),
            Above::Port(_) | Above::Door | Above::New(_) => (Flags::PORT, NONE),
        };
        let session = Session {
            ends: [
                Ends { src: new.inside_local, dst: new.outside_local, vrf: new.inside_vrf },
                Ends { src: new.outside_global, dst: new.inside_global, vrf: new.outside_vrf },
            ],
            used_ms: now,
            expected: [0; 2],
            next,
            previous: NONE,
            neighbours: [CachedHop::UNKNOWN.neighbour; 2],
            generation: CachedHop::UNKNOWN.generation,
            ip_delta: Delta::NONE,
            l4_delta: Delta::NONE,
            rule: new.rule,
            protocol: new.protocol,
            progress: Progress::of(new.class, new.first),
            flags: new.flags.with(flag, true).with(Flags::FROM_OUTSIDE, new.first == Direction::Inbound),
        };
        session.with_deltas()
    }

    /// The next hop of packets of one direction, as noted last.
    #[inline]
    pub fn hop(&self, direction: Direction) -> CachedHop {
        CachedHop { neighbour: self.neighbours[direction as usize], generation: self.generation }
    }

    /// Notes the next hop of packets of one direction. One that was found under another table is forgotten.
    pub fn note_hop(&mut self, direction: Direction, hop: CachedHop) {
        if self.generation != hop.generation {
            self.neighbours = [CachedHop::UNKNOWN.neighbour; 2];
        }
        self.neighbours[direction as usize] = hop.neighbour;
        self.generation = hop.generation;
    }

    /// Forgets next hops that were not found under the table with this generation, before another one gets their number.
    pub fn forget_hops_but(&mut self, generation: u16) {
        if self.generation != generation {
            self.generation = CachedHop::UNKNOWN.generation;
        }
    }

    /// Whether a dynamic rule made it.
    pub fn is_dynamic(&self) -> bool {
        self.flags.has(Flags::PORT) || self.flags.has(Flags::ADDRESS)
    }

    /// Which endpoint the port's mapping that it is beneath gives to which.
    pub fn binding(&self) -> Binding {
        Binding {
            own: self.inside_local(),
            seen: self.inside_global(),
            own_vrf: self.inside_vrf(),
            seen_vrf: self.outside_vrf(),
            rule: self.rule,
            protocol: self.protocol,
            side: Side::Inside,
        }
    }

    /// The keys of the port's mapping it is beneath: by the inside endpoint, and by the global one.
    pub fn mapping_keys(&self) -> [MappingKey; 2] {
        [
            Mapping::own_key(Side::Inside, self.protocol, self.inside_vrf(), self.inside_local()),
            Mapping::seen_key(Side::Inside, self.protocol, self.outside_vrf(), self.inside_global()),
        ]
    }

    /// The key that packets of one direction are found by.
    #[inline(always)]
    pub fn key(&self, direction: Direction) -> SessionKey {
        SessionKey { ends: self.ends[direction as usize], protocol: self.protocol, direction }
    }

    /// What its packets of a direction come with.
    #[inline(always)]
    pub fn ends(&self, direction: Direction) -> Ends {
        self.ends[direction as usize]
    }

    /// The inside endpoint as it knows itself.
    pub fn inside_local(&self) -> Endpoint {
        self.ends(Direction::Outbound).src
    }

    /// The inside endpoint as the outside sees it.
    pub fn inside_global(&self) -> Endpoint {
        self.ends(Direction::Inbound).dst
    }

    /// The outside endpoint as the inside sees it.
    pub fn outside_local(&self) -> Endpoint {
        self.ends(Direction::Outbound).dst
    }

    /// The outside endpoint as it knows itself.
    pub fn outside_global(&self) -> Endpoint {
        self.ends(Direction::Inbound).src
    }

    /// VRF of the inside.
    pub fn inside_vrf(&self) -> Vrf {
        self.ends(Direction::Outbound).vrf
    }

    /// VRF of the outside.
    pub fn outside_vrf(&self) -> Vrf {
        self.ends(Direction::Inbound).vrf
    }

    /// Whether a stranger began it, and nobody inside has confirmed it.
    pub fn is_unsolicited(&self) -> bool {
        self.flags.has(Flags::FROM_OUTSIDE) && !self.progress.is_confirmed()
    }

    /// Whether its answers show a number that is still to come.
    pub fn awaits_number(&self) -> bool {
        self.flags.has(Flags::NUMBERED) && (self.outside_global().port, self.inside_global().port) == (0, 0)
    }

    /// Fills in the checksum deltas from the endpoints.
    fn with_deltas(mut self) -> Session {
        let change = |a: Endpoint, b: Endpoint| Delta::address(a.addr.to_bits(), b.addr.to_bits());
        let (src, dst) = (self.inside_local(), self.outside_local());
        let (new_src, new_dst) = (self.inside_global(), self.outside_global());
        let addresses = change(src, new_src).and(change(dst, new_dst));
        let ports = Delta::word(src.port, new_src.port);
        self.ip_delta = addresses;
        self.l4_delta = match self.protocol {
            // One field, the identifier, and no pseudo header.
            ICMP => ports,
            _ => addresses.and(ports).and(Delta::word(dst.port, new_dst.port)),
        };
        self
    }

    /// The idle class a session of this protocol starts in.
    pub fn class_of(protocol: Protocol, peer_port: u16) -> IdleClass {
        match protocol {
            TCP => IdleClass::TcpSyn,
            UDP if peer_port == 53 => IdleClass::Dns,
            UDP => IdleClass::Udp,
            ICMP => IdleClass::Icmp,
            // The mapping of the whole address above it lives longer.
            _ => IdleClass::Udp,
        }
    }
}

/// What packets of one direction of a session come with. Where packets show a number of their
/// direction instead of two ports (the SPI of ESP, RFC 4303; the call ID of PPTP's GRE, RFC 2637), its upper half
/// stands for the source's port, its lower half for the destination's; 0 for one that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Where they come from.
    pub src: Endpoint,
    /// Where they go.
    pub dst: Endpoint,
    /// Where they arrive.
    pub vrf: Vrf,
}

/// What a session is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// What its packets come with.
    pub ends: Ends,
    /// The IP protocol.
    pub protocol: Protocol,
    /// Which way they cross the NAT.
    pub direction: Direction,
}

impl SessionKey {
    /// What a session of exactly these endpoints is found by.
    #[inline(always)]
    pub fn new(&Tuple { src, dst, protocol, vrf }: &Tuple, direction: Direction) -> SessionKey {
        SessionKey { ends: Ends { src, dst, vrf }, protocol, direction }
    }

    /// What a packet's session is found by.
    #[inline(always)]
    pub fn of(policy: &Policy, tuple: &Tuple, direction: Direction) -> SessionKey {
        let &Tuple { src, dst, protocol, .. } = tuple;
        let anyone_or = |peer: Endpoint, inside: Endpoint| {
            if policy.serves_any_peer(protocol, inside.port, peer.port) { ANYONE } else { peer }
        };
        let (src, dst) = match direction {
            Direction::Outbound => (src, anyone_or(dst, src)),
            Direction::Inbound => (anyone_or(src, dst), dst),
        };
        SessionKey::new(&Tuple { src, dst, ..*tuple }, direction)
    }

    /// The key in two words, to be hashed.
    #[inline(always)]
    pub fn words(&self) -> [u64; 2] {
        let side = u64::from(self.direction == Direction::Inbound);
        let what = u64::from(self.protocol) << 48 | side << 56;
        [self.ends.src.bits() | what, self.ends.dst.bits() | u64::from(self.ends.vrf) << 48]
    }
}
