//! What a reader of configuration has to say about it.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but probably says something other than was meant.
    Warning,
    /// The file is taken as it stands; something else might serve better.
    Note,
}

/// A message about a place in a file; its `Display` is `FILE:LINE:COLUMN: error: text`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file's name as given.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The message, without a full stop.
    pub text: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{}:{}:{}: {severity}: {}", self.file, self.line, self.column, self.text)
    }
}
