//! Session descriptions: doors for the inside host's media, and where the outside host's come from (RFC 3264, 3605, 4145, 5761).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;

use super::dialog::{Dialog, LINES_MAX};
use super::reach::LOW_PORTS_END;
use super::turn::Turn;
use crate::sdp::{self, Section};
use crate::slice::Slice;
use crate::{Door, Owner, Ports, Refusal, Side, Transport, text};

/// Ports, or pairs, of one line that doors open for.
const COUNT_MAX: u16 = 4;
/// The port of who connects himself, or tells his ports later (RFC 4145 section 4.1, 8840 section 4.1.1).
const DISCARD_PORT: u16 = 9;

/// Candidates of one line that doors open for, beside its own endpoints.
const CANDIDATES_MAX: usize = 4;

/// What an inside host announces in one line.
#[derive(Clone, Debug, Hash)]
struct Line {
    line: usize,
    transport: Transport,
    /// Where the media go.
    media: SocketAddrV4,
    count: u16,
    /// Where their reports go, if they do.
    reports: Option<SocketAddrV4>,
    /// Where they may go instead (ICE).
    candidates: ArrayVec<(Transport, SocketAddrV4), CANDIDATES_MAX>,
}

impl Line {
    /// Whether reports go to the port behind that of the media.
    fn is_pair(&self) -> bool {
        self.reports.is_some_and(|reports| {
            reports.ip() == self.media.ip() && self.media.port().checked_add(1) == Some(reports.port())
        })
    }
}

/// What a section's media need doors for. None where nothing is to come: the port is 0, or one that connects itself, or the
/// address is another's, or on hold.
fn read(turn: &Turn, line: usize, section: Section, session_addr: Option<Slice>) -> Option<Line> {
    let medium = section.medium()?;
    let connection = if section.has_connection() { section.connection() } else { session_addr };
    let addr = text::whole_address(connection?.bytes).filter(|addr| turn.may_describe(*addr))?;
    let port = whole_port(medium.port).filter(|port| !matches!(*port, 0 | DISCARD_PORT))?;
    let mut words = medium.protocol.fields(b'/');
    let is_tcp = words.clone().any(|word| word.is("tcp"));
    let media = SocketAddrV4::new(addr, port);
    let has_reports =
        !is_tcp && words.any(|word| word.is("rtp")) && section.attributes("rtcp-mux").next().is_none();
    let told = section.attributes("rtcp").next().map(|value| {
        let mut words = value.fields(b' ').map(Slice::trim);
        let port = words.next().and_then(whole_port);
        let addr = words.nth(2).map(|word| text::whole_address(word.bytes));
        (port, addr.unwrap_or(Some(addr_of(media))))
    });
    let reports = match told {
        _ if !has_reports => None,
        Some((port, of)) => {
            port.zip(of.filter(|of| turn.may_describe(*of))).map(|(port, of)| SocketAddrV4::new(of, port))
        }
        None => port.checked_add(1).map(|behind| SocketAddrV4::new(addr, behind)),
    };
    let reports = reports.filter(|reports| *reports != media && reports.port() != 0);
    let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
    let is_new = |(of, end): &(Transport, SocketAddrV4)| {
        (*of, *end) != (transport, media) && (*of == Transport::Tcp || reports != Some(*end))
    };
    let candidates =
        section.attributes("candidate").filter_map(|value| candidate(turn, value)).filter(is_new);
    let candidates = candidates.take(CANDIDATES_MAX).collect();
    Some(Line { line, transport, media, count: medium.count.clamp(1, COUNT_MAX), reports, candidates })
}

/// The inside host's own endpoint in an ICE candidate (RFC 8839 section 5.1).
fn candidate(turn: &Turn, value: Slice) -> Option<(Transport, SocketAddrV4)> {
    let mut words = value.fields(b' ').map(Slice::trim).filter(|word| !word.bytes.is_empty());
    let word = words.nth(2)?;
    let known = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
    let (_, transport) = known.into_iter().find(|(name, _)| word.is(name))?;
    let addr = text::whole_address(words.nth(1)?.bytes).filter(|addr| turn.is_own(*addr))?;
    let port = whole_port(words.next()?).filter(|port| !matches!(*port, 0 | DISCARD_PORT))?;
    Some((transport, SocketAddrV4::new(addr, port)))
}

fn addr_of(endpoint: SocketAddrV4) -> Ipv4Addr {
    *endpoint.ip()
}

fn whole_port(slice: Slice) -> Option<u16> {
    let (rest, port) = text::port(slice.bytes).ok()?;
    (rest.is_empty() && (port == 0 || !slice.bytes.starts_with(b"0"))).then_some(port)
}

/// The inside host's description: its doors open, and it tells of them.
pub fn announce(
    turn: &mut Turn,
    dialog: Option<&mut Dialog>,
    call: Option<u64>,
    body: Slice,
) -> Result<(), Refusal> {
    let mut sections = sdp::sections(body);
    let Some(head) = sections.next() else { return Ok(()) };
    let session_addr = head.connection();
    let lines: ArrayVec<Line, LINES_MAX> = sections
        .clone()
        .enumerate()
        .filter_map(|(line, section)| read(turn, line, section, session_addr))
        .take(LINES_MAX)
        .collect();
    if let (Some(dialog), Some(call)) = (dialog, call) {
        let mut hasher = DefaultHasher::new();
        lines.hash(&mut hasher);
        let described = (hasher.finish(), sections.clone().count());
        let offer = dialog.offer(described, call, turn.context);
        for line in lines.iter().filter(|line| line.line < LINES_MAX) {
            let door = Door {
                transport: line.transport,
                inside: line.media,
                peer: dialog.peer(line.line),
                ports: Ports::One,
                life_s: dialog.life_s(),
                uses_max: u16::MAX,
                owner: Owner::Part(call, Dialog::part(offer, line.line)),
                child: None,
            };
            if let Err(refusal) = open(turn, line, door) {
                turn.refused = Some(refusal);
            }
        }
    }
    write_section(turn, head, None)?;
    for (line, section) in sections.enumerate() {
        write_section(turn, section, lines.iter().find(|of| of.line == line))?;
    }
    Ok(())
}

/// Opens the doors of a line.
fn open(turn: &mut Turn, line: &Line, door: Door) -> Result<(), Refusal> {
    let step = if line.is_pair() { 2 } else { 1 };
    for n in 0..line.count {
        let Some(port) = line.media.port().checked_add(n * step) else { break };
        let inside = SocketAddrV4::new(addr_of(line.media), port);
        let ports = if line.is_pair() && port < u16::MAX { Ports::Pair } else { Ports::One };
        reserve(turn, Door { inside, ports, ..door })?;
    }
    if let Some(inside) = line.reports.filter(|_| !line.is_pair()) {
        reserve(turn, Door { inside, ..door })?;
    }
    line.candidates
        .iter()
        .try_for_each(|&(transport, inside)| reserve(turn, Door { transport, inside, ..door }))
}

fn reserve(turn: &mut Turn, door: Door) -> Result<(), Refusal> {
    if door.inside.port() < LOW_PORTS_END {
        return Err(Refusal::LowPort);
    }
    let global = turn.context.reserve(door)?;
    if !turn.is_own(*door.inside.ip()) {
        turn.know_third_party(*door.inside.ip(), *global.ip());
    }
    Ok(())
}

/// Translates what a section says of the inside host's own endpoints.
fn write_section(turn: &mut Turn, section: Section, line: Option<&Line>) -> Result<(), Refusal> {
    if let (Some(medium), Some(line)) = (section.medium(), line) {
        write_port(turn, medium.port, line.transport, line.media)?;
    }
    let mut tells_reports = false;
    for text in section.lines() {
        let (name, value) = text.skip(2).cut(b':');
        match (text.bytes.get(..2), value) {
            (Some(b"c=" | b"o="), _) => write_address_words(turn, text.skip(2))?,
            (Some(b"a="), Some(value)) if name.is("rtcp") => {
                tells_reports = true;
                let port = value.trim().cut(b' ').0;
                // They may share the port of the media (RFC 5761).
                let shared =
                    |line: &Line| (whole_port(port) == Some(line.media.port())).then_some(line.media);
                if let Some(reports) = line.and_then(|line| line.reports.or_else(|| shared(line))) {
                    write_port(turn, port, Transport::Udp, reports)?;
                }
                write_address_words(turn, value)?;
            }
            (Some(b"a="), Some(value)) if name.is("candidate") || name.is("alt") => {
                write_candidate(turn, value, line)?;
            }
            (Some(b"a="), Some(value)) if name.is("path") => write_path(turn, value)?,
            (Some(b"a="), Some(value)) if name.is("remote-candidates") => write_pairs(turn, value, None)?,
            _ => {}
        }
    }
    // Reports whose port does not follow that of the media need to be told (RFC 3605).
    let reports = line.and_then(|line| Some((line.media, line.reports.filter(|_| line.is_pair())?)));
    if let (false, Some((media, reports))) = (tells_reports, reports)
        && let Some(media) = turn.context.global(Transport::Udp, media)
        && let Some(reports) = turn.context.global(Transport::Udp, reports)
        && media.port().checked_add(1) != Some(reports.port())
    {
        let ahead = if section.is_ended() { "" } else { "\r\n" };
        insert(turn, section.end(), format_args!("{ahead}a=rtcp:{}\r\n", reports.port()))?;
    }
    Ok(())
}

/// Translates the own address behind `IN IP4`.
fn write_address_words(turn: &mut Turn, line: Slice) -> Result<(), Refusal> {
    let mut before = [None, None];
    for word in line.fields(b' ').map(Slice::trim) {
        if matches!(before, [Some(net), Some(family)] if Slice::is(net, "IN") && Slice::is(family, "IP4")) {
            return write_address(turn, word.cut(b'/').0);
        }
        before = [before[1], Some(word)];
    }
    Ok(())
}

fn write_address(turn: &mut Turn, slice: Slice) -> Result<(), Refusal> {
    let Some(addr) = text::whole_address(slice.bytes) else { return Ok(()) };
    if turn.is_own(addr) {
        let global = *turn.session.inside_global.ip();
        return write(turn, slice, format_args!("{global}"));
    }
    let mapped = || turn.context.policy_address(turn.from, addr).map(|counterpart| counterpart.addr);
    match turn.third_party(addr).or_else(mapped) {
        Some(global) => write(turn, slice, format_args!("{global}")),
        None => Ok(()),
    }
}

fn write_port(
    turn: &mut Turn,
    slice: Slice,
    transport: Transport,
    local: SocketAddrV4,
) -> Result<(), Refusal> {
    match turn.context.global(transport, local) {
        Some(global) => write(turn, slice, format_args!("{}", global.port())),
        None => Ok(()),
    }
}

/// An ICE candidate (RFC 8839 section 5.1), or one of those before there was ICE: endpoints as an address and a port, which
/// `rport` may be between. The inside host's own become global ones: of those that it announces otherwise too, and of others
/// by the doors that they get.
fn write_candidate(turn: &mut Turn, value: Slice, line: Option<&Line>) -> Result<(), Refusal> {
    let is_tcp = value.fields(b' ').map(Slice::trim).nth(2).is_some_and(|word| word.is("tcp"));
    let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
    write_pairs(turn, value, line.map(|_| transport))
}

/// Translates pairs of an address and a port.
fn write_pairs(turn: &mut Turn, value: Slice, transport: Option<Transport>) -> Result<(), Refusal> {
    let transport = transport.unwrap_or(Transport::Udp);
    let mut addr: Option<(Slice, Ipv4Addr)> = None;
    for word in value.fields(b' ').map(Slice::trim).filter(|word| !word.bytes.is_empty()) {
        if word.is("rport") {
            continue;
        }
        if let (Some((slice, of)), Some(port)) = (addr, whole_port(word)) {
            write_pair(turn, transport, (slice, word), SocketAddrV4::new(of, port))?;
            addr = None;
            continue;
        }
        if let Some((slice, _)) = addr {
            write_address(turn, slice)?;
        }
        addr = text::whole_address(word.bytes).map(|of| (word, of));
    }
    addr.map_or(Ok(()), |(slice, _)| write_address(turn, slice))
}

fn write_pair(
    turn: &mut Turn,
    transport: Transport,
    (addr, port): (Slice, Slice),
    end: SocketAddrV4,
) -> Result<(), Refusal> {
    let translated = match turn.from {
        Side::Inside => turn.context.global(transport, end).filter(|_| turn.is_own(*end.ip())),
        Side::Outside => turn.context.local(transport, end).filter(|local| turn.is_own(*local.ip())),
    };
    match translated {
        Some(other) => {
            write(turn, addr, format_args!("{}", other.ip()))?;
            write(turn, port, format_args!("{}", other.port()))
        }
        None if turn.from == Side::Inside => write_address(turn, addr),
        None => Ok(()),
    }
}

/// The path of MSRP (RFC 4975 section 8): URIs with a host and a port.
fn write_path(turn: &mut Turn, value: Slice) -> Result<(), Refusal> {
    for uri in value.fields(b' ') {
        let Some(mark) = uri.bytes.windows(3).position(|of| of == b"://") else { continue };
        let authority = uri.skip(mark + 3).cut(b'/').0.cut(b';').0;
        let user = authority.bytes.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        let (host, port) = authority.skip(user).cut(b':');
        let Some(addr) = text::whole_address(host.bytes) else { continue };
        match port.and_then(|port| Some((port, whole_port(port)?))) {
            Some((port, number)) => {
                write_pair(turn, Transport::Tcp, (host, port), SocketAddrV4::new(addr, number))?;
            }
            None => write_address(turn, host)?,
        }
    }
    Ok(())
}

/// The outside host's description: where its media come from, by line; and what it says of hosts that the inside knows by others.
pub fn hear(
    turn: &mut Turn,
    dialog: Option<&mut Dialog>,
    call: Option<u64>,
    (body, is_provisional): (Slice, bool),
) -> Result<(), Refusal> {
    let mut sections = sdp::sections(body);
    let Some(head) = sections.next() else { return Ok(()) };
    let session_addr = head.connection();
    let peers = sections.clone().map(|section| {
        let own = section.connection();
        let addr = if section.has_connection() { own } else { session_addr };
        addr.and_then(|addr| text::whole_address(addr.bytes)).filter(|addr| tells_source(*addr))
    });
    if let (Some(dialog), Some(call)) = (dialog, call) {
        dialog.hear_peers(peers, is_provisional, call, turn.context);
    }
    for section in std::iter::once(head).chain(sections) {
        for line in section.lines() {
            let (name, value) = line.skip(2).cut(b':');
            match (line.bytes.get(..2), value) {
                (Some(b"c=" | b"o="), _) => write_outside_words(turn, line.skip(2))?,
                (Some(b"a="), Some(value)) if name.is("rtcp") => write_outside_words(turn, value)?,
                (Some(b"a="), Some(value)) if name.is("remote-candidates") => write_pairs(turn, value, None)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether media come from where a description has them go: not from behind another NAT that changes no descriptions, nor of
/// who is on hold.
fn tells_source(addr: Ipv4Addr) -> bool {
    !(addr.is_unspecified()
        || addr.is_private()
        || addr.is_loopback()
        || addr.is_link_local()
        || addr.is_multicast())
}

/// Translates an outside address behind `IN IP4`, if the inside knows it by another one.
fn write_outside_words(turn: &mut Turn, line: Slice) -> Result<(), Refusal> {
    let mut words = line.fields(b' ').map(Slice::trim).skip_while(|word| !word.is("IP4"));
    let Some(slice) = words.nth(1).map(|word| word.cut(b'/').0) else { return Ok(()) };
    let Some(addr) = text::whole_address(slice.bytes) else { return Ok(()) };
    let (seen, own) = (turn.session.outside_global.ip(), turn.session.outside_local.ip());
    let mapped = || turn.context.policy_address(Side::Outside, addr).map(|counterpart| counterpart.addr);
    match if addr == *seen { Some(*own) } else { mapped() } {
        Some(other) => write(turn, slice, format_args!("{other}")),
        None => Ok(()),
    }
}

fn write(turn: &mut Turn, slice: Slice, arguments: std::fmt::Arguments) -> Result<(), Refusal> {
    turn.growth += crate::realm::replace(turn.context, slice, arguments)?;
    Ok(())
}

fn insert(turn: &mut Turn, at: Slice, arguments: std::fmt::Arguments) -> Result<(), Refusal> {
    write(turn, at, arguments)
}
