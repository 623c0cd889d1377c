//! Reads a file, line by line: each matches a row of the statements' tables, and is carried out.

use super::builder::{Apply, Builder, Fault, Mode, Statement, Under};
use super::diagnostic::{Diagnostic, Severity};
use super::family::{FAMILIES, MODES};
use super::grammar::{Grammar, Match};
use super::lex::{Token, tokens};
use super::lint::{lint, lint_in_part};
use super::model::Config;
use super::passed_over;
use super::syntax_error::SyntaxError;

/// A file without a mistake.
#[derive(Debug)]
pub struct Parsed {
    /// What it says.
    pub config: Config,
    /// Warnings and notes, in the order of the lines.
    pub warnings: Vec<Diagnostic>,
    /// Lines that are not a matter of NAT, which were passed over.
    pub passed_over: usize,
}

/// Reads a configuration, and judges it.
///
/// # Errors
/// Every mistake and warning, in the order of the lines, if there is at least one mistake.
pub fn parse(file: &str, text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    parse_with(Builder::new(file), text)
}

/// Reads a configuration in which every line has to be one of ours.
///
/// # Errors
/// As [`parse`].
pub fn parse_strictly(file: &str, text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    let mut builder = Builder::new(file);
    builder.is_strict = true;
    parse_with(builder, text)
}

fn parse_with(mut builder: Builder, text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    for line in text.trim_start_matches('\u{feff}').lines() {
        builder.begin_line();
        if let Err(fault) = read(&mut builder, line) {
            builder.refuse(fault);
        }
    }
    if let Some(Under::Text(end)) = &builder.under {
        let fault = Fault::at(1, format!("the file ends within a banner; a line with {end:?} ends its text"));
        builder.refuse(fault);
    }
    finish(builder)
}

/// Reads one line.
pub(super) fn read(builder: &mut Builder, line: &str) -> Result<(), Fault> {
    let tokens = tokens(line);
    if passed_over::belongs(builder, line)? || tokens.is_empty() {
        return Ok(());
    }
    carry_out(builder, &tokens)
}

/// The configuration, unless it has a mistake.
fn finish(builder: Builder) -> Result<Parsed, Vec<Diagnostic>> {
    let passed_over = builder.passed_over;
    let (config, found) = builder.finish();
    judge(config, found, passed_over)
}

/// A configuration, with what was found about its lines, as a whole.
pub(super) fn judge(
    mut config: Config,
    mut found: Vec<Diagnostic>,
    passed_over: usize,
) -> Result<Parsed, Vec<Diagnostic>> {
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    for family in FAMILIES {
        (family.finish)(&mut config);
    }
    found.extend(if found.iter().any(is_error) { lint_in_part(&config) } else { lint(&config) });
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    if found.iter().any(is_error) {
        return Err(found);
    }
    Ok(Parsed { config, warnings: found, passed_over })
}

/// The tables to try before the global one.
pub(super) fn grammars_of(mode: Option<Mode>) -> impl Iterator<Item = &'static Grammar<Apply>> {
    let is_tried = move |of: Mode| of != Mode::Global && mode.is_none_or(|mode| mode == of);
    MODES.iter().filter(move |row| is_tried(row.mode)).map(|row| &row.grammar)
}

/// The table of a mode.
pub(super) fn grammar_of(mode: Mode) -> &'static Grammar<Apply> {
    &MODES.iter().find(|row| row.mode == mode).expect("every mode is in the table").grammar
}

/// Tries the mode the line stands in, then the global one.
fn carry_out(builder: &mut Builder, tokens: &[Token<'_>]) -> Result<(), Fault> {
    if passed_over::pass_over_block(builder, tokens)? {
        return Ok(());
    }
    let column = tokens[0].column;
    let mut error: Option<SyntaxError> = None;
    for grammar in grammars_of(builder.mode) {
        match grammar.parse(tokens) {
            // After a line that was to open a mode and failed, the mode's lines are read but say nothing.
            Ok(_) if builder.mode.is_none() => return Ok(()),
            Ok(found) => {
                passed_over::end_block(builder, tokens);
                builder.mode_column = Some(column);
                builder.table = builder.mode.unwrap_or(Mode::Global);
                return apply(builder, found, column);
            }
            Err(new) => error = Some(error.map_or(new.clone(), |old| old.or(new))),
        }
    }
    match grammar_of(Mode::Global).parse(tokens) {
        Ok(found) => {
            passed_over::end_block(builder, tokens);
            (builder.mode, builder.table, builder.mode_column) = (Some(Mode::Global), Mode::Global, None);
            let result = apply(builder, found, column);
            if result.is_err() {
                builder.mode = None;
            }
            result
        }
        Err(new) => {
            let is_further = error.as_ref().is_none_or(|error| error.column < new.column);
            let error = error.map_or(new.clone(), |old| old.or(new));
            if !builder.is_strict && passed_over::pass_over(builder, tokens, &error)? {
                return Ok(());
            }
            if is_further {
                builder.mode = None;
            }
            builder.under = None;
            Err(error.into())
        }
    }
}

fn apply(builder: &mut Builder, found: Match<'_, Apply>, column: usize) -> Result<(), Fault> {
    let place = builder.place(column);
    let statement = Statement { form: found.form, args: found.args, place };
    let is_kept = statement.sets();
    builder.is_forced |= !is_kept && statement.args.has("forced");
    let result = (found.row.action)(builder, &statement);
    if !is_kept {
        builder.known.forget();
    }
    result
}
