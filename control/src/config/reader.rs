//! Reads a file, line by line: each matches a row of the statements' tables, and is carried out.

use super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::diagnostic::{Diagnostic, Severity};
use super::family::{FAMILIES, GRAMMARS};
use super::grammar::{Grammar, Match};
use super::lex::{Token, tokens};
use super::lint::{lint, lint_in_part};
use super::model::Config;
use super::syntax_error::SyntaxError;

/// Reads a configuration. What the text is warned of is kept in the configuration's source, for [`lint`](super::lint())
/// to repeat.
///
/// # Errors
/// Every mistake and warning, in the order of the lines, if there is at least one mistake.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
    let mut builder = Builder::new(file);
    for line in text.trim_start_matches('\u{feff}').lines() {
        builder.begin_line();
        let tokens = tokens(line);
        if !tokens.is_empty()
            && let Err(fault) = carry_out(&mut builder, &tokens)
        {
            builder.refuse(fault);
        }
    }
    finish(builder)
}

/// The configuration, unless it has a mistake.
fn finish(builder: Builder) -> Result<Config, Vec<Diagnostic>> {
    let (mut config, mut mistakes) = builder.finish();
    for family in FAMILIES {
        (family.finish)(&mut config);
    }
    let mut found = if mistakes.is_empty() { lint(&config) } else { lint_in_part(&config) };
    found.append(&mut mistakes);
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(found);
    }
    Ok(config)
}

/// The tables to try before the global one.
fn grammars_of(mode: Option<Mode>) -> impl Iterator<Item = &'static Grammar<Apply>> {
    let is_tried = move |of: Mode| of != Mode::Global && mode.is_none_or(|mode| mode == of);
    GRAMMARS.iter().filter(move |(of, _)| is_tried(*of)).map(|(_, grammar)| grammar)
}

/// Tries the mode the line stands in, then the global one.
fn carry_out(builder: &mut Builder, tokens: &[Token<'_>]) -> Result<(), Fault> {
    let column = tokens[0].column;
    let mut error: Option<SyntaxError> = None;
    for grammar in grammars_of(builder.mode) {
        match grammar.parse(tokens) {
            // After a line that was to open a mode and failed, the mode's lines are read but say nothing.
            Ok(_) if builder.mode.is_none() => return Ok(()),
            Ok(found) => return apply(builder, found, column),
            Err(new) => error = Some(error.map_or(new.clone(), |old| old.or(new))),
        }
    }
    let global = GRAMMARS.iter().find(|(mode, _)| *mode == Mode::Global);
    let (_, global) = global.expect("the global mode is in the table");
    match global.parse(tokens) {
        Ok(found) => {
            builder.mode = Some(Mode::Global);
            let result = apply(builder, found, column);
            if result.is_err() {
                builder.mode = None;
            }
            result
        }
        Err(new) => {
            if error.as_ref().is_none_or(|error| error.column < new.column) {
                builder.mode = None;
            }
            let error = error.map_or(new.clone(), |old| old.or(new));
            Err(Fault::at(error.column, error.to_string()))
        }
    }
}

fn apply(builder: &mut Builder, found: Match<'_, Apply>, column: usize) -> Result<(), Fault> {
    let place = builder.place(column);
    let statement = Statement { form: found.form, args: found.args, place };
    let is_kept = statement.sets();
    let result = (found.row.action)(builder, &statement);
    if !is_kept {
        builder.known.forget();
    }
    result
}
