//! A stage to play gateways on: a context that applies edits and predicts ports, and a conversation over it.
//!
//! Every test binary includes this module and uses a part of it.
#![allow(dead_code, unused_imports)]

pub mod context;
mod conversation;
pub mod damage;
pub mod dice;
pub mod script;

pub use context::FakeContext;
pub use conversation::{Conversation, outcome, play};

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Session, Side, Transport};

/// The inside host, as the inside sees it.
pub const INSIDE_LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The inside host, as the outside sees it.
pub const INSIDE_GLOBAL: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The outside host.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);

/// An endpoint.
pub fn endpoint(addr: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(addr, port)
}

/// The client's port, on both sides.
pub const CLIENT_PORT: u16 = 40000;

/// A control session to `port`, whose client is on side `client`. The server's port is the same on both sides too.
pub fn session(transport: Transport, client: Side, port: u16) -> Session {
    let (inside, outside) = match client {
        Side::Inside => (CLIENT_PORT, port),
        Side::Outside => (port, CLIENT_PORT),
    };
    Session {
        transport,
        inside_local: endpoint(INSIDE_LOCAL, inside),
        inside_global: endpoint(INSIDE_GLOBAL, inside),
        outside_local: endpoint(OUTSIDE, outside),
        outside_global: endpoint(OUTSIDE, outside),
        through: None,
    }
}

/// The other side.
pub fn across(side: Side) -> Side {
    match side {
        Side::Inside => Side::Outside,
        Side::Outside => Side::Inside,
    }
}
