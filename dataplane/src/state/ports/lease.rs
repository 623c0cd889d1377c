//! Leases: global ports and addresses that were taken and that nothing owns yet.
//!
//! Whoever takes one owns a value, which a session or a door takes in turn, or which is given back. One that is dropped
//! instead is not lost either: the lender remembers the one that is out, and gets it back before the next is taken.

use crate::flow::Endpoint;
use crate::state::destinations::Counter;
use crate::state::mapping::Binding;

/// A global port, a pair of ports or a whole address that was taken for an endpoint, and that nothing owns yet.
#[must_use = "what is not given back costs the pool a port until the next one is taken"]
#[derive(Debug)]
pub struct Lease {
    number: u32,
    subscriber: u32,
    admitted: Option<Counter>,
    end: Endpoint,
    is_address: bool,
}

/// What a lease is of.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) struct Taken {
    /// The endpoint it was taken for, and the one it gets.
    pub binding: Binding,
    /// The endpoint's subscriber; `NONE` for an outside host.
    pub subscriber: u32,
    /// Ports, from that of the binding on: two are a pair.
    pub count: u16,
}

impl Taken {
    /// The binding of each of its ports.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> + use<> {
        let Taken { binding, count, .. } = *self;
        (0..count).map(move |k| Binding {
            own: binding.own.behind(k),
            seen: binding.seen.behind(k),
            ..binding
        })
    }
}

impl Lease {
    /// What it gives: a global endpoint, or an address with port 0; for an outside host its outside local address.
    pub fn end(&self) -> Endpoint {
        self.end
    }

    /// Whether it is of a whole address.
    pub fn is_address(&self) -> bool {
        self.is_address
    }

    /// What counts the flow that it was taken for, if that was asked already whether it may begin.
    pub(in crate::state) fn admitted(&self) -> Option<Counter> {
        self.admitted
    }

    /// The subscriber that it was taken for.
    pub(in crate::state) fn subscriber(&self) -> u32 {
        self.subscriber
    }
}

/// Who lends. No packet and no message needs two leases at once, so there is one at most.
#[derive(Default)]
pub(in crate::state) struct Lender {
    out: Option<Taken>,
    /// The number of the lease that was given last.
    number: u32,
}

impl Lender {
    /// Lends what was just taken, for a flow that is `admitted` and counted there. What was out before must have been
    /// reclaimed.
    pub fn lend(&mut self, taken: Taken, admitted: Option<Counter>) -> Lease {
        debug_assert!(self.out.is_none(), "two leases at once");
        self.out = Some(taken);
        self.number = self.number.wrapping_add(1);
        let Taken { binding, subscriber, .. } = taken;
        let (end, is_address) = (binding.seen, binding.is_address());
        Lease { number: self.number, subscriber, admitted, end, is_address }
    }

    /// Whether a lease still stands: one that is kept while another is taken does not.
    pub fn is_out(&self, lease: &Lease) -> bool {
        self.out.is_some() && self.number == lease.number
    }

    /// What a lease is of, while it stands.
    pub fn taken(&self, lease: &Lease) -> Option<&Taken> {
        self.out.as_ref().filter(|_| self.number == lease.number)
    }

    /// Ends a lease: whoever hands it in owns what it was of, unless it no longer stands.
    pub fn settle(&mut self, lease: Lease) -> Option<Taken> {
        if self.is_out(&lease) { self.out.take() } else { None }
    }

    /// What was lent and neither settled nor given back, since its lease was dropped.
    pub fn reclaim(&mut self) -> Option<Taken> {
        self.out.take()
    }

    /// Ports and whole addresses that are out.
    pub fn out_count(&self) -> usize {
        self.out.map_or(0, |taken| usize::from(taken.count))
    }
}
