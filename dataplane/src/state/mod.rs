//! What a worker remembers: tables of fixed size, addressed by index, written by their worker alone.

pub mod index;
pub mod mapping;
pub mod ports;
pub mod session;
pub mod shard;
pub mod slots;
pub mod subscriber;
pub mod timer;
