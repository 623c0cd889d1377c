//! The headers that name hosts, a row each, and what a host is named for.

use crate::message::Header;

/// What the hosts of a header are named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where answers go: `Via`.
    Via,
    /// Where requests to its sender go from now on.
    Contact,
    /// Where its sender, a proxy, wants to see further requests.
    Proxy,
    /// Which proxies a request goes by.
    Route,
    /// Where a request goes, or is to go.
    Target,
    /// Who somebody is: nothing is sent there for it.
    Name,
    /// Who warns: a host ahead of a text.
    Warning,
}

/// A header's name, its compact form, and its place.
struct Row {
    name: &'static str,
    compact: &'static str,
    place: Place,
}

const fn row(name: &'static str, compact: &'static str, place: Place) -> Row {
    Row { name, compact, place }
}

/// The headers that name hosts (RFC 3261 section 20, 3327, 3515, 3608, 3892, 3325, 7315, 5806, 7044). Of all others nothing
/// changes: digests cover `Authorization`, and dialogs are told apart by `Call-ID`, `Replaces` and tags.
const ROWS: &[Row] = &[
    row("via", "v", Place::Via),
    row("contact", "m", Place::Contact),
    row("route", "", Place::Route),
    row("record-route", "", Place::Proxy),
    row("path", "", Place::Proxy),
    row("service-route", "", Place::Route),
    row("refer-to", "r", Place::Target),
    row("from", "f", Place::Name),
    row("to", "t", Place::Name),
    row("referred-by", "b", Place::Name),
    row("reply-to", "", Place::Name),
    row("p-asserted-identity", "", Place::Name),
    row("p-preferred-identity", "", Place::Name),
    row("p-called-party-id", "", Place::Name),
    row("p-associated-uri", "", Place::Name),
    row("remote-party-id", "", Place::Name),
    row("diversion", "", Place::Name),
    row("history-info", "", Place::Name),
    row("call-info", "", Place::Name),
    row("alert-info", "", Place::Name),
    row("error-info", "", Place::Name),
    row("warning", "", Place::Warning),
];

/// What the hosts of a header are named for; none if it names none, or none that may change.
pub fn place(header: &Header) -> Option<Place> {
    let is_it =
        |row: &&Row| header.name.is(row.name) || (!row.compact.is_empty() && header.name.is(row.compact));
    ROWS.iter().find(is_it).map(|row| row.place)
}
