//! What a row of the commands' tables is made of.

use super::answer::Answer;
use crate::appliance::Appliance;
use crate::config::Args;
use crate::config::grammar::Row;

/// What a command does: its answer, or why it is refused.
#[derive(Clone, Copy)]
pub(super) enum Command {
    /// The control side knows the answer.
    Text(Text),
    /// Workers are asked, or the text is long.
    Long(Long),
    /// It is about the console that it is typed at.
    Vty(OfVty),
}

/// A command whose answer is at hand.
pub(super) type Text = fn(&mut Appliance, &Args) -> Result<String, String>;
/// A command whose answer is not.
pub(super) type Long = fn(&mut Appliance, &Args) -> Started;
/// A command about the console of this number.
pub(super) type OfVty = fn(&mut Appliance, u64, &Args) -> Started;
/// An answer under way, or why there is none.
pub type Started = Result<Box<dyn Answer>, String>;

/// A row of a command whose answer is at hand.
pub(super) const fn command(syntax: &'static str, help: &'static str, text: Text) -> Row<Command> {
    Row { syntax, help, action: Command::Text(text), negatable: false }
}

/// A row of a command whose answer is not.
pub(super) const fn long_command(syntax: &'static str, help: &'static str, long: Long) -> Row<Command> {
    Row { syntax, help, action: Command::Long(long), negatable: false }
}

/// A row of a command about a console.
pub(super) const fn vty_command(syntax: &'static str, help: &'static str, of_vty: OfVty) -> Row<Command> {
    Row { syntax, help, action: Command::Vty(of_vty), negatable: false }
}

/// `hh:mm:ss`, or days and hours from a day on, as IOS prints durations.
pub(super) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s / 86_400 {
        0 => format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60),
        days => format!("{days}d{:02}h", s / 3600 % 24),
    }
}
