//! A case: a configuration and a conversation.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::spec::PacketSpec;

/// Cases of faults that are known and not mended yet are in folders of this name.
const KNOWN: &str = "known";

/// The files of cases below a folder, but those of known faults, in order of their names.
///
/// # Panics
/// When a folder cannot be read.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder that can be read").path();
        if path.is_dir() && !path.ends_with(KNOWN) {
            found.append(&mut files(&path));
        } else if path.extension().is_some_and(|extension| extension == "nat") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A case as its file has it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The file.
    pub file: PathBuf,
    /// What it shows.
    pub title: String,
    /// The requirements behind it.
    pub references: Vec<String>,
    /// The case answers ARP itself.
    pub is_arp_explicit: bool,
    /// The number of workers it holds for, where it does not hold for any.
    pub worker_count: Option<usize>,
    /// The time of day when it begins.
    pub time_of_day: Option<SystemTime>,
    /// The configuration, with empty lines before it so that its line numbers are the file's.
    pub config: String,
    /// The conversation.
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number.
    pub number: usize,
    /// What happens in it.
    pub title: String,
    /// Its line in the file.
    pub line: usize,
    /// What is done and expected, in order, by line.
    pub actions: Vec<(usize, Action)>,
}

/// What a line of a step says.
#[derive(Clone, Debug)]
pub enum Action {
    /// `in`, and `drop` with its reason.
    In(Frames, Option<String>),
    /// `out`
    Out(Frames),
    /// `own`
    Own(Frames),
    /// `counter NAME +N`
    Counter(String, u64),
    /// `wait`, in milliseconds.
    Wait(u64),
    /// `sessions N`
    Sessions(usize),
    /// `where $NAME CONDITION`
    Where(String, Condition),
    /// `config`: lines added to the configuration.
    Config(String),
}

/// Frames that go in or are expected.
#[derive(Clone, Debug)]
pub struct Frames {
    /// Where: a side of the translator, or an interface.
    pub place: String,
    /// The name for what goes in, or the packet that an expected one was.
    pub label: Option<String>,
    /// What they are.
    pub packet: PacketSpec,
    /// How often.
    pub times: usize,
}

/// What is demanded of a number that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `even`
    Even,
    /// `odd`
    Odd,
    /// `in LOW-HIGH`
    In(u64, u64),
    /// `is N` or `is $NAME`
    Is(Operand),
    /// `not N` or `not $NAME`
    Not(Operand),
}

/// What a number is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// This number.
    Number(u64),
    /// What this name stands for.
    Name(String),
}
