//! A policy whose settings compute otherwise than those before: what is there that they would not make.
//!
//! Sessions outlive a reload as long as their rule does. These are the exception: while they lived, a host would have ports
//! that the settings say another one has, and who is asked for the owner of a port would name the wrong one.

use alg::Ports;

use crate::flow::{Endpoint, ICMP, Protocol, TCP, UDP, Vrf};
use crate::policy::{Mode, Policy, Recomputed, RuleId};
use crate::state::door::Door;
use crate::state::ports::request::Source;
use crate::state::session::{Flags, Session};
use crate::state::shard::Shard;

impl Shard {
    /// Whether a policy would make a session, as far as it computes otherwise than before.
    pub(super) fn would_make(&self, policy: &Policy, recomputed: Recomputed, session: &Session) -> bool {
        let is_shared = session.flags.has(Flags::PORT);
        let host = (session.inside_vrf(), session.inside_local());
        (!recomputed.peers || serves_the_same(policy, session))
            && (!(recomputed.ports && is_shared)
                || self.would_give(policy, session.rule, session.protocol, host, session.inside_global()))
    }

    /// Whether a policy would open a door with the global port that it has.
    pub(super) fn would_open(&self, policy: &Policy, recomputed: Recomputed, door: &Door) -> bool {
        let host = (door.vrfs.0, door.inside);
        let has_port = door.global.port != 0;
        !(recomputed.ports && has_port)
            || self.would_give(policy, door.rule, door.protocol, host, door.global)
    }

    fn would_give(
        &self,
        policy: &Policy,
        rule: RuleId,
        protocol: Protocol,
        (vrf, local): (Vrf, Endpoint),
        global: Endpoint,
    ) -> bool {
        let has_ports = matches!(protocol, TCP | UDP | ICMP);
        let rule = policy.rule(rule).filter(|_| has_ports);
        let subscriber =
            self.subscribers.find(vrf, local.addr).and_then(|number| self.subscribers.at(number));
        let Some((rule, subscriber)) = rule.zip(subscriber) else { return true };
        let source = Source { protocol, vrf, local, to: None, ports: Ports::One };
        self.allocator.may_have(policy, rule, source, subscriber, global)
    }
}

/// Whether a session would serve one peer, or all of them, as it does.
fn serves_the_same(policy: &Policy, session: &Session) -> bool {
    let (inside, outside) = (session.inside_local().port, session.outside_local().port);
    match session.flags.has(Flags::ANY_PEER) {
        true => policy.behaviour.mode == Mode::Cgn,
        false => !policy.serves_any_peer(session.protocol, inside, outside),
    }
}
