//! Words of a line.

/// A word, or a text in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word as it stands.
    Word(String),
    /// The bytes of a text in quotes.
    Text(Vec<u8>),
}

/// The words of a line, taken one by one.
#[derive(Clone, Debug)]
pub struct Cursor {
    tokens: Vec<Token>,
    position: usize,
}

impl Cursor {
    /// Splits a line at white space; braces, brackets and quotes need none around them.
    ///
    /// # Errors
    /// A text that does not end, or an escape that means nothing.
    pub fn new(line: &str) -> Result<Cursor, String> {
        let mut tokens = Vec::new();
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, after) = match first {
                '#' => break,
                '"' => text(&rest[1..])?,
                '{' | '}' | '[' | ']' => (Token::Word(first.to_string()), &rest[1..]),
                _ => {
                    let end = rest.find(|c: char| c.is_whitespace() || "{}[]\"".contains(c));
                    let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                    (Token::Word(word.to_string()), after)
                }
            };
            tokens.push(token);
            rest = after.trim_start();
        }
        Ok(Cursor { tokens, position: 0 })
    }

    /// The next token, left where it is.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    /// Whether the next token is this word.
    pub fn is_at(&self, word: &str) -> bool {
        self.peek() == Some(&Token::Word(word.into()))
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.peek().is_none()
    }

    /// Takes the next token.
    pub fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    /// Takes the next word.
    ///
    /// # Errors
    /// There is none; `what` says what should be there.
    pub fn word(&mut self, what: &str) -> Result<String, String> {
        match self.take() {
            Some(Token::Word(word)) => Ok(word),
            Some(Token::Text(_)) => Err(format!("expected {what}, found a text")),
            None => Err(format!("expected {what}, found the end of the line")),
        }
    }

    /// Takes this very word.
    ///
    /// # Errors
    /// Something else stands there.
    pub fn expect(&mut self, word: &str) -> Result<(), String> {
        let found = self.word(&format!("'{word}'"))?;
        if found == word { Ok(()) } else { Err(format!("expected '{word}', found '{found}'")) }
    }

    /// Takes the next word if it is this one.
    pub fn take_if(&mut self, word: &str) -> bool {
        let is_there = self.is_at(word);
        self.position += usize::from(is_there);
        is_there
    }

    /// Takes the last word off the line.
    pub fn take_last_word(&mut self) -> Option<String> {
        match self.tokens.pop() {
            Some(Token::Word(word)) if self.tokens.len() >= self.position => Some(word),
            _ => None,
        }
    }

    /// Takes `[LABEL]` if it stands there.
    ///
    /// # Errors
    /// A bracket that is not closed.
    pub fn label(&mut self) -> Result<Option<String>, String> {
        if !self.take_if("[") {
            return Ok(None);
        }
        let label = self.word("a label")?;
        self.expect("]")?;
        Ok(Some(label))
    }
}

/// Reads a text up to its closing quote, which is behind it.
fn text(line: &str) -> Result<(Token, &str), String> {
    let mut bytes = Vec::new();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(bytes), &line[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => bytes.push(b'\n'),
                Some((_, 'r')) => bytes.push(b'\r'),
                Some((_, 't')) => bytes.push(b'\t'),
                Some((_, '0')) => bytes.push(0),
                Some((_, c @ ('"' | '\\'))) => bytes.push(c as u8),
                Some((at, 'x')) => {
                    let digits = line.get(at + 1..at + 3);
                    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    bytes.push(byte.ok_or("\\x needs two hexadecimal digits")?);
                    chars.nth(1);
                }
                _ => return Err("a backslash is followed by one of n r t 0 x \\ \"".into()),
            },
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err("the text does not end".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_braces() {
        let mut line = Cursor::new(r#"a "b \"c\x41\r\n" quote{d} # e"#).unwrap();
        let word = |text: &str| Some(Token::Word(text.into()));
        assert_eq!(line.take(), word("a"));
        assert_eq!(line.take(), Some(Token::Text(b"b \"cA\r\n".to_vec())));
        for expected in ["quote", "{", "d", "}"] {
            assert_eq!(line.take(), word(expected));
        }
        assert!(line.is_done());
    }

    #[test]
    fn a_text_that_does_not_end_is_refused() {
        assert!(Cursor::new("\"a").is_err());
        assert!(Cursor::new("\"\\q\"").is_err());
    }
}
