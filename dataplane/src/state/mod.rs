//! What a worker remembers: tables of fixed size, addressed by index, written by their worker alone.

mod addresses;
pub mod allocate;
mod check;
mod contacts;
pub mod control;
pub mod door;
mod enter;
pub mod index;
pub mod keyed;
mod lifetime;
pub mod mapped;
pub mod mapping;
pub mod ports;
pub mod random;
pub mod reserve;
pub mod session;
mod sets;
pub mod shard;
pub mod slots;
pub mod stream;
pub mod subscriber;
pub mod timer;
