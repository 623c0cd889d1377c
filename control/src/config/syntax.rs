//! The notation of syntax lines, and the graph it compiles to.
//!
//! | notation | meaning |
//! |---|---|
//! | `word` | a keyword |
//! | `<name:kind>`, `<kind>` | a parameter: see [`Kind::named`] |
//! | `{ a \| b }` | one of these |
//! | `[ a ]`, `[ a \| b ]` | one of these, or nothing |
//! | `[ a \| b ]*` | any of these in any order, each at most once |
//! | `a ...` | `a` once or more |
//! | `/` | where the line may end after `no` or `default` |
//! | `(phrase)`, `(scope:phrase)` | a phrase of the language; what it captures is filed under the scope |

use super::kind::Kind;

/// A piece of syntax that several lines share.
#[derive(Clone, Copy, Debug)]
pub struct Phrase {
    /// What syntax lines call it.
    pub name: &'static str,
    /// What it stands for.
    pub syntax: &'static str,
}

/// A node of the graph. Nodes are addressed by index; `next` is the node that follows.
#[derive(Debug)]
pub(super) enum Node {
    Keyword {
        word: &'static str,
        scope: &'static str,
        row: usize,
        next: usize,
    },
    Parameter {
        name: &'static str,
        kind: Kind,
        /// What may stand here, in a sentence.
        help: String,
        scope: &'static str,
        next: usize,
    },
    Fork(Vec<usize>),
    /// Lets each walk pass once.
    Once(usize),
    /// Ends a line that is negated.
    Stop {
        row: usize,
        next: usize,
    },
    /// Ends a line.
    End {
        row: usize,
    },
}

enum Element {
    Keyword(&'static str),
    Parameter { name: &'static str, kind: &'static str },
    Phrase { scope: &'static str, name: &'static str },
    Choice(Vec<Sequence>),
    Optional(Vec<Sequence>),
    AnyOrder(Vec<Sequence>),
    OneOrMore(Box<Element>),
    Stop,
}

type Sequence = Vec<Element>;

/// Builds graphs. Mistakes in the notation are mistakes in the program: they panic when the table is first used.
pub(super) struct GraphBuilder {
    phrases: &'static [Phrase],
    pub(super) nodes: Vec<Node>,
    row: usize,
}

impl GraphBuilder {
    pub(super) fn new(phrases: &'static [Phrase]) -> GraphBuilder {
        GraphBuilder { phrases, nodes: Vec::new(), row: 0 }
    }

    /// Adds a syntax line and returns its first node.
    pub(super) fn add_row(&mut self, row: usize, syntax: &'static str) -> usize {
        self.row = row;
        let end = self.push(Node::End { row });
        self.add_sequence(&parse(syntax), "", end)
    }

    pub(super) fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn add_sequence(&mut self, sequence: &Sequence, scope: &'static str, next: usize) -> usize {
        sequence.iter().rev().fold(next, |next, element| self.add(element, scope, next))
    }

    fn add_branches(&mut self, branches: &[Sequence], scope: &'static str, next: usize) -> Vec<usize> {
        branches.iter().map(|branch| self.add_sequence(branch, scope, next)).collect()
    }

    fn add(&mut self, element: &Element, scope: &'static str, next: usize) -> usize {
        match element {
            Element::Keyword(word) => self.push(Node::Keyword { word, scope, row: self.row, next }),
            Element::Parameter { name, kind } => self.add_parameter(name, kind, scope, next),
            Element::Phrase { scope: own, name } => {
                let phrase = self.phrases.iter().find(|phrase| phrase.name == *name);
                let phrase = phrase.unwrap_or_else(|| panic!("no phrase is called {name}"));
                let scope = if own.is_empty() { scope } else { own };
                self.add_sequence(&parse(phrase.syntax), scope, next)
            }
            Element::Choice(branches) => {
                let starts = self.add_branches(branches, scope, next);
                self.push(Node::Fork(starts))
            }
            Element::Optional(branches) => {
                let mut starts = self.add_branches(branches, scope, next);
                starts.push(next);
                self.push(Node::Fork(starts))
            }
            Element::AnyOrder(branches) => {
                let hub = self.push(Node::Fork(Vec::new()));
                let starts = self.add_branches(branches, scope, hub);
                let mut exits: Vec<usize> =
                    starts.into_iter().map(|start| self.push(Node::Once(start))).collect();
                exits.push(next);
                self.nodes[hub] = Node::Fork(exits);
                hub
            }
            Element::OneOrMore(element) => {
                let hub = self.push(Node::Fork(Vec::new()));
                let start = self.add(element, scope, hub);
                self.nodes[hub] = Node::Fork(vec![start, next]);
                start
            }
            Element::Stop => self.push(Node::Stop { row: self.row, next }),
        }
    }

    /// An interface may be written as one word or as two.
    fn add_parameter(
        &mut self,
        name: &'static str,
        kind: &'static str,
        scope: &'static str,
        next: usize,
    ) -> usize {
        let named = name != kind;
        let kind = Kind::named(kind).unwrap_or_else(|| panic!("no kind of parameter is called {kind}"));
        let two_words = matches!(kind, Kind::Interface);
        let mut push = |kind: Kind, next| {
            let description = kind.description();
            let help =
                if named { format!("{description} ({})", name.replace('-', " ")) } else { description };
            self.push(Node::Parameter { name, kind, help, scope, next })
        };
        let whole = push(kind, next);
        if !two_words {
            return whole;
        }
        let unit = push(Kind::InterfaceUnit, next);
        let first = push(Kind::InterfaceType, unit);
        self.push(Node::Fork(vec![whole, first]))
    }
}

fn parse(syntax: &'static str) -> Sequence {
    let (mut branches, close) = parse_branches(&mut syntax.split_whitespace());
    assert!(close.is_empty() && branches.len() == 1, "unbalanced: {syntax}");
    branches.remove(0)
}

/// Reads branches up to the bracket that closes them, which is returned too, empty at the end of the text.
fn parse_branches(words: &mut impl Iterator<Item = &'static str>) -> (Vec<Sequence>, &'static str) {
    let mut branches = vec![];
    let mut branch = vec![];
    loop {
        let element = match words.next() {
            None => return (finish(branches, branch), ""),
            Some(close @ ("}" | "]" | "]*")) => return (finish(branches, branch), close),
            Some("|") => {
                branches.push(std::mem::take(&mut branch));
                continue;
            }
            Some(open @ ("{" | "[")) => match (open, parse_branches(words)) {
                ("{", (inner, "}")) => Element::Choice(inner),
                ("[", (inner, "]")) => Element::Optional(inner),
                ("[", (inner, "]*")) => Element::AnyOrder(inner),
                (_, (_, close)) => panic!("{open} is closed by {close:?}"),
            },
            Some("...") => Element::OneOrMore(Box::new(branch.pop().expect("something to repeat"))),
            Some("/") => Element::Stop,
            Some(word) => parse_word(word),
        };
        branch.push(element);
    }
}

fn finish(mut branches: Vec<Sequence>, last: Sequence) -> Vec<Sequence> {
    branches.push(last);
    branches
}

fn parse_word(word: &'static str) -> Element {
    if let Some(parameter) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) {
        let (name, kind) = parameter.split_once(':').unwrap_or((parameter, parameter));
        Element::Parameter { name, kind }
    } else if let Some(phrase) = word.strip_prefix('(').and_then(|word| word.strip_suffix(')')) {
        let (scope, name) = phrase.split_once(':').unwrap_or(("", phrase));
        Element::Phrase { scope, name }
    } else {
        Element::Keyword(word)
    }
}
