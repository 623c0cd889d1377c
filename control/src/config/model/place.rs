//! Where statements stand.

use std::fmt;

/// Where a statement stands in its file; lines and columns count from 1. A statement that was
/// typed at a console stands in line 0. Two statements that
/// say the same are equal wherever they stand, so all places are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// `line 12`, or `another line` for one that stands in no file.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 { f.write_str("another line") } else { write!(f, "line {}", self.line) }
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}
