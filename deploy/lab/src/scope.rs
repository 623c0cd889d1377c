//! What one lab owns by name: its namespaces' prefix and its scratch directory. Both carry the process id, so that two
//! labs run side by side and the leftovers of a killed one are recognised.

use crate::namespace::{self, Namespace};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "lab-";

/// The names and the scratch directory of one lab; the directory goes when it is dropped.
pub struct Scope {
    prefix: String,
    directory: PathBuf,
}

impl Scope {
    /// A new scope; the first of a process also removes what dead processes left behind.
    pub fn new() -> Result<Scope> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static SWEPT: Once = Once::new();
        ensure!(nix::unistd::geteuid().is_root(), "the lab makes network namespaces: run it as root");
        SWEPT.call_once(|| sweep(|pid| !is_running(pid)));
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("{PREFIX}{}-{number}-", std::process::id());
        let directory = scratch_root().join(prefix.trim_end_matches('-'));
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        Ok(Scope { prefix, directory })
    }

    /// The scratch directory: configurations, logs, the servers' documents.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A new namespace for `role`, unique to this lab, with its loopback up.
    pub fn namespace(&self, role: &str) -> Result<Namespace> {
        Namespace::create(format!("{}{role}", self.prefix))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // A failed removal only leaves files behind, which the next run sweeps.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Removes everything this process's labs made; for a signal handler's thread, which ends the process next.
pub fn sweep_own() {
    let own = std::process::id();
    sweep(|pid| pid == own);
}

fn sweep(is_stale: impl Fn(u32) -> bool) {
    for name in namespace::list() {
        if owner(&name).is_some_and(&is_stale) {
            namespace::remove(&name);
        }
    }
    for entry in fs::read_dir(scratch_root()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().and_then(owner).is_some_and(&is_stale) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process id within `lab-PID-...`.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// A zombie has ended too; it is told by its command line, which is empty.
fn is_running(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn scratch_root() -> PathBuf {
    std::env::temp_dir()
}

#[cfg(test)]
mod tests {
    use super::owner;

    #[test]
    fn owner_is_the_process_id_of_our_names_only() {
        assert_eq!(owner("lab-4711-0-portico"), Some(4711));
        assert_eq!(owner("lab-4711"), Some(4711));
        assert_eq!(owner("lab-x-0-portico"), None);
        assert_eq!(owner("other-4711-0"), None);
    }
}
