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
    /// Read the configuration file again.
    Reload,
    /// Stop, because of this signal.
    Stop(&'static str),
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

/// The pieces of an answer. One that ends early was cut short by the end of the program.
pub fn pieces(receiver: &Receiver<Piece>) -> impl Iterator<Item = Piece> + '_ {
    std::iter::from_fn(|| {
        let stopping = || Piece::Refused("% The appliance is stopping".into());
        Some(receiver.recv().unwrap_or_else(|_| stopping()))
    })
}
