//! A configuration under construction, and the types that its statements use.

use super::args::Args;
use super::diagnostic::{Diagnostic, Severity};
use super::grammar::Form;
use super::known::Known;
use super::lex::Token;
use super::model::{Config, Place, Source};
use super::syntax_error::SyntaxError;

/// The function that carries out a statement.
pub type Apply = fn(&mut Builder, &Statement) -> Result<(), Fault>;

/// A configuration mode: it decides which lines may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a table has their titles")]
pub enum Mode {
    Global,
    Platform,
    Vrf,
    Interface,
    Pool,
    RouteMap,
    StandardList,
    ExtendedList,
    NetworkGroup,
    ServiceGroup,
    Track,
    TimeRange,
}

/// What lines behind one that is passed over belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Under {
    /// Those of its block.
    Block(Block),
    /// All, to the one with this in it.
    Text(String),
}

/// A block that is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// What its first line is.
    pub(super) kind: BlockKind,
    /// How far its first line is indented: lines that are indented further belong to it.
    pub(super) indent: usize,
    /// How its lines are written, once one was seen.
    pub(super) layout: Option<Layout>,
}

/// What begins a block that is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// An interface.
    Interface,
    /// A line that has others under it.
    Mode,
    /// A line that hardly has: lines that are indented further belong to it unless they are ours.
    Line,
}

/// How the lines of a block are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Further to the right than its first line.
    Indented,
    /// Like its first line, as in a file that lost its white space.
    Flush,
}

/// A line that matched its row.
pub struct Statement {
    /// Whether it began with `no` or `default`.
    pub form: Form,
    /// The values of its parameters.
    pub args: Args,
    /// Its line and column in the file.
    pub place: Place,
}

/// Why a statement cannot be carried out.
pub struct Fault {
    column: usize,
    text: String,
    /// If no row has such a line: why.
    syntax: Option<Box<SyntaxError>>,
}

/// A configuration under construction.
pub struct Builder {
    pub(super) config: Config,
    /// An index of what the configuration contains.
    pub(super) known: Known,
    /// The mode of the next line. None after a line that could not be read, as that line may have opened a mode.
    pub(super) mode: Option<Mode>,
    /// What the mode's lines edit: the position of an object in its list, and the position of a part in that object.
    pub(super) opened: (usize, usize),
    /// Where the last of the mode's lines began, once there was one.
    pub(super) mode_column: Option<usize>,
    line: u32,
    diagnostics: Vec<Diagnostic>,
    /// What lines are passed over with the last one.
    pub(super) under: Option<Under>,
    /// Lines that were passed over.
    pub(super) passed_over: usize,
    /// Whether none is.
    pub(super) is_strict: bool,
    /// The mode whose table had the last line.
    pub(super) table: Mode,
    /// Whether a line removed something with `forced`.
    pub(super) is_forced: bool,
}

impl Fault {
    /// A fault at this column.
    pub fn at(column: usize, text: String) -> Fault {
        Fault { column, text, syntax: None }
    }

    /// What a console says of it, in IOS's words.
    pub(super) fn in_ios_words(&self, line: &str) -> String {
        match &self.syntax {
            Some(error) => error.in_ios_words(line),
            None => format!("% {}", self.text),
        }
    }
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Fault {
        Fault { column: error.column, text: error.to_string(), syntax: Some(Box::new(error)) }
    }
}

impl Statement {
    /// Whether the line sets something, rather than removing it or restoring the default.
    pub fn sets(&self) -> bool {
        self.form == Form::Set
    }

    /// A fault in the value of this name.
    pub fn fault(&self, name: &str, text: impl Into<String>) -> Fault {
        Fault::at(self.args.column(name), text.into())
    }
}

impl Builder {
    /// An empty configuration of this file.
    pub(super) fn new(file: &str) -> Builder {
        let source = Source { file: file.to_string() };
        let config = Config { source, ..Config::default() };
        let known = Known::default();
        Builder {
            config,
            known,
            mode: Some(Mode::Global),
            opened: (0, 0),
            mode_column: None,
            line: 0,
            diagnostics: Vec::new(),
            under: None,
            passed_over: 0,
            is_strict: false,
            table: Mode::Global,
            is_forced: false,
        }
    }

    /// Goes on to the next line of the file.
    pub(super) fn begin_line(&mut self) {
        self.line += 1;
    }

    /// A place in the line.
    pub(super) fn place(&self, column: usize) -> Place {
        Place { line: self.line, column: column as u32 }
    }

    /// Reports that the line cannot be carried out.
    pub(super) fn refuse(&mut self, fault: Fault) {
        let diagnostic = self.diagnostic(Severity::Error, fault.column, fault.text);
        self.diagnostics.push(diagnostic);
    }

    /// What there was to say of the lines since this was last asked.
    pub(super) fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.diagnostics)
    }

    /// The configuration, and the errors and warnings about its lines.
    pub(super) fn finish(self) -> (Config, Vec<Diagnostic>) {
        (self.config, self.diagnostics)
    }

    /// Opens a mode. Its lines edit what `opened` says.
    pub(super) fn open(&mut self, mode: Mode, opened: (usize, usize)) {
        self.mode = Some(mode);
        self.opened = opened;
    }

    /// Warns about the statement that is being carried out.
    pub(super) fn warn(&mut self, column: usize, text: impl Into<String>) {
        let warning = self.diagnostic(Severity::Warning, column, text.into());
        self.diagnostics.push(warning);
    }

    /// Warns about a line that has nothing to do with NAT.
    pub(super) fn pass_over(&mut self, first: &Token<'_>, what: &str) {
        self.passed_over += 1;
        self.warn(first.column, format!("{:?} {what} passed over: not a matter of NAT", first.rest));
    }

    /// Warns about a statement that should have removed something, if it did not.
    pub(super) fn expect_removed(&mut self, removed: bool, statement: &Statement) {
        if !removed {
            self.warn(statement.place.column as usize, "there is nothing like this to remove");
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
