//! What there is to run a configuration with, and what its tables take of it.

use std::fmt::{self, Display};
use std::time::SystemTime;

use dataplane::policy::Policy;
use dataplane::state::supply::bytes_needed;

use crate::config::model::Config;

/// Memory for packets unless `memory` says otherwise, in MiB.
pub const MEMORY_MIB_DEFAULT: u32 = 512;

/// What there is to run a configuration with.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// How many workers.
    pub worker_count: usize,
    /// Memory for what a policy needs beside packets and sessions, in bytes; none where nobody counts.
    pub free_bytes: Option<u64>,
    /// The time of day, which decides what time ranges have in force.
    pub time_of_day: SystemTime,
}

impl Means {
    /// So many workers; nobody counts memory, or asks for the time.
    pub fn uncounted(worker_count: usize) -> Means {
        Means { worker_count, free_bytes: None, time_of_day: SystemTime::UNIX_EPOCH }
    }
}

/// What is taken at start for as long as the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Workers.
    pub worker_count: u8,
    /// Sessions that each has room for.
    pub session_count_max: usize,
    /// What was granted for addresses and their ports, in bytes.
    pub granted_bytes: u64,
}

impl Tables {
    /// As a configuration has them at start.
    pub fn at_start(config: &Config, worker_count: usize) -> Tables {
        Tables {
            worker_count: worker_count as u8,
            session_count_max: config.platform.sessions() as usize / worker_count.max(1),
            granted_bytes: 0,
        }
    }

    /// The tables with what a policy needs of them, that has so many addresses with those before it.
    ///
    /// # Errors
    /// When there is no memory for what it may need more than those before it.
    pub fn with(&self, policy: &Policy, addresses: u32, free_bytes: Option<u64>) -> Result<Tables, Shortage> {
        let needed = bytes_needed(policy, addresses, self.session_count_max, self.worker_count);
        let more = needed.saturating_sub(self.granted_bytes);
        match free_bytes {
            Some(free) if more > free => Err(Shortage { needed: more, free }),
            _ => Ok(Tables { granted_bytes: self.granted_bytes.max(needed), ..*self }),
        }
    }
}

/// Memory that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that are needed.
    pub needed: u64,
    /// Bytes that there are.
    pub free: u64,
}

impl Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage { needed, free } = self;
        write!(f, "{needed} bytes ({} MiB), and {free} ({} MiB) are free", needed >> 20, free >> 20)
    }
}

/// Memory that the system has to give; none where it does not tell.
pub fn available_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(available.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}
