//! What documents say and nothing else would check: `docs/drops.md` is the table of drop reasons, and the laws of
//! `ARCHITECTURE.md` that are about the text of the code hold. With UPDATE_DOCS=1 the page is written anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dataplane::drops::{Blame, DropReason, Notice};

#[test]
fn drops_md_is_the_table() {
    expect_document("docs/drops.md", &drops_page());
}

/// Compares a document of the repository with what it should be, or writes it.
fn expect_document(name: &str, page: &str) {
    let path = repository().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("the document can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{name} is out of date: run `UPDATE_DOCS=1 cargo test --test docs`");
}

const INTRODUCTION: &str = "\
# Why packets are dropped

This page is generated from the table in `dataplane/src/drops.rs`; the same table feeds `show drops` and the metric
`portico_drops_total{reason,cause}`. A packet that is dropped is counted for exactly one reason.

*Cause* says where to look first. *The sender is told* names the ICMP error that goes back, at most 200 a second for each
worker and never about an ICMP error or a later fragment (RFC 1812 section 4.3.2.7); \"-\" means silence.
";

fn drops_page() -> String {
    let mut page = INTRODUCTION.to_string();
    for blame in [Blame::Policy, Blame::Capacity, Blame::Network, Blame::Sender] {
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n", heading(blame));
        page += "| Reason | Meaning | The sender is told | Standard |\n|---|---|---|---|\n";
        for reason in DropReason::ALL.iter().filter(|reason| reason.blame() == blame) {
            let source = if reason.source().is_empty() { "-" } else { reason.source() };
            let (label, told) = (reason.label(), told(reason.notice()));
            let _ = writeln!(page, "| `{label}` | {} | {told} | {source} |", reason.sentence());
        }
    }
    page
}

fn heading(blame: Blame) -> &'static str {
    match blame {
        Blame::Policy => "policy: the configuration says so",
        Blame::Capacity => "capacity: a table, a pool or a queue is full",
        Blame::Network => "network: routes, neighbours and links around the box",
        Blame::Sender => "sender: the packet itself is wrong",
    }
}

fn told(notice: Notice) -> &'static str {
    match notice {
        Notice::Silent => "-",
        Notice::NetUnreachable => "net unreachable (3/0)",
        Notice::HostUnreachable => "host unreachable (3/1)",
        Notice::PortUnreachable => "port unreachable (3/3)",
        Notice::FragmentationNeeded => "fragmentation needed (3/4)",
        Notice::AdministrativelyProhibited => "administratively prohibited (3/13)",
        Notice::TtlExceeded => "TTL exceeded (11/0)",
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust file under a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {folder}");
    found
}

/// Fails where the packet path, its unit tests and the file `except` aside, has one of these words.
#[track_caller]
fn expect_none(except: &str, words: &[&str]) {
    for (path, text) in sources("dataplane/src").iter().filter(|(path, _)| !path.ends_with(except)) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let found = words.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn the_path_reads_no_clock_and_draws_no_random_number() {
    expect_none("no exception", &["Instant::", "SystemTime", "rand::", "random(", "thread::sleep"]);
    // What stages.rs finds is told to people, and decides nothing.
    expect_none("stages.rs", &["tsc("]);
}

/// Workers claim groups of global ports from each other in `ownership.rs`, when they take the first port of one.
#[test]
fn the_path_has_no_locks_and_no_read_modify_write() {
    expect_none("ownership.rs", &["Mutex", "RwLock", ".fetch_", "compare_exchange", ".swap("]);
}

#[test]
fn files_are_short_and_named_after_what_they_hold() {
    for folder in ["dataplane", "control", "deploy", "dpdk-sys"] {
        for (path, text) in sources(folder) {
            let name = path.display();
            assert!(text.lines().count() <= 600, "{name} has more than 600 lines");
            let words = ["util", "utils", "common", "misc", "helpers", "manager"];
            let is_vague = |part: &std::ffi::OsStr| words.iter().any(|word| part == *word);
            assert!(!path.with_extension("").iter().any(is_vague), "{name} says nothing by its name");
        }
    }
}
