//! Global addresses and their ports: what is in use, and who gets what.

pub mod address_use;
pub(in crate::state) mod addresses;
pub mod allocate;
pub mod bitmaps;
pub mod layout;
pub mod lease;
pub mod ownership;
pub mod port_set;
pub mod random;
pub mod request;
pub(in crate::state) mod sets;
mod share;
pub(in crate::state) mod sheets;
