//! Exec commands: a table of syntax lines and what each answers. One file per family of commands.

mod clear;
mod drops;
mod network;
mod statistics;
mod system;
mod translations;

use std::sync::LazyLock;

use crate::appliance::{Answering, Appliance};
use crate::config::Args;
use crate::config::grammar::{Candidate, Grammar, Language, Row};
use crate::config::lex;

/// What a command works on.
pub struct Context<'a> {
    /// The appliance.
    pub appliance: &'a mut Appliance,
    /// How its workers get to answer.
    pub answering: &'a mut dyn Answering,
    /// Milliseconds since the appliance started.
    pub now_ms: u64,
}

/// What a command does: its answer, or why it is refused.
pub type Command = fn(&mut Context, &Args) -> Result<String, String>;

static LANGUAGE: Language = Language { phrases: &[], words: &[] };

static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| {
    let families =
        [translations::ROWS, statistics::ROWS, drops::ROWS, network::ROWS, system::ROWS, clear::ROWS];
    Grammar::new(families.into_iter().flatten(), &LANGUAGE)
});

const fn command(syntax: &'static str, help: &'static str, action: Command) -> Row<Command> {
    Row { syntax, help, action, negatable: false }
}

/// Carries out one command line.
///
/// # Errors
/// In IOS's manner: a marker under the word that is wrong, and what was expected there.
pub fn execute(context: &mut Context, line: &str) -> Result<String, String> {
    let tokens = lex::tokens(line);
    if tokens.is_empty() {
        return Ok(String::new());
    }
    let found = GRAMMAR.parse(&tokens).map_err(|error| {
        let marker = " ".repeat(error.column.saturating_sub(1));
        format!("{line}\n{marker}^\n% Invalid input detected at '^' marker: {error}")
    })?;
    (found.row.action)(context, &found.args)
}

/// What could stand at the cursor of a command line.
pub fn complete(line: &str, cursor: usize) -> Vec<Candidate> {
    GRAMMAR.complete(line, cursor)
}

/// The answer when a worker says nothing.
fn unanswered(worker: usize) -> String {
    format!("% Worker {worker} does not answer")
}

/// `hh:mm:ss`, or days and hours from a day on, as IOS prints durations.
fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s / 86_400 {
        0 => format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
        days => format!("{days}d{:02}h", s / 3600 % 24),
    }
}
