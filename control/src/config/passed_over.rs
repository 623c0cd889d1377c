//! Passing over what is not a matter of NAT: lines that begin as the tables of `foreign.rs` say, and the lines of their blocks.

use super::builder::{Block, BlockKind, Builder, Fault, Layout, Mode, Under};
use super::family::MODES;
use super::foreign::{
    BLOCKS, BLOCKS_OF_INTERFACES, INTERFACES, LINES, NO_DIALER, OF_INTERFACES, OF_VRFS, REFUSED,
};
use super::lex::{Token, tokens};
use super::syntax_error::SyntaxError;

/// First words of lines that end no block, as blocks have such lines too.
const OF_BLOCKS_TOO: &[&str] = &["do", "exit", "service", "version"];

/// First words of lines that a NAT would miss. What could be one of them with a slip in it is never passed over.
const MISSED: &[&str] = &[
    "access-list",
    "alg",
    "arp",
    "default",
    "do",
    "interface",
    "ip",
    "ipaccess-list",
    "ipnat",
    "iproute",
    "no",
    "platform",
    "route-map",
    "vrf",
];

/// A line that no table has.
pub(super) struct Unknown<'t> {
    tokens: &'t [Token<'t>],
    /// How many words introduce it: `no` or `default`.
    introduced: usize,
    /// What the tables make of it.
    error: &'t SyntaxError,
}

/// Whether a line belongs to one before it that was passed over: to a block, or to a banner's text.
///
/// # Errors
/// When NAT is configured on an interface that is passed over.
pub(super) fn belongs(builder: &mut Builder, line: &str) -> Result<bool, Fault> {
    match builder.under.take() {
        None => Ok(false),
        Some(Under::Text(end)) => {
            builder.passed_over += 1;
            if !line.contains(&end) {
                builder.under = Some(Under::Text(end));
            }
            Ok(true)
        }
        Some(Under::Block(block)) => of_block(builder, block, line),
    }
}

fn of_block(builder: &mut Builder, mut block: Block, line: &str) -> Result<bool, Fault> {
    let indent = line.len() - line.trim_start().len();
    let words = tokens(line);
    let is_below = indent > block.indent;
    match (words.is_empty(), is_below, block.layout) {
        // A comment between blocks ends one, but where they are not indented comments stand within them too.
        (true, false, layout) if !line.trim().is_empty() && layout != Some(Layout::Flush) => {
            return Ok(false);
        }
        (true, ..) => {
            builder.under = Some(Under::Block(block));
            return Ok(true);
        }
        (false, false, Some(Layout::Indented)) => return Ok(false),
        (false, false, _) if block.kind == BlockKind::Line => return Ok(false),
        (false, true, None | Some(Layout::Indented)) if block.kind != BlockKind::Line => {
            block.layout = Some(Layout::Indented);
        }
        (false, false, _) if block.kind == BlockKind::Interface && is_of_interface(&words) => {
            block.layout = Some(Layout::Flush)
        }
        // It may be one of ours, or belong to the block: that is seen when it is read.
        (false, ..) => {
            builder.under = Some(Under::Block(block));
            return Ok(false);
        }
    }
    builder.under = Some(Under::Block(block));
    builder.passed_over += 1;
    if block.kind == BlockKind::Interface && is_nat(&words) {
        return Err(Fault::at(words[0].column, "NAT on an interface of this type is not supported".into()));
    }
    Ok(true)
}

/// Whether a line could stand under an interface of ours.
fn is_of_interface(words: &[Token<'_>]) -> bool {
    let of_interface = MODES.iter().find(|row| row.mode == Mode::Interface);
    of_interface.is_some_and(|row| row.grammar.parse(words).is_ok())
        || words.first().is_some_and(|first| is_word(first, "ip") && words.len() > 1 && is_nat(words))
        || is_in(without_negation(words), 1, OF_INTERFACES)
}

/// Whether a line is `ip nat ...`, abbreviated or not.
fn is_nat(words: &[Token<'_>]) -> bool {
    let [ip, nat, ..] = words else { return false };
    let nat = nat.text.to_ascii_lowercase();
    is_word(ip, "ip") && nat.len() > 1 && "nat".starts_with(&nat)
}

/// Notes that a line of ours ends the block that is passed over, unless blocks have such lines too.
pub(super) fn end_block(builder: &mut Builder, tokens: &[Token<'_>]) {
    if !OF_BLOCKS_TOO.iter().any(|word| is_word(&tokens[0], word)) {
        builder.under = None;
    }
}

/// Passes over a block that a NAT has no use for though the tables could read its first line: an interface of some types, or a
/// block under one.
///
/// # Errors
/// When a NAT would have a use for it.
pub(super) fn pass_over_block(builder: &mut Builder, tokens: &[Token<'_>]) -> Result<bool, Fault> {
    let is_block =
        builder.mode == Some(Mode::Interface) && is_in(without_negation(tokens), 1, BLOCKS_OF_INTERFACES);
    if is_block && !builder.is_strict {
        open_block(builder, tokens, BlockKind::Mode);
        return Ok(true);
    }
    let [first, name, ..] = without_negation(tokens) else { return Ok(false) };
    if !is_word(first, "interface") {
        return Ok(false);
    }
    let kind = &name.text[..name.text.find(|c: char| c.is_ascii_digit()).unwrap_or(name.text.len())];
    if kind.eq_ignore_ascii_case("Dialer") {
        builder.mode = None;
        builder.under = None;
        return Err(Fault::at(name.column, NO_DIALER.into()));
    }
    if !INTERFACES.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Ok(false);
    }
    builder.mode = Some(Mode::Global);
    if builder.is_strict {
        return Err(Fault::at(
            name.column,
            "an interface of this type has no NAT; without --strict it is passed over".into(),
        ));
    }
    open_block(builder, tokens, BlockKind::Interface);
    Ok(true)
}

/// Passes over a line that no table has, if IOS has it and a NAT has no use for it.
///
/// # Errors
/// When a NAT would have a use for it, and this one has not got it.
pub(super) fn pass_over(
    builder: &mut Builder,
    tokens: &[Token<'_>],
    error: &SyntaxError,
) -> Result<bool, Fault> {
    let line = Unknown::new(tokens, error);
    if line.words().is_empty() {
        return Ok(false);
    }
    if is_prompt(tokens) {
        builder.pass_over(&tokens[0], "is");
        return Ok(true);
    }
    Ok(line.is_refused(builder)?
        || line.is_of_mode(builder)
        || line.is_global(builder)
        || line.is_of_block(builder))
}

impl<'t> Unknown<'t> {
    fn new(tokens: &'t [Token<'t>], error: &'t SyntaxError) -> Unknown<'t> {
        Unknown { tokens, introduced: tokens.len() - without_negation(tokens).len(), error }
    }

    fn words(&self) -> &'t [Token<'t>] {
        &self.tokens[self.introduced..]
    }

    /// Whether it begins as a list says. The tables' rows have it up to where their error is: a line that goes on beyond the words
    /// of the list is one of ours with a mistake in it.
    fn begins(&self, list: &[&str]) -> bool {
        self.depth(list) > 0
    }

    /// The words of the longest of such beginnings.
    fn depth(&self, list: &[&str]) -> usize {
        depth_in(self.words(), self.error.column, list)
    }

    /// What a NAT would need. A line that asks for its removal asks for nothing.
    fn is_refused(&self, builder: &mut Builder) -> Result<bool, Fault> {
        let is_of = |mode| mode == Mode::Global || builder.mode == Some(mode);
        let Some((.., why)) = REFUSED.iter().find(|(mode, words, _)| is_of(*mode) && self.begins(&[words]))
        else {
            return Ok(false);
        };
        if self.introduced == 0 {
            return Err(Fault::at(self.tokens[0].column, (*why).to_string()));
        }
        builder.passed_over += 1;
        builder.warn(self.tokens[0].column, "there is nothing like this to remove");
        Ok(true)
    }

    /// Lines of other features under an interface or a VRF. Some of their words begin global lines too: what is indented belongs
    /// to the mode.
    fn is_of_mode(&self, builder: &mut Builder) -> bool {
        let list = match builder.mode {
            Some(Mode::Interface) => OF_INTERFACES,
            Some(Mode::Vrf) => OF_VRFS,
            _ => return false,
        };
        let first = &self.tokens[0];
        if !self.begins(list) {
            return false;
        }
        if first.column == 1 && (self.begins(BLOCKS) || self.begins(LINES)) {
            return false;
        }
        builder.mode_column = Some(first.column);
        open_block(builder, self.tokens, BlockKind::Line);
        true
    }

    /// Global lines of other features, with what belongs to them. Where an interface's lines are not indented they may be its own:
    /// its mode goes on then, and so may its lines.
    fn is_global(&self, builder: &mut Builder) -> bool {
        let is_flush = builder.mode_column.is_none_or(|column| column == self.tokens[0].column);
        let may_be_interfaces =
            is_flush && builder.mode == Some(Mode::Interface) && self.begins(OF_INTERFACES);
        let text = self.words().get(2).filter(|_| self.begins(&["banner"])).map(|word| text_of(word.rest));
        // The longer beginning tells: of what opens a block mostly, some lines stand alone.
        if self.depth(BLOCKS) > self.depth(LINES) {
            open_block(builder, self.tokens, BlockKind::Mode);
        } else if let Some(end) = text {
            let what = if end.is_some() { "and the lines under it are" } else { "is" };
            builder.under = end.map(Under::Text);
            builder.pass_over(&self.tokens[0], what);
        } else if self.begins(LINES) {
            // Blocks have such lines too, in a file that is not indented.
            match &mut builder.under {
                Some(Under::Block(block)) if block.kind != BlockKind::Line => {
                    block.layout = Some(Layout::Flush);
                    builder.pass_over(&self.tokens[0], "is");
                }
                _ => open_block(builder, self.tokens, BlockKind::Line),
            }
        } else {
            return false;
        }
        if may_be_interfaces {
            if let Some(Under::Block(block)) = &mut builder.under {
                block.layout = Some(Layout::Flush);
            }
        } else {
            builder.mode = Some(Mode::Global);
        }
        true
    }

    /// A line of the block before it, in a file that is not indented.
    fn is_of_block(&self, builder: &mut Builder) -> bool {
        let Some(Under::Block(block)) = &mut builder.under else { return false };
        let word = self.words()[0].text.to_ascii_lowercase();
        let of_interface =
            MODES.iter().find(|row| Some(row.mode) == builder.mode && row.mode == Mode::Interface);
        let rows = of_interface.iter().flat_map(|row| row.grammar.rows());
        let mut missed = rows.filter_map(|row| row.syntax.split(' ').next()).chain(MISSED.iter().copied());
        if !self.error.first || missed.any(|missed| is_like(&word, missed)) {
            return false;
        }
        if self.tokens[0].column - 1 <= block.indent {
            block.layout = Some(Layout::Flush);
        }
        builder.passed_over += 1;
        true
    }
}

/// Passes over a line and those that will belong to it.
fn open_block(builder: &mut Builder, tokens: &[Token<'_>], kind: BlockKind) {
    let indent = tokens[0].column - 1;
    builder.under = Some(Under::Block(Block { kind, indent, layout: None }));
    builder.pass_over(&tokens[0], if kind == BlockKind::Line { "is" } else { "and the lines under it are" });
}

/// A line without the `no` or `default` before it.
fn without_negation<'t, 'l>(words: &'t [Token<'l>]) -> &'t [Token<'l>] {
    let is_negated = words.first().is_some_and(|first| is_word(first, "no") || is_word(first, "default"));
    &words[usize::from(is_negated)..]
}

/// Whether words begin as one of a list does, which goes as far as this column at least.
fn is_in(words: &[Token<'_>], column: usize, list: &[&str]) -> bool {
    depth_in(words, column, list) > 0
}

/// The words of the longest one of a list that words begin with.
fn depth_in(words: &[Token<'_>], column: usize, list: &[&str]) -> usize {
    let depth = |beginning: &&str| {
        let mut pairs = beginning.split(' ').zip(words);
        let count = beginning.split(' ').count();
        let reaches = words.get(count - 1).is_some_and(|last| column <= last.column);
        (reaches && pairs.all(|(word, token)| is_word(token, word))).then_some(count)
    };
    list.iter().filter_map(depth).max().unwrap_or(0)
}

fn is_word(token: &Token<'_>, word: &str) -> bool {
    token.text.eq_ignore_ascii_case(word)
}

/// Whether a word could be another one, or an abbreviation of it, with a slip in it.
fn is_like(word: &str, other: &str) -> bool {
    (2..=other.len()).any(|len| strsim::osa_distance(word, &other[..len]) <= 1)
}

/// Whether a line is a command that was typed at a router's prompt, as `edge1#show running-config`.
fn is_prompt(tokens: &[Token<'_>]) -> bool {
    let name = tokens[0].text.split_once(['#', '>']).map(|(name, _)| name);
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.()".contains(c))
    })
}

/// What ends a text that begins so and is not over at the end of its line.
fn text_of(text: &str) -> Option<String> {
    let end = if text.starts_with("^C") { "^C" } else { &text[..text.chars().next()?.len_utf8()] };
    (!text[end.len()..].contains(end)).then(|| end.to_string())
}
