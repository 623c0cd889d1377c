//! The `Transport` header, read: a list of specifications, each with its parameters.
//!
//! Only what describes media over unicast UDP counts; what is interleaved with the control connection, or sent to
//! groups, stays.

use nom::Parser;
use nom::combinator::all_consuming;

use crate::slice::Slice;
use crate::{Refusal, text};

/// The ports of media and of their reports, or one alone. The second one is behind the first, or the same, or any other:
/// real peers choose both freely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The port.
    pub first: u16,
    /// The port of the reports.
    pub last: Option<u16>,
    /// What is written between them.
    pub mark: char,
}

impl Range {
    /// Reads `a`, `a-b` or `a/b`.
    pub fn read(slice: Slice) -> Result<Range, Refusal> {
        let mark = if slice.bytes.contains(&b'/') { b'/' } else { b'-' };
        let (first, last) = slice.cut(mark);
        let first = port(first.trim())?;
        let last = last.map(|last| port(last.trim())).transpose()?;
        Ok(Range { first, last, mark: char::from(mark) })
    }

    /// Whether the second port is the one behind the first.
    pub fn is_pair(self) -> bool {
        self.last.is_some_and(|last| self.first.checked_add(1) == Some(last))
    }

    /// A second port that is not behind the first.
    pub fn other(self) -> Option<u16> {
        self.last.filter(|&last| last != self.first && !self.is_pair())
    }
}

/// A port, and nothing else.
pub fn port(slice: Slice) -> Result<u16, Refusal> {
    all_consuming(text::port).parse(slice.bytes).map(|(_, port)| port).map_err(|_| Refusal::Argument)
}

/// What a parameter describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A range of ports.
    Ports,
    /// An address, behind which a port may be.
    Address,
    /// A list of quoted endpoints.
    Endpoints,
}

/// A parameter that counts: what it describes, and whether of the client.
fn kind(name: Slice) -> Option<(Kind, bool)> {
    const KINDS: &[(&str, Kind, bool)] = &[
        ("client_port", Kind::Ports, true),
        ("port", Kind::Ports, true),
        ("destination", Kind::Address, true),
        ("dest_addr", Kind::Endpoints, true),
        ("server_port", Kind::Ports, false),
        ("source", Kind::Address, false),
        ("src_addr", Kind::Endpoints, false),
    ];
    KINDS.iter().find(|(known, ..)| name.is(known)).map(|(_, kind, is_clients)| (*kind, *is_clients))
}

/// A parameter that counts.
#[derive(Clone, Copy)]
pub struct Parameter<'m> {
    /// What it describes.
    pub kind: Kind,
    /// It is about the client.
    pub is_clients: bool,
    /// The description.
    pub value: Slice<'m>,
}

/// The parameters that count, of one specification or of several.
pub fn parameters<'m>(specs: Slice<'m>) -> impl Iterator<Item = Parameter<'m>> + Clone {
    specifications(specs).flat_map(|spec| spec.fields(b';').skip(1)).filter_map(|parameter| {
        let (name, value) = parameter.cut(b'=');
        let (kind, is_clients) = kind(name.trim())?;
        Some(Parameter { kind, is_clients, value: value?.trim() })
    })
}

/// The specifications that count.
pub fn specifications<'m>(value: Slice<'m>) -> impl Iterator<Item = Slice<'m>> + Clone {
    value.fields(b',').filter(|spec| is_translated(*spec))
}

fn is_translated(spec: Slice) -> bool {
    let mut parts = spec.fields(b';').map(Slice::trim);
    let protocol = parts.next().and_then(|protocol| protocol.fields(b'/').last());
    let is_other = |slice: Slice| slice.is("multicast") || slice.cut(b'=').0.trim().is("interleaved");
    !protocol.is_some_and(|last| last.is("tcp") || last.is("mcast")) && !parts.any(is_other)
}

/// The host of an address, and the port behind it if there is one.
pub fn host_and_port(value: Slice) -> Quoted {
    let (host, port) = value.cut(b':');
    Quoted { host: host.trim(), port: port.map(Slice::trim) }
}

/// An endpoint of a list: the host, empty for the control connection's own, and the port.
#[derive(Clone, Copy)]
pub struct Quoted<'m> {
    /// The host.
    pub host: Slice<'m>,
    /// The port, if there is one.
    pub port: Option<Slice<'m>>,
}

impl Quoted<'_> {
    /// The host is no name.
    pub fn is_addressed(&self) -> bool {
        self.host.bytes.is_empty() || text::whole_address(self.host.bytes).is_some()
    }
}

/// The endpoints of a list, but for those of IPv6.
pub fn endpoints<'m>(list: Slice<'m>) -> impl Iterator<Item = Quoted<'m>> + Clone {
    list.fields(b'/').filter_map(|item| {
        let item = item.trim();
        let inner = item.bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        let (host, port) = item.skip(1).split(inner.len()).0.cut(b':');
        (!host.bytes.starts_with(b"[")).then_some(Quoted { host, port })
    })
}
