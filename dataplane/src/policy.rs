//! The policy: everything the configuration says about packets, compiled into one immutable value.
//!
//! The control thread makes it and hands it to each worker by message. Indexes into it (interfaces, rules,
//! access lists) are given out by the control thread and mean the same thing in the next policy as long as
//! the line they come from stays, so that sessions can hold them.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::tuple::{Endpoint, Protocol, TCP, UDP, Vrf};

/// The most interfaces, sub-interfaces included, that one appliance has.
pub const INTERFACE_COUNT_MAX: usize = 1024;

/// An interface by its index in [`Policy::interfaces`].
pub type InterfaceIndex = u16;
/// An access list by its index in [`Policy::acls`].
pub type AclIndex = u16;
/// A rule by its number, kept over reloads while its line stays.
pub type RuleId = u16;

/// Everything the configuration says about packets.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Counts policies up; a cached decision is valid while its generation is the policy's.
    pub generation: u32,
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
    /// Static rules of `ip nat inside source static`.
    pub statics: Statics,
    /// Idle times after which sessions end.
    pub timeouts: Timeouts,
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

/// Which side of the NAT an interface is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Domain {
    /// Neither: its packets are routed only.
    #[default]
    None,
    /// `ip nat inside`.
    Inside,
    /// `ip nat outside`.
    Outside,
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
    /// Station address.
    pub mac: [u8; 6],
    /// Primary address, then secondary ones, each with its prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// NAT side.
    pub domain: Domain,
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
    /// Access list for packets that leave.
    pub acl_out: Option<AclIndex>,
}

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

/// Global addresses that dynamic rules hand out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// The pool's name, or the interface's.
    pub name: String,
    /// First and last address of each range, in order, without network and broadcast addresses.
    pub ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
}

impl Pool {
    /// How many addresses it has.
    pub fn address_count(&self) -> u32 {
        self.ranges.iter().map(|&(first, last)| last.to_bits() - first.to_bits() + 1).sum()
    }

    /// The address at a position from 0 to `address_count() - 1`.
    pub fn address_at(&self, mut position: u32) -> Option<Ipv4Addr> {
        for &(first, last) in &self.ranges {
            let count = last.to_bits() - first.to_bits() + 1;
            if position < count {
                return Some(Ipv4Addr::from_bits(first.to_bits() + position));
            }
            position -= count;
        }
        None
    }

    /// Whether it holds this address.
    pub fn contains(&self, addr: Ipv4Addr) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&addr))
    }
}

/// A dynamic rule: who is translated, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// The rule's number.
    pub id: RuleId,
    /// Inside local sources it applies to; none when the list does not exist, which matches nothing.
    pub acl: Option<AclIndex>,
    /// Index into [`Policy::pools`].
    pub pool: u16,
    /// Share addresses by port (PAT); otherwise one global address per inside host.
    pub overload: bool,
}

/// A static rule: a local endpoint and the global one it always has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRule {
    /// The rule's number.
    pub id: RuleId,
    /// The protocol of a port static; none translates every protocol and port.
    pub protocol: Option<Protocol>,
    /// Inside local; port 0 for an address static.
    pub local: Endpoint,
    /// Inside global; port 0 for an address static.
    pub global: Endpoint,
    /// Prefix length: 32 but for a network static.
    pub prefix_len: u8,
}

/// Static rules, found by either side.
#[derive(Clone, Debug, Default)]
pub struct Statics {
    rules: Vec<StaticRule>,
    by_local: HashMap<StaticKey, u32>,
    by_global: HashMap<StaticKey, u32>,
    prefix_lens: Vec<u8>,
}

/// Protocol (0 for all), network prefix and its length, port (0 for all).
type StaticKey = (Protocol, u32, u8, u16);

fn masked(addr: Ipv4Addr, prefix_len: u8) -> u32 {
    addr.to_bits() & u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0)
}

/// `addr` moved from one network to another, host bits kept.
fn moved(addr: Ipv4Addr, to: Ipv4Addr, prefix_len: u8) -> Ipv4Addr {
    let host = addr.to_bits() ^ masked(addr, prefix_len);
    Ipv4Addr::from_bits(masked(to, prefix_len) | host)
}

impl Statics {
    /// Puts rules in tables. Where two name the same endpoint, the first one stands for it.
    pub fn new(rules: Vec<StaticRule>) -> Statics {
        let mut statics = Statics::default();
        for (index, rule) in rules.iter().enumerate() {
            let key = |end: Endpoint| {
                (rule.protocol.unwrap_or(0), masked(end.addr, rule.prefix_len), rule.prefix_len, end.port)
            };
            statics.by_local.entry(key(rule.local)).or_insert(index as u32);
            statics.by_global.entry(key(rule.global)).or_insert(index as u32);
            if !statics.prefix_lens.contains(&rule.prefix_len) {
                statics.prefix_lens.push(rule.prefix_len);
            }
        }
        statics.prefix_lens.sort_unstable_by(|a, b| b.cmp(a));
        statics.rules = rules;
        statics
    }

    /// The rules, in the order of the configuration.
    pub fn rules(&self) -> &[StaticRule] {
        &self.rules
    }

    /// The global endpoint of a local one, and the rule that says so.
    pub fn global_of(&self, protocol: Protocol, local: Endpoint) -> Option<(Endpoint, &StaticRule)> {
        let rule = self.find(&self.by_local, protocol, local)?;
        Some((Self::across(rule, local, rule.global), rule))
    }

    /// The local endpoint of a global one, and the rule that says so.
    pub fn local_of(&self, protocol: Protocol, global: Endpoint) -> Option<(Endpoint, &StaticRule)> {
        let rule = self.find(&self.by_global, protocol, global)?;
        Some((Self::across(rule, global, rule.local), rule))
    }

    fn across(rule: &StaticRule, from: Endpoint, to: Endpoint) -> Endpoint {
        let port = if rule.protocol.is_some() { to.port } else { from.port };
        Endpoint::new(moved(from.addr, to.addr, rule.prefix_len), port)
    }

    /// Port statics come before address statics, and longer prefixes before shorter ones.
    fn find(
        &self,
        table: &HashMap<StaticKey, u32>,
        protocol: Protocol,
        end: Endpoint,
    ) -> Option<&StaticRule> {
        if table.is_empty() {
            return None;
        }
        let by_port = (protocol == TCP || protocol == UDP)
            .then(|| table.get(&(protocol, end.addr.to_bits(), 32, end.port)))
            .flatten();
        let index = by_port.or_else(|| {
            self.prefix_lens.iter().find_map(|&len| table.get(&(0, masked(end.addr, len), len, 0)))
        })?;
        self.rules.get(*index as usize)
    }
}

/// What kind of session it is, as far as its idle time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IdleClass {
    /// Address-only mappings and protocols without ports.
    Other,
    /// UDP.
    Udp,
    /// UDP to or from port 53.
    Dns,
    /// ICMP queries.
    Icmp,
    /// TCP before its handshake is done.
    TcpSyn,
    /// TCP with its handshake done.
    TcpEstablished,
    /// TCP after a FIN from both sides, or a RST.
    TcpClosing,
}

/// Idle times in milliseconds, by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts([u32; 7]);

impl Timeouts {
    /// An idle time that never runs out.
    pub const NEVER: u32 = u32::MAX;

    /// The idle time of a class.
    #[inline]
    pub fn of(&self, class: IdleClass) -> u32 {
        self.0[class as usize]
    }

    /// Sets the idle time of a class.
    pub fn set(&mut self, class: IdleClass, idle_ms: u32) {
        self.0[class as usize] = idle_ms;
    }
}

impl Default for Timeouts {
    /// The defaults of IOS.
    fn default() -> Timeouts {
        let seconds = |s: u32| s * 1000;
        Timeouts([
            seconds(86_400),
            seconds(300),
            seconds(60),
            seconds(60),
            seconds(60),
            seconds(86_400),
            seconds(60),
        ])
    }
}

impl Policy {
    /// Whether packets to this address belong to the NAT: it is in a pool or a static's global side.
    pub fn is_global(&self, addr: Ipv4Addr) -> bool {
        self.pools.iter().any(|pool| pool.contains(addr))
            || self
                .statics
                .rules
                .iter()
                .any(|rule| masked(rule.global.addr, rule.prefix_len) == masked(addr, rule.prefix_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn static_rule(
        id: RuleId,
        protocol: Option<Protocol>,
        local: Endpoint,
        global: Endpoint,
        len: u8,
    ) -> StaticRule {
        StaticRule { id, protocol, local, global, prefix_len: len }
    }

    fn end(last: u8, port: u16) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(10, 0, 0, last), port)
    }

    fn global(last: u8, port: u16) -> Endpoint {
        Endpoint::new(Ipv4Addr::new(192, 0, 2, last), port)
    }

    #[test]
    fn port_statics_come_before_address_statics_before_networks() {
        let statics = Statics::new(vec![
            static_rule(1, None, end(0, 0), global(0, 0), 24),
            static_rule(2, None, end(5, 0), global(77, 0), 32),
            static_rule(3, Some(TCP), end(5, 80), global(1, 8080), 32),
        ]);
        let of = |protocol, local| statics.global_of(protocol, local).map(|(g, rule)| (g, rule.id));
        assert_eq!(of(TCP, end(5, 80)), Some((global(1, 8080), 3)));
        assert_eq!(of(UDP, end(5, 80)), Some((global(77, 80), 2)));
        assert_eq!(of(TCP, end(9, 80)), Some((global(9, 80), 1)));
        assert_eq!(statics.local_of(TCP, global(1, 8080)).map(|(l, _)| l), Some(end(5, 80)));
        assert_eq!(statics.local_of(TCP, global(77, 22)).map(|(l, _)| l), Some(end(5, 22)));
    }

    #[test]
    fn a_pool_counts_through_its_ranges() {
        let range = |a, b| (Ipv4Addr::new(192, 0, 2, a), Ipv4Addr::new(192, 0, 2, b));
        let pool = Pool { name: "P".into(), ranges: vec![range(1, 3), range(9, 9)] };
        assert_eq!(pool.address_count(), 4);
        assert_eq!(pool.address_at(3), Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(pool.address_at(4), None);
        assert!(pool.contains(Ipv4Addr::new(192, 0, 2, 2)) && !pool.contains(Ipv4Addr::new(192, 0, 2, 4)));
    }
}
