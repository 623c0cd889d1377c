//! The shard's invariants, verified: for tests.

use crate::flow::Direction;
use crate::state::door::Door;
use crate::state::mapping::Mapping;
use crate::state::session::{Above, Flags, Session};
use crate::state::shard::{SessionRef, Shard};

impl Shard {
    /// Verifies the shard's invariants. Walks every table: for tests.
    pub fn check(&self) -> Result<(), String> {
        let in_use: u32 = self.ports_in_use().map(|(_, used)| used).sum();
        let expect = |what: &str, is: usize, should: usize| {
            if is == should { Ok(()) } else { Err(format!("{what}: {is}, should be {should}")) }
        };
        let is_alone = |door: &Door| matches!(self.above_of_door(door), Above::Door);
        let is_first = |(index, door): &(u32, &Door)| {
            self.doors.of_global(door.protocol, door.vrfs.1, door.global) == Some(*index)
        };
        let waiting = self.doors.iter_between(0, u32::MAX).filter(is_first);
        let waiting = waiting.filter(|(_, door)| is_alone(door)).count();
        let bound = self.mapping_count() + waiting;
        let taken = bound + self.allocator.held_down_count() + self.lender.out_count();
        expect("ports in use", in_use as usize, taken)?;
        expect("mapping index entries", self.mapping_index.len(), self.mappings.len() * 2)?;
        let with = |flag| self.sessions.iter_from(0).filter(move |(_, session)| session.flags.has(flag));
        expect("session index entries", self.session_index.len(), self.sessions.len() * 2)?;
        let counted: u32 = self.mappings.iter_from(0).map(|(_, mapping)| mapping.session_count).sum();
        let beneath = with(Flags::ADDRESS).count() + with(Flags::OUTSIDE_ADDRESS).count();
        expect("sessions counted by whole addresses", counted as usize, beneath)?;
        let counted: u32 = self.rule_uses().map(|(_, rule)| rule.address_count).sum();
        expect("whole addresses counted by rules", counted as usize, self.mappings.len())?;
        expect("port index entries", self.port_index.len(), with(Flags::HEAD).count() * 2)?;
        expect("sessions that serve every peer", self.any_peer_count, with(Flags::ANY_PEER).count())?;
        let unconfirmed = self.sessions.iter_from(0).filter(|(_, session)| !session.progress.is_confirmed());
        let counted: u32 = self.unconfirmed.counts().iter().sum();
        expect("unconfirmed sessions", counted as usize, unconfirmed.count())?;
        let is_begun_inside = |session: &Session| !session.flags.has(Flags::FROM_OUTSIDE);
        let from_inside = self.sessions.iter_from(0).filter(|(_, session)| is_begun_inside(session));
        expect("sessions counted by destination", self.destinations.total(), from_inside.count())?;
        self.check_rings()?;
        self.check_unconfirmed_hosts()?;
        self.control_sessions.check(|session| self.sessions.at(session).is_some())?;
        self.doors.check()?;
        self.calls.check()?;
        let totals = self.journal.totals();
        expect("sessions begun and not ended", totals.sessions.live() as usize, self.sessions.len())?;
        expect("bindings begun and not ended", totals.bindings.live() as usize, bound)?;
        let sets = self.allocator.untold_set_count() + totals.port_sets.live() as usize;
        expect("port sets begun and not ended", sets, self.allocator.set_count())?;
        let of_subscribers: u32 = self.subscribers.iter().map(|subscriber| subscriber.session_count).sum();
        expect("sessions counted by subscribers", of_subscribers as usize, self.sessions.len())?;
        let unsolicited: u32 = self.subscribers.iter().map(|subscriber| subscriber.unsolicited_count).sum();
        expect(
            "unsolicited sessions of subscribers",
            unsolicited as usize,
            self.unconfirmed.counts()[1] as usize,
        )?;
        for (index, session) in self.sessions.iter_from(0) {
            for direction in Direction::ALL {
                let key = session.key(direction);
                if self.find(key, self.hasher.hash(key.words())) != Some(SessionRef { index, direction }) {
                    return Err(format!("session {index} is not found {direction:?}"));
                }
            }
        }
        Ok(())
    }

    /// Verifies that an unconfirmed outside host is known by all that it has.
    fn check_unconfirmed_hosts(&self) -> Result<(), String> {
        let known: Vec<(u32, &Mapping)> =
            self.mappings.iter_from(0).filter(|(_, mapping)| mapping.unconfirmed_flows.is_some()).collect();
        if known.len() != self.unconfirmed_hosts.len() {
            return Err(format!(
                "{} outside hosts are unconfirmed, {} are known",
                known.len(),
                self.unconfirmed_hosts.len()
            ));
        }
        for (index, mapping) in known {
            let flow_count = self.unconfirmed_flows_of(index).count();
            if flow_count != mapping.session_count as usize {
                return Err(format!("{flow_count} unconfirmed flows beneath mapping {index}: {mapping:?}"));
            }
        }
        Ok(())
    }

    /// Every ring of sessions beneath a port's mapping is whole, and has one head, or none if its only session
    /// serves every peer.
    fn check_rings(&self) -> Result<(), String> {
        let (mut headless, mut headed) = (0, 0);
        for (index, session) in
            self.sessions.iter_from(0).filter(|(_, session)| session.flags.has(Flags::PORT))
        {
            let next = self.sessions.at(session.next).ok_or(format!("session {index} leads nowhere"))?;
            if next.previous != index || next.mapping_keys() != session.mapping_keys() {
                return Err(format!("session {index} and the one after it do not agree"));
            }
            let is_head = session.flags.has(Flags::HEAD);
            headed += usize::from(is_head);
            headless += usize::from(session.next == index && !is_head);
            if session.next == index && !is_head && !session.flags.has(Flags::ANY_PEER) {
                return Err(format!("session {index} is alone and not in the index"));
            }
            let is_it = |found| found == index;
            let found = session.mapping_keys().map(|key| self.port_index.find(self.hasher.hash(key), is_it));
            if found.map(|found| found.is_some()) != [is_head; 2] {
                return Err(format!("session {index} is in the index, or is not, against its flag"));
            }
        }
        if headed + headless != self.port_mapping_count {
            return Err(format!("{headed} and {headless} rings, counted {}", self.port_mapping_count));
        }
        Ok(())
    }
}
