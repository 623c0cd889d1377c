//! Every conversation below `cases/`, played against the appliance.

use std::path::{Path, PathBuf};

use testkit::case::files;
use testkit::run::{Circumstances, run};

/// Soon after the box started, and just before its clock's 32 bits of milliseconds wrap around.
const ALONE: [Circumstances; 2] = [
    Circumstances { start_ms: 1000, worker_count: 1 },
    Circumstances { start_ms: (1 << 32) - 2500, worker_count: 1 },
];
/// Several workers, with frames dealt to them in turn.
const AMONG_WORKERS: [Circumstances; 1] = [Circumstances { start_ms: 1000, worker_count: 3 }];

fn play(path: &Path, circumstances: &[Circumstances]) -> Vec<String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{}: {error}", path.display())],
    };
    let case = match testkit::notation::read(path, &text) {
        Ok(case) => case,
        Err(error) => return vec![error],
    };
    let is_meant = |now: &&Circumstances| case.worker_count.is_none_or(|count| count == now.worker_count);
    for &circumstances in circumstances.iter().filter(is_meant) {
        if let Err(mut failures) = run(&case, circumstances) {
            failures.push(format!("  ({circumstances:?})"));
            return failures;
        }
    }
    Vec::new()
}

/// Plays the cases; `PORTICO_CASES` names a file or folder to play instead, one of known faults for example.
fn play_all(circumstances: &[Circumstances]) {
    let folder = Path::new("cases");
    let chosen = std::env::var_os("PORTICO_CASES").map_or_else(|| folder.to_path_buf(), PathBuf::from);
    let cases = if chosen.is_dir() { files(&chosen) } else { vec![chosen] };
    let failures: Vec<String> = cases.iter().flat_map(|path| play(path, circumstances)).collect();
    println!("{} cases", cases.len());
    assert!(!cases.is_empty(), "no case was found");
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

#[test]
fn conversations() {
    play_all(&ALONE);
}

/// Whichever worker's queue a packet arrives on, the conversation is the same.
#[test]
fn conversations_among_workers() {
    play_all(&AMONG_WORKERS);
}
