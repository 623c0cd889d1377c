//! Exec commands: the table of all families, and what carries out a line by it.

use std::sync::LazyLock;

use super::answer::Said;
use super::command::{Command, Started};
use super::modifier;
use super::wanted::PHRASES;
use super::{
    access_lists, calls, clear, clear_translations, configure, doors, drops, edits, gateways, interfaces,
    ip_interfaces, limits, logging, nat, network, object_groups, pools, port_blocks, prefix_lists,
    route_maps, startup, statistics, subscribers, system, terminal, time_ranges, totals, tracks,
    translations, vrf, workers,
};
use crate::appliance::Appliance;
use crate::config::grammar::{Candidate, Grammar, Language};
use crate::config::lex;
use crate::vty::Role;

pub(super) static LANGUAGE: Language = Language { phrases: PHRASES, words: WORDS };

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
        calls::ROWS,
        edits::ROWS,
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
        clear_translations::ROWS,
        clear::ROWS,
        configure::ROWS,
        terminal::ROWS,
    ];
    Grammar::new(families.into_iter().flatten(), &LANGUAGE)
});

/// How commands begin that change something, or show what other features' lines in the file may hold, such as passwords.
const RESERVED: &[&str] = &["clear ", "configure ", "copy ", "show startup-config", "test ", "write "];

/// Every command: its syntax line, and what it does.
pub fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRAMMAR.rows().map(|row| (row.syntax, row.help))
}

/// Starts to carry out one command line, which has no modifier, for a console or for nobody in particular, who may do all but
/// what is about consoles.
///
/// # Errors
/// In IOS's manner: a marker under the word that is wrong, and what was expected there.
pub fn start(appliance: &mut Appliance, vty: Option<u64>, line: &str) -> Started {
    let tokens = lex::tokens(line);
    if tokens.is_empty() {
        return Ok(Box::new(Said::new(String::new())));
    }
    let found = GRAMMAR.parse(&tokens).map_err(|error| error.in_ios_words(line))?;
    let of_vty = vty.and_then(|id| appliance.vtys.get(id));
    let is_reserved = RESERVED.iter().any(|beginning| found.row.syntax.starts_with(beginning));
    if is_reserved && let Some(vty) = of_vty.filter(|vty| !vty.may_change()) {
        let remedy =
            if vty.role == Role::Change { "'enable' allows it" } else { "this socket is for looking" };
        return Err(format!("% Access denied: {remedy}"));
    }
    if let Some(vty) = of_vty.filter(|_| found.row.syntax.starts_with("clear ")) {
        let (user, line) = (&vty.user, line.trim());
        tracing::info!(mnemonic = "PARSER-5-CFGLOG_LOGGEDCMD", "User:{user}  logged command:{line}");
    }
    match found.row.action {
        Command::Text(text) => Ok(Box::new(Said::new(text(appliance, &found.args)?))),
        Command::Long(long) => long(appliance, &found.args),
        Command::Vty(command) => command(appliance, vty.ok_or("% Only a console can do this")?, &found.args),
    }
}

/// What could stand at the cursor of a command line.
pub fn complete(line: &str, cursor: usize) -> Vec<Candidate> {
    let head = line.get(..cursor).unwrap_or(line);
    modifier::complete(head).unwrap_or_else(|| GRAMMAR.complete(line, cursor))
}
