//! Access lists.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::names::{icmp_code, icmp_type};
use super::Place;

/// An access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList {
    /// Where its first line stands.
    pub place: Place,
    /// Its name, or its number in digits.
    pub name: String,
    /// What its entries look at.
    pub kind: AccessListKind,
    /// Its entries, by ascending sequence number.
    pub entries: Vec<AccessListEntry>,
}

impl AccessList {
    /// The prefixes that the list permits, in order, if it does nothing else: no denial, no other condition, and only
    /// wildcards that leave a prefix.
    pub fn prefixes(&self) -> Option<Vec<Ipv4Net>> {
        let rules = self.entries.iter().filter_map(|entry| match &entry.body {
            EntryBody::Rule(rule) => Some(rule),
            EntryBody::Remark(_) => None,
        });
        rules.map(AccessRule::prefix).collect()
    }
}

/// What an access list's entries look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessListKind {
    /// The source address.
    Standard,
    /// Protocol, both addresses, and more.
    Extended,
}

/// One numbered line of an access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessListEntry {
    /// Where it stands.
    pub place: Place,
    /// Its sequence number, not 0.
    pub sequence: u32,
    /// What it says.
    pub body: EntryBody,
}

/// What a line of an access list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryBody {
    /// `remark TEXT`
    Remark(String),
    /// `permit ...` or `deny ...`
    Rule(AccessRule),
}

/// `{permit|deny} ...`: a packet matches when every part does. In a standard list only the source is ever set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// What becomes of a packet that matches.
    pub action: AccessAction,
    /// The IP protocol; `None` is any.
    pub protocol: Option<u8>,
    /// The source address.
    pub source: AddressMatch,
    /// The source port, of TCP and UDP.
    pub source_port: Option<PortMatch>,
    /// The destination address.
    pub destination: AddressMatch,
    /// The destination port, of TCP and UDP.
    pub destination_port: Option<PortMatch>,
    /// TCP flags.
    pub tcp_flags: Option<TcpFlagsMatch>,
    /// The ICMP message.
    pub icmp: Option<IcmpMatch>,
    /// The differentiated services code point, 0 to 63.
    pub dscp: Option<u8>,
    /// Whether only fragments after the first match.
    pub fragments: bool,
    /// Whether a match is logged.
    pub log: bool,
}

impl AccessRule {
    /// A rule that matches every packet.
    pub fn any(action: AccessAction) -> AccessRule {
        AccessRule {
            action,
            protocol: None,
            source: AddressMatch::ANY,
            source_port: None,
            destination: AddressMatch::ANY,
            destination_port: None,
            tcp_flags: None,
            icmp: None,
            dscp: None,
            fragments: false,
            log: false,
        }
    }
}

impl AccessRule {
    /// The prefix of a rule that permits one and has no other condition.
    fn prefix(&self) -> Option<Ipv4Net> {
        let AddressMatch { address, wildcard } = self.source;
        let plain =
            AccessRule { source: self.source, log: self.log, ..AccessRule::any(AccessAction::Permit) };
        let length = wildcard.to_bits().leading_zeros() as u8;
        let leaves_a_prefix = wildcard.to_bits().trailing_ones() == 32 - u32::from(length);
        (*self == plain && leaves_a_prefix).then(|| Ipv4Net::new_assert(address, length))
    }
}

/// What becomes of a packet that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessAction {
    /// It passes; for NAT: it is translated.
    Permit,
    /// It is dropped; for NAT: it is left untouched.
    Deny,
}

/// Addresses that equal `address` in every bit that is 0 in `wildcard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMatch {
    /// The address; bits under the wildcard are 0.
    pub address: Ipv4Addr,
    /// The bits that do not matter.
    pub wildcard: Ipv4Addr,
}

impl AddressMatch {
    /// Every address.
    pub const ANY: AddressMatch =
        AddressMatch { address: Ipv4Addr::UNSPECIFIED, wildcard: Ipv4Addr::BROADCAST };

    /// One address.
    pub fn host(address: Ipv4Addr) -> AddressMatch {
        AddressMatch { address, wildcard: Ipv4Addr::UNSPECIFIED }
    }

    /// The addresses that equal `address` outside the wildcard.
    pub fn new(address: Ipv4Addr, wildcard: Ipv4Addr) -> AddressMatch {
        AddressMatch { address: address & !wildcard, wildcard }
    }

    /// Whether this address is meant.
    pub fn matches(&self, address: Ipv4Addr) -> bool {
        address & !self.wildcard == self.address
    }
}

/// Ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// `eq P...`: one of these, and there is at least one.
    Equal(Vec<u16>),
    /// `neq P`: any but this one.
    NotEqual(u16),
    /// `lt P`: below it.
    Below(u16),
    /// `gt P`: above it.
    Above(u16),
    /// `range A B`: from the first to the second, both included.
    Range(u16, u16),
}

impl PortMatch {
    /// Whether this port is meant.
    pub fn matches(&self, port: u16) -> bool {
        match self {
            PortMatch::Equal(ports) => ports.contains(&port),
            PortMatch::NotEqual(other) => port != *other,
            PortMatch::Below(bound) => port < *bound,
            PortMatch::Above(bound) => port > *bound,
            PortMatch::Range(low, high) => (low..=high).contains(&&port),
        }
    }
}

/// TCP flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpFlagsMatch {
    /// `established`: ACK or RST is set.
    Established,
    /// `ack`, `fin`, ...: at least one of these is set; the bits are those of the TCP header, and not all are 0.
    AnyOf(u8),
}

/// TCP flags and their bits in the header.
pub const TCP_FLAGS: [(&str, u8); 6] =
    [("ack", 0x10), ("fin", 0x01), ("psh", 0x08), ("rst", 0x04), ("syn", 0x02), ("urg", 0x20)];

/// ICMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMatch {
    /// The type.
    pub kind: u8,
    /// The code; `None` is any.
    pub code: Option<u8>,
}

impl IcmpMatch {
    /// The match that a name of [`super::super::names::ICMP_MESSAGES`] stands for, by its number there.
    pub(in super::super) fn from_number(number: u32) -> IcmpMatch {
        let [_, kind, has_code, code] = number.to_be_bytes();
        IcmpMatch { kind, code: (has_code != 0).then_some(code) }
    }

    /// The number there.
    pub(in super::super) fn number(self) -> u32 {
        self.code.map_or(icmp_type(self.kind), |code| icmp_code(self.kind, code))
    }
}
