//! What a worker remembers: tables of fixed size, addressed by index, written by their worker alone.

mod allowance;
mod announce;
mod attached;
mod bound;
pub mod call;
mod check;
pub mod connection;
mod contacts;
pub mod control_session;
mod destinations;
pub mod door;
pub mod enter;
mod give_way;
mod groups;
pub mod journal;
pub mod lifetime;
pub mod mapped;
pub mod mapping;
mod passage;
pub mod plain;
pub mod ports;
pub mod progress;
mod recompute;
pub mod reopen;
pub mod reopenings;
pub mod reserve;
pub mod room;
mod segments;
pub mod session;
pub mod shard;
pub mod subscriber;
pub mod supply;
pub mod table;
#[cfg(test)]
mod tests;
pub mod unconfirmed;
mod unconfirmed_hosts;
