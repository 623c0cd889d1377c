//! What one configuration has and another has not, line by line.

use std::collections::{HashMap, HashSet};

use super::model::Config;

/// A line of canonical text with the lines under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) header: String,
    pub(super) lines: Vec<String>,
}

/// The canonical text as blocks, without the lines that only part them.
pub(super) fn blocks(config: &Config) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in config.to_string().lines().filter(|line| *line != "!") {
        match blocks.last_mut().filter(|_| line.starts_with(' ')) {
            Some(block) => block.lines.push(line.to_string()),
            None => blocks.push(Block { header: line.to_string(), lines: Vec::new() }),
        }
    }
    blocks
}

/// The lines to take from one configuration, each after a `-`, and to add, each after a `+`, for it to become the other one.
/// Lines under one that stays have that one before them, after a space.
pub fn difference(old: &Config, new: &Config) -> Vec<String> {
    let (old, new) = (blocks(old), blocks(new));
    let of_new: HashMap<&str, &Block> = new.iter().map(|block| (block.header.as_str(), block)).collect();
    let of_old: HashSet<&str> = old.iter().map(|block| block.header.as_str()).collect();
    let mut lines = Vec::new();
    for block in &old {
        match of_new.get(block.header.as_str()) {
            Some(other) => push_changes(block, other, &mut lines),
            None => push_whole('-', block, &mut lines),
        }
    }
    for block in new.iter().filter(|block| !of_old.contains(block.header.as_str())) {
        push_whole('+', block, &mut lines);
    }
    lines
}

fn push_whole(sign: char, block: &Block, lines: &mut Vec<String>) {
    lines.extend(std::iter::once(&block.header).chain(&block.lines).map(|line| format!("{sign}{line}")));
}

fn push_changes(old: &Block, new: &Block, lines: &mut Vec<String>) {
    let set = |block: &Block| block.lines.iter().cloned().collect::<HashSet<_>>();
    let (of_old, of_new) = (set(old), set(new));
    let gone = old.lines.iter().filter(|line| !of_new.contains(*line)).map(|line| format!("-{line}"));
    let added = new.lines.iter().filter(|line| !of_old.contains(*line)).map(|line| format!("+{line}"));
    let changes: Vec<String> = gone.chain(added).collect();
    if !changes.is_empty() {
        lines.push(format!(" {}", new.header));
        lines.extend(changes);
    }
}
