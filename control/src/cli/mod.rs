//! Exec commands: a table of syntax lines and what each answers. One file per family of commands.

mod access_lists;
mod answer;
mod clear;
mod command;
mod configure;
mod doors;
mod drops;
mod gateways;
mod interfaces;
mod ip_interfaces;
mod limits;
mod logging;
mod modifier;
mod nat;
mod network;
mod object_groups;
mod pools;
mod port_blocks;
mod prefix_lists;
mod route_maps;
mod startup;
mod statistics;
mod subscribers;
mod system;
mod terminal;
mod time_ranges;
mod totals;
mod tracks;
mod translations;
mod vrf;
mod walk;
mod workers;

use std::sync::LazyLock;

use crate::appliance::{Answering, Appliance};
use crate::config::grammar::{Candidate, Grammar, Language};
use crate::config::{Editing, lex};

use crate::vty::Role;
use command::Command;

pub use answer::{Answer, Progress};
pub use command::Started;
pub use modifier::{Modifier, split};

/// What a command works on when somebody waits for it.
pub struct Context<'a> {
    /// The appliance.
    pub appliance: &'a mut Appliance,
    /// How its workers get to answer.
    pub answering: &'a mut dyn Answering,
    /// Milliseconds since the appliance started.
    pub now_ms: u64,
}

static LANGUAGE: Language = Language { phrases: &[], words: WORDS };

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
];

static GRAMMAR: LazyLock<Grammar<Command>> = LazyLock::new(|| {
    let families = [
        translations::ROWS,
        doors::ROWS,
        statistics::ROWS,
        totals::ROWS,
        gateways::ROWS,
        drops::ROWS,
        subscribers::ROWS,
        limits::ROWS,
        pools::ROWS,
        port_blocks::ROWS,
        nat::ROWS,
        interfaces::ROWS,
        ip_interfaces::ROWS,
        network::ROWS,
        vrf::ROWS,
        access_lists::ROWS,
        route_maps::ROWS,
        object_groups::ROWS,
        prefix_lists::ROWS,
        time_ranges::ROWS,
        tracks::ROWS,
        workers::ROWS,
        system::ROWS,
        startup::ROWS,
        logging::ROWS,
        clear::ROWS,
        configure::ROWS,
        terminal::ROWS,
    ];
    Grammar::new(families.into_iter().flatten(), &LANGUAGE)
});

/// First words of commands that change something.
const CHANGING: &[&str] = &["clear", "configure", "copy", "test", "write"];

/// Every command: its syntax line, and what it does.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRAMMAR.rows().map(|row| (row.syntax, row.help))
}

/// Every command of configuration mode that is no line of the configuration, likewise.
pub fn commands_in_configuration() -> impl Iterator<Item = (&'static str, &'static str)> {
    configure::commands()
}

/// Starts to carry out one command line, which has no modifier, for a console or for nobody in particular, who may do all but
/// what is about consoles.
///
/// # Errors
/// In IOS's manner: a marker under the word that is wrong, and what was expected there.
pub fn start(appliance: &mut Appliance, vty: Option<u64>, line: &str) -> Started {
    let tokens = lex::tokens(line);
    if tokens.is_empty() {
        return Ok(Box::new(answer::Said::new(String::new())));
    }
    let found = GRAMMAR.parse(&tokens).map_err(|error| error.in_ios_words(line))?;
    let of_vty = vty.and_then(|id| appliance.vtys.get(id));
    let changes = found.row.syntax.split(' ').next().is_some_and(|first| CHANGING.contains(&first));
    if changes && let Some(vty) = of_vty.filter(|vty| !vty.may_change()) {
        let remedy =
            if vty.role == Role::Change { "'enable' allows it" } else { "this socket is for looking" };
        return Err(format!("% Access denied: {remedy}"));
    }
    match found.row.action {
        Command::Text(text) => Ok(Box::new(answer::Said::new(text(appliance, &found.args)?))),
        Command::Long(long) => long(appliance, &found.args),
        Command::Vty(command) => command(appliance, vty.ok_or("% Only a console can do this")?, &found.args),
    }
}

/// Starts to carry out a line of a console in configuration mode.
///
/// # Errors
/// As [`start`].
pub fn start_in_configuration(appliance: &mut Appliance, vty: u64, line: &str) -> Started {
    configure::start(appliance, vty, line)
}

/// What could stand at the end of a line of configuration mode.
pub fn complete_in_configuration(editing: &Editing, line: &str) -> Vec<Candidate> {
    configure::complete(editing, line)
}

/// Carries out one command line and waits for all of its answer.
///
/// # Errors
/// As [`start`], and when it cannot be carried out to its end.
pub fn execute(context: &mut Context, line: &str) -> Result<String, String> {
    let (command, mut modifier) = split(line)?;
    context.appliance.operation.now_ms = context.now_ms;
    let mut answer = start(context.appliance, None, command)?;
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
