//! Beginnings and ends, counted: what began and did not end is alive.

/// Why a session, a binding or a port set ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EndReason {
    /// No packet refreshed it for its idle time; nothing used the port set any more.
    Idle,
    /// The end of its TCP connection was seen, or the gateway that opened its door closed it.
    Closed,
    /// `clear ip nat translation`.
    Cleared,
    /// The policy has no rule for it any more.
    PolicyGone,
    /// The other side had not confirmed it, and there was no room left for another one.
    GaveWay,
}

impl EndReason {
    /// Every reason, in the order of its counters.
    pub const ALL: [EndReason; 5] =
        [EndReason::Idle, EndReason::Closed, EndReason::Cleared, EndReason::PolicyGone, EndReason::GaveWay];

    /// Its name in metrics and records.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::Idle => "idle",
            EndReason::Closed => "closed",
            EndReason::Cleared => "cleared",
            EndReason::PolicyGone => "policy-gone",
            EndReason::GaveWay => "gave-way",
        }
    }
}

/// How many of a kind began, and how many ended, by reason. The rest is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Begun since the start.
    pub begun: u64,
    /// Ended since the start, by [`EndReason`].
    pub ended: [u64; EndReason::ALL.len()],
}

impl Lives {
    /// Those that began and did not end.
    pub fn live(&self) -> u64 {
        self.begun - self.ended.iter().sum::<u64>()
    }

    /// Counts one that begins, or that ended for a reason.
    pub fn count(&mut self, ended: Option<EndReason>) {
        match ended {
            None => self.begun += 1,
            Some(reason) => self.ended[reason as usize] += 1,
        }
    }
}
