//! Packet buffers: one concrete [`Packet`] over whatever memory a port receives into.
//!
//! This crate and the DPDK port are the only places of the packet path with `unsafe` code. Everything it
//! offers to the path is safe to call in any order.
#![deny(unsafe_op_in_unsafe_fn)]

mod huge;
mod lanes;
mod packet;
mod prefetch;
mod slab;
mod tsc;
mod zeroed;

pub use huge::vec_in_huge_pages;
pub use lanes::equal_lanes;
pub use packet::{Packet, RawPacket, Source};
pub use prefetch::prefetch;
pub use slab::Slab;
pub use tsc::tsc;
pub use zeroed::{Number, zeroed};
