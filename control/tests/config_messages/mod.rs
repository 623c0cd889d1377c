//! What a text is told.

use control::config::{Severity, parse};

/// Every error and warning about a text, as it is shown, without the file's name.
fn messages(text: &str) -> Vec<String> {
    let diagnostics = parse("nat.cfg", text).map_or_else(|mistakes| mistakes, |parsed| parsed.warnings);
    let show = |message: String| message.strip_prefix("nat.cfg:").expect("the file comes first").to_string();
    let told = diagnostics.iter().filter(|diagnostic| diagnostic.severity != Severity::Note);
    told.map(|diagnostic| show(diagnostic.to_string())).collect()
}

/// Expects exactly these errors and warnings, in the order of the lines.
#[track_caller]
pub fn expect(text: &str, expected: &[&str]) {
    assert_eq!(messages(text), expected, "of {text:?}");
}
