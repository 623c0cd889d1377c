//! Slices of a message of text, which know where they are.

use crate::Span;

/// Some bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice<'m> {
    /// Where they begin.
    start: usize,
    /// The bytes.
    pub bytes: &'m [u8],
}

impl<'m> Slice<'m> {
    /// A whole message.
    pub fn whole(bytes: &'m [u8]) -> Self {
        Slice { start: 0, bytes }
    }

    /// Its place.
    pub fn span(self) -> Span {
        Span { start: self.start, end: self.start + self.bytes.len() }
    }

    /// The first `len` bytes, and the rest.
    pub fn split(self, len: usize) -> (Self, Self) {
        let len = len.min(self.bytes.len());
        let (head, tail) = self.bytes.split_at(len);
        (Slice { start: self.start, bytes: head }, Slice { start: self.start + len, bytes: tail })
    }

    /// Without the first `len` bytes.
    pub fn skip(self, len: usize) -> Self {
        self.split(len).1
    }

    /// Without white space around.
    pub fn trim(self) -> Self {
        let tail = self.bytes.trim_ascii_start();
        let start = self.start + self.bytes.len() - tail.len();
        Slice { start, bytes: tail.trim_ascii_end() }
    }

    /// What is before the first `mark`, and what is behind it if there is one.
    pub fn cut(self, mark: u8) -> (Self, Option<Self>) {
        match self.bytes.iter().position(|byte| *byte == mark) {
            Some(at) => (self.split(at).0, Some(self.skip(at + 1))),
            None => (self, None),
        }
    }

    /// What is between `mark`s, but for those within quotes.
    pub fn fields(self, mark: u8) -> impl Iterator<Item = Slice<'m>> + Clone {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let whole = rest?;
            let mut is_quoted = false;
            let end = whole.bytes.iter().position(|byte| {
                is_quoted ^= *byte == b'"';
                *byte == mark && !is_quoted
            });
            rest = end.map(|end| whole.skip(end + 1));
            Some(whole.split(end.unwrap_or(whole.bytes.len())).0)
        })
    }

    /// Lines, without their ends.
    pub fn lines(self) -> impl Iterator<Item = Slice<'m>> + Clone {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let (line, behind) = rest?.cut(b'\n');
            rest = behind;
            Some(line.split(line.bytes.strip_suffix(b"\r").unwrap_or(line.bytes).len()).0)
        })
    }

    /// Whether it is this word, in any case.
    pub fn is(self, word: &str) -> bool {
        self.bytes.eq_ignore_ascii_case(word.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_know_where_they_are() {
        let message = b"a, \"b,c\" ,d";
        let spans: Vec<_> = Slice::whole(message).fields(b',').map(|f| f.trim().span()).collect();
        let expected = [(0, 1), (3, 8), (10, 11)].map(|(start, end)| Span { start, end });
        assert_eq!(spans, expected);
        let (name, value) = Slice::whole(b"ab=c").cut(b'=');
        assert_eq!((name.bytes, value.map(Slice::span)), (&b"ab"[..], Some(Span { start: 3, end: 4 })));
        let lines: Vec<_> = Slice::whole(b"a\r\n\nb").lines().map(|line| line.bytes).collect();
        assert_eq!(lines, [&b"a"[..], b"", b"b"]);
    }
}
