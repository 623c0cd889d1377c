//! The kinds of parameter a syntax line may hold, and the values read from them.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use ipnet::Ipv4Net;

use super::interface_name::{InterfaceName, canonical_unit, long_type};
use super::lex::Token;
use super::model::{MacAddress, PortRange};
use super::names::{self, Names};

/// What may stand where a syntax line has `<name:kind>`.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Any word.
    Word,
    /// A word that does not start with a digit: a name where a number would mean something else.
    Name,
    /// The rest of the line, spacing kept.
    Text,
    Address,
    /// A contiguous mask, dotted or as `/24`; its value is the length.
    Mask,
    Wildcard,
    Prefix,
    /// A time of day; its value is in minutes.
    Clock,
    /// A number in one of the ranges.
    Integer(Vec<RangeInclusive<u32>>),
    Named(&'static NamedNumber),
    Interface,
    /// The type alone, of an interface written as two words.
    InterfaceType,
    /// The number that follows it.
    InterfaceUnit,
    Mac,
    Cores,
    Ports,
}

/// A number that may be given by name.
#[derive(Debug)]
pub(super) struct NamedNumber {
    range: Option<RangeInclusive<u32>>,
    description: &'static str,
    names: fn() -> Names,
}

/// A kind that syntax lines call by its name.
#[derive(Debug)]
pub struct KindRow {
    /// The name.
    pub name: &'static str,
    kind: Kind,
    /// What it is, as the manual has it.
    pub about: &'static str,
}

impl KindRow {
    /// The names that may stand for the number.
    pub fn names(&self) -> Names {
        self.kind.names()
    }
}

const fn kind(name: &'static str, kind: Kind, about: &'static str) -> KindRow {
    KindRow { name, kind, about }
}

/// Every kind with a name, in the order of the manual.
#[rustfmt::skip]
pub static KINDS: [KindRow; 25] = [
    kind("word", Kind::Word, "any word"),
    kind("name", Kind::Name, "a word that does not start with a digit"),
    kind("text", Kind::Text, "the rest of the line"),
    kind("address", Kind::Address, "an IPv4 address"),
    kind("mask", Kind::Mask, "a contiguous mask, `255.255.255.0` or `/24`"),
    kind("prefix", Kind::Prefix, "a prefix, `10.0.0.0/8`"),
    kind("wildcard", Kind::Wildcard, "a wildcard mask: bits that are set may differ"),
    kind("interface", Kind::Interface, "an interface, in one word or two: `GigabitEthernet0/0/0`, `gi 0/0/0.100`"),
    kind("mac", Kind::Mac, "a MAC address, `0200.0000.0001`"),
    kind("cores", Kind::Cores, "processor cores, `2-3` or `2,3`"),
    kind("ports", Kind::Ports, "ports, `0-1023,5060`"),
    kind("tcp-port", Kind::Named(&TCP_PORT), "0 to 65535, or a name"),
    kind("udp-port", Kind::Named(&UDP_PORT), "0 to 65535, or a name"),
    kind("common-port", Kind::Named(&COMMON_PORT), "0 to 65535, or a name that TCP and UDP have in common"),
    kind("nat-tcp-port", Kind::Named(&NAT_TCP_PORT), "1 to 65535, or a name"),
    kind("nat-udp-port", Kind::Named(&NAT_UDP_PORT), "1 to 65535, or a name"),
    kind("protocol", Kind::Named(&PROTOCOL), "0 to 255, or a name"),
    kind("clock", Kind::Clock, "a time of day, `8:30`"),
    kind("month", Kind::Named(&MONTH), "a month by its name"),
    kind("weekday", Kind::Named(&WEEKDAY), "a day of the week by its name"),
    kind("dscp", Kind::Named(&DSCP), "0 to 63, or a name"),
    kind("severity", Kind::Named(&SEVERITY), "0 to 7, or a name"),
    kind("icmp-message", Kind::Named(&ICMP_MESSAGE), "one of these names"),
    kind("alg", Kind::Named(&ALG), "an ALG by its name in [algs.md](algs.md)"),
    kind("service", Kind::Named(&SERVICE), "an ALG by its switch in [algs.md](algs.md)"),
];

const fn named(
    range: Option<RangeInclusive<u32>>,
    description: &'static str,
    names: fn() -> Names,
) -> NamedNumber {
    NamedNumber { range, description, names }
}

static TCP_PORT: NamedNumber = named(Some(0..=65535), "a TCP port", || names::TCP_PORTS);
static UDP_PORT: NamedNumber = named(Some(0..=65535), "a UDP port", || names::UDP_PORTS);
static COMMON_PORT: NamedNumber = named(Some(0..=65535), "a port of TCP and UDP", || names::COMMON_PORTS);
static NAT_TCP_PORT: NamedNumber = named(Some(1..=65535), "a TCP port", || names::TCP_PORTS);
static NAT_UDP_PORT: NamedNumber = named(Some(1..=65535), "a UDP port", || names::UDP_PORTS);
static PROTOCOL: NamedNumber = named(Some(0..=255), "a protocol", || names::PROTOCOLS);
static MONTH: NamedNumber = named(None, "a month", || names::MONTHS);
static WEEKDAY: NamedNumber = named(None, "a day of the week", || names::WEEKDAYS);
static DSCP: NamedNumber = named(Some(0..=63), "a code point", || names::DSCP);
static SEVERITY: NamedNumber = named(Some(0..=7), "a severity", || names::SEVERITIES);
static ICMP_MESSAGE: NamedNumber = named(None, "an ICMP message", || names::ICMP_MESSAGES);
static ALG: NamedNumber = named(None, "an ALG", || &names::ALGS);
static SERVICE: NamedNumber = named(None, "an ALG", || &names::SERVICES);

/// A value read from a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A keyword of the syntax; its name says all.
    Keyword,
    /// A name or free text, as written.
    Text(String),
    /// A number; for a mask its length in bits, for a time of day its minutes.
    Integer(u32),
    /// An IPv4 address or a wildcard mask.
    Address(Ipv4Addr),
    /// A prefix; bits of a host are kept.
    Prefix(Ipv4Net),
    /// An interface's name.
    Interface(InterfaceName),
    /// An Ethernet address.
    Mac(MacAddress),
    /// Processor cores, in the order given.
    Cores(Vec<u16>),
    /// Ranges of ports, ascending and apart.
    Ports(Vec<PortRange>),
}

impl Kind {
    /// The kind that a syntax line calls so: a row of [`KINDS`], or numbers and their ranges such as `1-99,1300-1999`.
    pub(super) fn named(name: &'static str) -> Option<Kind> {
        match KINDS.iter().find(|row| row.name == name) {
            Some(row) => Some(row.kind.clone()),
            None => Some(Kind::Integer(name.split(',').map(range).collect::<Option<_>>()?)),
        }
    }

    /// Reads a word as a value of this kind; names of numbers are matched by the grammar, like keywords.
    pub(super) fn read(&self, token: &Token<'_>) -> Option<Value> {
        let text = token.text;
        match self {
            Kind::Text => Some(Value::Text(token.rest.to_string())),
            _ if token.starts_comment() => None,
            Kind::Word => Some(Value::Text(text.to_string())),
            Kind::Name => Some(Value::Text(text.to_string()))
                .filter(|_| !text.starts_with(|c: char| c.is_ascii_digit())),
            Kind::Address | Kind::Wildcard => text.parse().ok().map(Value::Address),
            Kind::Clock => clock(text).map(Value::Integer),
            Kind::Prefix => text.parse().ok().map(Value::Prefix),
            Kind::Mask => mask_length(text).map(Value::Integer),
            Kind::Integer(ranges) => number(text, ranges),
            Kind::Named(named) => number(text, named.range.as_slice()),
            Kind::Interface => text.parse().ok().map(Value::Interface),
            Kind::InterfaceType => long_type(text).map(|long| Value::Text(long.to_string())),
            Kind::InterfaceUnit => canonical_unit(text).map(Value::Text),
            Kind::Mac => text.parse().ok().map(Value::Mac),
            Kind::Cores => cores(text).map(Value::Cores),
            Kind::Ports => ports(text).map(Value::Ports),
        }
    }

    /// The names that may stand for the number.
    pub(super) fn names(&self) -> Names {
        match self {
            Kind::Named(named) => (named.names)(),
            _ => &[],
        }
    }

    /// What `?` shows in place of a word.
    pub(super) fn placeholder(&self) -> String {
        match self {
            Kind::Word | Kind::Name => "WORD".to_string(),
            Kind::Text => "LINE".to_string(),
            Kind::Address | Kind::Mask | Kind::Wildcard => "A.B.C.D".to_string(),
            Kind::Prefix => "A.B.C.D/nn".to_string(),
            Kind::Clock => "hh:mm".to_string(),
            Kind::Integer(ranges) => placeholder(ranges),
            Kind::Named(named) => placeholder(named.range.as_slice()),
            Kind::Interface | Kind::InterfaceType => "IFACE".to_string(),
            Kind::InterfaceUnit => "0/0/0".to_string(),
            Kind::Mac => "H.H.H".to_string(),
            Kind::Cores => "CORES".to_string(),
            Kind::Ports => "PORTS".to_string(),
        }
    }

    /// The kind in a sentence: "expected ...".
    pub(super) fn description(&self) -> String {
        match self {
            Kind::Word => "a word".to_string(),
            Kind::Name => "a name".to_string(),
            Kind::Text => "text".to_string(),
            Kind::Address => "an address".to_string(),
            Kind::Mask => "a contiguous mask".to_string(),
            Kind::Wildcard => "a wildcard mask".to_string(),
            Kind::Clock => "a time of day such as 8:30".to_string(),
            Kind::Prefix => "a prefix such as 10.0.0.0/8".to_string(),
            Kind::Integer(ranges) => placeholder(ranges),
            Kind::Named(named) => named.description.to_string(),
            Kind::Interface | Kind::InterfaceType => "an interface".to_string(),
            Kind::InterfaceUnit => "an interface number".to_string(),
            Kind::Mac => "a MAC address such as 0200.0000.0001".to_string(),
            Kind::Cores => "cores such as 2-3 or 2,3".to_string(),
            Kind::Ports => "ports such as 0-1023,5060".to_string(),
        }
    }
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    Some(low.parse().ok()?..=high.parse().ok()?)
}

fn placeholder(ranges: &[RangeInclusive<u32>]) -> String {
    let text = |range: &RangeInclusive<u32>| match (range.start(), range.end()) {
        (low, high) if low == high => low.to_string(),
        (low, high) => format!("{low}-{high}"),
    };
    let ranges: Vec<String> = ranges.iter().map(text).collect();
    format!("<{}>", ranges.join(","))
}

fn number(text: &str, ranges: &[RangeInclusive<u32>]) -> Option<Value> {
    let number = digits(text)?;
    ranges.iter().any(|range| range.contains(&number)).then_some(Value::Integer(number))
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The length of a contiguous mask.
fn mask_length(text: &str) -> Option<u32> {
    if let Some(length) = text.strip_prefix('/') {
        return digits(length).filter(|length| *length <= 32);
    }
    let bits = text.parse::<Ipv4Addr>().ok()?.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() >= 32).then_some(bits.leading_ones())
}

/// The minutes of a time of day.
fn clock(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let is_short = (1..=2).contains(&hour.len()) && minute.len() == 2;
    let (hour, minute) = (digits(hour)?, digits(minute)?);
    (is_short && hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// A list of ports and ranges of ports, each port at most once, in order.
fn ports(text: &str) -> Option<Vec<PortRange>> {
    let port = |text: &str| digits(text)?.try_into().ok();
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = PortRange { start: port(low)?, end: port(high)? };
        Some(range).filter(|range| range.start <= range.end)
    };
    let mut ranges = text.split(',').map(range).collect::<Option<Vec<PortRange>>>()?;
    ranges.sort_by_key(|range| range.start);
    let apart = ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
    apart.then_some(ranges)
}

/// A list of cores and ranges of cores, each core at most once.
fn cores(text: &str) -> Option<Vec<u16>> {
    let core = |text: &str| digits(text).filter(|core| *core < 1024).map(|core| core as u16);
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let (low, high) = (core(low)?, core(high)?);
        if low > high || (low..=high).any(|core| cores.contains(&core)) {
            return None;
        }
        cores.extend(low..=high);
    }
    Some(cores)
}

#[cfg(test)]
mod tests {
    use super::super::lex::tokens;
    use super::*;

    fn read(kind: &'static str, text: &str) -> Option<Value> {
        Kind::named(kind).unwrap().read(&tokens(text)[0])
    }

    #[test]
    fn masks_are_contiguous() {
        for (text, length) in [("255.255.255.0", 24), ("0.0.0.0", 0), ("255.255.255.255", 32), ("/30", 30)] {
            assert_eq!(read("mask", text), Some(Value::Integer(length)), "{text}");
        }
        for text in ["255.0.255.0", "0.0.0.255", "/33", "/+3", "24", "255.255.255"] {
            assert_eq!(read("mask", text), None, "{text}");
        }
    }

    #[test]
    fn times_of_day_have_hours_and_minutes() {
        for (text, minutes) in [("0:00", 0), ("08:05", 485), ("23:59", 1439)] {
            assert_eq!(read("clock", text), Some(Value::Integer(minutes)), "{text}");
        }
        for text in ["24:00", "8:60", "8:5", "8", ":30", "008:30", "+8:30"] {
            assert_eq!(read("clock", text), None, "{text}");
        }
    }

    #[test]
    fn numbers_stay_in_their_ranges() {
        assert_eq!(read("30,60", "60"), Some(Value::Integer(60)));
        assert_eq!(read("30,60", "45"), None);
        assert_eq!(Kind::named("30,60-99").unwrap().placeholder(), "<30,60-99>");
        assert_eq!(read("1-99,1300-1999", "1300"), Some(Value::Integer(1300)));
        for text in ["0", "100", "2000", "+5", "5x", "99999999999"] {
            assert_eq!(read("1-99,1300-1999", text), None, "{text}");
        }
    }

    #[test]
    fn cores_are_listed_once() {
        assert_eq!(read("cores", "2-4,7,6"), Some(Value::Cores(vec![2, 3, 4, 7, 6])));
        for text in ["2-", "4-2", "2,2", "1-3,2", "x", "0-99999"] {
            assert_eq!(read("cores", text), None, "{text}");
        }
    }

    #[test]
    fn ports_are_sorted_and_apart() {
        let range = |start, end| PortRange { start, end };
        assert_eq!(read("ports", "5060,0-1023"), Some(Value::Ports(vec![range(0, 1023), range(5060, 5060)])));
        for text in ["0-", "5-4", "1,1", "1-3,2", "x", "0-65536", "+1"] {
            assert_eq!(read("ports", text), None, "{text}");
        }
    }

    #[test]
    fn free_text_alone_may_start_like_a_comment() {
        assert_eq!(read("text", "x  ! y"), Some(Value::Text("x  ! y".to_string())));
        let token = Token { text: "!x", rest: "!x", column: 1 };
        assert_eq!(Kind::Word.read(&token), None);
        assert_eq!(Kind::Text.read(&token), Some(Value::Text("!x".to_string())));
    }
}
