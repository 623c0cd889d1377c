//! Answers under way. A long one comes in pieces, and between them the appliance goes on: a command that needs the
//! workers' words asks, and looks again later whether they answered.

use crossbeam::channel::{Receiver, Sender, TryRecvError};
use dataplane::message::WorkerMessage;

use crate::appliance::{ANSWER_WITHIN, Appliance};

/// What came of going on with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing yet: a worker has to answer first.
    Waiting,
    /// The next piece of the text.
    Piece(String),
    /// The text is complete.
    Done,
    /// The command cannot be carried out, or not to its end.
    Refused(String),
}

/// An answer under way.
pub trait Answer {
    /// Goes on for a moment.
    fn advance(&mut self, appliance: &mut Appliance) -> Progress;
}

/// An answer that is there at once.
pub(super) struct Said(Option<String>);

impl Said {
    pub(super) fn new(text: String) -> Said {
        Said(Some(text))
    }
}

impl Answer for Said {
    fn advance(&mut self, _: &mut Appliance) -> Progress {
        self.0.take().map_or(Progress::Done, Progress::Piece)
    }
}

/// Something that every worker was asked.
pub struct Question<T> {
    asked_ms: u64,
    waiting: Vec<(Receiver<T>, Option<T>)>,
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
        let ask = |worker| {
            let receiver = appliance.question(worker, &message).ok_or_else(|| unanswered(worker))?;
            Ok((receiver, None))
        };
        let waiting: Result<_, String> = (0..appliance.worker_count()).map(ask).collect();
        Ok(Question { asked_ms: appliance.operation.now_ms, waiting: waiting? })
    }

    /// The answers, in the order of workers, once all are there.
    ///
    /// # Errors
    /// When one takes too long.
    pub fn poll(&mut self, now_ms: u64) -> Result<Option<Vec<T>>, String> {
        for (worker, (receiver, answer)) in self.waiting.iter_mut().enumerate() {
            if answer.is_none() {
                *answer = received(receiver, now_ms.saturating_sub(self.asked_ms), worker)?;
            }
        }
        if self.waiting.iter().any(|(_, answer)| answer.is_none()) {
            return Ok(None);
        }
        Ok(Some(self.waiting.drain(..).filter_map(|(_, answer)| answer).collect()))
    }
}

/// A worker's answer to what it was asked so many milliseconds ago, if it is there.
pub(super) fn received<T>(
    receiver: &Receiver<T>,
    waited_ms: u64,
    worker: usize,
) -> Result<Option<T>, String> {
    match receiver.try_recv() {
        Ok(answer) => Ok(Some(answer)),
        Err(TryRecvError::Empty) if u128::from(waited_ms) < ANSWER_WITHIN.as_millis() => Ok(None),
        Err(_) => Err(unanswered(worker)),
    }
}

/// The answer when a worker says nothing.
pub(super) fn unanswered(worker: usize) -> String {
    format!("% Worker {worker} does not answer")
}

/// An answer made of what every worker says.
pub(super) struct Asked<T, F> {
    question: Option<Question<T>>,
    then: F,
}

impl<T, F: FnMut(&mut Appliance, Vec<T>) -> Result<String, String>> Asked<T, F> {
    /// Asks every worker, and makes the text of their answers.
    pub(super) fn new(
        appliance: &Appliance,
        message: impl Fn(Sender<T>) -> WorkerMessage,
        then: F,
    ) -> Result<Asked<T, F>, String> {
        Ok(Asked { question: Some(Question::ask(appliance, message)?), then })
    }
}

impl<T, F: FnMut(&mut Appliance, Vec<T>) -> Result<String, String>> Answer for Asked<T, F> {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        let Some(question) = &mut self.question else { return Progress::Done };
        match question.poll(appliance.operation.now_ms) {
            Ok(None) => Progress::Waiting,
            Ok(Some(answers)) => {
                self.question = None;
                (self.then)(appliance, answers).map_or_else(Progress::Refused, Progress::Piece)
            }
            Err(refusal) => Progress::Refused(refusal),
        }
    }
}
