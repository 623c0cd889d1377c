//! One line of text to tokens.

/// A word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The word itself, free of white space and never empty.
    pub text: &'a str,
    /// The line from this word on, inner spacing kept, trailing white space cut: what a description takes.
    pub rest: &'a str,
    /// Where the word starts: characters from the start of the line, the first being 1.
    pub column: usize,
}

impl Token<'_> {
    /// The column just after the word.
    pub fn end_column(&self) -> usize {
        self.column + self.text.chars().count()
    }

    /// Whether a comment starts here, unless free text is expected.
    pub fn starts_comment(&self) -> bool {
        self.text.starts_with('!')
    }
}

/// Splits a line at white space, which includes the carriage return of a CRLF file. A line that starts with `!`
/// is a comment and yields nothing; a later word that starts with `!` is left for the grammar to judge, because it
/// is a comment after most statements but belongs to the text of a description.
pub fn tokens(line: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut remaining = line.trim_end();
    let mut column = 1;
    loop {
        let rest = remaining.trim_start();
        column += remaining[..remaining.len() - rest.len()].chars().count();
        let text = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        let token = Token { text, rest, column };
        if text.is_empty() || (tokens.is_empty() && token.starts_comment()) {
            return tokens;
        }
        column = token.end_column();
        remaining = &rest[text.len()..];
        tokens.push(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<(&str, usize)> {
        tokens(line).iter().map(|token| (token.text, token.column)).collect()
    }

    #[test]
    fn columns_count_characters_from_one() {
        assert_eq!(words(" ip  nat\tinside \r"), [("ip", 2), ("nat", 6), ("inside", 10)]);
        assert_eq!(words("déjà vu"), [("déjà", 1), ("vu", 6)]);
        assert_eq!(tokens("déjà")[0].end_column(), 5);
    }

    #[test]
    fn a_comment_line_is_empty() {
        assert_eq!(words("! ip nat inside"), []);
        assert_eq!(words("   !"), []);
        assert_eq!(words(" \t \r"), []);
    }

    #[test]
    fn the_rest_of_a_line_keeps_its_spacing() {
        let tokens = tokens(" description  to  the   ISP ! north  ");
        assert_eq!(tokens[1].rest, "to  the   ISP ! north");
        assert!(tokens[4].starts_comment());
    }
}
