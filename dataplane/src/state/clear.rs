//! `clear ip nat translation`: ends what an operator means, a step between two bursts at a time.

use crate::lives::EndReason;
use crate::policy::Policy;
use crate::state::lifetime::Place;
use crate::state::session::Session;
use crate::state::shard::{Entry, Shard};
use crate::state::wanted::Wanted;

impl Shard {
    /// One step over the tables: ends sessions, then mappings of whole addresses that no session is beneath, then doors and
    /// calls. With a control session its doors close. Returns where to go on, and how many sessions and mappings were ended.
    pub fn clear(&mut self, policy: &Policy, wanted: &Wanted, start: u32, now: u32) -> (Option<u32>, u64) {
        self.walk(start, |shard, place| match place {
            Place::Session(index) => {
                if shard.sessions.at(index).is_some_and(|session| shard.means_session(wanted, session)) {
                    shard.end(policy, index, EndReason::Cleared, now);
                }
            }
            Place::Mapping(index) => {
                let is_meant = |mapping: &_| wanted.has_address(mapping);
                shard.end_unused_mapping(policy, index, is_meant, (EndReason::Cleared, now));
            }
            Place::Door(index) => {
                if shard.doors.at(index).is_some_and(|door| wanted.has_door(door)) {
                    shard.end_door(policy, index, EndReason::Cleared, now);
                }
            }
            Place::Call(number) => {
                if shard.calls.key(number).is_some_and(|key| wanted.has_call(key.host)) {
                    shard.end_call(policy, number, now);
                }
            }
        })
    }

    /// Whether an operator means what is in the tables.
    pub fn means(&self, wanted: &Wanted, entry: &Entry) -> bool {
        match entry {
            Entry::Session(session, _) => self.means_session(wanted, session),
            Entry::Address(mapping) => wanted.has_address(mapping),
        }
    }

    /// That of an outside host is of the rule that gave this its address too.
    fn means_session(&self, wanted: &Wanted, session: &Session) -> bool {
        let is_of_outside_rule = || {
            let mapping = self.outside_mapping_of(session).and_then(|outside| self.mappings.at(outside));
            mapping.is_some_and(|mapping| wanted.has_rule(mapping.binding.rule))
        };
        wanted.has_session(session) && (wanted.has_rule(session.rule) || is_of_outside_rule())
    }
}
