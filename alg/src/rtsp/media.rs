//! The endpoints of media: what becomes of a `Transport` header.

use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;

use super::transport::{
    Kind, Parameter, Quoted, Range, endpoints, host_and_port, parameters, port, specifications,
};
use crate::realm::{counterpart, replace, translate_address};
use crate::slice::Slice;
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

/// The announced ports that doors are needed for, those of one header, and whether each is the first of a pair.
#[derive(Default)]
struct Wanted {
    ports: ArrayVec<(u16, bool), ENDPOINT_COUNT_MAX>,
}

impl Wanted {
    fn add(&mut self, first: u16, is_pair: bool) -> Result<(), Refusal> {
        if first < 1024 {
            return Err(Refusal::LowPort);
        }
        match self.ports.iter_mut().find(|(known, _)| *known == first) {
            Some((_, was_pair)) => *was_pair |= is_pair,
            None => self.ports.try_push((first, is_pair)).map_err(|_| Refusal::DoorLimit)?,
        }
        Ok(())
    }

    /// Adds what a parameter names.
    fn add_all(&mut self, kind: Kind, value: Slice) -> Result<(), Refusal> {
        match kind {
            Kind::Ports => {
                let range = Range::read(value)?;
                self.add(range.first, range.is_pair())?;
                range.other().map_or(Ok(()), |other| self.add(other, false))
            }
            Kind::Endpoints => self.add_list(endpoints(value)),
            Kind::Address => self.add_list(std::iter::once(host_and_port(value))),
        }
    }

    /// Adds the ports of a list, in pairs where one follows the other.
    fn add_list<'m>(&mut self, list: impl Iterator<Item = Quoted<'m>>) -> Result<(), Refusal> {
        let mut before: Option<u16> = None;
        for slice in list.filter(Quoted::is_addressed).filter_map(|endpoint| endpoint.port) {
            let port = port(slice)?;
            match before {
                Some(first) if first.checked_add(1) == Some(port) => self.add(first, true)?,
                _ => self.add(port, false)?,
            }
            before = Some(port);
        }
        Ok(())
    }

    /// Opens the doors, pairs first: a port of a pair needs none of its own.
    fn reserve(&self, door: Door, context: &mut dyn Context) -> Result<(), Refusal> {
        for pairs in [true, false] {
            for &(first, is_pair) in &self.ports {
                if is_pair != pairs || (!is_pair && self.is_second(first)) {
                    continue;
                }
                let inside = SocketAddrV4::new(*door.inside.ip(), first);
                let ports = if is_pair { Ports::Pair } else { Ports::One };
                context.reserve(Door { inside, ports, ..door })?;
            }
        }
        Ok(())
    }

    fn is_second(&self, port: u16) -> bool {
        self.ports.iter().any(|&(first, is_pair)| is_pair && first.checked_add(1) == Some(port))
    }
}

/// Translates a header's value. Returns why its ports were not announced, if they were not: its addresses are translated
/// all the same.
pub fn translate(
    value: Slice,
    mut parties: Parties,
    context: &mut dyn Context,
) -> Result<Option<Refusal>, Refusal> {
    let prepared = match (parties.door, parties.from, parties.client) {
        (Some(door), Side::Inside, _) => announce(value, parties, door, context),
        (Some(door), Side::Outside, Side::Inside) => follow_source(value, door, context),
        _ => Ok(()),
    };
    if prepared.is_err() {
        parties.door = None;
    }
    for Parameter { kind, is_clients, value } in parameters(value) {
        let treatment = parties.treatment(is_clients);
        match kind {
            Kind::Ports => write_ports(value, treatment, context)?,
            Kind::Endpoints => {
                for endpoint in endpoints(value) {
                    write_endpoint(endpoint, parties.from, treatment, context)?;
                }
            }
            Kind::Address => write_endpoint(host_and_port(value), parties.from, treatment, context)?,
        }
    }
    Ok(prepared.err())
}

/// Opens doors for what the inside host announces.
fn announce(value: Slice, parties: Parties, door: Door, context: &mut dyn Context) -> Result<(), Refusal> {
    let mut wanted = Wanted::default();
    for spec in specifications(value) {
        want(spec, parties, &mut wanted, context)?;
    }
    wanted.reserve(door, context)
}

/// Notes the doors that a specification of the inside host needs. It must be about the host itself; where policy
/// maps another host, that is left to it.
fn want(spec: Slice, parties: Parties, wanted: &mut Wanted, context: &dyn Context) -> Result<(), Refusal> {
    let announced = || parameters(spec).filter(|p| parties.treatment(p.is_clients) == Treatment::Announce);
    let hosts = announced().filter(|p| p.kind == Kind::Address).map(|p| host_and_port(p.value));
    let listed = announced().filter(|p| p.kind == Kind::Endpoints).flat_map(|p| endpoints(p.value));
    for Quoted { host, .. } in hosts.chain(listed) {
        let Some(addr) = text::whole_address(host.bytes) else { continue };
        if is_own(addr, context) {
            continue;
        }
        let is_mapped = counterpart(context, Side::Inside, addr).is_some();
        return if is_mapped { Ok(()) } else { Err(Refusal::ForeignAddress) };
    }
    announced().try_for_each(|parameter| wanted.add_all(parameter.kind, parameter.value))
}

fn is_own(addr: Ipv4Addr, context: &dyn Context) -> bool {
    let session = context.session();
    addr == *session.inside_local.ip() || addr == *session.inside_global.ip()
}

/// Lets the media come from where the outside server says that it sends from.
fn follow_source(value: Slice, door: Door, context: &mut dyn Context) -> Result<(), Refusal> {
    let servers = parameters(value).filter(|p| !p.is_clients);
    let source = servers.clone().find(|p| p.kind == Kind::Address).map(|p| host_and_port(p.value).host);
    let listed = || servers.clone().find(|p| p.kind == Kind::Endpoints).map(|p| p.value);
    let source = source.or_else(|| endpoints(listed()?).next().map(|endpoint| endpoint.host));
    let peer = source.and_then(|source| text::whole_address(source.bytes));
    if peer.is_none() || peer == door.peer {
        return Ok(());
    }
    let mut own = Wanted::default();
    for parameter in parameters(value).filter(|p| p.is_clients) {
        own.add_all(parameter.kind, parameter.value)?;
    }
    for (first, is_pair) in own.ports {
        let Some(local) = restored(first, context) else { continue };
        let inside = SocketAddrV4::new(*door.inside.ip(), local);
        // Behind a pair's first port is its second one, as the inside knows them.
        let second = first.checked_add(1).filter(|_| is_pair).and_then(|second| restored(second, context));
        let is_pair = second.is_some() && second == local.checked_add(1);
        let ports = if is_pair { Ports::Pair } else { Ports::One };
        context.reserve(Door { inside, ports, peer, ..door })?;
        if let Some(second) = second.filter(|_| !is_pair) {
            let inside = SocketAddrV4::new(*door.inside.ip(), second);
            context.reserve(Door { inside, ports: Ports::One, peer, ..door })?;
        }
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
fn translated(port: u16, treatment: Treatment, context: &dyn Context) -> Option<u16> {
    let inside = SocketAddrV4::new(*context.session().inside_local.ip(), port);
    match treatment {
        Treatment::Announce => context.global(Transport::Udp, inside).map(|global| global.port()),
        Treatment::Restore => restored(port, context),
        Treatment::Translate => None,
    }
}

fn write_ports(slice: Slice, treatment: Treatment, context: &mut dyn Context) -> Result<(), Refusal> {
    // What is no range of ports has none to translate.
    let (false, Ok(range)) = (treatment == Treatment::Translate, Range::read(slice)) else { return Ok(()) };
    let first = translated(range.first, treatment, context);
    match (first, range.last) {
        (Some(first), None) => replace(context, slice, format_args!("{first}"))?,
        (Some(first), Some(last)) => match translated(last, treatment, context) {
            Some(last) => replace(context, slice, format_args!("{first}{}{last}", range.mark))?,
            None => 0,
        },
        (None, _) => 0,
    };
    Ok(())
}

fn write_endpoint(
    Quoted { host, port: slice }: Quoted,
    from: Side,
    treatment: Treatment,
    context: &mut dyn Context,
) -> Result<(), Refusal> {
    let addr = text::whole_address(host.bytes);
    translate_address(context, from, host)?;
    let is_host = host.bytes.is_empty() || addr.is_some_and(|addr| is_own(addr, context));
    let port = slice.and_then(|slice| Some((slice, port(slice).ok()?)));
    if is_host
        && let Some((slice, port)) = port
        && let Some(port) = translated(port, treatment, context)
    {
        replace(context, slice, format_args!("{port}"))?;
    }
    Ok(())
}
