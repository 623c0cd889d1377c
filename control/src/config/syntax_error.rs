//! Why a line fits no row of a table.

use std::fmt;

/// A word that could have stood where a line went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The keyword, a placeholder such as `A.B.C.D`, or `<cr>`.
    pub word: String,
    /// What it means.
    pub help: String,
    /// Whether it is a keyword.
    pub keyword: bool,
}

/// How many words that could have stood somewhere a message lists.
const EXPECTED_SHOWN_MAX: usize = 14;

/// The first word of a line that fits no row. Its `Display` is a sentence without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where the word starts, or where the line ended too early, in characters from 1.
    pub column: usize,
    /// Whether it is the first word of the line, but for `no` and `default`.
    pub first: bool,
    /// What could have stood there, in the order of the table.
    pub expected: Vec<Expected>,
    /// The word that stood there instead; `None` at the end of the line.
    pub found: Option<String>,
    /// The keyword most like it, if one is.
    pub nearest: Option<&'static str>,
    /// Several keywords that the word could abbreviate; empty if it abbreviates none.
    pub ambiguous: Vec<&'static str>,
}

impl SyntaxError {
    /// Of two readings of one line, the one that got further; both if they failed at the same word.
    pub fn or(mut self, other: SyntaxError) -> SyntaxError {
        if self.column != other.column {
            return if self.column > other.column { self } else { other };
        }
        for new in other.expected {
            if !self.expected.contains(&new) {
                self.expected.push(new);
            }
        }
        for word in other.ambiguous {
            if !self.ambiguous.contains(&word) {
                self.ambiguous.push(word);
            }
        }
        let words = self.nearest.into_iter().chain(other.nearest);
        self.nearest = self.found.as_ref().and_then(|found| nearest(found, words));
        self
    }
}

impl SyntaxError {
    /// What a console says of the line: IOS's words, then what was expected.
    pub fn in_ios_words(&self, line: &str) -> String {
        let line = line.trim_end();
        if self.found.is_none() {
            return format!("% Incomplete command.\n  {self}");
        }
        if !self.ambiguous.is_empty() {
            return format!("% Ambiguous command:  \"{line}\"\n  {self}");
        }
        let marker = " ".repeat(self.column.saturating_sub(1));
        format!("{line}\n{marker}^\n% Invalid input detected at '^' marker.\n  {self}")
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found.as_ref().map_or("end of line".to_string(), |found| format!("{found:?}"));
        if !self.ambiguous.is_empty() {
            return write!(
                f,
                "{found} is ambiguous: {}",
                list(self.ambiguous.iter().map(|word| format!("{word:?}")))
            );
        }
        // Where all commands are possible, or all keywords of one, a list of them would help nobody.
        let mut described: Vec<String> = Vec::new();
        for text in self.expected.iter().map(Expected::describe) {
            if !described.contains(&text) {
                described.push(text);
            }
        }
        let expected = match described.len() {
            0..=EXPECTED_SHOWN_MAX => list(described.into_iter()),
            _ if self.first => "a command".to_string(),
            _ => "a keyword".to_string(),
        };
        write!(f, "expected {expected}, found {found}")?;
        match self.nearest {
            Some(word) => write!(f, "; did you mean {word:?}?"),
            None => Ok(()),
        }
    }
}

impl Expected {
    fn describe(&self) -> String {
        if self.keyword { format!("{:?}", self.word) } else { self.help.clone() }
    }
}

/// "a, b or c"
fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    match items.pop() {
        Some(last) if !items.is_empty() => format!("{} or {last}", items.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// The word most like a text, if it differs by no more than a slip or two of the fingers.
pub(super) fn nearest(text: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    words
        .map(|word| (strsim::osa_distance(&text, &word.to_ascii_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).clamp(1, 3) && word.len() > 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
