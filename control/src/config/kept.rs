//! A file as text, brought up to a configuration that was changed since it was read: lines that still hold, comments and lines
//! of other features stay where they stand.

use std::collections::{HashMap, HashSet};

use super::builder::{Builder, Mode};
use super::difference::{Block, blocks};
use super::model::Config;
use super::reader::{parse, read};

/// A text that says what a configuration says.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    /// What stayed stands where it stood.
    InPlace(String),
    /// Comments and lines of other features stand before all else, as the file does things line by line that no other order of
    /// lines would.
    Apart(String),
}

/// The file's text, changed to say what the configuration says.
pub fn rewritten(text: &str, config: &Config) -> Kept {
    let (lines, new) = (read_lines(text), blocks(config));
    let says_it = |text: &str| parse("", text).is_ok_and(|parsed| blocks(&parsed.config) == new);
    let mut anew = HashSet::new();
    let mut out = assembled(&lines, &new, &anew);
    if !says_it(&out) {
        // Entries that number themselves have other numbers now.
        anew.extend(
            new.iter().filter(|block| numbers_itself(&block.header)).map(|block| block.header.clone()),
        );
        out = assembled(&lines, &new, &anew);
    }
    if says_it(&out) {
        return Kept::InPlace(out);
    }
    let others = lines.iter().filter(|line| line.says.is_none() && !line.text.trim().is_empty());
    let mut out: String = others.map(|line| format!("{}\n", line.text)).collect();
    out += &format!("!\n{config}end\n");
    Kept::Apart(out)
}

/// A line of the file.
struct Line<'t> {
    text: &'t str,
    /// The place of the line that opened the mode that this one belongs to.
    header: Option<usize>,
    /// What the line comes to by itself; none for comments and lines of other features.
    says: Option<Vec<Block>>,
}

fn read_lines(text: &str) -> Vec<Line<'_>> {
    let mut builder = Builder::new("");
    let mut lines: Vec<Line> = Vec::new();
    let mut header = None;
    for (place, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let passed_over = builder.passed_over;
        let is_read = read(&mut builder, text).is_ok();
        let is_foreign = builder.passed_over > passed_over || !is_read;
        if is_foreign || text.trim_start().starts_with('!') || text.trim().is_empty() {
            lines.push(Line { text, header: None, says: None });
            continue;
        }
        let is_under = builder.table != Mode::Global;
        if !is_under {
            header = builder.mode.is_some_and(|mode| mode != Mode::Global).then_some(place);
        }
        let of_header = header.filter(|_| is_under);
        let says = Some(alone(of_header.map(|place| lines[place].text), text));
        lines.push(Line { text, header: of_header, says });
    }
    lines
}

/// What a line comes to, under this header or none.
fn alone(header: Option<&str>, line: &str) -> Vec<Block> {
    let mut builder = Builder::new("");
    for line in header.into_iter().chain([line]) {
        // A line that is refused here says nothing, and goes.
        let _ = read(&mut builder, line);
    }
    blocks(&builder.finish().0)
}

fn numbers_itself(header: &str) -> bool {
    header.starts_with("ip access-list ")
}

/// A line as it is compared: entries of a list without their numbers.
fn compared<'l>(header: &str, line: &'l str) -> &'l str {
    let entry = line.trim_start();
    match entry.split_once(' ') {
        Some((number, rest)) if numbers_itself(header) && number.bytes().all(|b| b.is_ascii_digit()) => rest,
        _ => entry,
    }
}

/// What of the new configuration no line says yet.
struct Missing<'n> {
    blocks: &'n [Block],
    /// The place of each header.
    places: HashMap<&'n str, usize>,
    /// Whether a line says the header.
    is_said: Vec<bool>,
    /// Lines under each header that are not said, as they are compared, and how often.
    lines: Vec<HashMap<&'n str, usize>>,
}

impl<'n> Missing<'n> {
    fn new(blocks: &'n [Block]) -> Missing<'n> {
        let lines = |block: &'n Block| {
            let mut counts = HashMap::new();
            for line in &block.lines {
                *counts.entry(compared(&block.header, line)).or_default() += 1;
            }
            counts
        };
        Missing {
            blocks,
            places: blocks.iter().enumerate().map(|(place, block)| (block.header.as_str(), place)).collect(),
            is_said: vec![false; blocks.len()],
            lines: blocks.iter().map(lines).collect(),
        }
    }

    /// Takes what a line of the file says, if all of it is to be said. Returns the places of the headers.
    fn take(&mut self, said: &[Block]) -> Option<Vec<usize>> {
        let places: Option<Vec<usize>> =
            said.iter().map(|block| self.places.get(block.header.as_str()).copied()).collect();
        let places = places?;
        let has = |(block, &place): (&Block, &usize)| {
            let wanted = |line: &String| {
                let count = self.lines[place].get(compared(&block.header, line));
                count.is_some_and(|count| *count > 0)
            };
            block.lines.iter().all(wanted)
        };
        if !said.iter().zip(&places).all(has) {
            return None;
        }
        for (block, &place) in said.iter().zip(&places) {
            self.is_said[place] = true;
            for line in &block.lines {
                if let Some(count) = self.lines[place].get_mut(compared(&block.header, line)) {
                    *count -= 1;
                }
            }
        }
        Some(places)
    }

    /// The lines under a header that no line says.
    fn rest(&mut self, place: usize) -> Vec<&'n str> {
        let (block, counts) = (&self.blocks[place], &mut self.lines[place]);
        let mut rest = Vec::new();
        for line in &block.lines {
            if let Some(count) = counts.get_mut(compared(&block.header, line)).filter(|count| **count > 0) {
                *count -= 1;
                rest.push(line.as_str());
            }
        }
        rest
    }
}

/// Whether lines under this header may follow a line.
fn opens(line: &Line, header: &str) -> bool {
    let mut of_header = line.says.iter().flatten().filter(|block| block.header == header);
    line.header.is_some() || of_header.all(|block| block.lines.is_empty())
}

/// The last of the lines that belong to a block of which this one is the last to say something.
fn end_of_block(lines: &[Line], end: usize) -> usize {
    let is_under = |line: &&Line| line.says.is_none() && line.text.starts_with(' ');
    end + lines[end + 1..].iter().take_while(is_under).count()
}

/// The lines that stay, with the missing ones at their places. Blocks that are to be written anew keep only their headers.
fn assembled(lines: &[Line], new: &[Block], anew: &HashSet<String>) -> String {
    let mut missing = Missing::new(new);
    // For each header's place in the new configuration, the last line of the file that belongs to it.
    let mut ends: Vec<Option<usize>> = vec![None; new.len()];
    let mut stays = vec![false; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        let Some(says) = &line.says else {
            stays[at] = true;
            continue;
        };
        let is_open = line.header.is_none_or(|header| stays[header]);
        let is_anew = line.header.is_some() && says.iter().any(|block| anew.contains(&block.header));
        if is_open
            && !is_anew
            && let Some(places) = missing.take(says)
        {
            stays[at] = true;
            places.into_iter().for_each(|place| ends[place] = Some(at));
        }
    }
    let mut additions: HashMap<Option<usize>, String> = HashMap::new();
    let mut behind = None;
    for place in 0..new.len() {
        let (rest, is_said) = (missing.rest(place), missing.is_said[place]);
        let is_open = ends[place].is_some_and(|end| opens(&lines[end], &new[place].header));
        behind = ends[place].map(|end| end_of_block(lines, end)).or(behind);
        let text = additions.entry(behind).or_default();
        if !is_said || !(is_open || rest.is_empty()) {
            text.push_str(&format!("{}\n", new[place].header));
        }
        rest.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    let first = additions.remove(&None).unwrap_or_default();
    let mut out = String::new();
    // What has nothing before it stands before the first statement.
    let start = lines.iter().position(|line| line.says.is_some()).unwrap_or(lines.len());
    for (at, line) in lines.iter().enumerate() {
        if at == start {
            out += &first;
        }
        if stays[at] {
            out += &format!("{}\n", line.text);
        }
        out += additions.get(&Some(at)).map_or("", String::as_str);
    }
    if start == lines.len() {
        out += &first;
    }
    out
}
