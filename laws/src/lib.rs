//! The code as data, for the laws about it: `tests/laws.rs` has them, of all crates, and `ARCHITECTURE.md` tells why.
#![forbid(unsafe_code)]

pub mod imports;
pub mod writers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Texts of files by their paths, with `/` between folders.
pub type Texts = BTreeMap<String, String>;

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rust files under a folder of the repository, by their paths in it, with their texts.
///
/// # Panics
/// When there are none, or one cannot be read.
pub fn sources(folder: &str) -> Texts {
    let repository = repository();
    let mut found = Texts::new();
    let mut folders = vec![folder.to_string()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(repository.join(&folder)).expect("a folder of sources") {
            let entry = entry.expect("an entry");
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.ends_with(".rs") {
                let text = std::fs::read_to_string(entry.path()).expect("a source file");
                found.insert(name, text);
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {folder}");
    found
}
