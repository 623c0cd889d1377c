//! What a worker remembers: tables of fixed size, addressed by index, written by their worker alone.

pub mod allocate;
mod check;
mod enter;
pub mod index;
mod lifetime;
pub mod mapped;
pub mod mapping;
pub mod ports;
pub mod random;
pub mod session;
pub mod shard;
pub mod slots;
pub mod stream;
pub mod subscriber;
pub mod timer;
