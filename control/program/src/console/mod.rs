//! `portico console`: a session with a running appliance, at a terminal or line by line.
//!
//! At a terminal this is IOS's console: the line is edited with backspaces and never with escape sequences, so that a program
//! behind the terminal reads the text alone. Without one, lines are read and answered, and nothing else is written.

mod editor;
mod help;
mod history;
mod keys;
mod line;
mod pager;
mod screen;
mod terminal;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::client::{Answered, Session, lines};
use editor::{Editor, Entered};
use history::History;
use pager::Pager;
use terminal::{RawMode, Terminal};

/// Talks to the appliance on a socket until the end of the input, or of the session.
///
/// # Errors
/// When nobody answers on the socket, or the terminal fails.
pub fn console(socket: &Path) -> Result<()> {
    let session = Session::connect(socket)?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return script(session);
    }
    let _raw = RawMode::enter()?;
    let mut terminal = Terminal::of_process().context("the terminal cannot be read")?;
    let done = converse(session, &mut terminal, Editor::new(History::of_user()));
    terminal.flush();
    done
}

fn converse(mut session: Session, terminal: &mut Terminal, mut editor: Editor) -> Result<()> {
    loop {
        let is_open = match editor.read(terminal, &mut session)? {
            Entered::Left => return Ok(()),
            Entered::Line(line) => execute(&mut session, terminal, &line)?.is_open,
            Entered::Last(line) => {
                let done = execute(&mut session, terminal, &line)?;
                // What was refused may be what the rest was for.
                match done {
                    Done { is_open: true, is_refused: false } => {
                        execute(&mut session, terminal, "end")?.is_open
                    }
                    done => done.is_open,
                }
            }
        };
        if !is_open {
            return Ok(());
        }
    }
}

struct Done {
    is_open: bool,
    is_refused: bool,
}

fn execute(session: &mut Session, terminal: &mut Terminal, line: &str) -> Result<Done> {
    let mut pager = Pager::new(session.prompt(), terminal);
    let mut is_refused = false;
    terminal.flush();
    let is_open = session.exec(line, |piece| {
        let (Answered::Out(text) | Answered::Refused(text)) = piece;
        is_refused |= matches!(piece, Answered::Refused(_));
        // Whoever has seen enough does not end the session: the rest is read, and shown to nobody.
        pager.show(terminal, &String::from_utf8_lossy(text));
        true
    })?;
    Ok(Done { is_open, is_refused })
}

fn script(mut session: Session) -> Result<()> {
    let mut input = io::stdin().lock();
    let mut bytes = Vec::new();
    while input.read_until(b'\n', &mut bytes).context("the input cannot be read")? > 0 {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for line in lines(&text) {
            if !answer(&mut session, line)? {
                return Ok(());
            }
        }
        bytes.clear();
    }
    Ok(())
}

/// Answers a line as it would be at a terminal. Whether the session goes on.
fn answer(session: &mut Session, line: &str) -> Result<bool> {
    let mut out = io::stdout().lock();
    // Without a terminal there are no keys; then the line says it.
    if let Some(head) = line.strip_suffix('?')
        && !help::is_text(session, head)?
    {
        let text = help::listing(session.complete(head)?);
        return Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok());
    }
    let is_open = session.exec(line, |piece| {
        let (Answered::Out(text) | Answered::Refused(text)) = piece;
        out.write_all(text).is_ok()
    })?;
    Ok(is_open && out.flush().is_ok())
}
