//! `portico console`: a line editor in front of the command socket.
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use control::config::grammar::Candidate;
use control::log::say;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler,
    Helper, KeyEvent, Modifiers, RepeatCount,
};

use crate::socket::{Answered, request};

/// Talks to the appliance on a socket until the end of the input, or `exit`.
///
/// # Errors
/// When nobody answers on the socket, or the terminal fails.
pub fn console(socket: &Path) -> Result<()> {
    // Who cannot be reached should be told at once, not at the first command.
    let mut name = hostname(socket)?;
    let help_wanted = Arc::new(Mutex::new(None));
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(false).build();
    let mut editor: Editor<Completion, DefaultHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Completion { socket: socket.into() }));
    editor.bind_sequence(
        Event::from(KeyEvent::new('?', Modifiers::NONE)),
        EventHandler::Conditional(Box::new(QuestionMark(Arc::clone(&help_wanted)))),
    );
    let mut begun = (String::new(), String::new());
    loop {
        let line = match editor.readline_with_initial(&format!("{name}#"), (&begun.0, &begun.1)) {
            Ok(line) => line,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(ReadlineError::Interrupted) => {
                begun = Default::default();
                continue;
            }
            Err(error) => return Err(error).context("the terminal cannot be read"),
        };
        let asked = help_wanted.lock().ok().and_then(|mut wanted| wanted.take());
        // Without a terminal there are no keys; then the line says it.
        let asked = asked.or_else(|| line.strip_suffix('?').map(|head| (head.to_string(), String::new())));
        if let Some(asked) = asked {
            show_help(socket, &asked.0);
            begun = if std::io::stdin().is_terminal() { asked } else { Default::default() };
            continue;
        }
        begun = Default::default();
        let _ = editor.add_history_entry(line.trim());
        match line.trim() {
            "" => {}
            "exit" | "quit" | "logout" => return Ok(()),
            command => execute(socket, command),
        }
        name = hostname(socket).unwrap_or(name);
    }
}

fn collected(socket: &Path, line: &str) -> Result<String> {
    let mut text = Vec::new();
    request(socket, line, |piece| {
        let (Answered::Out(bytes) | Answered::Refused(bytes)) = piece;
        text.extend_from_slice(bytes);
        true
    })?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn hostname(socket: &Path) -> Result<String> {
    collected(socket, "hostname")
}

fn candidates(socket: &Path, head: &str) -> Result<Vec<Candidate>> {
    let text = collected(socket, &format!("complete {head}"))?;
    let candidate = |line: &str| {
        let mut fields = line.split('\t').map(str::to_string);
        let (word, help) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        Candidate { word, help, literal: fields.next().as_deref() == Some("1") }
    };
    Ok(text.lines().map(candidate).collect())
}

fn show_help(socket: &Path, head: &str) {
    match candidates(socket, head) {
        Ok(found) if found.is_empty() => print("% Unrecognized command\n"),
        Ok(found) => {
            let width = found.iter().map(|c| c.word.len()).max().unwrap_or(0);
            for Candidate { word, help, .. } in found {
                print(&format!("  {word:<width$}  {help}\n"));
            }
        }
        Err(error) => say(format_args!("{error:#}")),
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone ends the next reading of a line.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn execute(socket: &Path, command: &str) {
    let mut pager = Pager::new();
    let done = request(socket, &format!("exec {command}"), |piece| match piece {
        Answered::Out(text) => pager.show(&String::from_utf8_lossy(text)),
        Answered::Refused(text) => {
            print(&String::from_utf8_lossy(text));
            true
        }
    });
    if let Err(error) = done {
        say(format_args!("{error:#}"));
    }
}

/// Shows a page at a time on a terminal.
struct Pager {
    terminal: Option<console::Term>,
    /// Rows until the page is full.
    rows_left: usize,
}

const MORE: &str = " --More-- ";

impl Pager {
    fn new() -> Pager {
        let terminal = console::Term::stdout();
        let is_terminal = terminal.is_term() && std::io::stdin().is_terminal();
        let mut pager = Pager { terminal: is_terminal.then_some(terminal), rows_left: 0 };
        pager.rows_left = pager.page_rows();
        pager
    }

    fn page_rows(&self) -> usize {
        self.terminal.as_ref().map_or(usize::MAX, |terminal| usize::from(terminal.size().0).max(2) - 1)
    }

    /// Shows a piece, which may end within a line. Returns whether there is to be more.
    fn show(&mut self, piece: &str) -> bool {
        for line in piece.split_inclusive('\n') {
            if self.rows_left == 0 && !self.ask() {
                return false;
            }
            print(line);
            if let Some(terminal) = &self.terminal {
                let columns = usize::from(terminal.size().1).max(1);
                let rows = line.trim_end().chars().count().div_ceil(columns).max(1);
                self.rows_left = self.rows_left.saturating_sub(rows);
            }
        }
        true
    }

    /// Waits for a key: the space bar for a page, return for a line, anything else for the end.
    fn ask(&mut self) -> bool {
        let Some(terminal) = &self.terminal else { return true };
        print(MORE);
        let key = terminal.read_key();
        print(&format!("\r{}\r", " ".repeat(MORE.len())));
        self.rows_left = match key {
            Ok(console::Key::Char(' ') | console::Key::PageDown) => self.page_rows(),
            Ok(console::Key::Enter | console::Key::ArrowDown) => 1,
            _ => return false,
        };
        true
    }
}

/// The `?` key: the line so far is handed back, to be helped with and gone on with.
struct QuestionMark(Arc<Mutex<Option<(String, String)>>>);

impl ConditionalEventHandler for QuestionMark {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let (head, tail) = context.line().split_at_checked(context.pos())?;
        *self.0.lock().ok()? = Some((head.into(), tail.into()));
        Some(Cmd::AcceptLine)
    }
}

/// Completion by the appliance's own grammar.
struct Completion {
    socket: PathBuf,
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, cursor: usize, _: &Context) -> rustyline::Result<(usize, Vec<Pair>)> {
        let head = line.get(..cursor).unwrap_or(line);
        let start = head.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        // Completion is a courtesy: without an answer there is none.
        let found = candidates(&self.socket, head).unwrap_or_default();
        let pair = |c: Candidate| Pair { replacement: format!("{} ", c.word), display: c.word };
        Ok((start, found.into_iter().filter(|c| c.literal).map(pair).collect()))
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Highlighter for Completion {}
impl Validator for Completion {}
impl Helper for Completion {}
