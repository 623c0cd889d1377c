//! One port of the load generator: what it sends and has not sent yet, and what it counts.

use dataplane::port::{Burst, Port};
use dataplane_dpdk::DpdkPort;

/// A port, and frames on their way out of it.
pub struct LoadPort {
    port: DpdkPort,
    /// Frames that the device had no room for: they go first.
    pending: Burst,
    /// What it counted so far.
    pub counts: Counts,
}

/// What a port has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Frames that the device took.
    pub sent: u64,
    /// Frames of ours that arrived here.
    pub received: u64,
    /// Attempts to send.
    pub attempts: u64,
    /// Those at which the device had no room for all.
    pub pushed_back: u64,
}

impl LoadPort {
    /// One that has sent nothing yet.
    pub fn new(port: DpdkPort) -> LoadPort {
        LoadPort { port, pending: Burst::new(), counts: Counts::default() }
    }

    /// Whether everything that was made has been sent.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Empty packets to be filled and sent next; the caller makes none before the last ones are sent.
    #[inline]
    pub fn allocate(&mut self, count: usize) -> &mut Burst {
        self.port.allocate_burst(&mut self.pending, count);
        &mut self.pending
    }

    /// Sends what is pending, as far as the device takes it.
    #[inline]
    pub fn transmit(&mut self) {
        let count = self.pending.len();
        if count == 0 {
            return;
        }
        self.port.transmit(&mut self.pending);
        self.counts.attempts += 1;
        self.counts.sent += (count - self.pending.len()) as u64;
        self.counts.pushed_back += u64::from(!self.pending.is_empty());
    }

    /// Frames that have arrived. To be given back by [`LoadPort::release`].
    #[inline]
    pub fn receive(&mut self) -> Burst {
        let mut burst = Burst::new();
        self.port.receive(&mut burst);
        burst
    }

    /// Gives received frames back.
    #[inline]
    pub fn release(&mut self, mut burst: Burst) {
        self.port.release_burst(&mut burst);
    }
}
