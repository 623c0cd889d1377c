//! The policy: everything the configuration says about packets, compiled into one immutable value.
//!
//! The control thread makes it and hands it to each worker by message. Indexes into it (interfaces, rules,
//! access lists) are given out by the control thread and mean the same thing in the next policy as long as
//! the line they come from stays, so that sessions can hold them.

mod acl;
mod behaviour;
mod deterministic;
mod gateways;
mod limits;
mod listening;
mod numbers;
mod pin;
mod pool;
mod rules;
mod source_check;
mod statics;
mod timeouts;

use std::net::Ipv4Addr;

use alg::Side;

use crate::flow::{Direction, Endpoint, ICMP, Protocol, TCP, UDP, Vrf};

pub use crate::flow::{INTERFACE_COUNT_MAX, InterfaceIndex};
pub use acl::{Acl, AclEntry, AclKey, AddressMatch};
pub use behaviour::{Behaviour, Blocks, Filtering, Mode, Pairing, PortChoice};
pub use deterministic::{Deterministic, DeterministicRange};
pub use gateways::{Attachment, DOORS_PER_HOST_DEFAULT, Gateways, PortBits, gateway_named};
pub use limits::{HostLimit, Limit, LimitScope, Limits};
pub use numbers::{AclIndex, GatewayIndex, RuleId};
pub use pin::Pin;
pub use pool::{Pool, PoolKind};
pub use rules::{Clause, DestinationRule, OutsideRule, Selector, SourceRule};
pub use source_check::SourceCheck;
use statics::masked;
pub use statics::{StaticRule, Statics};
pub use timeouts::{IdleClass, Timeouts};

/// Everything the configuration says about packets.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Layer 3 interfaces. A removed one leaves a hole that is down and has no name.
    pub interfaces: Vec<Interface>,
    /// The interface of each port's untagged and tagged frames.
    pub attachments: Attachments,
    /// Access lists.
    pub acls: Vec<Acl>,
    /// Address pools, and one for each interface that a rule overloads.
    pub pools: Vec<Pool>,
    /// Dynamic rules of `ip nat inside source`, in the order they are tried.
    pub rules: Vec<SourceRule>,
    /// Where the dynamic rule with a number is among them, once [`Policy::note_rules`] has looked.
    pub rule_places: Vec<u16>,
    /// Static rules of `ip nat inside source static`.
    pub statics: Statics,
    /// Dynamic rules of `ip nat outside source`.
    pub outside_rules: Vec<OutsideRule>,
    /// Static rules of `ip nat outside source static`: local is the outside local address, global the outside
    /// global one.
    pub outside_statics: Statics,
    /// Whether any of those rules looks at where packets go, rather than at where they come from alone.
    pub rules_see_destinations: bool,
    /// Rules of `ip nat inside destination`.
    pub destination_rules: Vec<DestinationRule>,
    /// How mappings, filters and ports behave.
    pub behaviour: Behaviour,
    /// How much anyone may have.
    pub limits: Limits,
    /// Which control sessions gateways read.
    pub gateways: Gateways,
    /// Inside hosts that must be seen together, a list for each worker that they share.
    pub pins: Vec<Pin>,
    /// Idle times after which sessions end.
    pub timeouts: Timeouts,
    /// Idle times of sessions with certain inside ports, in place of those.
    pub port_timeouts: Vec<(Protocol, u16, u32)>,
}

/// Which interface a frame belongs to, by port and VLAN.
#[derive(Clone, Debug, Default)]
pub struct Attachments(Vec<PortAttachments>);

#[derive(Clone, Debug, Default)]
struct PortAttachments {
    untagged: Option<InterfaceIndex>,
    /// By VLAN; empty while the port has none.
    tagged: Vec<Option<InterfaceIndex>>,
}

impl Attachments {
    /// Gives the frames of a port, untagged or of one VLAN, to an interface.
    pub fn attach(&mut self, port: u16, vlan: Option<u16>, interface: InterfaceIndex) {
        let port = usize::from(port);
        if self.0.len() <= port {
            self.0.resize_with(port + 1, PortAttachments::default);
        }
        let attachments = &mut self.0[port];
        match vlan {
            None => attachments.untagged = Some(interface),
            Some(vlan) => {
                attachments.tagged.resize(4096, None);
                attachments.tagged[usize::from(vlan & 0x0fff)] = Some(interface);
            }
        }
    }

    /// The interface of a frame.
    #[inline]
    pub fn find(&self, port: usize, vlan: Option<u16>) -> Option<InterfaceIndex> {
        let attachments = self.0.get(port)?;
        match vlan {
            None => attachments.untagged,
            Some(vlan) => *attachments.tagged.get(usize::from(vlan))?,
        }
    }
}

/// A layer 3 interface: a port, or one VLAN of it.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Name in its long form.
    pub name: String,
    /// The port its frames travel through.
    pub port: u16,
    /// The VLAN its frames are tagged with.
    pub vlan: Option<u16>,
    /// MAC address.
    pub mac: [u8; 6],
    /// Primary address, then secondary ones, each with its prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// The side of the NAT that it is on; of one that is on none, packets are routed only.
    pub nat: Option<Side>,
    /// Routing table.
    pub vrf: Vrf,
    /// Longest IPv4 packet it sends, in bytes.
    pub mtu: u16,
    /// Largest TCP segment announced through it, 0 for no limit (`ip tcp adjust-mss`).
    pub mss_max: u16,
    /// Not shut down.
    pub is_up: bool,
    /// Access list for packets that arrive.
    pub acl_in: Option<AclIndex>,
    /// What it asks of the sources of packets that arrive.
    pub source_check: Option<SourceCheck>,
    /// Access list for packets that leave.
    pub acl_out: Option<AclIndex>,
}

impl Interface {
    /// Whether an address is of one of its subnets.
    pub fn is_on_link(&self, addr: Ipv4Addr) -> bool {
        self.addresses.iter().any(|&(own, len)| masked(own, len) == masked(addr, len))
    }
}

/// Which computations differ from those of the policy before, so that sessions may be there which they would not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Whether a session serves one peer or all of them.
    pub peers: bool,
    /// Which ports a host has.
    pub ports: bool,
}

impl Recomputed {
    /// What a policy computes otherwise than the one before it.
    pub fn between(before: &Policy, policy: &Policy) -> Recomputed {
        let (old, new) = (&before.behaviour, &policy.behaviour);
        let is_moved = new.deterministic.iter().any(|deterministic| {
            let pool = usize::from(deterministic.pool);
            before.pools.get(pool) != policy.pools.get(pool)
        });
        Recomputed {
            peers: old.mode != new.mode,
            ports: old.blocks != new.blocks || old.deterministic != new.deterministic || is_moved,
        }
    }

    /// Whether anything differs.
    pub fn is_any(self) -> bool {
        self != Recomputed::default()
    }

    /// What differs from either of two policies before.
    pub fn or(self, other: Recomputed) -> Recomputed {
        Recomputed { peers: self.peers || other.peers, ports: self.ports || other.ports }
    }
}

impl Interface {
    /// Which way packets from it cross the NAT.
    #[inline]
    pub fn direction(&self) -> Option<Direction> {
        self.nat.map(Direction::from)
    }
}

impl Policy {
    /// Whether packets to this address, arriving from outside, belong to the NAT: it is in a pool of inside
    /// global addresses or a static's global side.
    pub fn is_global(&self, vrf: Vrf, addr: Ipv4Addr) -> bool {
        let is_of = |rule: &SourceRule| rule.outside_vrf == vrf && self.pool_holds(rule.pool, addr);
        self.rules.iter().any(is_of) || self.statics.is_global(vrf, addr)
    }

    /// Whether the NAT stands for an endpoint, seen from outside, although nobody may have it now: of a pool's network, of a
    /// virtual server, or of an outside host as the inside knows it.
    pub fn covers(&self, vrf: Vrf, protocol: Protocol, end: Endpoint) -> bool {
        let pool_covers =
            |pool: u16| self.pools.get(usize::from(pool)).is_some_and(|pool| pool.covers(end.addr));
        self.rules.iter().any(|rule| rule.outside_vrf == vrf && pool_covers(rule.pool))
            || self.outside_rules.iter().any(|rule| rule.inside_vrf == vrf && pool_covers(rule.pool))
            || self.outside_statics.global_of(vrf, protocol, end, |_| true).is_some()
            || self.destination_rule_of(end.addr).is_some()
    }

    /// Whether sessions of a protocol, with these ports at their inside and outside end, serve every peer of their
    /// mapping. Control sessions do not: each is a conversation of its own.
    #[inline(always)]
    pub fn serves_any_peer(&self, protocol: Protocol, inside: u16, outside: u16) -> bool {
        let Gateways { outside_ports, inside_ports, .. } = &self.gateways;
        self.behaviour.mode == Mode::Cgn
            && match protocol {
                TCP => false,
                UDP => !outside_ports.holds(outside) && !inside_ports.holds(inside),
                ICMP => true,
                // A number that packets show in the place of ports is between two hosts.
                _ => (inside, outside) == (0, 0),
            }
    }

    /// The inside host whose a global endpoint is by deterministic NAT.
    pub fn deterministic_host(&self, global: Endpoint) -> Option<Ipv4Addr> {
        self.behaviour.deterministic.iter().find_map(|deterministic| {
            let position = self.pools.get(usize::from(deterministic.pool))?.position_of(global.addr)?;
            deterministic.reverse(position, global.port)
        })
    }

    /// Whether a list permits packets from an inside host, as far as its address goes.
    pub fn permits_host(&self, acl: AclIndex, host: Ipv4Addr) -> bool {
        let key = AclKey {
            src: Endpoint::new(host, 0),
            dst: Endpoint::new(Ipv4Addr::UNSPECIFIED, 0),
            protocol: 0,
            tcp_flags: 0,
            icmp: (0, 0),
            later_fragment: false,
            dscp: 0,
        };
        let acl = self.acls.get(usize::from(acl));
        acl.and_then(|acl| acl.decide(&key)).is_some_and(|entry| entry.permit)
    }

    /// The rule that gives an outside host an address for the inside, between these VRFs, as far as the host's address
    /// goes.
    pub fn outside_rule_of(&self, vrfs: (Vrf, Vrf), host: Ipv4Addr) -> Option<&OutsideRule> {
        let permits = |acl: &AclIndex| self.permits_host(*acl, host);
        let selects = |clause: &&Clause| {
            let is_of_hosts = clause.interfaces.is_empty() && clause.next_hops.is_empty();
            is_of_hosts && (clause.acls.is_empty() || clause.acls.iter().any(permits))
        };
        let is_between = |rule: &&OutsideRule| (rule.inside_vrf, rule.outside_vrf) == vrfs;
        self.outside_rules.iter().filter(is_between).find(|rule| match &rule.selector {
            Selector::Nothing => false,
            Selector::Acl(acl) => permits(acl),
            Selector::RouteMap(clauses) => clauses.iter().find(selects).is_some_and(|clause| clause.permit),
        })
    }

    /// The group limits that sessions of an inside host count towards, a bit each.
    pub fn limit_groups_of(&self, vrf: Vrf, host: Ipv4Addr) -> u16 {
        let counts = |scope: LimitScope| match scope {
            LimitScope::All => true,
            LimitScope::Vrf(of) => of == vrf,
            LimitScope::List(acl) => self.permits_host(acl, host),
        };
        let groups = self.limits.groups.iter().enumerate();
        groups.filter(|(_, limit)| counts(limit.scope)).fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// The list of hosts that must be seen together which an inside address is of.
    pub fn pin_of(&self, addr: Ipv4Addr) -> Option<usize> {
        self.pins.iter().position(|pin| pin.holds(addr))
    }

    /// The virtual server that an address is of, if it is one.
    pub fn destination_rule_of(&self, addr: Ipv4Addr) -> Option<&DestinationRule> {
        let is_for = |acl: AclIndex| self.permits_host(acl, addr);
        self.destination_rules.iter().find(|rule| rule.acl.is_some_and(is_for))
    }

    /// The interface a hairpinned packet seems to arrive on: the first outside one of a VRF.
    pub fn outside_interface(&self, vrf: Vrf) -> Option<InterfaceIndex> {
        let is_outside = |interface: &Interface| interface.nat == Some(Side::Outside) && interface.vrf == vrf;
        self.interfaces.iter().position(is_outside).map(|index| index as InterfaceIndex)
    }

    /// Whether an interface is on the NAT's outside.
    #[inline]
    pub fn is_outside(&self, interface: InterfaceIndex) -> bool {
        self.interfaces.get(usize::from(interface)).is_some_and(|it| it.nat == Some(Side::Outside))
    }

    /// Whether a pool holds an address.
    pub fn pool_holds(&self, pool: u16, addr: Ipv4Addr) -> bool {
        self.pools.get(usize::from(pool)).is_some_and(|pool| pool.contains(addr))
    }

    /// Notes where rules are, since sessions ask for theirs by its number.
    pub fn note_rules(&mut self) {
        let count = self.rules.iter().map(|rule| usize::from(rule.id) + 1).max().unwrap_or_default();
        self.rule_places = vec![u16::MAX; count];
        for (rule, place) in self.rules.iter().zip(0..) {
            self.rule_places[usize::from(rule.id)] = place;
        }
    }

    /// The dynamic rule with a number.
    pub fn rule(&self, id: RuleId) -> Option<&SourceRule> {
        if self.rule_places.is_empty() {
            return self.rules.iter().find(|rule| rule.id == id);
        }
        self.rules.get(usize::from(*self.rule_places.get(usize::from(id))?))
    }

    /// Whether what a rule gave this global endpoint may stay: the rule still exists, and hands the address out, and no
    /// static gives it to somebody.
    pub fn keeps(&self, rule: RuleId, protocol: Protocol, global: Endpoint) -> bool {
        let Endpoint { addr, .. } = global;
        if let Some(dynamic) = self.rule(rule) {
            let by_static = self.statics.owner_of(dynamic.outside_vrf, protocol, global);
            return self.pool_holds(dynamic.pool, addr) && by_static.is_none();
        }
        self.statics.with_id(rule).any(|fixed| fixed.is_global(addr))
            || self.outside_statics.with_id(rule).next().is_some()
            || self.destination_rules.iter().any(|destination| destination.id == rule)
            || self.outside_rules.iter().any(|outside| outside.id == rule)
    }

    /// The numbers of all rules.
    pub fn rule_ids(&self) -> impl Iterator<Item = RuleId> + '_ {
        let dynamic =
            self.rules.iter().map(|rule| rule.id).chain(self.outside_rules.iter().map(|rule| rule.id));
        let fixed = self.statics.rules().iter().chain(self.outside_statics.rules()).map(|rule| rule.id);
        dynamic.chain(fixed).chain(self.destination_rules.iter().map(|rule| rule.id))
    }

    /// Whether a mapping of an outside host may stay.
    pub fn keeps_outside(&self, rule: RuleId, local: Ipv4Addr) -> bool {
        self.outside_rules.iter().any(|outside| outside.id == rule && self.pool_holds(outside.pool, local))
    }
}
