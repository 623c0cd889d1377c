//! The test kit: an appliance under test on ports in memory, and conversations with it that a network engineer
//! can read.
//!
//! The kit takes packets apart, builds them and computes checksums with its own code, written from the RFCs:
//! it shares none with the product, so that a mistake is not made twice.
//!
//! - [`mod@bench`] has the appliance, its clock and its wires.
//! - [`leak`] finds inside addresses in what left by the outside.
//! - [`network`] has a side for each of an appliance's, for tests of many hosts; [`witness`] sessions there whose numbered
//!   traffic must lose nothing.
//! - [`notation`] reads `.nat` files; its page tells how to write them.
//! - [`mod@packet`] makes packets from what stands in their headers, for tests of many; [`build`] those of the notation.
//! - [`player`] plays captures of real traffic as whole conversations, and judges them.
//! - [`simulator`] has TCP hosts on a clock and a network of its own, for streams, and for gateways in a whole appliance.
//! - [`sides`] has the network of tests that need loops, in configuration text.
//! - [`terminal`] has a program at a terminal.
//! - [`run`] plays one against the bench and says what differs.
#![forbid(unsafe_code)]

pub mod bench;
pub mod build;
pub mod case;
pub mod checksum;
pub mod compare;
pub mod describe;
pub mod dissect;
pub mod documents;
pub mod leak;
pub mod network;
pub mod notation;
pub mod packet;
pub mod player;
pub mod random;
mod records;
pub mod reference;
pub mod run;
pub mod sides;
pub mod simulator;
pub mod spec;
pub mod stations;
pub mod terminal;
pub mod witness;
