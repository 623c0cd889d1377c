//! What began and what ended, and why.

/// Why a session, or what it was beneath, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// No packet refreshed it for its idle time.
    Idle,
    /// The end of its TCP connection was seen, or the gateway that opened its door closed it.
    Closed,
    /// `clear ip nat translation`.
    Cleared,
    /// The policy has no rule for it any more.
    PolicyGone,
}

impl EndReason {
    /// Every reason, in the order of its counters.
    pub const ALL: [EndReason; 4] =
        [EndReason::Idle, EndReason::Closed, EndReason::Cleared, EndReason::PolicyGone];

    /// Its name in metrics and records.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::Idle => "idle",
            EndReason::Closed => "closed",
            EndReason::Cleared => "cleared",
            EndReason::PolicyGone => "policy-gone",
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

    /// Counts one that ends.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.ended[reason as usize] += 1;
    }
}
