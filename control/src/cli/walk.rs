//! Tables that workers list, a slice at a time: millions of rows neither keep a worker from its packets nor fill the
//! memory with text.

use crossbeam::channel::{Receiver, Sender};
use dataplane::message::{Walked, WalkedDoors, WorkerMessage};

use super::answer::{received, unanswered};
use crate::appliance::Appliance;

/// Rows a worker reports at a time.
const SLICE: usize = 512;

/// A slice of a worker's table.
pub(super) trait Slice: Sized {
    /// The question for a slice from a position on.
    fn ask(start: u32, limit: usize, reply: Sender<Self>) -> WorkerMessage;

    /// Where to go on; none at the table's end.
    fn next(&self) -> Option<u32>;
}

impl Slice for Walked {
    fn ask(start: u32, limit: usize, reply: Sender<Walked>) -> WorkerMessage {
        WorkerMessage::Walk { start, limit, reply }
    }

    fn next(&self) -> Option<u32> {
        self.next
    }
}

impl Slice for WalkedDoors {
    fn ask(start: u32, limit: usize, reply: Sender<WalkedDoors>) -> WorkerMessage {
        WorkerMessage::WalkDoors { start, limit, reply }
    }

    fn next(&self) -> Option<u32> {
        self.next
    }
}

/// How far a walk through all workers' tables is.
pub(super) enum Walk<T> {
    /// At this worker's table from this position on, to be asked for.
    Ask(usize, u32),
    /// This worker was asked at this time, in milliseconds.
    Wait(usize, u64, Receiver<T>),
}

/// What came of going on with a walk.
pub(super) enum Walking<T> {
    /// Nothing yet: a worker has to answer first.
    Waiting,
    /// The next slice.
    Slice(T),
    /// There are no more workers.
    Through,
    /// A worker does not answer.
    Refused(String),
}

impl<T: Slice> Walk<T> {
    /// A walk from the beginning.
    pub(super) fn new() -> Walk<T> {
        Walk::Ask(0, 0)
    }

    /// Goes on for a moment.
    pub(super) fn advance(&mut self, appliance: &Appliance) -> Walking<T> {
        let now_ms = appliance.operation.now_ms;
        match self {
            &mut Walk::Ask(worker, start) if worker < appliance.worker_count() => {
                match appliance.question(worker, |reply| T::ask(start, SLICE, reply)) {
                    Some(receiver) => {
                        *self = Walk::Wait(worker, now_ms, receiver);
                        Walking::Waiting
                    }
                    None => Walking::Refused(unanswered(worker)),
                }
            }
            Walk::Ask(..) => Walking::Through,
            Walk::Wait(worker, asked_ms, receiver) => {
                match received(receiver, now_ms.saturating_sub(*asked_ms), *worker) {
                    Ok(None) => Walking::Waiting,
                    Ok(Some(slice)) => {
                        *self =
                            slice.next().map_or(Walk::Ask(*worker + 1, 0), |next| Walk::Ask(*worker, next));
                        Walking::Slice(slice)
                    }
                    Err(refusal) => Walking::Refused(refusal),
                }
            }
        }
    }
}
