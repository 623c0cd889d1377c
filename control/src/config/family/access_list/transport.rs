//! What access lists and object groups ask of ports and ICMP messages: how it is read and written, and what the data plane gets of it.

use crate::config::args::Args;
use crate::config::builder::Fault;
use crate::config::names::{self, Names, icmp_code, icmp_type, name_of};
use crate::config::text::named;

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

/// What the data plane asks of a packet's protocol, and of what comes behind the IP header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::config::family) struct ServiceMatch {
    /// The protocol; `None` is any.
    pub(in crate::config::family) protocol: Option<u8>,
    /// Source ports, any of these ranges; empty for all.
    pub(in crate::config::family) src_ports: Box<[(u16, u16)]>,
    /// Destination ports, any of these ranges; empty for all.
    pub(in crate::config::family) dst_ports: Box<[(u16, u16)]>,
    /// ICMP type and code.
    pub(in crate::config::family) icmp: Option<(u8, Option<u8>)>,
}

/// The ports of a line.
pub(in crate::config::family) fn port(args: &Args) -> Result<Option<PortMatch>, Fault> {
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

/// The ICMP message of a line.
pub(in crate::config::family) fn icmp(args: &Args) -> Option<IcmpMatch> {
    match args.optional::<u32>("message") {
        Some(message) => Some(IcmpMatch::from_number(message)),
        None => args.optional("type").map(|kind| IcmpMatch { kind, code: args.optional("code") }),
    }
}

impl PortMatch {
    /// The condition in words, with these names of ports.
    pub(in crate::config::family) fn text(&self, names: Names) -> String {
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
    /// The message in words.
    pub(in crate::config::family) fn text(self) -> String {
        match (name_of(names::ICMP_MESSAGES, self.number()), self.code) {
            (Some(name), _) => name.to_string(),
            (None, Some(code)) => format!("{} {code}", self.kind),
            (None, None) => self.kind.to_string(),
        }
    }
}

/// Port conditions as ranges. A condition that nothing meets becomes a range that holds nothing.
pub(in crate::config::family) fn port_ranges(ports: Option<&PortMatch>) -> Box<[(u16, u16)]> {
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
