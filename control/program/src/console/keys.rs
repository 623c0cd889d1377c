//! Keys, of the bytes that a terminal sends.

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character that may mean something, as `?` does.
    Char(char),
    /// A character that is text, whatever it is.
    Text(char),
    /// The end of the line.
    Enter,
    /// Completion.
    Tab,
    /// The character to the left goes.
    Backspace,
    /// The character at the cursor goes.
    Delete,
    /// As [`Key::Delete`]; the session ends where there is no line.
    DeleteOrLeave,
    /// Of the cursor.
    Left,
    /// Of the cursor.
    Right,
    /// Of the cursor, by a word.
    WordLeft,
    /// Of the cursor, by a word.
    WordRight,
    /// To the line's beginning.
    Home,
    /// To the line's end.
    End,
    /// The line before, of those that were entered.
    Up,
    /// The line after.
    Down,
    /// The line up to the cursor goes.
    EraseHead,
    /// The line from the cursor on goes.
    EraseTail,
    /// The word to the left goes.
    EraseWord,
    /// The word to the right goes.
    EraseNextWord,
    /// The line is shown anew.
    Redraw,
    /// The line is given up.
    Abort,
    /// The configuration is done.
    Suspend,
    /// None that means something here.
    Other,
}

/// Control characters.
const CONTROLS: &[(u8, Key)] = &[
    (0x01, Key::Home),
    (0x02, Key::Left),
    (0x03, Key::Abort),
    (0x04, Key::DeleteOrLeave),
    (0x05, Key::End),
    (0x06, Key::Right),
    (0x08, Key::Backspace),
    (b'\t', Key::Tab),
    (0x0b, Key::EraseTail),
    (0x0c, Key::Redraw),
    (0x0e, Key::Down),
    (0x10, Key::Up),
    (0x12, Key::Redraw),
    (0x15, Key::EraseHead),
    (0x17, Key::EraseWord),
    (0x18, Key::EraseHead),
    (0x1a, Key::Suspend),
    (0x1e, Key::Abort),
    (0x7f, Key::Backspace),
];

/// What follows ESC, and ESC [ or ESC O, up to its last character.
const SEQUENCES: &[(&str, Key)] = &[
    ("b", Key::WordLeft),
    ("f", Key::WordRight),
    ("d", Key::EraseNextWord),
    ("\u{7f}", Key::EraseWord),
    ("[A", Key::Up),
    ("[B", Key::Down),
    ("[C", Key::Right),
    ("[D", Key::Left),
    ("[H", Key::Home),
    ("[F", Key::End),
    ("[1~", Key::Home),
    ("[4~", Key::End),
    ("[7~", Key::Home),
    ("[8~", Key::End),
    ("[3~", Key::Delete),
    ("[1;5C", Key::WordRight),
    ("[1;5D", Key::WordLeft),
];
const PASTE_BEGINS: &str = "[200~";
const PASTE_ENDS: &str = "[201~";
/// Longer ones are no key.
const SEQUENCE_MAX: usize = 16;

/// Makes keys of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Of a sequence that began with ESC.
    sequence: Option<String>,
    /// Of a character of several bytes.
    partial: Vec<u8>,
    /// The last byte was a carriage return: a line feed is of the same end of line.
    is_returned: bool,
    /// Ctrl-V was pressed: what comes next is text.
    is_quoted: bool,
    /// Within a bracketed paste.
    is_pasted: bool,
}

impl Decoder {
    /// The key that this byte completes.
    pub fn feed(&mut self, byte: u8) -> Option<Key> {
        let is_returned = std::mem::replace(&mut self.is_returned, byte == b'\r');
        if self.sequence.is_some() {
            return self.sequence(char::from(byte));
        }
        match byte {
            b'\n' if is_returned => None,
            b'\r' | b'\n' => Some(Key::Enter),
            0x1b => {
                self.sequence = Some(String::new());
                None
            }
            b'\t' if self.is_pasted => Some(Key::Text(' ')),
            0x16 if !self.is_pasted => {
                self.is_quoted = true;
                None
            }
            0..0x20 | 0x7f if self.is_pasted => None,
            0..0x20 | 0x7f => Some(row(CONTROLS, |&control| control == byte)),
            _ => self.character(byte),
        }
    }

    fn character(&mut self, byte: u8) -> Option<Key> {
        if byte.is_ascii() {
            // Of a character that was cut there is no more.
            self.partial.clear();
        }
        self.partial.push(byte);
        let found = match std::str::from_utf8(&self.partial) {
            Ok(text) => text.chars().next()?,
            Err(error) if error.error_len().is_none() => return None,
            Err(_) => char::REPLACEMENT_CHARACTER,
        };
        self.partial.clear();
        let is_text = std::mem::take(&mut self.is_quoted) || self.is_pasted;
        Some(if is_text { Key::Text(found) } else { Key::Char(found) })
    }

    fn sequence(&mut self, next: char) -> Option<Key> {
        let mut sequence = self.sequence.take()?;
        sequence.push(next);
        let is_open = match sequence.chars().next() {
            Some('[') => sequence.len() == 1 || !('@'..='~').contains(&next),
            Some('O') => sequence.len() == 1,
            _ => false,
        };
        if is_open && sequence.len() < SEQUENCE_MAX {
            self.sequence = Some(sequence);
            return None;
        }
        match sequence.as_str() {
            PASTE_BEGINS => self.is_pasted = true,
            PASTE_ENDS => self.is_pasted = false,
            _ if self.is_pasted => {}
            _ => {
                let sequence = sequence.replacen('O', "[", 1);
                return Some(row(SEQUENCES, |&known| known == sequence));
            }
        }
        None
    }
}

fn row<T>(rows: &[(T, Key)], fits: impl Fn(&T) -> bool) -> Key {
    rows.iter().find(|(known, _)| fits(known)).map_or(Key::Other, |(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        bytes.iter().filter_map(|&byte| decoder.feed(byte)).collect()
    }

    #[test]
    fn lines_end_with_one_key_however_they_end() {
        let (a, enter) = (Key::Char('a'), Key::Enter);
        assert_eq!(
            keys(b"a\na\ra\r\na\n\n\r\r"),
            [a, enter, a, enter, a, enter, a, enter, enter, enter, enter]
        );
    }

    #[test]
    fn characters_have_as_many_bytes_as_they_have() {
        assert_eq!(keys("é?€".as_bytes()), ['é', '?', '€'].map(Key::Char));
        assert_eq!(keys(b"\xc3a\xffb"), ['a', char::REPLACEMENT_CHARACTER, 'b'].map(Key::Char));
    }

    #[test]
    fn keys_of_terminals_are_known() {
        let bytes = b"\x1b[A\x1bOB\x1b[3~\x1b[1;5D\x1bf\x1b[25~\x01\x1a\x1b\x7f";
        assert_eq!(
            keys(bytes),
            [
                Key::Up,
                Key::Down,
                Key::Delete,
                Key::WordLeft,
                Key::WordRight,
                Key::Other,
                Key::Home,
                Key::Suspend,
                Key::EraseWord
            ]
        );
    }

    #[test]
    fn what_is_pasted_or_quoted_is_text() {
        let pasted = keys(b"\x1b[200~a?\tb\x03\r\n\x1b[201~?\x16?");
        let text = [Key::Text('a'), Key::Text('?'), Key::Text(' '), Key::Text('b'), Key::Enter];
        assert_eq!(pasted, [&text[..], &[Key::Char('?'), Key::Text('?')]].concat());
    }
}
