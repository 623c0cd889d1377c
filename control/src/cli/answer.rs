//! Answers under way. A long one comes in pieces, and between them the appliance goes on: a command that needs the
//! workers' words asks, and looks again later whether they answered.

use crossbeam::channel::Sender;
use dataplane::message::WorkerMessage;

use crate::appliance::Appliance;
use crate::question::Question;

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
