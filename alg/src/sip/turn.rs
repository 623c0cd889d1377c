//! One message under way: the hosts in its headers, and what they become.

use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;

use super::forms::{CONTACTS_MAX, Contact, Forms};
use super::places::{Place, place};
use super::reach::{self, LOW_PORTS_END, Purpose, RINGING_LIFE_S};
use super::uri::{HostPort, NameAddr, SIP_PORT, Uri, Via, elements};
use crate::message::{Parsed, Start};
use crate::slice::Slice;
use crate::{Context, OutwardDoor, Owner, Refusal, Session, Side, Transport, realm, text};

/// A message under way.
pub struct Turn<'c> {
    /// What it is read with.
    pub context: &'c mut dyn Context,
    /// The control session.
    pub session: Session,
    /// Who sent it.
    pub from: Side,
    /// What its Contact is for, if doors are due for it.
    pub opens: Option<Purpose>,
    /// For how many seconds.
    pub life_s: u32,
    /// How the inside host writes its own endpoints.
    pub forms: Forms,
    /// The inside host's own endpoints in its Contact headers.
    pub contacts: ArrayVec<Contact, CONTACTS_MAX>,
    /// Other inside hosts that its media go to, and their global addresses.
    third_parties: ArrayVec<(Ipv4Addr, Ipv4Addr), CONTACTS_MAX>,
    /// What could not be opened, and why: addresses are translated all the same.
    pub refused: Option<Refusal>,
    /// By how much the body has grown.
    pub growth: isize,
    /// A hash of its method and number.
    pub transaction: u32,
    /// It is an answer.
    is_answer: bool,
    /// The first `Via` was read.
    has_via: bool,
}

impl<'c> Turn<'c> {
    /// The beginning of one.
    pub fn new(context: &'c mut dyn Context, from: Side) -> Turn<'c> {
        let session = *context.session();
        Turn {
            context,
            session,
            from,
            opens: None,
            life_s: RINGING_LIFE_S,
            forms: Forms::default(),
            contacts: ArrayVec::new(),
            third_parties: ArrayVec::new(),
            refused: None,
            growth: 0,
            transaction: 0,
            is_answer: false,
            has_via: false,
        }
    }

    /// Whether an address is the inside host's, as itself sees it.
    pub fn is_own(&self, addr: Ipv4Addr) -> bool {
        addr == *self.session.inside_local.ip()
    }

    /// Whether media may go to an address: the inside host's, or another inside host's that policy lets it speak for.
    pub fn may_describe(&self, addr: Ipv4Addr) -> bool {
        self.is_own(addr) || self.context.is_third_party(addr)
    }

    /// Media go to another inside host, by this global address.
    pub fn know_third_party(&mut self, local: Ipv4Addr, global: Ipv4Addr) {
        if self.third_party(local).is_none() {
            // Of more such hosts the first ones are remembered.
            let _ = self.third_parties.try_push((local, global));
        }
    }

    /// The global address of another inside host that media go to.
    pub fn third_party(&self, local: Ipv4Addr) -> Option<Ipv4Addr> {
        self.third_parties.iter().find(|(known, _)| *known == local).map(|(_, global)| *global)
    }

    /// Translates the request's URI and all headers: first those that doors open for, so that all others tell of these doors.
    pub fn translate_headers(&mut self, parsed: &Parsed) -> Result<(), Refusal> {
        self.is_answer = matches!(parsed.start, Start::Response(_));
        let placed = || parsed.headers().filter_map(|header| Some((place(&header)?, header.value)));
        let opens = |place: Place| matches!(place, Place::Contact | Place::Proxy);
        placed()
            .filter(|(place, _)| opens(*place))
            .try_for_each(|(place, value)| self.value(place, value))?;
        // A registration is asked of a domain, whatever stands for that (RFC 3261 section 10.2).
        let is_domain = self.from == Side::Inside && matches!(parsed.start, Start::Request(b"REGISTER"));
        if let Some(uri) = parsed.target().and_then(Uri::read).filter(|_| !is_domain) {
            self.uri(uri, Place::Target)?;
        }
        placed().filter(|(place, _)| !opens(*place)).try_for_each(|(place, value)| self.value(place, value))
    }

    fn value(&mut self, place: Place, value: Slice) -> Result<(), Refusal> {
        let mut elements = elements(value);
        match place {
            Place::Via => self.vias(value),
            Place::Warning => elements.try_for_each(|warning| self.warning(warning)),
            place => elements.try_for_each(|element| self.name_addr(element, place)),
        }
    }

    /// A warning: a code, the host or the name of who warns, a text (RFC 3261 section 20.43).
    fn warning(&mut self, warning: Slice) -> Result<(), Refusal> {
        let agent = warning.cut(b' ').1.map(|rest| rest.trim().cut(b' ').0);
        match agent.and_then(HostPort::read) {
            Some(agent) => self.host_port(agent, self.session.transport, Place::Warning).map(|_| ()),
            None => Ok(()),
        }
    }

    fn name_addr(&mut self, element: Slice, place: Place) -> Result<(), Refusal> {
        let NameAddr { uri, parameters } = NameAddr::read(element);
        let Some(uri) = Uri::read(uri) else { return self.url(uri) };
        let expires = super::uri::parameter(parameters, "expires");
        let expires_s = expires.and_then(|value| Some(text::decimal(u32::MAX)(value.bytes).ok()?.1));
        // A contact that the registrar is to forget needs no door.
        let opens = self.opens;
        if expires_s == Some(0) && opens == Some(Purpose::Registration) {
            self.opens = None;
        }
        let found = self.uri(uri, place)?;
        self.opens = opens;
        if let (Place::Contact, Some(local)) = (place, found) {
            let is_tcp = uri.transport.unwrap_or(self.session.transport) == Transport::Tcp;
            let contact = Contact { is_tcp, local, is_removed: expires_s == Some(0), expires_s };
            // Of more contacts the first ones are remembered.
            let _ = self.contacts.try_push(contact);
        }
        Ok(())
    }

    /// Translates the host of a URL that is not SIP's, of a picture say.
    fn url(&mut self, url: Slice) -> Result<(), Refusal> {
        let Some(mark) = url.bytes.windows(3).position(|of| of == b"://") else { return Ok(()) };
        let authority = url.skip(mark + 3);
        let end = authority.bytes.iter().position(|byte| b"/?#".contains(byte));
        let authority = authority.split(end.unwrap_or(authority.bytes.len())).0;
        let host = authority.bytes.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        match HostPort::read(authority.skip(host)) {
            Some(at) => self.host_port(at, Transport::Tcp, Place::Name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Translates a URI. Returns the inside host's endpoint that it names, as the inside sees it.
    fn uri(&mut self, uri: Uri, place: Place) -> Result<Option<SocketAddrV4>, Refusal> {
        let transport = uri.transport.unwrap_or(self.session.transport);
        if let Some(maddr) = uri.maddr {
            self.host_port(maddr, transport, Place::Name)?;
        }
        match uri.at {
            Some(at) => self.host_port(at, transport, place),
            None => Ok(None),
        }
    }

    /// The senders of a request, the last one first. An answer from outside has those that the inside wrote into the request, and
    /// it reads there what it wrote; in a request they are other hosts.
    fn vias(&mut self, value: Slice) -> Result<(), Refusal> {
        let is_own = !self.forms.is_global(Place::Via);
        if self.from == Side::Outside && !self.is_answer {
            let first = elements(value).next().filter(|_| !std::mem::replace(&mut self.has_via, true));
            first.and_then(Via::read).iter().for_each(|via| self.expect_answer(via));
            return Ok(());
        }
        if self.from == Side::Outside && !is_own {
            return Ok(());
        }
        elements(value).filter_map(Via::read).try_for_each(|via| self.via(via))
    }

    /// Without `rport` the inside host answers to the port that the sender names, which need not be where it sent from: what
    /// goes there is read too.
    fn expect_answer(&mut self, via: &Via) {
        let Some(port) = via.sent_by.and_then(HostPort::named_port) else { return };
        let (transport, sender) = (self.session.transport, self.session.outside_local);
        let is_low = port < LOW_PORTS_END;
        let is_elsewhere = port != sender.port() && !is_low && via.parameter("rport").is_none();
        if transport != Transport::Udp || !is_elsewhere {
            return;
        }
        let outside = SocketAddrV4::new(*sender.ip(), port);
        let owner = Owner::Call(reach::key(self.context, Purpose::Answers, transport, outside));
        let door = OutwardDoor { transport, outside, life_s: RINGING_LIFE_S, owner, child: Some("sip") };
        self.refused = self.context.open_outward(door).err().or(self.refused);
    }

    fn via(&mut self, via: Via) -> Result<(), Refusal> {
        let transport = via.transport.unwrap_or(self.session.transport);
        let received = via.parameter("received").and_then(HostPort::read);
        if let Some(received) = received {
            self.received(received, via.parameter("rport"), transport)?;
        }
        if let Some(maddr) = via.parameter("maddr").and_then(HostPort::read) {
            self.host_port(maddr, transport, Place::Name)?;
        }
        let Some(sent_by) = via.sent_by else { return Ok(()) };
        // Without `rport` the answer goes to the port that the sender names (RFC 3261 section 18.2.2).
        let opens = self.opens;
        let is_answered_there = transport == Transport::Udp && via.parameter("rport").is_none();
        self.opens = (is_answered_there && self.from == Side::Inside).then_some(Purpose::Answers);
        let translated = self.host_port(sent_by, transport, Place::Via);
        self.opens = opens;
        translated.map(|_| ())
    }

    /// Where a request came from, as its receiver noted it: with the port both change, or none (RFC 3581 section 4).
    fn received(&mut self, at: HostPort, rport: Option<Slice>, transport: Transport) -> Result<(), Refusal> {
        let port = rport.filter(|port| !port.bytes.is_empty());
        let number = port.and_then(|port| text::port(port.bytes).ok());
        let number = number.filter(|(rest, _)| rest.is_empty()).map(|(_, number)| number);
        let Session { inside_local, inside_global, outside_local, outside_global, .. } = self.session;
        let end = number.map(|number| SocketAddrV4::new(at.addr, number));
        let (seen, other, known) = match self.from {
            Side::Inside if self.is_own(at.addr) => {
                (inside_local, inside_global, end.and_then(|end| self.context.global(transport, end)))
            }
            Side::Inside => (outside_local, outside_global, None),
            Side::Outside => {
                (inside_global, inside_local, end.and_then(|end| self.own_local(end, transport)))
            }
        };
        let is_alone = port.is_none() && at.addr == *seen.ip();
        let is_peer = end == Some(seen);
        let Some(other) = known.or(Some(other).filter(|_| is_alone || is_peer)) else { return Ok(()) };
        realm::replace(self.context, at.host, format_args!("{}", other.ip()))?;
        match port.filter(|_| number.is_some()) {
            Some(port) => realm::replace(self.context, port, format_args!("{}", other.port())).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Translates a host and its port. Returns the inside host's endpoint that it names, as the inside sees it.
    fn host_port(
        &mut self,
        at: HostPort,
        transport: Transport,
        place: Place,
    ) -> Result<Option<SocketAddrV4>, Refusal> {
        let names_port = at.port.is_some() || !matches!(place, Place::Name | Place::Warning);
        let named = at.endpoint().filter(|_| names_port);
        match self.from {
            Side::Inside if self.is_own(at.addr) => {
                if matches!(place, Place::Via | Place::Contact | Place::Proxy) {
                    self.forms.set_global(place, false);
                }
                let global = named.and_then(|local| self.announce(local, transport, at, place));
                match global {
                    Some(global) => self.write_global(at, global, place)?,
                    None => self.write_host(at, *self.session.inside_global.ip())?,
                }
                Ok(named)
            }
            // On the same address its neighbours are, too.
            Side::Inside if at.addr == *self.session.inside_global.ip() => {
                let local = named.and_then(|global| self.own_local(global, transport));
                if let Some(local) =
                    local.filter(|_| matches!(place, Place::Via | Place::Contact | Place::Proxy))
                {
                    self.forms.set_global(place, true);
                    self.announce(local, transport, at, place);
                }
                Ok(local)
            }
            Side::Inside => self.others(at, named.and_then(|end| self.context.global(transport, end))),
            Side::Outside => self.turn_back(at, (named, transport), place),
        }
    }

    /// What names the inside host's global endpoint, or stands for its address, becomes what itself wrote.
    fn turn_back(
        &mut self,
        at: HostPort,
        (named, transport): (Option<SocketAddrV4>, Transport),
        place: Place,
    ) -> Result<Option<SocketAddrV4>, Refusal> {
        let local = named.and_then(|global| self.own_local(global, transport));
        let known = local.filter(|_| place == Place::Target);
        let forms =
            known.and_then(|local| reach::forms(self.context, transport, local)).unwrap_or(self.forms);
        let is_name = matches!(place, Place::Via | Place::Name | Place::Warning);
        match local {
            _ if forms.is_global(place) => {}
            Some(local) if place == Place::Via => {
                self.write_local(at, local, forms.is_via_bare(self.transaction))?;
            }
            Some(local) => self.write_local(at, local, forms.is_bare(place))?,
            // Its name, or its own `Via`, stands for itself, whatever the port.
            None if is_name && at.addr == *self.session.inside_global.ip() => {
                self.write_host(at, *self.session.inside_local.ip())?;
            }
            None => _ = self.others(at, None)?,
        }
        Ok(local)
    }

    /// The inside host's endpoint behind a global one.
    fn own_local(&self, global: SocketAddrV4, transport: Transport) -> Option<SocketAddrV4> {
        if transport == self.session.transport && global == self.session.inside_global {
            return Some(self.session.inside_local);
        }
        self.context.local(transport, global).filter(|local| self.is_own(*local.ip()))
    }

    /// The global endpoint of one of the inside host's own, for which a door opens where one is due.
    fn announce(
        &mut self,
        local: SocketAddrV4,
        transport: Transport,
        at: HostPort,
        place: Place,
    ) -> Option<SocketAddrV4> {
        let opens = self.opens.filter(|_| matches!(place, Place::Contact | Place::Proxy | Place::Via));
        if let Some(purpose) = opens {
            let mut forms = Forms::default();
            forms.set_bare(place, at.port.is_none());
            forms.set_global(place, !self.is_own(at.addr));
            match reach::open(self.context, purpose, (transport, local), self.life_s, forms) {
                Ok(global) => return global,
                Err(refusal) => self.refused = Some(refusal),
            }
        }
        self.context.global(transport, local)
    }

    /// Another host: an inside one that has a global endpoint, one that policy maps, or the session's outside host.
    fn others(
        &mut self,
        at: HostPort,
        global: Option<SocketAddrV4>,
    ) -> Result<Option<SocketAddrV4>, Refusal> {
        if let Some(global) = global {
            return self.write_global(at, global, Place::Name).map(|()| None);
        }
        let Session { outside_local, outside_global, .. } = self.session;
        let (seen, own) = match self.from {
            Side::Inside => (outside_local, outside_global),
            Side::Outside => (outside_global, outside_local),
        };
        let is_peer = at.addr == *seen.ip();
        let mapped = || self.context.policy_address(self.from, at.addr).map(|counterpart| counterpart.addr);
        match if is_peer { Some(*own.ip()) } else { mapped() } {
            Some(addr) => self.write_host(at, addr).map(|()| None),
            None => Ok(None),
        }
    }

    fn write_host(&mut self, at: HostPort, addr: Ipv4Addr) -> Result<(), Refusal> {
        realm::replace(self.context, at.host, format_args!("{addr}")).map(|_| ())
    }

    fn write_global(&mut self, at: HostPort, global: SocketAddrV4, place: Place) -> Result<(), Refusal> {
        if at.port.is_none() && global.port() == SIP_PORT {
            return self.write_host(at, *global.ip());
        }
        match place {
            Place::Via => self.forms.set_via_bare(self.transaction, at.port.is_none()),
            _ => self.forms.set_bare(place, at.port.is_none()),
        }
        realm::replace(self.context, at.whole, format_args!("{global}")).map(|_| ())
    }

    fn write_local(&mut self, at: HostPort, local: SocketAddrV4, is_bare: bool) -> Result<(), Refusal> {
        if local.port() == SIP_PORT && (is_bare || at.port.is_none()) {
            return realm::replace(self.context, at.whole, format_args!("{}", local.ip())).map(|_| ());
        }
        realm::replace(self.context, at.whole, format_args!("{local}")).map(|_| ())
    }
}
