//! Output modifiers: `COMMAND | include RE` and its like. They work on lines, as these come.

use regex::Regex;

use crate::config::grammar::Candidate;

/// Which lines of an answer are shown.
pub struct Modifier {
    kind: Kind,
    regex: Regex,
    /// The start of a line whose end has not come yet.
    partial: String,
    /// Lines that matched.
    count: u64,
    /// For `begin`: whether a line matched. For `section`: how far the line that matched is indented, while the
    /// lines beneath it come.
    section_indent: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Begin,
    Count,
    Exclude,
    Include,
    Section,
}

const KINDS: &[(&str, Kind, &str)] = &[
    ("begin", Kind::Begin, "Begin with the line that matches"),
    ("count", Kind::Count, "Count the lines that match"),
    ("exclude", Kind::Exclude, "Exclude lines that match"),
    ("include", Kind::Include, "Include lines that match"),
    ("section", Kind::Section, "Include lines that match, and the lines beneath them"),
];

/// Splits a command line into the command and its modifier.
///
/// # Errors
/// When there is no such modifier, or its expression is none.
pub fn split(line: &str) -> Result<(&str, Option<Modifier>), String> {
    let mut words = line.split_whitespace().skip_while(|word| word.eq_ignore_ascii_case("do"));
    // In a line of the configuration it is text.
    let is_show = words.next().is_some_and(|word| "show".starts_with(&word.to_ascii_lowercase()));
    let Some((command, rest)) = line.split_once('|').filter(|_| is_show) else { return Ok((line, None)) };
    let rest = rest.trim();
    let (word, expression) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let mut fitting = KINDS.iter().filter(|(name, ..)| !word.is_empty() && name.starts_with(word));
    let Some(&(name, kind, _)) = fitting.next() else {
        return Err(format!(
            "% {word:?} is no output modifier; there are begin, count, exclude, include and section"
        ));
    };
    let expression = expression.trim();
    if expression.is_empty() {
        return Err(format!("% '| {name}' needs an expression"));
    }
    let regex = Regex::new(expression).map_err(|error| {
        let reason = error.to_string();
        format!("% {expression:?} is no expression: {}", reason.lines().last().unwrap_or_default())
    })?;
    Ok((command, Some(Modifier { kind, regex, partial: String::new(), count: 0, section_indent: None })))
}

/// What could stand at the end of a line that has a `|`; nothing if it has none.
pub(super) fn complete(head: &str) -> Option<Vec<Candidate>> {
    let (_, rest) = head.split_once('|')?;
    let partial = rest.trim_start();
    if partial.contains(char::is_whitespace) {
        let line = Candidate { word: "LINE".into(), help: "Regular expression".into(), literal: false };
        return Some(if partial.trim_end().contains(char::is_whitespace) { Vec::new() } else { vec![line] });
    }
    let candidate = |&(name, _, help): &(&str, Kind, &str)| Candidate {
        word: name.into(),
        help: help.into(),
        literal: true,
    };
    Some(KINDS.iter().filter(|(name, ..)| name.starts_with(partial)).map(candidate).collect())
}

impl Modifier {
    /// What is shown of the next piece.
    pub fn feed(&mut self, piece: &str) -> String {
        let mut shown = String::new();
        for part in piece.split_inclusive('\n') {
            match (part.ends_with('\n'), self.partial.is_empty()) {
                (true, true) => self.line(part, &mut shown),
                (true, false) => {
                    let line = std::mem::take(&mut self.partial) + part;
                    self.line(&line, &mut shown);
                }
                (false, _) => self.partial += part,
            }
        }
        shown
    }

    /// What is shown at the end of the text.
    pub fn finish(&mut self) -> String {
        let mut shown = String::new();
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.line(&last, &mut shown);
        }
        if self.kind == Kind::Count {
            shown = format!("Number of lines which match regexp = {}\n", self.count);
        }
        shown
    }

    fn line(&mut self, line: &str, shown: &mut String) {
        let text = line.trim_end_matches(['\n', '\r']);
        let is_match = self.regex.is_match(text);
        self.count += u64::from(is_match);
        let is_shown = match self.kind {
            Kind::Include => is_match,
            Kind::Exclude => !is_match,
            Kind::Count => false,
            Kind::Begin => self.count > 0,
            Kind::Section => {
                let indent = text.len() - text.trim_start().len();
                let is_beneath = self.section_indent.is_some_and(|section| indent > section);
                if !is_beneath {
                    self.section_indent = is_match.then_some(indent);
                }
                is_beneath || is_match
            }
        };
        if is_shown {
            *shown += line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "interface A\n ip address 1\n!\ninterface B\n ip nat inside\n  deep\nend\n";

    /// The text through a modifier, in pieces of every length.
    fn through(modifier: &str) -> String {
        let line = format!("show running-config | {modifier}");
        let whole = shown(&line, TEXT.len());
        for len in 1..TEXT.len() {
            assert_eq!(shown(&line, len), whole, "in pieces of {len}");
        }
        whole
    }

    fn shown(line: &str, len: usize) -> String {
        let (command, modifier) = split(line).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(command, "show running-config ");
        let mut modifier = modifier.expect("a modifier");
        let pieces = TEXT.as_bytes().chunks(len).map(|piece| std::str::from_utf8(piece).expect("ASCII"));
        let mut out: String = pieces.map(|piece| modifier.feed(piece)).collect();
        out += &modifier.finish();
        out
    }

    #[test]
    fn lines_are_chosen_whatever_the_pieces() {
        assert_eq!(through("include ^interface"), "interface A\ninterface B\n");
        assert_eq!(through("exc ip|!|deep"), "interface A\ninterface B\nend\n");
        assert_eq!(through("begin nat"), " ip nat inside\n  deep\nend\n");
        assert_eq!(through("section interface B"), "interface B\n ip nat inside\n  deep\n");
        assert_eq!(through("count ^interface"), "Number of lines which match regexp = 2\n");
    }

    #[test]
    fn a_wrong_modifier_is_refused() {
        assert!(
            split("show version").is_ok_and(|(line, modifier)| line == "show version" && modifier.is_none())
        );
        for line in
            ["show version |", "show version | grep x", "show version | include", "show version | inc ["]
        {
            assert!(split(line).is_err(), "{line}");
        }
    }

    #[test]
    fn modifiers_are_completed() {
        let words = |head| complete(head).map(|found| found.into_iter().map(|c| c.word).collect::<Vec<_>>());
        assert_eq!(words("show version"), None);
        assert_eq!(
            words("show version | "),
            Some(
                vec!["begin", "count", "exclude", "include", "section"]
                    .into_iter()
                    .map(String::from)
                    .collect()
            )
        );
        assert_eq!(words("show version | in"), Some(vec!["include".into()]));
        assert_eq!(words("show version | include "), Some(vec!["LINE".into()]));
    }
}
