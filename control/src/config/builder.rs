//! A configuration in the making, and what the statements that make it work with.

use super::args::Args;
use super::diagnostic::{Diagnostic, Severity};
use super::grammar::Form;
use super::lint::{lint, lint_in_part};
use super::model::{Config, Interface, Place, Pool, RouteMapEntry, Source, Vrf};

/// What a row of the configuration's tables does.
pub type Apply = fn(&mut Builder, &Statement) -> Result<(), Fault>;

/// What lines may follow, and which part of the model they edit, by index.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Global,
    Vrf(usize),
    Interface(usize),
    Platform,
    Pool(usize),
    /// A route-map and its entry.
    RouteMap(usize, usize),
    StandardList(usize),
    ExtendedList(usize),
    /// The mode of a line that could not be read.
    Unknown,
}

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

    /// Goes on to the next line of the file.
    pub(super) fn begin_line(&mut self) {
        self.line += 1;
    }

    /// A place in the line.
    pub(super) fn place(&self, column: usize) -> Place {
        Place { line: self.line, column: column as u32 }
    }

    /// Takes note that the line cannot be carried out.
    pub(super) fn refuse(&mut self, fault: Fault) {
        let diagnostic = self.diagnostic(Severity::Error, fault.column, fault.text);
        self.diagnostics.push(diagnostic);
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
