//! Access lists: linear lists of value and mask.

use std::net::Ipv4Addr;

use crate::flow::{Endpoint, Protocol};
use crate::head::{Head, Transport};

/// An access list: the first entry that matches decides; none matching denies.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    /// Number or name.
    pub name: String,
    /// Entries in order.
    pub entries: Vec<AclEntry>,
}

/// One entry of an access list. Every condition must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Permit or deny.
    pub permit: bool,
    /// Where the packet comes from.
    pub src: AddressMatch,
    /// Where it goes to.
    pub dst: AddressMatch,
    /// The IP protocol; none for all.
    pub protocol: Option<Protocol>,
    /// Source ports, any of these ranges; empty for all.
    pub src_ports: Box<[(u16, u16)]>,
    /// Destination ports, any of these ranges; empty for all.
    pub dst_ports: Box<[(u16, u16)]>,
    /// TCP flags of which one at least must be set; 0 for no condition.
    pub tcp_flags_any: u8,
    /// ICMP type and code.
    pub icmp: Option<(u8, Option<u8>)>,
    /// Only fragments that are not the first.
    pub fragments: bool,
    /// Differentiated services code point.
    pub dscp: Option<u8>,
    /// Which of the worker's access-list counters its matches are counted in.
    pub counter: u32,
}

/// An address under a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressMatch {
    value: u32,
    mask: u32,
}

impl AddressMatch {
    /// Any address at all.
    pub const ANY: AddressMatch = AddressMatch { value: 0, mask: 0 };

    /// Addresses equal to `addr` but for the bits set in `wildcard`, as access lists write it.
    pub fn wildcard(addr: Ipv4Addr, wildcard: Ipv4Addr) -> AddressMatch {
        let mask = !wildcard.to_bits();
        AddressMatch { value: addr.to_bits() & mask, mask }
    }

    /// Whether `addr` matches.
    #[inline]
    pub fn matches(self, addr: Ipv4Addr) -> bool {
        addr.to_bits() & self.mask == self.value
    }
}

/// What access lists look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclKey {
    /// Outer source, with its port where the packet shows one.
    pub src: Endpoint,
    /// Outer destination, with its port where the packet shows one.
    pub dst: Endpoint,
    /// The IP protocol.
    pub protocol: Protocol,
    /// TCP flags.
    pub tcp_flags: u8,
    /// ICMP type and code.
    pub icmp: (u8, u8),
    /// A fragment that is not the first: it shows no ports, flags or types.
    pub later_fragment: bool,
    /// Differentiated services code point.
    pub dscp: u8,
}

impl AclKey {
    /// What access lists look at of a packet.
    pub fn of(head: &Head) -> AclKey {
        let (src, dst) = head.outer_endpoints();
        AclKey {
            src,
            dst,
            protocol: head.outer_protocol(),
            tcp_flags: head.tcp_flags,
            icmp: head.icmp,
            later_fragment: head.transport == Transport::LaterFragment,
            dscp: head.tos >> 2,
        }
    }
}

impl AclEntry {
    /// An entry on source addresses alone, as standard access lists have them.
    pub fn standard(permit: bool, src: AddressMatch) -> AclEntry {
        AclEntry {
            permit,
            src,
            dst: AddressMatch::ANY,
            protocol: None,
            src_ports: Box::default(),
            dst_ports: Box::default(),
            tcp_flags_any: 0,
            icmp: None,
            fragments: false,
            dscp: None,
            counter: 0,
        }
    }

    fn matches(&self, key: &AclKey) -> bool {
        self.src.matches(key.src.addr)
            && self.dst.matches(key.dst.addr)
            && self.protocol.is_none_or(|protocol| protocol == key.protocol)
            && self.dscp.is_none_or(|dscp| dscp == key.dscp)
            && self.matches_transport(key)
    }

    /// The conditions on what only a first fragment shows. A later fragment meets a permit that asks for
    /// them, as far as layer 3 goes, and never a deny: what it belongs to was judged by its first part.
    fn matches_transport(&self, key: &AclKey) -> bool {
        if self.fragments {
            return key.later_fragment;
        }
        let unconditional = self.src_ports.is_empty()
            && self.dst_ports.is_empty()
            && self.tcp_flags_any == 0
            && self.icmp.is_none();
        if unconditional {
            return true;
        }
        if key.later_fragment {
            return self.permit;
        }
        let icmp =
            self.icmp.is_none_or(|(kind, code)| kind == key.icmp.0 && code.is_none_or(|c| c == key.icmp.1));
        let flags = self.tcp_flags_any == 0 || self.tcp_flags_any & key.tcp_flags != 0;
        icmp && flags && in_ranges(&self.src_ports, key.src.port) && in_ranges(&self.dst_ports, key.dst.port)
    }
}

fn in_ranges(ranges: &[(u16, u16)], port: u16) -> bool {
    ranges.is_empty() || ranges.iter().any(|&(low, high)| (low..=high).contains(&port))
}

impl Acl {
    /// The entry that decides about a packet.
    pub fn decide(&self, key: &AclKey) -> Option<&AclEntry> {
        self.entries.iter().find(|entry| entry.matches(key))
    }
}
