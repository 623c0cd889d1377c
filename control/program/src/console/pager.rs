//! Long answers, a page at a time.

use super::keys::Key;
use super::terminal::Terminal;
use crate::client::Prompt;

/// What stands below a page that is not the last.
const MORE: &str = " --More-- ";

/// Shows one answer. What is typed at the end of a page is the pager's. Lines that were there before it are not: with them,
/// as with a paste, the answer has no pages.
pub struct Pager {
    /// Of a page; none for an answer without pages.
    rows: Option<usize>,
    columns: usize,
    /// Until the page is full.
    rows_left: usize,
    /// Characters of the line that has no end yet.
    column: usize,
    is_stopped: bool,
}

impl Pager {
    /// By what the session says of its pages, and the terminal.
    pub fn new(prompt: &Prompt, terminal: &Terminal) -> Pager {
        let (rows, columns) = terminal.size();
        let length = prompt.length.unwrap_or(rows);
        let rows = (length > 0).then(|| length.max(2) - 1);
        let columns = prompt.width.filter(|width| *width > 0).unwrap_or(columns).max(1);
        Pager { rows, columns, rows_left: rows.unwrap_or_default(), column: 0, is_stopped: false }
    }

    /// Shows a piece, which may end within a line, unless the answer was stopped.
    pub fn show(&mut self, terminal: &mut Terminal, piece: &str) {
        if !self.is_stopped && terminal.is_interrupted() {
            self.stop(terminal);
        }
        for line in piece.split_inclusive('\n') {
            if self.rows.is_some() && self.rows_left == 0 && self.column == 0 && !self.is_stopped {
                self.ask(terminal);
            }
            if self.is_stopped {
                return;
            }
            terminal.print(line);
            self.column += line.trim_end_matches('\n').chars().count();
            if line.ends_with('\n') {
                let rows = self.column.div_ceil(self.columns).max(1);
                self.rows_left = self.rows_left.saturating_sub(rows);
                self.column = 0;
            }
        }
        terminal.flush();
    }

    fn stop(&mut self, terminal: &mut Terminal) {
        self.is_stopped = true;
        if self.column > 0 {
            terminal.print("\n");
        }
    }

    /// Waits for a key: the space bar for a page, return for a line, anything else for the end.
    fn ask(&mut self, terminal: &mut Terminal) {
        if terminal.has_line() {
            self.rows = None;
            return;
        }
        terminal.print(MORE);
        let key = terminal.key();
        let back = "\u{8}".repeat(MORE.len());
        terminal.print(&format!("{back}{}{back}", " ".repeat(MORE.len())));
        match key {
            Some(Key::Char(' ')) => self.rows_left = self.rows.unwrap_or_default(),
            Some(Key::Enter | Key::Down) => self.rows_left = 1,
            // It is of the next command, as if that had been typed at once.
            Some(key @ (Key::Char('!'..) | Key::Text(_))) if key != Key::Char('q') => {
                terminal.give_back(key);
                self.stop(terminal);
            }
            _ => self.stop(terminal),
        }
    }
}
