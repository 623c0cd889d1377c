//! How long a thread was kept from its core: by other threads, as the kernel's scheduler tells, and by other guests
//! of the machine, as the hypervisor tells.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

/// A run is quiet, and counts, when its worker was kept from its core for less than this share of the time.
pub const QUIET_SHARE_MAX: f64 = 0.02;

/// A thread under observation.
#[derive(Clone, Debug)]
pub struct Thread {
    task: PathBuf,
    /// The core it is pinned to, if it is to one.
    core: Option<usize>,
}

/// What had been counted at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    at: Instant,
    wait_ns: u64,
    stolen_ticks: u64,
}

/// Shares of the time between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preemption {
    /// In which the thread was ready to run, and another ran on its core.
    pub preempted: f64,
    /// In which the hypervisor ran something else on its core.
    pub stolen: f64,
}

impl Preemption {
    /// Both shares together.
    pub fn total(self) -> f64 {
        (self.preempted + self.stolen).min(1.0)
    }

    /// Whether a figure measured meanwhile counts.
    pub fn is_quiet(self) -> bool {
        self.total() <= QUIET_SHARE_MAX
    }
}

impl Thread {
    /// The calling thread.
    ///
    /// # Errors
    /// When the kernel does not show it.
    pub fn current() -> Result<Thread> {
        Thread::observe(&fs::canonicalize("/proc/thread-self").context("the calling thread in /proc")?)
    }

    /// The thread of a process that has this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(pid: u32, name: &str) -> Result<Thread> {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        let entries = fs::read_dir(&tasks).with_context(|| format!("{}", tasks.display()))?;
        for task in entries.flatten() {
            if fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name) {
                return Thread::observe(&task.path());
            }
        }
        bail!("process {pid} has no thread named {name}")
    }

    fn observe(task: &Path) -> Result<Thread> {
        let status = fs::read_to_string(task.join("status")).context("a thread's status")?;
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let core = cores.and_then(|cores| cores.trim().parse().ok());
        Ok(Thread { task: task.to_owned(), core })
    }

    /// What is counted by now.
    ///
    /// # Errors
    /// When the thread has ended, or the kernel keeps no account of it.
    pub fn sample(&self) -> Result<Sample> {
        let path = self.task.join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let wait_ns = text.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let wait_ns = wait_ns.ok_or_else(|| anyhow!("{}: no time of waiting in {text:?}", path.display()))?;
        let stolen_ticks = self.core.map_or(Ok(0), stolen_ticks)?;
        Ok(Sample { at: Instant::now(), wait_ns, stolen_ticks })
    }

    /// The shares of the time since a sample.
    ///
    /// # Errors
    /// As [`Thread::sample`].
    pub fn since(&self, begin: Sample) -> Result<Preemption> {
        let end = self.sample()?;
        let elapsed_s = (end.at - begin.at).as_secs_f64();
        Ok(Preemption {
            // The kernel adds a wait when it ends, so that a short time may seem to have had more of it than fits.
            preempted: ((end.wait_ns - begin.wait_ns) as f64 / 1e9 / elapsed_s).min(1.0),
            // The kernel tells in hundredths of a second, whatever its own tick.
            stolen: (end.stolen_ticks - begin.stolen_ticks) as f64 / 100.0 / elapsed_s,
        })
    }
}

/// Hundredths of a second that the hypervisor took from a core.
fn stolen_ticks(core: usize) -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let name = format!("cpu{core}");
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(&name));
    let steal = line.and_then(|line| line.split_whitespace().nth(8)?.parse().ok());
    steal.ok_or_else(|| anyhow!("/proc/stat does not tell what was stolen from {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_ones_own_core_is_noticed() {
        let core = core_affinity::get_core_ids().unwrap()[0];
        assert!(core_affinity::set_for_current(core));
        let (this, begin) = (Thread::current().unwrap(), Thread::current().unwrap().sample().unwrap());
        let spin = move || {
            assert!(core_affinity::set_for_current(core));
            let begun = Instant::now();
            while begun.elapsed().as_millis() < 300 {}
        };
        let other = std::thread::spawn(spin);
        spin();
        let seen = this.since(begin).unwrap();
        other.join().unwrap();
        assert!(seen.preempted > 0.1 && !seen.is_quiet(), "{seen:?}");
    }
}
