//! SIP as the player knows it, by the RFCs and apart from the product: where a message names endpoints ([`read`]), how two
//! versions of it differ ([`compare`]), what the outside host must read in place of each of the inside host's endpoints
//! (`heard`), and what it says with what it has read (`said`).

pub mod compare;
mod heard;
pub mod read;
mod said;
pub mod words;

pub use heard::Way;
pub use words::{SIP_PORT, Words};
