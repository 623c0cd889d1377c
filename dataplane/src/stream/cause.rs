//! Why a stream lets go.

/// Why a stream is not read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The inspector said so.
    Refused,
    /// A message is longer than configured.
    TooLong,
    /// The sender's data ended inside a message.
    Truncated,
    /// The inspector released nothing, or edited what it was not shown.
    BadEdit,
    /// The connection was reset.
    Reset,
    /// The receiver did not acknowledge what was acknowledged on its behalf, or there was no memory for a message that
    /// had to change. The connection was reset.
    Undeliverable,
}

impl Cause {
    /// Whether the connection is over with it, and not only the reading: what its ends still send is for nobody.
    pub fn is_end(self) -> bool {
        matches!(self, Cause::Reset | Cause::Undeliverable)
    }
}
