//! What a worker counts. It alone writes; other threads read at any time.
//!
//! A counter is a field, and a row of the table below its struct: metrics, and whatever lists all counters of a kind,
//! are loops over the tables. What `clear` clears it takes from the struct: `clear ip nat statistics` all of
//! [`NatCounters`], `clear counters` all of [`InterfaceCounters`], the `clear` of an ALG all of its [`GatewayCounters`].

mod gateway;
mod level;
mod metric;

use alg::registry::ROWS;
use arrayvec::ArrayVec;

use crate::drops::DropReason;
use crate::flow::{INTERFACE_COUNT_MAX, InterfaceIndex};
use crate::lives::{EndReason, Lives};

pub use gateway::{GATEWAY_METRICS, GatewayCounters, STREAM};
pub use level::{Level, Levels, TABLES};
pub use metric::{Count, Kind, Metric, Values};

use metric::{by, counter, gauge, gauges};

/// Packets and bytes of one interface. Bytes are those of frames, without padding and check sequence.
// A line of the cache each: what one interface counts costs no other's line.
#[derive(Clone, Default, Debug)]
#[repr(align(64))]
pub struct InterfaceCounters {
    /// Packets received.
    pub in_packets: Count,
    /// Bytes received.
    pub in_bytes: Count,
    /// Packets sent.
    pub out_packets: Count,
    /// Bytes sent.
    pub out_bytes: Count,
    /// Packets dropped as their source failed the interface's check.
    pub source_unverified: Count,
    /// Packets whose source failed, and that the check's access list let pass.
    pub source_excused: Count,
    /// Frames received that were to all.
    pub in_broadcasts: Count,
    /// Frames received that were to a group.
    pub in_multicasts: Count,
    /// Frames received that carry another protocol than IPv4 and ARP.
    pub in_unknown: Count,
}

/// What is told of each interface, all workers together.
pub const INTERFACE_METRICS: &[Metric<InterfaceCounters>] = &[
    by("interface_packets_total", "Packets by interface", "direction", |c| {
        vec![("in", c.in_packets.value()), ("out", c.out_packets.value())]
    }),
    by("interface_bytes_total", "Bytes by interface", "direction", |c| {
        vec![("in", c.in_bytes.value()), ("out", c.out_bytes.value())]
    }),
    by(
        "interface_unverified_packets_total",
        "Packets whose source failed the interface's check",
        "fate",
        |c| vec![("dropped", c.source_unverified.value()), ("passed", c.source_excused.value())],
    ),
    by("interface_group_frames_total", "Frames received that were to all, or to a group", "to", |c| {
        vec![("all", c.in_broadcasts.value()), ("group", c.in_multicasts.value())]
    }),
    counter(
        "interface_unknown_frames_total",
        "Frames received that carry another protocol than IPv4 and ARP",
        |c| c.in_unknown.value(),
    ),
];

/// The fates of packets. Invariant between bursts: `received + taken_over + generated` =
/// `sent + consumed + dropped + handed_over + held`.
#[derive(Default, Debug)]
pub struct FateCounters {
    /// Frames taken from ports.
    pub received: Count,
    /// Packets another worker handed over.
    pub taken_over: Count,
    /// Packets Portico made itself: ICMP, ARP.
    pub generated: Count,
    /// Packets a device took.
    pub sent: Count,
    /// Packets that were for the box itself.
    pub consumed: Count,
    /// Packets dropped, whatever the reason.
    pub dropped: Count,
    /// Packets handed to another worker.
    pub handed_over: Count,
    /// Packets that wait for a next hop now.
    pub held: Count,
}

/// Fates of packets as a step notes them, until the path counts them.
#[derive(Default, Debug)]
pub struct Tally {
    /// Packets Portico made itself.
    pub generated: u64,
    /// Packets that were for the box itself, or that others went on for.
    pub consumed: u64,
    /// Packets that a device took.
    pub sent: u64,
    dropped: ArrayVec<(DropReason, u64), { DropReason::ALL.len() }>,
}

impl Tally {
    /// Notes packets that are dropped.
    pub fn drop(&mut self, reason: DropReason, count: usize) {
        let count = count as u64;
        match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, noted)) => *noted += count,
            None => self.dropped.push((reason, count)),
        }
    }
}

/// Why packets were handed to other workers; together they are [`FateCounters::handed_over`].
#[derive(Default, Debug)]
pub struct HandoverCounters {
    /// Their inside host belongs to another worker.
    pub inside: Count,
    /// Their global endpoint belongs to another worker.
    pub outside: Count,
    /// Fragments, on their way to the others of their packet or from there to their owner.
    pub fragments: Count,
    /// They take the path a second time, at the owner of a global address.
    pub hairpinned: Count,
}

/// How many of a kind began and ended. Set between bursts, with the levels. A packet that is refused begins nothing.
#[derive(Clone, Default, Debug)]
pub struct LifeCounters {
    /// Begun.
    pub begun: Count,
    /// Ended, by [`EndReason`].
    pub ended: [Count; EndReason::ALL.len()],
}

impl LifeCounters {
    pub(crate) fn set(&self, lives: &Lives) {
        self.begun.set(lives.begun);
        self.ended.iter().zip(lives.ended).for_each(|(count, ended)| count.set(ended));
    }

    /// Ended, whatever the reason.
    pub fn ended(&self) -> u64 {
        self.ended.iter().map(Count::value).sum()
    }

    /// Ended, by the label of the reason.
    pub fn ended_by_reason(&self) -> Vec<(&'static str, u64)> {
        EndReason::ALL
            .iter()
            .zip(&self.ended)
            .map(|(reason, count)| (reason.label(), count.value()))
            .collect()
    }
}

/// What the NAT did.
#[derive(Clone, Default, Debug)]
pub struct NatCounters {
    /// Packets that found a session.
    pub hits: Count,
    /// Packets between inside and outside that found none.
    pub misses: Count,
    /// Sessions that began and ended: the rest is [`NatCounters::sessions`].
    pub session_lives: LifeCounters,
    /// Ports and whole addresses that hosts got and gave up.
    pub binding_lives: LifeCounters,
    /// Port sets that were taken and returned: the rest is [`NatCounters::port_sets`].
    pub port_set_lives: LifeCounters,
    /// Sessions now.
    pub sessions: Count,
    /// Of those, sessions that the inside began and nobody answered.
    pub unconfirmed_inside: Count,
    /// Likewise, that the outside began.
    pub unconfirmed_outside: Count,
    /// The most sessions there ever were at once.
    pub sessions_peak: Count,
    /// Whole addresses that are mapped now, of inside and outside hosts.
    pub addresses: Count,
    /// The most sessions and whole addresses that there ever were at once.
    pub translations_peak: Count,
    /// Mappings now.
    pub mappings: Count,
    /// Port sets of subscribers now.
    pub port_sets: Count,
}

impl NatCounters {
    /// Sessions that ended for want of packets, after a connection's end or without one.
    pub fn expired(&self) -> u64 {
        [EndReason::Idle, EndReason::Closed]
            .map(|reason| self.session_lives.ended[reason as usize].value())
            .iter()
            .sum()
    }
}

/// What the poll loop around a worker does. The caller of [`crate::worker::Worker::round`] sets these.
#[derive(Default, Debug)]
pub struct LoopCounters {
    /// Rounds finished: a number that stands still tells that the worker does.
    pub rounds: Count,
    /// Rounds that had packets.
    pub busy_rounds: Count,
    /// Packets of those rounds.
    pub packets: Count,
    /// Time spent in rounds that had packets, in nanoseconds.
    pub busy_ns: Count,
    /// Time since the loop started, in nanoseconds.
    pub elapsed_ns: Count,
}

/// A stage of [`crate::path`], as far as it is timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The port's driver takes frames from its queue.
    Receive,
    /// Headers are read.
    Read,
    /// The session index is asked.
    Probe,
    /// The fast path and the full path, up to the queue of the port of departure.
    Forward,
    /// The port's driver sends the queue.
    Transmit,
}

impl Stage {
    /// All stages, in the order of the path.
    pub const ALL: [Stage; 5] = [Stage::Receive, Stage::Read, Stage::Probe, Stage::Forward, Stage::Transmit];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Stage::Receive => "receive",
            Stage::Read => "read",
            Stage::Probe => "probe",
            Stage::Forward => "forward",
            Stage::Transmit => "transmit",
        }
    }
}

/// What the stages of the path cost, of the bursts that were timed.
#[derive(Default, Debug)]
pub struct StageCounters {
    /// Packets of these bursts.
    pub packets: Count,
    /// Ticks of the time stamp counter, by [`Stage`].
    pub ticks: [Count; Stage::ALL.len()],
}

/// All counters of one worker.
#[derive(Debug)]
pub struct Counters {
    /// The poll loop.
    pub poll: LoopCounters,
    /// The stages of the path.
    pub stages: StageCounters,
    /// Fates.
    pub fates: FateCounters,
    /// Hand-overs.
    pub handovers: HandoverCounters,
    /// NAT.
    pub nat: NatCounters,
    /// Gateways, as in [`alg::registry::ROWS`].
    pub gateways: [GatewayCounters; ROWS.len()],
    /// Doors open now.
    pub doors: Count,
    /// ICMP errors that were due and not sent, as there were too many at once.
    pub icmp_errors_withheld: Count,
    /// How full the tables are that all share.
    pub levels: Levels,
    drops: [Count; DropReason::ALL.len()],
    interfaces: Box<[InterfaceCounters]>,
    acl_matches: Box<[Count]>,
    limit_misses: Box<[Count]>,
}

/// The most access-list entries that are counted; those beyond share the last count.
pub const ACL_COUNTER_MAX: usize = 16_384;
/// The most limits whose refusals are counted; those beyond share the last count.
pub const LIMIT_COUNTER_MAX: usize = 1024;

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            poll: LoopCounters::default(),
            stages: StageCounters::default(),
            fates: FateCounters::default(),
            handovers: HandoverCounters::default(),
            nat: NatCounters::default(),
            gateways: std::array::from_fn(|gateway| GatewayCounters::of(&ROWS[gateway])),
            doors: Count::default(),
            icmp_errors_withheld: Count::default(),
            levels: Levels::default(),
            drops: std::array::from_fn(|_| Count::default()),
            interfaces: (0..INTERFACE_COUNT_MAX).map(|_| InterfaceCounters::default()).collect(),
            acl_matches: (0..ACL_COUNTER_MAX).map(|_| Count::default()).collect(),
            limit_misses: (0..LIMIT_COUNTER_MAX).map(|_| Count::default()).collect(),
        }
    }
}

/// What is told of each worker.
#[rustfmt::skip]
pub const WORKER_METRICS: &[Metric<Counters>] = &[
    counter("worker_received_packets_total", "Frames taken from ports", |c| c.fates.received.value()),
    counter("worker_taken_over_packets_total", "Packets other workers handed over", |c| c.fates.taken_over.value()),
    counter("worker_generated_packets_total", "Packets that Portico made itself", |c| c.fates.generated.value()),
    counter("worker_sent_packets_total", "Packets that devices took", |c| c.fates.sent.value()),
    counter("worker_consumed_packets_total", "Packets for the box itself", |c| c.fates.consumed.value()),
    counter("worker_dropped_packets_total", "Packets dropped", |c| c.fates.dropped.value()),
    counter("worker_handed_over_packets_total", "Packets handed to other workers", |c| c.fates.handed_over.value()),
    counter("worker_handed_over_inside_packets_total", "Of those, packets from inside hosts of other workers", |c| c.handovers.inside.value()),
    counter("worker_handed_over_outside_packets_total", "Of those, packets to global endpoints of other workers", |c| c.handovers.outside.value()),
    counter("worker_handed_over_fragments_total", "Of those, fragments", |c| c.handovers.fragments.value()),
    counter("worker_handed_over_turned_packets_total", "Of those, packets from inside to a global address", |c| c.handovers.hairpinned.value()),
    counter("worker_icmp_errors_withheld_total", "ICMP errors that were due and not sent, as there were too many", |c| c.icmp_errors_withheld.value()),
    counter("worker_rounds_total", "Rounds of the poll loop", |c| c.poll.rounds.value()),
    counter("worker_busy_rounds_total", "Rounds of the poll loop that had packets", |c| c.poll.busy_rounds.value()),
    counter("worker_timed_packets_total", "Packets of the bursts whose stages were timed", |c| c.stages.packets.value()),
    counter("nat_hits_total", "Packets that found a session", |c| c.nat.hits.value()),
    counter("nat_misses_total", "Packets on NAT interfaces that found no session", |c| c.nat.misses.value()),
    counter("nat_sessions_created_total", "Sessions made", |c| c.nat.session_lives.begun.value()),
    counter("nat_port_sets_taken_total", "Port sets that subscribers took", |c| c.nat.port_set_lives.begun.value()),
    counter("nat_port_sets_returned_total", "Port sets that subscribers returned", |c| c.nat.port_set_lives.ended()),
    counter("nat_sessions_expired_total", "Sessions that ended by idle time", |c| c.nat.expired()),
    gauge("worker_held_packets", "Packets that wait for a next hop", |c| c.fates.held.value()),
    gauges("worker_table_entries", "Places taken now of the tables that all share", "table", |c| c.levels.iter().map(|(table, taken, _)| (table, taken)).collect()),
    gauges("worker_table_capacity", "Places of the tables that all share", "table", |c| c.levels.iter().map(|(table, _, all)| (table, all)).collect()),
    gauge("nat_sessions", "Sessions now", |c| c.nat.sessions.value()),
    gauge("nat_sessions_peak", "The most sessions at once", |c| c.nat.sessions_peak.value()),
    gauge("nat_addresses", "Whole addresses mapped now, of inside and outside hosts", |c| c.nat.addresses.value()),
    gauge("nat_translations_peak", "The most sessions and whole addresses at once", |c| c.nat.translations_peak.value()),
    gauge("nat_sessions_unconfirmed_inside", "Sessions now that the inside began and nobody answered", |c| c.nat.unconfirmed_inside.value()),
    gauge("nat_sessions_unconfirmed_outside", "Sessions now that the outside began and nobody answered", |c| c.nat.unconfirmed_outside.value()),
    gauge("nat_mappings", "Mappings now", |c| c.nat.mappings.value()),
    gauge("nat_port_sets", "Port sets of subscribers now", |c| c.nat.port_sets.value()),
    gauge("nat_doors", "Doors open now", |c| c.doors.value()),
    by("worker_stage_ticks_total", "Ticks of the time stamp counter that a stage of the path took for these packets", "stage",
        |c| Stage::ALL.iter().zip(&c.stages.ticks).map(|(stage, ticks)| (stage.label(), ticks.value())).collect()),
    by("nat_sessions_ended_total", "Sessions that ended, by reason", "reason", |c| c.nat.session_lives.ended_by_reason()),
];

impl Counters {
    /// Packets dropped for one reason.
    pub fn drops(&self, reason: DropReason) -> &Count {
        &self.drops[reason as usize]
    }

    /// Counts what a step noted, which is forgotten then.
    #[inline]
    pub(crate) fn count(&self, tally: &mut Tally) {
        self.fates.sent.add(std::mem::take(&mut tally.sent));
        if tally.generated | tally.consumed | tally.dropped.len() as u64 != 0 {
            self.count_rest(tally);
        }
    }

    #[cold]
    fn count_rest(&self, tally: &mut Tally) {
        self.fates.generated.add(std::mem::take(&mut tally.generated));
        self.fates.consumed.add(std::mem::take(&mut tally.consumed));
        for (reason, count) in tally.dropped.drain(..) {
            self.drops(reason).add(count);
            self.fates.dropped.add(count);
        }
    }

    /// Counts one packet dropped.
    #[cold]
    pub(crate) fn dropped(&self, reason: DropReason) {
        self.drops(reason).add(1);
        self.fates.dropped.add(1);
    }

    /// Packets that an access-list entry decided about, by the entry's counter number.
    #[inline]
    pub fn acl_match(&self, counter: u32) -> &Count {
        &self.acl_matches[(counter as usize).min(ACL_COUNTER_MAX - 1)]
    }

    /// Sessions that a limit refused, by the limit's counter number.
    pub fn limit_missed(&self, counter: u32) -> &Count {
        &self.limit_misses[(counter as usize).min(LIMIT_COUNTER_MAX - 1)]
    }

    /// Sessions that limits refused, by the numbers of their counters.
    pub fn limit_misses(&self) -> &[Count] {
        &self.limit_misses
    }

    /// The counters of one interface.
    #[inline]
    pub fn interface(&self, index: InterfaceIndex) -> &InterfaceCounters {
        &self.interfaces[usize::from(index) % INTERFACE_COUNT_MAX]
    }

    /// The same, to be replaced.
    pub fn interface_mut(&mut self, index: InterfaceIndex) -> &mut InterfaceCounters {
        &mut self.interfaces[usize::from(index) % INTERFACE_COUNT_MAX]
    }
}
