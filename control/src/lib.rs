//! The control side of Portico: everything that is not the packet path.
pub mod config;
