//! Pieces of canonical lines.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::names::{Names, name_of};

/// Blocks of lines with a line `!` between them.
pub(super) fn blocks(blocks: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    blocks.collect::<Vec<_>>().join(&"!".to_string())
}

/// A word that is there or not.
pub(super) fn write_if(f: &mut fmt::Formatter<'_>, condition: bool, text: &str) -> fmt::Result {
    if condition { f.write_str(text) } else { Ok(()) }
}

/// A keyword with its value, if there is one.
pub(super) fn write_some(f: &mut fmt::Formatter<'_>, word: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {word} {value}"))
}

/// A number by its name, if it has one.
pub(super) fn named(names: Names, number: impl Into<u32>) -> String {
    let number = number.into();
    name_of(names, number).map_or_else(|| number.to_string(), str::to_string)
}

/// The mask of a length, dotted.
pub(super) fn mask(prefix_length: u8) -> Ipv4Addr {
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, prefix_length).netmask()
}
