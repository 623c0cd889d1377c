//! Lists the workers' tables slice by slice. A table of millions of rows must not stop a worker from forwarding, nor fill
//! the memory with text.

use dataplane::message::{List, Slice, TableRow};

use crate::appliance::Appliance;
use crate::question::Pending;

/// Rows a worker reports at a time.
const SLICE: usize = 512;

/// The position of a walk through the tables of all workers.
pub(super) struct Walk<R: TableRow> {
    wanted: R::Wanted,
    place: Place<R>,
}

/// How far a walk is.
enum Place<R> {
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
    /// A walk from the beginning, over the rows that are wanted.
    pub(super) fn new(wanted: R::Wanted) -> Walk<R> {
        Walk { wanted, place: Place::Ask(0, 0) }
    }

    /// Takes the next step, without waiting.
    pub(super) fn advance(&mut self, appliance: &Appliance) -> Walking<R> {
        match &mut self.place {
            &mut Place::Ask(worker, start) if worker < appliance.worker_count() => {
                let list = |reply| R::ASK(self.wanted.clone(), List { start, limit: SLICE, reply });
                match Pending::ask(appliance, worker, list) {
                    Ok(pending) => {
                        self.place = Place::Wait(worker, pending);
                        Walking::Waiting
                    }
                    Err(refusal) => Walking::Refused(refusal),
                }
            }
            Place::Ask(..) => Walking::Through,
            Place::Wait(worker, pending) => match pending.poll(appliance.operation.now_ms) {
                Ok(None) => Walking::Waiting,
                Ok(Some(slice)) => {
                    let next = slice.next.map_or((*worker + 1, 0), |next| (*worker, next));
                    self.place = Place::Ask(next.0, next.1);
                    Walking::Rows(slice.rows)
                }
                Err(refusal) => Walking::Refused(refusal),
            },
        }
    }
}
