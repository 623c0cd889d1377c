//! The control side of Portico: everything that is not the packet path.
#![forbid(unsafe_code)]

pub mod appliance;
pub mod cli;
pub mod compile;
pub mod config;
pub mod metrics;
pub mod neighbours;
pub mod replay;
pub mod run;
pub mod socket;
