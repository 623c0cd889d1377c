//! What a terminal shows of the line, and how that changes without escape sequences: by backspaces, as on IOS.

use super::line::Line;

/// Stands for text beyond the margins.
const BEYOND: char = '$';
/// Characters that a line moves on by when the cursor comes to the margin.
const STEP: usize = 10;

/// The part of the line that is shown behind the prompt.
#[derive(Debug, Default)]
pub struct Screen {
    shown: Vec<char>,
    cursor: usize,
    /// The line's first character that is in view.
    start: usize,
}

impl Screen {
    /// What to send so that this line is shown in `room` columns, the last of which is the cursor's alone.
    pub fn show(&mut self, line: &Line, room: usize) -> String {
        let room = room.saturating_sub(1).max(2 * STEP);
        let (text, at) = (line.chars(), line.at());
        let is_left_out = self.start > 0 && at <= self.start;
        if text.len() <= room {
            self.start = 0;
        } else if is_left_out || at > self.start + room {
            // The cursor is a step away from the right margin, or at the beginning.
            self.start = at.saturating_sub(room - STEP);
        }
        let end = text.len().min(self.start + room);
        let mut wanted = text[self.start..end].to_vec();
        if self.start > 0 {
            wanted[0] = BEYOND;
        }
        if end < text.len()
            && let Some(last) = wanted.last_mut()
        {
            *last = BEYOND;
        }
        let cursor = at - self.start;
        let sent = self.change(&wanted, cursor);
        (self.shown, self.cursor) = (wanted, cursor);
        sent
    }

    fn change(&self, wanted: &[char], cursor: usize) -> String {
        let same = self.shown.iter().zip(wanted).take_while(|(one, other)| one == other).count();
        if same == wanted.len() && same == self.shown.len() {
            return self.moved(wanted, self.cursor, cursor);
        }
        let mut sent = self.moved(wanted, self.cursor, same);
        sent.extend(&wanted[same..]);
        let left_over = self.shown.len().saturating_sub(wanted.len());
        sent.extend(std::iter::repeat_n(' ', left_over));
        sent + &self.moved(wanted, wanted.len() + left_over, cursor)
    }

    /// To the left by backspaces, to the right by what stands there.
    fn moved(&self, wanted: &[char], from: usize, to: usize) -> String {
        match from.checked_sub(to) {
            Some(back) => "\u{8}".repeat(back),
            None => wanted[from..to].iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::*;

    /// A terminal that knows backspaces and printable characters.
    #[derive(Default)]
    struct Paper {
        cells: Vec<char>,
        at: usize,
    }

    impl Paper {
        fn take(&mut self, sent: &str) {
            for char in sent.chars() {
                if char == '\u{8}' {
                    self.at -= 1;
                    continue;
                }
                assert!(!char.is_control(), "{char:?}");
                self.cells.resize(self.cells.len().max(self.at + 1), ' ');
                self.cells[self.at] = char;
                self.at += 1;
            }
        }

        fn text(&self) -> String {
            self.cells.iter().collect::<String>().trim_end().to_string()
        }
    }

    #[test]
    fn typing_sends_what_is_typed_and_nothing_else() {
        let (mut screen, mut line, mut sent) = (Screen::default(), Line::default(), String::new());
        for char in "show ip nat translations".chars() {
            line.press(Key::Char(char));
            sent += &screen.show(&line, 80);
        }
        assert_eq!(sent, "show ip nat translations");
        line.press(Key::Backspace);
        assert_eq!(screen.show(&line, 80), "\u{8} \u{8}");
        line.press(Key::Left);
        assert_eq!(screen.show(&line, 80), "\u{8}");
        line.press(Key::End);
        assert_eq!(screen.show(&line, 80), "n");
    }

    /// After any keys the terminal shows the line, or as much of it as there is room for, and the cursor is where it is.
    #[test]
    fn the_terminal_shows_the_line_after_any_keys() {
        let keys = [
            Key::Char('a'),
            Key::Char('b'),
            Key::Text(' '),
            Key::Char('c'),
            Key::Char('d'),
            Key::Backspace,
            Key::Delete,
            Key::Left,
            Key::Left,
            Key::Right,
            Key::Home,
            Key::End,
            Key::EraseWord,
            Key::WordLeft,
            Key::WordRight,
            Key::Char('e'),
        ];
        const ROOM: usize = 31;
        let (mut screen, mut line, mut paper) = (Screen::default(), Line::default(), Paper::default());
        let (mut state, mut longest) = (7_u32, 0);
        for number in 0..20_000_usize {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Mostly it grows, then mostly it shrinks.
            let kinds = if (number / 500).is_multiple_of(2) { 5 } else { keys.len() };
            line.press(keys[state as usize / 65_536 % kinds]);
            paper.take(&screen.show(&line, ROOM));
            let text = line.text();
            longest = longest.max(text.len());
            assert!(paper.cells.len() < ROOM && paper.at < ROOM, "beyond the margin after {number} keys");
            if text.len() < ROOM {
                assert_eq!((paper.text(), paper.at), (text.trim_end().to_string(), line.at()), "{number}");
                continue;
            }
            let before = paper.at.checked_sub(1).and_then(|at| paper.cells.get(at));
            let typed = line.at().checked_sub(1).map(|at| &line.chars()[at]);
            assert!(
                before == typed || before == Some(&BEYOND),
                "{before:?}, not {typed:?}, after {number} keys"
            );
        }
        assert!(longest > 3 * ROOM, "the longest line had {longest} characters");
    }
}
