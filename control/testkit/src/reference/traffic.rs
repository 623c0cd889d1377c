//! Random traffic: conversations of inside hosts, what strangers send, errors, fragments, and time that passes.
//!
//! What is drawn never depends on what the appliance did, but for the global endpoints it chose: the same seed
//! makes the same conversations for any number of workers, and with any steps left out.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use alg::Side;
use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

use super::facts::{Dynamic, Endpoint, Facts, ICMP, Static, TCP, UDP};
use super::relation::Relation;
use super::view::{fragments, packet};
use crate::packet::{ACK, FIN, PSH, RST, SYN, Tcp, icmp, udp};

/// GRE, a protocol without ports.
const GRE: u8 = 47;
/// The most conversations that are remembered.
const CONVERSATION_COUNT_MAX: usize = 400;

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// A packet comes in on a side.
    Packet(Side, Vec<u8>),
    /// Time passes, in milliseconds.
    Wait(u64),
}

/// Two endpoints that talk.
#[derive(Clone, Copy, Debug)]
struct Conversation {
    protocol: u8,
    local: Endpoint,
    peer: Endpoint,
    /// The peer is another conversation's inside host, by its global endpoint.
    hairpin: Option<Endpoint>,
    /// How far a connection is.
    stage: u8,
    /// The outside began it.
    is_inbound: bool,
}

/// A source of random traffic.
pub struct Traffic {
    random: SmallRng,
    statics: Vec<Static>,
    hosts: Vec<Ipv4Addr>,
    pool: Vec<Ipv4Addr>,
    /// Whether the hosts may send what has no ports.
    has_portless: bool,
    is_comparable: bool,
    conversations: Vec<Conversation>,
    pieces: VecDeque<(Side, Vec<u8>)>,
    last_id: u16,
}

impl Traffic {
    /// Traffic of so many inside hosts, beside those of the static rules; comparable traffic leaves out
    /// what hangs on the appliance's choices where several are legal: packets between hosts, and to mappings that may have ended.
    pub fn new(random: SmallRng, facts: &Facts, host_count: u8, is_comparable: bool) -> Traffic {
        Traffic {
            random,
            statics: facts.statics.clone(),
            hosts: (0..host_count).map(|host| Ipv4Addr::new(10, 0, 0, 10 + host)).collect(),
            pool: facts.pool().to_vec(),
            has_portless: matches!(facts.dynamic, Dynamic::Whole(_) | Dynamic::Overload(_)),
            is_comparable,
            conversations: Vec::new(),
            pieces: VecDeque::new(),
            last_id: 0,
        }
    }

    /// What happens next.
    pub fn next(&mut self, relation: &Relation) -> Step {
        let has_pieces = !self.pieces.is_empty();
        if has_pieces
            && self.random.random_ratio(2, 5)
            && let Some((side, piece)) = self.pieces.pop_front()
        {
            return Step::Packet(side, piece);
        }
        let (side, bytes) = match self.random.random_range(0..1000) {
            0..100 => return Step::Wait(self.wait(has_pieces)),
            100..240 => self.begin(relation),
            240..680 => self.go_on(relation),
            680..720 => self.new_peer(relation),
            720..780 => self.stranger(relation),
            780..820 => self.hairpin(relation),
            820..870 => self.error_from_outside(relation),
            870..910 => self.error_from_inside(relation),
            910..950 => return self.cut_up(relation),
            950..980 => self.plain(),
            980..990 => self.portless(relation),
            _ => self.expiring(relation),
        };
        Step::Packet(side, bytes)
    }

    fn wait(&mut self, has_pieces: bool) -> u64 {
        let (kind, within) = (self.random.random_range(0..100), self.random.random_range(0..1000u64));
        match kind {
            _ if has_pieces => within,
            0..60 => within,
            60..80 => within * 20,
            80..94 => within * 100,
            94..99 => within * 600,
            _ => within * 8000,
        }
    }

    fn endpoint(&mut self, protocol: u8) -> Endpoint {
        const PORTS: [u16; 5] = [80, 443, 5000, 5001, 123];
        let addr = Ipv4Addr::new(198, 51, 100, self.random.random_range(1..7));
        let any = self.random.random_range(1..=u16::MAX);
        let usual = *PORTS.choose(&mut self.random).unwrap_or(&80);
        let port = match self.random.random_range(0..10) {
            0 => any,
            1 if protocol == UDP => 53,
            _ => usual,
        };
        (addr, if protocol == ICMP { 0 } else { port })
    }

    fn own_port(&mut self, protocol: u8) -> u16 {
        let (low, few, any) = (
            self.random.random_range(1..1024),
            self.random.random_range(4000..4016),
            self.random.random_range(1024..=u16::MAX),
        );
        match self.random.random_range(0..10) {
            // Ports of the lower class are few, and soon dealt out to workers.
            0..3 if protocol != ICMP && self.is_comparable => low + 2000,
            0..3 if protocol != ICMP => low,
            3..7 => few,
            _ => any,
        }
    }

    fn remember(&mut self, conversation: Conversation) {
        if self.conversations.len() == CONVERSATION_COUNT_MAX {
            let oldest = self.random.random_range(0..CONVERSATION_COUNT_MAX);
            self.conversations.swap_remove(oldest);
        }
        self.conversations.push(conversation);
    }

    fn begin(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let protocol = *[UDP, UDP, TCP, TCP, ICMP].choose(&mut self.random).unwrap_or(&UDP);
        let peer = self.endpoint(protocol);
        let port = self.own_port(protocol);
        let host = *self.hosts.choose(&mut self.random).unwrap_or(&Ipv4Addr::LOCALHOST);
        let fixed = self.statics.choose(&mut self.random).copied();
        let is_fixed = self.random.random_ratio(1, 6);
        let is_inbound = self.random.random() && is_fixed && fixed.is_some();
        let (protocol, local) = match fixed.filter(|_| is_fixed) {
            None => (protocol, (host, port)),
            Some(Static::Address(local, _)) => (protocol, (local, port)),
            Some(Static::Port(of, local, _)) => (of, local),
            Some(Static::Network(local, ..)) => {
                (protocol, (Ipv4Addr::from_bits(local.to_bits() + u32::from(port % 8)), port))
            }
        };
        let peer = if protocol == ICMP { (peer.0, 0) } else { (peer.0, peer.1.max(1)) };
        let conversation = Conversation { protocol, local, peer, hairpin: None, stage: 0, is_inbound };
        self.remember(conversation);
        let last = self.conversations.len() - 1;
        self.say(last, relation)
    }

    fn go_on(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        match self.conversations.len() {
            0 => self.begin(relation),
            count => {
                let which = self.random.random_range(0..count);
                self.say(which, relation)
            }
        }
    }

    fn new_peer(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let Some(known) = self.conversations.choose(&mut self.random).copied() else {
            return self.begin(relation);
        };
        let peer = self.endpoint(known.protocol);
        self.remember(Conversation { peer, hairpin: None, stage: 0, is_inbound: false, ..known });
        let last = self.conversations.len() - 1;
        self.say(last, relation)
    }

    /// The next packet of a conversation.
    fn say(&mut self, which: usize, relation: &Relation) -> (Side, Vec<u8>) {
        let talk = self.conversations[which];
        let is_answer = self.random.random();
        let (flags, from_beginner) = match (talk.protocol, talk.stage) {
            (TCP, 0) => (SYN, true),
            (TCP, 1) => (SYN | ACK, false),
            (TCP, 2) => (ACK, true),
            (TCP, 3..8) => (PSH | ACK, is_answer),
            (TCP, 8) => (FIN | ACK, true),
            (TCP, 9) => (FIN | ACK, false),
            (TCP, 10) => (ACK, true),
            (TCP, 11) => (RST, is_answer),
            (TCP, _) => (SYN, true),
            _ => (0, talk.stage == 0 || is_answer),
        };
        let jump = self.random.random_range(0..40);
        let odd = self.random.random_range(0..20u8);
        let stage = &mut self.conversations[which].stage;
        *stage = match (talk.protocol, talk.stage, jump) {
            (TCP, 12.., _) => 1,
            (TCP, 3..8, 0) => 11,
            (TCP, 3..8, 1..30) => talk.stage,
            (TCP, 0..3, 0) => talk.stage,
            (_, stage, _) => stage.saturating_add(1).min(13),
        };
        let flags = match odd {
            0 if talk.protocol == TCP => [RST, RST | ACK, FIN | ACK, ACK, SYN, SYN | ACK][which % 6],
            _ => flags,
        };
        self.part(talk, from_beginner != talk.is_inbound, flags, relation)
    }

    /// A packet of a conversation, from inside or from its peer.
    fn part(
        &mut self,
        talk: Conversation,
        is_outbound: bool,
        flags: u8,
        relation: &Relation,
    ) -> (Side, Vec<u8>) {
        // No port below 512 is ever handed out, so that a guess hits nothing whatever was chosen.
        let guess = self.random.random_range(1..512);
        let address = self.pool.first().copied().unwrap_or(Ipv4Addr::new(203, 0, 113, 9));
        let guessed = (address, guess);
        let is_comparable = self.is_comparable;
        let seen = |local: Endpoint| known(relation, is_comparable, talk.protocol, local).unwrap_or(guessed);
        let body = self.body();
        let global = seen(talk.local);
        // The peer of a hairpin answers from inside.
        let (side, src, dst) = match (is_outbound, talk.hairpin) {
            (true, None) => (Side::Inside, talk.local, talk.peer),
            (false, None) => (Side::Outside, talk.peer, global),
            (true, Some(other)) => (Side::Inside, talk.local, seen(other)),
            (false, Some(other)) => (Side::Inside, other, global),
        };
        let transport = match talk.protocol {
            // The identifier is who asks' own: ours, unless the outside asks a host with a static address.
            ICMP if talk.is_inbound => {
                let kind = if is_outbound { 0 } else { 8 };
                icmp((kind, 0), [(talk.local.1 >> 8) as u8, talk.local.1 as u8, 0, 1], &body)
            }
            ICMP => {
                let (kind, id) = if is_outbound { (8, talk.local.1) } else { (0, dst.1) };
                icmp((kind, 0), [(id >> 8) as u8, id as u8, 0, 1], &body)
            }
            TCP => {
                let numbers = [is_outbound, !is_outbound].map(|from_local| first_number(&talk, from_local));
                self.tcp((src.1, dst.1), numbers, flags, &body)
            }
            _ => udp((src.1, dst.1), &body),
        };
        let mut bytes = self.packet(talk.protocol, src.0, dst.0, &transport);
        if talk.protocol == UDP && body.len().is_multiple_of(9) {
            bytes[26..28].fill(0);
        }
        (side, bytes)
    }

    fn body(&mut self) -> Vec<u8> {
        let mut body = vec![0; self.random.random_range(0..90)];
        self.random.fill_bytes(&mut body);
        body
    }

    /// A segment of a connection in which nothing was said before, or rarely one of somebody who guesses its numbers.
    fn tcp(&mut self, ports: (u16, u16), [own, other]: [u32; 2], flags: u8, body: &[u8]) -> Vec<u8> {
        let guess = (self.random.random_range(0..20u8) == 0).then(|| self.random.random::<(u32, u32)>());
        let seq = own.wrapping_add(u32::from(flags & SYN == 0));
        let ack = if flags & ACK == 0 { 0 } else { other.wrapping_add(1) };
        let (seq, ack) = guess.unwrap_or((seq, ack));
        let body = if flags & PSH != 0 { body } else { &[] };
        Tcp { ports, seq, ack, flags, window: 0x2000, urgent: 0 }.around(&[], body)
    }

    fn packet(&mut self, protocol: u8, src: Ipv4Addr, dst: Ipv4Addr, transport: &[u8]) -> Vec<u8> {
        self.last_id = self.last_id.wrapping_add(1);
        let ttl = self.random.random_range(2..=255);
        packet(protocol, src, dst, ttl, self.last_id, transport)
    }

    /// Somebody outside whom nobody asked.
    fn stranger(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let known = self.conversations.choose(&mut self.random).copied();
        let port = self.random.random_range(1..=u16::MAX);
        let (how, peer) = (self.random.random_range(0..4), self.endpoint(UDP));
        let Some(mut talk) = known.filter(|talk| talk.protocol != ICMP) else { return self.begin(relation) };
        talk.hairpin = None;
        talk.peer = match how {
            0 => (talk.peer.0, port),
            1 => peer,
            _ => talk.peer,
        };
        match how {
            2 => talk.local.1 = port,
            3 => talk.protocol = if talk.protocol == UDP { TCP } else { UDP },
            _ => {}
        }
        talk.peer.1 = talk.peer.1.max(1);
        self.part(talk, false, SYN, relation)
    }

    /// A host talks to another one by its global endpoint.
    fn hairpin(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let one = self.conversations.choose(&mut self.random).copied();
        let other = self.conversations.choose(&mut self.random).copied();
        let (Some(one), Some(other)) = (one, other) else { return self.begin(relation) };
        let is_possible = !self.is_comparable
            && one.protocol == other.protocol
            && one.protocol != ICMP
            && one.local.0 != other.local.0
            && relation.facts().pool().len() + self.statics.len() > 0;
        if !is_possible {
            return self.go_on(relation);
        }
        let hairpin = Some(other.local);
        self.remember(Conversation { hairpin, stage: 0, is_inbound: false, ..one });
        let last = self.conversations.len() - 1;
        self.say(last, relation)
    }

    fn error_from_outside(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let (quote, len) = (self.random.random_range(0..10), self.random.random_range(28..120));
        let Some(talk) = self.conversations.choose(&mut self.random).copied() else {
            return self.begin(relation);
        };
        let (_, mut quoted) = self.part(Conversation { hairpin: None, ..talk }, true, ACK, relation);
        if let Some(global) = known(relation, self.is_comparable, talk.protocol, talk.local) {
            let port = if quote == 0 { 7 } else { global.1 };
            quoted = readdressed(&quoted, Some((global.0, port)), None);
        }
        quoted.truncate(len);
        let router = Ipv4Addr::new(198, 18, 0, len as u8);
        let from = if quote < 5 { router } else { talk.peer.0 };
        let global = Ipv4Addr::new(quoted[12], quoted[13], quoted[14], quoted[15]);
        let kind = if quote % 2 == 0 { (3, 3) } else { (11, 0) };
        let body = icmp(kind, [0; 4], &quoted);
        (Side::Outside, self.packet(ICMP, from, global, &body))
    }

    fn error_from_inside(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let (quote, len) = (self.random.random_range(0..10), self.random.random_range(28..120));
        let Some(talk) = self.conversations.choose(&mut self.random).copied() else {
            return self.begin(relation);
        };
        let (_, quoted) = self.part(Conversation { hairpin: None, ..talk }, false, ACK, relation);
        let peer = match talk.hairpin {
            Some(other) => known(relation, self.is_comparable, talk.protocol, other).unwrap_or(talk.peer),
            None => talk.peer,
        };
        let port = if quote == 0 { talk.local.1 ^ 1 } else { talk.local.1 };
        let mut quoted = readdressed(&quoted, Some(peer), Some((talk.local.0, port)));
        quoted.truncate(len);
        let from = if quote < 8 { talk.local.0 } else { Ipv4Addr::new(10, 0, 100, 1) };
        let body = icmp((3, if quote % 2 == 0 { 3 } else { 1 }), [0; 4], &quoted);
        (Side::Inside, self.packet(ICMP, from, peer.0, &body))
    }

    /// A datagram in fragments, which come in any order among other packets.
    fn cut_up(&mut self, relation: &Relation) -> Step {
        let mut more = vec![0; self.random.random_range(48..500)];
        self.random.fill_bytes(&mut more);
        let (is_outbound, count) = (self.random.random(), self.random.random_range(1..4));
        let mut cuts: Vec<usize> = (0..count).map(|_| self.random.random_range(1..6) * 8).collect();
        let is_shuffled = self.random.random_ratio(1, 2);
        let mut order = [0, 1, 2, 3];
        order.shuffle(&mut self.random);
        let Some(talk) = self.conversations.choose(&mut self.random).copied() else {
            return Step::Wait(1);
        };
        if talk.protocol != UDP || talk.hairpin.is_some() {
            return Step::Wait(2);
        }
        let (side, whole) = self.part(talk, is_outbound, 0, relation);
        let word = |at: usize| u16::from_be_bytes([whole[at], whole[at + 1]]);
        let id = word(4);
        let addr = |at: usize| Ipv4Addr::new(whole[at], whole[at + 1], whole[at + 2], whole[at + 3]);
        let whole = packet(UDP, addr(12), addr(16), whole[8], id, &udp((word(20), word(22)), &more));
        cuts.sort_unstable();
        cuts.dedup();
        let pieces = fragments(&whole, &cuts);
        let order = order.into_iter().filter(|&at| at < pieces.len());
        let ordered: Vec<usize> = if is_shuffled { order.collect() } else { (0..pieces.len()).collect() };
        self.pieces.extend(ordered.into_iter().map(|at| (side, pieces[at].clone())));
        match self.pieces.pop_front() {
            Some((side, piece)) => Step::Packet(side, piece),
            None => Step::Wait(1),
        }
    }

    /// Hosts that no rule translates, either way.
    fn plain(&mut self) -> (Side, Vec<u8>) {
        let host = Ipv4Addr::new(10, 0, 200, self.random.random_range(1..20));
        let (peer, port, body) = (self.endpoint(UDP), self.own_port(UDP), self.body());
        match self.random.random() {
            true => (Side::Inside, self.packet(UDP, host, peer.0, &udp((port, peer.1), &body))),
            false => (Side::Outside, self.packet(UDP, peer.0, host, &udp((peer.1, port), &body))),
        }
    }

    fn portless(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let (peer, body) = (self.endpoint(UDP), self.body());
        let host = self.hosts.choose(&mut self.random).copied();
        match host.filter(|_| self.has_portless) {
            Some(host) => (Side::Inside, self.packet(GRE, host, peer.0, &body)),
            None => self.begin(relation),
        }
    }

    /// A packet whose last hop this is.
    fn expiring(&mut self, relation: &Relation) -> (Side, Vec<u8>) {
        let (side, bytes) = self.go_on(relation);
        let addr = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
        (side, packet(bytes[9], addr(12), addr(16), 1, self.last_id, &bytes[20..]))
    }
}

fn known(relation: &Relation, is_comparable: bool, protocol: u8, local: Endpoint) -> Option<Endpoint> {
    match is_comparable {
        true => relation.certain_global_of(protocol, local),
        false => relation.global_of(protocol, local),
    }
}

/// The number of the SYN of a conversation's local end, or of its peer.
fn first_number(talk: &Conversation, is_local: bool) -> u32 {
    let ports = u32::from(talk.local.1) << 16 | u32::from(talk.peer.1);
    ports.wrapping_mul(if is_local { 0x9e37_79b1 } else { 0x85eb_ca6b })
}

/// A packet between other endpoints, as it is seen where it was translated.
fn readdressed(bytes: &[u8], src: Option<Endpoint>, dst: Option<Endpoint>) -> Vec<u8> {
    let edits = super::view::Edits { src, dst, ..Default::default() };
    super::view::forwarded(bytes, &edits)
}
