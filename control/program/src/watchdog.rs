//! The thread that watches the control thread, as that one watches the workers, and tells systemd how the process is.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dataplane::counters::Counters;
use sd_notify::NotifyState;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks without a turn of the control thread after which it stands still: it takes one every 50 ms when nothing happens.
const LOOKS_MAX: u32 = 10;

/// Turns of the control thread.
#[derive(Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// The control thread takes another turn.
    pub fn beat(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// What is watched of a thread: the count of its turns.
#[derive(Default)]
struct Turns {
    seen: u64,
    still_looks: u32,
}

impl Turns {
    /// Looks; returns whether the thread has taken a turn since the look before.
    fn look(&mut self, count: u64) -> bool {
        let has_turned = count != self.seen;
        self.still_looks = if has_turned { 0 } else { self.still_looks + 1 };
        self.seen = count;
        has_turned
    }
}

/// What is said of the control thread.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Stalled,
    Resumed,
}

/// What the thread knows.
#[derive(Default)]
struct Watchdog {
    control: Turns,
    control_is_still: bool,
    workers: Vec<Turns>,
}

impl Watchdog {
    fn look_at_control(&mut self, turns: u64) -> Option<Change> {
        self.control.look(turns);
        let is_still = self.control.still_looks >= LOOKS_MAX;
        let change = if is_still { Change::Stalled } else { Change::Resumed };
        let has_changed = std::mem::replace(&mut self.control_is_still, is_still) != is_still;
        has_changed.then_some(change)
    }

    /// Whether every worker has polled since the look before: as long as they do, there is nothing a restart could mend.
    fn workers_poll(&mut self, rounds: impl Iterator<Item = u64>) -> bool {
        let mut all = true;
        for (index, count) in rounds.enumerate() {
            if self.workers.len() <= index {
                self.workers.push(Turns::default());
            }
            all &= self.workers[index].look(count);
        }
        all
    }
}

/// Begins to watch, and tells systemd that the process is ready.
///
/// # Errors
/// When there can be no other thread.
pub fn start(heartbeat: Heartbeat, counters: Vec<Arc<Counters>>) -> Result<()> {
    tell(&[NotifyState::Ready]);
    let watch = move || {
        let mut watchdog = Watchdog::default();
        loop {
            std::thread::sleep(LOOK_EVERY);
            match watchdog.look_at_control(heartbeat.0.load(Relaxed)) {
                Some(Change::Stalled) => tracing::error!(
                    mnemonic = "SYS-2-CONTROLSTALL",
                    "The control thread stands still; packets are forwarded, commands and ARP wait"
                ),
                Some(Change::Resumed) => {
                    tracing::warn!(mnemonic = "SYS-4-CONTROLRESUME", "The control thread goes on");
                }
                None => {}
            }
            if watchdog.workers_poll(counters.iter().map(|counters| counters.poll.rounds.value())) {
                tell(&[NotifyState::Watchdog]);
            }
        }
    };
    std::thread::Builder::new().name("watchdog".into()).spawn(watch).context("no thread for the watchdog")?;
    Ok(())
}

/// Tells systemd, where it started the process and wants to know.
pub fn tell(states: &[NotifyState]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(states);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_thread_that_stands_still_is_told_once_and_when_it_goes_on() {
        let mut watchdog = Watchdog::default();
        assert_eq!(watchdog.look_at_control(1), None);
        let told: Vec<_> = (0..2 * LOOKS_MAX).filter_map(|_| watchdog.look_at_control(1)).collect();
        assert_eq!(told, [Change::Stalled]);
        assert_eq!(watchdog.look_at_control(2), Some(Change::Resumed));
        assert_eq!(watchdog.look_at_control(3), None);
    }

    #[test]
    fn one_worker_that_stands_still_is_enough() {
        let mut watchdog = Watchdog::default();
        assert!(watchdog.workers_poll([5, 7].into_iter()));
        assert!(!watchdog.workers_poll([6, 7].into_iter()));
        assert!(watchdog.workers_poll([7, 8].into_iter()));
    }
}
