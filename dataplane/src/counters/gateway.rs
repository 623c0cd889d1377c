//! What a worker counts of each gateway.

use alg::registry::KIND_COUNT_MAX;
use alg::{Refusal, Row};

use super::metric::{Count, Kind, Metric, Values, by};

/// What one gateway did.
#[derive(Clone, Debug)]
pub struct GatewayCounters {
    /// Control sessions it was attached to.
    pub attached: Count,
    /// Control sessions it reads now.
    pub reading: Count,
    /// Messages it read.
    pub messages: Count,
    /// Of those, messages it changed.
    pub edited: Count,
    /// Messages it refused, which passed as they came, by [`Refusal`].
    pub refused: [Count; Refusal::ALL.len()],
    /// Control sessions it let go of, for what a peer did, by [`Refusal`].
    pub detached: [Count; Refusal::ALL.len()],
    /// Control sessions it let go of, for want of memory or because the stream could not be followed.
    pub detached_stream: Count,
    /// Control sessions that had no room to be read.
    pub unread: Count,
    /// Datagrams in fragments that had no room to be put together, and passed unread.
    pub unread_datagrams: Count,
    /// Doors it opened.
    pub doors_opened: Count,
    /// Sessions that went through its doors.
    pub doors_used: Count,
    /// Doors that nobody went through in time.
    pub doors_expired: Count,
    /// Calls and registrations that it remembers now.
    pub calls: Count,
    /// Messages by kind, as in [`Row::kinds`].
    pub kinds: [Count; KIND_COUNT_MAX],
    names: &'static [&'static str],
}

impl GatewayCounters {
    /// Those of a gateway that did nothing yet.
    pub fn of(row: &Row) -> GatewayCounters {
        let count = Count::default;
        GatewayCounters {
            attached: count(),
            reading: count(),
            messages: count(),
            edited: count(),
            refused: Default::default(),
            detached: Default::default(),
            detached_stream: count(),
            unread: count(),
            unread_datagrams: count(),
            doors_opened: count(),
            doors_used: count(),
            doors_expired: count(),
            calls: count(),
            kinds: std::array::from_fn(|_| count()),
            names: row.kinds,
        }
    }

    fn by_kind(&self) -> Vec<(&'static str, u64)> {
        self.names.iter().zip(&self.kinds).map(|(name, count)| (*name, count.value())).collect()
    }

    /// Messages that broke the protocol's rules or Portico's: refused ones, and sessions that were let go of.
    pub fn errors(&self) -> u64 {
        let refusals = Refusal::ALL.iter().zip(&self.refused);
        let refused: u64 =
            refusals.filter(|(refusal, _)| !refusal.detaches()).map(|(_, count)| count.value()).sum();
        refused + self.detached.iter().map(Count::value).sum::<u64>()
    }

    /// Messages that were sound and needed no change.
    pub fn unchanged(&self) -> u64 {
        let refused: u64 = self.refused.iter().map(Count::value).sum();
        // Counters are read while the worker counts.
        self.messages.value().saturating_sub(self.edited.value() + refused)
    }

    fn refused_by_reason(&self) -> Vec<(&'static str, u64)> {
        let reasons = Refusal::ALL.iter().zip(&self.refused);
        reasons.map(|(reason, count)| (reason.label(), count.value())).collect()
    }

    fn detached_by_reason(&self) -> Vec<(&'static str, u64)> {
        let reasons = Refusal::ALL.iter().zip(&self.detached).filter(|(reason, _)| reason.detaches());
        let of_stream = (STREAM, self.detached_stream.value());
        reasons.map(|(reason, count)| (reason.label(), count.value())).chain([of_stream]).collect()
    }
}

/// The reason of sessions that were let go of for want of memory, or because their stream could not be followed.
pub const STREAM: &str = "stream";

type Value = fn(&GatewayCounters) -> u64;
type ByLabel = fn(&GatewayCounters) -> Vec<(&'static str, u64)>;

const fn row(
    kind: Kind,
    name: &'static str,
    help: &'static str,
    title: &'static str,
    value: Value,
) -> Metric<GatewayCounters> {
    Metric { name, help, title, kind, values: Values::One(value) }
}

const fn by_reason(
    name: &'static str,
    help: &'static str,
    title: &'static str,
    values: ByLabel,
) -> Metric<GatewayCounters> {
    Metric { name, help, title, kind: Kind::Counter, values: Values::By("reason", values) }
}

/// What is told of each gateway, all workers together. The titles are those of
/// `show platform hardware qfp active feature alg statistics ALG`.
#[rustfmt::skip]
pub const GATEWAY_METRICS: &[Metric<GatewayCounters>] = &[
    row(Kind::Counter, "alg_sessions_total", "Control sessions that the ALG was attached to",
        "Control sessions attached", |c| c.attached.value()),
    row(Kind::Counter, "alg_unread_sessions_total", "Control sessions that had no room to be read",
        "Control sessions without room to be read", |c| c.unread.value()),
    row(Kind::Counter, "alg_unread_datagrams_total", "Datagrams in fragments that passed unread, as they were too many",
        "Datagrams in too many fragments to be read", |c| c.unread_datagrams.value()),
    row(Kind::Counter, "alg_messages_total", "Messages that the ALG read", "Messages read", |c| c.messages.value()),
    row(Kind::Counter, "alg_edited_messages_total", "Messages that the ALG changed",
        "Messages changed", |c| c.edited.value()),
    row(Kind::Counter, "alg_doors_opened_total", "Doors that the ALG opened", "Doors opened", |c| c.doors_opened.value()),
    row(Kind::Counter, "alg_doors_used_total", "Sessions that went through doors", "Doors used", |c| c.doors_used.value()),
    row(Kind::Counter, "alg_doors_expired_total", "Doors that nobody went through in time",
        "Doors closed unused", |c| c.doors_expired.value()),
    row(Kind::Gauge, "alg_sessions", "Control sessions that the ALG reads now",
        "Control sessions read now", |c| c.reading.value()),
    row(Kind::Gauge, "alg_calls", "Calls and registrations that the ALG remembers now",
        "Calls and registrations now", |c| c.calls.value()),
    by_reason("alg_refused_messages_total", "Messages that the ALG refused, which passed unchanged",
        "Messages refused, which passed unchanged", GatewayCounters::refused_by_reason),
    by_reason("alg_detached_sessions_total", "Control sessions that the ALG let go of for good",
        "Control sessions let go of, for good", GatewayCounters::detached_by_reason),
    by("alg_messages_by_kind_total", "Messages that the ALG read, by method or code, and by what they brought about", "kind",
        GatewayCounters::by_kind),
];
