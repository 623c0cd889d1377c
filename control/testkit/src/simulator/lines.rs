//! A toy protocol of lines, the inspector that rewrites it, and what an ideal rewriter would make of a whole stream.
//!
//! What becomes of a line is written in it: `G` grows, `S` and the three bytes behind it shrink, `R` is replaced by
//! as many bytes. A line that begins with `D` is deleted, one with `B` grows beyond any segment, one with `X` is not
//! the protocol, one with `O` and five digits is followed by as many bytes that are no lines.

use std::ops::Range;

use dataplane::stream::{EditList, Inspection, Inspector, Sender};
use rand::RngExt;
use rand::rngs::SmallRng;

const GROWN: &[u8] = b"<grown by some bytes>";
const BOMB_LEN: usize = 3000;
/// Bytes of the length behind an `O`.
const DIGITS: usize = 5;

/// The replacements of one line, its end included.
fn edits(line: &[u8]) -> Vec<(Range<usize>, Vec<u8>)> {
    match line.first() {
        Some(b'D') => return vec![(0..line.len(), Vec::new())],
        Some(b'B') => return vec![(0..1, vec![b'b'; BOMB_LEN])],
        _ => {}
    }
    let mut edits = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let (range, new): (Range<usize>, &[u8]) = match line[at] {
            b'G' => (at..at + 1, GROWN),
            b'S' if at + 4 < line.len() => (at..at + 4, b""),
            b'R' => (at..at + 1, b"r"),
            _ => (at..at + 1, &line[at..at + 1]),
        };
        at = range.end;
        if new != &line[range.clone()] {
            edits.push((range, new.to_vec()));
        }
    }
    edits
}

/// What follows a line and is none.
fn opaque_len(line: &[u8]) -> usize {
    let digits = line.strip_prefix(b"O").and_then(|rest| rest.get(..DIGITS));
    digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

/// The stream rewritten up to `until`, which lies between two messages.
pub fn ideal(script: &[u8], until: usize) -> Vec<u8> {
    let mut output = Vec::new();
    let mut rest = &script[..until.min(script.len())];
    while !rest.is_empty() {
        let Some(line_len) = rest.iter().position(|byte| *byte == b'\n').map(|at| at + 1) else { break };
        let line = &rest[..line_len];
        let mut done = 0;
        if opaque_len(line) == 0 {
            for (range, new) in edits(line) {
                output.extend_from_slice(&line[done..range.start]);
                output.extend_from_slice(&new);
                done = range.end;
            }
        }
        output.extend_from_slice(&line[done..]);
        let opaque = opaque_len(line).min(rest.len() - line_len);
        output.extend_from_slice(&rest[line_len..line_len + opaque]);
        rest = &rest[line_len + opaque..];
    }
    output.extend_from_slice(rest);
    output.extend_from_slice(&script[until.min(script.len())..]);
    output
}

/// Reads lines.
#[derive(Default)]
pub struct Lines {
    /// Where messages began, by sender.
    pub boundaries: [Vec<usize>; 2],
    released: [usize; 2],
}

impl Lines {
    /// Up to where it has released a sender's bytes.
    pub fn released(&self, sender: Sender) -> usize {
        self.released[sender as usize]
    }
}

impl Inspector for Lines {
    fn inspect(&mut self, sender: Sender, bytes: &[u8], list: &mut EditList) -> Inspection {
        assert!(!bytes.is_empty() && list.is_empty());
        let sender = sender as usize;
        if bytes[0] == b'X' {
            return Inspection::Detach;
        }
        let Some(line_len) = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1) else {
            return Inspection::Line { length_max: usize::MAX };
        };
        let line = &bytes[..line_len];
        let length = line_len + opaque_len(line);
        if length == line_len {
            // The last ones first: a list takes them in any order.
            for (range, new) in edits(line).into_iter().rev() {
                list.replace(range, &new).expect("an edit that overlaps none");
            }
        }
        self.boundaries[sender].push(self.released[sender]);
        self.released[sender] += length;
        Inspection::Release { length }
    }
}

/// What scripts are made of.
#[derive(Clone, Debug)]
pub struct Style {
    /// Lines of a script.
    pub line_count: usize,
    /// Bytes of a line, at most.
    pub line_len_max: usize,
    /// Whether some line may be none of the protocol.
    pub is_foreign: bool,
    /// Whether something may change at all.
    pub is_edited: bool,
}

/// A script of random lines.
pub fn script(style: &Style, generator: &mut SmallRng) -> Vec<u8> {
    let mut script = Vec::new();
    let foreign = style.is_foreign.then(|| generator.random_range(0..=style.line_count));
    for number in 0..style.line_count {
        let len = generator.random_range(0..=style.line_len_max);
        let first = match generator.random_range(0..100) {
            _ if foreign == Some(number) => b'X',
            0..10 if style.is_edited => b'D',
            10..13 if style.is_edited => b'B',
            13..18 => b'O',
            _ => b'p',
        };
        let opaque = if first == b'O' { generator.random_range(1..=style.line_len_max.max(1)) } else { 0 };
        script.push(first);
        if first == b'O' {
            script.extend_from_slice(format!("{opaque:05}").as_bytes());
        }
        for _ in 0..len {
            script.push(match generator.random_range(0..60) {
                0 if style.is_edited => b'G',
                1 if style.is_edited => b'S',
                2 if style.is_edited => b'R',
                other => b'a' + other % 26,
            });
        }
        script.push(b'\n');
        script.extend((0..opaque).map(|_| b"\nGSRDBX"[generator.random_range(0..7)]));
    }
    script
}
