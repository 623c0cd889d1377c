//! `clear ...`

use dataplane::message::Message;

use super::{Command, Context, command, unanswered};
use crate::config::Args;
use crate::config::grammar::Row;

#[rustfmt::skip]
pub(super) const ROWS: &[Row<Command>] = &[
    command("clear ip nat translation *", "End every dynamic translation", clear_translations),
];

/// Silent when it succeeds, as in IOS.
fn clear_translations(context: &mut Context, _: &Args) -> Result<String, String> {
    let cleared = context.appliance.ask(context.answering, Message::Clear);
    match cleared.iter().position(Option::is_none) {
        Some(worker) => Err(unanswered(worker)),
        None => Ok(String::new()),
    }
}
