//! What other threads ask of the control thread, and how it answers.
use control::config::grammar::Candidate;
use control::vty::Role;
use crossbeam::channel::{Receiver, Sender};

/// What other threads ask of the control thread.
pub enum Request {
    /// Somebody is on the console of this number.
    Open(u64, String, Role),
    /// A line of a console, without a modifier.
    Line(u64, String, Sender<Piece>),
    /// What could stand at the end of a line of a console.
    Complete(u64, String, Sender<Vec<Candidate>>),
    /// What a console shows after an answer.
    State(u64, Sender<State>),
    /// Nobody is on a console any more.
    Close(u64),
    /// The metrics page.
    Metrics(Sender<Piece>),
    /// A sign of life.
    Alive(Sender<()>),
}

/// What a console shows after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Before the next line.
    pub prompt: String,
    /// What `terminal length` says.
    pub length: Option<u16>,
    /// What `terminal width` says.
    pub width: Option<u16>,
    /// Whether the session is over.
    pub is_over: bool,
}

/// What signals ask: each has a place of its own, which nothing else can fill.
pub struct Orders {
    /// Stop, because of this signal.
    pub stop: Receiver<&'static str>,
    /// Read the configuration file again.
    pub reload: Receiver<()>,
}

/// A piece of an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Of its text.
    Text(String),
    /// It is refused; there is no more.
    Refused(String),
    /// There is no more.
    End,
}

impl Piece {
    /// Whether no other follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Piece::Text(_))
    }
}

/// The pieces of an answer. An answer ends early if a newer command took its place, or if the program ends.
pub fn pieces(receiver: &Receiver<Piece>) -> impl Iterator<Item = Piece> + '_ {
    std::iter::from_fn(|| {
        let cut = || {
            Piece::Refused("% Cut short: a newer command took its place, or the appliance is stopping".into())
        };
        Some(receiver.recv().unwrap_or_else(|_| cut()))
    })
}
