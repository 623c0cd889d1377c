//! Lists the workers' tables slice by slice. A table of millions of rows must not stop a worker from forwarding, nor fill
//! the memory with text.

use dataplane::message::{List, Slice, TableRow};

use crate::appliance::Appliance;
use crate::question::Pending;

/// Rows a worker reports at a time.
const SLICE: usize = 512;

/// The position of a walk through the tables of all workers.
pub(super) enum Walk<R> {
    /// The next slice is to be asked for: the worker, and the position in its table.
    Ask(usize, u32),
    /// This worker was asked for a slice, and has not answered yet.
    Wait(usize, Pending<Slice<R>>),
}

/// The result of one step of a walk.
pub(super) enum Walking<R> {
    /// Nothing yet: a worker has to answer first.
    Waiting,
    /// The next rows.
    Rows(Vec<R>),
    /// The tables of all workers were listed.
    Through,
    /// A worker does not answer.
    Refused(String),
}

impl<R: TableRow> Walk<R> {
    /// A walk from the beginning.
    pub(super) fn new() -> Walk<R> {
        Walk::Ask(0, 0)
    }

    /// Takes the next step, without waiting.
    pub(super) fn advance(&mut self, appliance: &Appliance) -> Walking<R> {
        match self {
            &mut Walk::Ask(worker, start) if worker < appliance.worker_count() => {
                let list = |reply| R::ASK(List { start, limit: SLICE, reply });
                match Pending::ask(appliance, worker, list) {
                    Ok(pending) => {
                        *self = Walk::Wait(worker, pending);
                        Walking::Waiting
                    }
                    Err(refusal) => Walking::Refused(refusal),
                }
            }
            Walk::Ask(..) => Walking::Through,
            Walk::Wait(worker, pending) => match pending.poll(appliance.operation.now_ms) {
                Ok(None) => Walking::Waiting,
                Ok(Some(slice)) => {
                    *self = slice.next.map_or(Walk::Ask(*worker + 1, 0), |next| Walk::Ask(*worker, next));
                    Walking::Rows(slice.rows)
                }
                Err(refusal) => Walking::Refused(refusal),
            },
        }
    }
}
