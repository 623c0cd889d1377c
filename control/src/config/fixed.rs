//! What is fixed while the program runs: devices, memory, workers, the metrics port.

use std::collections::HashSet;

use super::difference::blocks;
use super::model::Config;

/// Whether a line under this header takes effect at a start only.
fn is_fixed(header: &str, line: &str) -> bool {
    header == "platform dpdk"
        || header.starts_with("prometheus exporter ")
        || [" device ", " mac-address "].iter().any(|word| line.starts_with(word))
}

/// The lines that take effect at a start only, each with the one that it stands under.
fn fixed(config: &Config) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    for block in blocks(config) {
        for line in std::iter::once(&block.header).chain(&block.lines) {
            if is_fixed(&block.header, line) {
                found.insert((block.header.clone(), line.clone()));
            }
        }
    }
    found
}

/// Whether a configuration differs in what is fixed while the program runs.
pub fn needs_restart(old: &Config, new: &Config) -> bool {
    fixed(old) != fixed(new)
}

/// The canonical text, with a comment before each line that the program did not start with and that waits for the next start,
/// and at the end those that hold until then.
pub fn marked(config: &Config, started: &Config) -> String {
    let (before, now) = (fixed(started), fixed(config));
    let mut out = String::new();
    let mut header = String::new();
    for line in config.to_string().lines() {
        if !line.starts_with(' ') {
            line.clone_into(&mut header);
        }
        if is_fixed(&header, line) && !before.contains(&(header.clone(), line.to_string())) {
            let indent = if line.starts_with(' ') { " " } else { "" };
            out += &format!("{indent}! with the next start:\n");
        }
        out += &format!("{line}\n");
    }
    let mut gone: Vec<_> = before.difference(&now).collect();
    gone.sort();
    for (header, line) in gone {
        let of = if header == line { String::new() } else { format!(" ({header})") };
        out += &format!("! until the next start: {}{of}\n", line.trim_start());
    }
    out
}
