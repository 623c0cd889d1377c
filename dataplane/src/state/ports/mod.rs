//! Global addresses and their ports: what is in use, and who gets what.

mod addresses;
pub mod allocate;
pub mod bitmaps;
pub mod lease;
pub mod ownership;
pub mod random;
mod sets;
