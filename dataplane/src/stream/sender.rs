//! The two ends of a connection, each the sender of its segments.

/// Who sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Who opened the connection.
    Client,
    /// The other end.
    Server,
}

impl Sender {
    /// Both.
    pub const ALL: [Sender; 2] = [Sender::Client, Sender::Server];

    /// The other one: the receiver.
    pub fn other(self) -> Sender {
        match self {
            Sender::Client => Sender::Server,
            Sender::Server => Sender::Client,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// What the headers of one sender's segments have in common.
pub struct HeaderFields {
    /// As the sender itself writes them.
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub source_port: u16,
    pub destination_port: u16,
    pub ttl: u8,
    pub tos: u8,
    pub dont_fragment: bool,
    pub identification: u16,
    /// The last window, as it stands in the header, and the scale it has.
    pub window: u16,
    pub window_scale: u8,
    /// The latest timestamp.
    pub timestamp: u32,
    /// Acknowledgement and window that last went on from this sender.
    pub announced: (u32, u16),
}

impl HeaderFields {
    /// The last window in bytes.
    pub fn window_bytes(&self) -> u32 {
        u32::from(self.window) << self.window_scale
    }
}
