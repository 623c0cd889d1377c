//! Portico's packet path: one run-to-completion worker per core, sharing nothing.
//!
//! Start with [`path`]: it tells what happens to a packet.
#![forbid(unsafe_code)]

pub mod admit;
pub mod checksum;
pub mod counters;
pub mod drops;
pub mod egress;
pub mod express;
pub mod fib;
pub mod fragment;
pub mod gateway;
pub mod hairpin;
mod listing;
pub mod lookup;
pub mod message;
pub mod neighbour;
mod notice;
pub mod parse;
pub mod path;
pub mod plan;
pub mod policy;
pub mod port;
pub mod reassembly;
pub mod reply;
pub mod rewrite;
mod sending;
pub mod stages;
pub mod state;
pub mod steer;
pub mod tables;
pub mod translate;
pub mod tuple;
pub mod unsolicited;
pub mod worker;
