//! The plan: what will be done to a packet, decided before any byte of it is touched.

use std::net::Ipv4Addr;

use crate::flow::{DCCP, Direction, Endpoint, Selector, UDP_LITE};
use crate::head::{Head, Transport};
use crate::policy::InterfaceIndex;
use crate::route::fib::NextHop;
use crate::route::neighbour::CachedHop;
use crate::state::session::{Flags, Session};
use crate::wire::checksum::Delta;

/// Which header fields change besides the TTL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// None: the packet is routed.
    None,
    /// Addresses.
    Addresses,
    /// Addresses, and the checksum of a protocol without ports that covers them: UDP-Lite's or DCCP's.
    Covered,
    /// Addresses and TCP ports.
    Tcp,
    /// Addresses and UDP ports.
    Udp,
    /// Addresses and the ICMP identifier.
    IcmpQuery,
    /// Addresses, and the packet that the ICMP error quotes.
    IcmpError,
}

/// What becomes of a packet that is forwarded. `rewrite` carries it out and cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which fields change.
    pub edit: Edit,
    /// Source it leaves with; the port (or identifier) only where the edit has one.
    pub src: Endpoint,
    /// Destination it leaves with.
    pub dst: Endpoint,
    /// Source of the quoted packet, for ICMP errors.
    pub quoted_src: Endpoint,
    /// Destination of the quoted packet, for ICMP errors.
    pub quoted_dst: Endpoint,
    /// What the change of addresses adds to the IPv4 header checksum.
    pub ip_delta: Delta,
    /// What the change adds to the transport checksum.
    pub l4_delta: Delta,
    /// Offset of the IPv4 header.
    pub l3: u16,
    /// Offset of the transport header.
    pub l4: u16,
    /// Offset of the quoted IPv4 header.
    pub quoted_l3: u16,
    /// Offset of the quoted transport header.
    pub quoted_l4: u16,
    /// Outgoing interface.
    pub egress: InterfaceIndex,
    /// The neighbour it goes to, or `CachedHop::UNKNOWN.neighbour`.
    pub neighbour: u16,
    /// The neighbour's address.
    pub next_hop: Ipv4Addr,
    /// Longest fragment in bytes, where the packet is to be cut; 0 leaves it whole.
    pub fragment_bytes_max: u16,
    /// Largest TCP segment size its SYN may announce; 0 for no limit.
    pub mss_max: u16,
    /// What the identification becomes, where fragments of several hosts would mix (RFC 6864).
    pub new_id: Option<u16>,
    /// It is hairpinned: this is not the hop that decrements its TTL.
    pub keeps_ttl: bool,
}

const _: () = assert!(size_of::<Plan>() <= 64, "a plan is one cache line");

/// What a session makes of the endpoints of its packets.
#[derive(Clone, Copy, Debug)]
pub struct Translation {
    /// Source they leave with.
    pub src: Endpoint,
    /// Destination they leave with.
    pub dst: Endpoint,
    /// What the change of addresses adds to the IPv4 header checksum.
    pub ip_delta: Delta,
    /// What the change adds to the transport checksum.
    pub l4_delta: Delta,
}

impl Translation {
    /// What becomes of the endpoints of a packet whose outside one is `peer`.
    #[inline(always)]
    pub fn of(peer: Endpoint, session: &Session, direction: Direction) -> Translation {
        let (outside_local, outside_global) = outside_ends(peer, session);
        let (ip_delta, l4_delta) = (session.ip_delta, session.l4_delta);
        match direction {
            Direction::Outbound => {
                Translation { src: session.inside_global(), dst: outside_global, ip_delta, l4_delta }
            }
            Direction::Inbound => Translation {
                src: outside_local,
                dst: session.inside_local(),
                ip_delta: ip_delta.reverse(),
                l4_delta: l4_delta.reverse(),
            },
        }
    }
}

impl Plan {
    /// A plan that changes nothing and leads nowhere.
    const EMPTY: Plan = Plan {
        edit: Edit::None,
        src: Plan::NOWHERE,
        dst: Plan::NOWHERE,
        quoted_src: Plan::NOWHERE,
        quoted_dst: Plan::NOWHERE,
        ip_delta: Delta::NONE,
        l4_delta: Delta::NONE,
        l3: 0,
        l4: 0,
        quoted_l3: 0,
        quoted_l4: 0,
        egress: 0,
        neighbour: CachedHop::UNKNOWN.neighbour,
        next_hop: Ipv4Addr::UNSPECIFIED,
        fragment_bytes_max: 0,
        mss_max: 0,
        new_id: None,
        keeps_ttl: false,
    };
    const NOWHERE: Endpoint = Endpoint::new(Ipv4Addr::UNSPECIFIED, 0);

    /// A packet that is routed as it is.
    pub fn routed(head: &Head) -> Plan {
        let (src, dst) = head.outer_endpoints();
        Plan { src, dst, l3: head.l3, l4: head.l4, ..Plan::EMPTY }
    }

    /// A packet of a session.
    #[inline]
    pub fn translated(head: &Head, session: &Session, direction: Direction) -> Plan {
        let edit = match head.transport {
            Transport::Udp => Edit::Udp,
            Transport::Tcp => Edit::Tcp,
            Transport::IcmpQuery => Edit::IcmpQuery,
            Transport::IcmpError { l3, l4 } => return Plan::of_error(head, (l3, l4), session, direction),
            Transport::Other if matches!(session.protocol, UDP_LITE | DCCP) => Edit::Covered,
            _ => Edit::Addresses,
        };
        let peer = direction.outside_end(head.tuple.src, head.tuple.dst);
        let Translation { mut src, dst, ip_delta, l4_delta } = Translation::of(peer, session, direction);
        let is_inbound = direction == Direction::Inbound;
        // The one identifier field of an ICMP query is written from the source's port.
        if is_inbound && edit == Edit::IcmpQuery {
            src.port = session.inside_local().port;
        }
        let new_id = head.new_id.filter(|_| !is_inbound);
        Plan { edit, src, dst, ip_delta, l4_delta, l3: head.l3, l4: head.l4, new_id, ..Plan::EMPTY }
    }

    /// An ICMP error about a session's packet (RFC 5508 REQ-4 and REQ-5), which it quotes at these offsets. The
    /// error travels in `direction`, and so the packet it quotes travelled the other way.
    #[cold]
    fn of_error(head: &Head, quoted: (u16, u16), session: &Session, direction: Direction) -> Plan {
        let mut plan = Plan::routed(head);
        plan.edit = Edit::IcmpError;
        (plan.quoted_l3, plan.quoted_l4) = quoted;
        let peer = direction.outside_end(head.tuple.src, head.tuple.dst);
        let (outside_local, outside_global) = outside_ends(peer, session);
        match direction {
            Direction::Inbound => {
                (plan.quoted_src, plan.quoted_dst) = (session.inside_local(), outside_local);
                plan.dst.addr = session.inside_local().addr;
                if head.src == outside_global.addr {
                    plan.src.addr = outside_local.addr;
                }
            }
            Direction::Outbound => {
                (plan.quoted_src, plan.quoted_dst) = (outside_global, session.inside_global());
                // Whichever inside router it comes from, the outside sees the NAT's own address.
                plan.src.addr = session.inside_global().addr;
                if head.dst == outside_local.addr {
                    plan.dst.addr = outside_global.addr;
                }
                let selector = Selector::of(session.protocol);
                plan.quoted_src.port = selector.far_port(session.inside_global().port, outside_global.port);
            }
        }
        let change = |from: Ipv4Addr, to: Ipv4Addr| Delta::address(from.to_bits(), to.to_bits());
        plan.ip_delta = change(head.src, plan.src.addr).and(change(head.dst, plan.dst.addr));
        plan
    }

    /// The packet starts at this box, from this address of it.
    pub fn start_here(&mut self, own: Ipv4Addr) {
        self.appear_from(own);
        if self.edit == Edit::None {
            self.edit = Edit::Addresses;
        }
        self.keeps_ttl = true;
    }

    /// The packet leaves with another source address.
    pub fn appear_from(&mut self, addr: Ipv4Addr) {
        self.ip_delta = self.ip_delta.and(Delta::address(self.src.addr.to_bits(), addr.to_bits()));
        self.src.addr = addr;
    }

    /// Where the packet goes next.
    pub fn next_hop(&self) -> NextHop {
        NextHop { interface: self.egress, addr: self.next_hop }
    }
}

/// The outside endpoints of a packet's session; for a session that serves every peer, the packet's own.
#[inline(always)]
fn outside_ends(peer: Endpoint, session: &Session) -> (Endpoint, Endpoint) {
    if session.flags.has(Flags::ANY_PEER) {
        return (peer, peer);
    }
    (session.outside_local(), session.outside_global())
}
