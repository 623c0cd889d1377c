//! Flows that only one side has begun, and how they give way to others.
//!
//! Whoever sends SYNs in anybody's name fills the table with half-open connections, as fast as he likes and longer than
//! any idle time. So each side of the NAT has a part of the table for what it begins and the other has not confirmed;
//! beyond it, what is begun costs the oldest such flow its place. A full table takes such a place for a confirmed flow
//! too. Established sessions give way to nobody.

use crate::drops::DropReason;
use crate::lives::EndReason;
use crate::policy::{OutsideRule, Policy, SourceRule};
use crate::state::mapping::Mapping;
use crate::state::session::{Above, Flags, Session};
use crate::state::shard::Shard;
use crate::state::table::slots::NONE;
use crate::state::unconfirmed::{Waiting, side_of};

/// Of a queue, what is looked at for one flow.
const LOOKED_AT: usize = 64;
/// Of what is no more unconfirmed, so many leave a queue at once.
const PASSED_OVER: usize = 1024;

impl Shard {
    /// Makes room for a session that is about to begin, where there is none. Whether another one ended for it.
    pub(super) fn make_room(
        &mut self,
        policy: &Policy,
        session: &Session,
        above: &Above,
        now: u32,
    ) -> Result<bool, DropReason> {
        // Its mapping is found by this one.
        let sibling = match above {
            Above::Port(index) => *index,
            _ => NONE,
        };
        let mut has_ended = false;
        let side = side_of(session);
        if !session.progress.is_confirmed() && self.unconfirmed.has_full_queue(side) {
            has_ended = self.clear_queue(policy, side, sibling, now);
            if self.unconfirmed.has_full_queue(side) {
                return Err(DropReason::SessionsFull);
            }
        }
        if !self.sessions.is_full() {
            return Ok(has_ended);
        }
        // What strangers began goes first.
        let has_room = [1, 0].into_iter().any(|side| self.end_oldest(policy, side, sibling, now));
        if has_room { Ok(true) } else { Err(DropReason::SessionsFull) }
    }

    /// Takes out of a full queue what is no more unconfirmed, and ends the oldest flow of a side that has its part. Whether
    /// one ended.
    fn clear_queue(&mut self, policy: &Policy, side: usize, sibling: u32, now: u32) -> bool {
        for _ in 0..LOOKED_AT {
            if self.unconfirmed.is_over(side) {
                break;
            }
            let Some(waiting) = self.unconfirmed.queues[side].pop_front() else { return false };
            if !self.is_unconfirmed(waiting, side) {
                return false;
            }
            self.unconfirmed.queues[side].push_back(waiting);
        }
        self.end_oldest(policy, side, sibling, now)
    }

    /// Ends the oldest unconfirmed flow that a side began, but for one. Whether one ended.
    fn end_oldest(&mut self, policy: &Policy, side: usize, sibling: u32, now: u32) -> bool {
        let (mut has_ended, mut spared) = (false, None);
        for _ in 0..LOOKED_AT {
            let Some(waiting) = self.unconfirmed.queues[side].pop_front() else { break };
            if !self.is_unconfirmed(waiting, side) {
                continue;
            }
            if waiting.index == sibling {
                spared = Some(waiting);
                continue;
            }
            has_ended = self.end(policy, waiting.index, EndReason::GaveWay, now).is_some();
            break;
        }
        self.unconfirmed.queues[side].extend(spared);
        has_ended
    }

    /// Ends an unconfirmed flow from inside that has a port of a rule's for itself, which has no other left.
    pub fn make_port_free(&mut self, policy: &Policy, rule: &SourceRule, protocol: u8, now: u32) -> bool {
        self.pass_over(0);
        let gives_way = |waiting: Waiting| {
            let is_alone = |other: &Session| {
                let has_port = other.flags.has(Flags::PORT) && other.next == waiting.index;
                let is_held =
                    self.is_held_by_door(other.protocol, other.outside_vrf(), other.inside_global());
                has_port && !is_held && (other.rule, other.protocol) == (rule.id, protocol)
            };
            self.is_unconfirmed(waiting, 0) && self.sessions.at(waiting.index).is_some_and(is_alone)
        };
        let found = self.unconfirmed.queues[0].iter().take(LOOKED_AT).find(|&&waiting| gives_way(waiting));
        found.copied().is_some_and(|it| self.end(policy, it.index, EndReason::GaveWay, now).is_some())
    }

    /// Ends the oldest unconfirmed flow from outside for which alone a host has an outside local address of a rule's, which
    /// has no other left.
    pub(super) fn make_outside_address_free(
        &mut self,
        policy: &Policy,
        rule: &OutsideRule,
        now: u32,
    ) -> bool {
        self.pass_over(1);
        let is_alone = |mapping: &Mapping| {
            mapping.binding.rule == rule.id && mapping.is_unasked && mapping.session_count == 1
        };
        let gives_way = |waiting: Waiting| {
            let above = self.sessions.at(waiting.index).and_then(|session| self.outside_mapping_of(session));
            let is_alone = above.and_then(|above| self.mappings.at(above)).is_some_and(is_alone);
            is_alone && self.is_unconfirmed(waiting, 1)
        };
        let found = self.unconfirmed.queues[1].iter().take(LOOKED_AT).find(|&&waiting| gives_way(waiting));
        found.copied().is_some_and(|it| self.end(policy, it.index, EndReason::GaveWay, now).is_some())
    }

    /// Takes out of the front of a side's queue what is no more unconfirmed, some of it if it is much.
    fn pass_over(&mut self, side: usize) {
        for _ in 0..PASSED_OVER {
            let Some(&waiting) = self.unconfirmed.queues[side].front() else { break };
            if self.is_unconfirmed(waiting, side) {
                break;
            }
            self.unconfirmed.queues[side].pop_front();
        }
    }

    fn is_unconfirmed(&self, Waiting { index, created_ms }: Waiting, side: usize) -> bool {
        let is_it = |session: &Session| {
            // Its place may be another flow's by now.
            self.created_ms(index) == created_ms
                && side_of(session) == side
                && !session.progress.is_confirmed()
        };
        self.sessions.at(index).is_some_and(is_it)
    }
}
