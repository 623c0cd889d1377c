//! One rule of an access list: what it matches, how it is read and written, and what the data plane gets of it.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use dataplane::policy;
use ipnet::Ipv4Net;

use crate::config::args::Args;
use crate::config::builder::{Fault, Statement};
use crate::config::names::{self, Names, icmp_code, icmp_type, name_of};
use crate::config::text::named;

/// What an access list's entries look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessListKind {
    /// The source address.
    Standard,
    /// Protocol, both addresses, and more.
    Extended,
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
    pub(super) fn prefix(&self) -> Option<Ipv4Net> {
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
    /// The match that a name of `names::ICMP_MESSAGES` stands for, by its number there.
    fn from_number(number: u32) -> IcmpMatch {
        let [_, kind, has_code, code] = number.to_be_bytes();
        IcmpMatch { kind, code: (has_code != 0).then_some(code) }
    }

    /// The number there.
    fn number(self) -> u32 {
        self.code.map_or(icmp_type(self.kind), |code| icmp_code(self.kind, code))
    }
}

/// The rule of an entry; nothing if the line ends before it.
pub(super) fn rule(statement: &Statement) -> Result<Option<AccessRule>, Fault> {
    let args = &statement.args;
    let action = match (args.has("permit"), args.has("deny")) {
        (true, _) => AccessAction::Permit,
        (_, true) => AccessAction::Deny,
        _ => return Ok(None),
    };
    let source = args.within("source");
    let destination = args.within("destination");
    let rule = AccessRule {
        action,
        protocol: protocol(args),
        source: address(&source),
        source_port: port(&source)?,
        destination: address(&destination),
        destination_port: port(&destination)?,
        tcp_flags: tcp_flags(statement)?,
        icmp: icmp(args),
        dscp: args.optional("dscp"),
        fragments: args.has("fragments"),
        log: args.has("log") || args.has("log-input"),
    };
    let ports = rule.source_port.is_some() || rule.destination_port.is_some();
    if rule.fragments && (ports || rule.tcp_flags.is_some() || rule.icmp.is_some()) {
        return Err(
            statement.fault("fragments", "fragments after the first carry no ports, flags or ICMP type")
        );
    }
    Ok(Some(rule))
}

fn protocol(args: &Args) -> Option<u8> {
    let keyword = [("tcp", 6), ("udp", 17), ("icmp", 1)].into_iter().find(|(keyword, _)| args.has(keyword));
    let number = keyword.map(|(_, number)| number).or_else(|| args.optional("protocol"));
    number.filter(|number| *number != 0)
}

fn address(args: &Args) -> AddressMatch {
    match args.optional::<Ipv4Addr>("address") {
        Some(address) => {
            AddressMatch::new(address, args.optional("wildcard").unwrap_or(Ipv4Addr::UNSPECIFIED))
        }
        None => AddressMatch::ANY,
    }
}

fn port(args: &Args) -> Result<Option<PortMatch>, Fault> {
    if args.has("range") {
        let (low, high): (u16, u16) = (args.required("low"), args.required("high"));
        if low > high {
            return Err(Fault::at(
                args.column("low"),
                format!("the range starts at {low}, after its end {high}"),
            ));
        }
        return Ok(Some(PortMatch::Range(low, high)));
    }
    Ok(match args.optional("port") {
        None => None,
        Some(port) if args.has("neq") => Some(PortMatch::NotEqual(port)),
        Some(port) if args.has("lt") => Some(PortMatch::Below(port)),
        Some(port) if args.has("gt") => Some(PortMatch::Above(port)),
        Some(_) => Some(PortMatch::Equal(args.all("port").collect())),
    })
}

fn tcp_flags(statement: &Statement) -> Result<Option<TcpFlagsMatch>, Fault> {
    let args = &statement.args;
    let bits = TCP_FLAGS.iter().filter(|(name, _)| args.has(name)).fold(0, |bits, (_, bit)| bits | bit);
    match (args.has("established"), bits) {
        (true, 0) => Ok(Some(TcpFlagsMatch::Established)),
        (true, _) => Err(statement.fault("established", "established already says which flags are set")),
        (false, 0) => Ok(None),
        (false, bits) => Ok(Some(TcpFlagsMatch::AnyOf(bits))),
    }
}

fn icmp(args: &Args) -> Option<IcmpMatch> {
    match args.optional::<u32>("message") {
        Some(message) => Some(IcmpMatch::from_number(message)),
        None => args.optional("type").map(|kind| IcmpMatch { kind, code: args.optional("code") }),
    }
}

impl AccessRule {
    /// The rule as a list of this kind writes it, without a number.
    pub fn line(&self, kind: AccessListKind) -> String {
        let mut words = vec![self.action.to_string()];
        match kind {
            AccessListKind::Standard => words.push(self.source.text("")),
            AccessListKind::Extended => self.push_extended(&mut words),
        }
        if self.log {
            words.push("log".to_string());
        }
        words.join(" ")
    }

    fn push_extended(&self, words: &mut Vec<String>) {
        let ports = match self.protocol {
            Some(6) => names::TCP_PORTS,
            _ => names::UDP_PORTS,
        };
        words.push(named(names::PROTOCOLS, self.protocol.unwrap_or(0)));
        for (address, port) in [(self.source, &self.source_port), (self.destination, &self.destination_port)]
        {
            words.push(address.text("host "));
            words.extend(port.as_ref().map(|port| port.text(ports)));
        }
        words.extend(self.icmp.map(IcmpMatch::text));
        match self.tcp_flags {
            None => {}
            Some(TcpFlagsMatch::Established) => words.push("established".to_string()),
            Some(TcpFlagsMatch::AnyOf(bits)) => {
                let set = TCP_FLAGS.iter().filter(|(_, bit)| bits & bit != 0);
                words.extend(set.map(|(name, _)| name.to_string()));
            }
        }
        words.extend(self.dscp.map(|dscp| format!("dscp {}", named(names::DSCP, dscp))));
        if self.fragments {
            words.push("fragments".to_string());
        }
    }
}

impl Display for AccessAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AccessAction::Permit => "permit",
            AccessAction::Deny => "deny",
        })
    }
}

impl AddressMatch {
    /// The addresses; a single one is introduced by `host`, which is empty where the word is left out.
    fn text(&self, host: &str) -> String {
        match self.wildcard {
            Ipv4Addr::BROADCAST => "any".to_string(),
            Ipv4Addr::UNSPECIFIED => format!("{host}{}", self.address),
            wildcard => format!("{} {wildcard}", self.address),
        }
    }
}

impl PortMatch {
    fn text(&self, names: Names) -> String {
        match self {
            PortMatch::Equal(ports) => {
                let ports: Vec<String> = ports.iter().map(|port| named(names, *port)).collect();
                format!("eq {}", ports.join(" "))
            }
            PortMatch::NotEqual(port) => format!("neq {}", named(names, *port)),
            PortMatch::Below(port) => format!("lt {}", named(names, *port)),
            PortMatch::Above(port) => format!("gt {}", named(names, *port)),
            PortMatch::Range(low, high) => format!("range {} {}", named(names, *low), named(names, *high)),
        }
    }
}

impl IcmpMatch {
    fn text(self) -> String {
        match (name_of(names::ICMP_MESSAGES, self.number()), self.code) {
            (Some(name), _) => name.to_string(),
            (None, Some(code)) => format!("{} {code}", self.kind),
            (None, None) => self.kind.to_string(),
        }
    }
}

pub(super) fn compiled(rule: &AccessRule, counter: u32) -> policy::AclEntry {
    const ACK_OR_RST: u8 = 0x14;
    policy::AclEntry {
        permit: rule.action == AccessAction::Permit,
        src: policy::AddressMatch::wildcard(rule.source.address, rule.source.wildcard),
        dst: policy::AddressMatch::wildcard(rule.destination.address, rule.destination.wildcard),
        protocol: rule.protocol,
        src_ports: port_ranges(rule.source_port.as_ref()),
        dst_ports: port_ranges(rule.destination_port.as_ref()),
        tcp_flags_any: match rule.tcp_flags {
            None => 0,
            Some(TcpFlagsMatch::Established) => ACK_OR_RST,
            Some(TcpFlagsMatch::AnyOf(flags)) => flags,
        },
        icmp: rule.icmp.map(|icmp| (icmp.kind, icmp.code)),
        fragments: rule.fragments,
        dscp: rule.dscp,
        counter,
    }
}

/// Port conditions as ranges. A condition that nothing meets becomes a range that holds nothing.
fn port_ranges(ports: Option<&PortMatch>) -> Box<[(u16, u16)]> {
    const NOTHING: (u16, u16) = (1, 0);
    match ports {
        None => Box::default(),
        Some(PortMatch::Equal(ports)) => ports.iter().map(|&port| (port, port)).collect(),
        Some(PortMatch::Range(low, high)) => Box::new([(*low, *high)]),
        Some(PortMatch::Below(bound)) => Box::new([bound.checked_sub(1).map_or(NOTHING, |high| (0, high))]),
        Some(PortMatch::Above(bound)) => {
            Box::new([bound.checked_add(1).map_or(NOTHING, |low| (low, u16::MAX))])
        }
        Some(PortMatch::NotEqual(port)) => {
            let below = port.checked_sub(1).map(|high| (0, high));
            let above = port.checked_add(1).map(|low| (low, u16::MAX));
            below.into_iter().chain(above).collect()
        }
    }
}
