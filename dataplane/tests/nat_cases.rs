//! Every conversation below `cases/`, played against the appliance.

use std::path::{Path, PathBuf};

/// The clock at the start of a case: soon after the box started, and just before its 32 bits of milliseconds
/// wrap around.
const STARTS_MS: [u64; 2] = [1000, (1 << 32) - 2500];

/// Cases of faults that are known and not mended yet.
const KNOWN: &str = "known";

fn find_cases(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder that can be read").path();
        if path.is_dir() {
            if !path.ends_with(KNOWN) {
                find_cases(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "nat") {
            found.push(path);
        }
    }
}

fn play(path: &Path) -> Vec<String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return vec![format!("{}: {error}", path.display())],
    };
    let case = match testkit::notation::read(path, &text) {
        Ok(case) => case,
        Err(error) => return vec![error],
    };
    for start_ms in STARTS_MS {
        if let Err(mut failures) = testkit::run::run(&case, start_ms) {
            failures.push(format!("  (clock starting at {start_ms} ms)"));
            return failures;
        }
    }
    Vec::new()
}

/// Plays the cases; `PORTICO_CASES` names a file or folder to play instead, one of known faults for example.
#[test]
fn conversations() {
    let folder = Path::new("cases");
    let chosen = std::env::var_os("PORTICO_CASES").map_or_else(|| folder.to_path_buf(), PathBuf::from);
    let mut cases = Vec::new();
    if chosen.is_dir() {
        find_cases(&chosen, &mut cases);
    } else {
        cases.push(chosen);
    }
    cases.sort();
    let failures: Vec<String> = cases.iter().flat_map(|path| play(path)).collect();
    println!("{} cases", cases.len());
    assert!(!cases.is_empty(), "no case was found");
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
