//! The shard's invariants, verified: for tests.

use crate::state::mapping::Mapping;
use crate::state::session::Direction;
use crate::state::shard::{SessionRef, Shard};
use crate::state::slots::NONE;

impl Shard {
    /// Verifies the shard's invariants. Walks every table: for tests.
    pub fn check(&self) -> Result<(), String> {
        let in_use: u32 = self.ports_in_use().map(|(_, used)| used).sum();
        let expect = |what: &str, is: usize, should: usize| {
            if is == should { Ok(()) } else { Err(format!("{what}: {is}, should be {should}")) }
        };
        let taken = self.mappings.len() + self.allocator.held_down_count();
        expect("ports in use", in_use as usize, taken)?;
        expect("session index entries", self.session_index.len(), self.sessions.len() * 2)?;
        expect("mapping index entries", self.mapping_index.len(), self.mappings.len() * 2)?;
        let beneath = self.sessions.iter_from(0).filter(|(_, session)| session.mapping != NONE).count();
        let counted: u32 = self.mappings.iter_from(0).map(|(_, mapping)| mapping.session_count).sum();
        expect("sessions counted by mappings", counted as usize, beneath)?;
        let is_idle = |mapping: &Mapping| mapping.session_count == 0 && !mapping.is_address();
        let idle = self.mappings.iter_from(0).filter(|(_, mapping)| is_idle(mapping)).count();
        expect("port mappings without sessions", idle, 0)?;
        let of_subscribers: u32 = self.subscribers.iter().map(|subscriber| subscriber.session_count).sum();
        expect("sessions counted by subscribers", of_subscribers as usize, self.sessions.len())?;
        for (index, session) in self.sessions.iter_from(0) {
            for direction in [Direction::Outbound, Direction::Inbound] {
                let key = session.key(direction);
                if self.find(key, self.hasher.hash(key.words())) != Some(SessionRef { index, direction }) {
                    return Err(format!("session {index} is not found {direction:?}"));
                }
            }
        }
        Ok(())
    }
}
