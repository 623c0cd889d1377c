//! Portico's packet path: one run-to-completion worker per core, sharing nothing.
//!
//! Start with [`path`]: it tells what happens to a packet.
#![forbid(unsafe_code)]

pub mod counters;
pub mod drops;
pub mod flow;
pub mod head;
pub mod inspect;
mod listing;
pub mod lives;
pub mod message;
pub mod path;
pub mod policy;
pub mod port;
pub mod protocols;
pub mod route;
pub mod state;
pub mod stream;
pub mod wire;
pub mod worker;
