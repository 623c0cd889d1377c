//! SYNs over live connections: remembered until the other side has answered, and believed only then.

use crate::flow::Direction;
use crate::state::connection::Reopening;

/// SYNs that are remembered; a power of two. A later one of a session that has its place overwrites it, and costs that
/// connection its resets until its next SYN at most.
const REMEMBERED: usize = 1 << 12;

/// The last SYNs over live connections.
pub struct Reopenings {
    places: Vec<Option<(u32, Reopening)>>,
}

impl Default for Reopenings {
    fn default() -> Reopenings {
        Reopenings { places: vec![None; REMEMBERED] }
    }
}

impl Reopenings {
    fn place(&mut self, session: u32) -> Option<&mut Option<(u32, Reopening)>> {
        self.places.get_mut(session as usize % REMEMBERED)
    }

    /// Remembers the latest SYN of a session.
    pub(super) fn remember(&mut self, session: u32, reopening: Reopening) {
        if let Some(place) = self.place(session) {
            *place = Some((session, reopening));
        }
    }

    /// The SYN of a session that a SYN,ACK in this direction acknowledges.
    pub(super) fn take(&mut self, session: u32, direction: Direction, ack: u32) -> Option<Reopening> {
        let answered = Reopening { direction: direction.reverse(), number: ack };
        let is_answered = |place: &mut (u32, Reopening)| *place == (session, answered);
        self.place(session)?.take_if(is_answered).map(|(_, reopening)| reopening)
    }
}
