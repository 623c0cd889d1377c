//! Documents of the repository that tests compare with the code.

use std::path::{Path, PathBuf};

/// The repository's folder.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a document of the repository with what it should be, or writes it: with UPDATE_DOCS=1.
///
/// # Panics
/// When they differ, or it cannot be written.
#[track_caller]
pub fn expect_document(name: &str, page: &str) {
    let path = repository().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("the document can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "{name} is out of date: run `UPDATE_DOCS=1 cargo test --test docs`");
}
