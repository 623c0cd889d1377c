//! The engine behind every command: a table of syntax lines becomes a parser, `?` help and completion.
//!
//! All lines of a table are walked at once, word by word. What could stand at a word decides what it may abbreviate:
//! a keyword matches exactly, or by a prefix that no other possible keyword shares, in either case of letters; a
//! keyword wins over a parameter. The notation of syntax lines is described in the module `syntax`.

use super::args::{Args, Argument};
use super::interface_name::InterfaceName;
use super::kind::{Kind, Value};
use super::lex::{Token, tokens};
use super::syntax::{GraphBuilder, Node};
use super::syntax_error::{Expected, SyntaxError, nearest};

pub use super::syntax::Phrase;

/// One line of a table: what may be written, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Row<A> {
    /// The line in the notation of syntax lines.
    pub syntax: &'static str,
    /// What it does, in one sentence without a full stop.
    pub help: &'static str,
    /// What to do with a line that matches; the engine only hands it back.
    pub action: A,
    /// Whether `no` and `default` may stand before it.
    pub negatable: bool,
}

/// What the tables of a language share.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Pieces of syntax used by several rows.
    pub phrases: &'static [Phrase],
    /// Help on keywords that several rows share; any other keyword is helped by its row's sentence.
    pub words: &'static [(&'static str, &'static str)],
}

/// How a line was introduced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By nothing: it sets.
    Set,
    /// By `no`: it removes.
    No,
    /// By `default`: it restores.
    Default,
}

/// A line that matched.
#[derive(Debug)]
pub struct Match<'g, A> {
    /// The row it matched.
    pub row: &'g Row<A>,
    /// How it was introduced.
    pub form: Form,
    /// What it said.
    pub args: Args,
}

/// A word that could come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The keyword, a placeholder such as `A.B.C.D`, or `<cr>` where the line may end.
    pub word: String,
    /// What it means.
    pub help: String,
    /// Whether the word can be completed as it stands, rather than being a placeholder.
    pub literal: bool,
}

/// A table of rows, compiled.
pub struct Grammar<A: 'static> {
    rows: Vec<&'static Row<A>>,
    words: &'static [(&'static str, &'static str)],
    nodes: Vec<Node>,
    /// Where a line may begin: at the rows, at `no` and at `default`.
    starts: Vec<usize>,
}

/// One way to read the words so far.
#[derive(Clone)]
struct Walk {
    node: usize,
    form: Form,
    args: Vec<Argument>,
    /// Options already taken, each at most once.
    taken: Vec<usize>,
}

/// What a word leads to.
enum Step {
    /// More words, or the end.
    Next(Vec<Walk>),
    /// The end: the rest of the line was one value.
    Rest(Vec<Walk>),
    /// The end: a comment starts here.
    Comment,
}

/// A word that leads nowhere, with the keywords that it could abbreviate if they are several.
struct DeadEnd {
    ambiguous: Vec<&'static str>,
}

/// The scope of the words that introduce a negated line.
const NEGATION: &str = "negation";
const NO: &str = "no";
const DEFAULT: &str = "default";

impl<A> Grammar<A> {
    /// Compiles a table.
    ///
    /// # Panics
    /// If a syntax line breaks the notation.
    pub fn new(rows: impl IntoIterator<Item = &'static Row<A>>, language: &'static Language) -> Grammar<A> {
        let rows: Vec<&Row<A>> = rows.into_iter().collect();
        let mut graph = GraphBuilder::new(language.phrases);
        let mut starts: Vec<usize> =
            rows.iter().enumerate().map(|(index, row)| graph.add_row(index, row.syntax)).collect();
        let negatable = rows.iter().zip(&starts).filter(|(row, _)| row.negatable).map(|(_, start)| *start);
        let negatable: Vec<usize> = negatable.collect();
        if !negatable.is_empty() {
            let next = graph.push(Node::Fork(negatable));
            for word in [NO, DEFAULT] {
                starts.push(graph.push(Node::Keyword { word, scope: NEGATION, row: 0, next }));
            }
        }
        Grammar { rows, words: language.words, nodes: graph.nodes, starts }
    }

    /// The rows of the table.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row<A>> + '_ {
        self.rows.iter().copied()
    }

    /// Matches the words of a line against the table.
    pub fn parse(&self, tokens: &[Token<'_>]) -> Result<Match<'_, A>, SyntaxError> {
        let mut walks = self.begin();
        let mut end_column = 1;
        for token in tokens {
            match self.step(&walks, token) {
                Ok(Step::Next(next)) => walks = next,
                Ok(Step::Rest(next)) => {
                    walks = next;
                    break;
                }
                Ok(Step::Comment) => break,
                Err(dead_end) => return Err(self.error(&walks, Some(token), token.column, dead_end)),
            }
            end_column = token.end_column();
        }
        let end = walks.iter().find_map(|walk| self.ending(walk).map(|row| (walk, row)));
        let (walk, row) =
            end.ok_or_else(|| self.error(&walks, None, end_column, DeadEnd { ambiguous: Vec::new() }))?;
        Ok(Match { row: self.rows[row], form: walk.form, args: Args(walk.args.clone()) })
    }

    /// What could stand at the cursor, a byte offset into the line: the words that complete what is begun there, or
    /// all that may come next. Nothing if the line before it is wrong.
    pub fn complete(&self, line: &str, cursor: usize) -> Vec<Candidate> {
        let head = line.get(..cursor).unwrap_or(line);
        let mut before = tokens(head);
        let partial = if head.ends_with(char::is_whitespace) { None } else { before.pop() };
        let mut walks = self.begin();
        for token in &before {
            match self.step(&walks, token) {
                Ok(Step::Next(next)) => walks = next,
                _ => return Vec::new(),
            }
        }
        let mut candidates = Vec::new();
        for walk in &walks {
            self.add_candidates(walk, partial.as_ref(), &mut candidates);
        }
        candidates
    }

    fn begin(&self) -> Vec<Walk> {
        let walk = |node| Walk { node, form: Form::Set, args: Vec::new(), taken: Vec::new() };
        let mut walks = Vec::new();
        for &node in &self.starts {
            self.settle(walk(node), &mut walks);
        }
        walks
    }

    /// Follows a walk to the nodes where it must wait for a word or may end.
    fn settle(&self, mut walk: Walk, settled: &mut Vec<Walk>) {
        match &self.nodes[walk.node] {
            Node::Fork(nodes) => {
                for &node in nodes {
                    self.settle(Walk { node, ..walk.clone() }, settled);
                }
            }
            Node::Once(next) if walk.taken.contains(next) => {}
            Node::Once(next) => {
                walk.taken.push(*next);
                self.settle(Walk { node: *next, ..walk }, settled);
            }
            Node::Stop { next, .. } => {
                let next = Walk { node: *next, ..walk.clone() };
                if walk.form != Form::Set {
                    settled.push(walk);
                }
                self.settle(next, settled);
            }
            Node::Keyword { .. } | Node::Parameter { .. } | Node::End { .. } => settled.push(walk),
        }
    }

    fn step(&self, walks: &[Walk], token: &Token<'_>) -> Result<Step, DeadEnd> {
        let is_text =
            |walk: &&Walk| matches!(self.nodes[walk.node], Node::Parameter { kind: Kind::Text, .. });
        let reads = |walk: &&Walk| self.read(walk, token).is_some();
        let keyword = self.keyword(walks, token.text);
        let mut next = Vec::new();
        if let Ok(Some(word)) = keyword {
            for walk in walks.iter().filter(|walk| self.spells(walk, word)) {
                self.advance(walk, word, token, &mut next);
            }
            return Ok(Step::Next(next));
        }
        for walk in walks.iter().filter(|walk| !is_text(walk)).filter(reads) {
            self.advance(walk, "", token, &mut next);
        }
        if !next.is_empty() {
            return Ok(Step::Next(next));
        }
        for walk in walks.iter().filter(is_text) {
            self.advance(walk, "", token, &mut next);
        }
        match keyword {
            _ if !next.is_empty() => Ok(Step::Rest(next)),
            _ if token.starts_comment() => Ok(Step::Comment),
            Err(ambiguous) => Err(DeadEnd { ambiguous }),
            Ok(_) => Err(DeadEnd { ambiguous: Vec::new() }),
        }
    }

    /// The keyword that a text spells or abbreviates, if there is one; several that it could abbreviate are an error.
    fn keyword(&self, walks: &[Walk], text: &str) -> Result<Option<&'static str>, Vec<&'static str>> {
        let starts =
            |word: &str| word.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        let mut fitting: Vec<&'static str> = Vec::new();
        for word in walks.iter().flat_map(|walk| self.spellings(walk)).filter(|word| starts(word)) {
            if word.len() == text.len() {
                return Ok(Some(word));
            }
            if !fitting.contains(&word) {
                fitting.push(word);
            }
        }
        if fitting.len() > 1 { Err(fitting) } else { Ok(fitting.pop()) }
    }

    /// The words that a walk waits for.
    fn spellings(&self, walk: &Walk) -> impl Iterator<Item = &'static str> + use<A> {
        let (word, names) = match &self.nodes[walk.node] {
            Node::Keyword { word, .. } => (Some(*word), &[][..]),
            Node::Parameter { kind, .. } => (None, kind.names()),
            _ => (None, &[][..]),
        };
        word.into_iter().chain(names.iter().map(|(name, _)| *name))
    }

    fn spells(&self, walk: &Walk, word: &str) -> bool {
        self.spellings(walk).any(|spelling| spelling.eq_ignore_ascii_case(word))
    }

    fn read(&self, walk: &Walk, token: &Token<'_>) -> Option<Value> {
        match &self.nodes[walk.node] {
            Node::Parameter { kind, .. } => kind.read(token),
            _ => None,
        }
    }

    /// Takes a token, as this keyword or name if it is one, and moves on.
    fn advance(&self, walk: &Walk, word: &str, token: &Token<'_>, settled: &mut Vec<Walk>) {
        let mut walk = walk.clone();
        let (scope, name, value, next) = match &self.nodes[walk.node] {
            Node::Keyword { word, scope, next, .. } => (*scope, *word, Some(Value::Keyword), *next),
            Node::Parameter { name, kind: Kind::InterfaceUnit, scope, next, .. } => {
                (*scope, *name, complete_interface(&mut walk.args, token), *next)
            }
            Node::Parameter { name, kind, scope, next, .. } => {
                let named = kind.names().iter().find(|(name, _)| *name == word);
                let value = named.map(|(_, number)| Value::Integer(*number)).or_else(|| kind.read(token));
                (*scope, *name, value, *next)
            }
            _ => return,
        };
        walk.node = next;
        if scope == NEGATION {
            walk.form = if name == NO { Form::No } else { Form::Default };
        } else if let Some(value) = value {
            walk.args.push(Argument { scope, name, value, column: token.column });
        }
        self.settle(walk, settled);
    }

    /// The row that a walk completes if the line ends here.
    fn ending(&self, walk: &Walk) -> Option<usize> {
        match self.nodes[walk.node] {
            Node::End { row } | Node::Stop { row, .. } => Some(row),
            _ => None,
        }
    }

    fn expected(&self, walk: &Walk) -> Expected {
        match &self.nodes[walk.node] {
            Node::Keyword { word, scope: NEGATION, .. } => {
                let help = if *word == NO { "Remove what the line says" } else { "Restore the default" };
                Expected { word: word.to_string(), help: help.to_string(), keyword: true }
            }
            Node::Keyword { word, row, .. } => {
                let help = self.words.iter().find(|(known, _)| known == word).map(|(_, help)| *help);
                let help = help.unwrap_or(self.rows[*row].help).to_string();
                Expected { word: word.to_string(), help, keyword: true }
            }
            Node::Parameter { kind, help, .. } => {
                Expected { word: kind.placeholder(), help: help.clone(), keyword: false }
            }
            _ => Expected { word: "<cr>".to_string(), help: "end of line".to_string(), keyword: false },
        }
    }

    fn error(
        &self,
        walks: &[Walk],
        token: Option<&Token<'_>>,
        column: usize,
        dead_end: DeadEnd,
    ) -> SyntaxError {
        let mut expected: Vec<Expected> = Vec::new();
        for walk in walks {
            let new = self.expected(walk);
            if !expected.iter().any(|known| known.word == new.word && known.help == new.help) {
                expected.push(new);
            }
        }
        let found = token.map(|token| token.text.to_string());
        let words = walks.iter().flat_map(|walk| self.spellings(walk));
        let nearest = found.as_ref().and_then(|found| nearest(found, words));
        let first = walks.iter().all(|walk| walk.args.is_empty());
        SyntaxError { column, first, expected, found, nearest, ambiguous: dead_end.ambiguous }
    }

    fn add_candidates(&self, walk: &Walk, partial: Option<&Token<'_>>, candidates: &mut Vec<Candidate>) {
        let starts = |word: &str| {
            let text = partial.map_or("", |token| token.text);
            word.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
        };
        let mut add = |word: String, help: String, literal| {
            if !candidates.iter().any(|known| known.word == word) {
                candidates.push(Candidate { word, help, literal });
            }
        };
        if let Some(row) = self.ending(walk) {
            if partial.is_none() {
                add("<cr>".to_string(), self.rows[row].help.to_string(), false);
            }
            return;
        }
        let Expected { word, help, keyword } = self.expected(walk);
        for spelling in self.spellings(walk).filter(|spelling| starts(spelling)) {
            add(spelling.to_string(), help.clone(), true);
        }
        if !keyword && partial.is_none_or(|token| self.read(walk, token).is_some()) {
            add(word, help, false);
        }
    }
}

/// The name of an interface written as two words, the first of which is taken from the arguments.
fn complete_interface(args: &mut Vec<Argument>, unit: &Token<'_>) -> Option<Value> {
    match args.pop()?.value {
        Value::Text(kind) => InterfaceName::new(&kind, unit.text).map(Value::Interface),
        _ => None,
    }
}
