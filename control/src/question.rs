//! What workers are asked. They answer between their bursts; who asks goes on with other work and looks again later.

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use dataplane::message::WorkerMessage;

use crate::appliance::{Answering, Appliance};

/// How long a worker may take to answer. It answers within milliseconds unless it hangs.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What one worker was asked.
pub struct Pending<T> {
    worker: usize,
    asked_ms: u64,
    receiver: Receiver<T>,
}

impl<T> Pending<T> {
    /// Asks a worker.
    ///
    /// # Errors
    /// When its queue is full: it does not answer.
    pub fn ask(
        appliance: &Appliance,
        worker: usize,
        message: impl FnOnce(Sender<T>) -> WorkerMessage,
    ) -> Result<Pending<T>, String> {
        let (sender, receiver) = bounded(1);
        let is_asked = appliance.offer(worker, message(sender));
        let pending = Pending { worker, asked_ms: appliance.operation.now_ms, receiver };
        if is_asked { Ok(pending) } else { Err(pending.unanswered()) }
    }

    /// The answer, if it is there.
    ///
    /// # Errors
    /// When it takes too long, or the worker has ended.
    pub fn poll(&self, now_ms: u64) -> Result<Option<T>, String> {
        let waited_ms = u128::from(now_ms.saturating_sub(self.asked_ms));
        match self.receiver.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) if waited_ms < ANSWER_WITHIN.as_millis() => Ok(None),
            Err(_) => Err(self.unanswered()),
        }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// As [`Pending::poll`].
    pub fn wait(&self, answering: &mut dyn Answering) -> Result<T, String> {
        loop {
            let now_ms = answering.let_work();
            if let Some(answer) = self.poll(now_ms)? {
                return Ok(answer);
            }
        }
    }

    fn unanswered(&self) -> String {
        format!("% Worker {} does not answer", self.worker)
    }
}

/// What every worker was asked.
pub struct Question<T> {
    waiting: Vec<(Pending<T>, Option<T>)>,
}

impl<T> Question<T> {
    /// Asks every worker.
    ///
    /// # Errors
    /// When a worker's queue is full: it does not answer.
    pub fn ask(
        appliance: &Appliance,
        message: impl Fn(Sender<T>) -> WorkerMessage,
    ) -> Result<Question<T>, String> {
        let ask = |worker| Ok((Pending::ask(appliance, worker, &message)?, None));
        let waiting: Result<_, String> = (0..appliance.worker_count()).map(ask).collect();
        Ok(Question { waiting: waiting? })
    }

    /// The answers, in the order of workers, once all are there.
    ///
    /// # Errors
    /// When one takes too long.
    pub fn poll(&mut self, now_ms: u64) -> Result<Option<Vec<T>>, String> {
        for (pending, answer) in self.waiting.iter_mut().filter(|(_, answer)| answer.is_none()) {
            *answer = pending.poll(now_ms)?;
        }
        if self.waiting.iter().any(|(_, answer)| answer.is_none()) {
            return Ok(None);
        }
        Ok(Some(self.waiting.drain(..).filter_map(|(_, answer)| answer).collect()))
    }
}
