//! A user agent: its transactions, with the timers of RFC 3261 section 17.
//!
//! What it writes it remembers, and whatever comes back to it must be just that.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::book::Book;
use super::call::Call;
use super::message::{self, Endpoint, Message, PORT, Style};
use super::parcel::{Incoming, Outgoing, Transport};
use super::registered::Registration;

/// A transaction ends after so many times T1.
pub const ENDURANCE: u64 = 64;
/// T2 and T4 are so many times T1.
const SLOW: u64 = 8;

/// What an agent is like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its number.
    pub number: usize,
    /// Its user's name.
    pub user: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// That of its media.
    pub media_ip: Ipv4Addr,
    /// Where it listens.
    pub port: u16,
    /// Where its datagrams come from.
    pub source_port: u16,
    /// How its signalling travels.
    pub transport: Transport,
    /// It writes the port even where that is 5060.
    pub writes_port: bool,
    /// It asks for `rport`.
    pub asks_rport: bool,
    /// Its name has its own address, not its proxy's.
    pub has_own_name: bool,
    /// Its Call-IDs have its address.
    pub has_own_ids: bool,
    /// It sends line ends to keep its way open.
    pub keeps_alive: bool,
    /// How it writes.
    pub style: Style,
    /// Its proxy.
    pub proxy: Endpoint,
    /// Whether it registers, for how many seconds.
    pub registers_s: Option<u32>,
    /// T1 in milliseconds.
    pub t1_ms: u64,
}

impl Setup {
    /// How it writes where it listens.
    pub fn host(&self) -> String {
        match self.port == PORT && !self.writes_port {
            true => self.ip.to_string(),
            false => format!("{}:{}", self.ip, self.port),
        }
    }

    /// Its Contact.
    pub fn contact(&self) -> String {
        let transport = if self.transport == Transport::Tcp { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.user, self.host())
    }

    /// Its name.
    pub fn name(&self) -> String {
        let host = if self.has_own_name { self.ip } else { self.proxy.0 };
        format!("\"{}\" <sip:{}@{host}>", self.user, self.user)
    }

    fn via(&self, branch: &str) -> String {
        let rport = if self.asks_rport { ";rport" } else { "" };
        format!("SIP/2.0/{} {}{rport};branch={branch}", self.transport.name(), self.host())
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To register.
    Register,
    /// To begin this call.
    Invite(usize),
    /// To give it up.
    Cancel(usize),
    /// To change it.
    Change(usize),
    /// To end it.
    Bye(usize),
}

/// A request that waits for its answer.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it is for.
    pub purpose: Purpose,
    /// The request.
    pub request: Message,
    /// Its branch.
    pub branch: String,
    /// How it was sent.
    pub sent: Outgoing,
    repeat_ms: Option<u64>,
    interval_ms: u64,
    until_ms: u64,
}

/// A request that was received, and how it was answered.
#[derive(Clone, Debug)]
pub struct Server {
    /// The request.
    pub request: Message,
    /// Where it came from.
    pub incoming: Incoming,
    /// To of answers.
    pub to: String,
    /// The last answer.
    pub last: Option<Outgoing>,
    /// Its code.
    pub status: u16,
    /// It was acknowledged.
    pub is_acknowledged: bool,
    repeat_ms: Option<u64>,
    interval_ms: u64,
    until_ms: u64,
}

/// A request before it has what is the transaction's own.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its method.
    pub method: String,
    /// Its URI.
    pub uri: String,
    /// From, To, Call-ID.
    pub dialog: [String; 3],
    /// Its sequence number.
    pub cseq: u32,
    /// Its routes.
    pub routes: Vec<String>,
    /// Other headers.
    pub headers: Vec<(String, String)>,
    /// Its description.
    pub body: Option<String>,
}

/// An agent.
pub struct Agent {
    /// What it is like.
    pub setup: Setup,
    /// Its chance.
    pub generator: SmallRng,
    /// Its calls.
    pub calls: BTreeMap<usize, Call>,
    /// Its registration.
    pub registration: Registration,
    /// Requests that wait.
    pub clients: Vec<Client>,
    /// Requests that were received.
    pub servers: Vec<Server>,
    /// What it sends.
    pub out: Vec<Outgoing>,
    /// It takes and sends nothing until then.
    pub away_until_ms: u64,
}

impl Agent {
    /// An agent at rest.
    pub fn new(setup: Setup, mut generator: SmallRng) -> Agent {
        let registration = Registration::new(0, &mut generator);
        Agent {
            setup,
            generator,
            calls: BTreeMap::new(),
            registration,
            clients: Vec::new(),
            servers: Vec::new(),
            out: Vec::new(),
            away_until_ms: 0,
        }
    }

    /// It forgets everything, and is back at a time.
    pub fn restart(&mut self, until_ms: u64, book: &mut Book) {
        book.leave(self.setup.number);
        self.calls.clear();
        self.clients.clear();
        self.servers.clear();
        self.away_until_ms = until_ms;
        self.registration = Registration::new(until_ms, &mut self.generator);
        if self.setup.registers_s.is_none() {
            book.come_back(self.setup.number);
        }
    }

    /// A random word.
    pub fn word(&mut self) -> String {
        format!("{:08x}", self.generator.random::<u32>())
    }

    /// Sends a request.
    pub fn request(&mut self, purpose: Purpose, draft: Draft, book: &mut Book) -> String {
        let branch = format!("z9hG4bK{}", self.word());
        let (request, sent) = self.prepare(&draft, &branch, book);
        self.begin(purpose, request, branch.clone(), sent, book.now_ms);
        branch
    }

    /// Sends a request of its own transaction, or of one that there is.
    pub fn begin(&mut self, purpose: Purpose, request: Message, branch: String, sent: Outgoing, now_ms: u64) {
        let t1_ms = self.setup.t1_ms;
        let repeats = self.setup.transport == Transport::Udp;
        self.clients.push(Client {
            purpose,
            request,
            branch,
            sent: sent.clone(),
            repeat_ms: repeats.then_some(now_ms + t1_ms),
            interval_ms: t1_ms,
            until_ms: now_ms + ENDURANCE * t1_ms,
        });
        self.send(sent);
    }

    /// A request with its Via, and where it goes.
    pub fn prepare(&mut self, draft: &Draft, branch: &str, book: &mut Book) -> (Message, Outgoing) {
        let [from, to, call_id] = &draft.dialog;
        let mut request = Message::new(format!("{} {} SIP/2.0", draft.method, draft.uri));
        request.add("Via", self.setup.via(branch));
        draft.routes.iter().for_each(|route| request.add("Route", route));
        request.add("Max-Forwards", "70");
        for (name, value) in [("From", from), ("To", to), ("Call-ID", call_id)] {
            request.add(name, value);
        }
        request.add("CSeq", format!("{} {}", draft.cseq, draft.method));
        draft.headers.iter().for_each(|(name, value)| request.add(name, value));
        if let Some(body) = &draft.body {
            request.describe(body, &self.setup.style);
        }
        let sent = self.parcel(&request, book);
        (request, sent)
    }

    /// How a request is sent: to the first of its routes, or to where its URI leads.
    pub fn parcel(&self, request: &Message, book: &mut Book) -> Outgoing {
        let next = request.all("Route").next().map_or(request.uri(), message::uri_of);
        let to = message::endpoint(next).unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let bytes = request.bytes(&self.setup.style, self.setup.transport == Transport::Udp);
        book.log(request.get("Call-ID"), &self.setup.user, "sends", &bytes);
        let from = (self.setup.ip, self.setup.source_port);
        Outgoing { transport: self.setup.transport, from, to, connection: None, bytes }
    }

    /// Sends something.
    pub fn send(&mut self, parcel: Outgoing) {
        if self.setup.keeps_alive && self.generator.random_bool(0.2) {
            self.out.push(Outgoing { bytes: b"\r\n\r\n".to_vec(), ..parcel.clone() });
        }
        self.out.push(parcel);
    }

    /// A message arrives.
    pub fn hear(&mut self, incoming: Incoming, book: &mut Book) {
        if incoming.bytes.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        book.counts.messages += 1;
        let read = match Message::read(&incoming.bytes) {
            Ok(read) => read,
            Err(reason) => {
                return book.wrong("", format!("{reason}: {}", incoming.bytes.escape_ascii()));
            }
        };
        book.log(read.get("Call-ID"), &self.setup.user, "reads", &incoming.bytes);
        if read.is_response() {
            self.hear_response(&read, book)
        } else {
            self.hear_request(read, incoming, book)
        }
    }

    fn hear_response(&mut self, response: &Message, book: &mut Book) {
        let (call_id, via) = (response.get("Call-ID"), response.get("Via"));
        let sent_by = via.split([' ', ';']).nth(1).unwrap_or("");
        if sent_by != self.setup.host() || response.all("Via").count() != 1 {
            return book.wrong(call_id, format!("{} reads a response with Via {via}", self.setup.user));
        }
        let branch = message::parameter(via, "branch").unwrap_or("");
        let is_it = |client: &Client| client.branch == branch && client.request.method() == response.cseq().1;
        let Some(at) = self.clients.iter().position(is_it) else {
            // Of an invitation that was answered already.
            if response.cseq().1 == "INVITE" && response.status() >= 200 {
                self.acknowledge_again(response);
            }
            return;
        };
        if let Err(reason) = self.check_response(&self.clients[at].request, response) {
            book.wrong(call_id, format!("{} reads a response with {reason}", self.setup.user));
        }
        if response.status() >= 200 {
            let client = self.clients.remove(at);
            self.answered(&client, response, book);
        } else {
            let client = &mut self.clients[at];
            let is_invite = client.request.method() == "INVITE";
            client.interval_ms = SLOW * self.setup.t1_ms;
            client.repeat_ms = client.repeat_ms.filter(|_| !is_invite);
            if is_invite {
                client.until_ms = u64::MAX;
            }
            let client = client.clone();
            self.answered(&client, response, book);
        }
    }

    /// What a response repeats of its request is what the request said.
    fn check_response(&self, request: &Message, response: &Message) -> Result<(), String> {
        let via = response.get("Via");
        let bare = |via: &str| message::without(via, &["rport", "received"]);
        if bare(via) != bare(request.get("Via")) {
            return Err(format!("Via {via}"));
        }
        // What was added about where it came from must be its own.
        let received = message::parameter(via, "received").filter(|addr| *addr != self.setup.ip.to_string());
        let is_datagram = self.setup.transport == Transport::Udp;
        let rport = message::parameter(via, "rport").filter(|port| !port.is_empty() && is_datagram);
        if received.is_some() || rport.is_some_and(|port| port != self.setup.source_port.to_string()) {
            return Err(format!("Via {via}"));
        }
        for name in ["From", "Call-ID", "CSeq"] {
            if response.get(name) != request.get(name) {
                return Err(format!("{name} {}, not {}", response.get(name), request.get(name)));
            }
        }
        let (had, has) = (request.get("To"), response.get("To"));
        let is_same = had == has || message::without(has, &["tag"]) == *had;
        if is_same { Ok(()) } else { Err(format!("To {has}, not {had}")) }
    }

    fn hear_request(&mut self, mut request: Message, incoming: Incoming, book: &mut Book) {
        let (call_id, uri) = (request.get("Call-ID").to_string(), request.uri().to_string());
        let is_own =
            uri == self.setup.contact() || uri == format!("sip:{}@{}", self.setup.user, self.setup.ip);
        if !is_own {
            let text = format!("{} reads the URI {uri}, and is {}", self.setup.user, self.setup.contact());
            book.wrong(&call_id, text);
        }
        message::receive(&mut request, incoming.from);
        let method = if request.method() == "ACK" { "INVITE" } else { request.method() };
        let bare = |request: &Message| message::without(request.get("Via"), &["rport", "received"]);
        let via = bare(&request);
        let is_it = |server: &Server| server.request.method() == method && bare(&server.request) == via;
        match self.servers.iter().position(is_it) {
            Some(at) if request.method() == "ACK" => self.acknowledged(at, &request, book),
            Some(at) => {
                let last = self.servers[at].last.clone();
                self.out.extend(last);
            }
            None if request.method() == "ACK" => {
                let cseq = request.cseq().0;
                let is_it = |server: &Server| {
                    server.request.cseq() == (cseq, "INVITE") && server.request.get("Call-ID") == call_id
                };
                if let Some(at) = self.servers.iter().position(is_it) {
                    self.acknowledged(at, &request, book);
                }
            }
            None => {
                let tag = self.word();
                let to = request.get("To").to_string();
                let has_tag = message::parameter(&to, "tag").is_some();
                self.servers.push(Server {
                    to: if has_tag { to } else { format!("{to};tag={tag}") },
                    request,
                    incoming,
                    last: None,
                    status: 0,
                    is_acknowledged: false,
                    repeat_ms: None,
                    interval_ms: self.setup.t1_ms,
                    until_ms: book.now_ms + 4 * ENDURANCE * self.setup.t1_ms,
                });
                self.asked(self.servers.len() - 1, book);
            }
        }
    }

    /// An answer was acknowledged, or that is known in another way. False if it was before.
    pub fn settle(&mut self, at: usize) -> bool {
        self.servers[at].repeat_ms = None;
        !std::mem::replace(&mut self.servers[at].is_acknowledged, true)
    }

    /// Answers a request.
    pub fn answer(
        &mut self,
        at: usize,
        status: u16,
        headers: &[(&str, String)],
        body: Option<String>,
        book: &mut Book,
    ) {
        let server = &mut self.servers[at];
        let mut response = Message::new(format!("SIP/2.0 {status} So it is"));
        response.copy(&server.request, &["Via", "From"]);
        let to = if status == 100 { server.request.get("To") } else { &server.to };
        response.add("To", to);
        response.copy(&server.request, &["Call-ID", "CSeq"]);
        if server.request.method() == "INVITE" && (101..300).contains(&status) {
            response.copy(&server.request, &["Record-Route"]);
        }
        headers.iter().for_each(|(name, value)| response.add(name, value));
        if let Some(body) = body {
            response.describe(&body, &self.setup.style);
        }
        let transport = server.incoming.transport;
        let bytes = response.bytes(&self.setup.style, transport == Transport::Udp);
        book.log(response.get("Call-ID"), &self.setup.user, "answers", &bytes);
        let to = message::way_back(response.get("Via")).unwrap_or(server.incoming.from);
        let (from, connection) = (server.incoming.to, server.incoming.connection);
        let sent = Outgoing { transport, from, to, connection, bytes };
        server.status = status;
        server.last = Some(sent.clone());
        let is_invite = server.request.method() == "INVITE";
        // An acceptance is repeated whatever it travels by: proxies may not (section 13.3.1.4).
        let repeats = transport == Transport::Udp || status / 100 == 2;
        if is_invite && status >= 200 && repeats {
            server.interval_ms = self.setup.t1_ms;
            server.repeat_ms = Some(book.now_ms + self.setup.t1_ms);
            server.until_ms = book.now_ms + ENDURANCE * self.setup.t1_ms;
        }
        self.send(sent);
    }

    /// What is due of transactions.
    pub fn repeat(&mut self, book: &mut Book) {
        let (now_ms, slow_ms) = (book.now_ms, SLOW * self.setup.t1_ms);
        for client in &mut self.clients {
            if client.repeat_ms.is_some_and(|at| at <= now_ms) && client.until_ms > now_ms {
                let is_invite = client.request.method() == "INVITE";
                client.interval_ms *= 2;
                if !is_invite {
                    client.interval_ms = client.interval_ms.min(slow_ms);
                }
                client.repeat_ms = Some(now_ms + client.interval_ms);
                book.counts.repeated += 1;
                self.out.push(client.sent.clone());
            }
        }
        for server in &mut self.servers {
            if server.repeat_ms.is_some_and(|at| at <= now_ms) && server.until_ms > now_ms {
                server.interval_ms = (2 * server.interval_ms).min(slow_ms);
                server.repeat_ms = Some(now_ms + server.interval_ms);
                self.out.extend(server.last.clone());
            }
        }
        let is_over = |client: &mut Client| client.until_ms <= now_ms;
        let over: Vec<Client> = self.clients.extract_if(.., is_over).collect();
        over.iter().for_each(|client| self.unanswered(client, book));
        let is_over = |server: &mut Server| server.until_ms <= now_ms;
        let over: Vec<Server> = self.servers.extract_if(.., is_over).collect();
        over.iter().filter(|server| server.repeat_ms.is_some()).for_each(|server| {
            self.unacknowledged(&server.request, book);
        });
    }

    /// When transactions have something to do.
    pub fn next_repeat_ms(&self) -> Option<u64> {
        let clients = self.clients.iter().flat_map(|client| [client.repeat_ms, Some(client.until_ms)]);
        let servers = self.servers.iter().flat_map(|server| [server.repeat_ms, Some(server.until_ms)]);
        clients.chain(servers).flatten().min()
    }
}
