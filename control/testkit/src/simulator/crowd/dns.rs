//! DNS over TCP: questions and answers, most of them nobody's business, some about hosts that static lines map.

use std::net::Ipv4Addr;

use alg::Side;
use rand::RngExt;
use rand::rngs::SmallRng;

use super::Parties;
use super::conversation::{Conversation, Framing, Part};
use crate::leak::Row;

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// Pointers lead to names near the beginning only.
const POINTED_AT_MAX: usize = 2000;

/// The inside hosts that names are of: as the inside knows them, and as the outside does.
pub const NAMED: ([u8; 3], [u8; 3]) = ([10, 0, 3], [203, 0, 115]);

/// An address in a message.
#[derive(Clone, Copy)]
enum Host {
    /// Of this number among those that are mapped.
    Named(u8),
    /// Everyone's.
    Other(Ipv4Addr),
}

impl Host {
    fn address(self, side: Side) -> Ipv4Addr {
        match self {
            Host::Named(last) => {
                let [a, b, c] = if side == Side::Inside { NAMED.0 } else { NAMED.1 };
                Ipv4Addr::new(a, b, c, last)
            }
            Host::Other(address) => address,
        }
    }
}

/// A name, and where its labels go on elsewhere.
#[derive(Clone)]
enum Name {
    /// Spelled out.
    Plain(Vec<Vec<u8>>),
    /// A host's address backwards, below `in-addr.arpa`.
    Reverse(Host),
    /// These labels, then the rest of name number so-and-so from this label on.
    Behind(Vec<Vec<u8>>, usize, usize),
}

/// A record's data.
enum Data {
    A(Host),
    Name(u16, Name),
    Mail(Name),
    Other(u16, Vec<u8>),
}

struct Record {
    owner: Name,
    ttl_s: u32,
    data: Data,
}

/// A message, apart from its spelling.
struct Dns {
    id: u16,
    is_answer: bool,
    questions: Vec<(Name, u16)>,
    records: Vec<Record>,
}

/// Writes a message as a side's hosts do.
struct Writer {
    side: Side,
    bytes: Vec<u8>,
    /// Where the labels of each name are.
    names: Vec<Vec<usize>>,
}

impl Dns {
    fn bytes(&self, side: Side) -> Vec<u8> {
        let mut writer = Writer { side, bytes: Vec::new(), names: Vec::new() };
        writer.word(self.id);
        writer.word(if self.is_answer { 0x8580 } else { 0x0100 });
        for count in [self.questions.len(), self.records.len(), 0, 0] {
            writer.word(count as u16);
        }
        for (name, kind) in &self.questions {
            writer.name(name);
            writer.word(*kind);
            writer.word(1);
        }
        for record in &self.records {
            writer.record(record);
        }
        let mut message = (writer.bytes.len() as u16).to_be_bytes().to_vec();
        message.extend(writer.bytes);
        message
    }

    /// What it is made of: its one part is what its sender writes and what its reader must read.
    fn parts(&self, sender: Side, may_change: bool) -> Vec<Part> {
        let reader = sender.other();
        let said = self.bytes(sender);
        let read = if may_change { self.bytes(reader) } else { said.clone() };
        let row = if may_change { Row::Unmapped } else { Row::Signed };
        vec![Part::Passes(row, Box::new(Part::Changed(said, read)))]
    }
}

impl Writer {
    fn word(&mut self, word: u16) {
        self.bytes.extend(word.to_be_bytes());
    }

    fn name(&mut self, name: &Name) {
        let (labels, pointer) = match name {
            Name::Plain(labels) => (labels.clone(), None),
            Name::Reverse(host) => {
                let [a, b, c, d] = host.address(self.side).octets();
                let mut labels: Vec<_> = [d, c, b, a].map(|octet| octet.to_string().into_bytes()).into();
                labels.extend([b"in-addr".to_vec(), b"arpa".to_vec()]);
                (labels, None)
            }
            Name::Behind(labels, name, label) => (labels.clone(), Some((*name, *label))),
        };
        let mut places = Vec::new();
        for label in labels {
            places.push(self.bytes.len());
            self.bytes.push(label.len() as u8);
            self.bytes.extend(label);
        }
        match pointer {
            Some((name, label)) => {
                let at = self.names[name][label];
                places.extend(self.names[name][label..].to_vec());
                self.word(at as u16 | 0xc000);
            }
            None => self.bytes.push(0),
        }
        self.names.push(places);
    }

    fn record(&mut self, record: &Record) {
        self.name(&record.owner);
        let kind = match &record.data {
            Data::A(_) => 1,
            Data::Mail(_) => 15,
            Data::Name(kind, _) | Data::Other(kind, _) => *kind,
        };
        self.word(kind);
        self.word(1);
        self.bytes.extend(record.ttl_s.to_be_bytes());
        let start = self.bytes.len();
        self.word(0);
        match &record.data {
            Data::A(host) => self.bytes.extend(host.address(self.side).octets()),
            Data::Name(_, name) => self.name(name),
            Data::Mail(name) => {
                self.word(10);
                self.name(name);
            }
            Data::Other(_, bytes) => self.bytes.extend(bytes),
        }
        let len = (self.bytes.len() - start - 2) as u16;
        self.bytes[start..start + 2].copy_from_slice(&len.to_be_bytes());
    }
}

/// Chooses what is in messages.
struct Author<'a> {
    generator: &'a mut SmallRng,
    /// The names of the message so far: how many labels each has, and whether pointers may lead to it.
    names: Vec<(usize, bool)>,
    written: usize,
}

impl Author<'_> {
    fn host(&mut self) -> Host {
        let last = self.generator.random_range(0..=255);
        match self.generator.random_range(0..10) {
            0..5 => Host::Named(last),
            5 => Host::Other(Ipv4Addr::new(10, 0, 4, last)),
            _ => Host::Other(Ipv4Addr::new(198, 51, 100, last)),
        }
    }

    fn label(&mut self) -> Vec<u8> {
        let len_max = if self.generator.random_bool(0.1) { 40 } else { 9 };
        let len = self.generator.random_range(1..=len_max);
        (0..len).map(|_| b'a' + self.generator.random_range(0..26)).collect()
    }

    /// A name of its own, or one that ends like an earlier one. Pointers lead to where both sides spell the same, or
    /// to a whole name, which changes as a whole.
    fn name(&mut self) -> Name {
        let own: Vec<_> = (0..self.generator.random_range(1..4)).map(|_| self.label()).collect();
        let name = match self.generator.random_range(0..3) {
            0 => self.behind(own),
            1 if self.generator.random_bool(0.3) => Name::Reverse(self.host()),
            _ => Name::Plain(own),
        };
        self.note(name)
    }

    fn behind(&mut self, own: Vec<Vec<u8>>) -> Name {
        let known: Vec<usize> = (0..self.names.len()).filter(|at| self.names[*at].1).collect();
        if known.is_empty() {
            return Name::Plain(own);
        }
        let at = known[self.generator.random_range(0..known.len())];
        Name::Behind(own, at, self.names[at].0 - 1)
    }

    fn note(&mut self, name: Name) -> Name {
        let near = self.written < POINTED_AT_MAX;
        let labels = match &name {
            Name::Plain(labels) => labels.len(),
            Name::Reverse(_) => 6,
            Name::Behind(labels, at, label) => labels.len() + self.names[*at].0 - label,
        };
        self.written += 40;
        self.names.push((labels, near));
        name
    }

    /// The same name as number so-and-so.
    fn same(&mut self, at: usize) -> Name {
        let name = Name::Behind(Vec::new(), at, 0);
        self.note(name)
    }

    fn record(&mut self, owner: Name) -> Record {
        let data = match self.generator.random_range(0..10) {
            0..4 => Data::A(self.host()),
            4 => Data::Name(5, self.name()),
            5 => Data::Name(2, self.name()),
            6 => Data::Mail(self.name()),
            7 => Data::Other(28, self.bytes(16)),
            _ => {
                let len_max = if self.generator.random_bool(0.1) { 255 } else { 30 };
                let len = self.generator.random_range(1..=len_max);
                let mut text = vec![len as u8];
                text.extend(self.bytes(len));
                Data::Other(16, text)
            }
        };
        Record { owner, ttl_s: self.generator.random_range(0..100_000), data }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.generator.random_range(0..=255)).collect()
    }

    /// A question and its answer.
    fn lookup(&mut self, id: u16) -> (Dns, Dns, bool) {
        self.names.clear();
        self.written = 0;
        let is_reverse = self.generator.random_bool(0.3);
        let name = match is_reverse {
            true => Name::Reverse(self.host()),
            false => Name::Plain((0..self.generator.random_range(1..4)).map(|_| self.label()).collect()),
        };
        let kind = if is_reverse { 12 } else { 1 };
        let question = Dns { id, is_answer: false, questions: vec![(name.clone(), kind)], records: vec![] };
        self.note(name.clone());
        let mut records = Vec::new();
        if is_reverse {
            let owner = self.same(0);
            records.push(Record { owner, ttl_s: 3600, data: Data::Name(12, self.name()) });
        }
        let count_max = if self.generator.random_bool(0.1) { 40 } else { 5 };
        for _ in 0..self.generator.random_range(0..count_max) {
            let owner = if self.generator.random_bool(0.6) { self.same(0) } else { self.name() };
            records.push(self.record(owner));
        }
        let is_signed = self.generator.random_bool(0.1);
        if is_signed {
            let owner = self.same(0);
            // A signature (RFC 4034 section 3.1) whose bytes nobody looks at.
            let mut data = vec![0, 1, 8, 2, 0, 0, 14, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
            data.extend(self.bytes(64));
            records.push(Record { owner, ttl_s: 3600, data: Data::Other(46, data) });
        }
        let answer = Dns { id, is_answer: true, questions: vec![(name, kind)], records };
        (question, answer, is_signed)
    }
}

/// A random conversation.
pub fn conversation(parties: &Parties, generator: &mut SmallRng) -> Conversation {
    let mut talk = Conversation::default();
    let (client, server) = match parties.client_is_inside {
        true => (Side::Inside, Side::Outside),
        false => (Side::Outside, Side::Inside),
    };
    for number in 0..generator.random_range(1..6) {
        let mut author = Author { generator, names: Vec::new(), written: 0 };
        let (question, answer, is_signed) = author.lookup(1000 + number);
        let question = question.parts(client, true);
        if generator.random_bool(0.6) {
            talk.say(CLIENT, Framing::Prefixed, question);
        } else {
            talk.add(CLIENT, Framing::Prefixed, question);
        }
        talk.say(SERVER, Framing::Prefixed, answer.parts(server, !is_signed));
    }
    talk
}
