//! Why a gateway refuses a message.

/// Why a message passes as it came, without edits or doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not the protocol.
    Foreign,
    /// The protocol, but not well-formed.
    Malformed,
    /// Longer than a message may be.
    TooLong,
    /// A sound message with an argument that is not: no number, or more than a number may be.
    Argument,
    /// An address that is not the session's own host's, and that policy does not map.
    ForeignAddress,
    /// A port below 1024 that is not to be opened.
    LowPort,
    /// No global port is free.
    NoPort,
    /// As many doors as there may be.
    DoorLimit,
    /// As many calls as there may be.
    CallLimit,
    /// More edits, or more growth, than a message may have.
    EditLimit,
    /// An edit would break its signatures.
    Signed,
}

impl Refusal {
    /// All, in the order of their counters.
    pub const ALL: [Refusal; 11] = [
        Refusal::Foreign,
        Refusal::Malformed,
        Refusal::TooLong,
        Refusal::Argument,
        Refusal::ForeignAddress,
        Refusal::LowPort,
        Refusal::NoPort,
        Refusal::DoorLimit,
        Refusal::CallLimit,
        Refusal::EditLimit,
        Refusal::Signed,
    ];

    /// The label in metrics and tables.
    pub const fn label(self) -> &'static str {
        match self {
            Refusal::Foreign => "foreign",
            Refusal::Malformed => "malformed",
            Refusal::TooLong => "too-long",
            Refusal::Argument => "argument",
            Refusal::ForeignAddress => "foreign-address",
            Refusal::LowPort => "low-port",
            Refusal::NoPort => "no-port",
            Refusal::DoorLimit => "door-limit",
            Refusal::CallLimit => "call-limit",
            Refusal::EditLimit => "edit-limit",
            Refusal::Signed => "signed",
        }
    }

    /// The reason in a sentence, for operators.
    pub const fn sentence(self) -> &'static str {
        match self {
            Refusal::Foreign => "This is not the protocol.",
            Refusal::Malformed => "It is the protocol, but not well-formed.",
            Refusal::TooLong => "It is longer than a message may be.",
            Refusal::Argument => "The message is sound, but an argument is no number, or too large.",
            Refusal::ForeignAddress => {
                "It names an address that is neither its sender's nor mapped by configuration."
            }
            Refusal::LowPort => "It announces a port below 1024, which is not opened.",
            Refusal::NoPort => "No global port is free.",
            Refusal::DoorLimit => "There are as many doors as there may be.",
            Refusal::CallLimit => "There are as many calls as there may be.",
            Refusal::EditLimit => "It needs more edits, or more growth, than a message may have.",
            Refusal::Signed => "An edit would break its signatures.",
        }
    }

    /// Whether the gateway lets go of the session for good.
    pub const fn detaches(self) -> bool {
        matches!(self, Refusal::Foreign | Refusal::Malformed | Refusal::TooLong)
    }
}
