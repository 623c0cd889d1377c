//! The reference NAT: a relation between what went into the appliance and what came out.
//!
//! It is no second implementation. Given a configuration's [`facts`], the packets that went in and what was
//! seen, [`relation::Relation::judge`] says whether that is legal. Where the standards and the configuration leave
//! a choice (which free port, which address, whether a packet refreshes a session), it accepts any legal one,
//! adopts what it saw, and from then on predicts every byte.

pub mod configurations;
pub mod drive;
mod errors;
pub mod facts;
mod half;
mod halves;
mod lives;
mod notices;
mod ports;
pub mod relation;
mod tables;
pub mod traffic;
pub mod view;
