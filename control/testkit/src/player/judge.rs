//! What the outside host reads: every listed endpoint is a global one with a door behind it, and nothing else changed.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use super::align::Alignment;
use super::forms::{self, Spot};
use super::scenario::{ExpectedDoor, Scenario};
use super::shown::excerpt;

/// A door that the index lists, and what became of it.
#[derive(Clone, Debug)]
pub struct DoorState {
    /// What is expected.
    pub order: ExpectedDoor,
    /// The global endpoint that the outside host read.
    pub announced: Option<SocketAddrV4>,
    /// Somebody came through.
    pub arrived: bool,
    /// The capture has packets from outside to it.
    pub is_used: bool,
    /// The outside host to which it was announced.
    pub peer: Option<Ipv4Addr>,
    /// The call and the media line that it is for, if it is for one.
    pub line: Option<(Vec<u8>, usize)>,
    /// A stranger has tried it.
    pub is_tried: bool,
}

/// A message that was said and heard.
pub struct Heard<'a> {
    /// What was said.
    pub said: &'a [u8],
    /// What was heard.
    pub heard: &'a [u8],
    /// Both beside each other.
    pub alignment: &'a Alignment,
}

/// An endpoint or address that was found in a message: the door's number, if it is one's, and where it stands.
struct Found {
    door: Option<usize>,
    local: SocketAddrV4,
    spot: Spot,
}

/// Everything listed that a message has.
fn find(scenario: &Scenario, doors: &[DoorState], said: &[u8]) -> Vec<Found> {
    let of_doors = doors.iter().enumerate().flat_map(|(n, door)| {
        let order = &door.order;
        let spots = forms::endpoints(said, order.local, &order.tag, &order.together);
        spots.into_iter().map(move |spot| Found { door: Some(n), local: order.local, spot })
    });
    let of_hosts = scenario.may_change.iter().flat_map(|addr| {
        let spots = forms::addresses(said, scenario.form(), *addr);
        spots.into_iter().map(|spot| Found { door: None, local: SocketAddrV4::new(*addr, 0), spot })
    });
    let of_endpoints = scenario.endpoints.iter().flat_map(|local| {
        let spots = forms::endpoints(said, *local, "", &[]).into_iter().filter(|spot| spot.address.is_some());
        spots.map(|spot| Found { door: None, local: *local, spot })
    });
    of_doors.chain(of_hosts).chain(of_endpoints).collect()
}

/// An address or endpoint that the outside host has read, and rightly.
pub struct Reading {
    /// Whose it is.
    pub local: Ipv4Addr,
    /// The door's number and what was read, if it is a door's.
    pub door: Option<(usize, SocketAddrV4)>,
    /// What was said, and what stands there now.
    pub echo: (Vec<u8>, Vec<u8>),
}

/// What the outside host reads of listed endpoints in a message, as far as it has heard it. `address_of` and `global_of`
/// say where an inside host, and what a door leads to, are to be found outside; `has_port`, whether an inside endpoint has
/// a global port.
pub fn readings(
    scenario: &Scenario,
    doors: &[DoorState],
    message: &Heard,
    address_of: impl Fn(Ipv4Addr) -> Ipv4Addr,
    global_of: impl Fn(&ExpectedDoor) -> Option<SocketAddrV4>,
    has_port: impl Fn(SocketAddrV4, u16) -> bool,
) -> Vec<Result<Reading, String>> {
    let mut readings = Vec::new();
    for Found { door, local: endpoint, spot } in find(scenario, doors, message.said) {
        let Some(read) = spot.read(message.heard, message.alignment) else { continue };
        let whole = message.alignment.heard(&spot.whole).unwrap_or_default();
        let echo = (message.said[spot.whole.clone()].to_vec(), message.heard[whole].to_vec());
        let shown = format!("'{}' became '{}'", excerpt(&echo.0), excerpt(&echo.1));
        readings.push(read.and_then(|(addr, port)| {
            let local = *endpoint.ip();
            let own = address_of(local);
            if addr.is_some_and(|addr| addr != own) {
                return Err(format!("{shown}: {local} is {own} outside"));
            }
            let (Some(door), Some(port)) = (door, port) else {
                let is_right = port.is_none_or(|port| has_port(endpoint, port));
                let wrong = || format!("{shown}, and no mapping or door of {endpoint} has this port");
                return if is_right { Ok(Reading { local, door: None, echo }) } else { Err(wrong()) };
            };
            let order = &doors[door].order;
            let global = SocketAddrV4::new(own, port);
            match global_of(order) {
                Some(is) if is == global => Ok(Reading { local, door: Some((door, global)), echo }),
                Some(is) => Err(format!("{shown}, and the door of {} is {is}", order.local)),
                None => Err(format!("{shown}, and there is no door to {}", order.local)),
            }
        }));
    }
    readings
}

/// Changes of a message that the index does not list.
pub fn unlisted(scenario: &Scenario, doors: &[DoorState], message: &Heard) -> Vec<String> {
    let found = find(scenario, doors, message.said);
    let is_listed = |said: &Range<usize>| {
        found.iter().any(|found| found.spot.covers(said)) || is_length(message.said, said)
    };
    let edits = message.alignment.edits.iter().filter(|edit| !is_listed(&edit.said));
    let tell = |edit: &super::align::Edit| {
        let before = edit.said.start.saturating_sub(20)..edit.said.end;
        format!(
            "not listed: '{}' became '{}' at its end",
            message.said[before].escape_ascii(),
            message.heard[edit.heard.clone()].escape_ascii()
        )
    };
    edits.map(tell).collect()
}

/// Whether a number is the length of a body, which changes with what is in that.
fn is_length(said: &[u8], number: &Range<usize>) -> bool {
    let line = said[..number.start].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.to_ascii_lowercase();
    let name = name.trim_ascii_end().strip_suffix(b":").unwrap_or_default().trim_ascii_end();
    name == b"content-length" || name == b"l"
}
