//! The endpoints of media: what becomes of a `Transport` header.

use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;

use super::realm::{counterpart, replace, translate_address};
use super::transport::{Kind, Parameter, Quoted, Range, endpoints, parameters, port, specifications};
use crate::piece::Piece;
use crate::text;
use crate::{Context, Door, Ports, Refusal, Side, Transport};

/// Announced endpoints of one header.
const ENDPOINT_COUNT_MAX: usize = 8;

/// What becomes of the parameters that one of the two hosts describes itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    /// The inside host's endpoints: doors open, and their global endpoints are announced.
    Announce,
    /// The inside host's own global endpoints: it gets to see its local ones.
    Restore,
    /// The addresses are translated, the ports stay.
    Translate,
}

/// Who describes itself in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// Who sent the message.
    pub from: Side,
    /// The client's side.
    pub client: Side,
    /// What a door would be like; none opens if the header is no part of a set-up.
    pub door: Option<Door>,
}

impl Parties {
    fn treatment(&self, is_clients: bool) -> Treatment {
        let is_insides = (self.client == Side::Inside) == is_clients;
        let is_senders = (self.client == self.from) == is_clients;
        match (is_insides, is_senders) {
            (true, true) if self.door.is_some() => Treatment::Announce,
            (true, false) => Treatment::Restore,
            _ => Treatment::Translate,
        }
    }
}

/// The announced ports that doors are needed for, those of one header.
#[derive(Default)]
struct Wanted {
    ranges: ArrayVec<(u16, bool, Option<SocketAddrV4>), ENDPOINT_COUNT_MAX>,
}

impl Wanted {
    fn add(&mut self, first: u16, is_pair: bool) -> Result<(), Refusal> {
        match self.ranges.iter_mut().find(|(known, ..)| *known == first) {
            Some((_, was_pair, _)) => *was_pair |= is_pair,
            None => self.ranges.try_push((first, is_pair, None)).map_err(|_| Refusal::DoorLimit)?,
        }
        Ok(())
    }

    /// Adds the ports of a list, in pairs where one follows the other.
    fn add_list(&mut self, list: Piece) -> Result<(), Refusal> {
        let mut before: Option<u16> = None;
        for piece in endpoints(list).filter(Quoted::is_addressed).filter_map(|endpoint| endpoint.port) {
            let port = port(piece)?;
            match before {
                Some(first) if first.checked_add(1) == Some(port) => self.add(first, true)?,
                _ => self.add(port, false)?,
            }
            before = Some(port);
        }
        Ok(())
    }

    /// Opens the doors, pairs first: a port of a pair needs none of its own.
    fn reserve(&mut self, door: Door, context: &mut dyn Context) -> Result<(), Refusal> {
        for pairs in [true, false] {
            for n in 0..self.ranges.len() {
                let (first, is_pair, _) = self.ranges[n];
                if is_pair != pairs || (!is_pair && self.global(first).is_some()) {
                    continue;
                }
                if first < 1024 {
                    return Err(Refusal::LowPort);
                }
                let inside = SocketAddrV4::new(*door.inside.ip(), first);
                let ports = if is_pair { Ports::Pair } else { Ports::One };
                self.ranges[n].2 = Some(context.reserve(Door { inside, ports, ..door })?);
            }
        }
        Ok(())
    }

    /// The global endpoint of a port.
    fn global(&self, port: u16) -> Option<SocketAddrV4> {
        let own = self.ranges.iter().find(|(first, ..)| *first == port).and_then(|(.., global)| *global);
        own.or_else(|| {
            let pair = self
                .ranges
                .iter()
                .find(|(first, is_pair, _)| *is_pair && first.checked_add(1) == Some(port))?;
            pair.2.map(|global| SocketAddrV4::new(*global.ip(), global.port().saturating_add(1)))
        })
    }
}

/// Translates a header's value.
pub fn translate(value: Piece, parties: Parties, context: &mut dyn Context) -> Result<(), Refusal> {
    let mut wanted = Wanted::default();
    match (parties.door, parties.from, parties.client) {
        (Some(door), Side::Inside, _) => {
            for spec in specifications(value) {
                want(spec, parties, &mut wanted, context)?;
            }
            wanted.reserve(door, context)?;
        }
        (Some(door), Side::Outside, Side::Inside) => follow_source(value, door, context)?,
        _ => {}
    }
    for Parameter { kind, is_clients, value } in parameters(value) {
        let treatment = parties.treatment(is_clients);
        match kind {
            Kind::Ports => write_ports(value, treatment, &wanted, context)?,
            Kind::Endpoints => write_list(value, parties.from, treatment, &wanted, context)?,
            Kind::Address => {
                translate_address(context, parties.from, value)?;
            }
        }
    }
    Ok(())
}

/// Notes the doors that a specification of the inside host needs. It must be about the host itself; where policy
/// maps another host, that is left to it.
fn want(spec: Piece, parties: Parties, wanted: &mut Wanted, context: &dyn Context) -> Result<(), Refusal> {
    let announced = || parameters(spec).filter(|p| parties.treatment(p.is_clients) == Treatment::Announce);
    let hosts = announced().filter(|p| p.kind == Kind::Address).map(|p| p.value);
    let listed = announced().filter(|p| p.kind == Kind::Endpoints).flat_map(|p| endpoints(p.value));
    for host in hosts.chain(listed.map(|endpoint| endpoint.host)) {
        let Some(addr) = text::whole_address(host.bytes) else { continue };
        if is_own(addr, context) {
            continue;
        }
        let is_mapped = counterpart(context, Side::Inside, addr).is_some();
        return if is_mapped { Ok(()) } else { Err(Refusal::ForeignAddress) };
    }
    for parameter in announced() {
        match parameter.kind {
            Kind::Ports => {
                let range = Range::read(parameter.value)?;
                wanted.add(range.first, range.is_pair())?;
            }
            Kind::Endpoints => wanted.add_list(parameter.value)?,
            Kind::Address => {}
        }
    }
    Ok(())
}

fn is_own(addr: Ipv4Addr, context: &dyn Context) -> bool {
    let session = context.session();
    addr == *session.inside_local.ip() || addr == *session.inside_global.ip()
}

/// Lets the media come from where the outside server says that it sends from.
fn follow_source(value: Piece, door: Door, context: &mut dyn Context) -> Result<(), Refusal> {
    let servers = parameters(value).filter(|p| !p.is_clients);
    let source = servers.clone().find(|p| p.kind == Kind::Address).map(|p| p.value);
    let listed = || servers.clone().find(|p| p.kind == Kind::Endpoints).map(|p| p.value);
    let source = source.or_else(|| endpoints(listed()?).next().map(|endpoint| endpoint.host));
    let peer = source.and_then(|source| text::whole_address(source.bytes));
    if peer.is_none() || peer == door.peer {
        return Ok(());
    }
    let mut own = Wanted::default();
    for parameter in parameters(value).filter(|p| p.is_clients) {
        match parameter.kind {
            Kind::Ports => {
                let range = Range::read(parameter.value)?;
                own.add(range.first, range.is_pair())?;
            }
            Kind::Endpoints => own.add_list(parameter.value)?,
            Kind::Address => {}
        }
    }
    for (first, is_pair, _) in own.ranges {
        let Some(local) = restored(first, context) else { continue };
        let inside = SocketAddrV4::new(*door.inside.ip(), local);
        let ports = if is_pair { Ports::Pair } else { Ports::One };
        context.reserve(Door { inside, ports, peer, ..door })?;
    }
    Ok(())
}

/// The inside host's port behind a global port.
fn restored(port: u16, context: &dyn Context) -> Option<u16> {
    let session = context.session();
    let global = SocketAddrV4::new(*session.inside_global.ip(), port);
    let local = context.local(Transport::Udp, global)?;
    (local.ip() == session.inside_local.ip()).then_some(local.port())
}

/// A port as the other side must see it, if it can be told.
fn translated(port: u16, treatment: Treatment, wanted: &Wanted, context: &dyn Context) -> Option<u16> {
    match treatment {
        Treatment::Announce => wanted.global(port).map(|global| global.port()),
        Treatment::Restore => restored(port, context),
        Treatment::Translate => None,
    }
}

fn write_ports(
    piece: Piece,
    treatment: Treatment,
    wanted: &Wanted,
    context: &mut dyn Context,
) -> Result<(), Refusal> {
    if treatment == Treatment::Translate {
        return Ok(());
    }
    let range = Range::read(piece)?;
    let first = translated(range.first, treatment, wanted, context);
    match (first, range.last) {
        (Some(first), None) => replace(context, piece, format_args!("{first}"))?,
        (Some(first), Some(last)) => match translated(last, treatment, wanted, context) {
            Some(last) => replace(context, piece, format_args!("{first}-{last}"))?,
            None => 0,
        },
        (None, _) => 0,
    };
    Ok(())
}

fn write_list(
    list: Piece,
    from: Side,
    treatment: Treatment,
    wanted: &Wanted,
    context: &mut dyn Context,
) -> Result<(), Refusal> {
    for Quoted { host, port: piece } in endpoints(list) {
        let addr = text::whole_address(host.bytes);
        translate_address(context, from, host)?;
        let (true, Some(piece)) = (host.bytes.is_empty() || addr.is_some_and(|a| is_own(a, context)), piece)
        else {
            continue;
        };
        if treatment == Treatment::Translate {
            continue;
        }
        if let Some(port) = translated(port(piece)?, treatment, wanted, context) {
            replace(context, piece, format_args!("{port}"))?;
        }
    }
    Ok(())
}
