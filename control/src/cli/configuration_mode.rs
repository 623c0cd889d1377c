//! The lines of a console that changes the configuration: those of the configuration, and a few commands beside them.

use std::sync::LazyLock;

use super::command::{Command, Started, vty_command};
use super::configure::{abort, commit, diff, end, exit, text};
use super::exec;
use crate::appliance::Appliance;
use crate::config::grammar::{Candidate, Grammar, Row};
use crate::config::{Args, Editing, lex};

/// Commands beside the lines of the configuration.
#[rustfmt::skip]
const ROWS: &[Row<Command>] = &[
    vty_command("do <command:text>", "Carry out an exec command", run),
    vty_command("commit [ forced ]", "Bring the changes into force", commit),
    vty_command("end [ forced ]", "Bring the changes into force, and leave the configuration", end),
    vty_command("exit", "Leave the mode, or as end", exit),
    vty_command("abort", "Give the changes up, and leave the configuration", abort),
    vty_command("show configuration diff", "What is typed and not in force yet", diff),
];

static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| Grammar::new(ROWS, &exec::LANGUAGE));

/// The commands beside the lines of the configuration: syntax lines and what they do.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRAMMAR.rows().map(|row| (row.syntax, row.help))
}

/// Carries out a line.
pub(super) fn start(appliance: &mut Appliance, vty: u64, line: &str) -> Started {
    if let Ok(found) = GRAMMAR.parse(&lex::tokens(line))
        && let Command::Vty(command) = found.row.action
    {
        return command(appliance, vty, &found.args);
    }
    let draft = appliance.vtys.get_mut(vty).and_then(|vty| vty.draft.as_mut());
    let said = draft.ok_or("% Not in configuration mode")?.editing.line(line)?;
    Ok(text(said.iter().map(|line| format!("{line}\n")).collect()))
}

/// What could stand at the end of a line.
pub(super) fn complete(editing: &Editing, line: &str) -> Vec<Candidate> {
    let mut words = line.trim_start().splitn(2, char::is_whitespace);
    if let (Some("do"), Some(command)) = (words.next(), words.next()) {
        return exec::complete(command, command.len());
    }
    let mut found = GRAMMAR.complete(line, line.len());
    for candidate in editing.complete(line, line.len()) {
        if !found.iter().any(|known| known.word == candidate.word) {
            found.push(candidate);
        }
    }
    found
}

fn run(appliance: &mut Appliance, vty: u64, args: &Args) -> Started {
    let command: String = args.required("command");
    exec::start(appliance, Some(vty), &command)
}
