//! The two sides of a connection, and the directions between them.

/// Which way a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From who opened the connection.
    Forward,
    /// To who opened the connection.
    Backward,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::Forward, Direction::Backward];

    /// The other one.
    pub fn reverse(self) -> Direction {
        match self {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// What the segments of one side have in common.
pub struct Side {
    /// As the side itself writes them.
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
    /// Acknowledgement and window that last went on in this direction.
    pub announced: (u32, u16),
}

impl Side {
    /// The last window in bytes.
    pub fn window_bytes(&self) -> u32 {
        u32::from(self.window) << self.window_scale
    }
}
