//! Leases: global ports and addresses that were taken and that nothing owns yet.
//!
//! Whoever takes one owns a value, which a session or a door takes in turn, or which is given back. One that is dropped
//! instead is not lost either: the lender remembers the one that is out, and gets it back before the next is taken.

use crate::flow::Endpoint;
use crate::state::mapping::Binding;

/// A global port, a pair of ports or a whole address that was taken for an endpoint, and that nothing owns yet.
#[must_use = "what is not given back costs the pool a port until the next one is taken"]
#[derive(Debug)]
pub struct Lease(Taken);

/// What a lease is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub fn bindings(self) -> impl Iterator<Item = Binding> {
        let Taken { binding, count, .. } = self;
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
        self.0.binding.seen
    }

    /// Whether it is of a whole address.
    pub fn is_address(&self) -> bool {
        self.0.binding.is_address()
    }

    pub(in crate::state) fn taken(&self) -> &Taken {
        &self.0
    }
}

/// Who lends. No packet and no message needs two leases at once, so there is one at most.
#[derive(Default)]
pub(in crate::state) struct Lender {
    out: Option<Taken>,
}

impl Lender {
    /// Lends what was just taken. What was out before must have been reclaimed.
    pub fn lend(&mut self, taken: Taken) -> Lease {
        debug_assert!(self.out.is_none(), "two leases at once");
        self.out = Some(taken);
        Lease(taken)
    }

    /// Whether a lease still stands: one that is kept while another is taken does not.
    pub fn is_out(&self, lease: &Lease) -> bool {
        self.out.as_ref() == Some(&lease.0)
    }

    /// Ends a lease: whoever hands it in owns what it was of, unless it no longer stands.
    pub fn settle(&mut self, lease: Lease) -> Option<Taken> {
        self.out.take_if(|out| *out == lease.0)
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
