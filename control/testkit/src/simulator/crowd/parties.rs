//! Who talks to whom.

use std::net::Ipv4Addr;

use super::conversation::Endpoint;

/// Who talks to whom.
#[derive(Clone, Debug)]
pub struct Parties {
    /// The client is the inside host; otherwise the server is.
    pub client_is_inside: bool,
    /// The inside host.
    pub inside: Ipv4Addr,
    /// The outside host.
    pub outside: Ipv4Addr,
    /// Where an inside server is reached.
    pub global: Endpoint,
    /// That address is all its own.
    pub is_whole_static: bool,
    /// Two sessions of one inside host announce the same ports, from this one on.
    pub shared_port: Option<u16>,
}

impl Parties {
    /// The side of the conversation that the inside host is.
    pub fn inside_side(&self) -> usize {
        usize::from(!self.client_is_inside)
    }
}
