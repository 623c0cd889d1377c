//! Reads a file, line by line: each matches a row of the statements' tables, and is carried out.

use super::builder::{Apply, Builder, Fault, Mode, Statement};
use super::diagnostic::Diagnostic;
use super::grammar::Match;
use super::lex::{Token, tokens};
use super::model::Config;
use super::statements::GRAMMARS;
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
    builder.finish()
}

/// Tries the mode the line stands in, then the global one.
fn carry_out(builder: &mut Builder, tokens: &[Token<'_>]) -> Result<(), Fault> {
    let column = tokens[0].column;
    let grammars = &*GRAMMARS;
    let mut error: Option<SyntaxError> = None;
    for grammar in grammars.of(builder.mode) {
        match grammar.parse(tokens) {
            // After a line that was to open a mode and failed, the mode's lines are read but say nothing.
            Ok(_) if matches!(builder.mode, Mode::Unknown) => return Ok(()),
            Ok(found) => return apply(builder, found, column),
            Err(new) => error = Some(error.map_or(new.clone(), |old| old.or(new))),
        }
    }
    match grammars.global.parse(tokens) {
        Ok(found) => {
            builder.mode = Mode::Global;
            let result = apply(builder, found, column);
            if result.is_err() {
                builder.mode = Mode::Unknown;
            }
            result
        }
        Err(new) => {
            if error.as_ref().is_none_or(|error| error.column < new.column) {
                builder.mode = Mode::Unknown;
            }
            let error = error.map_or(new.clone(), |old| old.or(new));
            Err(Fault::at(error.column, error.to_string()))
        }
    }
}

fn apply(builder: &mut Builder, found: Match<'_, Apply>, column: usize) -> Result<(), Fault> {
    let place = builder.place(column);
    (found.row.action)(builder, &Statement { form: found.form, args: found.args, place })
}
