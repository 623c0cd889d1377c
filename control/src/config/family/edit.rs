//! What statements of several families do: rows of their tables, and edits of the model.

use ipnet::Ipv4Net;

use crate::config::args::Args;
use crate::config::builder::{Apply, Builder, Fault, Statement};
use crate::config::grammar::Row;
use crate::config::known::{Known, List};
use crate::config::model::PortProtocol;

/// A line that `no` and `default` may introduce.
pub(super) const fn statement(syntax: &'static str, help: &'static str, action: Apply) -> Row<Apply> {
    Row { syntax, help, action, negatable: true }
}

/// A line that only does something.
pub(super) const fn command(syntax: &'static str, help: &'static str, action: Apply) -> Row<Apply> {
    Row { syntax, help, action, negatable: false }
}

/// Removes what fits, and tells whether anything did.
pub(super) fn remove<T>(list: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> bool {
    let before = list.len();
    list.retain(|item| !fits(item));
    list.len() < before
}

/// Puts a statement in the place of the one with the same identity, which is returned, or else behind all others.
pub(super) fn put<T>(
    known: &mut Known,
    list: List,
    items: &mut Vec<T>,
    new: T,
    identity: impl Fn(&T) -> String,
) -> Option<T> {
    if let Some(position) = known.position(list, items, &identity, &identity(&new)) {
        return Some(std::mem::replace(&mut items[position], new));
    }
    items.push(new);
    None
}

/// A word that is accepted without effect, and why it has none.
pub(super) type Ignored = (&'static str, &'static str);

/// What `redundancy` asks for.
pub(super) const REDUNDANCY: Ignored = ("redundancy", "there is no second router");

/// Remarks on words of the line that are accepted without effect.
pub(super) fn warn_ignored(builder: &mut Builder, statement: &Statement, words: &[Ignored]) {
    for (word, why) in words.iter().filter(|(word, _)| statement.sets() && statement.args.has(word)) {
        builder.warn(statement.args.column(word), format!("{word:?} has no effect: {why}"));
    }
}

/// The protocol of a line's ports.
pub(super) fn protocol(args: &Args) -> PortProtocol {
    if args.has("tcp") { PortProtocol::Tcp } else { PortProtocol::Udp }
}

/// The network of the address under this name and the mask beside it; bits of a host are a fault.
pub(super) fn network(statement: &Statement, name: &str) -> Result<Ipv4Net, Fault> {
    let address = statement.args.required(name);
    let length: u8 = statement.args.required("mask");
    let network = Ipv4Net::new_assert(address, length).trunc();
    if network.addr() == address {
        return Ok(network);
    }
    let text = format!("{address} has bits outside its mask; the network is {}", network.addr());
    Err(statement.fault(name, text))
}

/// A line that is accepted and does nothing.
pub(super) fn pass_over(builder: &mut Builder, statement: &Statement) -> Result<(), Fault> {
    pass_over_as(builder, statement, "it is no matter of NAT")
}

/// A line that is accepted and does nothing, for this reason.
pub(super) fn pass_over_as(builder: &mut Builder, statement: &Statement, why: &str) -> Result<(), Fault> {
    builder.warn(statement.place.column as usize, format!("this line has no effect: {why}"));
    Ok(())
}
