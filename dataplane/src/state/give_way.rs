//! Flows that strangers have begun and the inside has not confirmed, and how they give way to others.
//!
//! Whoever sends SYNs in anybody's name fills the table with half-open connections, as fast as he likes and longer than
//! any idle time. So what strangers begin and nobody inside has confirmed has a part of the table; beyond it, what is begun
//! costs such a flow its place, the oldest of a host that has many of them. A full table takes such a place for any
//! other flow too. What the inside began gives way to nobody (RFC 6888 REQ-11): its hosts have shares.
//!
//! Where outside hosts have addresses of a pool, he also has one of these for each name that he makes up. So as long as nobody
//! inside has answered one of an outside host's flows, its address goes to the next host that needs one, with all of them: these
//! few, as those that wait at a door.

use arrayvec::ArrayVec;

use crate::drops::DropReason;
use crate::lives::EndReason;
use crate::policy::{Policy, RuleId};
use crate::state::mapping::{NO_FLOWS, UNCONFIRMED_FLOWS_MAX};
use crate::state::session::{Above, Session};
use crate::state::shard::Shard;
use crate::state::table::share::{FEW, Places};
use crate::state::table::slots::NONE;
use crate::state::unconfirmed::Waiting;

/// Of the queue, what is looked at for one flow.
const LOOKED_AT: usize = 64;
/// Of what is no more unconfirmed, so many leave the queue at once.
const PASSED_OVER: usize = 1024;

impl Shard {
    /// The places of the session table, as an inside host sees them: what gives way to it is free.
    pub(super) fn places(&self) -> Places {
        let taken = self.sessions.len() - self.unconfirmed.counts()[1] as usize;
        Places { capacity: self.sessions.capacity(), free: self.sessions.capacity() - taken }
    }

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
        if session.is_unsolicited() && self.unconfirmed.has_full_queue() {
            has_ended = self.clear_queue(policy, sibling, now);
            if self.unconfirmed.has_full_queue() {
                return Err(DropReason::SessionsFull);
            }
        }
        if !self.sessions.is_full() {
            return Ok(has_ended);
        }
        if self.end_unsolicited_flow(policy, sibling, now) { Ok(true) } else { Err(DropReason::SessionsFull) }
    }

    /// Takes out of the full queue what is no more unconfirmed, and ends a flow if there are as many as may be. Whether one
    /// ended.
    fn clear_queue(&mut self, policy: &Policy, sibling: u32, now: u32) -> bool {
        for _ in 0..LOOKED_AT {
            if self.unconfirmed.is_over() {
                break;
            }
            let Some(waiting) = self.unconfirmed.queue.pop_front() else { return false };
            if !self.is_unconfirmed(waiting) {
                return false;
            }
            self.unconfirmed.queue.push_back(waiting);
        }
        self.end_unsolicited_flow(policy, sibling, now)
    }

    /// Ends an unconfirmed flow that a stranger began, but for one: of the oldest, the first of a host with many. Whether one
    /// ended.
    pub(super) fn end_unsolicited_flow(&mut self, policy: &Policy, sibling: u32, now: u32) -> bool {
        self.pass_over();
        let oldest = self.unconfirmed.queue.iter().take(LOOKED_AT).copied().enumerate();
        let mut oldest = oldest.filter(|&(_, it)| it.index != sibling && self.is_unconfirmed(it));
        let of_many = oldest.clone().find(|&(_, it)| self.has_many_unsolicited(it.index));
        let Some((at, waiting)) = of_many.or_else(|| oldest.next()) else { return false };
        self.unconfirmed.queue.remove(at);
        self.end(policy, waiting.index, EndReason::GaveWay, now).is_some()
    }

    /// Whether the inside host of a session has more than a few that strangers began and it has not confirmed.
    fn has_many_unsolicited(&self, index: u32) -> bool {
        let host = self.sessions.at(index).map(|session| (session.inside_vrf(), session.inside_local().addr));
        let number = host.and_then(|(vrf, addr)| self.subscribers.find(vrf, addr));
        let subscriber = number.and_then(|number| self.subscribers.at(number));
        subscriber.is_some_and(|subscriber| subscriber.unsolicited_count as usize > FEW)
    }

    /// An outside host's mapping was made that a stranger asks for.
    pub(super) fn note_unconfirmed_host(&mut self, index: u32) {
        if let Some(mapping) = self.mappings.at_mut(index) {
            mapping.unconfirmed_flows = Some(NO_FLOWS);
            self.unconfirmed_hosts.set(mapping.binding.rule, index, true);
        }
    }

    /// The inside uses an outside host's mapping, or it has ended: its address is for nobody else.
    pub(super) fn forget_unconfirmed_host(&mut self, index: u32) {
        if let Some(mapping) = self.mappings.at_mut(index)
            && mapping.unconfirmed_flows.take().is_some()
        {
            self.unconfirmed_hosts.set(mapping.binding.rule, index, false);
        }
    }

    /// A session began beneath an outside host's mapping.
    pub(super) fn note_flow_beneath(&mut self, policy: &Policy, index: u32, session: u32, now: u32) {
        if !self.sessions.at(session).is_some_and(Session::is_unsolicited) {
            return self.forget_unconfirmed_host(index);
        }
        let mut flows: ArrayVec<u32, UNCONFIRMED_FLOWS_MAX> = self.unconfirmed_flows_of(index).collect();
        // Its place may have been that of one that ended.
        flows.retain(|flow| *flow != session);
        let oldest = if flows.is_full() { flows.pop_at(0) } else { None };
        flows.push(session);
        let Some(known) = self.mappings.at_mut(index).and_then(|mapping| mapping.unconfirmed_flows.as_mut())
        else {
            return;
        };
        *known = NO_FLOWS;
        known[..flows.len()].copy_from_slice(&flows);
        if let Some(oldest) = oldest {
            self.end(policy, oldest, EndReason::GaveWay, now);
        }
    }

    /// Ends what the oldest unconfirmed outside host has, and with it its address. Whether one had any.
    pub(super) fn end_unconfirmed_host(&mut self, policy: &Policy, rule: RuleId, now: u32) -> bool {
        while let Some(index) = self.unconfirmed_hosts.oldest(rule) {
            // What the inside sent may have been refused since: then there is no session of its own to tell.
            if !self.mappings.at(index).is_some_and(|mapping| mapping.is_unsolicited) {
                self.forget_unconfirmed_host(index);
                continue;
            }
            let flows: ArrayVec<u32, UNCONFIRMED_FLOWS_MAX> = self.unconfirmed_flows_of(index).collect();
            for &flow in &flows {
                self.end(policy, flow, EndReason::GaveWay, now);
            }
            return !flows.is_empty();
        }
        false
    }

    /// The unconfirmed flows beneath an outside host's mapping.
    pub(super) fn unconfirmed_flows_of(&self, index: u32) -> impl Iterator<Item = u32> + '_ {
        let known = self.mappings.at(index).and_then(|mapping| mapping.unconfirmed_flows).unwrap_or(NO_FLOWS);
        let is_beneath = move |session: &Session| {
            session.is_unsolicited() && self.outside_mapping_of(session) == Some(index)
        };
        known.into_iter().filter(move |&flow| self.sessions.at(flow).is_some_and(is_beneath))
    }

    /// Takes out of the front of the queue what is no more unconfirmed, some of it if it is much.
    fn pass_over(&mut self) {
        for _ in 0..PASSED_OVER {
            let Some(&waiting) = self.unconfirmed.queue.front() else { break };
            if self.is_unconfirmed(waiting) {
                break;
            }
            self.unconfirmed.queue.pop_front();
        }
    }

    fn is_unconfirmed(&self, Waiting { index, created_ms }: Waiting) -> bool {
        // Its place may be another flow's by now.
        let is_it = |session: &Session| self.created_ms(index) == created_ms && session.is_unsolicited();
        self.sessions.at(index).is_some_and(is_it)
    }
}
