//! Commands: a table of syntax lines and what each answers. One file per family of exec commands; `exec.rs` has their table, and
//! `configuration_mode.rs` the lines of a console that changes the configuration.

mod access_lists;
mod answer;
mod calls;
mod clear;
mod clear_translations;
mod command;
mod configuration_mode;
mod configure;
mod doors;
mod drops;
mod dynamic_mappings;
mod edits;
mod exec;
mod gateway_kinds;
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
mod translation_text;
mod translations;
mod vrf;
mod walk;
mod wanted;
mod workers;

use crate::appliance::{Answering, Appliance};
use crate::config::grammar::Candidate;

pub use answer::{Answer, Progress};
pub use command::Started;
pub use configuration_mode::commands as commands_in_configuration;
pub use exec::{commands, complete, start};
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

/// Starts to carry out a line of a console: an exec command, or a line of the configuration.
///
/// # Errors
/// As [`start`], and when the configuration has no such line.
pub fn start_at(appliance: &mut Appliance, vty: u64, line: &str) -> Started {
    let now_ms = appliance.operation.now_ms;
    let console = appliance.vtys.get_mut(vty).ok_or("% This console is closed")?;
    console.note(line, now_ms);
    if console.draft.is_some() {
        configuration_mode::start(appliance, vty, line)
    } else {
        start(appliance, Some(vty), line)
    }
}

/// What could stand at the end of a line of a console.
pub fn complete_at(appliance: &Appliance, vty: u64, line: &str) -> Vec<Candidate> {
    match appliance.vtys.get(vty).and_then(|vty| vty.draft.as_ref()) {
        Some(draft) => configuration_mode::complete(&draft.editing, line),
        None => complete(line, line.len()),
    }
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
