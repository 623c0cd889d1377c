//! How full the tables are that all hosts share.

use super::metric::Count;

/// The tables of a worker, as metrics and messages name them.
pub const TABLES: [&str; 9] = [
    "sessions",
    "strangers-flows",
    "inside-hosts",
    "whole-addresses",
    "doors",
    "calls",
    "control-sessions",
    "streams",
    "held-segments",
];

/// Places of a table: those that are taken, and all of them.
pub type Level = (usize, usize);

/// The levels of a worker's tables, in the order of [`TABLES`].
#[derive(Default, Debug)]
pub struct Levels([[Count; 2]; TABLES.len()]);

impl Levels {
    pub(crate) fn set(&self, levels: [Level; TABLES.len()]) {
        for ([taken, all], level) in self.0.iter().zip(levels) {
            taken.set(level.0 as u64);
            all.set(level.1 as u64);
        }
    }

    /// Each table's name, places taken, and all places.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        TABLES.into_iter().zip(&self.0).map(|(table, [taken, all])| (table, taken.value(), all.value()))
    }
}
