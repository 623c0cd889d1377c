//! The capture player: a capture taken on one side becomes a whole conversation through the appliance, and is judged.
//!
//! - [`capture`] reads packets, [`index`] reads what is expected of them, [`scenario`] brings both together.
//! - [`play`](mod@play) sends the inside host's frames as they are, and derives the outside host's from what it has seen
//!   and read: global endpoints, shifted numbers, quotes, announced doors. Handshakes that the capture lacks are made.
//! - [`flow`] knows what both ends of a connection say and hear, [`align`] how the two differ, [`forms`] how endpoints
//!   are written, and [`judge`] what may differ. None of it shares code with the product.
//! - [`sip`] reads SIP, whose endpoints stand in too many places and forms for that.
//! - [`splits`] plays the messages of a control connection again, each cut in two in every place.

pub mod align;
pub mod capture;
pub mod changes;
mod connection;
mod doors;
mod finish;
pub mod flow;
pub mod forms;
pub mod index;
pub mod judge;
mod message;
pub mod play;
pub mod replays;
pub mod scenario;
pub mod shown;
pub mod sip;
pub mod splits;

pub use capture::Taken;
pub use play::{Report, play};
pub use scenario::{Mode, Scenario};
