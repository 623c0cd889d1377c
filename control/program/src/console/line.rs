//! The line that is being typed.

use super::keys::Key;

/// A line and the place of the cursor in it.
#[derive(Clone, Debug, Default)]
pub struct Line {
    text: Vec<char>,
    at: usize,
}

impl Line {
    /// This text, with the cursor behind it.
    pub fn new(text: &str) -> Line {
        let text: Vec<char> = text.chars().collect();
        Line { at: text.len(), text }
    }

    /// Its characters.
    pub fn chars(&self) -> &[char] {
        &self.text
    }

    /// The number of characters before the cursor.
    pub fn at(&self) -> usize {
        self.at
    }

    /// All of it.
    pub fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// What is before the cursor.
    pub fn head(&self) -> String {
        self.text[..self.at].iter().collect()
    }

    /// Puts other text in the place of the last word before the cursor, or of the part of it that is there.
    pub fn replace_word(&mut self, text: &str) {
        let start = self.text[..self.at].iter().rposition(|char| char.is_whitespace()).map_or(0, |at| at + 1);
        self.text.splice(start..self.at, text.chars());
        self.at = start + text.chars().count();
    }

    /// Does what a key asks for, if it is about the line alone.
    pub fn press(&mut self, key: Key) {
        let len = self.text.len();
        match key {
            Key::Char(char) | Key::Text(char) => {
                self.text.insert(self.at, char);
                self.at += 1;
            }
            Key::Backspace => self.erase(self.at.saturating_sub(1), self.at),
            Key::Delete | Key::DeleteOrLeave => self.erase(self.at, (self.at + 1).min(len)),
            Key::EraseHead => self.erase(0, self.at),
            Key::EraseTail => self.erase(self.at, len),
            Key::EraseWord => self.erase(self.word_left(), self.at),
            Key::EraseNextWord => self.erase(self.at, self.word_right()),
            Key::Left => self.at = self.at.saturating_sub(1),
            Key::Right => self.at = (self.at + 1).min(len),
            Key::WordLeft => self.at = self.word_left(),
            Key::WordRight => self.at = self.word_right(),
            Key::Home => self.at = 0,
            Key::End => self.at = len,
            _ => {}
        }
    }

    fn erase(&mut self, from: usize, to: usize) {
        self.text.drain(from..to);
        self.at = from;
    }

    fn word_left(&self) -> usize {
        let head = &self.text[..self.at];
        let end = head.iter().rposition(|char| !char.is_whitespace()).map_or(0, |at| at + 1);
        head[..end].iter().rposition(|char| char.is_whitespace()).map_or(0, |at| at + 1)
    }

    fn word_right(&self) -> usize {
        let tail = &self.text[self.at..];
        let start = tail.iter().position(|char| !char.is_whitespace()).unwrap_or(tail.len());
        let end = tail[start..].iter().position(|char| char.is_whitespace());
        self.at + end.map_or(tail.len(), |len| start + len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line after these keys, with `^` at the cursor.
    #[track_caller]
    fn expect(line: &str, keys: &[Key], expected: &str) {
        let mut line = Line::new(line);
        keys.iter().for_each(|&key| line.press(key));
        let tail: String = line.chars()[line.at()..].iter().collect();
        assert_eq!(format!("{}^{tail}", line.head()), expected, "{keys:?}");
    }

    #[test]
    fn keys_do_what_they_do_on_ios() {
        use Key::*;
        expect("ip nat", &[Left, Left, Char('g'), Right, Text('?')], "ip nga?^t");
        expect("ip nat", &[Home, Char('n'), Char('o'), Char(' ')], "no ^ip nat");
        expect("ip nat", &[Home, Backspace, Left, Delete], "^p nat");
        expect("ip nat", &[Delete, Right, Backspace], "ip na^");
        expect("ip  nat  inside ", &[EraseWord], "ip  nat  ^");
        expect("ip  nat  inside ", &[WordLeft, WordLeft, EraseHead], "^nat  inside ");
        expect("ip  nat  inside ", &[Home, WordRight, WordRight, EraseTail], "ip  nat^");
        expect("ip nat inside", &[Home, EraseNextWord, End], " nat inside^");
        expect("", &[EraseWord, EraseHead, EraseTail, Backspace, Delete, WordLeft, WordRight], "^");
    }

    #[test]
    fn a_word_is_replaced_up_to_the_cursor() {
        let mut line = Line::new("show ip na trans");
        (0.." trans".len()).for_each(|_| line.press(Key::Left));
        line.replace_word("nat");
        assert_eq!((line.text().as_str(), line.head().as_str()), ("show ip nat trans", "show ip nat"));
        let mut line = Line::new("");
        line.replace_word("show ");
        assert_eq!(line.head(), "show ");
    }
}
