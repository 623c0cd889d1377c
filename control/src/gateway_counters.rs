//! What ALGs count, a row for each counter: metrics, `show` and its `clear` are loops over them.

use std::sync::Arc;

use alg::Refusal;
use dataplane::counters::{Count, Counters, GatewayCounters};
use dataplane::policy::GatewayIndex;

/// A counter that each ALG has.
pub struct GatewayCounter {
    /// The metric's name.
    pub metric: &'static str,
    /// What it counts, for the metric's HELP.
    pub help: &'static str,
    /// Its line's title in `show platform hardware qfp active feature alg statistics ALG`.
    pub title: &'static str,
    /// The counter of a worker.
    pub count: fn(&GatewayCounters) -> &Count,
}

const fn row(
    metric: &'static str,
    help: &'static str,
    title: &'static str,
    count: fn(&GatewayCounters) -> &Count,
) -> GatewayCounter {
    GatewayCounter { metric, help, title, count }
}

/// All of them, but for those that are counted by reason.
#[rustfmt::skip]
pub const GATEWAY_COUNTERS: &[GatewayCounter] = &[
    row("portico_alg_sessions_total", "Control sessions that the ALG was attached to",
        "Control sessions attached", |c| &c.attached),
    row("portico_alg_unread_sessions_total", "Control sessions that had no room to be read",
        "Control sessions without room to be read", |c| &c.unread),
    row("portico_alg_messages_total", "Messages that the ALG read", "Messages read", |c| &c.messages),
    row("portico_alg_edited_messages_total", "Messages that the ALG changed", "Messages changed", |c| &c.edited),
    row("portico_alg_doors_opened_total", "Doors that the ALG opened", "Doors opened", |c| &c.doors_opened),
    row("portico_alg_doors_used_total", "Doors that were gone through", "Doors used", |c| &c.doors_used),
    row("portico_alg_doors_expired_total", "Doors that nobody went through in time",
        "Doors closed unused", |c| &c.doors_expired),
];

/// What all workers counted of one ALG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayTotals {
    /// By row of [`GATEWAY_COUNTERS`].
    pub counts: [u64; GATEWAY_COUNTERS.len()],
    /// Messages it read.
    pub messages: u64,
    /// Of those, messages it changed.
    pub edited: u64,
    /// Messages it refused, by [`Refusal`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Control sessions it let go of for what a peer did, by [`Refusal`].
    pub detached: [u64; Refusal::ALL.len()],
    /// Control sessions whose stream could not be followed.
    pub detached_stream: u64,
}

impl GatewayTotals {
    /// What was counted since the start.
    pub fn of(workers: &[Arc<Counters>], gateway: GatewayIndex) -> GatewayTotals {
        let total = |of: &dyn Fn(&GatewayCounters) -> &Count| -> u64 {
            workers.iter().map(|counters| of(&counters.gateways[usize::from(gateway)]).value()).sum()
        };
        GatewayTotals {
            counts: std::array::from_fn(|at| total(&GATEWAY_COUNTERS[at].count)),
            messages: total(&|c| &c.messages),
            edited: total(&|c| &c.edited),
            refused: std::array::from_fn(|at| total(&|c| &c.refused[at])),
            detached: std::array::from_fn(|at| total(&|c| &c.detached[at])),
            detached_stream: total(&|c| &c.detached_stream),
        }
    }

    /// What was counted since these totals.
    pub fn since(&self, base: &GatewayTotals) -> GatewayTotals {
        GatewayTotals {
            counts: std::array::from_fn(|at| self.counts[at] - base.counts[at]),
            messages: self.messages - base.messages,
            edited: self.edited - base.edited,
            refused: std::array::from_fn(|at| self.refused[at] - base.refused[at]),
            detached: std::array::from_fn(|at| self.detached[at] - base.detached[at]),
            detached_stream: self.detached_stream - base.detached_stream,
        }
    }

    /// Messages that broke the protocol's rules or Portico's: refused ones, and sessions that were let go of.
    pub fn errors(&self) -> u64 {
        let refusals = Refusal::ALL.iter().zip(self.refused);
        let refused: u64 = refusals.filter(|(refusal, _)| !refusal.detaches()).map(|(_, count)| count).sum();
        refused + self.detached.iter().sum::<u64>()
    }

    /// Messages that were sound and needed no change.
    pub fn unchanged(&self) -> u64 {
        // Counters are read while workers count.
        self.messages.saturating_sub(self.edited + self.refused.iter().sum::<u64>())
    }
}
