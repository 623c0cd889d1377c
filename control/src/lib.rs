//! The control side of Portico: everything that is not the packet path.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod compile;
pub mod config;
pub mod neighbours;
