//! Messages and streams that go through a gateway.

use alg::{Framing, Handled, Message, Refusal, Row, Side, State, Transport};

use super::CLIENT_PORT;
use super::{FakeContext, across};

/// Gives one message to a gateway. Returns what it said, and the message as it goes on.
pub fn play(
    row: &Row,
    state: &mut State,
    stage: &mut FakeContext,
    message: &Message,
) -> (Result<Handled, Refusal>, Vec<u8>) {
    stage.message_len = message.bytes.len();
    let said = (row.handle)(state, message, stage);
    match said {
        Ok(_) => (said, stage.commit(message.bytes)),
        Err(_) => {
            stage.roll_back();
            (said, message.bytes.to_vec())
        }
    }
}

/// What a fresh gateway makes of a message from one side.
pub fn outcome(
    row: &Row,
    stage: &mut FakeContext,
    from: Side,
    bytes: &[u8],
) -> (Result<Handled, Refusal>, Vec<u8>) {
    let is_inside_client = stage.session.inside_local.port() == CLIENT_PORT;
    let by_client = (from == Side::Inside) == is_inside_client;
    play(row, &mut (row.state)(), stage, &Message { bytes, from, by_client })
}

/// A control session on the stage.
pub struct Conversation<'r> {
    /// The gateway.
    pub row: &'r Row,
    /// Its memory.
    pub state: State,
    /// What it acts on.
    pub stage: FakeContext,
    /// The client's side.
    pub client: Side,
    /// The gateway still reads.
    pub is_attached: bool,
    /// What it refused, in order.
    pub refusals: Vec<Refusal>,
    /// The messages it was given: by the client?, the bytes, and its memory before.
    pub messages: Vec<(bool, Vec<u8>, State)>,
    unread: [Vec<u8>; 2],
    opaque: [usize; 2],
}

impl<'r> Conversation<'r> {
    /// A session that was just opened.
    pub fn new(row: &'r Row, stage: FakeContext, client: Side) -> Self {
        Conversation {
            row,
            state: (row.state)(),
            stage,
            client,
            is_attached: true,
            refusals: Vec::new(),
            messages: Vec::new(),
            unread: Default::default(),
            opaque: [0; 2],
        }
    }

    /// The client sends; returns what reaches the server by now.
    pub fn client(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.send(true, bytes.as_ref())
    }

    /// The server sends; returns what reaches the client by now.
    pub fn server(&mut self, bytes: impl AsRef<[u8]>) -> Vec<u8> {
        self.send(false, bytes.as_ref())
    }

    /// One of both sends a segment or a datagram.
    pub fn send(&mut self, by_client: bool, bytes: &[u8]) -> Vec<u8> {
        if !self.is_attached {
            return bytes.to_vec();
        }
        if self.stage.session.transport == Transport::Udp {
            return self.deliver(by_client, bytes);
        }
        let n = usize::from(by_client);
        let mut rest = std::mem::take(&mut self.unread[n]);
        rest.extend_from_slice(bytes);
        let (mut out, mut at) = (Vec::new(), 0);
        while at < rest.len() && self.is_attached {
            if self.opaque[n] > 0 {
                let len = self.opaque[n].min(rest.len() - at);
                self.opaque[n] -= len;
                out.extend_from_slice(&rest[at..at + len]);
                at += len;
                continue;
            }
            match (self.row.framing)(&self.state, &self.message(by_client, &rest[at..])) {
                Framing::Message(len) if len > rest.len() - at => break,
                Framing::Message(len) => {
                    assert!(len > 0, "an empty message");
                    out.extend(self.deliver(by_client, &rest[at..at + len]));
                    at += len;
                }
                Framing::Opaque(len) => {
                    assert!(len > 0, "nothing is none of its business");
                    self.opaque[n] = len;
                }
                Framing::Incomplete | Framing::Line(_) => break,
                Framing::Foreign => {
                    self.refusals.push(Refusal::Foreign);
                    self.is_attached = false;
                }
            }
        }
        self.unread[n] = rest.split_off(at);
        if !self.is_attached {
            out.append(&mut self.unread[n]);
        }
        out
    }

    /// Bytes that a direction holds back, waiting for the rest of a message.
    pub fn held(&self, by_client: bool) -> &[u8] {
        &self.unread[usize::from(by_client)]
    }

    fn message<'m>(&self, by_client: bool, bytes: &'m [u8]) -> Message<'m> {
        let from = if by_client { self.client } else { across(self.client) };
        Message { bytes, from, by_client }
    }

    fn deliver(&mut self, by_client: bool, bytes: &[u8]) -> Vec<u8> {
        self.messages.push((by_client, bytes.to_vec(), self.state.clone()));
        let message = self.message(by_client, bytes);
        let (said, out) = play(self.row, &mut self.state, &mut self.stage, &message);
        match said {
            Ok(Handled::Continue) => {}
            Ok(Handled::Detach) => self.is_attached = false,
            Ok(Handled::Refused(refusal)) => self.refusals.push(refusal),
            Err(refusal) => {
                self.refusals.push(refusal);
                // Of datagrams the next one is read, whatever the last one was.
                let is_stream = self.stage.session.transport == Transport::Tcp;
                self.is_attached &= !(is_stream && refusal.detaches());
            }
        }
        out
    }
}
