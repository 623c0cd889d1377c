//! Lines of IOS that concern NAT, and what becomes of each: the rows of `lines.txt`.

#![allow(dead_code, reason = "not every test looks at all of a row")]

/// A line, and its verdict.
pub struct Row {
    /// The heading it stands under.
    pub section: &'static str,
    /// Where `lines.txt` has it.
    pub number: usize,
    /// The line that opens the mode it stands in.
    pub opening: Option<&'static str>,
    /// The line, with what is judged of it in brackets if that is a part.
    pub text: &'static str,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What becomes of a line.
pub enum Verdict {
    /// It works: this case fails without it.
    Works(&'static str),
    /// It works: a file that needs it is refused without it, as this case is.
    Needed(&'static str),
    /// It works: it asks for what holds anyway, as this case shows.
    Holds(&'static str),
    /// It works: it is what this command prints.
    Shown(&'static str),
    /// It is accepted without effect, and this warning says why.
    Warned(&'static str),
    /// It is refused with this message.
    Refused(&'static str),
}

impl Row {
    /// The line as a configuration has it.
    pub fn line(&self) -> String {
        self.text.replace(['[', ']'], "")
    }

    /// The line without what is judged; nothing if that is all of it.
    pub fn rest(&self) -> Option<String> {
        let (before, judged) = self.text.split_once('[')?;
        let (_, after) = judged.split_once(']').expect("a bracket that closes");
        let words = before.split_whitespace().chain(after.split_whitespace());
        Some(words.collect::<Vec<_>>().join(" "))
    }
}

/// Every row, in order.
pub fn rows() -> Vec<Row> {
    let mut section = "";
    let mut rows = Vec::new();
    for (index, text) in include_str!("lines.txt").lines().enumerate() {
        let number = index + 1;
        match text.strip_prefix("# ") {
            Some(heading) => section = heading,
            None if text.is_empty() || text.starts_with("//") => {}
            None => rows.push(row(section, number, text)),
        }
    }
    rows
}

fn row(section: &'static str, number: usize, text: &'static str) -> Row {
    let fields: Vec<&str> = text.split('|').map(str::trim).collect();
    let [verdict, line, by] = fields[..] else { panic!("lines.txt:{number}: VERDICT | LINE | BY") };
    let verdict = match verdict {
        "works" => Verdict::Works(by),
        "needed" => Verdict::Needed(by),
        "holds" => Verdict::Holds(by),
        "shown" => Verdict::Shown(by),
        "warned" => Verdict::Warned(by),
        "refused" => Verdict::Refused(by),
        other => panic!("lines.txt:{number}: {other:?} is no verdict"),
    };
    let (opening, text) = line.split_once(" > ").map_or((None, line), |(open, line)| (Some(open), line));
    Row { section, number, opening, text, verdict }
}
