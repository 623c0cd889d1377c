//! What outside hosts have read in SIP messages, and repeat.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::read::Role;

/// The port of who names none.
pub const SIP_PORT: u16 = 5060;

/// What endpoints are repeated as: those of one kind are written alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Of a `Via`.
    Via,
    /// Where somebody is reached.
    Endpoint,
    /// Who somebody is.
    Name,
}

/// The kind of what stands in a place; none of what is not repeated from memory.
pub fn kind(role: Role) -> Option<Kind> {
    match role {
        Role::Via { .. } => Some(Kind::Via),
        Role::Contact | Role::Target | Role::RequestUri => Some(Kind::Endpoint),
        Role::Name => Some(Kind::Name),
        _ => None,
    }
}

/// What outside hosts have read in place of what the inside host wrote.
#[derive(Debug, Default)]
pub struct Words {
    known: HashMap<(Kind, Vec<u8>), Vec<u8>>,
    /// From where an outside host has media come, by call and media line.
    pub peers: HashMap<(Vec<u8>, usize), Ipv4Addr>,
}

impl Words {
    /// This stands now where that was written.
    pub fn note(&mut self, role: Role, said: &[u8], heard: &[u8]) {
        if let Some(kind) = kind(role) {
            self.known.insert((kind, said.to_vec()), heard.to_vec());
        }
    }

    /// What was read where this was written.
    pub fn find(&self, role: Role, said: &[u8]) -> Option<Vec<u8>> {
        let kind = kind(role)?;
        let known = |kind| self.known.get(&(kind, said.to_vec())).cloned();
        // A name with a port may be repeated of a contact.
        known(kind).or_else(|| known(Kind::Endpoint).filter(|_| said.contains(&b':') && kind == Kind::Name))
    }
}
