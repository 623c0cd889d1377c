//! Exec commands: a table of syntax lines and what each answers. One file per family of commands.

mod access_lists;
mod answer;
mod clear;
mod clear_translations;
mod command;
mod doors;
mod drops;
mod dynamic_mappings;
mod gateways;
mod interfaces;
mod modifier;
mod nat;
mod network;
mod statistics;
mod system;
mod totals;
mod translation_text;
mod translations;
mod walk;
mod wanted;
mod workers;

use std::sync::LazyLock;

use crate::appliance::{Answering, Appliance};
use crate::config::grammar::{Candidate, Grammar, Language};
use crate::config::lex;

use command::Command;

pub use answer::{Answer, Progress};
pub use modifier::{Modifier, split};
pub use wanted::PHRASES;

/// What a command works on when somebody waits for it.
pub struct Context<'a> {
    /// The appliance.
    pub appliance: &'a mut Appliance,
    /// How its workers get to answer.
    pub answering: &'a mut dyn Answering,
    /// Milliseconds since the appliance started.
    pub now_ms: u64,
}

static LANGUAGE: Language = Language { phrases: PHRASES, words: WORDS };

/// Help on words that several commands share.
const WORDS: &[(&str, &str)] = &[
    ("clear", "Reset functions"),
    ("show", "Show running system information"),
    ("ip", "IP information"),
    ("nat", "NAT information"),
    ("platform", "The forwarding machinery"),
    ("hardware", "The forwarding machinery"),
    ("qfp", "The forwarding machinery"),
    ("active", "The one that forwards"),
    ("standby", "There is none"),
    ("feature", "Features of the packet path"),
    ("alg", "Application-layer gateways"),
    ("statistics", "Counters"),
    ("translation", "Translations"),
    ("inside", "Addresses of inside hosts"),
    ("outside", "Addresses of outside hosts"),
    ("global", "As the outside knows it"),
    ("local", "As the inside knows it"),
    ("icmp", "ICMP queries"),
    ("tcp", "TCP"),
    ("udp", "UDP"),
    ("esp", "IPsec ESP"),
    ("gre", "GRE"),
    ("vrf", "Of one VRF"),
    ("filter", "Of a range of addresses"),
    ("range", "From one address to another"),
    ("verbose", "With times, rule, VRF, interfaces"),
    ("total", "Only how many"),
    ("forced", "Those in use too, as always"),
    ("pool", "Of one pool"),
];

static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| {
    let families = [
        translations::ROWS,
        doors::ROWS,
        statistics::ROWS,
        totals::ROWS,
        gateways::ROWS,
        drops::ROWS,
        interfaces::ROWS,
        nat::ROWS,
        network::ROWS,
        access_lists::ROWS,
        workers::ROWS,
        system::ROWS,
        clear_translations::ROWS,
        clear::ROWS,
    ];
    Grammar::new(families.into_iter().flatten(), &LANGUAGE)
});

/// Every command: its syntax line, and what it does.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRAMMAR.rows().map(|row| (row.syntax, row.help))
}

/// Starts to carry out one command line, which has no modifier.
///
/// # Errors
/// In IOS's manner: a marker under the word that is wrong, and what was expected there.
pub fn start(appliance: &mut Appliance, line: &str) -> Result<Box<dyn Answer>, String> {
    let tokens = lex::tokens(line);
    if tokens.is_empty() {
        return Ok(Box::new(answer::Said::new(String::new())));
    }
    let found = GRAMMAR.parse(&tokens).map_err(|error| {
        let marker = " ".repeat(error.column.saturating_sub(1));
        format!("{line}\n{marker}^\n% Invalid input detected at '^' marker: {error}")
    })?;
    match found.row.action {
        Command::Text(text) => Ok(Box::new(answer::Said::new(text(appliance, &found.args)?))),
        Command::Long(long) => long(appliance, &found.args),
    }
}

/// Carries out one command line and waits for all of its answer.
///
/// # Errors
/// As [`start`], and when it cannot be carried out to its end.
pub fn execute(context: &mut Context, line: &str) -> Result<String, String> {
    let (command, mut modifier) = split(line)?;
    context.appliance.operation.now_ms = context.now_ms;
    let mut answer = start(context.appliance, command)?;
    let mut out = String::new();
    loop {
        match answer.advance(context.appliance) {
            Progress::Waiting => context.appliance.operation.now_ms = context.answering.let_work(),
            Progress::Piece(piece) => match &mut modifier {
                Some(modifier) => out += &modifier.feed(&piece),
                None => out += &piece,
            },
            Progress::Done => break,
            Progress::Refused(refusal) => return Err(refusal),
        }
    }
    out += &modifier.map(|mut modifier| modifier.finish()).unwrap_or_default();
    Ok(out)
}

/// What could stand at the cursor of a command line.
pub fn complete(line: &str, cursor: usize) -> Vec<Candidate> {
    let head = line.get(..cursor).unwrap_or(line);
    modifier::complete(head).unwrap_or_else(|| GRAMMAR.complete(line, cursor))
}
