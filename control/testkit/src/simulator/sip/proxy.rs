//! The outside proxy: a registrar (RFC 3261 section 10.3) and a stateless proxy that stays in the way (section 16.11).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;

use super::book::{self, Book};
use super::message::{self, Endpoint, Message, PORT, Style};
use super::parcel::{Connection, Incoming, Outgoing, Transport, is_global};
use super::register::digest;

/// Where a user is.
#[derive(Clone, Debug, Default)]
struct Binding {
    contact: Option<String>,
    call_id: String,
    cseq: u32,
}

/// A proxy.
pub struct Proxy {
    /// Its address.
    pub ip: Ipv4Addr,
    /// It opens connections to contacts, rather than use those that they opened.
    pub opens: bool,
    /// It grants registrations for half as long as asked.
    pub halves: bool,
    users: HashMap<String, Binding>,
    /// Requests under way: its Via, and where they came from.
    ways: HashMap<String, (String, Incoming)>,
    /// The connection by which a contact was told.
    connections: HashMap<Endpoint, Connection>,
    nonce: String,
}

fn hash(value: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

impl Proxy {
    /// A proxy that knows nobody.
    pub fn new(ip: Ipv4Addr, seed: u64) -> Proxy {
        Proxy {
            ip,
            opens: seed & 1 == 1,
            halves: seed & 2 == 2,
            users: HashMap::new(),
            ways: HashMap::new(),
            connections: HashMap::new(),
            nonce: hash(seed),
        }
    }

    /// Where a user is who does not register.
    pub fn know(&mut self, user: &str, contact: String) {
        self.users.insert(user.to_string(), Binding { contact: Some(contact), ..Binding::default() });
    }

    /// A message arrives.
    pub fn hear(&mut self, incoming: Incoming, book: &mut Book) -> Option<Outgoing> {
        if incoming.bytes.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        book.counts.messages += 1;
        let read = match Message::read(&incoming.bytes) {
            Ok(read) => read,
            Err(reason) => {
                book.wrong("", format!("{reason}: {}", incoming.bytes.escape_ascii()));
                return None;
            }
        };
        book.log(read.get("Call-ID"), "proxy", "reads", &incoming.bytes);
        let contact = message::endpoint(message::uri_of(read.get("Contact")));
        if let (Some(contact), Some(connection)) = (contact, incoming.connection) {
            self.connections.insert(contact, connection);
        }
        if read.is_response() {
            return self.forward_response(read, book);
        }
        self.forward_request(read, incoming, book)
    }

    fn record(&self) -> String {
        format!("<sip:{};lr>", self.ip)
    }

    fn forward_response(&self, mut response: Message, book: &mut Book) -> Option<Outgoing> {
        let via = response.get("Via").to_string();
        let branch = message::parameter(&via, "branch").unwrap_or("");
        let own = self.ways.get(branch).filter(|(own, _)| *own == via);
        let Some((_, incoming)) = own else {
            book.wrong(response.get("Call-ID"), format!("the proxy reads a response with Via {via}"));
            return None;
        };
        let at = response.headers.iter().position(|(name, _)| name == "Via")?;
        response.headers.remove(at);
        let to = message::way_back(response.get("Via")).unwrap_or(incoming.from);
        Some(self.parcel(&response, incoming.transport, to, incoming.connection))
    }

    fn parcel(
        &self,
        message: &Message,
        transport: Transport,
        to: Endpoint,
        connection: Option<Connection>,
    ) -> Outgoing {
        let bytes = message.bytes(&Style::default(), transport == Transport::Udp);
        Outgoing { transport, from: (self.ip, PORT), to, connection, bytes }
    }

    fn forward_request(
        &mut self,
        mut request: Message,
        incoming: Incoming,
        book: &mut Book,
    ) -> Option<Outgoing> {
        let call_id = request.get("Call-ID").to_string();
        let upstream = request.get("Via").to_string();
        let host = message::sent_by(&upstream).map(|(host, _)| host);
        if is_global(incoming.from.0) && host != Some(incoming.from.0) {
            book.wrong(&call_id, format!("the proxy reads Via {upstream} from {:?}", incoming.from));
        }
        message::receive(&mut request, incoming.from);
        if request.method() == "REGISTER" {
            let response = self.register(&request, book)?;
            let to = message::way_back(response.get("Via")).unwrap_or(incoming.from);
            let sent = self.parcel(&response, incoming.transport, to, incoming.connection);
            book.log(&call_id, "proxy", "answers", &sent.bytes);
            return Some(sent);
        }
        self.leave_route(&mut request, book);
        let mut uri = request.uri().to_string();
        let is_routed = request.all("Route").next().is_some();
        if !is_routed && message::endpoint(&uri) == Some((self.ip, PORT)) {
            let binding = self.users.get(message::user(&uri)).and_then(|binding| binding.contact.clone());
            let Some(contact) = binding else {
                book.unfinished(book::number(&call_id), usize::MAX, &call_id, "the callee is not known");
                return None;
            };
            request.first = format!("{} {contact} SIP/2.0", request.method());
            uri = contact;
        }
        let next = message::endpoint(request.all("Route").next().map_or(uri.as_str(), message::uri_of))?;
        let branch = format!("z9hG4bK{}", hash((&upstream, self.ip)));
        let via = format!("SIP/2.0/{} {};branch={branch}", incoming.transport.name(), self.ip);
        request.headers.insert(0, ("Via".to_string(), via.clone()));
        let is_recorded = book::number(&call_id).is_none_or(|number| book.plans[number].is_recorded);
        if request.method() == "INVITE" && is_recorded {
            request.headers.insert(1, ("Record-Route".to_string(), self.record()));
        }
        let connection = self.connections.get(&next).copied().filter(|_| !self.opens);
        let sent = self.parcel(&request, incoming.transport, next, connection);
        self.ways.insert(branch, (via, incoming));
        Some(sent)
    }

    /// Takes its own name off the routes.
    fn leave_route(&self, request: &mut Message, book: &mut Book) {
        let Some(at) = request.headers.iter().position(|(name, _)| name == "Route") else { return };
        let route = &request.headers[at].1;
        if *route != self.record() {
            let text = format!("the proxy reads the route {route}");
            return book.wrong(request.get("Call-ID"), text);
        }
        request.headers.remove(at);
    }

    /// Registers a user, once he has shown that he is who he says. Nothing for what comes too late.
    fn register(&mut self, request: &Message, book: &mut Book) -> Option<Message> {
        let respond = |line: &str| {
            let mut response = Message::new(format!("SIP/2.0 {line}"));
            response.copy(request, &["Via", "From"]);
            response.add("To", format!("{};tag=registrar", request.get("To")));
            response.copy(request, &["Call-ID", "CSeq"]);
            response
        };
        let user = message::user(message::uri_of(request.get("To")));
        let shown = request.get("Authorization");
        if shown.is_empty() {
            let mut response = respond("401 Who is it");
            let challenge = format!("Digest realm=\"lab\", nonce=\"{}\"", self.nonce);
            response.add("WWW-Authenticate", challenge);
            return Some(response);
        }
        let due = digest(user, &self.nonce, "REGISTER", request.uri());
        if !shown.contains(&format!("uri=\"{}\", response=\"{due}\"", request.uri())) {
            book.wrong(request.get("Call-ID"), "the registrar does not believe the digest");
        }
        let binding = self.users.entry(user.to_string()).or_default();
        let (call_id, cseq) = (request.get("Call-ID"), request.cseq().0);
        if binding.call_id == call_id && cseq < binding.cseq {
            return None;
        }
        (binding.call_id, binding.cseq) = (call_id.to_string(), cseq);
        let contact = request.get("Contact");
        let asked = message::parameter(contact, "expires").unwrap_or(request.get("Expires"));
        let asked_s: u32 = asked.parse().unwrap_or(3600);
        let mut response = respond("200 Welcome");
        binding.contact = (asked_s > 0 && contact != "*").then(|| message::uri_of(contact).to_string());
        if let Some(contact) = &binding.contact {
            let granted_s = if self.halves { asked_s / 2 } else { asked_s };
            response.add("Contact", format!("<{contact}>;expires={granted_s}"));
        }
        Some(response)
    }
}
