//! Bindings: how what a lease is of gets an owner, and how it is given back.

use alg::Side;

use crate::flow::Endpoint;
use crate::lives::EndReason;
use crate::policy::{Policy, SourceRule};
use crate::state::mapping::Binding;
use crate::state::ports::lease::{Lease, Taken};
use crate::state::ports::request::Source;
use crate::state::shard::Shard;

/// What a rule binds a source to.
pub(super) fn bound(rule: &SourceRule, source: Source, global: Endpoint) -> Binding {
    Binding {
        own: source.local,
        seen: global,
        own_vrf: source.vrf,
        seen_vrf: rule.outside_vrf,
        rule: rule.id,
        protocol: source.protocol,
        side: Side::Inside,
    }
}

impl Shard {
    /// A session, a door or a mapping's record owns what a lease was of, from now on.
    pub(super) fn bind(&mut self, lease: Lease, now: u32) {
        let Some(taken) = self.lender.taken(&lease) else {
            debug_assert!(false, "a lease was used that no longer stands");
            return;
        };
        if self.allocator.set_count() > 0
            && let Some(subscriber) = self.subscribers.at_mut(taken.subscriber)
        {
            self.allocator.tell_set(subscriber, taken.binding.seen.addr, &mut self.journal, now);
        }
        self.journal.note_binding(&taken.binding, None, now);
        taken.bindings().skip(1).for_each(|binding| self.journal.note_binding(&binding, None, now));
        self.lender.reclaim();
    }

    /// Ends what [`Shard::bind`] began at `since_ms`.
    pub(super) fn unbind(
        &mut self,
        policy: &Policy,
        binding: &Binding,
        subscriber: u32,
        since_ms: u32,
        (reason, now): (EndReason, u32),
    ) {
        self.journal.note_binding(binding, Some(reason), now);
        self.release(policy, binding, subscriber, since_ms, now);
    }

    /// Gives back what a lease is of, as if it had never been taken.
    pub fn give_back(&mut self, policy: &Policy, lease: Lease, now: u32) {
        if let Some(taken) = self.lender.settle(lease) {
            self.release_all(policy, taken, now);
        }
    }

    /// Gives back what was lent by a lease that was dropped.
    pub(super) fn reclaim(&mut self, policy: &Policy, now: u32) {
        if let Some(taken) = self.lender.reclaim() {
            self.release_all(policy, taken, now);
        }
    }

    #[cold]
    fn release_all(&mut self, policy: &Policy, taken: Taken, now: u32) {
        for binding in taken.bindings() {
            self.release(policy, &binding, taken.subscriber, now, now);
        }
    }

    /// Gives back a port or a whole address that was taken at `since_ms`.
    fn release(&mut self, policy: &Policy, binding: &Binding, subscriber: u32, since_ms: u32, now: u32) {
        let owner = self.subscribers.at_mut(subscriber);
        self.allocator.release(policy, binding, owner, since_ms, &mut self.journal, now);
        if let Some(subscriber) = self.subscribers.at_mut(subscriber) {
            subscriber.mapping_count -= 1;
        }
        self.leave(subscriber, now);
    }

    /// Forgets a subscriber that has nothing left.
    pub(super) fn leave(&mut self, subscriber: u32, now: u32) {
        if let Some(mut gone) = self.subscribers.leave_if_idle(subscriber) {
            self.allocator.unpair(&mut gone, &mut self.journal, now);
        }
    }
}
