//! What two hosts say to each other, and what an ideal rewriter between them would make of it.
//!
//! A conversation is written by the test, so that it knows every field in it that must change. The rewriter here
//! reads nothing but these fields: where a message announces an endpoint of the inside host, one of the global endpoints
//! that were really reserved for it must stand; all else is known to the byte.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::leak::{Pass, Row};
pub use crate::packet::{TCP, UDP};

/// The IP protocol of what a door is for.
pub type Protocol = u8;
/// An address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// Messages of the client and of the server.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// By who says them, the client first.
    pub messages: [Vec<Message>; 2],
}

/// Something that is said at once.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is made of.
    pub parts: Vec<Part>,
    /// How the reader finds its end.
    pub framing: Framing,
    /// How many messages of the other side its sayer has heard before.
    pub after: usize,
}

/// How a reader finds the end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A line.
    Line,
    /// Its length is in front of it, in two bytes.
    Prefixed,
    /// A head of lines, an empty one, and as many bytes as `Content-Length` says.
    Head,
    /// It is known to be so long.
    Bytes(usize),
}

/// How an endpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `h1,h2,h3,h4,p1,p2`.
    Six,
    /// `4,4,h1,h2,h3,h4,2,p1,p2`.
    Long,
    /// The address, this mark, the port.
    Marked(char),
    /// The port alone.
    Port,
    /// The address alone.
    Address,
}

impl Form {
    /// An endpoint in this form.
    pub fn write(self, (addr, port): Endpoint) -> String {
        let commas = addr.to_string().replace('.', ",");
        match self {
            Form::Six => format!("{commas},{},{}", port / 256, port % 256),
            Form::Long => format!("4,4,{commas},2,{},{}", port / 256, port % 256),
            Form::Marked(mark) => format!("{addr}{mark}{port}"),
            Form::Port => port.to_string(),
            Form::Address => addr.to_string(),
        }
    }
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// It stays.
    Plain(Vec<u8>),
    /// It becomes something that was known before.
    Changed(Vec<u8>, Vec<u8>),
    /// The inside host announces this port of its own, for which there must be a door.
    Door(Protocol, u16, Form),
    /// The same, by a host that knows its global address.
    KnowingDoor(Protocol, u16, Form),
    /// The outside host repeats what was announced to it; the inside host must read what it had said.
    Echo(Protocol, u16, Form),
    /// The inside host's own address.
    Own,
    /// The inside host's control endpoint as part of a URL, which may leave out the port.
    OwnUrl(u16, bool),
    /// The inside host's global address, said by the outside host.
    OwnGlobal,
    /// How many bytes these are, in digits.
    LengthOf(Vec<Part>),
    /// It leaves with the inside addresses that it has, and this row says why.
    Passes(Row, Box<Part>),
}

/// What is known of one session's translation.
#[derive(Clone, Debug)]
pub struct Known {
    /// The inside host.
    pub inside: Ipv4Addr,
    /// The control session's global endpoint, as the outside host sees it.
    pub global: Option<Endpoint>,
    /// The global endpoints that were reserved for a port of the inside host, by protocol and port.
    pub doors: HashMap<(Protocol, u16), Vec<Endpoint>>,
    /// What the outside host has read of them.
    pub read: HashMap<(Protocol, u16), Endpoint>,
}

impl Known {
    /// Nothing is known but the host.
    pub fn new(inside: Ipv4Addr) -> Known {
        Known { inside, global: None, doors: HashMap::new(), read: HashMap::new() }
    }

    /// Takes note of a door.
    pub fn note_door(&mut self, protocol: Protocol, port: u16, global: Endpoint) {
        let known = self.doors.entry((protocol, port)).or_default();
        if !known.contains(&global) {
            known.push(global);
        }
    }

    fn global(&self) -> Endpoint {
        self.global.unwrap_or((Ipv4Addr::UNSPECIFIED, 0))
    }
}

/// An announced endpoint that was read: the protocol and port it stands for.
type Read = ((Protocol, u16), Endpoint);

impl Part {
    /// Text that stays.
    pub fn text(text: impl AsRef<[u8]>) -> Part {
        Part::Plain(text.as_ref().to_vec())
    }

    /// Text that stays, inside addresses and all.
    pub fn passing(row: Row, text: impl AsRef<[u8]>) -> Part {
        Part::Passes(row, Box::new(Part::text(text)))
    }

    /// What its sayer writes.
    pub fn said(&self, known: &Known) -> Vec<u8> {
        match self {
            Part::Plain(bytes) | Part::Changed(bytes, _) => bytes.clone(),
            Part::Door(_, port, form) => form.write((known.inside, *port)).into_bytes(),
            Part::KnowingDoor(_, port, form) => form.write((known.global().0, *port)).into_bytes(),
            Part::Echo(protocol, port, form) => {
                let heard = known.read.get(&(*protocol, *port)).copied();
                form.write(heard.unwrap_or((Ipv4Addr::UNSPECIFIED, 0))).into_bytes()
            }
            Part::Own => known.inside.to_string().into_bytes(),
            Part::OwnUrl(port, true) => format!("{}:{port}", known.inside).into_bytes(),
            Part::OwnUrl(_, false) => known.inside.to_string().into_bytes(),
            Part::OwnGlobal => known.global().0.to_string().into_bytes(),
            Part::LengthOf(parts) => said(parts, known).len().to_string().into_bytes(),
            Part::Passes(_, part) => part.said(known),
        }
    }

    /// What may be read in its place.
    fn readings(&self, known: &Known) -> Vec<(Vec<u8>, Option<Read>)> {
        let one = |text: String| vec![(text.into_bytes(), None)];
        match self {
            Part::Plain(bytes) | Part::Changed(_, bytes) => vec![(bytes.clone(), None)],
            Part::Door(protocol, port, form) | Part::KnowingDoor(protocol, port, form) => {
                let key = (*protocol, *port);
                let globals = known.doors.get(&key).into_iter().flatten();
                globals.map(|global| (form.write(*global).into_bytes(), Some((key, *global)))).collect()
            }
            Part::Echo(_, port, form) => one(form.write((known.inside, *port))),
            Part::Own => one(known.global().0.to_string()),
            Part::OwnUrl(port, has_port) => {
                let (addr, global_port) = known.global();
                // A port that differs must be named.
                let is_named = *has_port || global_port != *port;
                one(if is_named { format!("{addr}:{global_port}") } else { addr.to_string() })
            }
            Part::OwnGlobal => one(known.inside.to_string()),
            Part::LengthOf(parts) => {
                let first = |part: &Part| part.readings(known).first().map_or(0, |(bytes, _)| bytes.len());
                one(parts.iter().map(first).sum::<usize>().to_string())
            }
            Part::Passes(_, part) => part.readings(known),
        }
    }
}

/// What the sayer of these parts writes.
pub fn said(parts: &[Part], known: &Known) -> Vec<u8> {
    parts.iter().flat_map(|part| part.said(known)).collect()
}

/// Whether these bytes are what an ideal rewriter makes of the parts; returns the announced endpoints in them.
fn read(parts: &[Part], bytes: &[u8], known: &Known) -> Option<Vec<Read>> {
    let Some((part, behind)) = parts.split_first() else { return bytes.is_empty().then(Vec::new) };
    part.readings(known).into_iter().find_map(|(reading, found)| {
        let mut others = read(behind, bytes.strip_prefix(reading.as_slice())?, known)?;
        others.extend(found);
        Some(others)
    })
}

/// A message whose announced endpoints a packet can try.
pub type Announced = Vec<Read>;

impl Message {
    /// Compares what was read of it; the announced endpoints are taken note of, and returned.
    ///
    /// # Errors
    /// What was said, and what was read.
    pub fn check(&self, bytes: &[u8], known: &mut Known) -> Result<Announced, String> {
        let Some(announced) = read(&self.parts, bytes, known) else {
            let said = said(&self.parts, known);
            let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
            return Err(format!(
                "wrong bytes\n    said   {}\n    read   {}\n    known  {known:?}",
                text(&said),
                text(bytes)
            ));
        };
        known.read.extend(announced.iter().copied());
        Ok(announced)
    }
}

impl Framing {
    /// The length of the first message in what was read, if that is whole.
    pub fn len(self, bytes: &[u8]) -> Option<usize> {
        let len = match self {
            Framing::Line => bytes.iter().position(|byte| *byte == b'\n')? + 1,
            Framing::Prefixed => 2 + usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?])),
            Framing::Head => {
                let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
                let head = String::from_utf8_lossy(&bytes[..head_len]).to_ascii_lowercase();
                let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                head_len + value.and_then(|value| value.trim().parse::<usize>().ok()).unwrap_or(0)
            }
            Framing::Bytes(len) => len,
        };
        (bytes.len() >= len).then_some(len)
    }
}

impl Conversation {
    /// The ports that the inside host announces, as often as it does.
    pub fn doors(&self) -> impl Iterator<Item = (Protocol, u16)> + '_ {
        let parts = self.messages.iter().flatten().flat_map(|message| &message.parts);
        parts.filter_map(|part| match part {
            Part::Door(protocol, port, _) | Part::KnowingDoor(protocol, port, _) => Some((*protocol, *port)),
            _ => None,
        })
    }

    /// `who` says something when it has heard all that the other side said so far.
    pub fn say(&mut self, who: usize, framing: Framing, parts: Vec<Part>) {
        let after = self.messages[1 - who].len();
        self.messages[who].push(Message { parts, framing, after });
    }

    /// The same, without waiting for more than for its last message.
    pub fn add(&mut self, who: usize, framing: Framing, parts: Vec<Part>) {
        let after = self.messages[who].last().map_or(0, |last| last.after);
        self.messages[who].push(Message { parts, framing, after });
    }

    /// What may leave with an inside address in it, of what one side says.
    pub fn passes(&self, who: usize) -> Vec<Pass> {
        let parts = self.messages[who].iter().flat_map(|message| &message.parts);
        let passes = parts.filter_map(|part| match part {
            Part::Passes(row, part) => match &**part {
                Part::Plain(bytes) | Part::Changed(_, bytes) => {
                    Some(Pass { row: *row, bytes: bytes.clone() })
                }
                _ => None,
            },
            _ => None,
        });
        passes.collect()
    }

    /// Bytes that the longest message may have.
    pub fn message_len_max(&self, known: &Known) -> usize {
        let messages = self.messages.iter().flatten();
        messages.map(|message| said(&message.parts, known).len() + 16).max().unwrap_or(0)
    }
}
