//! Carries out the statements of a file, line by line.

use super::args::Args;
use super::diagnostic::{Diagnostic, Severity};
use super::grammar::{Form, Match};
use super::lex::{Token, tokens};
use super::lint::{lint, lint_in_part};
use super::model::{Config, Interface, Place, Pool, RouteMapEntry, Source, Vrf};
use super::statements::{GRAMMARS, Mode};
use super::syntax_error::SyntaxError;

/// What a row of the configuration's tables does.
pub type Apply = fn(&mut Builder, &Statement) -> Result<(), Fault>;

/// A line that matched its row.
pub struct Statement {
    /// How it was introduced.
    pub form: Form,
    /// What it said.
    pub args: Args,
    /// Where it stands.
    pub place: Place,
}

/// Why a statement cannot be carried out.
pub struct Fault {
    column: usize,
    text: String,
}

/// A configuration in the making.
pub struct Builder {
    pub(super) config: Config,
    pub(super) mode: Mode,
    line: u32,
    diagnostics: Vec<Diagnostic>,
}

impl Fault {
    /// A fault at this column.
    pub fn at(column: usize, text: String) -> Fault {
        Fault { column, text }
    }
}

impl Statement {
    /// Whether the line sets something, rather than removing it or restoring the default.
    pub fn sets(&self) -> bool {
        self.form == Form::Set
    }

    /// A fault in the value of this name.
    pub fn fault(&self, name: &str, text: impl Into<String>) -> Fault {
        Fault { column: self.args.column(name), text: text.into() }
    }
}

impl Builder {
    /// An empty configuration of this file.
    pub fn new(file: &str) -> Builder {
        let source = Source { file: file.to_string(), warnings: Vec::new() };
        let config = Config { source, ..Config::default() };
        Builder { config, mode: Mode::Global, line: 0, diagnostics: Vec::new() }
    }

    /// Reads the next line of the file.
    pub fn add_line(&mut self, line: &str) {
        self.line += 1;
        let tokens = tokens(line);
        if tokens.is_empty() {
            return;
        }
        if let Err(Fault { column, text }) = self.carry_out(&tokens) {
            let diagnostic = self.diagnostic(Severity::Error, column, text);
            self.diagnostics.push(diagnostic);
        }
    }

    /// The configuration, unless it has a mistake.
    pub fn finish(mut self) -> Result<Config, Vec<Diagnostic>> {
        self.config.nat.forget_default_timeouts();
        self.config.nat.forget_default_services();
        let mut found = match self.diagnostics.is_empty() {
            true => lint(&self.config),
            false => lint_in_part(&self.config),
        };
        found.append(&mut self.diagnostics);
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(found);
        }
        Ok(self.config)
    }

    /// Remarks on the statement being carried out.
    pub(super) fn warn(&mut self, column: usize, text: impl Into<String>) {
        let warning = self.diagnostic(Severity::Warning, column, text.into());
        self.config.source.warnings.push(warning);
    }

    /// Remarks on a statement that was to remove something, if it did not.
    pub(super) fn expect_removed(&mut self, removed: bool, statement: &Statement) {
        if !removed {
            self.warn(statement.place.column as usize, "there is nothing like this to remove");
        }
    }

    /// The interface whose mode this is.
    pub(super) fn interface(&mut self) -> &mut Interface {
        match self.mode {
            Mode::Interface(index) => &mut self.config.interfaces[index],
            _ => unreachable!("only lines of the interface mode ask for its interface"),
        }
    }

    /// The VRF whose mode this is.
    pub(super) fn vrf(&mut self) -> &mut Vrf {
        match self.mode {
            Mode::Vrf(index) => &mut self.config.vrfs[index],
            _ => unreachable!("only lines of the VRF mode ask for its VRF"),
        }
    }

    /// The pool whose mode this is.
    pub(super) fn pool(&mut self) -> &mut Pool {
        match self.mode {
            Mode::Pool(index) => &mut self.config.nat.pools[index],
            _ => unreachable!("only lines of the pool mode ask for its pool"),
        }
    }

    /// The entry of a route-map whose mode this is.
    pub(super) fn route_map_entry(&mut self) -> &mut RouteMapEntry {
        match self.mode {
            Mode::RouteMap(map, entry) => &mut self.config.route_maps[map].entries[entry],
            _ => unreachable!("only lines of a route-map's mode ask for its entry"),
        }
    }

    /// The position of the access list whose mode this is.
    pub(super) fn access_list_index(&self) -> usize {
        match self.mode {
            Mode::StandardList(index) | Mode::ExtendedList(index) => index,
            _ => unreachable!("only lines of an access list's mode ask for its list"),
        }
    }

    /// Tries the mode the line stands in, then the global one.
    fn carry_out(&mut self, tokens: &[Token<'_>]) -> Result<(), Fault> {
        let column = tokens[0].column;
        let grammars = &*GRAMMARS;
        let mut error: Option<SyntaxError> = None;
        for grammar in grammars.of(self.mode) {
            match grammar.parse(tokens) {
                // After a line that was to open a mode and failed, the mode's lines are read but say nothing.
                Ok(_) if matches!(self.mode, Mode::Unknown) => return Ok(()),
                Ok(found) => return self.apply(found, column),
                Err(new) => error = Some(error.map_or(new.clone(), |old| old.or(new))),
            }
        }
        match grammars.global.parse(tokens) {
            Ok(found) => {
                self.mode = Mode::Global;
                let result = self.apply(found, column);
                if result.is_err() {
                    self.mode = Mode::Unknown;
                }
                result
            }
            Err(new) => {
                if error.as_ref().is_none_or(|error| error.column < new.column) {
                    self.mode = Mode::Unknown;
                }
                let error = error.map_or(new.clone(), |old| old.or(new));
                Err(Fault { column: error.column, text: error.to_string() })
            }
        }
    }

    fn apply(&mut self, found: Match<'_, Apply>, column: usize) -> Result<(), Fault> {
        let place = Place { line: self.line, column: column as u32 };
        (found.row.action)(self, &Statement { form: found.form, args: found.args, place })
    }

    fn diagnostic(&self, severity: Severity, column: usize, text: String) -> Diagnostic {
        Diagnostic {
            file: self.config.source.file.clone(),
            line: self.line,
            column: column as u32,
            severity,
            text,
        }
    }
}
