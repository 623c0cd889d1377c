//! What one phase of the load generator found, as it tells other programs: a JSON line each.

use serde::{Deserialize, Serialize};

use crate::preemption::Preemption;

/// One phase of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// `set-up`, `out`, `in`, or `both`.
    pub phase: String,
    /// Flows at a time.
    pub flows: u32,
    /// What the packets were.
    pub protocol: String,
    /// Frame size in bytes with the frame check sequence, or `imix`.
    pub size: String,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Millions of packets a second that the appliance took; of new flows, in `set-up`.
    pub offered: f64,
    /// Millions of packets a second that came back; of established flows, in `set-up`.
    pub forwarded: f64,
    /// Packets that never came back; first packets that were sent again, in `set-up`.
    pub lost: u64,
    /// Packets that came back wrong, in all phases so far.
    pub wrong: u64,
    /// Packets that were not the generator's, in all phases so far.
    pub foreign: u64,
    /// Ticks of the worker's core for each packet that came back, receiving and sending included: what a saturated
    /// worker needs.
    pub ticks: f64,
    /// The share of attempts to send at which the appliance did not take all: about zero says that the generator
    /// was the limit, and not the worker.
    pub pushed_back: f64,
    /// New flows a second by churn.
    pub churned: f64,
    /// What kept the worker from its core.
    pub worker: Preemption,
    /// What kept the generator from its core.
    pub own: Preemption,
}

impl Measurement {
    /// A sentence for people.
    pub fn describe(&self) -> String {
        let what = if self.phase == "set-up" { "M sessions/s" } else { "Mpps" };
        format!(
            "{:<7} {:>9} flows {:>8.3} {what} of {:.3} offered, lost {}, wrong {}, foreign {}, {:.0} ticks each, \
             pushed back {:.0} %, kept from its core: worker {:.1} %, generator {:.1} %",
            self.phase,
            self.flows,
            self.forwarded,
            self.offered,
            self.lost,
            self.wrong,
            self.foreign,
            self.ticks,
            self.pushed_back * 100.0,
            self.worker.total() * 100.0,
            self.own.total() * 100.0,
        )
    }
}
