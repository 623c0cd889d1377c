//! What a worker has still to be told. Nobody waits for a worker: what it has no room for stays here, the latest word of each
//! kind, and is sent again with the next step. One that hangs keeps no other from hearing, and what it missed does not grow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam::channel::{Sender, TrySendError};
use dataplane::message::WorkerMessage;
use dataplane::policy::Policy;
use dataplane::route::fib::Fib;
use dataplane::route::neighbour::Neighbour;
use dataplane::state::ports::ownership::Ownership;
use dataplane::state::supply::{Supplier, Supply};

/// A worker's inbox, and what waits to go there.
pub struct Outbox {
    inbox: Sender<WorkerMessage>,
    supplier: Supplier,
    policy: Option<(Arc<Policy>, Arc<Ownership>, Box<Supply>)>,
    fib: Option<Arc<Fib>>,
    neighbours: BTreeMap<u16, Option<Neighbour>>,
}

impl Outbox {
    /// Nothing to tell yet, and nothing made.
    pub fn new(inbox: Sender<WorkerMessage>, supplier: Supplier) -> Outbox {
        Outbox { inbox, supplier, policy: None, fib: None, neighbours: BTreeMap::new() }
    }

    /// A policy to be told with what the worker needs for it, in place of one that was not taken yet.
    pub fn policy(&mut self, policy: Arc<Policy>, ownership: Arc<Ownership>) {
        let made = self.supplier.supply(&policy, &ownership);
        let mut supply = self.policy.take().map(|(.., supply)| supply).unwrap_or_default();
        supply.append(made);
        self.policy = Some((policy, ownership, supply));
    }

    /// Forwarding tables to be told likewise.
    pub fn fib(&mut self, fib: Arc<Fib>) {
        self.fib = Some(fib);
    }

    /// What a neighbour's number stands for now.
    pub fn neighbour(&mut self, number: u16, neighbour: Option<Neighbour>) {
        self.neighbours.insert(number, neighbour);
    }

    /// Sends what the worker has room for: a policy before the tables that name its interfaces, and these before the neighbours,
    /// whose numbers they make valid.
    pub fn flush(&mut self) {
        while let Some(message) = self.next() {
            match self.inbox.try_send(message) {
                Ok(()) => {}
                Err(TrySendError::Full(message)) => return self.put_back(message),
                // It has ended; that is told by whoever watches it.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Sends something that need not arrive, such as a question, if there is room; returns whether there was.
    pub fn offer(&self, message: WorkerMessage) -> bool {
        self.inbox.try_send(message).is_ok()
    }

    fn next(&mut self) -> Option<WorkerMessage> {
        let policy = self.policy.take();
        let policy =
            policy.map(|(policy, ownership, supply)| WorkerMessage::Policy(policy, ownership, supply));
        let fib = |outbox: &mut Outbox| outbox.fib.take().map(WorkerMessage::Fib);
        let neighbour = |outbox: &mut Outbox| {
            outbox
                .neighbours
                .pop_first()
                .map(|(number, neighbour)| WorkerMessage::Neighbour(number, neighbour))
        };
        policy.or_else(|| fib(self)).or_else(|| neighbour(self))
    }

    fn put_back(&mut self, message: WorkerMessage) {
        match message {
            WorkerMessage::Policy(policy, ownership, supply) => {
                self.policy = Some((policy, ownership, supply))
            }
            WorkerMessage::Fib(fib) => self.fib = Some(fib),
            WorkerMessage::Neighbour(number, neighbour) => drop(self.neighbours.insert(number, neighbour)),
            _ => {}
        }
    }
}
