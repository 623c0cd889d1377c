//! Showing messages to a gateway and doing what it says.

use alg::{Framing, Handled, Message, Refusal, Row, Side, State};

use crate::counters::{Counters, GatewayCounters};
use crate::flow::Endpoint;
use crate::inspect::context::Access;
use crate::inspect::edited::{Edited, Edits};
use crate::policy::{GatewayIndex, Policy};
use crate::state::shard::Shard;
use crate::stream::{EditList, Inspection, Inspector, Sender};

/// Reads the messages of one control session.
pub struct Reader<'a> {
    /// The tables that doors are in.
    pub shard: &'a mut Shard,
    /// What the configuration says.
    pub policy: &'a Policy,
    /// What is counted.
    pub counters: &'a Counters,
    /// Where edits are noted that take effect.
    pub edited: &'a mut Edits,
    /// The control session's index.
    pub control: u32,
    /// Its gateway.
    pub gateway: GatewayIndex,
    /// What that does.
    pub row: &'static Row,
    /// What the gateway remembers.
    pub state: &'a mut State,
    /// Who opened it.
    pub client: Side,
    /// The outside host of this packet, for a session that serves every peer.
    pub peer: Option<Endpoint>,
    /// The gateway said that it cannot read on.
    pub is_over: bool,
    /// Milliseconds.
    pub now: u32,
}

impl Reader<'_> {
    fn counters(&self) -> &GatewayCounters {
        &self.counters.gateways[usize::from(self.gateway)]
    }

    fn message<'m>(&self, bytes: &'m [u8], by_client: bool) -> Message<'m> {
        let from = match (self.client, by_client) {
            (Side::Inside, true) | (Side::Outside, false) => Side::Inside,
            _ => Side::Outside,
        };
        Message { bytes, from, by_client }
    }

    /// Has the gateway read a whole message. Returns why it lets go of the session, if it does; edits are those that
    /// take effect.
    pub fn read(&mut self, bytes: &[u8], by_client: bool, edits: &mut EditList) -> Result<(), Refusal> {
        let message = self.message(bytes, by_client);
        let counters = &self.counters.gateways[usize::from(self.gateway)];
        let (control, now) = ((self.control, self.gateway, counters), self.now);
        let access = Access::new(self.shard, self.policy, edits, control, self.peer, bytes.len(), now);
        let Some(mut access) = access else { return Ok(()) };
        counters.messages.add(1);
        match (self.row.handle)(self.state, &message, &mut access) {
            Ok(handled) => {
                let (host, call) = access.about();
                counters.doors_opened.add(access.keep() as u64);
                if !edits.is_empty() {
                    counters.edited.add(1);
                    let of = Edited { gateway: self.gateway, host, call, from: message.from, at_ms: now };
                    self.edited.note(of, bytes, edits);
                }
                self.is_over |= handled == Handled::Detach;
                if let Handled::Refused(refusal) = handled {
                    counters.refused[refusal as usize].add(1);
                }
                Ok(())
            }
            Err(refusal) => {
                access.forget();
                counters.refused[refusal as usize].add(1);
                if refusal.detaches() { Err(refusal) } else { Ok(()) }
            }
        }
    }

    fn let_go(&self, refusal: Refusal) -> Inspection {
        self.counters().detached[refusal as usize].add(1);
        Inspection::Detach
    }
}

impl Inspector for Reader<'_> {
    fn inspect(&mut self, sender: Sender, bytes: &[u8], edits: &mut EditList) -> Inspection {
        if self.is_over {
            return Inspection::Detach;
        }
        let by_client = sender == Sender::Client;
        match (self.row.framing)(self.state, &self.message(bytes, by_client)) {
            Framing::Incomplete => Inspection::More { length_min: bytes.len() + 1 },
            Framing::Line(length_max) => Inspection::Line { length_max },
            Framing::Opaque(length) => Inspection::Release { length },
            Framing::Foreign => self.let_go(Refusal::Foreign),
            Framing::Message(length) => match bytes.get(..length) {
                None => Inspection::More { length_min: length },
                Some(message) => match self.read(message, by_client, edits) {
                    Ok(()) => Inspection::Release { length },
                    Err(refusal) => self.let_go(refusal),
                },
            },
        }
    }
}
