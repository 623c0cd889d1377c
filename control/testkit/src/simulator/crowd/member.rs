//! One session of a crowd: two hosts, their links to the appliance, and how far their conversation has come.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::conversation::{Conversation, Endpoint, Known, Part, Protocol, said};
use super::reuse::{Before, Reuse};
use super::{Parties, Speech, configuration, rtsp, stranger};
use crate::leak::{Row, Tap};
use crate::simulator::host::{Host, HostSetup};
use crate::simulator::link::{self, Impairments, Link};

/// Virtual time within which a session must end, in milliseconds.
const TIME_MS_MAX: u64 = 3_600_000;
/// The share of sessions that a stranger knows of.
const KNOWN_TO_A_STRANGER: f64 = 0.5;
/// How often the stranger sends something in the name of a host at a moment when something happens, while the hosts get
/// to know each other and later.
const FORGED: [f64; 2] = [0.3, 0.02];
/// Packets that the stranger sends in all.
const FORGED_MAX: u64 = 60;
/// When nothing has happened for so long, nothing will.
const SILENCE_MS: u64 = 120_000;

/// How a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on.
    Running,
    /// Both sides have read all that was said, and closed.
    Complete,
    /// A host does not do its part: smoltcp's own faults, see [`Host::has_forgotten`].
    Forgotten,
    /// Something is wrong.
    Failed(String),
}

/// An announced endpoint: the inside port it stands for, and where it is reached.
pub type Announcement = ((Protocol, u16), Endpoint);

/// A session.
pub struct Member {
    /// What it talks.
    pub speech: Speech,
    /// Who talks to whom.
    pub parties: Parties,
    /// What is known of its translation.
    pub known: Known,
    /// How it stands.
    pub progress: Progress,
    /// When it has something to do.
    pub due_ms: u64,
    /// Announced endpoints that nobody has tried yet.
    pub announced: Vec<Announcement>,
    /// Its doors should be closed.
    pub is_torn_down: bool,
    /// When it began.
    pub start_ms: u64,
    /// What its connection was made over, if not the first.
    pub reused: Option<Before>,
    /// Packets that a stranger sent in its hosts' names.
    pub forged: u64,
    /// Looks at what leaves by the outside.
    pub tap: Tap,
    hosts: [Host; 2],
    /// The server's end of the connection before, as long as it is alive.
    old_server: Option<Host>,
    /// Numbers that the appliance may go by too: the last ones of the connection before, until the next is agreed to, and forged ones.
    other_numbers: Vec<u32>,
    endpoints: [Endpoint; 2],
    /// From each host to the appliance, and back.
    up: [Link; 2],
    down: [Link; 2],
    conversation: Conversation,
    said: [usize; 2],
    heard: [usize; 2],
    /// Bytes of what was read that belong to messages heard.
    parsed: [usize; 2],
    generator: SmallRng,
    is_connected: bool,
    connect_ms: u64,
    /// The client takes no packets until it connects.
    is_off: bool,
    active_ms: u64,
    setups: [HostSetup; 2],
    reuse: Option<Reuse>,
    has_stranger: bool,
}

fn impairments(longest: usize, generator: &mut SmallRng) -> Impairments {
    let is_fair = generator.random_bool(0.15);
    Impairments {
        loss: if is_fair { 0.0 } else { 0.05 },
        duplication: if is_fair { 0.0 } else { 0.03 },
        delay_ms: generator.random_range(0..40),
        jitter_ms: if is_fair { 0 } else { generator.random_range(0..30) },
        cut: [0.0, 0.1, 0.3, 1.0][generator.random_range(0..4)],
        part_len_max: [1, 10, 200][generator.random_range(0..3)].max(longest / 100),
    }
}

fn host_setup(endpoint: Endpoint, longest: usize, generator: &mut SmallRng) -> HostSetup {
    // As small as can be, but for the longest messages, or sessions take for ever.
    let room_min = (longest / 60).max(4);
    HostSetup {
        endpoint: (endpoint.0.octets(), endpoint.1),
        mtu: [61, 100, 576, 1500][generator.random_range(0..4)].max(longest / 100 + 60),
        receive_room: generator.random_range(room_min..room_min * 32),
        send_room: generator.random_range(room_min..room_min * 32),
        nagle: generator.random_bool(0.5),
        ack_delay_ms: [None, Some(10), Some(200)][generator.random_range(0..3)],
        timestamps: generator.random_bool(0.5),
        script: Vec::new(),
        write_len_max: [1, 20, 4000][generator.random_range(0..3)].max(longest / 100),
        pause_ms_max: [0, 20, 300][generator.random_range(0..3)],
        nap_ms: if generator.random_bool(0.2) { 3000 } else { 0 },
    }
}

/// Both hosts, whose programs say what they are told; the server waits for a connection.
fn hosts(setups: &[HostSetup; 2], now_ms: u64, generator: &mut SmallRng) -> [Host; 2] {
    let mut hosts = setups.clone().map(|setup| Host::new(setup, generator.random(), now_ms));
    hosts.iter_mut().for_each(Host::keep_open);
    hosts[1].listen();
    hosts
}

/// What is known of a session before it begins.
fn known(parties: &Parties) -> Known {
    let mut known = Known::new(parties.inside);
    known.global = (!parties.client_is_inside).then_some(parties.global);
    known
}

impl Member {
    /// A session that begins at `start_ms`.
    pub fn new(speech: Speech, parties: Parties, mut generator: SmallRng, start_ms: u64) -> Member {
        let conversation = speech.conversation(&parties, &mut generator);
        let is_alone = parties.shared_port.is_none();
        let reuse = is_alone
            .then(|| Reuse::random(&conversation, &mut generator, |it| speech.conversation(&parties, it)))
            .flatten();
        let known = known(&parties);
        let said = [Some(&conversation), reuse.as_ref().map(|reuse| &reuse.conversation)];
        let lengths = said.into_iter().flatten().map(|said| said.message_len_max(&known));
        let longest = lengths.max().unwrap_or(0);
        let client_port = generator.random_range(1024..u16::MAX);
        let endpoints = match parties.client_is_inside {
            true => [(parties.inside, client_port), (parties.outside, speech.port())],
            false => [(parties.outside, client_port), (parties.inside, speech.port())],
        };
        let setups = endpoints.map(|endpoint| host_setup(endpoint, longest, &mut generator));
        let hosts = hosts(&setups, start_ms, &mut generator);
        let mut tap = Tap::new(configuration::is_inside);
        tap.passes = conversation.passes(parties.inside_side());
        let impairments = impairments(longest, &mut generator);
        let links = || [0, 1].map(|_| Link::new(impairments.clone()));
        Member {
            speech,
            known,
            progress: Progress::Running,
            due_ms: start_ms,
            announced: Vec::new(),
            is_torn_down: false,
            start_ms,
            reused: None,
            forged: 0,
            tap,
            hosts,
            old_server: None,
            other_numbers: Vec::new(),
            endpoints,
            up: links(),
            down: links(),
            conversation,
            said: [0; 2],
            heard: [0; 2],
            parsed: [0; 2],
            generator: SmallRng::seed_from_u64(generator.random()),
            is_connected: false,
            connect_ms: start_ms,
            is_off: false,
            active_ms: start_ms,
            setups,
            reuse,
            has_stranger: generator.random_bool(KNOWN_TO_A_STRANGER),
            parties,
        }
    }

    /// Whether a host is the inside one.
    pub fn is_inside(&self, at: usize) -> bool {
        (at == 0) == self.parties.client_is_inside
    }

    /// The host with an address.
    pub fn host_of(&self, address: Ipv4Addr) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.0 == address)
    }

    /// Its control connection's ends, the client's first, as they know themselves.
    pub fn endpoints(&self) -> [Endpoint; 2] {
        self.endpoints
    }

    /// Whether an endpoint of the inside host is announced more than once.
    pub fn announces_again(&self) -> bool {
        let mut seen = HashSet::new();
        self.conversation.doors().any(|door| !seen.insert(door))
    }

    /// All that it does at this moment. Packets to the appliance come with the host that sent them.
    pub fn step(&mut self, now_ms: u64) -> Vec<(usize, Vec<u8>)> {
        if !self.is_connected && now_ms >= self.connect_ms {
            self.is_connected = true;
            let (at, port) =
                if self.parties.client_is_inside { self.endpoints[1] } else { self.parties.global };
            self.hosts[0].connect((at.octets(), port));
        }
        self.run(now_ms);
        if let Err(reason) = self.hear() {
            self.fail(reason, now_ms);
        }
        self.talk();
        self.reuse_amid(now_ms);
        let mut sent = Vec::new();
        for at in 0..2 {
            while let Some(packet) = self.up[at].receive(now_ms) {
                sent.push((at, packet));
            }
            sent.extend(self.forge(at).map(|packet| (at, packet)));
        }
        self.find_due(now_ms);
        sent
    }

    /// Gives the hosts what arrives, and has them run.
    fn run(&mut self, now_ms: u64) {
        for at in 0..2 {
            while let Some(packet) = self.down[at].receive(now_ms) {
                self.arrive(at, packet, now_ms);
            }
            let mut sent = self.hosts[at].run(now_ms);
            if at == 1 {
                sent.extend(self.run_old_server(now_ms));
            }
            for packet in sent {
                self.up[at].send(packet, now_ms, &mut self.generator);
            }
        }
    }

    fn arrive(&mut self, at: usize, packet: Vec<u8>, now_ms: u64) {
        let is_deaf = at == 0 && self.is_off && !self.is_connected;
        // Whoever waits for a SYN would believe any.
        let would_believe = !self.hosts[at].is_synchronized() && stranger::is_forged_syn(&packet);
        if is_deaf || would_believe {
            return;
        }
        match &mut self.old_server {
            Some(host) if at == 1 => {
                host.arrive(packet);
                for packet in self.run_old_server(now_ms) {
                    self.up[1].send(packet, now_ms, &mut self.generator);
                }
            }
            _ => self.hosts[at].arrive(packet),
        }
    }

    /// The server's old end, until it ends.
    fn run_old_server(&mut self, now_ms: u64) -> Vec<Vec<u8>> {
        let sent = self.old_server.as_mut().map(|host| host.run(now_ms));
        self.old_server.take_if(|host| host.is_free());
        sent.unwrap_or_default()
    }

    /// Ends the connection amid its conversation for the next one, if it is time for that.
    fn reuse_amid(&mut self, now_ms: u64) {
        let heard: usize = self.heard.iter().sum();
        let is_meant = |reuse: &Reuse| reuse.before != Before::Closed && heard >= reuse.heard;
        if self.is_connected && self.reuse.as_ref().is_some_and(is_meant) && self.generator.random_bool(0.1) {
            let before = self.reuse.as_ref().map_or(Before::Closed, |reuse| reuse.before);
            if before == Before::Reset {
                for packet in self.hosts[0].abort(now_ms) {
                    self.up[0].send(packet, now_ms, &mut self.generator);
                }
            }
            self.begin_anew(before, now_ms);
        }
    }

    /// Begins another connection over the same ports, if there is one to come. What is on its way of the one before still
    /// arrives. False if there is none.
    fn begin_anew(&mut self, before: Before, now_ms: u64) -> bool {
        let Some(reuse) = self.reuse.take() else { return false };
        let hosts = hosts(&self.setups, now_ms, &mut self.generator);
        self.other_numbers.extend(self.hosts.iter().filter_map(Host::numbers).flatten());
        let [_, server] = std::mem::replace(&mut self.hosts, hosts);
        let is_left = matches!(before, Before::Reset | Before::Forgotten) && !server.is_free();
        self.old_server = is_left.then_some(server);
        self.reused = Some(before);
        self.tap.passes.extend(reuse.conversation.passes(self.parties.inside_side()));
        self.conversation = reuse.conversation;
        self.known = known(&self.parties);
        self.announced.clear();
        self.is_torn_down = false;
        (self.said, self.heard, self.parsed) = ([0; 2], [0; 2], [0; 2]);
        (self.is_connected, self.is_off) = (false, reuse.is_off);
        self.connect_ms = now_ms + reuse.away_ms;
        (self.start_ms, self.active_ms) = (self.connect_ms, self.connect_ms);
        true
    }

    /// What a stranger sends in the name of a host, once in a while.
    fn forge(&mut self, at: usize) -> Option<Vec<u8>> {
        let is_shaken = self.hosts.iter().all(Host::is_synchronized);
        if !self.has_stranger
            || self.forged == FORGED_MAX
            || !self.generator.random_bool(FORGED[usize::from(is_shaken)])
        {
            return None;
        }
        let receiver = &self.hosts[1 - at];
        let known = self.hosts.iter().filter_map(Host::numbers).flatten();
        let mut known: Vec<u32> = known.chain(self.other_numbers.iter().copied()).collect();
        let (from, to) = (self.endpoints[at], self.seen_by(at)?);
        if !self.is_connected || known.is_empty() {
            return None;
        }
        self.forged += 1;
        // A server that has answered waits for no other SYN than the one that it has. Over used ports the appliance
        // remembers but the latest SYN until there is an answer, and a stranger may win that race.
        let is_answered = at == 0 && self.reused.is_none() && !receiver.is_free();
        let with_syn = is_shaken || is_answered;
        let packet = stranger::packet(from, to, with_syn, &mut known, &mut self.generator);
        self.other_numbers = known;
        Some(packet)
    }

    /// The other host as a host sees it, if that is known.
    fn seen_by(&self, at: usize) -> Option<Endpoint> {
        if self.is_inside(at) { Some(self.endpoints[1 - at]) } else { self.known.global }
    }

    fn find_due(&mut self, now_ms: u64) {
        let links = self.up.iter().chain(&self.down).filter_map(Link::next_ms).min();
        let hosts = self.hosts.iter_mut().chain(&mut self.old_server);
        let hosts = hosts.filter_map(|host| host.next_ms(now_ms)).min();
        let connect = (!self.is_connected).then_some(self.connect_ms);
        let next_ms = [links, hosts, connect].into_iter().flatten().min();
        match next_ms {
            Some(next_ms) => {
                self.active_ms = now_ms;
                self.due_ms = next_ms.max(now_ms + 1);
            }
            // Only the appliance may still have something to say.
            None => self.due_ms = now_ms + SILENCE_MS,
        }
        if self.progress == Progress::Running {
            self.judge(now_ms);
        }
    }

    /// Decides whether it is over.
    fn judge(&mut self, now_ms: u64) {
        if !self.is_connected {
            return;
        }
        if self.hosts.iter().all(Host::is_done) {
            let has_heard_all = (0..2).all(|at| {
                self.heard[at] == self.conversation.messages[1 - at].len()
                    && self.parsed[at] == self.hosts[at].received.len()
            });
            if has_heard_all {
                if self.begin_anew(Before::Closed, now_ms) {
                    self.due_ms = now_ms + 1;
                } else {
                    self.progress = Progress::Complete;
                }
            } else {
                self.fail("both closed before all was heard".into(), now_ms);
            }
            return;
        }
        let is_silent = now_ms.saturating_sub(self.active_ms) >= SILENCE_MS;
        let is_late = now_ms.saturating_sub(self.start_ms) > TIME_MS_MAX;
        if !is_silent && !is_late {
            return;
        }
        let are_rewound = is_late && self.hosts.iter().all(Host::is_rewound);
        let has_forgotten = are_rewound
            || self.hosts.iter_mut().any(|host| host.has_forgotten(now_ms) || is_late && host.is_stuck());
        match has_forgotten {
            true => self.progress = Progress::Forgotten,
            false => self.fail(if is_late { "it takes too long" } else { "it stalls" }.into(), now_ms),
        }
    }

    /// Reads messages as far as they have arrived whole.
    fn hear(&mut self) -> Result<(), String> {
        for at in 0..2 {
            let messages = &self.conversation.messages[1 - at];
            let received = &self.hosts[at].received;
            while let Some(message) = messages.get(self.heard[at]) {
                let rest = &received[self.parsed[at]..];
                let Some(len) = message.framing.len(rest) else { break };
                let number = self.heard[at];
                let announced = message
                    .check(&rest[..len], &mut self.known)
                    .map_err(|reason| format!("message {number} to host {at}: {reason}"))?;
                self.announced.extend(announced);
                self.is_torn_down |=
                    self.speech == Speech::Rtsp && at == 1 && rtsp::is_teardown(&message.parts, &self.known);
                self.parsed[at] += len;
                self.heard[at] += 1;
            }
            if self.heard[at] == messages.len() && self.parsed[at] < received.len() {
                return Err(format!("host {at} reads more than was said"));
            }
        }
        Ok(())
    }

    /// Says what it is time for.
    fn talk(&mut self) {
        for at in 0..2 {
            let messages = &self.conversation.messages[at];
            while let Some(message) = messages.get(self.said[at])
                && self.heard[at] >= message.after
            {
                self.hosts[at].say(&said(&message.parts, &self.known));
                self.said[at] += 1;
            }
            if self.said[at] == messages.len() {
                self.hosts[at].fall_silent();
            }
        }
    }

    /// A packet of the control connection comes out of the appliance for a host.
    pub fn deliver(&mut self, at: usize, packet: Vec<u8>, now_ms: u64) {
        if let Err(reason) = self.check_packet(at, &packet).and_then(|()| self.check_payload(at, &packet)) {
            self.fail(reason, now_ms);
        }
        self.down[at].send(packet, now_ms, &mut self.generator);
        if let Some(next_ms) = self.down[at].next_ms() {
            self.due_ms = self.due_ms.min(next_ms.max(now_ms + 1));
            self.active_ms = now_ms;
        }
    }

    /// Its lengths and checksums are right, and it comes from where the other host is seen.
    fn check_packet(&mut self, at: usize, packet: &[u8]) -> Result<(), String> {
        let total_len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let is_right = total_len == packet.len()
            && crate::checksum::sum(&packet[..20]) == 0xffff
            && link::tcp_sum(packet, 20) == 0xffff;
        if !is_right {
            return Err(format!("a broken packet: {packet:02x?}"));
        }
        let source = source(packet);
        let expected = match self.is_inside(at) {
            true => self.endpoints[1 - at],
            false => *self.known.global.get_or_insert(source),
        };
        if source == expected { Ok(()) } else { Err(format!("a packet from {source:?}, not {expected:?}")) }
    }

    /// What leaves by the outside has no inside address in it, but for what may pass.
    fn check_payload(&mut self, at: usize, packet: &[u8]) -> Result<(), String> {
        if self.is_inside(at) {
            return Ok(());
        }
        if stranger::is_forged(packet) {
            let has_words = !Tap::new(configuration::is_inside).packet(packet).is_empty();
            *self.tap.passed.entry(Row::Unshaken).or_default() += u64::from(has_words);
            return Ok(());
        }
        let leaks = self.tap.packet(packet);
        leaks.first().map_or(Ok(()), |leak| Err(format!("an inside address left: {leak}")))
    }

    /// How long it took, in milliseconds.
    pub fn time_ms(&self) -> u64 {
        self.active_ms.saturating_sub(self.start_ms)
    }

    /// Something is wrong with it.
    pub fn fail(&mut self, reason: String, now_ms: u64) {
        let mut setups = self.setups.clone();
        setups.iter_mut().for_each(|setup| setup.script.clear());
        let [client, server] = &self.hosts;
        let said = |part: &Part| said(std::slice::from_ref(part), &self.known);
        let next = (0..2).map(|at| {
            let message = self.conversation.messages[1 - at].get(self.heard[at]);
            let bytes: Vec<u8> = message.iter().flat_map(|message| &message.parts).flat_map(said).collect();
            let rest = &self.hosts[at].received[self.parsed[at]..];
            format!("host {at} waits for {}\n    and has {}", bytes.escape_ascii(), rest.escape_ascii())
        });
        let next: Vec<String> = next.collect();
        self.progress = Progress::Failed(format!(
            "{:?} over {:?}: {reason}, after {} ms\n  {:?}\n  old server {:?}\n  client {}\n  server {}\n  said {:?}, heard {:?}\n  {}\n  {:?}\n  {:?}",
            self.speech,
            self.reused,
            now_ms.saturating_sub(self.start_ms),
            self.parties,
            self.old_server.as_ref().map(Host::describe),
            client.describe(),
            server.describe(),
            self.said,
            self.heard,
            next.join("\n  "),
            setups,
            self.up[0].impairments(),
        ));
    }
}

/// Where a packet with ports comes from.
pub fn source(packet: &[u8]) -> Endpoint {
    endpoint(packet, 12, 20)
}

/// Where a packet with ports goes to.
pub fn destination(packet: &[u8]) -> Endpoint {
    endpoint(packet, 16, 22)
}

fn endpoint(packet: &[u8], address: usize, port: usize) -> Endpoint {
    let octets: [u8; 4] = std::array::from_fn(|at| packet[address + at]);
    (octets.into(), u16::from_be_bytes([packet[port], packet[port + 1]]))
}
