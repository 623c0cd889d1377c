//! Gateways at work: the packets of control sessions are read before they are translated, and what their gateway made
//! of them goes on as if it had arrived so.
//!
//! Nothing here knows the path. A packet that is read goes on as it came, or with another payload, or others go on in its
//! place ([`Passed`]); the path translates and sends them.

mod assembly;
mod context;
mod datagram;
mod edited;
mod fragments;
mod passed;
mod quote;
mod reader;
mod reading;
mod reused;
mod segment;
mod streams;
#[cfg(test)]
mod tests;

pub use datagram::write_payload;
pub use edited::{EDITS_KEPT, Edit, Edited, Excerpt};
pub use reading::{Read, Reading};
pub use streams::{Passed, Streams};
