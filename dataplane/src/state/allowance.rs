//! What an inside host may still begin: by the limits on it, and by its share of what all share.

use std::net::Ipv4Addr;

use crate::drops::DropReason;
use crate::policy::Policy;
use crate::state::destinations::Counter;
use crate::state::session::Session;
use crate::state::shard::Shard;
use crate::state::subscriber::Subscriber;
use crate::state::table::share::Places;

/// A table of which less than one place in so many is free is nearly full.
const LOW_PART: usize = 4;

impl Shard {
    /// Whether limits and shares allow another session of this subscriber, who leaves if not and has nothing else; its own
    /// may have been asked before, see [`Shard::refusal`]. Returns the groups it counts towards, a bit each.
    ///
    /// What a stranger begins is refused where the host has no more room, but takes none of it before the host answers.
    pub(super) fn admit(
        &mut self,
        policy: &Policy,
        session: &Session,
        number: u32,
        (counter, was_asked): (Counter, bool),
        now: u32,
    ) -> Result<u16, DropReason> {
        let host = session.inside_local().addr;
        let limit_groups = policy.limit_groups_of(session.inside_vrf(), host);
        if limit_groups != 0
            && let Some(counter) = self.full_group(policy, limit_groups)
        {
            if !session.is_unsolicited() {
                self.note_refused(number, DropReason::LimitGroup);
            }
            self.leave(number, now);
            self.limit_reached = Some(counter);
            return Err(DropReason::LimitGroup);
        }
        let places = self.places();
        let subscriber = self.subscribers.at_mut(number).ok_or(DropReason::SubscribersFull)?;
        let is_unsolicited = session.is_unsolicited();
        let is_of_few = || self.destinations.are_few(counter);
        let mut refusal = if was_asked { None } else { of_host(policy, subscriber, places, is_of_few) };
        if let Some(rate) = policy.limits.rate_of_host(host).filter(|_| !is_unsolicited && refusal.is_none())
        {
            refusal = (!subscriber.may_begin(rate, now)).then_some(DropReason::LimitRate);
        }
        if let Some(reason) = refusal {
            if !is_unsolicited {
                self.note_refused(number, reason);
            }
            self.leave(number, now);
            return Err(self.refuse(policy, host, reason));
        }
        Ok(if is_unsolicited { 0 } else { limit_groups })
    }

    /// Why the host of a flow from inside may begin no other one, so that nothing is taken for it in vain.
    pub(super) fn refusal(
        &mut self,
        policy: &Policy,
        (number, counter): (u32, Option<Counter>),
        now: u32,
    ) -> Option<DropReason> {
        let places = self.places();
        let subscriber = self.subscribers.at(number)?;
        let host = subscriber.addr;
        let is_of_few = || counter.is_none_or(|counter| self.destinations.are_few(counter));
        let rate_max = policy.limits.rate_of_host(host);
        let is_fast = || rate_max.is_some_and(|rate| !subscriber.has_credit(rate, now));
        let refusal = of_host(policy, subscriber, places, is_of_few);
        let reason = refusal.or_else(|| is_fast().then_some(DropReason::LimitRate))?;
        Some(self.refuse(policy, host, reason))
    }

    /// Whether so little is left of what hosts share that a new flow's host is to be known first.
    pub fn is_nearly_full(&self) -> bool {
        let is_low = |places: Places| places.free < places.capacity / LOW_PART;
        let hosts = Places {
            capacity: self.subscribers.capacity(),
            free: self.subscribers.capacity() - self.subscribers.len(),
        };
        is_low(self.places()) || is_low(hosts)
    }

    /// Counts a packet of a subscriber's that should have begun a session and did not.
    pub(super) fn note_refused(&mut self, number: u32, reason: DropReason) {
        if let Some(subscriber) = self.subscribers.at_mut(number) {
            subscriber.refused_count = subscriber.refused_count.saturating_add(1);
            let missed = u32::from(reason == DropReason::LimitHost);
            subscriber.limit_missed_count = subscriber.limit_missed_count.saturating_add(missed);
        }
    }

    fn refuse(&mut self, policy: &Policy, host: Ipv4Addr, reason: DropReason) -> DropReason {
        if reason == DropReason::LimitHost {
            self.limit_reached = policy.limits.of_host(host).map(|limit| limit.counter);
        }
        reason
    }

    /// The counter of the first of these groups that has as many sessions as it may.
    fn full_group(&self, policy: &Policy, groups: u16) -> Option<u32> {
        let limits = policy.limits.groups.iter().enumerate().filter(|(group, _)| groups >> group & 1 == 1);
        let mut full =
            limits.filter(|(group, limit)| self.groups.count(*group) >= self.share_of(limit.sessions_max));
        full.next().map(|(_, limit)| limit.counter)
    }

    /// This worker's share of a limit on all workers together.
    fn share_of(&self, max: u32) -> u32 {
        let (worker, count) = self.worker;
        let count = u32::from(count.max(1));
        max / count + u32::from(u32::from(worker) < max % count)
    }
}

/// Why a host may have no other session, which is one of few to its destination or not.
fn of_host(
    policy: &Policy,
    subscriber: &Subscriber,
    places: Places,
    is_of_few: impl FnOnce() -> bool,
) -> Option<DropReason> {
    let held = subscriber.own_count();
    let sessions_max = policy.limits.of_host(subscriber.addr).map(|limit| limit.sessions_max);
    if sessions_max.is_some_and(|max| held >= max) {
        return Some(DropReason::LimitHost);
    }
    match places.left_within(held as usize, sessions_max) {
        0 if places.free == 0 => Some(DropReason::SessionsFull),
        0 => Some(DropReason::SessionShare),
        left if Places::are_reserved(held as usize, left) && !is_of_few() => {
            Some(DropReason::DestinationShare)
        }
        _ => None,
    }
}
