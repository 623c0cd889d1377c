//! Tables that workers list, a slice at a time: millions of rows neither keep a worker from its packets nor fill the
//! memory with text.

use dataplane::message::{List, Slice, TableRow};

use crate::appliance::Appliance;
use crate::question::Pending;

/// Rows a worker reports at a time.
const SLICE: usize = 512;

/// How far a walk through all workers' tables is.
pub(super) enum Walk<R> {
    /// At this worker's table from this position on, to be asked for.
    Ask(usize, u32),
    /// This worker was asked.
    Wait(usize, Pending<Slice<R>>),
}

/// What came of going on with a walk.
pub(super) enum Walking<R> {
    /// Nothing yet: a worker has to answer first.
    Waiting,
    /// The next rows.
    Rows(Vec<R>),
    /// There are no more workers.
    Through,
    /// A worker does not answer.
    Refused(String),
}

impl<R: TableRow> Walk<R> {
    /// A walk from the beginning.
    pub(super) fn new() -> Walk<R> {
        Walk::Ask(0, 0)
    }

    /// Goes on for a moment.
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
