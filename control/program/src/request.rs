//! What other threads ask of the control thread, and how it answers.
use crossbeam::channel::{Receiver, Sender};

/// What other threads ask of the control thread.
pub enum Request {
    /// An exec command without a modifier.
    Exec(String, Sender<Piece>),
    /// The metrics page.
    Metrics(Sender<Piece>),
    /// The name in the console's prompt.
    Hostname(Sender<String>),
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
