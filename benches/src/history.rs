//! The history of results: a file of JSON lines, one for each figure.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::preemption::Preemption;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in seconds since 1970. All figures of a run have the same.
    pub run_s: u64,
    /// The commit that was measured, with a `+` when files differed from it.
    pub commit: String,
    /// The CPU's model.
    pub cpu: String,
    /// `wire` for the load generator, `path` for the path without devices.
    pub bench: String,
    /// `plain`, `default`, `cgn`, or `kernel`.
    pub what: String,
    /// `set-up`, `out`, `in`, or `both`.
    pub phase: String,
    /// Flows at a time.
    pub flows: u32,
    /// What packets were.
    pub protocol: String,
    /// Frame size in bytes with the frame check sequence, or `imix`.
    pub size: String,
    /// Global addresses.
    pub pool: u32,
    /// Millions of packets a second, or in `set-up` of sessions; none where no device was measured.
    pub mpps: Option<f64>,
    /// That as a share of plain forwarding's in the same run.
    pub ratio: Option<f64>,
    /// Ticks a packet: between receiving and sending for `path`, all of the worker's for `wire`.
    pub ticks: f64,
    /// Ticks a packet beyond plain forwarding's for `wire`, all of the worker's but for its ports' for `path`.
    pub ticks_beyond: Option<f64>,
    /// Ticks a packet in each stage of the path, of the bursts that were timed, by the stage's name in metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, f64>,
    /// Bytes of resident memory that a session took.
    pub session_bytes: Option<f64>,
    /// The share of packets that were lost.
    pub lost: Option<f64>,
    /// How many runs the figure is the median of.
    pub runs: usize,
    /// The most that kept a worker from its core in one of these.
    pub worker: Preemption,
    /// Whether all of them were quiet: figures that are not say little.
    pub is_quiet: bool,
}

/// What all figures of a run have in common.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When, in seconds since 1970.
    pub run_s: u64,
    /// The commit, with a `+` when files differ from it.
    pub commit: String,
    /// The CPU's model.
    pub cpu: String,
}

impl Origin {
    /// This moment, on this machine, of the repository around the working directory.
    pub fn here() -> Origin {
        let run_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
        // Results themselves do not make the program another one.
        let changed =
            git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!benches/history.*"]);
        let mark = if changed.is_none_or(|changed| changed.is_empty()) { "" } else { "+" };
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let cpu = model.map_or("unknown", |(_, name)| name.trim()).to_owned();
        Origin { run_s, commit: format!("{commit}{mark}"), cpu }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Appends figures.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, records: &[Record]) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path);
    let file: &mut File = file.as_mut().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    for record in records {
        writeln!(file, "{}", serde_json::to_string(record)?)?;
    }
    Ok(())
}

/// Reads all figures, the oldest first; none when there is no file.
///
/// # Errors
/// When a line is not a figure.
pub fn read(path: &Path) -> Result<Vec<Record>> {
    let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1))
    };
    text.lines().enumerate().map(line).collect()
}

/// The middle one of these values, or the lower of the two in the middle.
///
/// # Panics
/// When there are none.
pub fn median_by<T>(values: &mut [T], key: impl Fn(&T) -> f64) -> &T {
    values.sort_by(|a, b| key(a).total_cmp(&key(b)));
    &values[(values.len() - 1) / 2]
}
