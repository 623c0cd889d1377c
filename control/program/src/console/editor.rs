//! Reading a line at a terminal, with history, completion and help.
use anyhow::Result;

use super::help;
use super::history::History;
use super::keys::Key;
use super::line::Line;
use super::pager::Pager;
use super::screen::Screen;
use super::terminal::Terminal;
use crate::client::Session;

/// What was entered.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// A line.
    Line(String),
    /// A line, which may be empty, and that the configuration is done.
    Last(String),
    /// Nothing: whoever typed is gone.
    Left,
}

/// The line that is being typed, and those before.
pub struct Editor {
    history: History,
    line: Line,
    screen: Screen,
    /// The line of the history that is shown, counted from the last, and the line that it hides.
    recalled: Option<(usize, Line)>,
}

impl Editor {
    /// With these lines before.
    pub fn new(history: History) -> Editor {
        Editor { history, line: Line::default(), screen: Screen::default(), recalled: None }
    }

    /// Reads a line behind the session's prompt.
    ///
    /// # Errors
    /// When the session ends meanwhile.
    pub fn read(&mut self, terminal: &mut Terminal, session: &mut Session) -> Result<Entered> {
        self.begin(terminal, session);
        loop {
            self.draw(terminal, session);
            let Some(key) = terminal.key() else { return Ok(Entered::Left) };
            let is_configuration = session.prompt().is_configuration();
            match key {
                Key::Enter => {
                    terminal.print("\n");
                    return Ok(Entered::Line(self.take()));
                }
                Key::Suspend if is_configuration => {
                    terminal.print("^Z\n");
                    return Ok(Entered::Last(self.take()));
                }
                Key::DeleteOrLeave if self.line.chars().is_empty() && !is_configuration => {
                    terminal.print("\n");
                    return Ok(Entered::Left);
                }
                Key::Abort => {
                    terminal.print("^C\n");
                    self.line = Line::default();
                    self.begin(terminal, session);
                }
                Key::Redraw => {
                    terminal.print("\n");
                    self.begin(terminal, session);
                }
                Key::Up => self.recall(1),
                Key::Down => self.recall(-1),
                Key::Tab => self.complete(terminal, session)?,
                Key::Char('?') if !help::is_text(session, &self.line.head())? => {
                    terminal.print("?\n");
                    self.help(terminal, session)?;
                }
                key => self.line.press(key),
            }
        }
    }

    fn take(&mut self) -> String {
        let line = std::mem::take(&mut self.line).text();
        self.history.add(&line);
        line
    }

    fn begin(&mut self, terminal: &mut Terminal, session: &Session) {
        terminal.print(&session.prompt().text);
        self.screen = Screen::default();
        self.recalled = None;
    }

    fn draw(&mut self, terminal: &mut Terminal, session: &Session) {
        let prompt = session.prompt();
        let width = prompt.width.unwrap_or_else(|| terminal.size().1);
        let room = if width == 0 { usize::MAX } else { width.saturating_sub(prompt.text.chars().count()) };
        terminal.print(&self.screen.show(&self.line, room));
    }

    /// Shows a line of the history: one further back, or the other way, to the line that was being typed.
    fn recall(&mut self, step: isize) {
        let (at, draft) = match &self.recalled {
            Some((at, draft)) => (Some(*at), draft.clone()),
            None => (None, self.line.clone()),
        };
        let next = match at {
            Some(at) => at.checked_add_signed(step),
            None if step > 0 => Some(0),
            None => return,
        };
        let lines = self.history.lines();
        match next {
            None => (self.line, self.recalled) = (draft, None),
            Some(back) if back < lines.len() => {
                self.line = Line::new(&lines[lines.len() - 1 - back]);
                self.recalled = Some((back, draft));
            }
            Some(_) => {}
        }
    }

    fn complete(&mut self, terminal: &mut Terminal, session: &mut Session) -> Result<()> {
        let head = self.line.head();
        let candidates = session.complete(&head)?;
        let typed = head.rsplit(char::is_whitespace).next().unwrap_or_default();
        let is_followed = terminal.has_keys();
        match help::completion(&candidates, typed) {
            Some(word) if word.ends_with(' ') || !is_followed => self.line.replace_word(&word),
            // Within a paste it is the space that it looks like, wherever it completes no word.
            _ if is_followed => self.line.press(Key::Text(' ')),
            _ if candidates.is_empty() => {}
            _ => {
                terminal.print("\n");
                self.list(terminal, session, &help::listing(candidates));
            }
        }
        Ok(())
    }

    fn help(&mut self, terminal: &mut Terminal, session: &mut Session) -> Result<()> {
        let candidates = session.complete(&self.line.head())?;
        self.list(terminal, session, &help::listing(candidates));
        Ok(())
    }

    /// Shows a text below the line, and the line again below that.
    fn list(&mut self, terminal: &mut Terminal, session: &Session, text: &str) {
        Pager::new(session.prompt(), terminal).show(terminal, text);
        terminal.print("\n");
        self.begin(terminal, session);
    }
}
