//! The terminal: keys that wait, what is shown, and how large it is.
use std::collections::VecDeque;
use std::io::{self, Read, Write};

use anyhow::{Context, Result};
use crossbeam::channel::{Receiver, TryRecvError, bounded};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use super::keys::{Decoder, Key};

/// Bytes that are read at once, and so many times as many that wait for the console before the terminal holds them.
const CHUNK_BYTES: usize = 4096;
const CHUNKS_MAX: usize = 64;
const WAITING_BYTES_MAX: usize = 1 << 20;
const CTRL_C: u8 = 0x03;

/// A terminal's keyboard and screen.
pub struct Terminal {
    keyboard: Receiver<Vec<u8>>,
    waiting: VecDeque<u8>,
    decoder: Decoder,
    /// A key that was read and is to be read again.
    returned: Option<Key>,
    screen: Box<dyn Write>,
    unsent: String,
    /// Rows and columns.
    size: Box<dyn Fn() -> (usize, usize)>,
}

impl Terminal {
    /// The process's.
    ///
    /// # Errors
    /// When there can be no thread that reads the keyboard.
    pub fn of_process() -> io::Result<Terminal> {
        let (sender, keyboard) = bounded(CHUNKS_MAX);
        // While an answer is shown, keys are read already: they are the next lines, or end the answer.
        std::thread::Builder::new().name("keyboard".into()).spawn(move || {
            let mut bytes = [0; CHUNK_BYTES];
            while let Ok(len @ 1..) = io::stdin().lock().read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        })?;
        let size = || {
            let (rows, columns) = console::Term::stdout().size();
            (rows.into(), columns.into())
        };
        Ok(Terminal::new(keyboard, Box::new(io::stdout()), Box::new(size)))
    }

    /// One whose keys come from `keyboard`.
    pub fn new(
        keyboard: Receiver<Vec<u8>>,
        screen: Box<dyn Write>,
        size: Box<dyn Fn() -> (usize, usize)>,
    ) -> Terminal {
        let (waiting, decoder, unsent) = (VecDeque::new(), Decoder::default(), String::new());
        Terminal { keyboard, waiting, decoder, returned: None, screen, unsent, size }
    }

    /// Its rows and columns.
    pub fn size(&self) -> (usize, usize) {
        (self.size)()
    }

    /// Shows a text, at the latest when a key is waited for.
    pub fn print(&mut self, text: &str) {
        self.unsent += text;
        if self.unsent.len() > CHUNK_BYTES {
            self.flush();
        }
    }

    /// Shows what has been printed.
    pub fn flush(&mut self) {
        // A terminal that is gone ends the reading of keys.
        let _ = self.screen.write_all(self.unsent.as_bytes()).and_then(|()| self.screen.flush());
        self.unsent.clear();
    }

    /// Waits for a key; none at the end of the input.
    pub fn key(&mut self) -> Option<Key> {
        if self.returned.is_some() {
            return self.returned.take();
        }
        loop {
            while let Some(byte) = self.waiting.pop_front() {
                if let Some(key) = self.decoder.feed(byte) {
                    return Some(key);
                }
            }
            let more = match self.keyboard.try_recv() {
                Ok(more) => more,
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {
                    self.flush();
                    self.keyboard.recv().ok()?
                }
            };
            self.waiting.extend(more);
        }
    }

    /// Has the next [`Terminal::key`] be this one again.
    pub fn give_back(&mut self, key: Key) {
        self.returned = Some(key);
    }

    /// Whether there are keys already, as of a paste.
    pub fn has_keys(&mut self) -> bool {
        self.read_on();
        self.returned.is_some() || !self.waiting.is_empty()
    }

    /// Whether there is a line already, typed ahead or of a paste.
    pub fn has_line(&mut self) -> bool {
        self.read_on();
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let mut rest = self.waiting.iter().skip_while(is_end);
        rest.next().is_some() && rest.any(|byte| is_end(&byte))
    }

    /// Whether Ctrl-C was pressed since; what was typed before it is given up as well.
    pub fn is_interrupted(&mut self) -> bool {
        self.read_on();
        let last = self.waiting.iter().rposition(|&byte| byte == CTRL_C);
        if let Some(last) = last {
            self.waiting.drain(..=last);
        }
        last.is_some()
    }

    fn read_on(&mut self) {
        while self.waiting.len() < WAITING_BYTES_MAX
            && let Ok(more) = self.keyboard.try_recv()
        {
            self.waiting.extend(more);
        }
    }
}

/// The process's terminal gives each key as it is pressed, and shows none by itself, for as long as this lives.
pub struct RawMode(Termios);

impl RawMode {
    /// From now on.
    ///
    /// # Errors
    /// When the standard input is no terminal.
    pub fn enter() -> Result<RawMode> {
        let before = tcgetattr(io::stdin()).context("the terminal cannot be asked for its mode")?;
        let mut raw = before.clone();
        raw.local_flags -= LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN;
        // Line ends stay what they are; those of the output become \r\n by the terminal as before.
        raw.input_flags -= InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IGNCR | InputFlags::ISTRIP;
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        // Now: what was typed ahead stays.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).context("the terminal cannot be set")?;
        Ok(RawMode(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal on whose keyboard this has been typed.
    fn terminal(typed: &[&str]) -> Terminal {
        let (sender, keyboard) = bounded(CHUNKS_MAX);
        typed.iter().for_each(|keys| sender.send(keys.as_bytes().to_vec()).expect("there is room"));
        Terminal::new(keyboard, Box::new(io::sink()), Box::new(|| (24, 80)))
    }

    #[test]
    fn keys_wait_and_come_in_their_order() {
        let mut terminal = terminal(&["a", "b"]);
        assert!(terminal.has_keys());
        assert_eq!(terminal.key(), Some(Key::Char('a')));
        terminal.give_back(Key::Char('a'));
        let keys: Vec<Key> = std::iter::from_fn(|| terminal.key()).collect();
        assert_eq!(keys, ['a', 'b'].map(Key::Char));
        assert!(!terminal.has_keys());
    }

    #[test]
    fn a_line_is_there_when_its_end_is() {
        for (typed, has_line) in
            [(&["show"][..], false), (&["show", " clock\r"], true), (&["\r\n"], false), (&["\rx\n"], true)]
        {
            assert_eq!(terminal(typed).has_line(), has_line, "{typed:?}");
        }
    }

    #[test]
    fn an_interrupt_gives_up_what_was_typed_ahead_of_it() {
        let mut terminal = terminal(&["show", " nothing\r\u{3}x"]);
        assert!(terminal.is_interrupted());
        assert!(!terminal.is_interrupted());
        assert_eq!(terminal.key(), Some(Key::Char('x')));
    }
}
