//! Why a stream stops reading its connection.

/// Why a stream is not read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The inspector said so.
    Refused,
    /// A message is longer than configured.
    TooLong,
    /// The sender's data ended inside a message.
    Truncated,
    /// The inspector released no bytes, or edited bytes that it was not shown.
    BadEdit,
    /// The connection was reset.
    Reset,
    /// The receiver did not acknowledge bytes that we had acknowledged to the sender, or there was no memory for a message
    /// that had to change. The connection was reset.
    Undeliverable,
}

impl Cause {
    /// Whether the connection itself is over, and not only its reading. Nobody is left to receive further segments.
    pub fn is_end(self) -> bool {
        matches!(self, Cause::Reset | Cause::Undeliverable)
    }
}
