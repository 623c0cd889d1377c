//! Portico's packet path.
#![forbid(unsafe_code)]
pub mod port;
