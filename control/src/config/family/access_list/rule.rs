//! One rule of an access list: what it matches, and how it is read and written.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::transport::{IcmpMatch, PortMatch, icmp, port};
use crate::config::args::Args;
use crate::config::builder::{Fault, Statement};
use crate::config::names;
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
    /// `object-group G`: the protocols and ports of a group, in place of those below.
    pub services: Option<String>,
    /// The IP protocol; `None` is any.
    pub protocol: Option<u8>,
    /// The source address.
    pub source: Addresses,
    /// The source port, of TCP and UDP.
    pub source_port: Option<PortMatch>,
    /// The destination address.
    pub destination: Addresses,
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
    /// `time-range NAME`: when the rule is in force; without it, always.
    pub time_range: Option<String>,
}

impl AccessRule {
    /// A rule that matches every packet.
    pub fn any(action: AccessAction) -> AccessRule {
        AccessRule {
            action,
            services: None,
            protocol: None,
            source: Addresses::ANY,
            source_port: None,
            destination: Addresses::ANY,
            destination_port: None,
            tcp_flags: None,
            icmp: None,
            dscp: None,
            fragments: false,
            log: false,
            time_range: None,
        }
    }
}

impl AccessRule {
    /// The prefix of a rule that permits one and has no other condition.
    pub(super) fn prefix(&self) -> Option<Ipv4Net> {
        let Addresses::Match(AddressMatch { address, wildcard }) = self.source else { return None };
        let plain = AccessRule {
            source: self.source.clone(),
            log: self.log,
            ..AccessRule::any(AccessAction::Permit)
        };
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

/// Which addresses a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Those under a wildcard.
    Match(AddressMatch),
    /// `object-group G`: those of a group.
    Group(String),
}

impl Addresses {
    /// Every address.
    pub const ANY: Addresses = Addresses::Match(AddressMatch::ANY);

    /// The addresses; a single one is introduced by `host`, which is empty where the word is left out.
    fn text(&self, host: &str) -> String {
        match self {
            Addresses::Match(addresses) => addresses.text(host),
            Addresses::Group(name) => format!("object-group {name}"),
        }
    }
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
        services: args.optional("services"),
        protocol: protocol(args),
        source: addresses(&source),
        source_port: port(&source)?,
        destination: addresses(&destination),
        destination_port: port(&destination)?,
        tcp_flags: tcp_flags(statement)?,
        icmp: icmp(args),
        dscp: args.optional("dscp"),
        fragments: args.has("fragments"),
        log: args.has("log") || args.has("log-input"),
        time_range: args.optional("time-range"),
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

fn addresses(args: &Args) -> Addresses {
    if let Some(group) = args.optional("group") {
        return Addresses::Group(group);
    }
    let wildcard = args.optional("wildcard").unwrap_or(Ipv4Addr::UNSPECIFIED);
    let address: Option<Ipv4Addr> = args.optional("address");
    address.map_or(Addresses::ANY, |address| Addresses::Match(AddressMatch::new(address, wildcard)))
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
        words.extend(self.time_range.iter().map(|name| format!("time-range {name}")));
        words.join(" ")
    }

    fn push_extended(&self, words: &mut Vec<String>) {
        let ports = match self.protocol {
            Some(6) => names::TCP_PORTS,
            _ => names::UDP_PORTS,
        };
        words.push(match &self.services {
            Some(services) => format!("object-group {services}"),
            None => named(names::PROTOCOLS, self.protocol.unwrap_or(0)),
        });
        for (addresses, port) in
            [(&self.source, &self.source_port), (&self.destination, &self.destination_port)]
        {
            words.push(addresses.text("host "));
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
