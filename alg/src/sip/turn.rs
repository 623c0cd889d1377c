//! One message under way: the hosts in its headers, and what they become.

use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::places::{Place, place};
use super::reach::{self, Purpose};
use super::uri::{HostPort, NameAddr, SIP_PORT, Uri, Via, elements};
use crate::message::Parsed;
use crate::slice::Slice;
use crate::{Context, Refusal, Session, Side, Transport, realm, text};

/// Contacts of one message that are remembered.
pub const CONTACTS_MAX: usize = 4;

/// In which places an inside host names its own endpoint without the port, which has a number outside: it is to read its words
/// as it wrote them, since it compares them (RFC 3261 sections 18.1.2 and 19.1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forms(u8);

impl Forms {
    fn bit(place: Place) -> u8 {
        match place {
            Place::Via => 1,
            Place::Contact | Place::Target => 2,
            Place::Proxy | Place::Route => 4,
            Place::Name | Place::Warning => 8,
        }
    }

    fn note(&mut self, place: Place) {
        self.0 |= Forms::bit(place);
    }

    fn has_no_port(self, place: Place) -> bool {
        self.0 & Forms::bit(place) != 0
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// An endpoint that the inside host says it is reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Over what.
    pub is_tcp: bool,
    /// The endpoint, as the inside sees it.
    pub local: SocketAddrV4,
    /// The registrar is to forget it.
    pub is_removed: bool,
    /// For how many seconds, if that is said beside it.
    pub expires_s: Option<u32>,
}

impl Contact {
    /// Over what.
    pub fn transport(&self) -> Transport {
        if self.is_tcp { Transport::Tcp } else { Transport::Udp }
    }
}

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
    /// How the inside host writes its own endpoints.
    pub forms: Forms,
    /// The inside host's own endpoints in its Contact headers.
    pub contacts: ArrayVec<Contact, CONTACTS_MAX>,
    /// What could not be opened, and why: addresses are translated all the same.
    pub refused: Option<Refusal>,
    /// By how much the body has grown.
    pub growth: isize,
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
            forms: Forms::default(),
            contacts: ArrayVec::new(),
            refused: None,
            growth: 0,
        }
    }

    /// Whether an address is the inside host's, as itself sees it.
    pub fn is_own(&self, addr: Ipv4Addr) -> bool {
        addr == *self.session.inside_local.ip()
    }

    /// Translates the request's URI and all headers: first those that doors open for, so that all others tell of these doors.
    pub fn translate_headers(&mut self, parsed: &Parsed) -> Result<(), Refusal> {
        let placed = || parsed.headers().filter_map(|header| Some((place(&header)?, header.value)));
        let opens = |place: Place| matches!(place, Place::Contact | Place::Proxy);
        placed()
            .filter(|(place, _)| opens(*place))
            .try_for_each(|(place, value)| self.value(place, value))?;
        // Nobody asks itself over a NAT: what the inside writes there is another's.
        if let Some(uri) = parsed.target().and_then(Uri::read)
            && !(self.from == Side::Inside && self.is_own(uri.at.addr))
        {
            self.uri(uri, Place::Target)?;
        }
        placed().filter(|(place, _)| !opens(*place)).try_for_each(|(place, value)| self.value(place, value))
    }

    fn value(&mut self, place: Place, value: Slice) -> Result<(), Refusal> {
        let mut elements = elements(value);
        match place {
            Place::Via => elements.filter_map(Via::read).try_for_each(|via| self.via(via)),
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
        let local = match (place, self.from) {
            (Place::Contact, Side::Inside) => uri.at.endpoint().filter(|local| self.is_own(*local.ip())),
            _ => None,
        };
        // A contact that the registrar is to forget needs no door.
        let opens = self.opens;
        if expires_s == Some(0) && opens == Some(Purpose::Registration) {
            self.opens = None;
        }
        let found = self.uri(uri, place)?;
        self.opens = opens;
        let listed =
            if self.from == Side::Inside { local } else { found.filter(|_| place == Place::Contact) };
        if let Some(local) = listed {
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
        self.host_port(uri.at, transport, place)
    }

    fn via(&mut self, via: Via) -> Result<(), Refusal> {
        let transport = via.transport.unwrap_or(self.session.transport);
        let received = via.parameter("received").and_then(HostPort::read);
        if let Some(received) = received {
            self.received(received, via.parameter("rport"))?;
        }
        if let Some(maddr) = via.parameter("maddr").and_then(HostPort::read) {
            self.host_port(maddr, transport, Place::Name)?;
        }
        // Without `rport` the answer goes to the port that the sender names (RFC 3261 section 18.2.2).
        let opens = self.opens;
        let is_answered_there = transport == Transport::Udp && via.parameter("rport").is_none();
        self.opens = (is_answered_there && self.from == Side::Inside).then_some(Purpose::Answers);
        let translated = self.host_port(via.sent_by, transport, Place::Via);
        self.opens = opens;
        translated.map(|_| ())
    }

    /// Where a request came from, as its receiver noted it: with the port both change, or none (RFC 3581 section 4).
    fn received(&mut self, received: HostPort, rport: Option<Slice>) -> Result<(), Refusal> {
        let port = rport.filter(|port| !port.bytes.is_empty());
        let number = port.and_then(|port| text::port(port.bytes).ok()).map(|(_, number)| number);
        let Session { inside_local, inside_global, outside_local, outside_global, .. } = self.session;
        let (seen, own) = match self.from {
            Side::Outside => (inside_global, inside_local),
            Side::Inside => (outside_local, outside_global),
        };
        let is_it = received.addr == *seen.ip() && number.is_none_or(|number| number == seen.port());
        if !is_it || seen == own {
            return Ok(());
        }
        realm::replace(self.context, received.host, format_args!("{}", own.ip()))?;
        if let Some(port) = port {
            realm::replace(self.context, port, format_args!("{}", own.port()))?;
        }
        Ok(())
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
                let global = named.and_then(|local| self.announce(local, transport, place));
                match global {
                    Some(global) => self.write_global(at, global, place)?,
                    None => self.write_host(at, *self.session.inside_global.ip())?,
                }
                Ok(named)
            }
            Side::Inside => self.others(at, named.and_then(|end| self.context.global(transport, end))),
            Side::Outside => {
                let local = named.and_then(|global| self.own_local(global, transport));
                match local {
                    Some(local) => self.write_local(at, local, place)?,
                    None if at.addr == *self.session.inside_global.ip() && is_restored(place) => {
                        self.write_host(at, *self.session.inside_local.ip())?;
                    }
                    None => _ = self.others(at, None)?,
                }
                Ok(local)
            }
        }
    }

    /// The inside host's endpoint behind a global one.
    fn own_local(&self, global: SocketAddrV4, transport: Transport) -> Option<SocketAddrV4> {
        if transport == self.session.transport && global == self.session.inside_global {
            return Some(self.session.inside_local);
        }
        self.context.local(transport, global).filter(|local| self.is_own(*local.ip()))
    }

    /// The global endpoint of one of the inside host's own, for which a door opens where one is due.
    fn announce(&mut self, local: SocketAddrV4, transport: Transport, place: Place) -> Option<SocketAddrV4> {
        let opens = self.opens.filter(|_| matches!(place, Place::Contact | Place::Proxy | Place::Via));
        if let Some(purpose) = opens {
            match reach::open(self.context, purpose, transport, local) {
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
        if at.port.is_none() {
            self.forms.note(place);
        }
        realm::replace(self.context, at.whole, format_args!("{global}")).map(|_| ())
    }

    fn write_local(&mut self, at: HostPort, local: SocketAddrV4, place: Place) -> Result<(), Refusal> {
        let is_bare = at.port.is_none() || self.forms.has_no_port(place);
        if local.port() == SIP_PORT && is_bare {
            return realm::replace(self.context, at.whole, format_args!("{}", local.ip())).map(|_| ());
        }
        realm::replace(self.context, at.whole, format_args!("{local}")).map(|_| ())
    }
}

/// Whether the inside host's global address stands for itself here, whatever the port: it is what itself wrote, or its name.
fn is_restored(place: Place) -> bool {
    matches!(place, Place::Via | Place::Name | Place::Warning)
}
